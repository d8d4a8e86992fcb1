//! Events, dedupe keys, natural keys.

use tl_kernel::digest::sha256;
use tl_kernel::id::TenantId;
use tl_kernel::turn::StoredEvent;
use tl_store::{DuplicateRow, Guard, Query, Refused, Row, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("a first event is accepted with its case", first_event),
    ("a duplicate names the event and its payload", duplicate),
    ("one of two keys is enough for a duplicate", half_known),
    ("free keys of a duplicate become aliases", aliases),
    (
        "the strongest key decides between two events",
        strongest_key,
    ),
    ("a duplicate within one group has one winner", same_group),
    ("keys are free at another endpoint and tenant", other_scope),
    ("an expired key is free again", expired_key),
    (
        "a refused duplicate writes nothing else",
        refused_writes_nothing,
    ),
    (
        "an event is found by any of its dedupe keys",
        known_event_query,
    ),
    (
        "a natural key is taken by the first case",
        natural_key_taken,
    ),
    ("natural keys are scoped by workflow", natural_key_scope),
    ("natural keys race within one group", natural_key_group),
    (
        "a natural key that is taken stays with its case",
        natural_key_kept,
    ),
    (
        "the first taken natural key is found by position",
        natural_key_query,
    ),
    ("duplicates are counted and variants kept once", variants),
    ("a pending event is found and joined", pending_join),
    ("events of a case come in order", case_events),
    ("odd text and bytes come back as they were", odd_text),
    ("an admission survives a crash", crash),
];

fn first_event(w: &mut dyn World) {
    w.ok(admission(1, &["a", "b"]));
    assert_eq!(
        ask!(w, Query::Event(T1, event_id(1)), Events),
        [(T1, event(1))]
    );
    let case = ask!(w, Query::Case(T1, case_id(1)), Case).unwrap();
    assert_eq!((case.seq, case.head), (1, turn(1, 1).head));
    assert!(ask!(w, Query::Event(T2, event_id(1)), Events).is_empty());
}

fn duplicate(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    let payload = sha256(&[b"payload 1"]);
    assert_eq!(
        w.refused(admission(2, &["a"])),
        Refused::Duplicate {
            event: event_id(1),
            payload
        }
    );
}

fn is_duplicate_of(w: &mut dyn World, n: u64, of: u64, keys: &[&str]) {
    let refused = w.refused(admission(n, keys));
    let Refused::Duplicate { event, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(event, event_id(of), "{keys:?}");
}

fn half_known(w: &mut dyn World) {
    w.ok(admission(1, &["header", "hash"]));
    is_duplicate_of(w, 2, 1, &["fresh id", "hash"]);
    is_duplicate_of(w, 3, 1, &["header", "other bytes"]);
}

fn aliases(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    is_duplicate_of(w, 2, 1, &["b", "a"]);
    is_duplicate_of(w, 3, 1, &["b"]);
    is_duplicate_of(w, 4, 1, &["c", "b"]);
    is_duplicate_of(w, 5, 1, &["c"]);
}

fn strongest_key(w: &mut dyn World) {
    w.ok(admission(1, &["header 1"]));
    w.ok(admission(2, &["header 2", "hash"]));
    is_duplicate_of(w, 3, 1, &["header 1", "hash"]);
    is_duplicate_of(w, 4, 2, &["hash"]);
}

fn same_group(w: &mut dyn World) {
    let group = vec![
        admission(1, &["a", "x"]),
        admission(2, &["a", "y"]),
        admission(3, &["b"]),
    ];
    assert_eq!(w.passed(group), [true, false, true]);
    is_duplicate_of(w, 4, 1, &["y"]);
}

fn other_scope(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    let mut elsewhere = admission(2, &[]);
    elsewhere.guards = vec![Guard::KeysFree {
        endpoint: "tickets".into(),
        keys: digests(&["a"]),
    }];
    w.ok(elsewhere);
    let mut tenant = admission(1, &["a"]);
    tenant.tenant = T2;
    tenant.turns[0].tenant = T2;
    w.ok(tenant);
}

fn expired_key(w: &mut dyn World) {
    let at = |n: u64, received_at: i64| {
        let mut unit = admission(n, &["weak"]);
        let event = StoredEvent {
            received_at,
            ..event(n)
        };
        unit.rows = vec![Row::Event {
            event,
            keys: digests(&["weak"]),
            expires: received_at + 100,
        }];
        unit
    };
    w.ok(at(1, 1_000));
    assert!(matches!(w.refused(at(2, 1_099)), Refused::Duplicate { .. }));
    w.ok(at(3, 1_100));
    let refused = w.refused(at(4, 1_150));
    assert!(matches!(refused, Refused::Duplicate { event, .. } if event == event_id(3)));
}

fn known_event_query(w: &mut dyn World) {
    w.ok(admission(1, &["header 1", "hash 1"]));
    w.ok(admission(2, &["header 2", "hash 2"]));
    let one = Some((event_id(1), sha256(&[b"payload 1"])));
    let two = Some((event_id(2), sha256(&[b"payload 2"])));
    let table: [(&[&str], _, _); 5] = [
        (&["header 1"], 0, one),
        (&["fresh", "hash 2"], 0, two),
        (&["hash 2", "hash 1"], 0, two),
        (&["fresh"], 0, None),
        (&["hash 1"], i64::MAX, None),
    ];
    for (keys, now, want) in table {
        let find = Query::KnownEvent(T1, "leads".into(), digests(keys), now);
        assert_eq!(ask!(w, find, KnownEvent), want, "{keys:?}");
    }
    let elsewhere = Query::KnownEvent(T1, "elsewhere".into(), digests(&["hash 1"]), 0);
    assert_eq!(ask!(w, elsewhere, KnownEvent), None);
}

fn refused_writes_nothing(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    w.refused(admission(2, &["a"]));
    assert!(ask!(w, Query::Case(T1, case_id(2)), Case).is_none());
    assert!(ask!(w, Query::Event(T1, event_id(2)), Events).is_empty());
    let stats = ask!(w, Query::Stats { now: 0 }, Stats);
    assert_eq!((stats.events, stats.turns), (1, 1));
}

fn holder(case: u64, keys: &[&str]) -> Unit {
    let mut turn = turn(case, 1);
    turn.natural_keys = digests(keys);
    let guard = Guard::NaturalKeysFree {
        workflow: "lead".into(),
        keys: digests(keys),
    };
    Unit {
        guards: vec![guard],
        ..turn_unit(turn)
    }
}

fn natural_key_taken(w: &mut dyn World) {
    w.ok(holder(1, &["mail"]));
    let taken = Refused::NaturalKeyTaken {
        case: case_id(1),
        index: 1,
    };
    assert_eq!(w.refused(holder(2, &["phone", "mail"])), taken);
    w.ok(holder(2, &["phone"]));
}

fn natural_key_scope(w: &mut dyn World) {
    w.ok(holder(1, &["mail"]));
    let mut other = holder(2, &[]);
    other.guards = vec![Guard::NaturalKeysFree {
        workflow: "ticket".into(),
        keys: digests(&["mail"]),
    }];
    w.ok(other);
}

fn natural_key_group(w: &mut dyn World) {
    let group = vec![holder(1, &["a"]), holder(2, &["a"]), holder(3, &["b"])];
    assert_eq!(w.passed(group), [true, false, true]);
}

fn natural_key_kept(w: &mut dyn World) {
    w.ok(holder(1, &["a"]));
    // Without a guard the turn takes what is still free.
    let mut second = turn(2, 1);
    second.natural_keys = digests(&["a", "b"]);
    w.ok(turn_unit(second));
    let find = |keys: &[&str]| Query::NaturalKey(T1, "lead".into(), digests(keys));
    assert_eq!(ask!(w, find(&["a"]), NaturalKey), Some((case_id(1), 0)));
    assert_eq!(ask!(w, find(&["b"]), NaturalKey), Some((case_id(2), 0)));
}

fn natural_key_query(w: &mut dyn World) {
    w.ok(holder(1, &["b"]));
    let find = |keys: &[&str]| Query::NaturalKey(T1, "lead".into(), digests(keys));
    assert_eq!(
        ask!(w, find(&["a", "b"]), NaturalKey),
        Some((case_id(1), 1))
    );
    assert_eq!(ask!(w, find(&["a", "c"]), NaturalKey), None);
}

fn variants(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    for (body, at) in [
        (None, 5),
        (Some(digest("other")), 6),
        (Some(digest("other")), 7),
    ] {
        let row = Row::Variant {
            event: event_id(1),
            body,
            at,
        };
        w.ok(Unit {
            rows: vec![row],
            ..unit()
        });
    }
    assert_eq!(
        ask!(w, Query::Duplicates(T1, event_id(1)), Duplicates),
        DuplicateRow {
            count: 3,
            variants: vec![(digest("other"), 6)]
        }
    );
    assert_eq!(
        ask!(w, Query::Duplicates(T1, event_id(9)), Duplicates),
        DuplicateRow::default()
    );
    assert_eq!(ask!(w, Query::Stats { now: 0 }, Stats).duplicates, 3);
}

fn pending(n: u64) -> Unit {
    let event = StoredEvent {
        case: None,
        ..event(n)
    };
    Unit {
        rows: vec![event_row(event, &[])],
        ..unit()
    }
}

fn pending_join(w: &mut dyn World) {
    for n in [7, 8, 9] {
        w.ok(pending(n));
    }
    let found: Vec<_> = ask!(w, Query::PendingJoins(2), Events)
        .into_iter()
        .map(|e| e.1.id)
        .collect();
    assert_eq!(found, [event_id(7), event_id(8)]);
    for (event, case) in [(7, 1), (8, 8)] {
        let row = Row::EventJoined {
            event: event_id(event),
            case: case_id(case),
        };
        w.ok(Unit {
            rows: vec![row],
            ..unit()
        });
    }
    let found: Vec<_> = ask!(w, Query::PendingJoins(9), Events)
        .into_iter()
        .map(|e| e.1.id)
        .collect();
    assert_eq!(found, [event_id(9)]);
    assert_eq!(
        ask!(w, Query::Event(T1, event_id(7)), Events)[0].1.case,
        Some(case_id(1))
    );
    assert_eq!(
        ask!(w, Query::Event(T1, event_id(8)), Events)[0].1.case,
        Some(case_id(8))
    );
}

fn case_events(w: &mut dyn World) {
    w.ok(admission(5, &[]));
    for n in [9, 7] {
        let event = StoredEvent {
            case: Some(case_id(5)),
            ..event(n)
        };
        w.ok(Unit {
            rows: vec![event_row(event, &[])],
            ..unit()
        });
    }
    let found: Vec<_> = ask!(w, Query::Events(T1, case_id(5)), Events)
        .into_iter()
        .map(|e| e.1.id)
        .collect();
    assert_eq!(found, [event_id(5), event_id(9), event_id(7)]);
    assert!(ask!(w, Query::Events(T1, case_id(9)), Events).is_empty());
    assert!(ask!(w, Query::Events(TenantId(3), case_id(5)), Events).is_empty());
}

fn odd_text(w: &mut dyn World) {
    let texts = [
        "",
        "\u{0}",
        "a\u{0}b",
        "\u{202e}abc\u{feff}",
        "🧵\u{1f1e9}\u{1f1ea}",
        "'; DROP TABLE turn; --",
        "%_\\",
    ];
    for (n, text) in (1..).zip(texts) {
        let mut stored = event(n);
        stored.content_type = text.to_owned();
        stored.payload = [text.as_bytes(), &[0xff, 0xfe, 0x00]].concat();
        let mut unit = admission(n, &[]);
        unit.rows = vec![event_row(stored.clone(), &[])];
        w.ok(unit);
        assert_eq!(
            ask!(w, Query::Event(T1, event_id(n)), Events)[0].1,
            stored,
            "{text:?}"
        );
    }
}

fn crash(w: &mut dyn World) {
    w.ok(admission(1, &["a"]));
    w.crash();
    is_duplicate_of(w, 2, 1, &["a"]);
    w.ok(turn_unit(turn(1, 2)));
    assert_eq!(
        ask!(w, Query::Journal(T1, case_id(1)), Journal),
        [turn(1, 1).sealed, turn(1, 2).sealed]
    );
    assert_eq!(w.integrity(), "ok");
}
