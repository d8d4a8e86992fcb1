//! What was decided: legal moves only, and everything derived is what the journal says.

use std::collections::BTreeMap;

use tl_kernel::effect::EffectState;
use tl_kernel::id::TenantId;
use tl_kernel::journal::Entry;
use tl_store::contract::Row;

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
        out.extend(leaves_its_version(e, c));
        if c.row.head.state != state {
            out.push(format!(
                "{case}: its row is in state {}, its journal in {state}",
                c.row.head.state
            ));
        }
    }
    out.extend(opened_under_another(e));
    out
}

/// A case stays with the version that it began with: its turns, its effects, and what reaches vendors.
fn leaves_its_version(e: &Evidence, c: &CaseFile) -> Vec<String> {
    let case = c.row.case;
    let first = c.heads.first().map_or(0, |head| head.definition);
    let mut out = Vec::new();
    for head in c.heads.iter().filter(|h| h.definition != first) {
        out.push(format!(
            "{case}: began with number {first}, turn {} is decided by {}",
            head.seq, head.definition
        ));
    }
    for row in c.effects.values() {
        if row.definition != first {
            let effect = row.effect;
            out.push(format!(
                "{effect}: is of number {}, its case of {first}",
                row.definition
            ));
        }
        let of = format!("/of/{first}/");
        let sent = super::effects::traces_of(row);
        let applied = e.applied.iter().filter(|a| sent.contains(&a.trace));
        for a in applied.filter(|a| a.path.contains("/of/") && !a.path.contains(&of)) {
            out.push(format!(
                "{}: wrote {}, its case is of {first}",
                row.effect, a.path
            ));
        }
    }
    out
}

/// A new case goes through the version that is current when it is committed.
fn opened_under_another(e: &Evidence) -> Vec<String> {
    let mut current: BTreeMap<(TenantId, &str), Vec<u32>> = BTreeMap::new();
    for ((tenant, number), program) in &e.programs {
        // The installation's first versions come before everything that is seen.
        let of = current.entry((*tenant, &program.id)).or_default();
        if of.is_empty() {
            of.push(*number);
        }
    }
    let mut out = Vec::new();
    for seen in &e.witness {
        let tenant = seen.unit.tenant;
        for row in &seen.unit.rows {
            if let Row::Deploy {
                workflow, number, ..
            }
            | Row::Rollback { workflow, number } = row
            {
                let of = current.entry((tenant, workflow)).or_default();
                // What could not be made durable may be there all the same.
                if seen.answer.is_ok() {
                    of.clear();
                }
                of.push(*number);
            }
        }
        let opened = seen.unit.turns.iter().filter(|t| t.sealed.seq == 1);
        for turn in opened.filter(|_| seen.answer.is_ok()) {
            let head = &turn.head;
            let of = current.get(&(tenant, head.workflow.as_str()));
            if !of.is_some_and(|of| of.contains(&head.definition)) {
                out.push(format!(
                    "{}: opened as number {} of {}, current is {of:?}",
                    turn.case, head.definition, head.workflow
                ));
            }
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

/// What the turns have planned is what the ledger has, neither more nor less.
pub(super) fn plans_differ(c: &CaseFile) -> Vec<String> {
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
    out
}

/// The ledger may be ahead on the way to an end, never at another end.
fn effects_differ(c: &CaseFile) -> Vec<String> {
    let Ok(case) = &c.case else { return Vec::new() };
    let mut out = Vec::new();
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
