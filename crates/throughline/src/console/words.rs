//! Failures as the console says them, and what several of its pages share.

use tl_console::Trouble;
use tl_console::views::{By, FieldRow, Line, Pace, Side, Turn};
use tl_engine::tenant::Bundle;
use tl_kernel::case::Case;
use tl_kernel::program::{FieldDef, FieldFrom, Program};
use tl_kernel::value::{Source, Type, Value};
use tl_store::StoreError;

use crate::explain::{Explanation, Side as Told, code_words, field_lines};
use crate::failure::{Failure, Kind};
use crate::text::safe;

/// The refusal of an approval whose digest is not what would be sent now.
const STALE: &str = "TL0725";

/// A failure as a page says it.
pub(super) fn trouble(f: Failure) -> Trouble {
    let stale = f.code == STALE;
    let trouble = match f.kind {
        Kind::NotFound => Trouble::missing(f.message),
        Kind::Usage => Trouble::malformed(f.message),
        Kind::Refused => Trouble::refused(&f.code, f.message),
        Kind::Conflict => Trouble::conflict(&f.code, f.message),
        Kind::Unreachable => Trouble::unavailable(f.message),
    };
    Trouble { stale, ..trouble }
}

/// As `trouble`, for a question to the store.
pub(super) fn unread(e: StoreError) -> Trouble {
    trouble(e.into())
}

pub(super) fn no_workflow(id: &str) -> Trouble {
    Trouble::missing(format!("No workflow `{id}` is deployed.")).then("All workflows", "/workflows")
}

/// A reason code in words, without the code behind it.
pub(super) fn plain_words(code: &str) -> String {
    let words = code_words(code);
    match words.rsplit_once(" (") {
        Some((words, tail)) if tail.trim_end_matches(')') == code => words.to_owned(),
        _ => words.replace('_', " "),
    }
}

/// How a clock stands: a warning begins when a fifth of its time is left.
pub(super) fn pace(from: i64, due: Option<i64>, now: i64) -> Pace {
    match due {
        None => Pace::None,
        Some(due) if due < now => Pace::Late,
        Some(due) if due.saturating_sub(now).saturating_mul(5) < due - from => Pace::Warn,
        Some(_) => Pace::OnTime,
    }
}

/// The small line of a case in a state.
pub(super) fn line(program: &Program, state: u16, pace: Pace) -> Line {
    let at = usize::from(state);
    Line {
        stations: program
            .states
            .iter()
            .map(|s| s.name.replace('_', " "))
            .collect(),
        at,
        pace,
        person: state == tl_kernel::program::canonical::NEEDS_HUMAN,
        closed: program.states.get(at).is_some_and(|s| s.terminal),
    }
}

/// The record of a case: what is known in the order of the file, and what is missing.
pub(super) fn fields(case: &Case, bundle: &Bundle) -> Vec<FieldRow> {
    let sources = field_lines(case, bundle);
    let declared = &bundle.program.record.fields;
    let wanted = |f: &&FieldDef| {
        let absent = case.record.get(&f.name).is_none_or(|v| v.value.is_blank());
        !absent || (f.required && f.from != FieldFrom::Engine) || matches!(f.from, FieldFrom::Event)
    };
    declared
        .iter()
        .filter(wanted)
        .map(|def| {
            let known = case.record.get(&def.name).filter(|v| !v.value.is_blank());
            let source = sources.iter().find(|s| s.name == def.name);
            let (by, confidence, span) = known.map_or((By::Nobody, None, None), |f| by(&f.source));
            FieldRow {
                name: def.name.clone(),
                value: known.map_or_else(String::new, |f| safe(&f.value.to_string())),
                instant: known.and_then(|f| match f.value {
                    Value::Time(at) => Some(at),
                    _ => None,
                }),
                by,
                source: source.map_or_else(String::new, |s| s.source.clone()),
                confidence,
                span,
                required: def.required,
                control: def.control,
                editable: def.from != FieldFrom::Engine,
                choices: match &def.ty {
                    Type::Enum(values) => values.clone(),
                    Type::Bool => vec!["true".into(), "false".into()],
                    _ => Vec::new(),
                },
                long: def.paragraphs,
            }
        })
        .collect()
}

fn by(source: &Source) -> (By, Option<u16>, Option<(usize, usize)>) {
    match source {
        Source::Event(_) => (By::Sender, None, None),
        Source::Model {
            confidence, span, ..
        } => {
            let span = span.map(|(from, to)| (from as usize, to as usize));
            (By::Model, *confidence, span)
        }
        Source::Rule(_) | Source::Table(..) => (By::Rule, None, None),
        Source::Person => (By::Person, None, None),
        Source::Crm(_) => (By::Crm, None, None),
        Source::Engine => (By::Engine, None, None),
    }
}

/// What `explain` tells, as the timeline shows it.
pub(super) fn turns(e: &Explanation, people: &[u32]) -> Vec<Turn> {
    let side = |s: Told| match s {
        Told::Input => Side::Input,
        Told::Decision => Side::Decision,
        Told::Action => Side::Action,
        Told::Clock => Side::Clock,
    };
    let turns = e.turns.iter().map(|t| Turn {
        n: t.n,
        at: t.at.0,
        actor: t.actor.clone(),
        person: people.contains(&t.n),
        entries: t
            .lines
            .iter()
            .map(|l| {
                let detail = l.detail.iter().map(|d| safe(d)).collect();
                let text = match l.word.as_str() {
                    "" => safe(&l.text),
                    word => format!("{word}: {}", safe(&l.text)),
                };
                (side(l.side), text, detail)
            })
            .collect(),
    });
    turns.filter(|t| !t.entries.is_empty()).collect()
}

/// A text within a value.
pub(super) fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    value.at(path).and_then(Value::as_text).map(safe)
}

/// Whom a case is about: company, else name, else address.
pub(super) fn about(case: &Case) -> String {
    let names = ["company", "name", "email", "phone", "requester"];
    let known = |n: &&str| {
        let value = &case.record.get(*n)?.value;
        (!value.is_blank()).then(|| safe(&value.to_string()))
    };
    names.iter().find_map(known).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stands_in_one_of_four_ways() {
        let table = [
            (None, Pace::None),
            (Some(100), Pace::OnTime),
            (Some(60), Pace::Warn),
            (Some(49), Pace::Late),
        ];
        for (due, want) in table {
            assert_eq!(pace(0, due, 50), want, "{due:?}");
        }
    }

    #[test]
    fn codes_are_said_without_their_code() {
        assert_eq!(plain_words("unsure"), "the model is not sure enough");
        assert_eq!(plain_words("some_reason"), "some reason");
    }
}
