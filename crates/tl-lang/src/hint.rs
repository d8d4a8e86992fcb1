//! What to do about a mistake in an expression whose mend only its author knows.

use crate::diag::{Diag, Mend};

/// What other languages call the functions that cut a part out of a text.
const CUTS: [&str; 5] = ["`substring`", "`substr`", "`slice`", "`split`", "`extract`"];

/// Names that are known in some places only, as the message of a finding begins with them, and where that is.
const ELSEWHERE: [(&str, &str); 9] = [
    ("`confidence`", BRANCHES),
    ("`threshold`", BRANCHES),
    ("`needs_human`", BRANCHES),
    ("`missing`", BRANCHES),
    ("`policy_allows`", BRANCHES),
    ("`ai`", BRANCHES),
    ("`case`", BRANCHES),
    (
        "`flags`",
        "ask for the flag in a rule, in the policy or in a branch of the decision: here nobody knows it",
    ),
    (
        "`record`",
        "read the message, which is `event`: the record is filled from it only after this",
    ),
];
const BRANCHES: &str =
    "ask for it in the condition of a branch of the decision: it is known only after the rules";

/// Names whose parts are not declared under `record.fields`, and what their parts are.
const PARTS: [(&str, &str); 3] = [
    (
        "`settings`",
        "declare it under `settings`, or use a name that is declared there",
    ),
    (
        "`ai`",
        "a model's answer has `label`, `summary`, `reasons` and `calibrated`; what it reads out of a text are fields of the record with `from: ai`",
    ),
    (
        "`case`",
        "a case has its `id`; what is known about it is in `record`",
    ),
];

/// The mend in words, where there is one.
pub(crate) fn in_words(d: &Diag) -> Option<Mend> {
    let of = |table: &[(&str, &'static str)], after: &str| {
        let begins = |name: &str| d.message.starts_with(&format!("{name} {after}"));
        table.iter().find(|(name, _)| begins(name)).map(|t| t.1)
    };
    let say = match d.code {
        "TL0301" => "write an expression here, such as `record.name == \'Ada\'`",
        "TL0302" => {
            "write it with the functions there are; a decision table holds what they cannot say"
        }
        "TL0303" => of(&ELSEWHERE, "is not declared")
            .or(of(&PARTS, "has no"))
            .unwrap_or("declare it under `record.fields`, or use a name that is declared"),
        "TL0304" => {
            "compare values of one type: an enum with `==` or `in` and its values, a number with a number"
        }
        "TL0305" => "write one of the field\'s values, or add this one to them",
        "TL0306" if CUTS.iter().any(|c| d.message.contains(c)) => {
            "write `x.capture(\'…(…)…\')`: it gives what the part in parentheses finds"
        }
        "TL0306" => "write it with the functions there are",
        "TL0307" => "give the function the arguments that it takes",
        "TL0308" => {
            "write it in full: `timestamp(\'2026-01-31T00:00:00Z\')`, `duration(\'30m\')`, a number without a unit"
        }
        "TL0309" => {
            "close what is open in the pattern, and put a backslash before a character that stands for itself"
        }
        "TL0310" => "use `in`, or set a field in a rule first and read it here",
        "TL0311" => "split it: let rules set fields, or make a decision table of it",
        _ => return None,
    };
    Some(Mend::words(say))
}
