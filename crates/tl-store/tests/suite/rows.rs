//! Outbox, saved answers, the audit's tree, cursors, sweeping.

use tl_kernel::effect::EffectState::{Dispatching, Ready};
use tl_kernel::journal::{Actor, seal_control};
use tl_kernel::turn::StoredEvent;
use tl_store::{
    Checkpoint, EffectChange, Guard, OutboxMessage, Query, Refused, Row, TreeRow, Unit,
};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("messages are read newest first", outbox),
    ("a saved answer is read back byte for byte", idempotent),
    ("an idempotency key is used once", idempotent_once),
    ("leaves are appended at the end alone", placed),
    ("leaves are read from any position", leaves),
    ("checkpoints are kept, newest first", checkpoints),
    ("a cursor moves on and never back", cursor),
    (
        "the newest instant is the latest that anything holds",
        newest,
    ),
    ("a sweep drops what has expired and nothing else", sweep),
];

fn row(row: Row) -> Unit {
    Unit {
        rows: vec![row],
        ..unit()
    }
}

fn outbox(w: &mut dyn World) {
    let message = |case, at| OutboxMessage {
        effect: effect_id(case, 1),
        channel: "sms".into(),
        to: "+49 30 \u{0}".into(),
        subject: String::new(),
        text: "Grüße 🧵".into(),
        at,
    };
    for (case, at) in [(1, 10), (2, 20), (1, 30)] {
        w.ok(row(Row::Outbox(message(case, at))));
    }
    let read =
        |case: Option<u64>, limit| ask!(w, Query::Outbox(T1, case.map(case_id), limit), Outbox);
    assert_eq!(read(None, 2), [message(1, 30), message(2, 20)]);
    assert_eq!(read(Some(1), 9), [message(1, 30), message(1, 10)]);
    assert!(ask!(w, Query::Outbox(T2, None, 9), Outbox).is_empty());
}

fn answer(key: &str, status: u16) -> Unit {
    row(Row::Idempotent {
        principal: "key1".into(),
        key: key.into(),
        fingerprint: digest("request"),
        status,
        body: vec![0, 255, 10],
        expires: 100,
    })
}

fn idempotent(w: &mut dyn World) {
    w.ok(answer("k", 409));
    let read = |principal: &str, key: &str| {
        ask!(
            w,
            Query::Idempotent(T1, principal.into(), key.into()),
            Idempotent
        )
    };
    assert_eq!(
        read("key1", "k"),
        Some((digest("request"), 409, vec![0, 255, 10]))
    );
    assert_eq!(read("key2", "k"), None);
    assert_eq!(read("key1", "K"), None);
}

fn idempotent_once(w: &mut dyn World) {
    let command = |status| Unit {
        turns: vec![turn(u64::from(status), 1)],
        ..answer("k", status)
    };
    let answers = w.commit(vec![command(200), command(201)]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refused::KeyUsed));
    assert_eq!(w.refused(command(202)), Refused::KeyUsed);
    assert!(ask!(w, Query::Case(T1, case_id(201)), Case).is_none());
}

fn place(pos: u64, texts: &[&str], after: u64) -> Unit {
    row(Row::Placed {
        pos,
        leaves: digests(texts),
        after,
        frontier: vec![pos as u8],
    })
}

fn placed(w: &mut dyn World) {
    assert_eq!(ask!(w, Query::Tree(T1), Tree), TreeRow::default());
    w.ok(place(0, &["a", "b"], 7));
    assert_eq!(
        w.refused(place(0, &["x"], 8)),
        Refused::TreeMoved { size: 2 }
    );
    assert_eq!(
        w.refused(place(3, &["x"], 8)),
        Refused::TreeMoved { size: 2 }
    );
    assert_eq!(
        w.passed(vec![
            place(2, &["c"], 8),
            place(2, &["d"], 8),
            place(3, &["e"], 9)
        ]),
        [true, false, true]
    );
    assert_eq!(
        ask!(w, Query::Tree(T1), Tree),
        TreeRow {
            size: 4,
            after: 9,
            frontier: vec![3]
        }
    );
    assert_eq!(ask!(w, Query::Tree(T2), Tree), TreeRow::default());
    assert_eq!(ask!(w, Query::Stats { now: 0 }, Stats).leaves, 4);
}

fn leaves(w: &mut dyn World) {
    w.ok(place(0, &["a", "b", "c"], 3));
    w.ok(place(3, &["d"], 4));
    w.ok(place(4, &["e", "f"], 6));
    let all = digests(&["a", "b", "c", "d", "e", "f"]);
    for from in 0..8 {
        for limit in 0..8 {
            let read = ask!(
                w,
                Query::Leaves {
                    tenant: T1,
                    from,
                    limit
                },
                Leaves
            );
            let start = (from as usize).min(6);
            let end = (start + limit as usize).min(6);
            assert_eq!(read, all[start..end], "{from} {limit}");
        }
    }
}

fn checkpoints(w: &mut dyn World) {
    let checkpoint = |size, at| Checkpoint {
        size,
        root: digest("root"),
        sig: vec![1; 64],
        at,
    };
    for (size, at) in [(1, 5), (9, 6), (9, 7)] {
        w.ok(row(Row::Checkpoint(checkpoint(size, at))));
    }
    let read = |limit| ask!(w, Query::Checkpoints(T1, limit), Checkpoints);
    assert_eq!(read(9), [checkpoint(9, 6), checkpoint(1, 5)]);
    assert_eq!(read(1).len(), 1);
}

fn cursor(w: &mut dyn World) {
    let at = |w: &dyn World, name: &str| ask!(w, Query::Cursor(T1, name.into()), Cursor);
    assert_eq!(at(w, "audit"), 0);
    for (value, expected) in [(5, 5), (9, 9), (7, 9)] {
        w.ok(row(Row::Cursor {
            name: "audit".into(),
            value,
        }));
        assert_eq!(at(w, "audit"), expected);
    }
    assert_eq!(at(w, "feed"), 0);
}

/// Each line writes something at its instant; a later line may be of an earlier one.
fn newest(w: &mut dyn World) {
    let control = |at| {
        let mut unit = unit();
        unit.control
            .push(seal_control(T1, at, Actor::Engine, vec![]));
        unit
    };
    let pending = |received_at| {
        let event = StoredEvent {
            received_at,
            case: None,
            ..event(9)
        };
        row(event_row(event, &["nine"]))
    };
    let effect = effect_id(1, 1);
    let attempt = |at, from, to| {
        change_unit(EffectChange {
            at,
            ..change(effect, from, to)
        })
    };
    let table = [
        (admission(1, &["one"]), 1_001),
        (control(5_000), 5_000),
        (control(4_000), 5_000),
        (pending(6_000), 6_000),
        (turn_unit(turn(1, 2).plan(1, Ready, 0)), 6_000),
        (attempt(7_000, (Ready, 0), Dispatching), 7_000),
        (attempt(8_000, (Dispatching, 1), Ready), 8_000),
        (control(7_500), 8_000),
    ];
    assert_eq!(ask!(w, Query::NewestInstant, NewestInstant), None);
    for (line, (unit, want)) in table.into_iter().enumerate() {
        w.ok(unit);
        let newest = ask!(w, Query::NewestInstant, NewestInstant);
        assert_eq!(newest, Some(want), "line {line}");
    }
}

fn sweep(w: &mut dyn World) {
    for n in 1..=40 {
        let key = format!("key {n}");
        let mut unit = admission(n, &[&key]);
        unit.rows = vec![Row::Event {
            event: event(n),
            keys: digests(&[&key]),
            expires: 2_000 + n as i64,
        }];
        w.ok(unit);
    }
    w.ok(answer("k", 200));
    let slot = |window| Guard::Slot {
        action: "ack".into(),
        subject: digest("s"),
        window,
        n: 1,
    };
    w.ok(Unit {
        guards: vec![slot(10), slot(20)],
        ..unit()
    });
    for part in 0..=255 {
        w.ok(row(Row::Sweep {
            part,
            now: 2_020,
            slots_before: 20,
        }));
    }
    // Keys that are gone are free for an event of any time; those that are kept are not.
    for n in 1..=40 {
        let key = format!("key {n}");
        let early = StoredEvent {
            received_at: 0,
            ..event(1_000 + n)
        };
        let probe = Unit {
            rows: vec![event_row(early, &[&key])],
            ..admission(1_000 + n, &[&key])
        };
        let passed = w.one(probe).is_ok();
        assert_eq!(passed, n <= 20, "{n}");
    }
    w.ok(answer("k", 200));
    let taken = |window| {
        ask!(
            w,
            Query::SlotsTaken(T1, "ack".into(), digest("s"), window),
            Count
        )
    };
    assert_eq!((taken(10), taken(20)), (0, 1));
}
