//! Fields of a body that is not believed yet: only what a signature needs to be checked is read here. The strict
//! parse of the whole body comes after the signature.

use serde_json::Value as Json;

use super::Incoming;
use crate::content_type::ContentType;
use crate::form::{self, Limits};

/// Longest value of a form that a signature is checked with, bytes.
const MAX_READ: usize = 4 * 1024;

/// The fields of a JSON body or a form; nothing of any other.
pub(super) enum Fields {
    Json(Json),
    Form(Vec<(String, String)>),
    Nothing,
}

impl Fields {
    pub(super) fn read(incoming: Incoming<'_>) -> Fields {
        let Ok(content_type) = ContentType::of(incoming.headers) else {
            return Fields::Nothing;
        };
        if content_type.is_json() {
            return serde_json::from_slice(incoming.body).map_or(Fields::Nothing, Fields::Json);
        }
        // A form may carry a whole mail beside the fields that are read here.
        let limits = Limits {
            max_file_bytes: incoming.body.len(),
            max_files: Limits::default().max_fields,
            values_are_bytes: true,
            ..Limits::default()
        };
        let Ok(form) = form::parse(&content_type, incoming.body, &limits) else {
            return Fields::Nothing;
        };
        let short = form.files.into_iter().filter(|f| f.bytes.len() <= MAX_READ);
        let text = |f: form::File| Some((f.field, String::from_utf8(f.bytes).ok()?));
        Fields::Form(short.filter_map(text).collect())
    }

    /// A text or a whole number at a path of JSON; in a form, where there are no paths, the field of the last name.
    pub(super) fn text(&self, path: &[&str]) -> Option<String> {
        match self {
            Fields::Json(root) => {
                let at = path.iter().try_fold(root, |value, name| value.get(name))?;
                match at {
                    Json::String(text) => Some(text.clone()),
                    Json::Number(number) if number.is_u64() => Some(number.to_string()),
                    _ => None,
                }
            }
            Fields::Form(fields) => {
                let name = path.last()?;
                let found = fields.iter().find(|(given, _)| given == name);
                found.map(|(_, value)| value.clone())
            }
            Fields::Nothing => None,
        }
    }
}

/// Name and value of every field of a form, sorted, each pair once: what is signed of a form beside its address.
/// `None` where the body is no form.
pub(super) fn sorted_pairs(body: &[u8]) -> Option<Vec<u8>> {
    let limits = Limits {
        allow_duplicates: true,
        ..Limits::default()
    };
    let mut fields = form::parse_urlencoded(body, &limits).ok()?.fields;
    fields.sort();
    fields.dedup();
    let pairs = fields.iter().flat_map(|(name, value)| [name, value]);
    Some(pairs.flat_map(|text| text.bytes()).collect())
}
