//! A form from what its door takes: the members of the body that the workflow reads, and what a schema file says of
//! them.

use serde_json::Value as Json;
use tl_kernel::expr::{Expr, Node};
use tl_kernel::program::{Endpoint, FieldDef, RecordType};
use tl_kernel::value::Type;

/// A text that may be longer than this gets several lines, characters.
const LONG: u64 = 300;

/// What a page asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// Heading: the title of the schema file, else the door's name made readable.
    pub title: String,
    /// What stands below it: the description of the schema file.
    pub intro: Option<String>,
    /// The questions, in the order of the record's fields.
    pub controls: Vec<Control>,
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Member of the body that takes the answer.
    pub name: String,
    /// What is asked.
    pub label: String,
    /// What helps to answer.
    pub hint: Option<String>,
    /// How it is asked.
    pub kind: Kind,
    /// What an answer has to be.
    pub ty: Type,
    /// It has to be answered.
    pub required: bool,
    /// Longest answer, characters.
    pub longest: Option<u64>,
}

/// How a question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One line.
    Line,
    /// Several lines.
    Area,
    /// A mail address.
    Email,
    /// A phone number.
    Phone,
    /// A web address.
    Url,
    /// A whole number. It is a line for digits: a number control throws away what it does not understand, and the
    /// person never learns of it.
    Whole,
    /// A number with a fraction.
    Fraction,
    /// A day.
    Day,
    /// A day and a time, in UTC.
    Moment,
    /// One of these: the value, and what is shown.
    Choice(Vec<(String, String)>),
    /// Yes, or nothing: where no answer is an answer, or where nothing but yes is taken.
    Tick,
}

/// Yes or no, where one of them has to be said.
fn yes_or_no() -> Kind {
    let answers = [("true", "Yes"), ("false", "No")];
    Kind::Choice(
        answers
            .map(|(v, shown)| (v.to_owned(), shown.to_owned()))
            .into(),
    )
}

/// The form of a door.
pub fn form_of(endpoint: &Endpoint, record: &RecordType) -> Form {
    let schema = schema_of(endpoint);
    let own = endpoint.schema.as_ref().is_some_and(|s| !s.derived);
    let mut controls: Vec<Control> = Vec::new();
    let reads = endpoint.map.iter().map(|(field, e)| (Some(field), e));
    for (field, expr) in reads.chain(endpoint.text.iter().map(|e| (None, e))) {
        let def = field.and_then(|name| record.field(name));
        for (name, whole) in members(expr) {
            let known = controls.iter().any(|c| c.name == name);
            if !known && let Some(c) = control(&name, def.map(|d| (d, whole)), &schema) {
                controls.push(c);
            }
        }
    }
    let beside = schema["properties"].as_object().filter(|_| own);
    for name in beside.into_iter().flat_map(serde_json::Map::keys) {
        let known = controls.iter().any(|c| c.name == *name);
        if !known && let Some(c) = control(name, None, &schema) {
            controls.push(c);
        }
    }
    Form {
        title: text(&schema, "title").unwrap_or_else(|| readable(&endpoint.name)),
        intro: text(&schema, "description"),
        controls,
    }
}

/// The form that asks for these fields of a record, each by its own name.
pub fn form_for(record: &RecordType, fields: &[String]) -> Vec<Control> {
    let defs = fields.iter().filter_map(|name| record.field(name));
    let asked = defs.filter_map(|def| control(&def.name, Some((def, true)), &Json::Null));
    asked
        .map(|c| Control {
            required: true,
            kind: match c.kind {
                Kind::Tick => yes_or_no(),
                other => other,
            },
            ..c
        })
        .collect()
}

/// The schema of a door as a document; null where it has none.
pub(crate) fn schema_of(endpoint: &Endpoint) -> Json {
    let text = endpoint.schema.as_ref().map(|s| s.json.as_str());
    text.and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or(Json::Null)
}

/// Members of the body that an expression reads, and whether it is nothing but that member.
fn members(expr: &Expr) -> Vec<(String, bool)> {
    let whole = matches!(&expr.root, Node::Path { .. });
    let reads = expr.reads();
    let own = reads.iter().filter_map(|path| match path.as_slice() {
        [event, body, name] if event == "event" && body == "body" => Some((name.clone(), whole)),
        _ => None,
    });
    own.collect()
}

/// The question for a member of the body; `None` where a form has no control for it. A definition comes with whether
/// its field is the member as it stands.
fn control(name: &str, def: Option<(&FieldDef, bool)>, schema: &Json) -> Option<Control> {
    let property = &schema["properties"][name];
    // A consent: nothing but yes is taken, and only a person can give it.
    let consent = property["const"] == true;
    let fixed = property.get("const").is_some() && !consent;
    if name.starts_with('_') || property["readOnly"] == true || fixed {
        return None;
    }
    let same = def.filter(|(_, whole)| *whole).map(|(def, _)| def);
    let ty = same.map_or_else(|| type_of(property), |def| def.ty.clone());
    let longest = property["maxLength"].as_u64();
    let listed = schema["required"].as_array();
    let required = listed.is_some_and(|all| all.iter().any(|n| n == name))
        || def.is_some_and(|(def, _)| def.required);
    let kind = match kind(&ty, property, same, longest)? {
        _ if consent => Kind::Tick,
        Kind::Tick if required => yes_or_no(),
        other => other,
    };
    let hint = text(property, "description").or_else(|| match kind {
        Kind::Moment => Some("In UTC.".to_owned()),
        Kind::Phone => Some("With the country code, such as +44 20 7946 0000.".to_owned()),
        _ => None,
    });
    Some(Control {
        name: name.to_owned(),
        label: text(property, "title").unwrap_or_else(|| readable(name)),
        hint,
        kind,
        ty,
        required,
        longest,
    })
}

/// A value of a list as a form sends it: everything there is text. None for what no answer can be.
pub(crate) fn typed_as(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()).filter(|t| !t.trim().is_empty()),
        Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn text(of: &Json, name: &str) -> Option<String> {
    let text = of[name].as_str().map(str::trim);
    text.filter(|t| !t.is_empty()).map(str::to_owned)
}

/// The type that a schema file says, where the member is no field as it stands.
fn type_of(property: &Json) -> Type {
    let of = |word: &str| match &property["type"] {
        Json::String(one) => one == word,
        Json::Array(several) => {
            several.iter().any(|t| t == word) && !several.iter().any(|t| t == "string")
        }
        _ => false,
    };
    let format = property["format"].as_str().unwrap_or_default();
    match format {
        _ if of("boolean") || property["const"] == true => Type::Bool,
        _ if of("integer") => Type::Int,
        _ if of("number") => Type::Dec,
        _ if of("object") => Type::Record(std::collections::BTreeMap::new()),
        _ if of("array") => Type::List(Box::new(Type::Any)),
        "email" | "idn-email" => Type::Email,
        "uri" | "iri" => Type::Url,
        "date-time" => Type::Time,
        _ => Type::Text,
    }
}

fn kind(ty: &Type, property: &Json, def: Option<&FieldDef>, longest: Option<u64>) -> Option<Kind> {
    let shown = |values: Vec<String>| {
        let shown = values.into_iter().map(|v| (v.clone(), readable(&v)));
        Kind::Choice(shown.collect())
    };
    if let Some(values) = property["enum"].as_array() {
        let values = values.iter().filter_map(|v| Some((typed_as(v)?, v)));
        let choices = values.map(|(text, value)| match value {
            Json::Bool(true) => (text, "Yes".to_owned()),
            Json::Bool(false) => (text, "No".to_owned()),
            Json::String(word) => (text, readable(word)),
            _ => (text.clone(), text),
        });
        return Some(Kind::Choice(choices.collect()));
    }
    Some(match ty {
        Type::Enum(values) => shown(values.clone()),
        Type::Bool => Kind::Tick,
        Type::Int => Kind::Whole,
        Type::Dec | Type::Float => Kind::Fraction,
        Type::Email => Kind::Email,
        Type::Phone => Kind::Phone,
        Type::Url => Kind::Url,
        Type::Time => Kind::Moment,
        Type::Text | Type::Any | Type::Dur => match property["format"].as_str() {
            Some("date") => Kind::Day,
            _ if def.is_some_and(|d| d.paragraphs) || longest.is_some_and(|n| n >= LONG) => {
                Kind::Area
            }
            _ => Kind::Line,
        },
        Type::List(_) | Type::Record(_) | Type::Null => return None,
    })
}

/// A name as people read it: `first_name` and `firstName` are "First name".
pub(crate) fn readable(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut lower = false;
    for c in name.chars() {
        let parts = matches!(c, '_' | '-' | '.' | ' ');
        if parts || (c.is_uppercase() && lower) || words.is_empty() {
            words.push(String::new());
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
        if !parts && let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|w| !w.is_empty());
    for (at, word) in words.iter_mut().enumerate() {
        let shout = word.len() > 1 && word.chars().all(char::is_uppercase);
        *word = match word.to_lowercase().as_str() {
            known @ ("id" | "url" | "vat" | "sms") => known.to_uppercase(),
            "email" if at == 0 => "E-mail".to_owned(),
            "email" => "e-mail".to_owned(),
            _ if shout => word.clone(),
            small => small.to_owned(),
        };
    }
    let joined = words.join(" ");
    let mut chars = joined.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => name.to_owned(),
    }
}

/// What a browser may fill in by itself, in the words of the HTML standard.
pub(crate) fn autocomplete(control: &Control) -> Option<&'static str> {
    match control.kind {
        Kind::Email => return Some("email"),
        Kind::Phone => return Some("tel"),
        Kind::Url => return Some("url"),
        _ => {}
    }
    let plain: String = control
        .name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    Some(match plain.to_ascii_lowercase().as_str() {
        "name" | "fullname" | "yourname" | "contactname" => "name",
        "firstname" | "givenname" => "given-name",
        "lastname" | "familyname" | "surname" => "family-name",
        "company" | "organisation" | "organization" | "companyname" => "organization",
        "jobtitle" | "position" => "organization-title",
        "street" | "address" | "streetaddress" => "street-address",
        "city" | "town" => "address-level2",
        "state" | "region" | "province" => "address-level1",
        "zip" | "zipcode" | "postcode" | "postalcode" => "postal-code",
        "country" => "country-name",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_readable() {
        let table = [
            ("name", "Name"),
            ("first_name", "First name"),
            ("firstName", "First name"),
            ("order-number", "Order number"),
            ("email", "E-mail"),
            ("work_email", "Work e-mail"),
            ("vat_id", "VAT ID"),
            ("EMEA", "EMEA"),
            ("us_east", "Us east"),
            ("line2", "Line2"),
            ("_", "_"),
        ];
        for (name, want) in table {
            assert_eq!(readable(name), want, "{name}");
        }
    }

    #[test]
    fn a_schema_says_how_a_question_is_asked() {
        let choice = |all: &[(&str, &str)]| {
            let owned = all.iter().map(|(v, s)| ((*v).to_owned(), (*s).to_owned()));
            Some(Kind::Choice(owned.collect()))
        };
        let yes_or_no = choice(&[("true", "Yes"), ("false", "No")]);
        let rated = choice(&[("1", "1"), ("2.5", "2.5"), ("most", "Most")]);
        // The property, whether it has to be answered, and how it is asked.
        #[rustfmt::skip]
        let table = [
            (r#"{"type":"boolean"}"#, false, Some(Kind::Tick)),
            (r#"{"type":"boolean"}"#, true, yes_or_no.clone()),
            (r#"{"type":"boolean","const":true}"#, true, Some(Kind::Tick)),
            (r#"{"const":true}"#, false, Some(Kind::Tick)),
            (r#"{"const":"web"}"#, true, None),
            (r#"{"const":false}"#, true, None),
            (r#"{"enum":[true,false]}"#, true, yes_or_no),
            (r#"{"enum":[1,2.5,"most",null]}"#, false, rated),
            (r#"{"type":"integer"}"#, true, Some(Kind::Whole)),
        ];
        for (property, required, want) in table {
            let property: Json = serde_json::from_str(property).unwrap();
            let mut schema = serde_json::json!({ "properties": { "x": property } });
            if required {
                schema["required"] = serde_json::json!(["x"]);
            }
            let got = control("x", None, &schema);
            assert_eq!(got.as_ref().map(|c| &c.kind), want.as_ref(), "{schema}");
            assert!(got.is_none_or(|c| c.required == required), "{schema}");
        }
    }

    #[test]
    fn what_a_case_waits_for_can_be_denied() {
        let field = FieldDef {
            name: "insured".into(),
            ty: Type::Bool,
            required: true,
            control: false,
            untrusted: false,
            paragraphs: false,
            from: tl_kernel::program::FieldFrom::Event,
            line: 1,
        };
        let record = RecordType {
            name: "lead".into(),
            fields: vec![field],
            natural_keys: Vec::new(),
            on_match: tl_kernel::program::OnMatch::Join,
        };
        let asked = form_for(&record, &["insured".to_owned()]);
        assert_eq!(asked[0].kind, super::yes_or_no());
    }
}
