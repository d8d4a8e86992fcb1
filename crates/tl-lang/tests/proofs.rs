//! What the proofs find, where they point, and that the ways they print can be gone.

mod common;
mod world;

use std::collections::BTreeMap;

use tl_kernel::case::Case;
use tl_kernel::decide::decide;
use tl_kernel::effect::Class;
use tl_kernel::journal::{Entry, open};
use tl_kernel::policy::{LimitScope, Verdict};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, TRIAGED};
use tl_kernel::program::{
    ActionKind, Branch, Emit, Goal, Lock, OnUnknown, Program, RuleEffect, Step,
};
use tl_kernel::turn::Decision;
use tl_lang::proof::{CounterExample, Finding, Sources, findings, prove, shown, unborn};
use tl_lang::{Severity, load};
use world::{Say, base, branch, edge, expr, line, message, rest, rule, state, template};

const CRM: u16 = 0;
const REPLY: u16 = 1;
const TRANSFER: u16 = 2;

fn crm(p: &mut Program) -> &mut tl_kernel::program::RestWrite {
    match &mut p.actions[usize::from(CRM)].kind {
        ActionKind::Rest(r) => r,
        other => panic!("{other:?}"),
    }
}

fn reply(p: &mut Program) -> &mut tl_kernel::program::Message {
    match &mut p.actions[usize::from(REPLY)].kind {
        ActionKind::Message(m) => m,
        other => panic!("{other:?}"),
    }
}

/// The reply goes out by itself with a text.
fn says(p: &mut Program, body: &str) {
    p.policy.lines[1] = line("reply", Say::Auto);
    reply(p).body = template(body);
}

fn without(p: &mut Program, from: u16, to: u16) {
    p.edges.retain(|e| (e.from, e.to) != (from, to));
}

fn own_state(p: &mut Program) -> u16 {
    let mut s = state(NEEDS_HUMAN);
    s.name = "parked".into();
    p.states.push(s);
    p.states.len() as u16 - 1
}

/// The name is required, what asks for it is forbidden, and the decision begins with a branch.
fn asks_before_hand_off(p: &mut Program, first: Branch) {
    for f in &mut p.record.fields {
        f.required = f.name == "name";
    }
    p.policy.lines[1] = line("reply", Say::Never);
    p.tasks.ask_missing = Some(REPLY);
    p.decision.branches = vec![first];
}

/// Who is a VIP gets a transfer, which is forbidden.
fn never_for_vip(p: &mut Program) {
    p.policy.lines[2] = line("transfer", Say::Never);
    p.decision.branches[0] = branch(Some("record.vip"), vec![Step::Effect(TRANSFER)]);
}

/// No model; the first branch plans a transfer, which is forbidden.
fn forbidden_if(p: &mut Program, condition: &str) {
    p.ai = None;
    p.policy.lines[2] = line("transfer", Say::Never);
    p.decision.branches = vec![
        branch(Some(condition), vec![Step::Effect(TRANSFER)]),
        branch(None, vec![Step::HumanQueue]),
    ];
}

/// What is done to the base, and the codes that are found then.
type Row = (&'static str, fn(&mut Program), &'static [&'static str]);

const ROWS: &[Row] = &[
    ("nothing", |_| {}, &[]),
    // 1
    (
        "a state without a way in",
        |p| _ = own_state(p),
        &["TL0501"],
    ),
    (
        "a state without a way out",
        |p| {
            let s = own_state(p);
            p.edges.push(edge(NEEDS_HUMAN, s));
        },
        &["TL0511", "TL0513", "TL0514"],
    ),
    (
        "a way out of an own state",
        |p| {
            let s = own_state(p);
            p.edges
                .extend([edge(NEEDS_HUMAN, s), edge(s, NEEDS_HUMAN), edge(s, CLOSED)]);
        },
        &[],
    ),
    (
        "nobody owns a state",
        |p| p.states[1].owner = " ".into(),
        &["TL0512"],
    ),
    (
        "a state without an SLA",
        |p| p.states[2].sla = None,
        &["TL0512", "TL0514"],
    ),
    (
        "a breach that leads nowhere",
        |p| p.states[2].on_breach = None,
        &["TL0513", "TL0514"],
    ),
    (
        "a breach along no transition",
        |p| without(p, AUTOMATED, NEEDS_HUMAN),
        &["TL0513", "TL0514"],
    ),
    (
        "a breach in a circle",
        |p| {
            p.states[2].on_breach = Some(TRIAGED);
            p.states[1].on_breach = Some(AUTOMATED);
            p.edges.push(edge(AUTOMATED, TRIAGED));
            p.ai = None;
            p.decision.branches = vec![branch(None, vec![Step::Effect(CRM)])];
            p.decision.branches[0].to = Some(TRIAGED);
        },
        &["TL0514"],
    ),
    (
        "a branch that stays, with no clock",
        |p| {
            p.ai = None;
            p.edges[0].emit.remove(&Emit::SlaTimer);
            p.decision.branches[2].to = Some(TRIAGED);
        },
        &["TL0514"],
    ),
    (
        "no way to close after a review",
        |p| without(p, NEEDS_HUMAN, CLOSED),
        &["TL0515"],
    ),
    (
        "no way on after a review",
        |p| {
            without(p, NEEDS_HUMAN, CLOSED);
            without(p, NEEDS_HUMAN, TRIAGED);
            p.decision.branches = vec![branch(None, vec![Step::HumanQueue])];
        },
        &["TL0515"],
    ),
    // 2
    (
        "never in a branch",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::Never);
            p.decision.branches[0] =
                branch(Some("confidence >= threshold"), vec![Step::Effect(CRM)]);
        },
        &["TL0502"],
    ),
    (
        "never in a branch that is never taken",
        |p| {
            p.policy.lines[2] = line("transfer", Say::Never);
            p.decision.branches[0] = branch(Some("policy_allows"), vec![Step::Effect(TRANSFER)]);
        },
        &["TL0517"],
    ),
    (
        "never on a transition",
        |p| {
            p.policy.lines[3] = line("domain_event", Say::Never);
            p.edges[3].emit.insert(Emit::DomainEvent);
        },
        &["TL0502"],
    ),
    (
        "never in what a hand-off asks for first",
        |p| asks_before_hand_off(p, branch(None, vec![Step::HandOff])),
        &["TL0502"],
    ),
    (
        "never in what the write that completes the goal asks for first",
        |p| {
            asks_before_hand_off(p, branch(None, vec![Step::Effect(CRM)]));
            p.goal = Some(Goal {
                start: TRIAGED,
                end: CLOSED,
                sla: 1,
                owner: "ops".into(),
            });
        },
        &["TL0502"],
    ),
    (
        "a write that completes no goal asks for nothing",
        |p| {
            asks_before_hand_off(p, branch(None, vec![Step::Effect(CRM)]));
            p.goal = Some(Goal {
                start: TRIAGED,
                end: NEEDS_HUMAN,
                sla: 1,
                owner: "ops".into(),
            });
        },
        &[],
    ),
    (
        "a hand-off of what lacks nothing asks for nothing",
        |p| {
            let first = branch(Some("size(missing) == 0"), vec![Step::HandOff]);
            asks_before_hand_off(p, first);
            p.decision
                .branches
                .push(branch(None, vec![Step::HumanQueue]));
        },
        &[],
    ),
    (
        "never where what it needs is missing",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::Never);
            p.decision.branches[0] = branch(Some("size(missing) > 0"), vec![Step::Effect(CRM)]);
        },
        &[],
    ),
    (
        "never where a rule closes the case first",
        |p| {
            never_for_vip(p);
            p.rules
                .push(rule("record.vip", RuleEffect::Close("x".into())));
        },
        &[],
    ),
    (
        "never where a rule would close the case, but no transition does",
        |p| {
            never_for_vip(p);
            p.rules
                .push(rule("record.vip", RuleEffect::Close("x".into())));
            without(p, TRIAGED, CLOSED);
        },
        &["TL0502"],
    ),
    (
        "never where a rule asks for a person",
        |p| {
            never_for_vip(p);
            p.decision.branches[0] = branch(
                Some("record.vip && !needs_human && confidence < 1.0"),
                vec![Step::Effect(TRANSFER)],
            );
            p.rules
                .push(rule("record.vip", RuleEffect::NeedsHuman("x".into())));
        },
        &["TL0517"],
    ),
    (
        "never where the policy of another action does not allow it",
        |p| {
            p.policy.lines[0] = line("crm_upsert", Say::AutoIfVip);
            p.decision.branches[0] = branch(
                Some("!record.vip && policy_allows"),
                vec![Step::Effect(CRM)],
            );
        },
        &["TL0517"],
    ),
    (
        "never under a condition",
        |p| p.policy.lines[0] = line("crm_upsert", Say::NeverIfC),
        &[],
    ),
    (
        "no line in the policy",
        |p| p.policy.lines.retain(|l| l.action != "crm_upsert"),
        &["TL0517"],
    ),
    (
        "closed in the same turn",
        |p| p.decision.branches[0].to = Some(CLOSED),
        &["TL0521"],
    ),
    // 3
    ("no default", |p| _ = p.decision.branches.pop(), &["TL0516"]),
    (
        "a condition against itself",
        |p| p.decision.branches[0] = branch(Some("record.vip && !record.vip"), vec![Step::Close]),
        &["TL0517"],
    ),
    (
        "an earlier branch takes all",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 200 && confidence >= threshold && policy_allows"),
                vec![Step::Effect(CRM)],
            )
        },
        &["TL0517"],
    ),
    (
        "numbers apart",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 200 && record.budget < 100"),
                vec![Step::Close],
            )
        },
        &["TL0517"],
    ),
    (
        "numbers that meet",
        |p| {
            p.decision.branches[1] = branch(
                Some("record.budget > 100 && record.budget < 200"),
                vec![Step::Close],
            )
        },
        &[],
    ),
    (
        "a missing field that is there",
        |p| {
            p.decision.branches[1] = branch(
                Some("size(missing) > 0 && has(record.email)"),
                vec![Step::Close],
            )
        },
        &["TL0517"],
    ),
    (
        "a rule against itself",
        |p| {
            p.rules.push(rule(
                "record.intent == 'a' && record.intent == 'b'",
                RuleEffect::Close("x".into()),
            ))
        },
        &["TL0517"],
    ),
    (
        "intents that only the default takes",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ]
        },
        &["TL0503"],
    ),
    (
        "the same, meant",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ];
            p.decision.branches[1].reason = Some("other_intents".into());
        },
        &[],
    ),
    (
        "the same, by rules",
        |p| {
            p.decision.branches = vec![
                branch(Some("record.intent == 'a'"), vec![Step::Effect(CRM)]),
                branch(None, vec![Step::Deny]),
            ];
            p.rules.push(rule(
                "record.intent in ['b', 'c']",
                RuleEffect::Close("x".into()),
            ));
        },
        &[],
    ),
    // 4
    (
        "an automatic message with the whole check",
        |p| p.policy.lines[1] = line("reply", Say::Auto),
        &[],
    ),
    (
        "without the check",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            reply(p).check = None;
        },
        &["TL0504"],
    ),
    (
        "without a template file",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            reply(p).template_file = None;
            reply(p).body = template("Hello ${record.name}");
        },
        &["TL0504"],
    ),
    (
        "a text of the workflow file that nothing fills in",
        |p| reply(p).template_file = None,
        &[],
    ),
    (
        "without a limit",
        |p| {
            p.policy.lines[1] = line("reply", Say::AutoIfVip);
            p.policy.lines[1].limit = None;
        },
        &["TL0504"],
    ),
    (
        "with a limit per tenant",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            p.policy.lines[1].limit.as_mut().unwrap().per = LimitScope::Tenant;
        },
        &["TL0504"],
    ),
    (
        "a name in the text",
        |p| says(p, "Hello ${record.name}"),
        &[],
    ),
    (
        "the own address in the text",
        |p| says(p, "Hello ${record.email}, ${record.vip}"),
        &[],
    ),
    (
        "a message in the text",
        |p| says(p, "You wrote: ${record.note}"),
        &["TL0504"],
    ),
    (
        "the event in the text",
        |p| says(p, "Hello ${event.name}"),
        &["TL0504"],
    ),
    (
        "a message in the subject",
        |p| {
            says(p, "Hello");
            reply(p).subject = Some(template("${record.note}"));
        },
        &["TL0504"],
    ),
    (
        "a message in the text, approved",
        |p| reply(p).body = template("You wrote: ${record.note}"),
        &[],
    ),
    (
        "a text as recipient",
        |p| {
            p.policy.lines[1] = line("reply", Say::Auto);
            *reply(p) = message("record.note", true);
        },
        &["TL0504", "TL0519"],
    ),
    (
        "a text as recipient, approved",
        |p| *reply(p) = message("record.note", false),
        &["TL0519"],
    ),
    (
        "a fixed recipient",
        |p| p.policy.lines[2] = line("transfer", Say::Auto),
        &[],
    ),
    (
        "free text in a path",
        |p| *crm(p) = rest("/leads/${record.note}"),
        &["TL0504"],
    ),
    (
        "free text in a path, approved",
        |p| {
            *crm(p) = rest("/leads/${record.note}");
            p.policy.lines[0] = line("crm_upsert", Say::Approve);
            p.decision.branches.remove(0);
        },
        &[],
    ),
    (
        "the natural key in a path",
        |p| {
            *crm(p) = rest("/leads/${record.note}");
            p.record.natural_keys.push(template("${record.note}"));
        },
        &[],
    ),
    (
        "a rule's text in a path",
        |p| {
            *crm(p) = rest("/leads/${record.tier}");
            p.rules.push(rule(
                "record.vip",
                RuleEffect::Set(vec![("tier".into(), expr("'gold'"))]),
            ));
        },
        &[],
    ),
    (
        "a rule that copies text into a path",
        |p| {
            *crm(p) = rest("/leads/${record.tier}");
            p.rules.push(rule(
                "record.vip",
                RuleEffect::Set(vec![("tier".into(), expr("record.note"))]),
            ));
        },
        &["TL0504"],
    ),
    (
        "a typed control field",
        |p| p.record.fields[0].control = true,
        &[],
    ),
    (
        "a control field of free text",
        |p| p.record.fields[4].control = true,
        &["TL0518"],
    ),
    // 5
    (
        "a resent message",
        |p| p.actions[usize::from(REPLY)].on_unknown = OnUnknown::Resend,
        &["TL0505"],
    ),
    (
        "E1 without a key",
        |p| p.actions[usize::from(CRM)].class = Class::E1,
        &["TL0505"],
    ),
    (
        "E2 without a lock",
        |p| crm(p).lock = Lock::LastWriterWins,
        &["TL0505"],
    ),
    (
        "an action that does not exist",
        |p| p.decision.branches[0].actions.push(Step::Effect(9)),
        &["TL0519"],
    ),
    (
        "an emitted action that does not exist",
        |p| {
            p.actions.truncate(3);
            p.edges[3].emit.insert(Emit::DomainEvent);
        },
        &["TL0519"],
    ),
    // 6
    (
        "AI that must not be left out",
        |p| p.ai.as_mut().unwrap().optional = false,
        &["TL0520"],
    ),
    (
        "AI in another state",
        |p| p.ai.as_mut().unwrap().when_state = AUTOMATED,
        &["TL0520"],
    ),
    (
        "without AI nobody is asked",
        |p| {
            let s = own_state(p);
            p.edges
                .extend([edge(TRIAGED, s), edge(s, TRIAGED), edge(s, CLOSED)]);
            p.states[1].on_breach = Some(s);
            p.states[usize::from(s)].on_breach = Some(TRIAGED);
            p.decision.branches = vec![
                branch(Some("has(confidence)"), vec![Step::HumanQueue]),
                branch(None, vec![Step::Close]),
            ];
            p.decision.branches[1].to = Some(s);
        },
        &["TL0506"],
    ),
];

#[test]
fn every_proof_finds_what_it_is_about() {
    let mut wrong = Vec::new();
    for (name, change, want) in ROWS {
        let mut p = base();
        change(&mut p);
        let got = findings(&p);
        let mut codes: Vec<&str> = got.iter().map(|f| f.code).collect();
        codes.sort_unstable();
        codes.dedup();
        if codes != *want {
            let said: Vec<String> = got
                .iter()
                .map(|f| format!("{} {}; {}", f.code, f.message, f.why))
                .collect();
            wrong.push(format!(
                "{name}: found {codes:?}, wanted {want:?}\n  {}",
                said.join("\n  ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Goes a printed way in the kernel; the case and the entries of its last turn. Nothing may be refused, and the end
/// shows what the way is printed for.
fn go(program: &Program, path: &CounterExample) -> (Case, Vec<Entry>) {
    let mut cases = vec![unborn()];
    let mut entries = Vec::new();
    assert!(!path.turns.is_empty(), "only possible: {path}");
    assert_eq!(path.turns.len(), path.steps.len(), "{path}");
    for (turn, step) in path.turns.iter().zip(&path.steps) {
        assert_eq!(turn.threshold, program.decision.threshold.value());
        let case = &cases[cases.len() - 1];
        match decide(program, case, turn.input.clone(), &turn.facts(case)) {
            Decision::Turn(turn, after) => {
                cases.push(*after);
                entries = open(&turn.sealed).expect("the head opens").0.entries;
            }
            Decision::Refused(r) => panic!("`{step}` is refused: {}\n{path}", r.message),
        }
    }
    assert!(world::shows(program, path, &cases, &entries), "{path}");
    (cases.pop().expect("a case"), entries)
}

fn found(code: &str, change: fn(&mut Program)) -> (Program, Finding) {
    let mut p = base();
    change(&mut p);
    let finding = shown(&p).into_iter().find(|f| f.code == code);
    (p, finding.unwrap_or_else(|| panic!("{code} is not found")))
}

#[test]
fn a_way_to_a_forbidden_action_plans_it() {
    let rows = ROWS.iter().filter(|(_, _, codes)| *codes == ["TL0502"]);
    let mut gone = 0;
    for (name, change, _) in rows {
        let (p, finding) = found("TL0502", *change);
        let path = finding.path.expect("a way");
        let (_, entries) = go(&p, &path);
        let planned = |e: &Entry| matches!(e, Entry::Planned(p) if p.verdict == Verdict::Never);
        assert!(entries.iter().any(planned), "{name}: {path}\n{entries:?}");
        gone += 1;
    }
    assert!(gone >= 2);
}

#[test]
fn a_way_to_a_silent_end_ends_silently() {
    for name in [
        "a breach that leads nowhere",
        "a breach along no transition",
        "a branch that stays, with no clock",
    ] {
        let (_, change, _) = ROWS.iter().find(|(n, _, _)| *n == name).unwrap();
        let (p, finding) = found("TL0514", *change);
        let path = finding.path.expect("a way");
        let (case, _) = go(&p, &path);
        let left = case.open_tasks().count() + case.open_effects().count() + case.timers.len();
        assert!(
            left == 0 && case.state != CLOSED,
            "{name}: {path}\n{case:?}"
        );
    }
}

#[test]
fn a_finding_points_at_its_line_and_says_the_way() {
    let mut p = base();
    p.policy.lines[0] = line("crm_upsert", Say::Never);
    p.policy.lines[0].line = 3;
    p.decision.branches[0] = branch(Some("confidence >= threshold"), vec![Step::Effect(CRM)]);
    let text = "policy:\n  # who may do what\n  crm_upsert: never\n";
    let sources = Sources {
        workflow: "workflow.yaml",
        workflow_text: "workflow: {}\n",
        policy: "policy.yaml",
        policy_text: text,
    };
    let diags = prove(&p, &sources);
    let shown = tl_lang::render(&diags, |f| (f == "policy.yaml").then_some(text), false);
    for part in [
        "error[TL0502]: `crm_upsert` may never happen, but the branch in line 50 plans it",
        "policy.yaml:3:3",
        "3 |   crm_upsert: never",
        "^^^^^^^^^^^^^^^^^",
        "1. a message arrives: the case begins in pending \u{2192} triaged",
        "2. triaged: the model answers; the decision takes the branch in line 50 (`confidence >= threshold`)",
        "write `crm_upsert: approve`",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn a_part_that_is_not_understood_is_named() {
    let (_, finding) = found("TL0502", |p| {
        p.policy.lines[0] = line("crm_upsert", Say::Never);
        p.decision.branches[0] = branch(
            Some("record.note.matches('^[0-9]{7}$')"),
            vec![Step::Effect(CRM)],
        );
    });
    let path = finding.path.expect("a way");
    let said = path.to_string();
    assert!(
        path.turns.is_empty() && said.starts_with("this is possible, unless"),
        "{said}"
    );
    assert!(
        said.contains("possible, unless `record.note.matches('^[0-9]{7}$')` can never be true"),
        "{said}"
    );
}

#[test]
fn the_files_of_the_product_pass() {
    let table = [
        ("short", "support_ticket_triage", &["TL0517"][..]),
        ("../../throughline/demo/project", "inbound_lead", &[]),
    ];
    for (dir, id, want) in table {
        let project = common::directory(dir);
        let program = common::program(&project, id);
        let file = format!("workflows/{id}/workflow.yaml");
        let text = project.text(&file).unwrap();
        let sources = Sources {
            workflow: &file,
            workflow_text: text,
            policy: &file,
            policy_text: text,
        };
        let diags = prove(&program, &sources);
        let shown = tl_lang::render(&diags, |f| project.text(f), false);
        let codes: Vec<&str> = diags.iter().map(|d| d.code).collect();
        assert_eq!(codes, want, "{shown}");
        assert!(
            diags.iter().all(|d| d.severity == Severity::Warning),
            "{shown}"
        );
        assert!(load(&project, id).program.is_some());
    }
}

/// A change to the base, the code that finds it, and what the mend says.
type Mend = (fn(&mut Program), &'static str, &'static str);

#[rustfmt::skip]
const MENDS: &[Mend] = &[
    (
        |p| {
            p.policy.lines[2] = line("transfer", Say::Never);
            p.decision.branches[0] = branch(Some("policy_allows"), vec![Step::Effect(TRANSFER)]);
        },
        "TL0517",
        "write `transfer: auto` under `policy`",
    ),
    (|p| p.edges.retain(|e| e.to != AUTOMATED), "TL0501", "the state itself always exists"),
    (
        |p| {
            let own = own_state(p);
            p.edges.push(edge(own, CLOSED));
        },
        "TL0501",
        "or take the state out",
    ),
    (
        |p| {
            p.decision.branches[0] = branch(Some("needs_human"), vec![Step::HandOff]);
            without(p, AUTOMATED, CLOSED);
        },
        "TL0515",
        "declare the transition { from: automated, to: closed }",
    ),
];

#[test]
fn mends_say_what_to_write() {
    for (change, code, want) in MENDS {
        let mut p = base();
        change(&mut p);
        let found = findings(&p);
        let said = |f: &Finding| f.code == *code && f.mend.contains(want);
        assert!(found.iter().any(said), "{want}: {found:#?}");
    }
}

/// What a way needs that the model does not choose, what is done to the base, and the code that is found.
type Gone = (&'static str, fn(&mut Program), &'static str);

const GONE: &[Gone] = &[
    (
        "a text that is searched for, beside other values",
        |p| forbidden_if(p, "record.budget > 100 && record.note.contains('now')"),
        "TL0502",
    ),
    (
        "a text of some length",
        |p| forbidden_if(p, "record.note.size() > 500"),
        "TL0502",
    ),
    (
        "a value that only a person can set",
        |p| forbidden_if(p, "record.intent == 'b'"),
        "TL0502",
    ),
    (
        "an address that only a person can vouch for",
        |p| {
            forbidden_if(p, "policy_allows");
            p.policy.lines[1] = line("reply", Say::Auto);
            reply(p).check = None;
            p.decision.branches[0].actions = vec![Step::Effect(REPLY)];
        },
        "TL0504",
    ),
    (
        "a person's move",
        |p| {
            p.ai = None;
            p.states[1].on_breach = None;
            p.decision.branches = vec![branch(None, vec![Step::Close])];
        },
        "TL0514",
    ),
    (
        "a policy that is stricter for one of two actions",
        |p| {
            forbidden_if(p, "record.vip");
            p.policy.lines[2] = line("transfer", Say::Auto);
            p.decision.branches[0].actions = vec![Step::Effect(CRM), Step::Effect(TRANSFER)];
            p.states[3].on_breach = Some(AUTOMATED);
            p.edges.iter_mut().for_each(|e| {
                if e.to == AUTOMATED {
                    e.emit.clear();
                }
            });
        },
        "TL0514",
    ),
    (
        "a circle",
        |p| {
            let s = own_state(p);
            p.edges
                .extend([edge(TRIAGED, s), edge(s, TRIAGED), edge(s, CLOSED)]);
            p.ai = None;
            p.states[1].on_breach = Some(s);
            p.states[usize::from(s)].on_breach = Some(TRIAGED);
            p.decision.branches = vec![branch(None, vec![Step::Close])];
            p.decision.branches[0].to = Some(s);
        },
        "TL0514",
    ),
];

#[test]
fn ways_that_the_model_does_not_choose_are_gone() {
    for (name, change, code) in GONE {
        let (p, finding) = found(code, *change);
        let path = finding.path.expect(name);
        println!("{name}: {path}");
        assert!(!path.turns.is_empty(), "{name}: {path}");
        go(&p, &path);
    }
}

/// Every way that any row prints and that is not called possible is gone in the kernel, for each proof.
#[test]
fn every_printed_way_is_gone() {
    let (mut gone, mut possible) = (BTreeMap::new(), Vec::new());
    for (name, change, _) in ROWS {
        let mut p = base();
        change(&mut p);
        for finding in shown(&p) {
            let Some(path) = &finding.path else { continue };
            if path.turns.is_empty() {
                assert!(
                    path.to_string().starts_with("this is possible, unless"),
                    "{path}"
                );
                possible.push(format!("{name} {}: {path}", finding.code));
                continue;
            }
            go(&p, path);
            *gone.entry(finding.code).or_insert(0) += 1;
        }
    }
    println!(
        "gone {gone:?}, possible {}: {}",
        possible.len(),
        possible.join("\n")
    );
    for code in ["TL0514", "TL0502", "TL0503", "TL0504", "TL0505", "TL0506"] {
        assert!(
            gone.contains_key(code),
            "no way of {code} was gone: {gone:?}"
        );
    }
    let all = gone.values().sum::<usize>() + possible.len();
    assert!(
        possible.is_empty(),
        "{} of {all} are only possible",
        possible.len()
    );
}
