//! How it ends: once nothing goes wrong any more, everything comes to rest or waits for a person who can see it.

use std::collections::BTreeMap;

use tl_kernel::effect::EffectState;
use tl_kernel::journal::Entry;

use super::Evidence;
use super::evidence::CaseFile;

/// Every effect is settled, or a person has an open task about it.
pub(super) fn i7_no_lost_effect(e: &Evidence) -> Vec<String> {
    e.effects()
        .filter(|(c, row)| {
            let asked = c
                .tasks
                .iter()
                .any(|t| t.closed.is_none() && t.effect == Some(row.effect.n));
            let waits = matches!(row.state, EffectState::Uncertain | EffectState::Planned);
            !(row.state.is_settled() || waits && asked)
        })
        .map(|(_, row)| {
            let (state, hold, code) = (row.state.word(), &row.hold, &row.code);
            format!(
                "{} {} is {state} ({hold}, {code}) in the end",
                row.effect, row.action
            )
        })
        .collect()
}

/// Nothing is due any more, and every open case has something that moves it on.
pub(super) fn i17_liveness(e: &Evidence) -> Vec<String> {
    let mut out: Vec<String> = e.stuck.iter().cloned().collect();
    for c in e.cases.iter().filter(|c| !c.row.head.closed) {
        let task = c.tasks.iter().any(|t| t.closed.is_none());
        let effect = c.effects.values().any(|row| !row.state.is_settled());
        if !task && !effect {
            out.push(format!(
                "{} of {} waits in state {} ({}) and nobody has anything to do about it",
                c.row.case, c.row.head.workflow, c.row.head.state, c.row.head.reason
            ));
        }
    }
    out
}

/// A timer fires once, and never before it is due; none that is due is left.
pub(super) fn i18_timers(e: &Evidence) -> Vec<String> {
    let mut out: Vec<String> = e.cases.iter().flat_map(timers).collect();
    for t in e.timers.iter().filter(|t| t.due <= e.now) {
        out.push(format!(
            "timer {} of {} is {} µs late",
            t.n,
            t.case,
            e.now - t.due
        ));
    }
    out
}

fn timers(c: &CaseFile) -> Vec<String> {
    let mut out = Vec::new();
    let mut set: BTreeMap<u32, i64> = BTreeMap::new();
    for head in &c.heads {
        for entry in &head.entries {
            match entry {
                Entry::TimerSet { n, due, .. } => {
                    set.insert(*n, *due);
                }
                Entry::TimerEnded { n, fired } => match set.remove(n) {
                    Some(due) if *fired && head.at < due => {
                        out.push(format!(
                            "timer {n} of {} fired {} µs early",
                            c.row.case,
                            due - head.at
                        ));
                    }
                    Some(_) => {}
                    None => out.push(format!("timer {n} of {} ended twice", c.row.case)),
                },
                _ => {}
            }
        }
    }
    out
}
