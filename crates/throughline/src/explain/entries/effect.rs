//! An effect from its plan to its end.

use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::EffectId;
use tl_kernel::journal::{Body, Fact, Planned};
use tl_kernel::policy::Verdict;
use tl_kernel::value::{Source, Value};

use super::super::build::Material;
use super::super::fields::policy_place;
use super::super::words::{code_words, stop_words};
use super::super::{Line, Side};
use crate::text::{At, count, one_line};

pub(super) fn planned(m: &Material, p: &Planned) -> Line {
    let id = EffectId {
        case: m.case.id,
        n: p.n,
    };
    let said = match p.unvouched {
        true => Verdict::Auto,
        false => p.verdict,
    };
    let text = format!(
        "`{}` ({}) {id}: policy says {}, {}",
        p.name,
        p.class.word(),
        said.word(),
        policy_place(&m.bundle, p.line)
    );
    let mut detail = Vec::new();
    if p.unvouched {
        detail.push(
            "a person approves it all the same: whom or what it is about came from outside, and no check of the \
             file vouches for it"
                .into(),
        );
    }
    if let Some(n) = p.replaces {
        let old = EffectId { case: m.case.id, n };
        detail.push(match p.state {
            EffectState::Cancelled => format!("not sent again: {old} has said the same"),
            _ => format!("in place of {old}"),
        });
    }
    if p.verdict == Verdict::Never {
        detail.push("nothing is sent: the policy says never".into());
    }
    detail.extend(tries(m, p.n));
    if let Some(row) = m.effects.iter().find(|r| r.effect.n == p.n) {
        let now = match (row.hold.as_str(), row.state) {
            (_, EffectState::Succeeded) if is_dry_run(&row.code) => code_words(&row.code),
            ("", state) => state.word().to_owned(),
            (hold, state) => format!("{}, {}", state.word(), code_words(hold)),
        };
        detail.push(format!("now {now}"));
    }
    Line::new(Side::Action, text).with(detail)
}

/// The attempts of an effect, one line each.
pub(super) fn tries(m: &Material, n: u32) -> Vec<String> {
    let attempts = m.attempts.get(&n).into_iter().flatten();
    attempts
        .map(|a| {
            let status = if a.status == 0 {
                String::new()
            } else {
                format!(" status {}", a.status)
            };
            let code = if a.code.is_empty() {
                String::new()
            } else {
                format!(" {}", code_words(&a.code))
            };
            let detail = if a.detail.is_empty() {
                String::new()
            } else {
                format!(": {}", one_line(&a.detail, 120))
            };
            let at = At(a.at).clock();
            format!(
                "attempt {} at {at}, {} ms, {}{status}{code}{detail}",
                a.n,
                a.took / 1000,
                a.knowledge
            )
        })
        .collect()
}

pub(super) fn settled(
    m: &Material,
    (n, state): (u32, EffectState),
    attempts: u32,
    (code, evidence): (&str, &str),
) -> Line {
    let id = EffectId { case: m.case.id, n };
    let name = m.case.effects.get(&n).map_or("", |e| e.name.as_str());
    let mut text = format!("`{name}` {id}");
    if !is_dry_run(code) {
        text.push_str(&format!(" {}", state.word()));
    }
    if attempts > 1 {
        text.push_str(&format!(" after {}", count(attempts, "attempt")));
    }
    if !code.is_empty() {
        text.push_str(&format!(": {}", stop_words(code)));
    }
    let known = match evidence {
        "answer" => "the other system answered",
        "look_up" => "looked up in the other system",
        "callback" => "the other system called back",
        "person" => "a person said so",
        "gate" => "stopped at the gate",
        "transaction" => "written in one transaction",
        "read" => "read in the other system before anything was written",
        "assumed" => "assumed, as the workflow file says for an outcome nobody knows",
        "none" => "nobody can tell",
        "recovery" => "the process died each time",
        other => other,
    };
    let mut detail = vec![format!("known because: {known}")];
    if let Some(r) = m.case.effects.get(&n).and_then(|e| e.vendor_ref.as_ref()) {
        detail.push(format!("the other system calls it {r}"));
    }
    Line::new(Side::Action, text).with(detail)
}

pub(super) fn conflict(
    m: &Material,
    (n, round, kept): (u32, u32, u32),
    body: Option<&Body>,
) -> Line {
    let id = EffectId { case: m.case.id, n };
    let text = format!(
        "conflict (round {round}): the system of record had changed before {id} was written"
    );
    let facts = || body.into_iter().flat_map(|b| &b.facts);
    let names = facts().filter_map(|f| match f {
        Fact::Set(name, field) if matches!(field.source, Source::Crm(_)) => Some(name.as_str()),
        _ => None,
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let names = if names.is_empty() {
        names
    } else {
        format!(": {names}")
    };
    let mut detail = vec![format!(
        "kept as the other side had them: {}{names}",
        count(kept, "field")
    )];
    for fact in facts() {
        if let Fact::Seen {
            version, values, ..
        } = fact
        {
            detail.push(format!("it held version {version}"));
            if let Some(Value::Record(parts)) = values {
                detail.extend(
                    parts
                        .iter()
                        .map(|(k, v)| format!("{k} was {}", one_line(&v.to_string(), 80))),
                );
            }
        }
    }
    Line::new(Side::Input, text).with(detail)
}
