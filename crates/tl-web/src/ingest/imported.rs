//! Rows of a table as messages of a door. Who imports is the operator of the installation, so nobody's signature is
//! asked for; from there on everything is as for a message over HTTP: size, parse, schema, dedupe keys, admission.

use std::sync::Arc;

use http::HeaderMap;
use jsonschema::Validator;
use tl_kernel::digest::{Digest, hex, keyed, sha256};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::payload::to_json;
use tl_kernel::program::{Auth, Channel, Endpoint, Format};
use tl_kernel::value::Value;
use tl_wire::signature::DeliveryId;

use super::{
    Found, Keys, Sender, admission, build, from_value, json, keys, schema, shape, too_large,
};
use crate::intake::{Admission, TenantView};
use crate::limits::MAX_IDEMPOTENCY_KEY;
use crate::problem::{FieldProblem, IDEMPOTENCY_KEY, Problem};

/// The word under which a message says that it was imported.
const BY: &str = "import";

/// Reads rows as messages of one door.
#[derive(Debug)]
pub struct Importer {
    found: Found,
    schema: Option<Validator>,
}

impl Importer {
    /// Whether rows can be messages of a door: a mail or a document is no row, and a timetable has no sender.
    pub fn fits(endpoint: &Endpoint) -> bool {
        matches!(endpoint.format, Format::Json | Format::Form)
            && !matches!(endpoint.channel, Channel::Schedule | Channel::Sms)
    }

    /// For a door of a view; `None` where there is none of this name. A schema that does not compile says why.
    pub fn new(view: Arc<TenantView>, name: &str) -> Option<Result<Importer, String>> {
        if !view.doors.contains_key(name) {
            return None;
        }
        let found = Found {
            view,
            name: name.to_owned(),
        };
        let text = found.endpoint().schema.as_ref().map(|s| s.json.clone());
        let schema = text.map(|text| schema::compile(&text)).transpose();
        Some(schema.map(|schema| Importer { found, schema }))
    }

    /// A row as the door hands it over. `now` is engine time, µs; the key is the row's own where its table has one, else
    /// the row's content names it.
    pub fn admission(&self, now: i64, row: &[u8], key: Option<&str>) -> Result<Admission, Problem> {
        let most = self.found.endpoint().max_body;
        if row.len() as u64 > u64::from(most) {
            return Err(too_large(most));
        }
        if key.is_some_and(|k| k.trim().is_empty() || k.chars().count() > MAX_IDEMPOTENCY_KEY) {
            return Err(Problem::new(
                IDEMPOTENCY_KEY,
                format!(
                    "The key of the row is empty, or longer than {MAX_IDEMPOTENCY_KEY} characters."
                ),
            ));
        }
        let body = json(row)?;
        if !matches!(body, Value::Record(_)) {
            let whole = FieldProblem {
                pointer: String::new(),
                expected: "must be of type object".into(),
            };
            return Err(shape(vec![whole]));
        }
        if let Some(schema) = &self.schema {
            let problems = schema::against(schema, &body)
                .map_err(|_| Problem::internal("of a row that cannot be written as JSON"))?;
            if !problems.is_empty() {
                return Err(shape(problems));
            }
        }
        let id = crate::state::id_at(now);
        let mut message = from_value(body);
        message.content_type = "application/json".to_owned();
        message.payload = to_json(&message.body).into_bytes();
        let event = build(&self.found, &mut message, (id, now), &HeaderMap::new());
        let content = hex(&sha256(&[&message.payload]));
        let sender = self.sender(key);
        let given = key.unwrap_or(&content);
        let found = keys(&self.found, &sender, (&message, &event), Some(given))?;
        let keys = self.with_own(found, key, &content);
        let said = (event, message);
        Ok(admission(&self.found, (id, now), (sender, keys), said))
    }

    /// The operator. Where the door's senders sign a delivery id, the row's key stands for it.
    fn sender(&self, key: Option<&str>) -> Sender {
        let signs = |a: &Auth| matches!(a, Auth::StandardWebhooks);
        let named = key.filter(|_| self.found.endpoint().auth.iter().any(signs));
        Sender {
            kid: BY.to_owned(),
            delivery: named.map(|key| DeliveryId {
                value: key.to_owned(),
                covered: true,
            }),
            principal: None,
            preset: None,
            timeless: false,
        }
    }

    /// The door's keys, and the import's own: the same command again finds every row that it has taken, for as long as
    /// keys are kept.
    fn with_own(&self, mut keys: Keys, key: Option<&str>, content: &str) -> Keys {
        let own = self.own(key.map_or(("content", content), |key| ("key", key)));
        if keys.source == "weak" {
            // The bytes alone name no message here: the row's key does, or its content.
            keys.keys = vec![own];
            keys.source = "import";
        } else {
            keys.keys.push(own);
        }
        keys.keep = keys.keep.max(DEDUPE_KEEP);
        keys
    }

    fn own(&self, (sort, text): (&str, &str)) -> Digest {
        let parts: [&[u8]; 5] = [
            b"dedupe",
            self.found.name.as_bytes(),
            BY.as_bytes(),
            sort.as_bytes(),
            text.as_bytes(),
        ];
        keyed(&self.found.view.key, &parts)
    }
}
