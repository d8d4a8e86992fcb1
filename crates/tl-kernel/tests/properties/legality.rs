//! Whatever happens to a case, its history is legal: a model of what the store holds is kept beside it.

use std::collections::BTreeMap;

use tl_kernel::case::Case;
use tl_kernel::decide::Input;
use tl_kernel::effect::EffectState;
use tl_kernel::journal::{Entry, leaf_hash, open};
use tl_kernel::program::Program;
use tl_kernel::task::{TaskEnd, TaskKind};
use tl_kernel::turn::{Decision, EffectKind, EffectWrite, TaskWrite, Turn};
use tl_kernel::value::Value;

use crate::drive::{Happened, Life};
use crate::rng::Rng;
use crate::world::programs;

const SEED: u64 = 0x0dd0_c0de_5eed_0001;
const SEQUENCES: u64 = 2_000;
const COMMANDS: usize = 50;

/// What a store that only applies the writes of turns holds about one case.
#[derive(Default)]
struct Rows {
    timers: BTreeMap<u32, i64>,
    tasks: BTreeMap<u32, bool>,
    effects: BTreeMap<u32, (EffectState, EffectKind)>,
    last_leaf: [u8; 32],
    turns: u32,
}

impl Rows {
    fn apply(&mut self, turn: &Turn, input: &Input) {
        if let Input::TimerFired { n } = input {
            assert!(
                turn.timers_cancelled.contains(n),
                "timer {n} fired and stays set"
            );
        }
        for n in &turn.timers_cancelled {
            assert!(
                self.timers.remove(n).is_some(),
                "timer {n} ends and was not set"
            );
        }
        for t in &turn.timers {
            assert!(
                self.timers.insert(t.n, t.due).is_none(),
                "timer {} is set twice",
                t.n
            );
        }
        for t in &turn.tasks {
            match t {
                TaskWrite::Open { n, .. } => assert!(
                    self.tasks.insert(*n, true).is_none(),
                    "task {n} is opened twice"
                ),
                TaskWrite::Close { n, .. } => assert_eq!(
                    self.tasks.insert(*n, false),
                    Some(true),
                    "task {n} is not open"
                ),
                TaskWrite::Assign { n, .. } => {
                    assert_eq!(self.tasks.get(n), Some(&true), "task {n} is not open")
                }
            }
        }
        for e in &turn.effects {
            self.effect(e);
        }
    }

    fn effect(&mut self, write: &EffectWrite) {
        match write {
            EffectWrite::Plan(p) => {
                let before = self.effects.insert(p.n, (p.state, p.kind));
                assert!(before.is_none(), "effect {} is planned twice", p.n);
                assert_eq!(p.born.is_some(), p.state == EffectState::Dispatching);
                assert!(
                    p.state < EffectState::AwaitingCallback,
                    "born {:?}",
                    p.state
                );
            }
            EffectWrite::Change { n, from, to, .. } => {
                assert!(from.may_become(*to), "{from:?} becomes {to:?}");
                let (state, _) = self.effects.get_mut(n).expect("a planned effect");
                // Between turns the ledger moves a sent effect on its own; the case hears of it by settlement.
                assert_eq!(*state, *from, "effect {n} is elsewhere");
                *state = *to;
            }
            EffectWrite::Withdraw { n } => assert!(self.effects.contains_key(n)),
        }
    }

    /// What the ledger itself did before it told the case.
    fn settled(&mut self, input: &Input, before: &Case) {
        if let Input::EffectSettled(s) = input
            && before.effects.contains_key(&s.n)
            && let Some((state, _)) = self.effects.get_mut(&s.n)
        {
            *state = s.state;
        }
    }
}

fn check(program: &Program, rows: &mut Rows, h: &Happened<'_>) {
    let person = match h.input {
        Input::TaskDecided(t) => Some(&t.reason),
        Input::Command(c) => Some(&c.reason),
        _ => None,
    };
    let turn = match h.decision {
        Decision::Refused(r) => {
            let (head, _) = open(&r.sealed).expect("a refusal opens");
            assert!(
                matches!(head.entries.as_slice(), [Entry::Refused { .. }]),
                "{head:?}"
            );
            assert!(
                head.seq == 0 && !r.message.is_empty() && r.code.starts_with("TL07"),
                "{r:?}"
            );
            assert_eq!(h.before, h.after);
            return;
        }
        Decision::Turn(turn, _) => turn,
    };
    assert!(
        person.is_none_or(|r| !r.trim().is_empty()),
        "a person decided without a reason"
    );
    rows.settled(h.input, h.before);
    rows.apply(turn, h.input);
    let (head, _) = open(&turn.sealed).expect("a turn opens");
    rows.turns += 1;
    assert_eq!(
        (head.seq, head.prev),
        (rows.turns, rows.last_leaf),
        "the chain is broken"
    );
    assert_eq!(turn.sealed.leaf, leaf_hash(&turn.sealed.head));
    assert!(head.at >= h.before.updated_at, "time runs backwards");
    rows.last_leaf = turn.sealed.leaf;
    entries(program, h, &head.entries);
    released(h, turn);
    views(rows, h.after);
}

/// Every move is declared and begins where the case is; what a person caused has a reason.
fn entries(program: &Program, h: &Happened<'_>, entries: &[Entry]) {
    let by_person = matches!(h.input, Input::TaskDecided(_) | Input::Command(_));
    let mut state = h.before.state;
    for e in entries {
        match e {
            Entry::Moved {
                from, to, reason, ..
            } => {
                assert_eq!(*from, state, "a move from where the case is not");
                assert!(
                    program.edge(*from, *to).is_some(),
                    "{from} to {to} is not declared"
                );
                assert!(
                    !by_person || !reason.trim().is_empty(),
                    "a person's move without a reason"
                );
                state = *to;
            }
            Entry::Assigned { reason, .. } => assert!(!reason.trim().is_empty(), "{e:?}"),
            Entry::TaskClosed {
                n,
                decision,
                reason,
            } => {
                assert!(!reason.trim().is_empty(), "{e:?}");
                let kind = TaskKind::parse(&h.after.tasks[n].kind).expect("a kind");
                let end = TaskEnd::parse(decision).expect("an end");
                assert!(kind.may_end(end), "{kind:?} ended with {end:?}");
            }
            Entry::Approved { n, digest } => {
                assert!(by_person, "approved by nobody");
                // What waited; or what replaces it in this very turn, in other words.
                let new = &h.after.effects[n];
                let before = h.before.effects.get(n).unwrap_or(new);
                assert_eq!(before.digest, *digest, "approved something else");
                match h.before.effects.get(n) {
                    Some(old) => assert_eq!(
                        old.state,
                        EffectState::Planned,
                        "approved what does not wait"
                    ),
                    None => reworded(h, *n),
                }
            }
            _ => {}
        }
    }
    assert_eq!(state, h.after.state);
}

/// A message in a person's words stands for one that was shown to them, and differs from it in its words alone.
fn reworded(h: &Happened<'_>, n: u32) {
    let Input::TaskDecided(t) = h.input else {
        panic!("effect {n} is planned as approved by {:?}", h.input);
    };
    let shown = h.before.tasks[&t.n].effect.expect("an effect");
    let (old, new) = (&h.before.effects[&shown], &h.after.effects[&n]);
    assert_eq!(t.digest, Some(old.digest), "other words for something else");
    assert_eq!(h.after.effects[&shown].state, EffectState::Cancelled);
    assert_eq!((&old.name, old.verdict), (&new.name, new.verdict));
    let rest = |args: &Option<Value>| {
        let Some(Value::Record(mut parts)) = args.clone() else {
            panic!("a message without arguments");
        };
        parts.retain(|name, _| name != "text" && name != "subject");
        parts
    };
    assert_eq!(rest(&old.args), rest(&new.args));
    assert_ne!(old.args, new.args, "other words are other words");
}

/// What waits for an approval is released by an approval of its digest and by nothing else.
fn released(h: &Happened<'_>, turn: &Turn) {
    for write in &turn.effects {
        if let EffectWrite::Change {
            n,
            from: EffectState::Planned,
            to: EffectState::Ready,
            ..
        } = write
        {
            let shown = match h.input {
                Input::TaskDecided(t) if matches!(t.decision.as_str(), "approve" | "edit") => {
                    t.digest
                }
                _ => None,
            };
            assert_eq!(
                shown,
                Some(h.before.effects[n].digest),
                "effect {n} is released by {:?}",
                h.input
            );
        }
    }
}

/// The case sees what the store holds.
fn views(rows: &Rows, case: &Case) {
    let timers: BTreeMap<u32, i64> = case.timers.iter().map(|(n, (_, due))| (*n, *due)).collect();
    assert_eq!(timers, rows.timers, "timers");
    let tasks: BTreeMap<u32, bool> = case
        .tasks
        .iter()
        .map(|(n, t)| (*n, t.closed.is_none()))
        .collect();
    assert_eq!(tasks, rows.tasks, "tasks");
    for (n, e) in &case.effects {
        match rows.effects.get(n) {
            Some((EffectState::Dispatching, _)) => assert_eq!(e.state, EffectState::Ready),
            Some((state, _)) => assert_eq!(e.state, *state, "effect {n}"),
            // Refused by the policy when it was planned: recorded, never in the ledger.
            None => assert_eq!(e.state, EffectState::Cancelled, "effect {n}"),
        }
    }
    let planned = case.effects.len() + case.asks.len();
    assert!(
        rows.effects.len() <= planned,
        "the ledger holds more than the case planned"
    );
    for e in case
        .effects
        .values()
        .filter(|e| e.state == EffectState::Ready && e.approved)
    {
        assert!(
            case.tasks
                .values()
                .any(|t| t.kind == "approve"
                    && matches!(t.closed.as_deref(), Some("approve" | "edit"))),
            "{e:?}"
        );
    }
}

#[test]
fn every_history_is_legal() {
    let programs = programs();
    let (mut turns, mut longest) = (0, 0);
    for n in 0..SEQUENCES {
        let program = &programs[n as usize % programs.len()];
        let mut rng = Rng(SEED.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1);
        let mut rows = Rows::default();
        let mut life = Life::new();
        let length = 1 + rng.below(COMMANDS);
        life.live(program, &mut rng, length, &mut |h| {
            check(program, &mut rows, h)
        });
        turns += rows.turns as usize;
        longest = longest.max(rows.turns);
    }
    assert!(
        turns > SEQUENCES as usize * 5 && longest > 25,
        "{turns} turns, {longest} in one case: too dull"
    );
}
