//! What a record may hold: the fields that a workflow of the tenant declares for its type, in their types. A
//! type that no workflow declares holds anything.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_json::json;
use tl_kernel::coerce::coerce;
use tl_kernel::payload::parse_json;
use tl_kernel::program::{ActionKind, Program};
use tl_kernel::time::rfc3339;
use tl_kernel::value::{Type, Value};

use super::Current;
use crate::ingest::{child, shape};
use crate::intake::TenantView;
use crate::problem::{FieldProblem, Problem};

/// Checks the members of a body; names every one that fails.
pub(super) fn check(
    view: &TenantView,
    kind: &str,
    fields: &BTreeMap<String, Value>,
) -> Result<(), Problem> {
    let declared = declared(view, kind);
    if declared.is_empty() {
        return Ok(());
    }
    let country = fields.get("country").and_then(Value::as_text);
    let mut problems = Vec::new();
    for (name, value) in fields {
        let expected = match declared.get(name.as_str()) {
            None => Some("is not declared".to_owned()),
            Some(types) => wrong(value, types, country),
        };
        if let Some(expected) = expected {
            problems.push(FieldProblem {
                pointer: child("", name),
                expected,
            });
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(shape(problems))
    }
}

/// What was expected, unless the value fits one of the types. No types: written by a mapping, so of any type.
fn wrong(value: &Value, types: &[&Type], country: Option<&str>) -> Option<String> {
    let mut first = None;
    for ty in types {
        match coerce(value, ty, country) {
            Ok(_) => return None,
            Err(why) => first = first.or(Some(why)),
        }
    }
    first
}

/// Names and types of a record type: its fields, and the properties that workflows write.
fn declared<'a>(view: &'a TenantView, kind: &str) -> BTreeMap<&'a str, Vec<&'a Type>> {
    let mut out: BTreeMap<&str, Vec<&Type>> = BTreeMap::new();
    let programs = view.doors.values().map(|d| d.program.as_ref());
    for program in programs.filter(|p: &&Program| p.record.name == kind) {
        for field in &program.record.fields {
            out.entry(&field.name).or_default().push(&field.ty);
        }
        for action in &program.actions {
            if let ActionKind::RecordStore { map, .. } = &action.kind {
                for (property, _) in map {
                    out.entry(property).or_default();
                }
            }
        }
    }
    out
}

/// Where each field came from after a write: changed ones from this key, the others from where they did.
pub(super) fn provenance(
    now: &Current,
    fields: &BTreeMap<String, Value>,
    (kid, at): (&str, i64),
) -> Vec<u8> {
    let mut earlier: BTreeMap<String, Json> =
        serde_json::from_slice(&now.provenance).unwrap_or_default();
    let held = match parse_json(&now.body) {
        Ok(Value::Record(map)) => map,
        _ => BTreeMap::new(),
    };
    let own = json!({ "by": kid, "at": rfc3339(at), "source": "api" });
    let sources: BTreeMap<&String, Json> = fields
        .iter()
        .map(|(name, value)| {
            let kept = earlier
                .remove(name)
                .filter(|_| held.get(name) == Some(value));
            (name, kept.unwrap_or_else(|| own.clone()))
        })
        .collect();
    serde_json::to_vec(&sources).unwrap_or_default()
}
