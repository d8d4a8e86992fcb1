//! The invariants of a finished run, each a function of the evidence: what was counted, and a line for each place
//! where it does not hold.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::journal::Entry;
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectRow, OutboxMessage};

use super::evidence::{CaseFile, Evidence};

/// The connection of the demo's CRM.
const CRM: &str = "crm";
/// The connection of messages to people.
const OUTBOX: &str = "outbox";

/// Name, what was counted, violations.
pub type Line = (&'static str, String, Vec<String>);

/// All of them.
pub fn all(e: &Evidence) -> Vec<Line> {
    let effects: usize = e.cases.iter().map(|c| c.effects.len()).sum();
    let settled = e.cases.iter().flat_map(|c| &c.effects);
    let settled = settled.filter(|row| row.state.is_settled()).count();
    let turns: usize = e.cases.iter().map(|c| c.journal.len()).sum();
    vec![
        (
            "I1",
            format!("{} acknowledged messages are stored", e.acked().len()),
            acknowledged_is_stored(e),
        ),
        (
            "I2",
            format!("{} messages, each taken once, in one case", e.events),
            taken_once(e),
        ),
        (
            "I3",
            "every stored message was sent and signed".into(),
            nothing_from_nowhere(e),
        ),
        (
            "I4",
            format!("{turns} turns fold along declared edges"),
            legal_history(e),
        ),
        (
            "I5",
            format!("{} turns, {} audit leaves", e.turns.len(), e.leaves.len()),
            atomic_steps(e),
        ),
        (
            "I6",
            format!(
                "no write and none of {} messages happened twice",
                e.outbox.len()
            ),
            nothing_twice(e),
        ),
        (
            "I7",
            format!("{settled} of {effects} effects are settled, the rest have a task"),
            nothing_left_behind(e),
        ),
        (
            "I8",
            "what the ledger says is what the CRM and the outbox hold".into(),
            honest_ledger(e),
        ),
    ]
}

fn events(e: &Evidence) -> impl Iterator<Item = (&CaseFile, String)> {
    let of = |c| move |event: &tl_kernel::turn::StoredEvent| (c, event.id.to_string());
    e.cases.iter().flat_map(move |c| c.events.iter().map(of(c)))
}

fn acknowledged_is_stored(e: &Evidence) -> Vec<String> {
    let there: BTreeSet<String> = events(e).map(|(_, id)| id).collect();
    let lost = e.acks.iter().filter(|a| !there.contains(&a.event));
    lost.map(|a| format!("{} was acknowledged as {} and is gone", a.message, a.event))
        .collect()
}

/// One event for what one door knows by one key, however often it is sent; each event in one case, and each case
/// opened by one.
fn taken_once(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    let mut known: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for a in &e.acks {
        known.entry((&a.door, &a.key)).or_default().insert(&a.event);
    }
    for ((door, key), events) in known.iter().filter(|(_, events)| events.len() > 1) {
        out.push(format!("{key} at {door} was taken {} times", events.len()));
    }
    let mut cases: BTreeMap<String, Vec<CaseId>> = BTreeMap::new();
    for (c, id) in events(e) {
        cases.entry(id).or_default().push(c.id());
    }
    for (id, cases) in cases.iter().filter(|(_, cases)| cases.len() > 1) {
        out.push(format!("{id} is in {} cases", cases.len()));
    }
    if cases.len() as u64 != e.events {
        out.push(format!(
            "{} messages are stored, {} belong to a case",
            e.events,
            cases.len()
        ));
    }
    for c in &e.cases {
        let strays = c.events.iter().filter(|ev| ev.case != Some(c.id()));
        out.extend(strays.map(|ev| format!("{} is not in its case {}", ev.id, c.id())));
        let opened = c.events.iter().filter(|ev| ev.id.0 == c.id().0).count();
        if opened != 1 {
            out.push(format!("{} was opened by {opened} messages", c.id()));
        }
        let in_journal: BTreeSet<_> = c
            .heads
            .iter()
            .flat_map(|h| &h.entries)
            .filter_map(|entry| match entry {
                Entry::Event { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        if in_journal != c.events.iter().map(|ev| ev.id).collect() {
            out.push(format!("{}: its journal tells of other messages", c.id()));
        }
    }
    out
}

fn nothing_from_nowhere(e: &Evidence) -> Vec<String> {
    let acked = e.acked();
    events(e)
        .filter(|(_, id)| !acked.contains(id.as_str()))
        .map(|(_, id)| format!("{id} was never acknowledged"))
        .collect()
}

fn legal_history(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for c in &e.cases {
        match &c.folded {
            Err(why) => out.push(format!("{}: {why}", c.id())),
            Ok(case) => {
                if (case.state, case.seq) != (c.row.head.state, c.row.seq) {
                    out.push(format!("{}: its row is not what its journal says", c.id()));
                }
            }
        }
        for entry in c.heads.iter().flat_map(|h| &h.entries) {
            if let Entry::Moved { from, to, .. } = entry
                && c.bundle.program.edge(*from, *to).is_none()
            {
                out.push(format!(
                    "{}: moved from {from} to {to} without an edge",
                    c.id()
                ));
            }
        }
    }
    out
}

/// Each turn has its leaf, in the place where it was committed; each step has the rows that it declares, and no row
/// is there without a step.
fn atomic_steps(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    if e.turns.len() != e.leaves.len() {
        out.push(format!(
            "{} turns, {} audit leaves",
            e.turns.len(),
            e.leaves.len()
        ));
    }
    let pairs = e.turns.iter().zip(&e.leaves);
    out.extend(
        pairs
            .filter(|((.., leaf), placed)| leaf != *placed)
            .map(|((case, seq, _), _)| format!("turn {seq} of {case} is not its audit leaf")),
    );
    let mut of_cases: BTreeMap<CaseId, BTreeMap<u32, _>> = BTreeMap::new();
    for (case, seq, leaf) in e.turns.iter().filter(|(_, seq, _)| *seq > 0) {
        if of_cases
            .entry(*case)
            .or_default()
            .insert(*seq, *leaf)
            .is_some()
        {
            out.push(format!("turn {seq} of {case} is there twice"));
        }
    }
    for c in &e.cases {
        let journal = c.journal.iter().map(|t| (t.seq, t.leaf)).collect();
        if of_cases.remove(&c.id()).unwrap_or_default() != journal {
            out.push(format!("{}: its journal holds other turns", c.id()));
        }
        out.extend(declared_rows(c));
    }
    out.extend(
        of_cases
            .keys()
            .map(|case| format!("turns of {case} belong to no case")),
    );
    let effects: BTreeSet<EffectId> = rows(e).map(|(_, row)| row.effect).collect();
    let strays = e.outbox.iter().filter(|m| !effects.contains(&m.effect));
    out.extend(strays.map(|m| format!("a message of {} belongs to no effect", m.effect)));
    out
}

/// Effects, questions and tasks: what the journal planned, and what there are rows of.
fn declared_rows(c: &CaseFile) -> Vec<String> {
    let (mut planned, mut born, mut tasks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in c.heads.iter().flat_map(|h| &h.entries) {
        match entry {
            // What was over before it began needs no row.
            Entry::Planned(p) if p.state.is_settled() => drop(born.insert(p.n)),
            Entry::Planned(p) => drop(planned.insert(p.n)),
            Entry::Asked { n, .. } => drop(planned.insert(*n)),
            Entry::TaskOpened { n, .. } => drop(tasks.insert(*n)),
            _ => {}
        }
    }
    let ledger: BTreeSet<u32> = c.effects.iter().map(|row| row.effect.n).collect();
    let inbox: BTreeSet<u32> = c.tasks.iter().map(|row| row.task.n).collect();
    let mut out = Vec::new();
    let missing = planned.difference(&ledger);
    out.extend(missing.map(|n| format!("{}: effect {n} has no row", c.id())));
    let strays = ledger
        .iter()
        .filter(|n| !planned.contains(n) && !born.contains(n));
    out.extend(strays.map(|n| format!("{}: effect {n} was never planned", c.id())));
    if inbox != tasks {
        out.push(format!(
            "{}: its tasks are not those of its journal",
            c.id()
        ));
    }
    out
}

fn rows(e: &Evidence) -> impl Iterator<Item = (&CaseFile, &EffectRow)> {
    let effects = |c| move |row| (c, row);
    e.cases
        .iter()
        .flat_map(move |c: &CaseFile| c.effects.iter().map(effects(c)))
        .filter(|(_, row)| row.kind == EffectKind::Effect)
}

/// How often an effect happened, where it happens; `None` for a place that the demo does not know.
fn times(e: &Evidence, c: &CaseFile, row: &EffectRow) -> Option<usize> {
    match row.connection.as_str() {
        CRM => Some(c.written(row.effect)),
        OUTBOX => Some(e.said(row.effect)),
        _ => None,
    }
}

/// No effect happened twice, nothing happened without one, and nobody is told the same thing twice.
fn nothing_twice(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (c, row) in rows(e) {
        match times(e, c, row) {
            Some(0 | 1) => {}
            Some(n) => out.push(format!("{} happened {n} times", row.effect)),
            None => out.push(format!(
                "{} went to `{}`, where nobody counts",
                row.effect, row.connection
            )),
        }
    }
    for c in &e.cases {
        let marks: BTreeSet<_> = c.marks.values().collect();
        let ours = c.records.iter().filter(|v| v.by == e.crm_kid);
        let strays = ours.filter(|v| v.key.as_ref().is_none_or(|key| !marks.contains(key)));
        out.extend(
            strays.map(|v| format!("{}: version {} was written by no effect", c.id(), v.version)),
        );
    }
    let mut said: BTreeMap<_, &OutboxMessage> = BTreeMap::new();
    for m in &e.outbox {
        let words = (m.effect.case, &m.channel, &m.to, &m.subject, &m.text);
        if let Some(before) = said.insert(words, m).filter(|b| b.effect != m.effect) {
            out.push(format!("{} says what {} said", m.effect, before.effect));
        }
    }
    out
}

fn nothing_left_behind(e: &Evidence) -> Vec<String> {
    let at_rest = |c: &CaseFile, row: &EffectRow| {
        let task = c
            .tasks
            .iter()
            .any(|t| t.effect == Some(row.effect.n) && t.closed.is_none());
        // One waits for somebody who looks, the other for an approval.
        let waits = [EffectState::Uncertain, EffectState::Planned].contains(&row.state);
        row.state.is_settled() || (waits && task)
    };
    rows(e)
        .filter(|(c, row)| !at_rest(c, row))
        .map(|(_, row)| format!("{} is {}", row.effect, row.state.word()))
        .collect()
}

/// What the ledger calls done was done, and nothing else was.
fn honest_ledger(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (c, row) in rows(e) {
        let happened = times(e, c, row).unwrap_or(0) > 0;
        let says = row.state == EffectState::Succeeded && !is_dry_run(&row.code);
        if happened != says && row.state != EffectState::Superseded {
            let was = if happened {
                "happened"
            } else {
                "did not happen"
            };
            out.push(format!("{} is {} and {was}", row.effect, row.state.word()));
        }
        let folded = c.folded.as_ref().ok();
        let known = folded.and_then(|case| case.effects.get(&row.effect.n));
        if known.is_some_and(|k| k.state.is_settled() && k.state != row.state) {
            out.push(format!("{}: journal and ledger differ", row.effect));
        }
    }
    let writes = writes(e);
    if writes.succeeded != writes.in_crm {
        out.push(format!(
            "the ledger has {} writes, the CRM {}",
            writes.succeeded, writes.in_crm
        ));
    }
    out
}

/// Writes to the CRM, counted twice.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// Those that the ledger knows as succeeded.
    pub succeeded: u64,
    /// Versions in the CRM that bear our credential.
    pub in_crm: u64,
}

/// Counts the writes to the CRM: in the ledger, and in the CRM by the id of the key that they came with.
pub fn writes(e: &Evidence) -> Writes {
    let done = |(_, row): &(&CaseFile, &EffectRow)| {
        row.connection == CRM && row.state == EffectState::Succeeded && !is_dry_run(&row.code)
    };
    let versions = e.cases.iter().flat_map(|c| &c.records);
    Writes {
        succeeded: rows(e).filter(done).count() as u64,
        in_crm: versions.filter(|v| v.by == e.crm_kid).count() as u64,
    }
}
