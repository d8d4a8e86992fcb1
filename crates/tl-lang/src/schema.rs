//! JSON Schemas: of the workflow file for editors, and of the bodies an endpoint takes.

use serde_json::{Map as Object, Value as Json, json};
use tl_kernel::expr::Node;
use tl_kernel::program::{Endpoint, RecordType};
use tl_kernel::value::Type;

use crate::keys::{Section, Shape, WORKFLOW_FILE};

/// The schema of `workflow.yaml`, for editors that complete and check while one types. The loader itself
/// does not use it: its findings say more.
pub fn json_schema() -> Json {
    let mut out = section(&WORKFLOW_FILE);
    out["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    out["title"] = json!("Throughline workflow");
    out["required"] = json!(["workflow", "decision"]);
    out["anyOf"] = json!([{ "required": ["ingress"] }, { "required": ["schedules"] }]);
    out
}

pub(crate) fn section(s: &Section) -> Json {
    let mut properties = Object::new();
    for k in s.keys {
        let mut shapes: Vec<Json> = k.shapes.iter().map(shape).collect();
        let mut one = if shapes.len() == 1 {
            shapes.remove(0)
        } else {
            json!({ "anyOf": shapes })
        };
        one["description"] = json!(k.doc);
        properties.insert(k.name.to_owned(), one);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn shape(s: &Shape) -> Json {
    match s {
        Shape::Bool => json!({ "type": "boolean" }),
        // A plain number or truth is text too where text is expected: `version: 1.4`.
        Shape::Text => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Duration => json!({ "type": "string", "pattern": "^([0-9]+[smhdw])+$" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Expr => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Names => json!({ "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": { "type": "null" } },
            { "type": "string" },
        ]}),
        Shape::List(of) => json!({ "type": "array", "items": shape(of) }),
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": map_value(of) }),
        Shape::Of(s) => section(s),
        Shape::Constant => json!({}),
    }
}

/// Policy lines may be one word; channels may be left empty.
fn map_value(of: &Shape) -> Json {
    match of {
        Shape::Of(s) if s.path == "policy.*" => json!({ "anyOf": [
            { "enum": ["auto", "approve", "never"] },
            section(s),
        ]}),
        Shape::Of(s) if s.path == "ingress.channels.*" => {
            json!({ "anyOf": [{ "type": "null" }, section(s)] })
        }
        other => shape(other),
    }
}

/// The schema of the bodies of an endpoint, from the mapping and the types of the fields it fills: only what
/// the mapping reads is described, everything else is allowed. A missing `required` field is no fault of the body:
/// the case asks for it.
pub fn derived_schema(endpoint: &Endpoint, record: &RecordType) -> String {
    let mut root = Object::new();
    for (field, expr) in &endpoint.map {
        let Node::Path { names, .. } = &expr.root else {
            continue;
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ["event", "body", path @ ..] = names.as_slice() else {
            continue;
        };
        if let Some(f) = record.field(field)
            && !path.is_empty()
        {
            describe(&mut root, path, &f.ty);
        }
    }
    root.entry("type").or_insert_with(|| json!("object"));
    Json::Object(root).to_string()
}

fn describe(into: &mut Object<String, Json>, path: &[&str], ty: &Type) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    into.insert("type".into(), json!("object"));
    let properties = into.entry("properties").or_insert_with(|| json!({}));
    if let Some(p) = properties.as_object_mut() {
        if rest.is_empty() {
            p.insert((*name).to_owned(), type_schema(ty));
        } else if let Some(inner) = p.entry(*name).or_insert_with(|| json!({})).as_object_mut() {
            describe(inner, rest, ty);
        }
    }
}

/// Forms send every value as text, so numbers and truths may come as text too: as text that reads as one, or blank,
/// which is no value. Whether an address or a number of a phone is one is not for the schema to say: a message is not
/// turned away for it, the field stays absent.
fn type_schema(ty: &Type) -> Json {
    match ty {
        Type::Bool => json!({ "type": ["boolean", "string"], "pattern": r"^\s*(true|false)?\s*$" }),
        Type::Int => json!({ "type": ["integer", "string"], "pattern": r"^\s*([+-]?[0-9]+)?\s*$" }),
        Type::Dec | Type::Float => json!({
            "type": ["number", "string"],
            "pattern": r"^\s*([+-]?[0-9]*[.]?[0-9]+([eE][+-]?[0-9]+)?)?\s*$",
        }),
        Type::Time => json!({
            "type": "string",
            "pattern": r"^\s*([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*)?\s*$",
        }),
        Type::List(of) => json!({ "type": ["array", "string"], "items": type_schema(of) }),
        Type::Enum(values) => json!({ "enum": values }),
        Type::Record(_) => json!({ "type": "object" }),
        Type::Any | Type::Null => json!({}),
        Type::Text | Type::Email | Type::Phone | Type::Url | Type::Dur => {
            json!({ "type": "string" })
        }
    }
}
