//! The model against the kernel: whatever `decide` makes of a case, the model foresees from what it remembers of
//! that case. A change of `decide` that the model does not follow is found here, edge by edge, before it makes a
//! proof wrong.

#[path = "../../tests/drive/mod.rs"]
mod drive;
#[path = "../../tests/world/mod.rs"]
pub(super) mod world;

use std::collections::{BTreeMap, BTreeSet};

use drive::{Node, Step, Trial};
use tl_kernel::case::Case;
use tl_kernel::decide::{CommandKind, Input, Resolve};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::TimerKind;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED};
use tl_kernel::program::{Emit, Program};
use world::{Parts, Rng};

use super::Cue;
use super::model::{Model, Options};
use super::spot::{Spot, task};
use super::words::Words;

/// Definitions, sound or not, and inputs tried for each.
const DEFINITIONS: usize = 150;
const INPUTS: usize = 4_000;
const SEED: u64 = 0x6d69_7272_6f72;

fn spot(at: &Node) -> Spot {
    Spot::of(&at.case, at.parked)
}

/// What the model calls an input; `None` where it knows of nothing that could come of it.
fn cue(program: &Program, before: &Case, input: &Input) -> Option<Cue> {
    Some(match input {
        Input::EventAdmitted(_) => Cue::Message,
        Input::ModelAnswered(_) => Cue::Answered,
        Input::ModelFailed { .. } => Cue::NoAnswer,
        Input::TaskDecided(t) => {
            let task = &before.tasks[&t.n];
            let breach = task.reason == "sla_breach";
            let of_kind =
                |(bit, kind): &&(u8, &str)| *kind == task.kind && (*bit == task::BREACH) == breach;
            let (bit, kind) = *task::NAMES.iter().find(of_kind)?;
            let decision = match t.decision.as_str() {
                "edit" => "approve",
                word => *["approve", "reject", "accept", "close"]
                    .iter()
                    .find(|w| **w == word)?,
            };
            Cue::Decided {
                bit,
                kind,
                decision,
            }
        }
        Input::EffectSettled(s) => match s.state {
            EffectState::Succeeded => Cue::Succeeded,
            EffectState::Uncertain => Cue::Uncertain,
            EffectState::Superseded => Cue::Conflict,
            _ => Cue::Trouble,
        },
        Input::TimerFired { n } => match before.timers[n].0 {
            TimerKind::Breach => Cue::Breach,
            TimerKind::Unanswered(_) => Cue::Unanswered,
            _ => return None,
        },
        Input::Command(c) => match &c.what {
            CommandKind::Move(to) => Cue::Move(program.state_ix(to)?),
            CommandKind::Reopen => Cue::Reopen,
            CommandKind::Resolve { how, .. } if *how == Resolve::SendAgain => Cue::SendAgain,
            CommandKind::Resolve { .. } => Cue::Resolved,
            CommandKind::Close | CommandKind::Assign(_) => return None,
        },
    })
}

/// The goal's clock gives a case to somebody; the model does without it.
fn is_about_goal(at: &Node) -> bool {
    at.case.open_tasks().any(|(_, t)| t.reason == "goal_missed")
}

/// Edges of the model that were met: what happened, and what it led to.
#[derive(Default)]
struct Met {
    cues: BTreeMap<String, BTreeSet<(Spot, Spot)>>,
    /// By what happened: what came of it although the model does not foresee it.
    wrong: BTreeMap<String, String>,
}

fn watch(model: &mut Model<'_>, step: &Step<'_>, met: &mut Met) {
    if is_about_goal(step.before) || is_about_goal(step.after) {
        return;
    }
    let (from, to) = (spot(step.before), spot(step.after));
    let cue = cue(model.program, &step.before.case, step.input);
    let foreseen: Vec<Spot> = match cue {
        Some(cue) if !model.cues(from).contains(&cue) => Vec::new(),
        Some(cue) => model
            .happens(from, cue)
            .into_iter()
            .map(|(s, _)| s)
            .collect(),
        None => vec![from],
    };
    let name = cue.map_or("nothing".into(), |c| match c {
        Cue::Move(_) => "Move".into(),
        Cue::Decided { kind, decision, .. } => format!("{kind} {decision}"),
        c => format!("{c:?}"),
    });
    // A turn that leaves all of it as it was, such as one of two tasks that are alike being done, leads nowhere new.
    // Where a record may have been touched, it need not have been.
    let touched = Spot {
        touched: true,
        ..to
    };
    if to == from || foreseen.contains(&to) || foreseen.contains(&touched) {
        met.cues.entry(name).or_default().insert((from, to));
    } else {
        met.wrong.entry(name).or_insert_with(|| {
            let foreseen: BTreeSet<&Spot> = foreseen.iter().collect();
            let foreseen: Vec<String> = foreseen.iter().map(|s| format!("\n     {s:?}")).collect();
            let foreseen = foreseen.concat();
            format!(
                "\nfrom {from:?}\nto   {to:?}, but foreseen is{foreseen}\n{:?}",
                step.input
            )
        });
    }
}

/// Definitions driven through `decide`, each step held against the model of what `lags` makes of it.
fn compare(definitions: usize, inputs: usize, lags: fn(&mut Program)) -> Met {
    let parts = Parts::new();
    let mut rng = Rng(SEED);
    let mut met = Met::default();
    for i in 0..definitions {
        // The larger ones meet what the small ones have no room for.
        let (program, says) = match i % 3 {
            2 => parts.program(&mut rng),
            _ => parts.small(&mut rng),
        };
        let mut other = program.clone();
        lags(&mut other);
        let words = Words::new(&other);
        let everything = Options {
            ai: true,
            commands: true,
        };
        let mut model = Model::new(&other, &words, everything);
        // Whether it can end silently is another matter: what happens until then is looked at.
        let _ = Trial::new(&program, says).every(i % 4 == 0, inputs, |step| {
            watch(&mut model, step, &mut met);
        });
    }
    met
}

#[test]
fn the_model_foresees_whatever_decide_does() {
    let met = compare(DEFINITIONS, INPUTS, |_| ());
    let wrong = met.wrong.iter().map(|(what, w)| format!("{what}: {w}\n"));
    assert!(met.wrong.is_empty(), "{}", wrong.collect::<String>());
    for (cue, met) in &met.cues {
        assert!(met.len() > 3, "{cue} is hardly ever met");
    }
    let edges: usize = met.cues.values().map(BTreeSet::len).sum();
    assert!(edges > 5_000, "only {edges} edges of the model were met");
    let kinds = met.cues.len();
    assert!(kinds >= 23, "only {kinds} kinds of things happened");
}

/// A model that follows `decide` in all but one thing is found out.
#[test]
fn a_model_that_lags_behind_is_found() {
    type Lag = (&'static str, fn(&mut Program));
    let lags: [Lag; 5] = [
        ("a missed SLA moves nothing", |p| {
            p.states.iter_mut().for_each(|s| s.on_breach = None);
        }),
        ("no clock is set", |p| {
            p.edges
                .iter_mut()
                .for_each(|e| _ = e.emit.remove(&Emit::SlaTimer));
        }),
        ("nothing is closed when it is done", |p| {
            p.edges.retain(|e| (e.from, e.to) != (AUTOMATED, CLOSED));
        }),
        ("rules close nothing", |p| p.rules.clear()),
        ("the model is never asked", |p| p.ai = None),
    ];
    for (what, lag) in lags {
        let met = compare(DEFINITIONS / 2, INPUTS / 8, lag);
        assert!(!met.wrong.is_empty(), "`{what}` is not found");
    }
}
