//! Proof 6: the AI step runs only where it may, and without it every case still reaches a person or an end.

use tl_kernel::program::Program;
use tl_kernel::program::canonical::{NAMES, NEEDS_HUMAN, TRIAGED};

use super::fix::Fix;
use super::guide::{self, Map};
use super::model::{Model, Options};
use super::states::reachable;
use super::walk;
use super::words::Words;
use super::{Claim, Finding};

/// The first half of proof 6: the AI step runs where it may and may be left out.
pub(super) fn prove(program: &Program, out: &mut Vec<Finding>) {
    let Some(ai) = &program.ai else { return };
    let finding = |message: String| Finding::new("TL0520", 0, message).key("ai_step");
    if !ai.optional {
        out.push(
            finding("the path does not work without its AI step".into())
                .why("a model may be switched off, unreachable or wrong at any time")
                .fix(Fix::Value("optional", "true"))
                .mend("write `optional: true`: without an answer the case goes to a person"),
        );
    }
    let name = program.state_name(ai.when_state);
    let state = &program.states[usize::from(ai.when_state)];
    let never = finding(format!("the AI step never runs in `{name}`")).why(
        "a model is asked after the rules, when a case has entered `triaged`, and nowhere else",
    );
    if ai.when_state != TRIAGED {
        out.push(
            never
                .fix(Fix::Value("when_state", "triaged"))
                .mend("write `when_state: triaged`"),
        );
    } else if state.terminal {
        let ends = Finding {
            line: state.line,
            ..never
        };
        out.push(
            ends.fix(Fix::Take("terminal", "true"))
                .mend("take `terminal: true` out: a case is decided in `triaged` and goes on"),
        );
    } else if !reachable(program)[usize::from(TRIAGED)] {
        let mut edges = vec![(NAMES[0], NAMES[1])];
        if program.edge(TRIAGED, NEEDS_HUMAN).is_none() {
            edges.push((NAMES[1], NAMES[3]));
        }
        let said = edges
            .iter()
            .map(|(from, to)| format!("{{ from: {from}, to: {to} }}"));
        let said = said.collect::<Vec<_>>().join(" and ");
        out.push(
            never
                .key("transitions")
                .fix(Fix::Edges(edges))
                .mend(format!("declare {said} under `transitions`")),
        );
    }
}

/// The second half of proof 6. True where a case can get lost without AI.
pub(super) fn lost(
    program: &Program,
    words: &Words<'_>,
    gone: bool,
    out: &mut Vec<Finding>,
) -> bool {
    if program.ai.is_none() {
        return false;
    }
    let without = Options {
        ai: false,
        commands: false,
    };
    let mut model = Model::new(program, words, without);
    let walk = walk::explore(&mut model);
    let lost = walk.endless(&model);
    if let Some(at) = lost {
        let name = program.state_name(walk.nodes[at].spot.state);
        let mut path = walk.path(words, &model, at, Claim::ReachesNobody);
        if gone {
            let map = Map {
                words,
                model: &model,
                walk: &walk,
            };
            guide::go(map, &mut path);
        }
        out.push(
            Finding::new(
                "TL0506",
                0,
                format!(
                    "without AI a case can stay in `{name}` and reach neither a person nor an end"
                ),
            )
            .why("every case must reach `needs_human` or `closed` when no model answers")
            .mend(format!(
                "let `{name}` lead to needs_human: by a branch, or by `on_breach`"
            ))
            .path(path)
            .key("ai_step"),
        );
    }
    lost.is_some()
}
