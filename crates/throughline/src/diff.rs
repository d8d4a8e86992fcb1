//! What changes from one version of a workflow to the next, in the words of the file: not which lines, but what
//! they mean.

mod tables;

use std::collections::BTreeMap;

use tl_kernel::connector::ConnectorCall;
use tl_kernel::effect::Class;
use tl_kernel::payload::object_to_json;
use tl_kernel::policy::{PolicyLine, When};
use tl_kernel::program::{
    ActionKind, Emit, OUTBOX, OnUnknown, Program, RuleEffect, Schedule, Step, Threshold,
    WhenUnanswered,
};
use tl_kernel::time::duration_text;
use tl_lang::effective_policy_text;

use crate::explain::goal_words;

/// The differences, one sentence each; empty where nothing changes that decides.
pub fn diff(old: &Program, new: &Program) -> Vec<String> {
    let mut out = Vec::new();
    policy(old, new, &mut out);
    if old.decision.threshold != new.decision.threshold {
        let words = |t: Threshold| match t {
            Threshold::Fixed(x) => format!("{x}"),
            Threshold::UntilKnown(x) => format!("{x} until known"),
        };
        out.push(format!(
            "decision: threshold {} is now {}",
            words(old.decision.threshold),
            words(new.decision.threshold)
        ));
    }
    let goal = |p: &Program| {
        let goal = p.goal.as_ref();
        goal.map_or_else(|| "none".to_owned(), |g| goal_words(p, g))
    };
    if goal(old) != goal(new) {
        out.push(format!("workflow: goal {} is now {}", goal(old), goal(new)));
    }
    sequence("decision: branch", &branches(old), &branches(new), &mut out);
    sequence("rule", &rules(old), &rules(new), &mut out);
    tables::tables(old, new, &mut out);
    named("record field", &fields(old), &fields(new), &mut out);
    named("endpoint", &endpoints(old), &endpoints(new), &mut out);
    named("schedule", &schedules(old), &schedules(new), &mut out);
    named("state", &states(old), &states(new), &mut out);
    named("transition", &edges(old), &edges(new), &mut out);
    named("action", &actions(old), &actions(new), &mut out);
    named("ai_step", &ai(old), &ai(new), &mut out);
    named("setting", &settings(old), &settings(new), &mut out);
    named("tasks", &task_rules(old), &task_rules(new), &mut out);
    for (what, a, b) in [
        ("rules_engine", old.rules_engine, new.rules_engine),
        (
            "feature_flags: tenant_scoped",
            old.tenant_flags,
            new.tenant_flags,
        ),
    ] {
        if a != b {
            out.push(format!("worker: {what} was {a}, is now {b}"));
        }
    }
    out
}

/// A policy that allows more is said to do so: open cases keep the stricter one.
fn policy(old: &Program, new: &Program, out: &mut Vec<String>) {
    let words = |p: &Program| -> BTreeMap<String, String> {
        let text = effective_policy_text(p);
        let pairs = text.lines().filter_map(|l| l.split_once(' '));
        pairs
            .map(|(a, w)| (a.to_owned(), w.replace("(default)", "").trim().to_owned()))
            .collect()
    };
    let (was, is) = (words(old), words(new));
    for (action, now) in &is {
        match was.get(action) {
            None => out.push(format!("policy: `{action}` is new: {now}")),
            Some(before) if before != now => {
                let rank = |p: &Program| p.policy.line(action).map_or(0, strictness);
                let tone = match rank(new).cmp(&rank(old)) {
                    std::cmp::Ordering::Greater => "LOOSER (new cases only)",
                    std::cmp::Ordering::Less => "tighter (open cases too, at once)",
                    std::cmp::Ordering::Equal => "changed",
                };
                out.push(format!("policy: `{action}` {tone}: {before} => {now}"));
            }
            Some(_) => {}
        }
    }
    out.extend(
        was.keys()
            .filter(|a| !is.contains_key(*a))
            .map(|a| format!("policy: `{a}` is gone")),
    );
}

/// How much a line allows: the higher, the more.
fn strictness(line: &PolicyLine) -> u8 {
    match (&line.never, &line.auto) {
        (When::Always, _) => 0,
        (_, When::Unstated) => 1,
        (_, When::If(_)) => 2,
        (_, When::Always) => 3,
    }
}

/// Lists whose order matters: what went, what came, what stands elsewhere now.
fn sequence(what: &str, old: &[String], new: &[String], out: &mut Vec<String>) {
    let gone: Vec<&String> = old.iter().filter(|o| !new.contains(o)).collect();
    let came: Vec<&String> = new.iter().filter(|n| !old.contains(n)).collect();
    out.extend(gone.iter().map(|g| format!("{what} is gone: {g}")));
    out.extend(came.iter().map(|c| format!("{what} is new: {c}")));
    let order = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|x| b.contains(x)).cloned().collect()
    };
    if gone.is_empty() && came.is_empty() && order(old, new) != order(new, old) {
        out.push(format!(
            "{what}: the order is another one, and the first match wins"
        ));
    }
}

fn named(
    what: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    out: &mut Vec<String>,
) {
    for (name, now) in new {
        match old.get(name) {
            None => out.push(format!("{what} `{name}` is new: {now}")),
            Some(before) if before != now => {
                out.push(format!("{what} `{name}`: {before} => {now}"))
            }
            Some(_) => {}
        }
    }
    out.extend(
        old.keys()
            .filter(|n| !new.contains_key(*n))
            .map(|n| format!("{what} `{n}` is gone")),
    );
}

fn branches(p: &Program) -> Vec<String> {
    let step = |s: &Step| match s {
        Step::Effect(ix) => p.action(*ix).map_or("?".into(), |a| a.name.clone()),
        Step::HumanQueue => "human_queue".into(),
        Step::AskMissing => "ask_missing".into(),
        Step::HandOff => "hand_off".into(),
        Step::Close => "close".into(),
        Step::Deny => "deny".into(),
    };
    p.decision
        .branches
        .iter()
        .map(|b| {
            let condition = b.condition.as_ref().map_or("default", |c| &c.source);
            let steps: Vec<String> = b.actions.iter().map(step).collect();
            let to =
                b.to.map_or_else(String::new, |s| format!(" to {}", p.state_name(s)));
            format!("{condition} => {}{to}", steps.join(", "))
        })
        .collect()
}

fn rules(p: &Program) -> Vec<String> {
    p.rules
        .iter()
        .map(|r| {
            let then = match &r.effect {
                RuleEffect::Set(fields) => {
                    let sets: Vec<String> = fields
                        .iter()
                        .map(|(n, e)| format!("{n} = {}", e.source))
                        .collect();
                    format!("set {}", sets.join(", "))
                }
                RuleEffect::Route(e) => format!("route to {}", e.source),
                RuleEffect::Close(reason) => format!("close ({reason})"),
                RuleEffect::NeedsHuman(reason) => format!("needs_human ({reason})"),
            };
            format!("{} => {then}", r.when.source)
        })
        .collect()
}

fn fields(p: &Program) -> BTreeMap<String, String> {
    let words = |f: &tl_kernel::program::FieldDef| {
        let mut out = f.ty.word();
        for (set, word) in [
            (f.required, "required"),
            (f.control, "use: control"),
            (f.untrusted, "untrusted"),
        ] {
            if set {
                out.push_str(", ");
                out.push_str(word);
            }
        }
        format!("{out}, from {:?}", f.from).to_lowercase()
    };
    let mut out: BTreeMap<String, String> = p
        .record
        .fields
        .iter()
        .map(|f| (f.name.clone(), words(f)))
        .collect();
    let keys: Vec<&str> = p
        .record
        .natural_keys
        .iter()
        .map(|k| k.source.as_str())
        .collect();
    out.insert(
        "(natural keys)".into(),
        format!("{} on match {:?}", keys.join(" or "), p.record.on_match).to_lowercase(),
    );
    out
}

fn schedules(p: &Program) -> BTreeMap<String, String> {
    let words = |s: &Schedule| {
        let data = object_to_json(&s.data);
        let (cron, zone, catch_up) = (&s.cron, &s.table.zone, s.catch_up.word());
        format!("{cron} {zone}, catch_up {catch_up}, data {data}")
    };
    let all = p.schedules.iter();
    all.map(|s| (s.name.clone(), words(s))).collect()
}

fn endpoints(p: &Program) -> BTreeMap<String, String> {
    p.doors()
        .map(|e| {
            let map: Vec<String> = e
                .map
                .iter()
                .map(|(n, x)| format!("{n}: {}", x.source))
                .collect();
            let schema = match &e.schema {
                None => "no schema",
                Some(s) if s.derived => "derived schema",
                Some(_) => "own schema",
            };
            let auth = crate::control::doors::auth_words(&e.auth);
            let words = format!(
                "{}, {auth}, {schema}, max {} bytes, {}",
                e.channel.word(),
                e.max_body,
                map.join("; ")
            );
            (e.name.clone(), words)
        })
        .collect()
}

fn states(p: &Program) -> BTreeMap<String, String> {
    p.states
        .iter()
        .map(|s| {
            let sla = s
                .sla
                .map_or("no SLA".into(), |d| format!("SLA {}", duration_text(d)));
            let steps: Vec<String> = s
                .escalate
                .iter()
                .map(|(d, to)| format!("after {} to {to}", duration_text(*d)))
                .collect();
            let escalate = if steps.is_empty() {
                String::new()
            } else {
                format!(", escalates {}", steps.join(", "))
            };
            let breach = s
                .on_breach
                .map_or_else(String::new, |b| format!(", breach to {}", p.state_name(b)));
            let pause = if s.pause { ", pauses the goal" } else { "" };
            (
                s.name.clone(),
                format!("owner {}, {sla}{breach}{escalate}{pause}", s.owner),
            )
        })
        .collect()
}

fn edges(p: &Program) -> BTreeMap<String, String> {
    p.edges
        .iter()
        .map(|e| {
            let emit = e.emit.iter().map(|x| match x {
                Emit::CrmSync => "crm_sync",
                Emit::SlaTimer => "sla_timer",
                Emit::AuditLog => "audit_log",
                Emit::DomainEvent => "domain_event",
            });
            let emit: Vec<&str> = emit.collect();
            let owner = e
                .owner
                .as_ref()
                .map_or_else(String::new, |o| format!(", owner {o}"));
            let name = format!("{} -> {}", p.state_name(e.from), p.state_name(e.to));
            (
                name,
                format!(
                    "emits {}{owner}",
                    if emit.is_empty() {
                        "nothing".into()
                    } else {
                        emit.join(", ")
                    }
                ),
            )
        })
        .collect()
}

/// `resend.mail.send at `resend` with from: …`.
fn called(call: &ConnectorCall) -> String {
    let with = call.with.iter().map(|a| (&a.name, &a.value));
    let all = with.chain(call.map.iter().map(|(n, x)| (n, x)));
    let all: Vec<String> = all.map(|(n, x)| format!("{n}: {}", x.source)).collect();
    let what = call.full_name();
    match all.is_empty() {
        true => format!("{what} at `{}`", call.connection),
        false => format!("{what} at `{}` with {}", call.connection, all.join("; ")),
    }
}

fn actions(p: &Program) -> BTreeMap<String, String> {
    let words = |kind: &ActionKind| match kind {
        ActionKind::RecordStore { key, map } => {
            format!("writes record {} ({} fields)", key.source, map.len())
        }
        ActionKind::Rest(r) => {
            let map: Vec<String> = r
                .map
                .iter()
                .map(|(n, x)| format!("{n}: {}", x.source))
                .collect();
            format!(
                "{} {} at `{}` with {}",
                r.method,
                r.path.source,
                r.connection,
                map.join("; ")
            )
        }
        ActionKind::Call(c) => called(c),
        ActionKind::Message(m) => {
            let subject = m.subject.as_ref().map_or("", |s| &s.source);
            let text = tl_kernel::digest::sha256(&[m.body.source.as_bytes()]);
            let text = tl_kernel::digest::short(&text);
            let via = match &m.via {
                None => OUTBOX.to_owned(),
                Some(call) => called(call),
            };
            format!(
                "{} via {via} to {}, subject \"{subject}\", text {text}",
                m.channel.word(),
                m.to.source
            )
        }
        ActionKind::DomainEvent => "domain event".into(),
    };
    p.actions
        .iter()
        .map(|a| {
            let unknown = match (a.class, a.on_unknown) {
                (Class::E4, OnUnknown::Resend) => ", sent again when nobody knows",
                (Class::E4, OnUnknown::AssumeSent) => ", taken as sent when nobody knows",
                _ => "",
            };
            let text = format!(
                "{} {}, valid for {}{unknown}",
                a.class.word(),
                words(&a.kind),
                duration_text(a.valid_for)
            );
            (a.name.clone(), text)
        })
        .collect()
}

fn ai(p: &Program) -> BTreeMap<String, String> {
    let Some(ai) = &p.ai else {
        return BTreeMap::new();
    };
    let modes: Vec<&str> = ai.modes.iter().map(|m| m.word()).collect();
    let mut out = BTreeMap::from([
        ("model".to_owned(), ai.model.clone()),
        ("modes".to_owned(), modes.join(", ")),
        (
            "when_state".to_owned(),
            p.state_name(ai.when_state).to_owned(),
        ),
        ("extract".to_owned(), ai.extract.join(", ")),
    ]);
    if let Some(c) = &ai.classify {
        let prompt = c.prompt_text.as_deref().unwrap_or_default();
        let prompt = tl_kernel::digest::short(&tl_kernel::digest::sha256(&[prompt.as_bytes()]));
        let examples = format!("{:?}", c.examples);
        let examples = tl_kernel::digest::short(&tl_kernel::digest::sha256(&[examples.as_bytes()]));
        out.insert(
            "classify".into(),
            format!(
                "{}, prompt {prompt}, {} examples {examples}",
                c.field,
                c.examples.len()
            ),
        );
    }
    out
}

fn settings(p: &Program) -> BTreeMap<String, String> {
    p.settings
        .iter()
        .map(|(k, v)| (k.clone(), v.to_string()))
        .collect()
}

fn task_rules(p: &Program) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = p
        .tasks
        .owners
        .iter()
        .map(|(k, t)| (format!("{k} owner"), t.source.clone()))
        .collect();
    out.extend(
        p.tasks
            .slas
            .iter()
            .map(|(k, d)| (format!("{k} sla"), duration_text(*d))),
    );
    if let Some(a) = p.tasks.ask_missing.and_then(|ix| p.action(ix)) {
        out.insert("ask_missing".into(), a.name.clone());
    }
    let steps = p.tasks.unanswered.iter().map(|step| {
        let what = match &step.then {
            WhenUnanswered::Remind(ix) => {
                let name = p.action(*ix).map_or("?", |a| &a.name);
                format!("send {name}")
            }
            WhenUnanswered::Escalate(owner) => format!("give it to {owner}"),
            WhenUnanswered::Close(reason) => format!("close ({reason})"),
        };
        format!("after {} {what}", duration_text(step.after))
    });
    let steps: Vec<String> = steps.collect();
    if !steps.is_empty() {
        out.insert("ask_missing unanswered".into(), steps.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_lang::Project;

    const BASE: &str = "workflow: { id: a, version: \"1\" }\ningress: { channels: [form] }\ndecision:\n  threshold: 0.9\n  branches:\n    - condition: confidence >= threshold && policy_allows\n      action: crm_upsert\n    - default: human_queue\n";

    fn program(text: &str) -> Program {
        let mut project = Project::default();
        project
            .files
            .insert("workflows/a/workflow.yaml".into(), text.into());
        let loaded = tl_lang::load(&project, "a");
        loaded
            .program
            .unwrap_or_else(|| panic!("{:?}", loaded.diags))
    }

    #[test]
    fn each_change_is_named() {
        let table = [
            (BASE.to_owned(), None),
            (
                BASE.replace("threshold: 0.9", "threshold: 0.8"),
                Some("threshold 0.9 is now 0.8"),
            ),
            (
                BASE.replace("- default: human_queue", "- default: deny"),
                Some("branch is new: default => deny"),
            ),
            (
                format!("{BASE}policy: {{ crm_upsert: approve }}\n"),
                Some("policy: `crm_upsert` tighter"),
            ),
            (
                format!("{BASE}policy: {{ crm_upsert: never }}\n"),
                Some("policy: `crm_upsert` tighter"),
            ),
            (
                BASE.replace("action: crm_upsert", "action: hand_off"),
                Some("=> hand_off"),
            ),
            (
                BASE.replace("[form]", "[form, webhook]"),
                Some("endpoint `webhook` is new"),
            ),
            (
                format!("{BASE}states: {{ needs_human: {{ owner: operators, sla: 7m }} }}\n"),
                Some("state `needs_human`"),
            ),
            (
                format!("{BASE}states: {{ needs_human: {{ pause: true }} }}\n"),
                Some("SLA 4h, breach to needs_human, pauses the goal"),
            ),
            (
                BASE.replace("version: \"1\"", "version: \"1\", goal: { sla: 2h }"),
                Some(
                    "workflow: goal none is now pending -> closed within 2h, answered for by operators",
                ),
            ),
            (
                format!(
                    "{BASE}worker: {{ rules: [{{ when: \"record.name == 'x'\", then: close, reason: r }}] }}\n"
                ),
                Some("rule is new"),
            ),
        ];
        let old = program(BASE);
        for (text, want) in table {
            let got = diff(&old, &program(&text));
            match want {
                None => assert!(got.is_empty(), "{got:?}"),
                Some(w) => assert!(got.iter().any(|l| l.contains(w)), "{w} in {got:?}"),
            }
        }
        let back = diff(
            &program(&format!("{BASE}policy: {{ crm_upsert: never }}\n")),
            &old,
        );
        assert!(back.iter().any(|l| l.contains("LOOSER")), "{back:?}");
    }
}
