//! What passes the proofs holds when it runs: thousands of random small definitions, each driven through `decide`
//! by every input that its cases accept, breadth-first, until no new case is found. Nothing that passes can be
//! made to send without its gate, its approval or against its policy, nor to end silently, nor to be stuck. And
//! the other way around: what the proofs print as having happened happens.
//!
//! The verdict that is expected is worked out here from what the generator wrote, not by the kernel's policy.

mod drive;
mod world;

use std::collections::BTreeMap;

use drive::{Current, Trial};
use tl_kernel::decide::decide;
use tl_kernel::journal::open;
use tl_kernel::policy::When;
use tl_kernel::program::Program;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED};
use tl_kernel::turn::Decision;
use tl_lang::Severity;
use tl_lang::proof::{findings, shown, unborn};
use world::{Parts, Rng, Say};

const SEED: u64 = 0x7468_726f_7567_6821;
/// Small definitions, each driven to its end: in the ordinary run, and with `TL_LONG=1`.
const SMALL: (usize, usize) = (300, 10_000);
/// Larger definitions, each driven by random histories.
const LARGER: (usize, usize) = (2_000, 10_000);
/// Definitions whose printed ways are gone.
const WAYS: usize = 300;
/// Inputs tried breadth-first; a definition that has more is cut off.
const MAX_INPUTS: usize = 40_000;
/// Of a hundred sound small definitions, so many must have been driven by everything there is.
const MIN_DRIVEN: usize = 90;
/// Of a hundred small definitions, so many at least must pass the proofs, and so many must not.
const MIN_EITHER: usize = 15;

fn size((short, long): (usize, usize)) -> usize {
    match std::env::var("TL_LONG").as_deref() {
        Ok("1") => long,
        _ => short,
    }
}

#[test]
fn small_definitions_that_pass_hold_by_every_history() {
    let all = size(SMALL);
    println!("seed {SEED:#x}, {all} small definitions");
    let (mut sound, mut ended, mut inputs, mut cases) = (0usize, 0usize, 0, 0);
    each(all, Parts::small, |i, program, says, _| {
        if !is_proven(program) {
            return;
        }
        sound += 1;
        match Trial::new(program, says).every(i % 4 == 0, MAX_INPUTS, |_| ()) {
            Ok(d) => {
                ended += usize::from(!d.cut);
                inputs += d.inputs;
                cases += d.cases;
            }
            Err(why) => panic!(
                "small definition {i} (seed {SEED:#x}): {why}\n{says:?}\n{}",
                show(program)
            ),
        }
    });
    println!(
        "{sound} pass the proofs, {ended} of them driven to the end, {} cut off at {MAX_INPUTS} inputs; \
         {inputs} inputs decided, {cases} different cases",
        sound - ended
    );
    assert!(
        ended * 100 >= sound * MIN_DRIVEN,
        "only {ended} of {sound} were driven to the end"
    );
    for (what, n) in [("sound", sound), ("unsound", all - sound)] {
        assert!(
            n * 100 >= all * MIN_EITHER,
            "the generator makes too few {what} definitions: {n} of {all}"
        );
    }
}

#[test]
fn larger_definitions_that_pass_hold_by_random_histories() {
    let all = size(LARGER);
    let (mut sound, mut inputs) = (0, 0);
    each(all, Parts::program, |i, program, says, rng| {
        if is_proven(program) {
            sound += 1;
            match Trial::new(program, says).walks(rng) {
                Ok(d) => inputs += d.inputs,
                Err(why) => panic!(
                    "definition {i} (seed {SEED:#x}): {why}\n{says:?}\n{}",
                    show(program)
                ),
            }
        }
    });
    println!("{sound} of {all} larger definitions pass the proofs; {inputs} inputs decided");
    assert!(sound * 5 > all, "too few pass: {sound} of {all}");
}

/// The same trials find each fault that is planted: a policy that is not obeyed, a proof that is not heeded.
#[test]
fn planted_faults_are_found() {
    type Fault = (&'static str, fn(&mut Program), fn(&mut Trial<'_>));
    let faults: [Fault; 3] = [
        // `approve` is treated as `auto`.
        (
            "leaves although the policy says Approve",
            |p| {
                let lines = p.policy.lines.iter_mut();
                lines.for_each(|l| l.auto = When::Always);
            },
            |_| (),
        ),
        // A policy that was tightened does not reach open cases.
        (
            "leaves although the policy says Never",
            |_| (),
            |t| t.policies[Current::AllNever as usize] = t.policies[Current::Same as usize].clone(),
        ),
        // No clock runs and nothing closes a case that is done; no proof looked.
        (
            "ends silently",
            |p| {
                p.edges.retain(|e| (e.from, e.to) != (AUTOMATED, CLOSED));
                p.edges.iter_mut().for_each(|e| e.emit.clear());
            },
            |_| (),
        ),
    ];
    for (what, plant, plant_trial) in faults {
        let mut found = 0;
        each(200, Parts::small, |_, program, says, _| {
            if is_proven(program) {
                let mut faulty = program.clone();
                plant(&mut faulty);
                let mut trial = Trial::new(&faulty, says);
                plant_trial(&mut trial);
                let outcome = trial.every(false, MAX_INPUTS / 10, |_| ());
                found += usize::from(outcome.is_err_and(|why| why.contains(what)));
            }
        });
        assert!(found > 5, "the fault `{what}` was found {found} times");
    }
}

/// What the proofs refuse is not refused for nothing: every way that they print and do not call possible is gone
/// in the kernel and leads where it says.
#[test]
fn printed_ways_lead_where_they_say() {
    let (mut gone, mut possible) = (BTreeMap::new(), BTreeMap::new());
    each(WAYS, Parts::program, |i, program, _, _| {
        for finding in shown(program) {
            let Some(path) = finding.path else { continue };
            if path.turns.is_empty() {
                *possible.entry(finding.code).or_insert(0) += 1;
                continue;
            }
            let (mut cases, mut entries) = (vec![unborn()], Vec::new());
            for turn in &path.turns {
                let case = &cases[cases.len() - 1];
                let facts = turn.facts(case);
                let input = turn.input.clone();
                let Decision::Turn(turn, after) = decide(program, case, input, &facts) else {
                    panic!("definition {i}: a step is refused\n{path}");
                };
                cases.push(*after);
                entries = open(&turn.sealed).expect("the head opens").0.entries;
            }
            assert!(
                world::shows(program, &path, &cases, &entries),
                "definition {i}: {}\n{path}",
                finding.message
            );
            *gone.entry(finding.code).or_insert(0) += 1;
        }
    });
    let only = possible.values().sum::<usize>();
    let all = gone.values().sum::<usize>() + only;
    println!("of {all} printed ways {only} are only possible: {possible:?}; gone: {gone:?}");
    // What stays possible: values of several turns that exclude each other, which the model forgets between turns.
    assert!(only * 50 <= all, "{only} of {all} are only possible");
}

type Make = fn(&Parts, &mut Rng) -> (Program, [Say; 4]);

fn each(n: usize, make: Make, mut run: impl FnMut(usize, &Program, [Say; 4], &mut Rng)) {
    let parts = Parts::new();
    let mut rng = Rng(SEED);
    for i in 0..n {
        let (program, says) = make(&parts, &mut rng);
        run(i, &program, says, &mut rng);
    }
}

fn is_proven(program: &Program) -> bool {
    findings(program)
        .iter()
        .all(|f| f.severity != Severity::Error)
}

fn show(p: &Program) -> String {
    let mut out = String::new();
    for s in &p.states {
        out.push_str(&format!(
            "state {} terminal {} pause {} on_breach {:?}\n",
            s.name, s.terminal, s.pause, s.on_breach
        ));
    }
    for e in &p.edges {
        out.push_str(&format!("edge {} {} {:?}\n", e.from, e.to, e.emit));
    }
    for b in &p.decision.branches {
        let text = b
            .condition
            .as_ref()
            .map_or("default", |c| c.source.as_str());
        out.push_str(&format!("branch `{text}` {:?} to {:?}\n", b.actions, b.to));
    }
    for r in &p.rules {
        out.push_str(&format!("rule `{}` {:?}\n", r.when, r.effect));
    }
    out.push_str(&format!(
        "ai {}, ask_missing {:?}, {:?}, {:?}",
        p.ai.is_some(),
        p.tasks.ask_missing,
        p.record.on_match,
        p.goal
    ));
    out
}
