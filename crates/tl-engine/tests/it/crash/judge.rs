//! What must hold of a finished run, wherever it was interrupted: the client's acknowledgements, the database, the
//! CRM's own ledger and the audit tree are compared with one another.

use std::collections::{BTreeMap, BTreeSet};

use tl_connect::fake::crm::Applied;
use tl_engine::follower::Follower;
use tl_engine::telemetry::traceparent;
use tl_kernel::case::Case;
use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, EventId};
use tl_kernel::journal::{Entry, Head, Planned, Sealed, leaf_hash, open};
use tl_kernel::program::{OnUnknown, Program};
use tl_kernel::turn::EffectKind;
use tl_store::contract::{CaseFilter, CaseRow, EffectRow, TaskFilter, TaskRow};

use crate::world::{TENANT, World};

/// What the run knows beside the database.
pub struct Account<'a> {
    /// What senders were told: key, event, case.
    pub acked: &'a BTreeMap<String, (EventId, CaseId)>,
    /// Leaves of the turns of every unit that a desk was told is committed.
    pub told: &'a BTreeSet<Digest>,
    /// The promise of blind writes.
    pub on_unknown: OnUnknown,
    /// Writes carry the version that they replace.
    pub versioned: bool,
}

/// How a case ended: what one run is compared with another by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub state: String,
    pub effects: Vec<(String, EffectState)>,
    pub tasks: Vec<(String, String)>,
    pub goals: Vec<bool>,
    pub messages: usize,
}

/// One case with everything the database has about it.
struct File {
    row: CaseRow,
    journal: Vec<Sealed>,
    heads: Vec<Head>,
    case: Case,
    effects: BTreeMap<u32, EffectRow>,
    tasks: Vec<TaskRow>,
    end: End,
}

/// Everything that does not hold, one sentence each, and how the cases ended.
pub async fn judge(w: &World, known: &Account<'_>) -> (Vec<String>, BTreeMap<CaseId, End>) {
    let files = read(w).await;
    let mut out = Vec::new();
    i1_i2_admission(w, &files, known, &mut out).await;
    for f in &files {
        let bundle = w.desk.bundle(TENANT, f.row.head.definition).await;
        let bundle = bundle.expect("its bundle");
        i4_legal_history(f, &bundle.program, &mut out);
        i7_no_lost_effect(f, &mut out);
        i20_rebuild(f, &bundle.program, &mut out);
        i20_by_reference(f, &mut out);
        i20_effects_by_reference(f, &mut out);
    }
    i5_one_leaf_per_turn(w, &files, known, &mut out).await;
    vendor(w, &files, known, &mut out);
    timers(w, &files, &mut out).await;
    let ends = files.into_iter().map(|f| (f.row.case, f.end)).collect();
    (out, ends)
}

async fn read(w: &World) -> Vec<File> {
    let store = w.desk.store();
    let all = CaseFilter {
        tenant: Some(TENANT),
        limit: 1_000,
        ..CaseFilter::default()
    };
    let mut files = Vec::new();
    for row in store.cases(all).await.expect("cases") {
        let id = row.case;
        let journal = store.journal(TENANT, id).await.expect("a journal");
        let open = |s: &Sealed| open(s).expect("a turn that can be read").0;
        let heads: Vec<Head> = journal.iter().map(open).collect();
        let filter = TaskFilter {
            tenant: Some(TENANT),
            case: Some(id),
            closed: true,
            limit: 100,
            ..TaskFilter::default()
        };
        let tasks = store.tasks(filter).await.expect("tasks");
        let outbox = store.outbox(TENANT, Some(id), 100).await.expect("outbox");
        let effects: BTreeMap<u32, EffectRow> = w
            .effects(id)
            .await
            .into_iter()
            .map(|e| (e.effect.n, e))
            .collect();
        let mut waiting: Vec<(String, String)> = tasks
            .iter()
            .filter(|t| t.closed.is_none())
            .map(|t| (t.kind.clone(), t.reason.clone()))
            .collect();
        waiting.sort();
        let goals = heads
            .iter()
            .flat_map(|h| &h.entries)
            .filter_map(|e| match e {
                Entry::Goal { met, .. } => Some(*met),
                _ => None,
            });
        let end = End {
            state: w.state(id).await,
            effects: effects
                .values()
                .filter(|e| e.kind == EffectKind::Effect)
                .map(|e| (e.action.clone(), e.state))
                .collect(),
            tasks: waiting,
            goals: goals.collect(),
            messages: outbox.len(),
        };
        files.push(File {
            case: w.case(id).await,
            row,
            journal,
            heads,
            effects,
            tasks,
            end,
        });
    }
    files
}

/// I1 and I2: what was acknowledged is there, and belongs to the case that was named.
async fn i1_i2_admission(w: &World, files: &[File], known: &Account<'_>, out: &mut Vec<String>) {
    let mut opened = BTreeSet::new();
    for (key, (event, case)) in known.acked {
        match w.desk.store().event(TENANT, *event).await.expect("events") {
            Some((_, e)) if e.case == Some(*case) => {}
            other => out.push(format!(
                "I1: acknowledged {key} is {:?}",
                other.map(|(_, e)| e.case)
            )),
        }
        opened.insert(*case);
    }
    let there: BTreeSet<CaseId> = files.iter().map(|f| f.row.case).collect();
    if opened != there {
        out.push(format!("I2: cases {there:?}, acknowledged {opened:?}"));
    }
    for f in files {
        let events: Vec<EventId> = f
            .heads
            .iter()
            .flat_map(|h| &h.entries)
            .filter_map(|e| match e {
                Entry::Event { id, .. } => Some(*id),
                _ => None,
            })
            .collect();
        let acked = known.acked.values().filter(|(_, c)| *c == f.row.case);
        if events.len() != acked.count() {
            out.push(format!("I2: {} took {events:?}", f.row.case));
        }
    }
}

/// I4: turns 1..n, each move along a declared edge of the pinned definition, the case where its last move led.
fn i4_legal_history(f: &File, program: &Program, out: &mut Vec<String>) {
    let case = f.row.case;
    let mut state = 0u16;
    for (head, n) in f.heads.iter().zip(1u32..) {
        if head.seq != n {
            out.push(format!("I4: {case}: turn {n} calls itself {}", head.seq));
        }
        for entry in &head.entries {
            if let Entry::Moved { from, to, .. } = entry {
                if *from != state || program.edge(*from, *to).is_none() {
                    out.push(format!("I4: {case}: turn {n} moves {from}→{to}"));
                }
                state = *to;
            }
        }
    }
    if f.row.head.state != state {
        out.push(format!("I4: {case}: in {}, not {state}", f.row.head.state));
    }
}

/// I5: every turn stands once in the order of commits and once in the tree, each head names the one before it, and
/// the turns are exactly those that a desk was told are committed.
async fn i5_one_leaf_per_turn(
    w: &World,
    files: &[File],
    known: &Account<'_>,
    out: &mut Vec<String>,
) {
    let store = w.desk.store();
    let mut follower = Follower::new(w.desk.clone(), None).expect("a follower");
    follower.catch_up(true).await.expect("the tree grows");
    let turns = store.turns(0, 100_000, Some(TENANT), false).await;
    let turns = turns.expect("turns");
    let of_cases: Vec<Digest> = turns
        .iter()
        .filter(|t| t.2 != CaseId::CONTROL)
        .map(|t| t.3.leaf)
        .collect();
    let turns: Vec<Digest> = turns.into_iter().map(|t| t.3.leaf).collect();
    let leaves = store.leaves(TENANT, 0, 100_000).await.expect("leaves");
    let tree = store.tree(TENANT).await.expect("the tree");
    if leaves != turns || tree.size != turns.len() as u64 {
        let (l, t, s) = (leaves.len(), turns.len(), tree.size);
        out.push(format!("I5: {l} leaves of {t} turns, a tree of {s}"));
    }
    let signed = store.checkpoints(TENANT, 1).await.expect("checkpoints");
    if signed.first().map_or(0, |c| c.size) != tree.size {
        out.push("I15: the last checkpoint does not cover the tree".into());
    }
    let there: BTreeSet<Digest> = turns.iter().copied().collect();
    // In the control stream two refusals of the same at the same instant are the same bytes.
    if of_cases.iter().collect::<BTreeSet<_>>().len() != of_cases.len() {
        out.push("I5: a turn stands twice in the order of commits".into());
    }
    if there != *known.told {
        let lost = known.told.difference(&there).count();
        let strange = there.difference(known.told).count();
        out.push(format!(
            "I5: {lost} committed turns are not there, {strange} are there that nobody committed"
        ));
    }
    for f in files {
        let mut before: Digest = [0; 32];
        for (turn, head) in f.journal.iter().zip(&f.heads) {
            let whole = turn.body.is_some() && leaf_hash(&turn.head) == turn.leaf;
            if head.prev != before || !whole || !there.contains(&turn.leaf) {
                out.push(format!("I5: turn {} of {} is torn", turn.seq, f.row.case));
            }
            before = turn.leaf;
        }
    }
}

/// I7: at rest, or an open task about it.
fn i7_no_lost_effect(f: &File, out: &mut Vec<String>) {
    for row in f.effects.values() {
        let about = |t: &TaskRow| t.closed.is_none() && t.effect == Some(row.effect.n);
        let asked = f.tasks.iter().any(about);
        let waits = matches!(row.state, EffectState::Uncertain | EffectState::Planned);
        if !(row.state.is_settled() || waits && asked) {
            let (state, hold) = (row.state.word(), &row.hold);
            out.push(format!("I7: {} is {state} ({hold})", row.effect));
        }
    }
}

/// I6, I8 and I9: what the CRM applied, effect by effect.
fn vendor(w: &World, files: &[File], known: &Account<'_>, out: &mut Vec<String>) {
    let ledger = w.crm.ledger();
    let mut names: BTreeMap<String, EffectId> = BTreeMap::new();
    for row in files.iter().flat_map(|f| f.effects.values()) {
        for n in 0..=row.attempt {
            let mut attempt = row.clone();
            attempt.attempt = n;
            names.insert(traceparent(&attempt), row.effect);
        }
    }
    let mut applied: BTreeMap<EffectId, u32> = BTreeMap::new();
    for a in &ledger {
        match a.traceparent.as_ref().and_then(|t| names.get(t)) {
            Some(effect) => *applied.entry(*effect).or_default() += 1,
            None => out.push(format!("I6: {} belongs to no effect", a.path)),
        }
    }
    for f in files {
        for row in f.effects.values() {
            let times = applied.get(&row.effect).copied().unwrap_or(0);
            one_effect(f, row, (times, known.on_unknown), out);
        }
    }
    if known.versioned {
        out.extend(ledger.iter().filter_map(i9_no_lost_update));
    }
}

fn one_effect(f: &File, row: &EffectRow, told: (u32, OnUnknown), out: &mut Vec<String>) {
    let (times, on_unknown) = told;
    let entries = || f.heads.iter().flat_map(|h| &h.entries);
    let settled = |how: &str, to: Option<EffectState>| {
        entries()
            .filter(|e| {
                matches!(e, Entry::Settled { n, state, evidence, .. }
                    if *n == row.effect.n && evidence == how && to.is_none_or(|s| s == *state))
            })
            .count() as u32
    };
    let sent_again = settled("person", Some(EffectState::Ready));
    let allowed = match row.class {
        Class::E4 if on_unknown == OnUnknown::Resend => u32::MAX,
        Class::E4 => 1 + sent_again,
        Class::E5 => u32::MAX,
        _ => 1,
    };
    let (class, state) = (row.class.word(), row.state.word());
    if times > allowed {
        out.push(format!(
            "I6: {} ({class}) applied {times} times",
            row.effect
        ));
    }
    let approvals = entries()
        .filter(|e| matches!(e, Entry::Approved { n, digest } if *n == row.effect.n && *digest == row.digest));
    let asked = f
        .tasks
        .iter()
        .any(|t| t.kind == "approve" && t.effect == Some(row.effect.n));
    if asked && times > 0 && approvals.count() != 1 {
        out.push(format!("I12: {} left without its approval", row.effect));
    }
    if matches!(row.class, Class::E0 | Class::E5) || row.kind != EffectKind::Effect {
        return;
    }
    let denied = matches!(
        row.state,
        EffectState::Failed | EffectState::Cancelled | EffectState::Expired | EffectState::Dead
    );
    // A conditional write is settled by what the record holds, whoever put it there.
    let excused =
        settled("assumed", None) > 0 || row.class == Class::E2 && settled("look_up", None) > 0;
    if times > 0 && denied {
        out.push(format!("I8: {} was applied and is {state}", row.effect));
    }
    if times == 0 && row.state == EffectState::Succeeded && !excused {
        out.push(format!("I8: {} is {state}, never applied", row.effect));
    }
}

/// A write replaces the version that it names, or creates.
fn i9_no_lost_update(a: &Applied) -> Option<String> {
    let based = a.if_match.as_deref() == Some(&format!("\"{}\"", a.version - 1));
    let creates = a.version == 1 && a.if_match.is_none();
    (!based && !creates).then(|| {
        format!(
            "I9: {} became version {} over {:?}",
            a.path, a.version, a.if_match
        )
    })
}

/// I20: folding the journal gives what the database holds.
fn i20_rebuild(f: &File, program: &Program, out: &mut Vec<String>) {
    let (case, head) = (&f.case, &f.row.head);
    let closed = program.states[usize::from(case.state)].terminal;
    let due = case.due.filter(|_| !case.breached);
    let folded = (
        (case.seq, case.state, case.owner.clone()),
        (case.opened_at, case.updated_at, due, closed),
        (case.open_tasks().count(), case.open_effects().count()),
    );
    let stored = (
        (f.row.seq, head.state, head.owner.clone()),
        (head.opened_at, head.updated_at, head.due, head.closed),
        (head.open_tasks as usize, head.open_effects as usize),
    );
    if folded != stored {
        out.push(format!(
            "I20: {} is {stored:?}, its journal says {folded:?}",
            f.row.case
        ));
    }
    let tasks: BTreeMap<u32, bool> = f
        .tasks
        .iter()
        .map(|t| (t.task.n, t.closed.is_some()))
        .collect();
    let told: BTreeMap<u32, bool> = case
        .tasks
        .iter()
        .map(|(n, t)| (*n, t.closed.is_some()))
        .collect();
    if tasks != told {
        out.push(format!("I20: {}: tasks {tasks:?}, {told:?}", f.row.case));
    }
    // What the policy never allows, or what was said before, is decided and does not reach the ledger.
    let stillborn: BTreeSet<u32> = f
        .heads
        .iter()
        .flat_map(|h| &h.entries)
        .filter_map(|e| match e {
            Entry::Planned(p) if p.state == EffectState::Cancelled => Some(p.n),
            _ => None,
        })
        .collect();
    let planned = case.effects.keys().chain(case.asks.keys()).copied();
    let planned: BTreeSet<u32> = planned.filter(|n| !stillborn.contains(n)).collect();
    let ledger: BTreeSet<u32> = f.effects.keys().copied().collect();
    if planned != ledger {
        out.push(format!(
            "I5: {}: effects {ledger:?} in the ledger, {planned:?} decided",
            f.row.case
        ));
    }
    for (n, effect) in &case.effects {
        let Some(row) = f.effects.get(n) else {
            continue;
        };
        let same = row.state == effect.state
            || !effect.state.is_settled() && !row.state.is_settled()
            || head.closed && !effect.state.is_settled();
        if !same {
            let (a, b) = (row.state.word(), effect.state.word());
            out.push(format!("I20: {}: ledger {a}, journal {b}", row.effect));
        }
    }
}

/// I20 once more, by a fold of its own that shares nothing with the kernel's: what the heads say one after the other.
fn i20_by_reference(f: &File, out: &mut Vec<String>) {
    let (mut state, mut owner) = (0u16, String::new());
    let mut tasks: BTreeMap<u32, (String, bool)> = BTreeMap::new();
    let mut timers: BTreeMap<u32, i64> = BTreeMap::new();
    for entry in f.heads.iter().flat_map(|h| &h.entries) {
        match entry {
            Entry::Moved { to, owner: o, .. } => (state, owner) = (*to, o.clone()),
            Entry::Assigned { owner: o, .. } => owner.clone_from(o),
            Entry::TaskOpened { n, kind, .. } => {
                tasks.insert(*n, (kind.clone(), true));
            }
            Entry::TaskClosed { n, .. } => {
                if let Some(task) = tasks.get_mut(n) {
                    task.1 = false;
                }
            }
            Entry::TimerSet { n, due, .. } => {
                timers.insert(*n, *due);
            }
            Entry::TimerEnded { n, .. } => {
                timers.remove(n);
            }
            _ => {}
        }
    }
    let stored: BTreeMap<u32, (String, bool)> = f
        .tasks
        .iter()
        .map(|t| (t.task.n, (t.kind.clone(), t.closed.is_none())))
        .collect();
    let set: BTreeMap<u32, i64> = f
        .case
        .timers
        .iter()
        .map(|(n, (_, due))| (*n, *due))
        .collect();
    let case = f.row.case;
    if (state, &owner) != (f.row.head.state, &f.row.head.owner) {
        let head = (&f.row.head.state, &f.row.head.owner);
        out.push(format!(
            "I20: {case} is {head:?}, its heads say {state}, {owner}"
        ));
    }
    if tasks != stored {
        out.push(format!(
            "I20: {case}: tasks {stored:?}, its heads say {tasks:?}"
        ));
    }
    if timers != set {
        out.push(format!(
            "I20: {case}: timers {set:?}, its heads say {timers:?}"
        ));
    }
}

/// The same for effects: what the heads say was planned, approved and settled is what the ledger holds.
fn i20_effects_by_reference(f: &File, out: &mut Vec<String>) {
    let case = f.row.case;
    let mut told: BTreeMap<u32, (&Planned, EffectState)> = BTreeMap::new();
    for entry in f.heads.iter().flat_map(|h| &h.entries) {
        let (n, state) = match entry {
            Entry::Planned(p) => {
                if told.insert(p.n, (p, p.state)).is_some() {
                    out.push(format!("I20: {case}: effect {} is planned twice", p.n));
                }
                continue;
            }
            Entry::Approved { n, digest } => {
                if told.get(n).is_some_and(|(p, _)| p.digest != *digest) {
                    out.push(format!("I12: {case}: effect {n} was shown otherwise"));
                }
                (n, EffectState::Ready)
            }
            Entry::Settled { n, state, .. } => (n, *state),
            _ => continue,
        };
        match told.get_mut(n) {
            Some(known) => known.1 = state,
            None => out.push(format!(
                "I20: {case}: effect {n} is {} and was never planned",
                state.word()
            )),
        }
    }
    // What is born cancelled is decided and does not reach the ledger.
    told.retain(|_, (p, _)| p.state != EffectState::Cancelled);
    let rows = f.effects.values().filter(|e| e.kind == EffectKind::Effect);
    let rows: BTreeMap<u32, &EffectRow> = rows.map(|e| (e.effect.n, e)).collect();
    if !rows.keys().eq(told.keys()) {
        let (ledger, heads) = (rows.keys(), told.keys());
        out.push(format!(
            "I20: {case}: effects {ledger:?}, its heads say {heads:?}"
        ));
    }
    for (n, (planned, state)) in told {
        let Some(row) = rows.get(&n) else { continue };
        let (ledger, heads) = (
            (&row.action, row.class, row.digest),
            (&planned.name, planned.class, planned.digest),
        );
        let rests = f.row.head.closed && !state.is_settled();
        let same = match state.is_settled() {
            true => row.state == state,
            false => rests || !row.state.is_settled(),
        };
        if ledger != heads || !same {
            out.push(format!(
                "I20: {}: {ledger:?} {}, its heads say {heads:?} {}",
                row.effect,
                row.state.word(),
                state.word()
            ));
        }
    }
}

/// I18 and I20: the timers that are set are the folded ones, and none of them is late.
async fn timers(w: &World, files: &[File], out: &mut Vec<String>) {
    let set = w.desk.store().due_timers(i64::MAX, 10_000).await;
    let set = set.expect("timers");
    for f in files {
        let stored: BTreeMap<u32, i64> = set
            .iter()
            .filter(|t| t.case == f.row.case)
            .map(|t| (t.n, t.due))
            .collect();
        let folded: BTreeMap<u32, i64> = f
            .case
            .timers
            .iter()
            .map(|(n, (_, due))| (*n, *due))
            .collect();
        if stored != folded {
            out.push(format!(
                "I20: {}: timers {stored:?}, {folded:?}",
                f.row.case
            ));
        }
    }
    out.extend(
        set.iter()
            .filter(|t| t.due <= w.desk.now())
            .map(|t| format!("I18: timer {} of {} is late", t.n, t.case)),
    );
}
