//! What the proofs find, where they point, and that the ways they print can be gone.

#[path = "proofs/change.rs"]
mod change;
mod common;
#[path = "proofs/rows.rs"]
mod rows;
mod world;

use std::collections::BTreeMap;

use change::{CRM, REPLY, TRANSFER, forbidden_if, own_state, reply, without};
use rows::ROWS;
use tl_kernel::case::Case;
use tl_kernel::decide::decide;
use tl_kernel::journal::{Entry, open};
use tl_kernel::policy::Verdict;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, TRIAGED};
use tl_kernel::program::{Program, Step};
use tl_kernel::turn::Decision;
use tl_lang::proof::{CounterExample, Finding, Sources, findings, prove, shown, unborn};
use tl_lang::{Severity, load};
use world::{Say, base, branch, edge, line};

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
