//! From journal, ledger and bundle to the screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_engine::tenant::Bundle;
use tl_kernel::case::Case;
use tl_kernel::digest::short;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{EffectId, EventId, TaskId};
use tl_kernel::journal::{Answered, Body, Decided, Entry, Fact, Head, Planned, TimerKind};
use tl_kernel::program::{Program, Step};
use tl_kernel::value::Value;
use tl_store::contract::{Attempt, DuplicateRow, EffectRow};

use super::fields::{field_lines, policy_place, share, source, workflow_place};
use super::next::steps;
use super::words::code_words;
use super::{Explanation, Line, Side, TurnLine};
use crate::text::{At, one_line};

/// Everything that is known about a case.
#[derive(Debug)]
pub struct Material {
    /// The tenant's name.
    pub tenant: String,
    /// The case.
    pub case: Case,
    /// Its turns, in order.
    pub turns: Vec<(Head, Option<Body>)>,
    /// The bundle it is pinned to.
    pub bundle: Arc<Bundle>,
    /// Its rows in the ledger.
    pub effects: Vec<EffectRow>,
    /// Finished attempts, by effect.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// Duplicates of its messages.
    pub duplicates: BTreeMap<EventId, DuplicateRow>,
    /// Connections that cannot be used, with what is missing.
    pub connections: BTreeMap<String, String>,
    /// Engine time, µs.
    pub now: i64,
}

/// Longest condition of a rule on a line, characters; its place in the file says the rest.
const CONDITION: usize = 160;

/// Explains a case.
pub fn build(m: &Material) -> Explanation {
    let program = &m.bundle.program;
    let (summary, next) = steps(m);
    let turns = m
        .turns
        .iter()
        .map(|(head, body)| turn(m, head, body.as_ref()))
        .collect();
    Explanation {
        case: m.case.id.to_string(),
        tenant: m.tenant.clone(),
        workflow: program.id.clone(),
        version: program.version.clone(),
        number: m.case.definition,
        bundle: short(&m.bundle.digest),
        state: program.state_name(m.case.state).to_owned(),
        reason: m.case.reason.clone(),
        owner: m.case.owner.clone(),
        due: m.case.due.map(At),
        opened_at: At(m.case.opened_at),
        now: At(m.now),
        correlation: m.case.correlation.clone(),
        summary,
        next,
        turns,
        record: field_lines(&m.case, &m.bundle),
        missing: tl_kernel::decide::missing(program, &m.case.record),
    }
}

fn turn(m: &Material, head: &Head, body: Option<&Body>) -> TurnLine {
    let mut lines: Vec<Line> = head
        .entries
        .iter()
        .filter_map(|e| line(m, e, body))
        .collect();
    if let Some(body) = body {
        let sets: Vec<String> = body.facts.iter().filter_map(|f| set_text(m, f)).collect();
        if !sets.is_empty() {
            lines.push(Line::new(Side::Decision, "fields were set").with(sets));
        }
        for fact in &body.facts {
            if let Fact::Note(note) = fact {
                lines.push(Line::new(
                    Side::Input,
                    format!("note: {}", one_line(note, 400)),
                ));
            }
        }
    }
    TurnLine {
        n: head.seq,
        at: At(head.at),
        actor: head.actor.text(),
        lines,
    }
}

fn set_text(m: &Material, fact: &Fact) -> Option<String> {
    match fact {
        Fact::Set(name, field) => {
            let value = one_line(&field.value.to_string(), 80);
            Some(format!(
                "{name} = {value}  (from {})",
                source(&field.source, &m.case, &m.bundle)
            ))
        }
        _ => None,
    }
}

fn line(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    use Side::{Action, Clock, Decision, Input};
    let program = &m.bundle.program;
    let id = |n: u32| EffectId { case: m.case.id, n };
    Some(match entry {
        Entry::Opened => Line::new(Decision, "a case was opened"),
        Entry::Event { .. } => event(m, entry),
        Entry::Rule { rule, line } => {
            let when = program
                .rules
                .get(*rule as usize)
                .map(|r| r.when.source.clone())
                .unwrap_or_default();
            let when = one_line(&when, CONDITION);
            Line::new(
                Decision,
                format!("rule {} held: {when}", workflow_place(&m.bundle, *line)),
            )
        }
        Entry::TableRow { table, line } => Line::new(
            Decision,
            format!("table {}:{line} matched", table_file(program, *table)),
        ),
        Entry::TableMiss { table } => Line::new(
            Decision,
            format!("table {}: no row matched", table_file(program, *table)),
        ),
        Entry::Moved {
            from,
            to,
            reason,
            owner,
            due,
        } => {
            let due = due.map_or_else(String::new, |d| format!(", due {}", At(d).clock()));
            let (from, to) = (program.state_name(*from), program.state_name(*to));
            Line::new(
                Decision,
                format!("{from} -> {to}: {}; owner {owner}{due}", code_words(reason)),
            )
        }
        Entry::Assigned { owner, reason } => {
            Line::new(Decision, format!("owner is now {owner} ({reason})"))
        }
        Entry::Asked { n, model } => {
            Line::new(Action, format!("asked model `{model}` ({})", id(*n))).with(tries(m, *n))
        }
        Entry::Answered(a) => answered(a, body),
        Entry::AskFailed { reason, .. } => Line::new(
            Input,
            format!("no answer from a model: {}", code_words(reason)),
        ),
        Entry::Decided(d) => decided(m, d),
        Entry::Planned(p) => planned(m, p),
        Entry::Approved { n, digest } => Line::new(
            Decision,
            format!(
                "{} was approved for exactly what was shown (digest {})",
                id(*n),
                short(digest)
            ),
        ),
        Entry::Settled {
            n,
            state,
            attempts,
            code,
            evidence,
        } => settled(m, (*n, *state), *attempts, (code, evidence)),
        Entry::TaskOpened {
            n,
            kind,
            owner,
            reason,
            due,
            ..
        } => {
            let task = TaskId {
                case: m.case.id,
                n: *n,
            };
            let due = due.map_or_else(String::new, |d| format!(", due {}", At(d).clock()));
            Line::new(
                Action,
                format!(
                    "task {task} of kind `{kind}` for {owner}{due}: {}",
                    code_words(reason)
                ),
            )
        }
        Entry::TaskClosed {
            n,
            decision,
            reason,
        } => {
            let task = TaskId {
                case: m.case.id,
                n: *n,
            };
            Line::new(
                Input,
                format!("task {task} was closed: {decision} ({reason})"),
            )
        }
        Entry::TimerEnded { n, fired: true } => Line::new(Clock, timer_words(m, *n)),
        Entry::Sla { state, met, due } => {
            let word = if *met { "met" } else { "breached" };
            Line::new(
                Clock,
                format!(
                    "SLA of `{}` {word} (due {})",
                    program.state_name(*state),
                    At(*due).clock()
                ),
            )
        }
        Entry::Refused { action, code } => {
            Line::new(Decision, format!("{action} was refused: {code}"))
        }
        Entry::Conflict { n, round, kept } => conflict(m, (*n, *round, *kept), body),
        Entry::Control {
            action,
            object,
            detail,
        } => Line::new(Decision, format!("{action} {object} {detail}")),
        Entry::FieldsSet { .. }
        | Entry::TimerSet { .. }
        | Entry::TimerEnded { fired: false, .. } => return None,
    })
}

fn table_file(program: &Program, table: u32) -> String {
    program
        .tables
        .get(table as usize)
        .map_or_else(|| "?".into(), |t| t.file.clone())
}

fn event(m: &Material, entry: &Entry) -> Line {
    let Entry::Event {
        n,
        id,
        endpoint,
        key_source,
        matched_key,
    } = entry
    else {
        return Line::new(Side::Input, "");
    };
    let channel = m
        .bundle
        .program
        .endpoint(endpoint)
        .map_or("", |e| e.channel.word());
    let mut detail = vec![format!("recognised by {}", key_words(key_source))];
    if let Some(i) = matched_key {
        let keys = &m.bundle.program.record.natural_keys;
        let key = keys
            .get(usize::from(*i))
            .map(|t| t.source.clone())
            .unwrap_or_default();
        detail.push(format!(
            "it joined this case: its natural key `{key}` is the same"
        ));
    }
    if let Some(d) = m.duplicates.get(id).filter(|d| d.count > 0) {
        let variants = match d.variants.len() {
            0 => String::new(),
            n => format!(", {n} of them with other bytes"),
        };
        detail.push(format!(
            "it came again {} times{variants}; nothing more was done",
            d.count
        ));
    }
    Line::new(
        Side::Input,
        format!("message {n} through `{endpoint}` ({channel}), {id}"),
    )
    .with(detail)
}

fn key_words(key_source: &str) -> &str {
    match key_source {
        "signed_id" => "the signed delivery id",
        "header_and_body" => "the idempotency header and the hash of the signed bytes",
        "pointer" => "the declared part of the body",
        "natural" => "its natural key",
        "api_key" => "the caller's Idempotency-Key",
        "weak" => "the hash of its bytes alone (weak)",
        other => other,
    }
}

fn answered(a: &Answered, body: Option<&Body>) -> Line {
    let mut text = format!("model {} answered in {} ms", a.model, a.took / 1000);
    if let Some(c) = a.confidence {
        text.push_str(&format!(", confidence {}", share(c)));
    }
    let proposal = body
        .into_iter()
        .flat_map(|b| &b.facts)
        .find_map(|f| match f {
            Fact::Proposal(Value::Record(parts)) => Some(parts),
            _ => None,
        });
    let shown =
        |(name, value): (&String, &Value)| format!("{name}: {}", one_line(&value.to_string(), 120));
    let mut detail: Vec<String> = proposal.into_iter().flatten().map(shown).collect();
    if a.repairs > 0 {
        detail.push(format!(
            "its first answer did not fit; it was asked again {} times",
            a.repairs
        ));
    }
    Line::new(Side::Input, text).with(detail)
}

fn decided(m: &Material, d: &Decided) -> Line {
    let program = &m.bundle.program;
    let branch = program.decision.branches.get(d.branch as usize);
    let condition = branch
        .and_then(|b| b.condition.as_ref())
        .map_or("default", |c| c.source.as_str());
    let actions: Vec<String> = branch.map_or_else(Vec::new, |b| {
        b.actions.iter().map(|s| step_word(program, *s)).collect()
    });
    let text = format!(
        "branch {}: {condition} => {}",
        workflow_place(&m.bundle, d.line),
        actions.join(", ")
    );
    let threshold = share(d.threshold);
    let mut detail = vec![match d.confidence {
        Some(c) if c >= d.threshold => format!("confidence {} >= threshold {threshold}", share(c)),
        Some(c) => format!(
            "confidence {} < threshold {threshold}: not sure enough",
            share(c)
        ),
        None => format!("no confidence (no model answered); threshold {threshold}"),
    }];
    detail.push(format!("policy_allows is {}", d.policy_allows));
    if !d.needs_human.is_empty() {
        let why: Vec<String> = d.needs_human.iter().map(|w| code_words(w)).collect();
        detail.push(format!("needs_human, because {}", why.join("; ")));
    }
    for p in &d.passed_over {
        let place = workflow_place(&m.bundle, p.line);
        let source = program
            .decision
            .branches
            .get(p.branch as usize)
            .and_then(|b| b.condition.as_ref());
        let source = source.map_or("", |c| c.source.as_str());
        detail.push(format!(
            "not taken {place}: {source}; failed: {}",
            p.because.join("; ")
        ));
    }
    if let Some(error) = &d.error {
        detail.push(format!(
            "the condition could not be evaluated, so a person decides: {error}"
        ));
    }
    if let Some(reason) = branch.and_then(|b| b.reason.as_ref()) {
        detail.push(format!("reason given in the file: {reason}"));
    }
    Line::new(Side::Decision, text).with(detail)
}

fn step_word(program: &Program, step: Step) -> String {
    match step {
        Step::Effect(ix) => program
            .action(ix)
            .map_or_else(|| "?".into(), |a| a.name.clone()),
        Step::HumanQueue => "human_queue".into(),
        Step::AskMissing => "ask_missing".into(),
        Step::HandOff => "hand_off".into(),
        Step::Close => "close".into(),
        Step::Deny => "deny".into(),
    }
}

fn planned(m: &Material, p: &Planned) -> Line {
    let id = EffectId {
        case: m.case.id,
        n: p.n,
    };
    let text = format!(
        "`{}` ({}) {id}: policy says {}, {}",
        p.name,
        p.class.word(),
        p.verdict.word(),
        policy_place(&m.bundle, p.line)
    );
    let mut detail = Vec::new();
    if let Some(old) = p.replaces {
        detail.push(format!(
            "in place of {}",
            EffectId {
                case: m.case.id,
                n: old
            }
        ));
    }
    if p.verdict == tl_kernel::policy::Verdict::Never {
        detail.push("nothing is sent: the policy says never".into());
    }
    detail.extend(tries(m, p.n));
    if let Some(row) = m.effects.iter().find(|r| r.effect.n == p.n) {
        let hold = match row.hold.as_str() {
            "" => String::new(),
            hold => format!(", {}", code_words(hold)),
        };
        detail.push(format!("now {}{hold}", row.state.word()));
    }
    Line::new(Side::Action, text).with(detail)
}

/// The attempts of an effect, one line each.
fn tries(m: &Material, n: u32) -> Vec<String> {
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

fn settled(
    m: &Material,
    (n, state): (u32, EffectState),
    attempts: u32,
    (code, evidence): (&str, &str),
) -> Line {
    let id = EffectId { case: m.case.id, n };
    let name = m.case.effects.get(&n).map_or("", |e| e.name.as_str());
    let mut text = format!("`{name}` {id} {}", state.word());
    if attempts > 1 {
        text.push_str(&format!(" after {attempts} attempts"));
    }
    if !code.is_empty() {
        text.push_str(&format!(": {}", code_words(code)));
    }
    let known = match evidence {
        "answer" => "the other system answered",
        "look_up" => "looked up in the other system",
        "callback" => "the other system called back",
        "person" => "a person said so",
        "gate" => "stopped at the gate",
        "transaction" => "written in one transaction",
        other => other,
    };
    let mut detail = vec![format!("known because: {known}")];
    if let Some(r) = m.case.effects.get(&n).and_then(|e| e.vendor_ref.as_ref()) {
        detail.push(format!("the other system calls it {r}"));
    }
    Line::new(Side::Action, text).with(detail)
}

fn conflict(m: &Material, (n, round, kept): (u32, u32, u32), body: Option<&Body>) -> Line {
    let id = EffectId { case: m.case.id, n };
    let text = format!(
        "conflict (round {round}): the system of record had changed before {id} was written"
    );
    let mut detail = vec![format!(
        "{kept} fields were kept as the other side had them"
    )];
    for fact in body.into_iter().flat_map(|b| &b.facts) {
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

fn timer_words(m: &Material, n: u32) -> String {
    let set = m
        .turns
        .iter()
        .flat_map(|(h, _)| &h.entries)
        .find_map(|e| match e {
            Entry::TimerSet { n: own, kind, .. } if *own == n => Some(*kind),
            _ => None,
        });
    match set {
        Some(TimerKind::Warn) => "the warning share of the SLA has passed".into(),
        Some(TimerKind::Breach) => "the SLA has passed".into(),
        Some(TimerKind::Escalate(step)) => format!("escalation step {}", step + 1),
        None => "a timer fired".into(),
    }
}
