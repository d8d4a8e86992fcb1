//! A way looked for in the kernel itself, where the one that the model shows cannot be gone: the model forgets
//! values between turns, so no values may lead along its shortest way while they lead along another.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::Case;
use tl_kernel::decide::{Input, decide};
use tl_kernel::journal::{Decided, Entry, open};
use tl_kernel::program::Program;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use super::replay::{Offers, every_decision};
use super::space::{Name, Space};
use super::ways::{Claim, Happening, flags, line, shows, signature, stances, unborn};
use super::{CounterExample, Cue, Given};

/// Turns decided in such a search.
const MAX_TURNS: u32 = 2_500;

/// What may happen anywhere beside messages, the decisions of people and moves.
const ANYWHERE: [Cue; 10] = [
    Cue::Answered,
    Cue::NoAnswer,
    Cue::Succeeded,
    Cue::Trouble,
    Cue::Conflict,
    Cue::Uncertain,
    Cue::Breach,
    Cue::Resolved,
    Cue::SendAgain,
    Cue::Reopen,
];

/// A case that was reached, and the last step to it.
struct Reached {
    case: Case,
    last: Option<(usize, Happening, String)>,
}

/// Something that may happen: in words, and as the kernel gets it.
type Offer = (String, Input, Option<Value>);

/// Looks for any way to what a way claims, shortest first; where there is one, it becomes the way.
pub(super) fn wander(program: &Program, space: &Space, path: &mut CounterExample) {
    // That a case is with nobody is shown by where the model's way ends, and only there.
    if path.claim == Claim::ReachesNobody {
        return;
    }
    let offers = Offers { program, space };
    let flags: BTreeMap<String, bool> = path.inputs.iter().flat_map(flags).collect();
    let mut all = vec![Reached {
        case: unborn(),
        last: None,
    }];
    let mut seen = BTreeSet::new();
    let (mut at, mut turns) = (0, 0);
    while at < all.len() {
        for (what, input, event) in possible(&offers, path, &all[at].case) {
            for (policy, word) in stances(program) {
                turns += 1;
                if turns > MAX_TURNS {
                    return;
                }
                let happening = Happening {
                    input: input.clone(),
                    event: event.clone(),
                    policy,
                    flags: flags.clone(),
                    threshold: program.decision.threshold.value(),
                };
                let case = &all[at].case;
                let facts = happening.facts(case);
                let Decision::Turn(turn, after) = decide(program, case, input.clone(), &facts)
                else {
                    break;
                };
                let Ok((head, _)) = open(&turn.sealed) else {
                    break;
                };
                let is_shown = shows(program, &path.claim, (&after, &head.entries), &happening);
                if !is_shown && !seen.insert(signature(&after)) {
                    continue;
                }
                let decided = head.entries.iter().find_map(|e| match e {
                    Entry::Decided(d) => Some(d),
                    _ => None,
                });
                let told = given(program, space, (case, &after), (&what, decided));
                let said = line(program, &told, &after, (decided, word));
                all.push(Reached {
                    case: *after,
                    last: Some((at, happening, said)),
                });
                if is_shown {
                    return taken(all, path);
                }
            }
        }
        at += 1;
    }
}

/// The way to the last case that was reached becomes the way.
fn taken(mut all: Vec<Reached>, path: &mut CounterExample) {
    (path.turns, path.steps) = (Vec::new(), Vec::new());
    let mut at = all.len() - 1;
    while let Some((parent, happening, said)) = all[at].last.take() {
        path.turns.insert(0, happening);
        path.steps.insert(0, said);
        at = parent;
    }
}

/// Everything that may happen to a case, with the values that the model's way names first.
fn possible(offers: &Offers<'_>, path: &CounterExample, case: &Case) -> Vec<Offer> {
    let program = offers.program;
    let values = path.inputs.iter().flat_map(|g| g.values.clone()).collect();
    let mut given = Given {
        values,
        ..Given::new(Cue::Message, &Vec::new())
    };
    let mut out = Vec::new();
    let mut add = |given: &Given| {
        let what = given.cue.say(program);
        let inputs = offers.inputs(&path.inputs, given, case);
        out.extend(inputs.into_iter().map(|(i, e)| (what.clone(), i, e)));
    };
    if case.seq == 0 {
        add(&given);
        return out;
    }
    for cue in ANYWHERE {
        given.cue = cue;
        add(&given);
    }
    // A person who moves a case to where nothing goes on knows of it: that shows no silent end.
    if matches!(path.claim, Claim::Plans(..) | Claim::Takes(..)) {
        for edge in program.edges.iter().filter(|e| e.from == case.state) {
            given.cue = Cue::Move(edge.to);
            add(&given);
        }
    }
    for input in every_decision(case) {
        if let Input::TaskDecided(t) = &input
            && let Some(task) = case.tasks.get(&t.n)
        {
            let what = format!(
                "a person decides a task `{}` with `{}`",
                task.kind, t.decision
            );
            out.push((what, input, None));
        }
    }
    out
}

/// A step as it is told: what happened, the branch that was taken, and the values that it rests on.
fn given(
    program: &Program,
    space: &Space,
    (before, after): (&Case, &Case),
    (what, decided): (&str, Option<&Decided>),
) -> Given {
    let from = program.state_name(before.state);
    let mut head = match before.seq {
        0 => format!("{what}: the case begins in {from}"),
        _ => format!("{from}: {what}"),
    };
    let mut values = Vec::new();
    if let Some(d) = decided {
        let taken = d.branch as usize;
        let branches = &program.decision.branches[..=taken];
        let conditions = || branches.iter().filter_map(|b| b.condition.as_ref());
        let last = branches.last().and_then(|b| b.condition.as_ref());
        let text = last.map_or("default", |c| c.source.as_str());
        head.push_str(&format!(
            "; the decision takes the branch in line {} (`{text}`)",
            d.line
        ));
        let asked = conditions().flat_map(|c| c.reads());
        let told = |p: &Vec<String>| {
            ["record", "confidence", "threshold", "missing"].contains(&p[0].as_str())
                && space.find(&Name::Path(p.clone())).is_some()
        };
        let names: BTreeSet<String> = asked.filter(told).map(|p| p.join(".")).collect();
        values.extend(names.into_iter().map(|n| (n, None)));
    }
    let moved = after.state != before.state || before.seq == 0;
    Given {
        values,
        head,
        tail: match moved {
            true => format!(" \u{2192} {}", program.state_name(after.state)),
            false => String::new(),
        },
        ..Given::new(Cue::Message, &Vec::new())
    }
}
