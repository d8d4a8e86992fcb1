//! Proof 3: the decision ends in a default, no branch is dead, and every value of an AI enum has a branch or
//! falls into the default by intent.

use tl_kernel::program::{Branch, FieldDef, FieldFrom, Program, RuleEffect, Step};
use tl_kernel::value::{Type, Value};

use super::formula::{Formula, Mind};
use super::search::Witness;
use super::space::Name;
use super::ways::Claim;
use super::words::Words;
use super::{CounterExample, Finding};

/// Proof 3.
pub(super) fn prove(program: &Program, words: &Words<'_>, out: &mut Vec<Finding>) {
    let minds = minds(program);
    for (i, branch) in program.decision.branches.iter().enumerate() {
        if branch.condition.is_some() && minds.iter().all(|m| words.taken(*m, i, &[]).is_none()) {
            out.push(never_taken(program, words, minds, i, branch));
        }
    }
    for (rule, when) in program.rules.iter().zip(&words.rules) {
        if minds
            .iter()
            .all(|m| words.ask(*m, vec![(when, true)], &[]).is_none())
        {
            out.push(
                Finding::new(
                    "TL0517",
                    rule.line,
                    format!("this rule never applies: `{}` never holds", rule.when),
                )
                .warning()
                .why("no values of the record fulfil it")
                .mend("mend the condition, or take the rule out"),
            );
        }
    }
    for field in program
        .record
        .fields
        .iter()
        .filter(|f| set_by_model(program, f))
    {
        if let Type::Enum(values) = &field.ty {
            unhandled(program, words, field, values, out);
        }
    }
}

/// Minds in which decisions of the program are made.
fn minds(program: &Program) -> &'static [Mind] {
    match program.ai {
        None => &[Mind::None, Mind::Vouched],
        Some(_) => &[Mind::Silent, Mind::Answered, Mind::Vouched],
    }
}

fn never_taken(
    program: &Program,
    words: &Words<'_>,
    minds: &[Mind],
    i: usize,
    branch: &Branch,
) -> Finding {
    let text = branch
        .condition
        .as_ref()
        .map_or("default", |c| c.source.as_str());
    let alone = |f: &Formula| {
        minds
            .iter()
            .any(|m| words.ask(*m, vec![(f, true)], &[]).is_some())
    };
    let effects: Vec<String> = branch
        .actions
        .iter()
        .filter_map(|s| match s {
            Step::Effect(ix) => Some(program.actions.get(usize::from(*ix))?),
            _ => None,
        })
        .map(|a| format!("`{}: auto`", a.name))
        .collect();
    let mut mend = "move it up, mend its condition, or take it out".to_owned();
    let why = if alone(&words.branches[i]) {
        let before = &program.decision.branches[..i];
        let lines: Vec<String> = before.iter().map(|b| b.line.to_string()).collect();
        format!(
            "whenever it holds, an earlier branch is taken (lines {})",
            lines.join(", ")
        )
    } else if text.contains("policy_allows") {
        if !effects.is_empty() {
            mend = format!("write {} under `policy`, or {mend}", effects.join(" and "));
        }
        "its condition never holds: `policy_allows` is true only where the policy may say `auto` to each of its actions".into()
    } else {
        "its condition never holds".into()
    };
    Finding::new(
        "TL0517",
        branch.line,
        format!("this branch is never taken: `{text}`"),
    )
    .warning()
    .why(why)
    .mend(mend)
}

fn set_by_model(program: &Program, field: &FieldDef) -> bool {
    let Some(ai) = &program.ai else { return false };
    field.from == FieldFrom::Ai
        || ai.extract.contains(&field.name)
        || ai.classify.as_ref().is_some_and(|c| c.field == field.name)
}

/// Values of an enum that only the default takes. A reason on the default says that this is meant.
fn unhandled(
    program: &Program,
    words: &Words<'_>,
    field: &FieldDef,
    values: &[String],
    out: &mut Vec<Finding>,
) {
    let Some(default) = program.decision.branches.last() else {
        return;
    };
    let path = Name::Path(vec!["record".into(), field.name.clone()]);
    let Some(var) = words.space.find(&path) else {
        return;
    };
    if default.reason.is_some() {
        return;
    }
    let others = program.decision.branches.len() - 1;
    let left: Vec<&str> = values
        .iter()
        .filter(|v| {
            let wanted = Some(Value::text(v.as_str()));
            let at = words.space.vars[var]
                .values
                .iter()
                .position(|have| *have == wanted);
            let only = [(var, at.into_iter().collect::<Vec<_>>())];
            let branch = (0..others).any(|i| words.taken(Mind::Answered, i, &only).is_some());
            let rule = program.rules.iter().zip(&words.rules).any(|(r, when)| {
                matches!(r.effect, RuleEffect::Close(_) | RuleEffect::NeedsHuman(_))
                    && r.when
                        .reads()
                        .contains(&vec!["record".to_owned(), field.name.clone()])
                    && words
                        .ask(Mind::Answered, vec![(when, true)], &only)
                        .is_some()
            });
            !branch && !rule
        })
        .map(String::as_str)
        .collect();
    if !left.is_empty() {
        out.push(
            Finding::new(
                "TL0503",
                default.line,
                format!(
                    "only the default takes {} = {}",
                    field.name,
                    left.join(", ")
                ),
            )
            .warning()
            .why(format!(
                "the model may set `{}` to it, and no branch and no rule says what is done then",
                field.name
            ))
            .mend("add a branch, or give the default a `reason` if this is meant")
            .path(falls_through(program, field, left[0]))
            .key("decision"),
        );
    }
}

/// The way on which the default takes a value: a message, and the model's answer.
fn falls_through(program: &Program, field: &FieldDef, value: &str) -> CounterExample {
    let branch = program.decision.branches.len() - 1;
    let line = program.decision.branches[branch].line;
    let value = Value::text(value);
    let claim = Claim::Takes(branch as u32, field.name.clone(), value.clone());
    let mut out = CounterExample::new(claim);
    let [first, asks] = [0, 1].map(|ix| program.state_name(ix).to_owned());
    let threshold = program.decision.threshold.value();
    let head = format!("a message arrives: the case begins in {first}");
    let tail = format!(" \u{2192} {asks}");
    out.push((&head, &tail), Witness::new(), threshold);
    let name = Name::Path(vec!["record".into(), field.name.clone()]);
    let head = format!("{asks}: the model answers; the decision takes the default in line {line}");
    out.push((&head, ""), vec![(name, Some(value))], threshold);
    out
}
