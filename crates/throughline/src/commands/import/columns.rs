//! Which part of a message each column is, and a row as a message.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::control::import::Taken;
use crate::failure::Failure;
use crate::text::nearest;

/// Most columns of a table.
const MOST: usize = 1_000;
/// Names of parts in one sentence.
const NAMED: usize = 12;
/// What every endpoint reads of a body.
const ALWAYS: [&str; 2] = ["external_id", "correlation_id"];

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    /// Where its cell stands in a row.
    at: usize,
    /// The part of the message that it is.
    path: Vec<String>,
    /// What its cells are read as.
    kind: Kind,
}

/// What a cell is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
}

/// The columns of a table as parts of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Columns {
    all: Vec<Column>,
    cells: usize,
    key: Option<usize>,
    /// Columns that nothing reads, the key's aside; they are in the message all the same.
    pub unread: Vec<String>,
}

impl Columns {
    /// Fits the first line of a table to what the endpoint reads. `parts` are the `--column` pairs.
    pub fn fit(
        head: &[String],
        taken: &Taken,
        parts: &[(String, String)],
        key: Option<&str>,
    ) -> Result<Columns, Failure> {
        let names: Vec<&str> = head.iter().map(|c| c.trim()).collect();
        well_formed(&names)?;
        for (name, _) in parts {
            place(&names, name, "--column")?;
        }
        let key = key.map(|k| place(&names, k, "--key")).transpose()?;
        let target = |name: &str| {
            let given = parts.iter().find(|(n, _)| n == name);
            given.map_or(name, |(_, part)| part.as_str()).to_owned()
        };
        let targets: Vec<String> = names.iter().map(|n| target(n)).collect();
        let mut unread = unread(&names, &targets, taken)?;
        unread.retain(|name| key.is_none_or(|at| names[at] != name));
        let mut all = Vec::new();
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (at, path) in targets.iter().enumerate().filter(|(_, t)| *t != "-") {
            if let Some(other) = seen.insert(path, names[at]) {
                return Err(Failure::usage(format!(
                    "the columns `{other}` and `{}` are both `{path}`: leave one out with --column \"{other}=-\"",
                    names[at]
                )));
            }
            let kind = kind(taken.parts.get(path.as_str()));
            let path = path.split('.').map(str::to_owned).collect();
            all.push(Column { at, path, kind });
        }
        let paths: BTreeSet<&Vec<String>> = all.iter().map(|c| &c.path).collect();
        for column in &all {
            let whole =
                (1..column.path.len()).find(|n| paths.contains(&column.path[..*n].to_vec()));
            if let Some(n) = whole {
                return Err(Failure::usage(format!(
                    "the column `{}` is part of the column `{}`: rename one of them",
                    column.path.join("."),
                    column.path[..n].join(".")
                )));
            }
        }
        Ok(Columns {
            all,
            cells: names.len(),
            key,
            unread,
        })
    }

    /// The message of a row, as JSON, and its key. A blank cell is no value.
    pub fn message(&self, cells: &[String]) -> Result<(String, Option<String>), String> {
        if cells.len() != self.cells {
            return Err(format!(
                "has {} cells where the first line has {}: a comma is missing or one too many, or a quotation mark",
                cells.len(),
                self.cells
            ));
        }
        let mut body = Map::new();
        for column in &self.all {
            let cell = cells[column.at].trim();
            if !cell.is_empty() {
                put(
                    &mut body,
                    &column.path,
                    column.kind.read(cell, &cells[column.at]),
                );
            }
        }
        let key = self.key.map(|at| cells[at].trim().to_owned());
        Ok((Json::Object(body).to_string(), key))
    }
}

impl Kind {
    /// A cell as a value; what cannot be one stays text, and the endpoint says what it expected.
    fn read(self, trimmed: &str, cell: &str) -> Json {
        match self {
            Kind::Text => Json::String(cell.to_owned()),
            Kind::Number => {
                let number = trimmed.parse::<serde_json::Number>();
                number.map_or_else(|_| Json::String(cell.to_owned()), Json::Number)
            }
            Kind::Truth => match trimmed.to_lowercase().as_str() {
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                _ => Json::String(cell.to_owned()),
            },
        }
    }
}

/// Where a schema takes text, a cell is text.
fn kind(types: Option<&Vec<String>>) -> Kind {
    let all = |one: &[&str]| {
        types.is_some_and(|t| !t.is_empty() && t.iter().all(|t| one.contains(&t.as_str())))
    };
    if all(&["integer", "number"]) {
        Kind::Number
    } else if all(&["boolean"]) {
        Kind::Truth
    } else {
        Kind::Text
    }
}

fn put(body: &mut Map<String, Json>, path: &[String], value: Json) {
    match path {
        [] => {}
        [name] => drop(body.insert(name.clone(), value)),
        [name, rest @ ..] => {
            let inner = body
                .entry(name.clone())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn well_formed(names: &[&str]) -> Result<(), Failure> {
    if names.len() > MOST {
        return Err(Failure::usage(format!(
            "the first line names {} columns; at most {MOST} are read",
            names.len()
        )));
    }
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "column {} has no name: the first line of a CSV file names the columns",
                i + 1
            )));
        }
        if names[..i].contains(name) {
            return Err(Failure::usage(format!(
                "two columns are called `{name}`: rename one of them in the first line"
            )));
        }
    }
    Ok(())
}

/// Where a column that was named on the command line stands.
fn place(names: &[&str], name: &str, option: &str) -> Result<usize, Failure> {
    names.iter().position(|n| *n == name).ok_or_else(|| {
        let hint = match near(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", listed(names.iter().copied())),
        };
        Failure::usage(format!("{option}: the file has no column `{name}`; {hint}"))
    })
}

/// Columns that nothing reads. One whose name is nearly that of a part that no column fills is a mistake.
fn unread(names: &[&str], targets: &[String], taken: &Taken) -> Result<Vec<String>, Failure> {
    let parts: Vec<&str> = taken.parts.keys().map(String::as_str).collect();
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let known = |target: &str| {
        let within = |p: &&str| *p == target || target.starts_with(&format!("{p}."));
        parts.iter().chain(&ALWAYS).any(within)
    };
    let absent: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|p| !targets.iter().any(|t| t == p))
        .collect();
    let (mut unread, mut wrong) = (Vec::new(), Vec::new());
    for (name, target) in names.iter().zip(targets) {
        if target == "-" || known(target) {
            continue;
        }
        match near(target, absent.iter().copied()) {
            Some(part) => wrong.push(format!(
                "`{name}` is read by nothing; did you mean `{part}`? Rename it in the first line, or add --column \
                 \"{name}={part}\" (--column \"{name}=-\" leaves it out)"
            )),
            None => unread.push((*name).to_owned()),
        }
    }
    let taken_names = listed(parts.iter().copied());
    if wrong.is_empty() && !targets.iter().any(|t| known(t)) {
        wrong.push(format!(
            "none of the columns is one that `{}` reads; give each its part with --column \"NAME=PART\"",
            taken.endpoint
        ));
    }
    match wrong.is_empty() {
        true => Ok(unread),
        false => Err(Failure::usage(format!(
            "the columns do not fit the endpoint `{}`, which reads {taken_names}: {}",
            taken.endpoint,
            wrong.join("; ")
        ))),
    }
}

/// The part that a name is nearest to: the same letters and digits, or its last word, or a few letters off.
fn near<'p>(name: &str, parts: impl Iterator<Item = &'p str> + Clone) -> Option<&'p str> {
    let plain = |t: &str| {
        let kept = t.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect::<String>()
    };
    let last = |p: &'p str| p.rsplit('.').next().unwrap_or(p);
    let wanted = plain(name);
    let same = parts.clone().find(|p| plain(p) == wanted);
    let same = same.or_else(|| parts.clone().find(|p| plain(last(p)) == wanted));
    same.or_else(|| {
        let lower: Vec<(String, &'p str)> = parts.clone().map(|p| (plain(p), p)).collect();
        let found = nearest(&wanted, lower.iter().map(|(l, _)| l.as_str()))?.to_owned();
        lower.iter().find(|(l, _)| *l == found).map(|(_, p)| *p)
    })
    .or_else(|| {
        let lower: Vec<(String, &'p str)> = parts.map(|p| (plain(last(p)), p)).collect();
        let found = nearest(&wanted, lower.iter().map(|(l, _)| l.as_str()))?.to_owned();
        lower.iter().find(|(l, _)| *l == found).map(|(_, p)| *p)
    })
}

fn listed<'p>(names: impl Iterator<Item = &'p str>) -> String {
    let all: Vec<&str> = names.collect();
    match all.len() > NAMED {
        true => format!("{} and {} more", all[..NAMED].join(", "), all.len() - NAMED),
        false => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Taken {
        let part = |name: &str, types: &[&str]| {
            (
                name.to_owned(),
                types.iter().map(|t| (*t).to_owned()).collect(),
            )
        };
        Taken {
            endpoint: "web".into(),
            workflow: "lead".into(),
            max_body: 1_000,
            recognised_by: String::new(),
            parts: BTreeMap::from([
                part("contact.email", &["string"]),
                part("message", &["string"]),
                part("seats", &["integer"]),
                part("vip", &["boolean"]),
            ]),
        }
    }

    fn fit(head: &str, pairs: &[(&str, &str)], key: Option<&str>) -> Result<Columns, String> {
        let head: Vec<String> = head.split(',').map(str::to_owned).collect();
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        Columns::fit(&head, &taken(), &pairs, key).map_err(|f| f.message)
    }

    #[test]
    fn columns_that_do_not_fit_say_which_was_meant() {
        type Row = (
            &'static str,
            &'static [(&'static str, &'static str)],
            Option<&'static str>,
            &'static str,
        );
        let table: [Row; 10] = [
            ("contact.email,mesage", &[], None, "did you mean `message`?"),
            ("E-Mail,message", &[], None, "did you mean `contact.email`?"),
            (
                "E-Mail,message",
                &[],
                None,
                "--column \"E-Mail=contact.email\"",
            ),
            ("a,b", &[], None, "none of the columns"),
            ("message,message", &[], None, "two columns are called"),
            ("message,", &[], None, "column 2 has no name"),
            ("message", &[], Some("mesage"), "did you mean `message`?"),
            ("message", &[("x", "seats")], None, "no column `x`"),
            (
                "message,text",
                &[("text", "message")],
                None,
                "are both `message`",
            ),
            (
                "message,contact,contact.email",
                &[],
                None,
                "is part of the column `contact`",
            ),
        ];
        for (head, pairs, key, part) in table {
            let why = fit(head, pairs, key).unwrap_err();
            assert!(why.contains(part), "{head}: {why}");
        }
    }

    #[test]
    fn a_row_becomes_a_message_with_the_types_that_its_endpoint_takes() {
        let columns = fit(
            "contact.email,message,seats,vip,nr,Remarks",
            &[("Remarks", "-")],
            Some("nr"),
        );
        let columns = columns.unwrap();
        assert_eq!(columns.unread, [""; 0]);
        let row = |cells: [&str; 6]| columns.message(&cells.map(str::to_owned));
        let table = [
            (
                ["a@b.example", " two\nlines", "7", "TRUE", "1", "x"],
                r#"{"contact":{"email":"a@b.example"},"message":" two\nlines","nr":"1","seats":7,"vip":true}"#,
            ),
            (
                ["", "hi", "many", "perhaps", "2", ""],
                r#"{"message":"hi","nr":"2","seats":"many","vip":"perhaps"}"#,
            ),
        ];
        for (cells, want) in table {
            let (body, key) = row(cells).unwrap();
            let (body, want): (Json, Json) = (
                serde_json::from_str(&body).unwrap(),
                serde_json::from_str(want).unwrap(),
            );
            assert_eq!(body, want);
            assert_eq!(key.as_deref(), Some(cells[4]));
        }
        let short = columns.message(&["x".to_owned()]).unwrap_err();
        assert!(
            short.contains("has 1 cells where the first line has 6"),
            "{short}"
        );
    }
}
