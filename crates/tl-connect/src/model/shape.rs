//! The shape of an answer: the JSON Schema that is sent, and the check of what comes back.

use serde_json::{Map, Value as Json, json};
use tl_kernel::program::Mode;

use super::{ExtractedField, MOST_STATED, ModelRequest};

/// Errors named in a repair.
const MOST_ERRORS: usize = 12;

/// An answer of the right shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shaped {
    pub(super) label: Option<String>,
    pub(super) confidence: Option<f64>,
    pub(super) fields: Vec<ExtractedField>,
    pub(super) summary: Option<String>,
    pub(super) draft: Option<String>,
}

/// The schema. Every property is required and none may be added, which strict servers demand; what they do not
/// support (lengths, ranges) is checked here only.
pub(super) fn schema(request: &ModelRequest) -> Json {
    let mut properties = Map::new();
    if let Some(spec) = request
        .classify
        .as_ref()
        .filter(|_| request.wants(Mode::Classify))
    {
        properties.insert(
            "label".into(),
            json!({"type": "string", "enum": spec.labels}),
        );
        properties.insert("confidence".into(), json!({"type": "number"}));
    }
    if request.wants(Mode::Extract) {
        let field = object(Map::from_iter([
            ("value".to_owned(), json!({"type": ["string", "null"]})),
            ("quote".to_owned(), json!({"type": ["string", "null"]})),
            ("confidence".to_owned(), json!({"type": "number"})),
        ]));
        let fields = request
            .extract
            .iter()
            .map(|f| (f.name.clone(), field.clone()));
        properties.insert("fields".into(), object(fields.collect()));
    }
    if request.wants(Mode::Summarize) && request.summarize.is_some() {
        properties.insert("summary".into(), json!({"type": "string"}));
    }
    if request.wants(Mode::Draft) && request.draft.is_some() {
        properties.insert("draft".into(), json!({"type": "string"}));
    }
    object(properties)
}

fn object(properties: Map<String, Json>) -> Json {
    let required: Vec<&String> = properties.keys().collect();
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}

/// Checks an answer. The errors name places and rules, never what the model wrote.
pub(super) fn check(answer: &Json, request: &ModelRequest) -> Result<Shaped, Vec<String>> {
    let mut check = Check { errors: Vec::new() };
    let mut out = Shaped::default();
    let schema = schema(request);
    if let Some(map) = check.object("", answer, &schema) {
        out.label = map.get("label").and_then(|v| check.label(v, request));
        out.confidence = map
            .get("confidence")
            .and_then(|v| check.confidence("/confidence", v));
        if let Some(fields) = map.get("fields") {
            out.fields = check.fields(fields, &schema["properties"]["fields"], request);
        }
        let longest = request.summarize.unwrap_or(0);
        out.summary = map
            .get("summary")
            .and_then(|v| check.text("/summary", v, longest));
        let longest = request.draft.as_ref().map_or(0, |d| d.max_chars);
        out.draft = map
            .get("draft")
            .and_then(|v| check.text("/draft", v, longest));
    }
    if check.errors.is_empty() {
        return Ok(out);
    }
    check.errors.truncate(MOST_ERRORS);
    Err(check.errors)
}

struct Check {
    errors: Vec<String>,
}

impl Check {
    fn refuse<T>(&mut self, path: &str, rule: &str) -> Option<T> {
        let path = if path.is_empty() { "/" } else { path };
        self.errors.push(format!("{path}: {rule}"));
        None
    }

    /// An object with exactly the properties of its schema.
    fn object<'a>(
        &mut self,
        path: &str,
        value: &'a Json,
        schema: &Json,
    ) -> Option<&'a Map<String, Json>> {
        let Json::Object(map) = value else {
            return self.refuse(path, "must be an object");
        };
        let properties = schema["properties"].as_object()?;
        for name in properties.keys().filter(|name| !map.contains_key(*name)) {
            self.errors.push(format!("{path}/{name}: is missing"));
        }
        if map.keys().any(|name| !properties.contains_key(name)) {
            self.errors
                .push(format!("{path}/: has a property that was not asked for"));
        }
        Some(map)
    }

    fn label(&mut self, value: &Json, request: &ModelRequest) -> Option<String> {
        let labels = request
            .classify
            .as_ref()
            .map_or(&[][..], |spec| &spec.labels);
        match value
            .as_str()
            .filter(|label| labels.iter().any(|l| l == label))
        {
            Some(label) => Some(label.to_owned()),
            None => self.refuse("/label", "is not one of the allowed values"),
        }
    }

    fn confidence(&mut self, path: &str, value: &Json) -> Option<f64> {
        match value.as_f64().filter(|x| (0.0..=1.0).contains(x)) {
            Some(x) => Some(x.min(MOST_STATED)),
            None => self.refuse(path, "must be a number between 0 and 1"),
        }
    }

    fn text(&mut self, path: &str, value: &Json, longest: u32) -> Option<String> {
        let Some(text) = value.as_str().map(str::trim) else {
            return self.refuse(path, "must be text");
        };
        if text.is_empty() {
            return self.refuse(path, "must not be empty");
        }
        if !is_clean(text) {
            return self.refuse(path, "has control characters");
        }
        if text.chars().count() > longest as usize {
            return self.refuse(path, &format!("is longer than {longest} characters"));
        }
        Some(text.to_owned())
    }

    fn fields(
        &mut self,
        value: &Json,
        schema: &Json,
        request: &ModelRequest,
    ) -> Vec<ExtractedField> {
        let Some(map) = self.object("/fields", value, schema) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for spec in &request.extract {
            let path = format!("/fields/{}", spec.name);
            let Some(value) = map.get(&spec.name) else {
                continue;
            };
            let Some(parts) = self.object(&path, value, &schema["properties"][&spec.name]) else {
                continue;
            };
            out.extend(self.field(&spec.name, parts, &request.text));
        }
        out
    }

    fn field(
        &mut self,
        name: &str,
        parts: &Map<String, Json>,
        text: &str,
    ) -> Option<ExtractedField> {
        let path = format!("/fields/{name}");
        let confidence = self.confidence(&format!("{path}/confidence"), parts.get("confidence")?);
        let value = self.text_or_null(&format!("{path}/value"), parts.get("value")?)?;
        let quote = self.text_or_null(&format!("{path}/quote"), parts.get("quote")?)?;
        let value = value?;
        let span = match quote {
            None => None,
            Some(quote) => match find(text, &quote) {
                None => {
                    return self.refuse(&format!("{path}/quote"), "does not occur in the message");
                }
                found => found,
            },
        };
        Some(ExtractedField {
            name: name.to_owned(),
            value,
            span,
            confidence: confidence?,
        })
    }

    /// Text, or nothing: the outer option is `None` for what is neither.
    fn text_or_null(&mut self, path: &str, value: &Json) -> Option<Option<String>> {
        match value {
            Json::Null => Some(None),
            Json::String(text) if !is_clean(text) => self.refuse(path, "has control characters"),
            Json::String(text) if text.trim().is_empty() => Some(None),
            Json::String(text) => Some(Some(text.trim().to_owned())),
            _ => self.refuse(path, "must be text or null"),
        }
    }
}

fn is_clean(text: &str) -> bool {
    text.chars()
        .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// Where a quote stands in a text. Models join lines and collapse blanks, so any run of white space matches any other.
fn find(text: &str, quote: &str) -> Option<(u32, u32)> {
    let words: Vec<&str> = quote.split_whitespace().collect();
    let first = *words.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].find(first) {
        let start = from + at;
        if let Some(end) = end_of(text, start, &words) {
            return Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?));
        }
        from = start + first.chars().next().map_or(1, char::len_utf8);
    }
    None
}

fn end_of(text: &str, start: usize, words: &[&str]) -> Option<usize> {
    let mut at = start;
    for (i, word) in words.iter().enumerate() {
        let rest = &text[at..];
        let skipped = if i == 0 { rest } else { rest.trim_start() };
        if i > 0 && skipped.len() == rest.len() {
            return None;
        }
        let after = skipped.strip_prefix(word)?;
        at = text.len() - after.len();
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn quotes_are_found_where_they_stand() {
        let text = "Grüße, call me\nat  +49 30 1234, call me now";
        let table = [
            ("Grüße", Some((0, 7))),
            ("call me at +49", Some((9, 24))),
            ("call me now", Some((34, 45))),
            ("callme", None),
            ("+49 30 1235", None),
            ("", None),
            ("  ", None),
        ];
        for (quote, expected) in table {
            assert_eq!(find(text, quote), expected, "{quote:?}");
        }
    }
}
