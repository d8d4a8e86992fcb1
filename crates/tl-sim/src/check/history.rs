//! What was decided: legal moves only, and everything derived is what the journal says.

use std::collections::BTreeMap;

use tl_kernel::effect::EffectState;
use tl_kernel::journal::Entry;

use super::Evidence;
use super::evidence::CaseFile;

/// Turns are 1..n without gaps, every move is along a declared edge of the pinned definition, and the case is where
/// its last move led.
pub(super) fn i4_legal_history(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for c in &e.cases {
        let case = c.row.case;
        let mut state = 0u16;
        if c.heads.len() != c.journal.len() {
            out.push(format!(
                "{case}: {} of {} heads can be read",
                c.heads.len(),
                c.journal.len()
            ));
        }
        for (head, n) in c.heads.iter().zip(1u32..) {
            if head.seq != n {
                out.push(format!("{case}: turn {n} calls itself {}", head.seq));
            }
            let program = e.programs.get(&(c.row.tenant, head.definition));
            for entry in &head.entries {
                let Entry::Moved { from, to, .. } = entry else {
                    continue;
                };
                let declared = program.is_some_and(|p| p.edge(*from, *to).is_some());
                if *from != state || !declared {
                    out.push(format!("{case}: turn {n} moves {from}→{to} out of {state}"));
                }
                state = *to;
            }
        }
        if c.row.head.state != state {
            out.push(format!(
                "{case}: its row is in state {}, its journal in {state}",
                c.row.head.state
            ));
        }
    }
    out
}

/// Folding the journal gives what the database holds: the case's row, its tasks, its timers, its effects.
pub(super) fn i20_rebuild(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for c in &e.cases {
        let case = match &c.case {
            Ok(case) => case,
            Err(why) => {
                out.push(format!("{} does not fold: {why}", c.row.case));
                continue;
            }
        };
        let head = &c.row.head;
        let closed = e
            .programs
            .get(&(c.row.tenant, case.definition))
            .and_then(|p| p.states.get(usize::from(case.state)))
            .is_some_and(|s| s.terminal);
        let table: [(&str, String, String); 10] = [
            ("length", case.seq.to_string(), c.row.seq.to_string()),
            ("state", case.state.to_string(), head.state.to_string()),
            ("owner", case.owner.clone(), head.owner.clone()),
            (
                "definition",
                case.definition.to_string(),
                head.definition.to_string(),
            ),
            (
                "opened",
                case.opened_at.to_string(),
                head.opened_at.to_string(),
            ),
            (
                "updated",
                case.updated_at.to_string(),
                head.updated_at.to_string(),
            ),
            (
                "due",
                format!("{:?}", case.due.filter(|_| !case.breached)),
                format!("{:?}", head.due),
            ),
            ("closed", closed.to_string(), head.closed.to_string()),
            (
                "open tasks",
                case.open_tasks().count().to_string(),
                head.open_tasks.to_string(),
            ),
            (
                "open effects",
                case.open_effects().count().to_string(),
                head.open_effects.to_string(),
            ),
        ];
        for (what, folded, stored) in table {
            if folded != stored {
                out.push(format!(
                    "{}: {what} is {stored}, its journal says {folded}",
                    c.row.case
                ));
            }
        }
        out.extend(tasks_differ(c));
        out.extend(effects_differ(c));
        out.extend(timers_differ(e, c));
    }
    out
}

fn tasks_differ(c: &CaseFile) -> Vec<String> {
    let Ok(case) = &c.case else { return Vec::new() };
    let stored: BTreeMap<u32, (&str, bool)> = c
        .tasks
        .iter()
        .map(|t| (t.task.n, (t.kind.as_str(), t.closed.is_some())))
        .collect();
    let folded: BTreeMap<u32, (&str, bool)> = case
        .tasks
        .iter()
        .map(|(n, t)| (*n, (t.kind.as_str(), t.closed.is_some())))
        .collect();
    if stored == folded {
        return Vec::new();
    }
    vec![format!(
        "{}: tasks {stored:?}, its journal says {folded:?}",
        c.row.case
    )]
}

/// The ledger may be ahead on the way to an end, never at another end.
fn effects_differ(c: &CaseFile) -> Vec<String> {
    let Ok(case) = &c.case else { return Vec::new() };
    let mut out = Vec::new();
    let known: Vec<u32> = case
        .effects
        .keys()
        .chain(case.asks.keys())
        .copied()
        .collect();
    for n in c.effects.keys().filter(|n| !known.contains(n)) {
        out.push(format!("{}: effect {n} is in no turn", c.row.case));
    }
    // What the policy refused when it was planned is recorded and was never to be sent.
    let refused = |n: &u32| {
        let effect = case.effects.get(n);
        effect.is_some_and(|e| e.state == EffectState::Cancelled && e.args.is_none())
    };
    for n in known
        .iter()
        .filter(|n| !c.effects.contains_key(n) && !refused(n))
    {
        out.push(format!("{}: effect {n} is not in the ledger", c.row.case));
    }
    for (n, effect) in &case.effects {
        let Some(row) = c.effects.get(n) else {
            continue;
        };
        // A closed case does not wait for what it withdrew; only the ledger sees it end.
        let same = row.state == effect.state
            || !effect.state.is_settled() && !row.state.is_settled()
            || c.row.head.closed && !effect.state.is_settled();
        if !same {
            out.push(format!(
                "{}: the ledger says {}, the journal {}",
                row.effect,
                row.state.word(),
                effect.state.word()
            ));
        }
    }
    out
}

fn timers_differ(e: &Evidence, c: &CaseFile) -> Vec<String> {
    let Ok(case) = &c.case else { return Vec::new() };
    let stored: BTreeMap<u32, i64> = e
        .timers
        .iter()
        .filter(|t| t.tenant == c.row.tenant && t.case == c.row.case)
        .map(|t| (t.n, t.due))
        .collect();
    let folded: BTreeMap<u32, i64> = case.timers.iter().map(|(n, (_, due))| (*n, *due)).collect();
    if stored == folded {
        return Vec::new();
    }
    vec![format!(
        "{}: timers {stored:?}, its journal says {folded:?}",
        c.row.case
    )]
}
