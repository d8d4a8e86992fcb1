//! An effect from its plan to its end.

use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::EffectId;
use tl_kernel::journal::{Body, Fact, Planned};
use tl_kernel::limits::MAX_CONFLICTS;
use tl_kernel::policy::Verdict;
use tl_kernel::value::{Source, Value};
use tl_store::contract::Attempt;

use super::super::build::Material;
use super::super::fields::policy_place;
use super::super::notes::pairs;
use super::super::words::{code_words, stop_words};
use super::super::{Line, Side};
use crate::text::{At, count, one_line, safe};

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
        "`{}` {id}: policy says {}, {}",
        p.name,
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
        detail.extend(reworded(m, p.n));
    }
    if p.verdict == Verdict::Never {
        detail.push("nothing is sent: the policy says never".into());
    }
    detail.extend(tries(m, p.n));
    let word = match p.verdict {
        Verdict::Never => "refused",
        _ => "planned",
    };
    Line::new(Side::Action, text).with(detail).word(word)
}

/// Characters of a message's words that are shown.
const SHOWN: usize = 120;

/// What a person lets a message say, and what it would have said.
fn reworded(m: &Material, n: u32) -> Vec<String> {
    let both = || {
        let new = m.case.effects.get(&n)?;
        let (_, old) = m.case.reworded(new)?;
        Some((old.args.as_ref()?, new.args.as_ref()?))
    };
    let Some((old, new)) = both() else {
        return Vec::new();
    };
    let parts = ["subject", "text"].into_iter();
    let differs = parts.filter_map(|part| {
        let of = |args: &Value| args.at(&[part]).map(Value::to_string);
        let (was, says) = (of(old)?, of(new)?);
        let short = |text: &str| one_line(safe(text).trim(), SHOWN);
        (was != says).then(|| format!("{part}: “{}”, in place of “{}”", short(&says), short(&was)))
    });
    differs.collect()
}

/// The attempts of an effect; those that came to the same, one after the other, on one line.
pub(in super::super) fn tries(m: &Material, n: u32) -> Vec<String> {
    let mut alike: Vec<(&Attempt, &Attempt)> = Vec::new();
    for a in m.attempts.get(&n).into_iter().flatten() {
        match alike.last_mut() {
            Some((_, last)) if came_to(last) == came_to(a) => *last = a,
            _ => alike.push((a, a)),
        }
    }
    let one = |(first, last): (&Attempt, &Attempt)| {
        let (from, what) = (At(first.at).exact(), came_to(first));
        if first.n != last.n {
            let to = At(last.at).exact();
            return format!(
                "attempts {} to {}, from {from} to {to}, each: {what}",
                first.n, last.n
            );
        }
        let detail = match first.detail.as_str() {
            "" => String::new(),
            detail => format!(" ({})", one_line(detail, 120)),
        };
        format!(
            "attempt {} at {from}, {} ms: {what}{detail}",
            first.n,
            first.took / 1000
        )
    };
    alike.into_iter().map(one).collect()
}

/// What an attempt came to.
fn came_to(a: &Attempt) -> String {
    let mut parts = Vec::new();
    match (a.knowledge.as_str(), a.status) {
        ("answered", 0) => parts.push("answered".to_owned()),
        ("unknown", 0) => parts.push("outcome unknown".to_owned()),
        (word, 0) => parts.push(word.replace('_', " ")),
        (_, status) => parts.push(format!("status {status}")),
    }
    // What a status means is said where the effect ends.
    if !a.code.is_empty() && a.code != format!("http_{}", a.status) {
        parts.push(code_words(&a.code));
    }
    parts.join(", ")
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
        "look_up" => "a look into the other system",
        "callback" => "the other system called back",
        "person" => "a person said so",
        "gate" => "nothing was sent; it was stopped before",
        "transaction" => "it was written in one transaction",
        "read" => "it was read in the other system before anything was written",
        "assumed" => "assumed, as the workflow file says for an outcome nobody knows",
        "none" => "",
        "recovery" => "the process died each time",
        other => other,
    };
    let mut detail = Vec::new();
    if !known.is_empty() {
        detail.push(format!("known from: {known}"));
    }
    if let Some(r) = m.case.effects.get(&n).and_then(|e| e.vendor_ref.as_ref()) {
        detail.push(format!("the other system's id for it: {r}"));
    }
    let word = match state {
        EffectState::Succeeded => "did",
        EffectState::Ready => "again",
        EffectState::Uncertain => "unclear",
        _ => "ended",
    };
    Line::new(Side::Action, text).with(detail).word(word)
}

pub(super) fn conflict(
    m: &Material,
    (n, round, kept): (u32, u32, u32),
    body: Option<&Body>,
) -> Line {
    let id = EffectId { case: m.case.id, n };
    let text = format!(
        "conflict (round {round}): somebody else had changed the record there before {id} was written"
    );
    let facts = || body.into_iter().flat_map(|b| &b.facts);
    let names = facts().filter_map(|f| match f {
        Fact::Set(name, field) if matches!(field.source, Source::Crm(_)) => Some(name.as_str()),
        _ => None,
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let mut detail = vec![match kept {
        _ if round > MAX_CONFLICTS => {
            "given up: the record is not written over, and a person looks".to_owned()
        }
        0 => "no field differed from the record; it is written again on that version".to_owned(),
        _ => format!(
            "kept as the other side had {}: {names}; the rest is written again on that version",
            if kept == 1 { "it" } else { "them" }
        ),
    }];
    for fact in facts() {
        if let Fact::Seen {
            version, values, ..
        } = fact
        {
            let held = values
                .as_ref()
                .map_or_else(String::new, |v| format!(": {}", pairs(v)));
            detail.push(format!("it held version {version} then{held}"));
        }
    }
    Line::new(Side::Input, text).with(detail)
}
