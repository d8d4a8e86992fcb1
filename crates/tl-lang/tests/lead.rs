//! The lead that stands in where a workflow file declares no record: its fields are what the documentation, the
//! templates and every file without a `record` rely on.

mod common;

use std::collections::BTreeMap;

use common::program;
use tl_kernel::program::FieldFrom::{self, Ai, Engine, Event, Rules};
use tl_lang::Project;

const BARE: &str = r#"workflow: { id: w, version: "1" }
ingress: { channels: [form] }
decision: { branches: [{ default: human_queue }] }
"#;

/// Name, type, whether it must be there, who sets it.
const FIELDS: [(&str, &str, bool, FieldFrom); 17] = [
    ("source", "string", false, Event),
    ("external_id", "string", false, Event),
    ("name", "string", true, Event),
    ("company", "string", false, Event),
    ("email", "email", false, Event),
    ("phone", "phone", false, Event),
    ("message", "string", false, Event),
    (
        "intent",
        "enum(demo, pricing, support, partnership, job, spam, other)",
        false,
        Ai,
    ),
    ("urgency", "enum(low, normal, high)", false, Ai),
    ("product_line", "string", false, Rules),
    ("territory", "string", false, Rules),
    ("owner", "string", false, Rules),
    ("next_step", "string", false, Rules),
    ("received_at", "time", false, Engine),
    ("first_touched_at", "time", false, Engine),
    ("qualified_at", "time", false, Engine),
    ("closed_at", "time", false, Engine),
];

#[test]
fn a_file_without_a_record_has_the_default_lead() {
    let name = "workflows/w/workflow.yaml".to_owned();
    let project = Project {
        files: BTreeMap::from([(name, BARE.as_bytes().to_vec())]),
    };
    let record = program(&project, "w").record;
    let fields = record.fields.iter();
    let found: Vec<_> = fields
        .map(|f| (f.name.as_str(), f.ty.word(), f.required, f.from))
        .collect();
    let wanted = FIELDS.map(|(name, ty, required, from)| (name, ty.to_owned(), required, from));
    assert_eq!((record.name.as_str(), found), ("lead", wanted.to_vec()));
    // What a stranger wrote in his own words steers nothing; what he filled in decides nothing by itself.
    let marked = |is: fn(&tl_kernel::program::FieldDef) -> bool| {
        let marked = record.fields.iter().filter(|f| is(f));
        marked.map(|f| f.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(marked(|f| f.untrusted), ["message"]);
    assert!(marked(|f| f.control).is_empty());
}
