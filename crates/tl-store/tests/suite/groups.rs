//! Groups, faults and what other processes do.

use tl_store::{Guard, Query, Refused, Row, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("an empty group is nothing", empty),
    ("answers come in the order of the units", order),
    (
        "a faulty unit alone is refused with an error id",
        faulty_alone,
    ),
    (
        "a faulty unit in a group of 64 harms no other",
        faulty_in_group,
    ),
    ("three faulty units are each found", faulty_three),
    ("a fault undoes what it raised", faulty_gate),
    ("errors have different ids", error_ids),
    ("groups are counted", counted),
    ("turns are read in commit order, page by page", commit_order),
    (
        "the control stream keeps its order and has no numbers",
        control,
    ),
    ("a switch set by another process is seen", guest_switch),
    ("turns of another process join the commit order", guest_turn),
    ("a guest does not fence the node", guest_fences_not),
    ("many groups survive a crash", crash),
];

fn empty(w: &mut dyn World) {
    assert!(w.commit(vec![]).is_empty());
    w.ok(unit());
}

fn order(w: &mut dyn World) {
    let group = (1..=20).map(|n| turn_unit(turn(n % 10 + 1, 1))).collect();
    let passed = w.passed(group);
    assert_eq!(passed[..10], [true; 10]);
    assert_eq!(passed[10..], [false; 10]);
}

/// The database refuses it: an event with an id that is there.
fn faulty(n: u64) -> Unit {
    let mut unit = admission(n, &[]);
    unit.rows.push(event_row(event(n), &[]));
    unit
}

fn faulty_alone(w: &mut dyn World) {
    let refused = w.refused(faulty(1));
    let Refused::Faulty { id, why } = refused else {
        panic!("{refused}")
    };
    assert!(id > 0);
    assert!(!why.contains("payload"), "{why}");
    assert!(ask!(w, Query::Case(T1, case_id(1)), Case).is_none());
    w.ok(admission(1, &[]));
}

fn faulty_in_group(w: &mut dyn World) {
    for bad in [0, 31, 63] {
        let from = 1_000 * (bad + 1);
        let group = (0..64)
            .map(|i| {
                if i == bad {
                    faulty(from + i)
                } else {
                    admission(from + i, &[])
                }
            })
            .collect();
        let passed = w.passed(group);
        assert_eq!(passed.iter().filter(|p| **p).count(), 63, "{bad}");
        assert!(!passed[bad as usize]);
    }
    assert_eq!(ask!(w, Query::Stats { now: 0 }, Stats).events, 3 * 63);
    assert_eq!(w.integrity(), "ok");
}

fn faulty_three(w: &mut dyn World) {
    let group = (1..=9)
        .map(|n| {
            if n % 3 == 0 {
                faulty(n)
            } else {
                admission(n, &[])
            }
        })
        .collect();
    assert_eq!(
        w.passed(group),
        [true, true, false, true, true, false, true, true, false]
    );
}

fn faulty_gate(w: &mut dyn World) {
    let mut bad = faulty(1);
    bad.rows.insert(
        0,
        Row::Flag {
            name: "f".into(),
            value: Some(true),
        },
    );
    w.refused(bad);
    let guard = Guard::GateAt {
        tenant: 0,
        installation: 0,
    };
    w.ok(Unit {
        guards: vec![guard],
        ..unit()
    });
}

fn error_ids(w: &mut dyn World) {
    let mut ids: Vec<u64> = w
        .commit(vec![faulty(1), faulty(2), faulty(3)])
        .into_iter()
        .map(|answer| match answer {
            Err(Refused::Faulty { id, .. }) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

fn counted(w: &mut dyn World) {
    let group = |answers: Vec<tl_store::CommitAnswer>| answers[0].clone().unwrap().group;
    let first = group(w.commit(vec![turn_unit(turn(1, 1)), turn_unit(turn(2, 1))]));
    let second = group(w.commit(vec![turn_unit(turn(3, 1))]));
    assert_eq!(second, first + 1);
}

fn commit_order(w: &mut dyn World) {
    for (case, seq) in [(5, 1), (3, 1), (5, 2), (4, 1)] {
        w.ok(turn_unit(turn(case, seq)));
    }
    let mut other = turn(9, 1);
    other.tenant = T2;
    w.ok(turn_unit(other));
    let page = |after, limit, tenant, bodies| Query::Turns {
        after,
        limit,
        tenant,
        bodies,
    };
    let turns = ask!(w, page(0, 3, None, true), Turns);
    let cases: Vec<_> = turns.iter().map(|t| (t.2, t.3.seq)).collect();
    assert_eq!(cases, [(case_id(5), 1), (case_id(3), 1), (case_id(5), 2)]);
    assert_eq!(turns[2].3, turn(5, 2).sealed);
    let rest = ask!(w, page(turns[2].0, 9, None, false), Turns);
    assert_eq!(rest.iter().map(|t| t.1).collect::<Vec<_>>(), [T1, T2]);
    assert!(rest.iter().all(|t| t.3.body.is_none()));
    assert_eq!(rest[0].3.leaf, turn(4, 1).sealed.leaf);
    assert_eq!(ask!(w, page(0, 9, Some(T2), true), Turns).len(), 1);
}

fn control(w: &mut dyn World) {
    for text in ["one", "two", "three"] {
        w.ok(Unit {
            control: vec![sealed(0, text)],
            ..unit()
        });
    }
    let control = tl_kernel::id::CaseId::CONTROL;
    let all = ask!(w, Query::Journal(T1, control), Journal);
    assert_eq!(
        all,
        [sealed(0, "one"), sealed(0, "two"), sealed(0, "three")]
    );
    assert!(ask!(w, Query::Journal(T2, control), Journal).is_empty());
    let turns = ask!(
        w,
        Query::Turns {
            after: 0,
            limit: 9,
            tenant: None,
            bodies: true
        },
        Turns
    );
    assert_eq!(turns[2].3, sealed(0, "three"));
}

fn switch() -> Unit {
    let row = Row::Switch {
        scope: "everything".into(),
        mode: Some("hold".into()),
        by: "ops".into(),
        reason: "drill".into(),
        at: 1,
    };
    Unit {
        rows: vec![row],
        control: vec![sealed(0, "kill")],
        ..Unit::new(tl_kernel::id::TenantId::SYSTEM)
    }
}

fn guest_switch(w: &mut dyn World) {
    let gated = Unit {
        guards: vec![Guard::GateAt {
            tenant: 0,
            installation: 0,
        }],
        ..unit()
    };
    w.ok(gated.clone());
    w.guest(switch()).unwrap();
    assert_eq!(w.refused(gated), Refused::GateMoved);
    let gate = ask!(w, Query::Gate(T1), Gate);
    assert_eq!((gate.tenant_epoch, gate.installation_epoch), (0, 1));
    assert_eq!(gate.switches[0].mode, "hold");
}

fn guest_turn(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1)));
    w.guest(switch()).unwrap();
    w.ok(turn_unit(turn(1, 2)));
    let turns = ask!(
        w,
        Query::Turns {
            after: 0,
            limit: 9,
            tenant: None,
            bodies: false
        },
        Turns
    );
    let tenants: Vec<_> = turns.iter().map(|t| t.1.0).collect();
    assert_eq!(tenants, [1, 0, 1]);
    assert!(turns.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

fn guest_fences_not(w: &mut dyn World) {
    w.guest(switch()).unwrap();
    let guard = Guard::NodeAt {
        node: 1,
        epoch: w.epoch(),
    };
    w.ok(Unit {
        guards: vec![guard],
        ..unit()
    });
}

fn crash(w: &mut dyn World) {
    for group in 0..20 {
        let units = (0..16)
            .map(|i| admission(group * 16 + i + 1, &[]))
            .collect();
        assert!(w.passed(units).into_iter().all(|p| p));
    }
    w.crash();
    let stats = ask!(w, Query::Stats { now: 0 }, Stats);
    assert_eq!(
        (stats.events, stats.turns, stats.cases),
        (320, 320, vec![(T1, "lead".into(), 0, 320)])
    );
    assert_eq!(w.integrity(), "ok");
}
