//! How it ends: once nothing goes wrong any more, everything comes to rest or waits for a person who can see it.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::EffectState;
use tl_kernel::id::EffectId;
use tl_kernel::journal::Entry;
use tl_kernel::time::MINUTE;
use tl_kernel::turn::EffectWrite;
use tl_store::contract::Row;

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

/// While nothing goes wrong, what is due is done after so long, µs. Loops look less often then than they do in a
/// product: every ten seconds.
const LATE: i64 = MINUTE;

/// Nothing is due any more, every open case has something that moves it on, and while nothing goes wrong what may go
/// goes soon.
pub(super) fn i17_liveness(e: &Evidence) -> Vec<String> {
    let mut out: Vec<String> = e.stuck.iter().cloned().collect();
    out.extend(kept_waiting(e));
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

/// Effects that could have gone and did not. One that another one to the same target stands before waits for that.
fn kept_waiting(e: &Evidence) -> Vec<String> {
    let mut ready: BTreeMap<EffectId, i64> = BTreeMap::new();
    let mut serial = BTreeSet::new();
    let mut out = Vec::new();
    for seen in e.witness.iter().filter(|s| s.answer.is_ok()) {
        let mut goes = |effect: EffectId, to: EffectState, due: i64| {
            let since = match to {
                EffectState::Ready => ready.insert(effect, due.max(seen.at)),
                _ => ready.remove(&effect),
            };
            let late = since.map_or(0, |since| e.calm.awake(since, seen.at));
            if late > LATE {
                out.push(format!("{effect} could have gone {late} µs before it did"));
            }
        };
        for turn in &seen.unit.turns {
            let case = turn.case;
            for write in &turn.effects {
                match write {
                    EffectWrite::Plan(p) if p.serial_key.is_some() => {
                        serial.insert(EffectId { case, n: p.n });
                    }
                    EffectWrite::Plan(p) => goes(EffectId { case, n: p.n }, p.state, p.due),
                    EffectWrite::Change { n, to, due, .. } => {
                        let effect = EffectId { case, n: *n };
                        if !serial.contains(&effect) {
                            goes(effect, *to, *due);
                        }
                    }
                    EffectWrite::Withdraw { .. } => {}
                }
            }
        }
        for row in &seen.unit.rows {
            if let Row::Effect(c) = row
                && !serial.contains(&c.effect)
            {
                goes(c.effect, c.to, c.due);
            }
        }
    }
    out
}

/// A timer fires once, never before it is due, and while nothing goes wrong soon after; none that is due is left.
pub(super) fn i18_timers(e: &Evidence) -> Vec<String> {
    let mut out: Vec<String> = e.cases.iter().flat_map(|c| timers(e, c)).collect();
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

fn timers(e: &Evidence, c: &CaseFile) -> Vec<String> {
    let mut out = Vec::new();
    let mut set: BTreeMap<u32, i64> = BTreeMap::new();
    let mut last = i64::MIN;
    for head in &c.heads {
        if head.at < last {
            let (case, seq, back) = (c.row.case, head.seq, last - head.at);
            out.push(format!(
                "turn {seq} of {case} is {back} µs before the one before it"
            ));
        }
        last = last.max(head.at);
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
                    Some(due) if *fired && e.calm.awake(due, head.at) > LATE => {
                        out.push(format!(
                            "timer {n} of {} fired {} µs late",
                            c.row.case,
                            e.calm.awake(due, head.at)
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
