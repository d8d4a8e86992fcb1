//! The JSON Schema of the connector file, for editors that complete and check while one types.

use serde_json::{Value as Json, json};

use super::keys::CONNECTOR_FILE;
use crate::schema::section;

/// The schema. The reader itself does not use it: its findings say more.
pub fn connector_schema() -> Json {
    let mut out = section(&CONNECTOR_FILE);
    out["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    out["title"] = json!("Throughline connector");
    out["required"] = json!(["connector", "title", "actions"]);
    out
}
