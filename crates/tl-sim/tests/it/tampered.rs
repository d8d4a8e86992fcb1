//! A checker that finds nothing may be blind. The accounts of a good run are changed, one thing at a time, and the
//! invariant that was broken must say so.

use std::collections::BTreeSet;

use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{EffectId, EventId, TenantId};
use tl_kernel::journal::{Entry, Planned};
use tl_kernel::policy::Verdict;
use tl_kernel::time::DAY;
use tl_kernel::turn::{EffectKind, EffectWrite};
use tl_sim::check::{CaseFile, Evidence, all};
use tl_sim::outside::Stated;
use tl_sim::run::{Plan, evidence};
use tl_sim::workload::canary;
use tl_sim::world::Seen;
use tl_store::contract::{EffectRow, Guard, Row};

/// What is changed, and the invariant that must see it. `false`: the run had nothing of the kind.
type Tampering = (&'static str, &'static str, fn(&mut Evidence) -> bool);

/// Longer than any run, µs.
const AGES: i64 = 1_000 * DAY;

const TABLE: &[Tampering] = &[
    ("I1", "an acknowledged event is lost", |e| {
        e.acked.insert(0, EventId([9; 16]));
        true
    }),
    ("I2", "an event is there twice", |e| {
        let twice = e.cases[0].events[0].clone();
        e.cases[1].events.push(twice);
        true
    }),
    ("I2", "an event belongs to no case", |e| {
        let tenant = e.cases[0].row.tenant;
        let event = e.cases[0].events.remove(0);
        e.pending.push((tenant, event));
        true
    }),
    ("I3", "a message that nobody sent", |e| {
        e.cases[0].events[0].payload.push(b' ');
        true
    }),
    ("I4", "a turn is missing", |e| {
        let case = &mut e.cases[0];
        case.heads.remove(0);
        true
    }),
    ("I4", "the case is where no move led", |e| {
        e.cases[0].row.head.state = 77;
        true
    }),
    ("I4", "a turn is decided by another version", |e| {
        let heads = e.cases.iter_mut().find(|c| c.heads.len() > 1);
        heads.is_some_and(|c| {
            c.heads[1].definition += 1;
            true
        })
    }),
    ("I4", "a write of another version", |e| {
        let found = e.applied.iter_mut().find(|a| a.path.contains("/of/"));
        found.is_some_and(|a| {
            a.path = a.path.replace("/of/", "/of/1");
            true
        })
    }),
    ("I4", "a case is opened under an earlier version", |e| {
        let mut units = e.witness.iter_mut().flat_map(|s| &mut s.unit.turns);
        let first = units.find(|t| t.sealed.seq == 1);
        first.is_some_and(|t| {
            t.head.definition += 1;
            true
        })
    }),
    ("I5", "a committed turn is lost", |e| {
        for tree in e.trees.values_mut() {
            tree.turns.truncate(tree.turns.len() / 2);
        }
        true
    }),
    ("I5", "an effect that no turn has planned", |e| {
        let found = e.cases.iter_mut().find(|c| !c.effects.is_empty());
        found.is_some_and(|c| {
            let row = c.effects.values().next().cloned().expect("one");
            c.effects.insert(77, row);
            true
        })
    }),
    ("I5", "a planned effect is not in the ledger", |e| {
        let found = e.cases.iter_mut().find(|c| {
            let kinds = c.effects.values().map(|r| r.kind);
            kinds.eq([EffectKind::Effect])
        });
        found.is_some_and(|c| {
            c.effects.clear();
            true
        })
    }),
    ("I6", "a keyed write was applied twice", |e| {
        twice(e, Class::E1)
    }),
    ("I6", "a conditional write was applied twice", |e| {
        twice(e, Class::E2)
    }),
    ("I6", "a write that no effect sent", |e| {
        let Some(mut stray) = e.applied.first().cloned() else {
            return false;
        };
        stray.trace = "00-unknown".into();
        e.applied.push(stray);
        true
    }),
    ("I6", "a message went out twice", |e| {
        let found = e.cases.iter_mut().find(|c| !c.outbox.is_empty());
        found.is_some_and(|c| {
            let again = c.outbox[0].clone();
            c.outbox.push(again);
            true
        })
    }),
    ("I6", "a case says the same thing twice", |e| {
        let found = e.cases.iter_mut().find(|c| !c.outbox.is_empty());
        found.is_some_and(|c| {
            let mut again = c.outbox[0].clone();
            let first = again.effect.n;
            again.effect.n = 99;
            c.outbox.push(again);
            let entries = c.heads.iter().flat_map(|h| h.entries.clone());
            let planned = entries
                .filter_map(|entry| match entry {
                    Entry::Planned(p) if p.n == first => {
                        Some(Entry::Planned(Planned { n: 99, ..p }))
                    }
                    _ => None,
                })
                .next();
            let last = c.heads.last_mut().expect("a turn");
            last.entries.extend(planned);
            let row = c.effects[&first].clone();
            c.effects.insert(99, row);
            true
        })
    }),
    ("I6", "a limit is used once too often", |e| {
        let slots = |s: &Seen| {
            s.unit
                .guards
                .iter()
                .any(|g| matches!(g, Guard::Slot { .. }))
        };
        let used = e.witness.iter().find(|s| s.answer.is_ok() && slots(s));
        let again = used.cloned();
        (0..9).for_each(|_| e.witness.extend(again.clone()));
        again.is_some()
    }),
    (
        "I6",
        "a write that can be looked up was applied twice",
        |e| twice(e, Class::E3),
    ),
    ("I7", "an effect waits for ever", |e| {
        change(
            e,
            |row| row.kind == EffectKind::Effect,
            |row| row.state = EffectState::Ready,
        )
    }),
    ("I8", "an applied write is recorded as failed", |e| {
        let traces: Vec<String> = e.applied.iter().map(|a| a.trace.clone()).collect();
        let sent = move |row: &EffectRow| {
            row.class == Class::E1
                && tl_sim::check::traces_of(row)
                    .iter()
                    .any(|t| traces.contains(t))
        };
        change(e, sent, |row| row.state = EffectState::Failed)
    }),
    (
        "I8",
        "a write that never happened is recorded as done",
        |e| {
            e.applied.retain(|a| a.connection != "keyed");
            true
        },
    ),
    ("I8", "a look takes another version for the write", |e| {
        e.applied.retain(|a| a.connection != "crm");
        let journals = e.cases.iter_mut().flat_map(|c| &mut c.heads);
        for entry in journals.flat_map(|h| &mut h.entries) {
            if let Entry::Settled { evidence, .. } = entry {
                *evidence = "look_up".into();
            }
        }
        true
    }),
    ("I9", "a write without its version", |e| {
        let found = e
            .applied
            .iter_mut()
            .find(|a| a.before.is_some() && a.if_match.is_some());
        found.is_some_and(|a| {
            a.if_match = None;
            true
        })
    }),
    ("I10", "an older life claims an effect", |e| {
        claims(e, |claim| claim.1 += 7)
    }),
    ("I11", "a switch was set before everything", |e| {
        let at = e.witness[0].at;
        let mut first = e.witness[0].clone();
        first.at = at;
        first.unit.tenant = TenantId::SYSTEM;
        first.unit.turns.clear();
        first.unit.rows = vec![Row::Switch {
            scope: "everything".into(),
            mode: Some("hold".into()),
            by: String::new(),
            reason: String::new(),
            at,
        }];
        first.answer = Ok(Default::default());
        e.witness.insert(0, first);
        true
    }),
    ("I12", "what was sent is not what was shown", |e| {
        change(
            e,
            |row| row.kind == EffectKind::Effect,
            |row| row.digest = [1; 32],
        )
    }),
    ("I12", "what was sent is not what the person saw", |e| {
        e.shown.iter_mut().for_each(|s| s.args = None);
        !e.shown.is_empty()
    }),
    ("I12", "another text under the same digest", |e| {
        // Two that were planned with the same arguments have the same digest anyway.
        let found = e.cases.iter_mut().find(|c| {
            let digests: BTreeSet<_> = c.effects.values().map(|r| r.digest).collect();
            digests.len() > 1
        });
        found.is_some_and(|c| {
            let mut digests = c.effects.values().map(|r| r.digest);
            let first = digests.next().expect("one");
            c.effects.values_mut().for_each(|r| r.digest = first);
            true
        })
    }),
    ("I12", "an effect is let through too late", |e| {
        let turns = e.witness.iter_mut().flat_map(|s| &mut s.unit.turns);
        for write in turns.flat_map(|t| &mut t.effects) {
            if let EffectWrite::Plan(p) = write {
                p.valid_until = 0;
            }
        }
        true
    }),
    ("I13", "a note to an address from outside, by itself", |e| {
        e.cases.iter_mut().any(|c| {
            let notes = c.outbox.iter().filter(|m| m.text.starts_with("Noted"));
            let noted: BTreeSet<u32> = notes.map(|m| m.effect.n).collect();
            let entries = c.heads.iter_mut().flat_map(|h| &mut h.entries);
            let mut asked = entries.filter_map(|entry| match entry {
                Entry::Planned(p) if p.verdict == Verdict::Approve => Some(p),
                _ => None,
            });
            let found = asked.find(|p| noted.contains(&p.n));
            found.is_some_and(|p| {
                p.verdict = Verdict::Auto;
                true
            })
        })
    }),
    ("I13", "a message to a stranger", |e| {
        let found = e.cases.iter_mut().find(|c| !c.outbox.is_empty());
        found.is_some_and(|c| {
            c.outbox[0].to = "stranger@elsewhere.example".into();
            true
        })
    }),
    ("I14", "one tenant's text at the other", |e| {
        let found = e.cases.iter_mut().find(|c| c.row.tenant == TenantId(2));
        found.is_some_and(|c| {
            c.events[0].payload = canary(1).into_bytes();
            true
        })
    }),
    (
        "I14",
        "one tenant's text in what a model is asked for the other",
        |e| {
            let of_second = |c: &&CaseFile| c.row.tenant == TenantId(2);
            let second = e.cases.iter().filter(of_second);
            let asks: Vec<String> = second
                .flat_map(|c| c.effects.values().filter(|r| r.kind == EffectKind::Ask))
                .flat_map(tl_sim::check::traces_of)
                .collect();
            let found = e.arrived.iter_mut().find(|a| asks.contains(&a.trace));
            found.is_some_and(|a| {
                a.body.push_str(&canary(1));
                true
            })
        },
    ),
    ("I14", "a request that nobody has sent", |e| {
        let found = e.arrived.first_mut();
        found.is_some_and(|a| {
            a.trace.clear();
            true
        })
    }),
    (
        "I15",
        "a message with a case, and no turn tells of it",
        |e| {
            let mut units = e.witness.iter_mut().map(|s| &mut s.unit);
            let found = units.find(|u| u.rows.iter().any(|r| matches!(r, Row::Event { .. })));
            found.is_some_and(|u| {
                u.turns.clear();
                true
            })
        },
    ),
    ("I15", "a leaf is placed in the wrong order", |e| {
        let tree = e.trees.get_mut(&TenantId(1)).expect("a tree");
        tree.leaves.swap(0, 1);
        true
    }),
    ("I15", "a checkpoint signs another root", |e| {
        let tree = e.trees.get_mut(&TenantId(1)).expect("a tree");
        tree.checkpoints[0].root[0] ^= 1;
        true
    }),
    ("I15", "a signature is forged", |e| {
        let tree = e.trees.get_mut(&TenantId(1)).expect("a tree");
        tree.checkpoints[0].sig[0] ^= 1;
        true
    }),
    ("I15", "a file has a checkpoint of what is not there", |e| {
        stated(e, |s| s.size = 1_000_000)
    }),
    ("I15", "a file has a checkpoint with another root", |e| {
        stated(e, |s| s.root[0] ^= 1)
    }),
    ("I15", "a file has a forged signature", |e| {
        stated(e, |s| s.sig[0] ^= 1)
    }),
    ("I15", "a file is damaged in its middle", |e| {
        e.outside[0].damaged = true;
        true
    }),
    ("I16", "an attempt shows what was sent", |e| {
        let attempts = e.cases.iter_mut().flat_map(|c| c.attempts.values_mut());
        attempts.flatten().next().is_some_and(|a| {
            a.detail = format!("rejected: {}", canary(1));
            true
        })
    }),
    ("I16", "an address is a label", |e| {
        e.metrics.push("steps_total{of=\"p1@x1.example\"} 1".into());
        true
    }),
    ("I16", "a name in the clear part of the audit", |e| {
        e.cases[0].journal[0].head.extend(canary(2).bytes());
        true
    }),
    ("I17", "an open case that nobody moves on", |e| {
        let found = e.cases.iter_mut().find(|c| c.row.head.closed && at_rest(c));
        found.is_some_and(|c| {
            c.row.head.closed = false;
            true
        })
    }),
    ("I17", "an effect that waits while nothing is wrong", |e| {
        let turns = e.witness.iter().filter(|s| s.answer.is_ok());
        let turns = turns.flat_map(|s| &s.unit.turns);
        let plans = turns.flat_map(|t| t.effects.iter().map(|w| (t.case, w)));
        let ready: BTreeSet<EffectId> = plans
            .filter_map(|(case, write)| match write {
                EffectWrite::Plan(p) if p.serial_key.is_none() => {
                    let n = p.n;
                    (p.state == EffectState::Ready).then_some(EffectId { case, n })
                }
                _ => None,
            })
            .collect();
        let goes = |r: &Row| matches!(r, Row::Effect(c) if ready.contains(&c.effect));
        let mut units = e.witness.iter_mut().filter(|s| s.answer.is_ok());
        units
            .find(|s| s.unit.rows.iter().any(goes))
            .is_some_and(|s| {
                s.at += AGES;
                true
            })
    }),
    (
        "I18",
        "a timer that fires late while nothing is wrong",
        |e| {
            let heads = e.cases.iter_mut().flat_map(|c| &mut c.heads);
            let fires = |entry: &Entry| matches!(entry, Entry::TimerEnded { fired: true, .. });
            let mut fired = heads.filter(|h| h.entries.iter().any(fires));
            fired.next().is_some_and(|h| {
                h.at += AGES;
                true
            })
        },
    ),
    ("I18", "a timer that never fired", |e| {
        e.timers.push(tl_store::contract::TimerRow {
            tenant: TenantId(1),
            case: e.cases[0].row.case,
            n: 99,
            kind: tl_kernel::journal::TimerKind::Breach,
            due: 0,
        });
        true
    }),
    ("I18", "time goes back within a case", |e| {
        let found = e.cases.iter_mut().find(|c| c.heads.len() > 1);
        found.is_some_and(|c| {
            c.heads[1].at = 0;
            true
        })
    }),
    ("I19", "an effect was tried too often", |e| {
        change(e, |row| row.attempt > 0, |row| row.attempt = 40)
    }),
    ("I19", "a connection is flooded with repeats", |e| {
        let repeats = |s: &Seen| {
            let again =
                |r: &Row| matches!(r, Row::Effect(c) if c.attempt > c.from.1 && c.attempt > 1);
            s.answer.is_ok() && s.unit.rows.iter().any(again)
        };
        let again = e.witness.iter().filter(|s| repeats(s));
        let again: Vec<Seen> = again.cloned().collect();
        for seen in again {
            (0..100).for_each(|_| e.witness.push(seen.clone()));
        }
        e.witness.sort_by_key(|s| s.at);
        e.witness.iter().any(repeats)
    }),
    ("I19", "a crash is not counted", |e| {
        let never_crashed = |c: &&mut CaseFile| c.effects.get(&1).is_some_and(|r| r.crashes == 0);
        let cases = e.cases.iter_mut().filter(never_crashed);
        let mut found = cases.flat_map(|c| c.attempts.get_mut(&1)).flatten();
        found.next().is_some_and(|a| {
            a.code = "crashed".into();
            true
        })
    }),
    ("I20", "the case's row is not what its journal says", |e| {
        e.cases[0].row.head.owner.push('x');
        true
    }),
    ("I20", "a task is not in the journal", |e| {
        let found = e.cases.iter_mut().find(|c| !c.tasks.is_empty());
        found.is_some_and(|c| {
            c.tasks.remove(0);
            true
        })
    }),
    ("I20", "the ledger has another end", |e| {
        let ours =
            |row: &EffectRow| row.kind == EffectKind::Effect && row.state == EffectState::Succeeded;
        change(e, ours, |row| row.state = EffectState::Superseded)
    }),
];

/// Changes what a checkpoint file states.
fn stated(e: &mut Evidence, how: impl Fn(&mut Stated)) -> bool {
    let mut all = e.outside.iter_mut().flat_map(|o| &mut o.stated);
    all.next().map(how).is_some()
}

fn at_rest(c: &CaseFile) -> bool {
    c.tasks.iter().all(|t| t.closed.is_some()) && c.effects.values().all(|r| r.state.is_settled())
}

fn change(
    e: &mut Evidence,
    which: impl Fn(&EffectRow) -> bool,
    how: impl Fn(&mut EffectRow),
) -> bool {
    let rows = e.cases.iter_mut().flat_map(|c| c.effects.values_mut());
    let mut found = rows.filter(|row| which(row));
    found.next().is_some_and(|row| {
        how(row);
        true
    })
}

/// What an effect of a class did at its vendor is done again.
fn twice(e: &mut Evidence, class: Class) -> bool {
    let traces: Vec<String> = e
        .effects()
        .filter(|(_, row)| row.class == class)
        .flat_map(|(_, row)| tl_sim::check::traces_of(row))
        .collect();
    let again = e
        .applied
        .iter()
        .find(|a| traces.contains(&a.trace))
        .cloned();
    e.applied.extend(again.clone());
    again.is_some()
}

fn claims(e: &mut Evidence, how: impl Fn(&mut (u32, u64, i64))) -> bool {
    let units = e.witness.iter_mut().filter(|s| s.answer.is_ok());
    for row in units.flat_map(|s| s.unit.rows.iter_mut()) {
        if let Row::Effect(change) = row
            && change.from.0 == EffectState::Ready
            && let Some(claim) = &mut change.claim
        {
            how(claim);
            return true;
        }
    }
    false
}

/// Runs in which hardly anything goes wrong. One of them has what is tampered with, usually the first.
const SEEDS: std::ops::RangeInclusive<u64> = 5..=12;

#[test]
fn every_invariant_can_be_violated() {
    let mut runs = Vec::new();
    let mut blind = Vec::new();
    for (number, what, tamper) in TABLE {
        let tampered = SEEDS.enumerate().find_map(|(at, seed)| {
            if runs.len() == at {
                runs.push(good(seed));
            }
            let mut evidence = runs[at].clone();
            tamper(&mut evidence).then_some(evidence)
        });
        let tampered = tampered.unwrap_or_else(|| panic!("seeds {SEEDS:?} cannot show: {what}"));
        let found = all(&tampered);
        let seen = found.iter().any(|v| v.starts_with(&format!("{number} ")));
        if !seen {
            blind.push(format!("{number} does not see: {what}. Seen: {found:?}"));
        }
    }
    assert!(blind.is_empty(), "{blind:#?}");
}

fn good(seed: u64) -> Evidence {
    let plan = Plan {
        seed,
        ..Plan::default()
    };
    let evidence = evidence(&plan).expect("a run");
    assert_eq!(all(&evidence), Vec::<String>::new(), "seed {seed}");
    evidence
}
