//! Circles among the cases that were found: what happens by itself must bring every case to a person or to an
//! end, whatever it is, and also when no model ever answers.

use tl_kernel::program::Program;
use tl_kernel::program::canonical::NEEDS_HUMAN;

use super::{Node, Sort};

/// A case that need not reach a person or an end, and how that may be.
pub fn circle(program: &Program, all: &[Node]) -> Option<(usize, &'static str)> {
    let everything = vec![true; all.len()];
    let with = endless(program, all, (&everything, true));
    if let Some(at) = with {
        return Some((at, "the case need never reach a person or an end"));
    }
    let off = without_ai(all);
    let without = endless(program, all, (&off, false));
    without.map(|at| {
        (
            at,
            "without AI the case need never reach a person or an end",
        )
    })
}

/// Cases that are met when no model answers and nobody commands.
fn without_ai(all: &[Node]) -> Vec<bool> {
    let mut met = vec![false; all.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut met[at], true) {
            let happens = |s: &Sort| !matches!(s, Sort::Answer | Sort::Command | Sort::Resolve);
            open.extend(
                all[at]
                    .leads
                    .iter()
                    .filter(|(s, _)| happens(s))
                    .map(|l| l.1),
            );
        }
    }
    met
}

fn endless(program: &Program, all: &[Node], (met, ai): (&[bool], bool)) -> Option<usize> {
    let reached = |n: &Node| {
        let ended = program.states[usize::from(n.case.state)].terminal;
        ended || n.is_piled() || n.case.state == NEEDS_HUMAN || n.case.open_tasks().next().is_some()
    };
    let mut good: Vec<bool> = all.iter().map(|n| n.case.seq == 0 || reached(n)).collect();
    loop {
        let more = |i: &usize| !good[*i] && progresses(&all[*i], *i, (&good, ai));
        let more: Vec<usize> = (0..all.len()).filter(more).collect();
        if more.is_empty() {
            break;
        }
        more.iter().for_each(|i| good[*i] = true);
    }
    (0..all.len()).find(|i| met[*i] && !good[*i] && !all[*i].parked)
}

/// One of the things that are sure to happen leads to good cases only, however it turns out.
fn progresses(node: &Node, i: usize, (good, ai): (&[bool], bool)) -> bool {
    let sure = |which: &[Sort]| {
        let mut leads = node.leads.iter().filter(|(s, _)| which.contains(s));
        let any = leads.clone().next().is_some();
        any && leads.all(|(_, to)| *to == i || good[*to])
    };
    let answers: &[Sort] = if ai {
        &[Sort::Answer, Sort::NoAnswer]
    } else {
        &[Sort::NoAnswer]
    };
    sure(answers) || sure(&[Sort::Settlement]) || sure(&[Sort::Breach])
}
