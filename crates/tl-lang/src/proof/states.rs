//! Proof 1: every state is reachable and left again, answered for and timed, and no case ends silently.

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{Edge, Emit, Program, State, StateIx, Step};

use super::fix::Fix;
use super::model::{Model, Options};
use super::walk::{self, Walk};
use super::words::Words;
use super::{Claim, Finding};

/// Proof 1. What the exploration of the model found is shared with the proof about permissions.
pub(super) fn prove(program: &Program, out: &mut Vec<Finding>) {
    let reachable = reachable(program);
    reviewed(program, &reachable, out);
    for (ix, state) in program.states.iter().enumerate() {
        let ix = ix as StateIx;
        if reachable[usize::from(ix)] {
            one(program, ix, state, out);
        } else if state.line > 0 || program.edges.iter().any(|e| e.from == ix) {
            out.push(
                Finding::new(
                    "TL0501",
                    state.line,
                    format!("no case ever reaches the state `{}`", state.name),
                )
                .why(format!(
                    "no declared transition leads to it from {}",
                    listed(program, &reachable)
                ))
                .mend(if NAMES.contains(&state.name.as_str()) {
                    format!(
                        "declare a transition to `{0}`, or take what the file says of `{0}` out: the state itself \
                         always exists",
                        state.name
                    )
                } else {
                    format!(
                        "declare a transition to `{}`, or take the state out",
                        state.name
                    )
                })
                .key("transitions"),
            );
        }
    }
}

/// What a reviewer may decide moves the case out of `needs_human`: both ways should be declared.
fn reviewed(program: &Program, reachable: &[bool], out: &mut Vec<Finding>) {
    if !reachable[usize::from(NEEDS_HUMAN)] {
        return;
    }
    let state = &program.states[usize::from(NEEDS_HUMAN)];
    for (to, word) in [(CLOSED, "reject"), (TRIAGED, "approve")] {
        if program.edge(NEEDS_HUMAN, to).is_none() {
            let (from, to) = (&state.name, program.state_name(to));
            out.push(
                Finding::new(
                    "TL0515",
                    state.line,
                    format!("to `{word}` a review will be refused"),
                )
                .warning()
                .why(format!(
                    "it moves the case from `{from}` to `{to}`, and no transition does"
                ))
                .mend(format!(
                    "declare the transition {{ from: {from}, to: {to} }}"
                ))
                .fix(Fix::Edge(from.clone(), to.to_owned()))
                .key("transitions"),
            );
        }
    }
}

/// What a person may decide about a hand-off ends the case: where a branch hands off, it can end.
pub(super) fn handed_off(program: &Program, out: &mut Vec<Finding>) {
    let asks = |s: &Step| matches!(s, Step::HumanQueue | Step::AskMissing | Step::Deny);
    let reachable = reachable(program);
    for branch in &program.decision.branches {
        let own = branch.to.is_some() || !branch.actions.iter().any(asks);
        if !own || !branch.actions.contains(&Step::HandOff) {
            continue;
        }
        let at = branch.to.unwrap_or(AUTOMATED);
        let state = &program.states[usize::from(at)];
        let message = format!("nobody can finish a task of a case in `{}`", state.name);
        let stuck =
            reachable[usize::from(at)] && !state.terminal && program.edge(at, CLOSED).is_none();
        if !stuck || out.iter().any(|f| f.message == message) {
            continue;
        }
        let (from, to) = (&state.name, program.state_name(CLOSED));
        out.push(
            Finding::new("TL0515", state.line, message)
                .why(format!(
                    "the branch in line {} opens a task `hand_off` there; to accept, reject or close it moves the \
                     case to `{to}`, and no transition does",
                    branch.line
                ))
                .mend(format!(
                    "declare the transition {{ from: {from}, to: {to} }}"
                ))
                .fix(Fix::Edge(from.clone(), to.to_owned()))
                .key("transitions"),
        );
    }
}

/// States that declared edges lead to.
pub(super) fn reachable(program: &Program) -> Vec<bool> {
    let mut seen = vec![false; program.states.len()];
    let mut open = vec![PENDING];
    while let Some(at) = open.pop() {
        if let Some(s) = seen.get_mut(usize::from(at))
            && !*s
        {
            *s = true;
            open.extend(program.edges.iter().filter(|e| e.from == at).map(|e| e.to));
        }
    }
    seen
}

fn listed(program: &Program, reachable: &[bool]) -> String {
    let names = program.states.iter().zip(reachable).filter(|(_, r)| **r);
    names
        .map(|(s, _)| s.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn one(program: &Program, ix: StateIx, state: &State, out: &mut Vec<Finding>) {
    if state.terminal {
        return;
    }
    let name = &state.name;
    if !program.edges.iter().any(|e| e.from == ix && e.to != ix) {
        out.push(
            Finding::new(
                "TL0511",
                state.line,
                format!("no transition leaves the state `{name}`"),
            )
            .why("a case that gets there can never go on and is not closed either")
            .mend(format!(
                "declare a transition from `{name}`, or write `terminal: true`"
            ))
            .fix(Fix::Edge(name.clone(), NAMES[4].into()))
            .key("transitions"),
        );
    }
    if state.owner.trim().is_empty() {
        out.push(
            Finding::new(
                "TL0512",
                state.line,
                format!("nobody answers for cases in `{name}`"),
            )
            .why("every state that is not terminal has an owner")
            .mend(format!("give `{name}` an `owner`"))
            .key("states"),
        );
    }
    if state.sla.is_none() {
        out.push(
            Finding::new(
                "TL0512",
                state.line,
                format!("a case may stay in `{name}` for ever"),
            )
            .why("every state that is not terminal has an SLA")
            .mend(format!("give `{name}` an `sla`"))
            .key("states"),
        );
    }
    breach(program, ix, state, out);
}

/// Every clock that may run leads somewhere when it runs out.
fn breach(program: &Program, ix: StateIx, state: &State, out: &mut Vec<Finding>) {
    let timed = |e: &Edge| e.to == ix && e.emit.contains(&Emit::SlaTimer);
    if !program.edges.iter().any(timed) {
        return;
    }
    let name = &state.name;
    let finding = |message: String| Finding::new("TL0513", state.line, message).key("states");
    match state.on_breach {
        None => out.push(
            finding(format!(
                "nothing happens when the SLA of `{name}` is missed"
            ))
            .why("every SLA has a breach edge")
            .mend(format!(
                "give `{name}` an `on_breach`, such as `on_breach: {}`",
                NAMES[3]
            )),
        ),
        Some(to) if to != ix && program.edge(ix, to).is_none() => {
            let to = program.state_name(to);
            out.push(
                finding(format!("a missed SLA of `{name}` leads to `{to}`, but no transition does"))
                    .why("a case moves along declared transitions only: it would stay where it is and nobody would know")
                    .mend(format!("declare the transition {{ from: {name}, to: {to} }}"))
                    .fix(Fix::Edge(name.clone(), to.to_owned()))
                    .key("transitions"),
            );
        }
        Some(_) => {}
    }
}

/// The exploration with everything possible: models answer, people command, the policy may be stricter.
pub(super) fn explored<'p>(program: &'p Program, words: &'p Words<'p>) -> (Model<'p>, Walk) {
    let everything = Options {
        ai: true,
        commands: true,
    };
    let mut model = Model::new(program, words, everything);
    let walk = walk::explore(&mut model);
    (model, walk)
}

/// No case ends silently. True where one may.
pub(super) fn ends(
    words: &Words<'_>,
    model: &Model<'_>,
    walk: &Walk,
    out: &mut Vec<Finding>,
) -> bool {
    let state = |at: usize| &model.program.states[usize::from(walk.nodes[at].spot.state)];
    if let Some(at) = walk.silent(model) {
        out.push(
            Finding::new("TL0514", state(at).line, format!("a case can end silently in `{}`", state(at).name))
                .why("no task, no effect, no question to a model and no clock is left that would take it on")
                .mend(format!(
                    "let the transition to `{0}` emit `sla_timer`, or declare the transition that is missing from `{0}`",
                    state(at).name
                ))
                .path(walk.path(words, model, at, Claim::EndsSilently))
                .key("transitions"),
        );
        return true;
    }
    if let Some(at) = walk.undecidable(model) {
        out.push(
            Finding::new("TL0515", state(at).line, format!("nobody can finish a task of a case in `{}`", state(at).name))
                .why("whatever is decided would move the case along a transition that is not declared, and is refused")
                .mend(format!("declare the transition {{ from: {}, to: closed }}", state(at).name))
                .fix(Fix::Edge(state(at).name.clone(), NAMES[4].into()))
                .path(walk.path(words, model, at, Claim::CannotBeDecided))
                .key("transitions"),
        );
        return true;
    }
    false
}

/// No case goes around in a circle for ever.
pub(super) fn circles(words: &Words<'_>, model: &Model<'_>, walk: &Walk, out: &mut Vec<Finding>) {
    let Some(at) = walk.endless(model) else {
        return;
    };
    let state = &model.program.states[usize::from(walk.nodes[at].spot.state)];
    out.push(
        Finding::new(
            "TL0514",
            state.line,
            format!(
                "a case in `{}` need never reach a person or an end",
                state.name
            ),
        )
        .why("what happens by itself can lead around in a circle for ever")
        .mend(format!(
            "let a missed SLA of `{}` lead to {}",
            state.name, NAMES[3]
        ))
        .path(walk.path(words, model, at, Claim::ReachesNobody))
        .key("transitions"),
    );
}
