//! What passes the proofs holds when it runs: thousands of random small definitions, each driven through `decide`
//! by every input that its cases accept, breadth-first, until no new case is found. Nothing that passes can be
//! made to send without its gate, its approval or against its policy, nor to end silently, nor to be stuck. And
//! the other way around: what the proofs print as having happened happens.
//!
//! The verdict that is expected is worked out here from what the generator wrote, not by the kernel's policy.

mod drive;
mod world;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use drive::{Current, Driven, Trial};
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
/// Inputs tried breadth-first; a definition that has more is cut off. Larger with `TL_LONG=1`.
const MAX_INPUTS: (usize, usize) = (40_000, 200_000);
/// Of a hundred sound small definitions, so many may be cut off there: it was 7 when this was set.
const MAX_CUT: usize = 10;
/// Of a hundred cases, so many may have more open effects than are driven on: it was 2 when this was set, and
/// 4 with `TL_LONG=1`.
const MAX_PILED: usize = 8;
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
    let (all, most) = (size(SMALL), size(MAX_INPUTS));
    println!("seed {SEED:#x}, {all} small definitions");
    let driven = each(all, Parts::small, |i, program, says, _| {
        let trial = is_proven(program).then(|| Trial::new(program, says))?;
        match trial.every(i % 4 == 0, most, |_| ()) {
            Ok(driven) => Some(driven),
            Err(why) => panic!(
                "small definition {i} (seed {SEED:#x}): {why}\n{says:?}\n{}",
                show(program)
            ),
        }
    });
    let driven: Vec<Driven> = driven.into_iter().flatten().collect();
    let (sound, cut) = (driven.len(), driven.iter().filter(|d| d.cut).count());
    let to_the_end = driven.iter().filter(|d| !d.cut && d.piled == 0).count();
    let sum = |of: fn(&Driven) -> usize| driven.iter().map(of).sum::<usize>();
    let (inputs, cases, piled) = (sum(|d| d.inputs), sum(|d| d.cases), sum(|d| d.piled));
    let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    println!(
        "{sound} of {all} pass the proofs and are driven: {to_the_end} to the end, {} to the end but for piled cases, {cut} \
         cut off at {most} inputs ({:.1} %, at most {MAX_CUT}); {inputs} inputs decided, {cases} different cases, {piled} \
         of them piled: looked at and not driven on ({:.1} %, at most {MAX_PILED})",
        sound - cut - to_the_end,
        share(cut, sound),
        share(piled, cases),
    );
    assert!(
        cut * 100 <= sound * MAX_CUT,
        "{cut} of {sound} were cut off: the others were driven by everything there is"
    );
    assert!(
        piled * 100 <= cases * MAX_PILED,
        "{piled} of {cases} cases have more open effects than are driven on"
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
    let driven = each(all, Parts::program, |i, program, says, rng| {
        let trial = is_proven(program).then(|| Trial::new(program, says))?;
        match trial.walks(rng) {
            Ok(driven) => Some(driven.inputs),
            Err(why) => panic!(
                "definition {i} (seed {SEED:#x}): {why}\n{says:?}\n{}",
                show(program)
            ),
        }
    });
    let driven: Vec<usize> = driven.into_iter().flatten().collect();
    let (sound, inputs) = (driven.len(), driven.iter().sum::<usize>());
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
        let found = each(200, Parts::small, |_, program, says, _| {
            let mut faulty = program.clone();
            plant(&mut faulty);
            let mut trial = Trial::new(&faulty, says);
            plant_trial(&mut trial);
            let outcome = || trial.every(false, MAX_INPUTS.0 / 10, |_| ());
            is_proven(program) && outcome().is_err_and(|why| why.contains(what))
        });
        let found = found.into_iter().filter(|f| *f).count();
        assert!(found > 5, "the fault `{what}` was found {found} times");
    }
}

/// What the proofs refuse is not refused for nothing: every way that they print and do not call possible is gone
/// in the kernel and leads where it says.
#[test]
fn printed_ways_lead_where_they_say() {
    let found = each(WAYS, Parts::program, |i, program, _, _| {
        let mut found = Vec::new();
        for finding in shown(program) {
            let Some(path) = finding.path else { continue };
            found.push((finding.code, path.turns.is_empty()));
            if path.turns.is_empty() {
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
        }
        found
    });
    let (mut gone, mut possible) = (BTreeMap::new(), BTreeMap::new());
    for (code, only) in found.into_iter().flatten() {
        let of = if only { &mut possible } else { &mut gone };
        *of.entry(code).or_insert(0) += 1;
    }
    let only = possible.values().sum::<usize>();
    let all = gone.values().sum::<usize>() + only;
    println!("of {all} printed ways {only} are only possible: {possible:?}; gone: {gone:?}");
    // What stays possible: values of several turns that exclude each other, which the model forgets between turns.
    assert!(only * 50 <= all, "{only} of {all} are only possible");
}

type Make = fn(&Parts, &mut Rng) -> (Program, [Say; 4]);

/// What comes of each of so many definitions. Every core makes all of them and runs its share; what a run draws depends
/// on the definition's number alone, so that the number of cores makes no difference.
fn each<T: Send>(
    n: usize,
    make: Make,
    run: impl Fn(usize, &Program, [Say; 4], &mut Rng) -> T + Sync,
) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, |c| c.get());
    let share = |core: usize| {
        let parts = Parts::new();
        let mut rng = Rng(SEED);
        let mut out = Vec::new();
        for i in 0..n {
            let (program, says) = make(&parts, &mut rng);
            if i % cores == core {
                let mut own = Rng(SEED ^ (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
                out.push(run(i, &program, says, &mut own));
            }
        }
        out
    };
    thread::scope(|scope| {
        let share = &share;
        let all = (0..cores).map(|core| scope.spawn(move || share(core)));
        let all: Vec<_> = all.collect();
        let joined = all.into_iter().map(|t| t.join());
        joined
            .flat_map(|out| out.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
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
