//! Steps of a way in words: what happened, the branch that was taken, and the values that it rests on.

use std::collections::BTreeSet;

use tl_kernel::case::Case;
use tl_kernel::journal::Decided;
use tl_kernel::program::Program;

use super::space::required;

/// A turn that was taken.
pub(super) struct Step<'s> {
    pub(super) before: &'s Case,
    pub(super) after: &'s Case,
    /// What happened.
    pub(super) what: &'s str,
    /// The decision that was made.
    pub(super) decided: Option<&'s Decided>,
    /// What differs from the file in what was in force.
    pub(super) stance: &'s str,
}

/// A step as it happened.
pub(super) fn tell(program: &Program, step: &Step<'_>) -> String {
    let Step { before, after, .. } = step;
    let (what, from) = (step.what, program.state_name(before.state));
    let mut out = match before.seq {
        0 => format!("{what}: the case begins in {from}"),
        _ => format!("{from}: {what}"),
    };
    let mut with = Vec::new();
    if let Some(d) = step.decided {
        let branches = &program.decision.branches[..=d.branch as usize];
        let last = branches.last().and_then(|b| b.condition.as_ref());
        let text = last.map_or("default", |c| c.source.as_str());
        out.push_str(&format!(
            "; the decision takes the branch in line {} (`{text}`)",
            d.line
        ));
        let conditions = branches.iter().filter_map(|b| b.condition.as_ref());
        let names: BTreeSet<Vec<String>> = conditions.flat_map(|c| c.reads()).collect();
        with.extend(names.iter().filter_map(|p| weighed(program, p, after, d)));
    }
    if !step.stance.is_empty() {
        with.push(step.stance.to_owned());
    }
    if !with.is_empty() {
        out.push_str(&format!(", with {}", with.join(", ")));
    }
    if after.state != before.state || before.seq == 0 {
        out.push_str(&format!(" \u{2192} {}", program.state_name(after.state)));
    }
    out
}

/// What a decision found under a name.
fn weighed(program: &Program, path: &[String], case: &Case, d: &Decided) -> Option<String> {
    let share = |n: u16| format!("{}", f64::from(n) / 1000.0);
    let value = match path {
        [word] if word == "confidence" => d.confidence.map(share),
        [word] if word == "threshold" => Some(share(d.threshold)),
        [word] if word == "policy_allows" => Some(d.policy_allows.to_string()),
        [word] if word == "missing" => {
            let absent = |f: &String| case.record.get(f).is_none_or(|v| v.value.is_blank());
            let names: Vec<String> = required(program).into_iter().filter(absent).collect();
            Some(format!("[{}]", names.join(", ")))
        }
        [root, field] if root == "record" => {
            let found = case.record.get(field);
            found.map(|f| super::say_value(&f.value))
        }
        _ => return None,
    };
    let name = path.join(".");
    Some(match value {
        Some(v) => format!("{name} = {v}"),
        None => format!("{name} absent"),
    })
}
