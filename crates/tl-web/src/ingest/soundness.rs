//! A schema before it is deployed: it compiles, and no body can make checking it dear.

use serde_json::Value as Json;

use super::schema::compile;
use crate::limits::{MAX_SCHEMA, MAX_SCHEMA_PARTS};

/// How deep references and parts may nest.
const MAX_DEPTH: usize = 256;

/// Why a schema cannot be used, in words for whoever wrote it; `None` where it can.
///
/// A reference is followed each time it is met, as a validator does, so a few lines can stand for millions of
/// parts. Such a schema would let one small message keep a processor busy, and is refused.
pub fn schema_fault(text: &str) -> Option<String> {
    if text.len() > MAX_SCHEMA {
        return Some(format!(
            "a schema has at most {MAX_SCHEMA} bytes; this one has {}",
            text.len()
        ));
    }
    let schema: Json = match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(e) => return Some(e.to_string()),
    };
    let mut walk = Walk {
        root: &schema,
        parts: 0,
        open: Vec::new(),
    };
    if let Err(fault) = walk.part(&schema, 0) {
        return Some(fault);
    }
    compile(text).err()
}

struct Walk<'s> {
    root: &'s Json,
    parts: usize,
    /// References that are being followed, with how often each has led back to itself.
    open: Vec<(&'s str, usize)>,
}

impl<'s> Walk<'s> {
    fn part(&mut self, node: &'s Json, depth: usize) -> Result<(), String> {
        self.parts += 1;
        if self.parts > MAX_SCHEMA_PARTS || depth > MAX_DEPTH {
            return Err(format!(
                "with its references followed it has more than {MAX_SCHEMA_PARTS} parts or {MAX_DEPTH} levels; refer to less"
            ));
        }
        match node {
            Json::Array(items) => items.iter().try_for_each(|n| self.part(n, depth + 1)),
            Json::Object(members) => {
                members
                    .iter()
                    .try_for_each(|(name, n)| match (name.as_str(), n) {
                        ("$ref" | "$dynamicRef" | "$recursiveRef", Json::String(to)) => {
                            self.reference(to, depth)
                        }
                        _ => self.part(n, depth + 1),
                    })
            }
            _ => Ok(()),
        }
    }

    fn reference(&mut self, to: &'s str, depth: usize) -> Result<(), String> {
        let target = to
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            return Err(format!(
                "`{to}` is no part of this file; a reference is `#/…` with names as they stand there"
            ));
        };
        if let Some((_, again)) = self.open.iter_mut().find(|(open, _)| *open == to) {
            *again += 1;
            return if *again > 1 {
                Err(format!(
                    "`{to}` refers to itself in more than one place; allow anything in all but one"
                ))
            } else {
                Ok(())
            };
        }
        self.open.push((to, 0));
        self.part(target, depth + 1)?;
        self.open.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::schema_fault;

    fn doubled(times: usize) -> Json {
        let mut parts =
            serde_json::Map::from_iter([("d0".to_owned(), json!({ "type": "integer" }))]);
        for i in 1..=times {
            let before = json!({ "$ref": format!("#/$defs/d{}", i - 1) });
            parts.insert(format!("d{i}"), json!({ "anyOf": [before, before] }));
        }
        json!({ "$defs": parts, "properties": { "email": { "$ref": format!("#/$defs/d{times}") } } })
    }

    #[test]
    fn a_schema_is_sound_or_says_why_not() {
        let list = json!({ "properties": { "next": { "$ref": "#" } } });
        let tree = json!({ "anyOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } } }] });
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let table = [
            (json!({ "type": "object" }).to_string(), None),
            (json!(true).to_string(), None),
            (list.to_string(), None),
            (doubled(4).to_string(), None),
            (doubled(30).to_string(), Some("more than 10000 parts")),
            (
                tree.to_string(),
                Some("refers to itself in more than one place"),
            ),
            (
                json!({ "$ref": "http://127.0.0.1/x.json" }).to_string(),
                Some("no part of this file"),
            ),
            (
                json!({ "$ref": "#/$defs/none" }).to_string(),
                Some("no part of this file"),
            ),
            (json!({ "type": "objekt" }).to_string(), Some("objekt")),
            (json!({ "pattern": "(" }).to_string(), Some("")),
            (
                json!({ "pattern": "(((x{99}){99}){99})" }).to_string(),
                Some(""),
            ),
            (deep, Some("recursion limit")),
            (
                format!("{{\"title\":\"{}\"}}", "x".repeat(300_000)),
                Some("at most"),
            ),
            ("{".into(), Some("EOF")),
        ];
        for (text, want) in table {
            let fault = schema_fault(&text);
            let start: String = text.chars().take(80).collect();
            match (want, &fault) {
                (None, None) => {}
                (Some(part), Some(fault)) => assert!(fault.contains(part), "{start}: {fault}"),
                _ => panic!("{start}: {fault:?}"),
            }
        }
    }
}
