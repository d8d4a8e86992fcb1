//! One entry of the journal as a line of the screen.

use tl_kernel::digest::short;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::journal::{Answered, Body, Decided, Entry, Fact, Planned, TimerKind};
use tl_kernel::program::{Program, Step};
use tl_kernel::value::{Source, Value};

use super::build::Material;
use super::fields::{policy_place, share, workflow_place};
use super::words::{code_words, stop_words};
use super::{Line, Side};
use crate::text::{At, one_line};

/// Longest condition of a rule on a line, characters; its place in the file says the rest.
const CONDITION: usize = 160;

/// The line of an entry; none for what another line says already.
pub(super) fn line(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    of_rules(m, entry)
        .or_else(|| of_models(m, entry, body))
        .or_else(|| of_effects(m, entry, body))
        .or_else(|| of_people(m, entry))
        .or_else(|| of_clocks(m, entry))
}

/// What came in, and what rules and moves made of it.
fn of_rules(m: &Material, entry: &Entry) -> Option<Line> {
    let program = &m.bundle.program;
    let decision = |text: String| Some(Line::new(Side::Decision, text));
    match entry {
        Entry::Opened => decision("a case was opened".into()),
        Entry::Event { .. } => Some(event(m, entry)),
        Entry::Rule { rule, line } => {
            let rule = program.rules.get(*rule as usize);
            let when = rule.map_or("", |r| r.when.source.as_str());
            let place = workflow_place(&m.bundle, *line);
            decision(format!("rule {place} held: {}", one_line(when, CONDITION)))
        }
        Entry::TableRow { table, line } => decision(format!(
            "table {}:{line} matched",
            table_file(program, *table)
        )),
        Entry::TableMiss { table } => decision(format!(
            "table {}: no row matched",
            table_file(program, *table)
        )),
        Entry::Decided(d) => Some(decided(m, d)),
        Entry::Moved {
            from,
            to,
            reason,
            owner,
            due,
        } => {
            let (from, to) = (program.state_name(*from), program.state_name(*to));
            let why = stop_words(reason);
            decision(format!(
                "{from} -> {to}: {why}; owner {owner}{}",
                due_words(*due)
            ))
        }
        Entry::Assigned { owner, reason } => decision(format!("owner is now {owner} ({reason})")),
        Entry::Refused { action, code } => decision(format!("{action} was refused: {code}")),
        Entry::Control {
            action,
            object,
            detail,
        } => decision(format!("{action} {object} {detail}")),
        _ => None,
    }
}

fn of_models(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    match entry {
        Entry::Asked { n, model } => {
            let id = EffectId {
                case: m.case.id,
                n: *n,
            };
            let line = Line::new(Side::Action, format!("asked model `{model}` ({id})"));
            Some(line.with(tries(m, *n)))
        }
        Entry::Answered(a) => Some(answered(a, body)),
        Entry::AskFailed { reason, .. } => {
            let why = stop_words(reason);
            Some(Line::new(
                Side::Input,
                format!("no answer from a model: {why}"),
            ))
        }
        _ => None,
    }
}

fn of_effects(m: &Material, entry: &Entry, body: Option<&Body>) -> Option<Line> {
    match entry {
        Entry::Planned(p) => Some(planned(m, p)),
        Entry::Approved { n, digest } => {
            let id = EffectId {
                case: m.case.id,
                n: *n,
            };
            let shown = short(digest);
            let text = format!("{id} was approved for exactly what was shown (digest {shown})");
            Some(Line::new(Side::Decision, text))
        }
        Entry::Settled {
            n,
            state,
            attempts,
            code,
            evidence,
        } => Some(settled(m, (*n, *state), *attempts, (code, evidence))),
        Entry::Conflict { n, round, kept } => Some(conflict(m, (*n, *round, *kept), body)),
        _ => None,
    }
}

fn of_people(m: &Material, entry: &Entry) -> Option<Line> {
    let task = |n: u32| TaskId { case: m.case.id, n };
    match entry {
        Entry::TaskOpened {
            n,
            kind,
            owner,
            reason,
            due,
            ..
        } => {
            let (task, due, why) = (task(*n), due_words(*due), stop_words(reason));
            let text = format!("task {task} of kind `{kind}` for {owner}{due}: {why}");
            Some(Line::new(Side::Action, text))
        }
        Entry::TaskClosed {
            n,
            decision,
            reason,
        } => {
            let text = format!("task {} was closed: {decision} ({reason})", task(*n));
            Some(Line::new(Side::Input, text))
        }
        _ => None,
    }
}

fn of_clocks(m: &Material, entry: &Entry) -> Option<Line> {
    match entry {
        Entry::TimerEnded { n, fired: true } => Some(Line::new(Side::Clock, timer_words(m, *n))),
        Entry::Sla { state, met, due } => {
            let word = if *met { "met" } else { "breached" };
            let state = m.bundle.program.state_name(*state);
            let text = format!("SLA of `{state}` {word} (due {})", At(*due).clock());
            Some(Line::new(Side::Clock, text))
        }
        _ => None,
    }
}

fn due_words(due: Option<i64>) -> String {
    due.map_or_else(String::new, |d| format!(", due {}", At(d).clock()))
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

fn conflict(m: &Material, (n, round, kept): (u32, u32, u32), body: Option<&Body>) -> Line {
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
        "{kept} fields were kept as the other side had them{names}"
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
