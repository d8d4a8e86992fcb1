//! Every guard both ways, in one group and across groups.

use tl_kernel::effect::EffectState::*;
use tl_store::{Guard, Query, RecordWrite, Refused, Row, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    (
        "the next turn of a case passes, any other is refused",
        case_seq,
    ),
    ("two first turns of a case have one winner", case_first),
    ("two next turns in one group have one winner", case_group),
    ("two turns of one case may share a unit", case_two_turns),
    (
        "a turn of another tenant is a fault of the unit",
        foreign_turn,
    ),
    ("cases of two tenants may share an id", case_tenants),
    ("the gate guard follows the epochs", gate_epochs),
    ("a gate change earlier in the group counts", gate_group),
    ("an effect guard asks for state and attempt", effect_at),
    ("a record guard asks for the version", record_at),
    (
        "two writes of one record version have one winner",
        record_group,
    ),
    (
        "two versions of a record may share a unit",
        record_two_versions,
    ),
    ("a slot is taken once", slot),
    ("two units in one group cannot take one slot", slot_group),
    (
        "a slot belongs to its action, subject, window and tenant",
        slot_scope,
    ),
    ("a node guard knows the epoch", node_at),
    ("a node that was started again is fenced", node_restarted),
    ("guards are checked in order", in_order),
    ("a unit is refused whole", whole),
];

fn case_seq(w: &mut dyn World) {
    let moved = Refused::CaseMoved { case: case_id(1) };
    assert_eq!(w.refused(turn_unit(turn(1, 2))), moved);
    w.ok(turn_unit(turn(1, 1)));
    for seq in [1, 3] {
        assert_eq!(w.refused(turn_unit(turn(1, seq))), moved, "{seq}");
    }
    w.ok(turn_unit(turn(1, 2)));
    assert_eq!(ask!(w, Query::Case(T1, case_id(1)), Case).unwrap().seq, 2);
}

fn case_first(w: &mut dyn World) {
    let group = vec![turn_unit(turn(1, 1)), turn_unit(turn(1, 1))];
    assert_eq!(w.passed(group), [true, false]);
}

fn case_group(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1)));
    let group = (0..5).map(|_| turn_unit(turn(1, 2))).collect();
    assert_eq!(w.passed(group), [true, false, false, false, false]);
    let group = vec![turn_unit(turn(1, 3)), turn_unit(turn(1, 4))];
    assert_eq!(w.passed(group), [true, true]);
}

fn case_two_turns(w: &mut dyn World) {
    w.ok(Unit {
        turns: vec![turn(1, 1), turn(1, 2), turn(2, 1)],
        ..unit()
    });
    assert_eq!(ask!(w, Query::Journal(T1, case_id(1)), Journal).len(), 2);
    let gap = Unit {
        turns: vec![turn(1, 3), turn(1, 5)],
        ..unit()
    };
    assert_eq!(w.refused(gap), Refused::CaseMoved { case: case_id(1) });
}

fn foreign_turn(w: &mut dyn World) {
    let unit = Unit {
        turns: vec![turn(1, 1)],
        ..Unit::new(T2)
    };
    assert!(matches!(w.refused(unit), Refused::Faulty { .. }));
}

fn case_tenants(w: &mut dyn World) {
    let mut other = turn(1, 1);
    other.tenant = T2;
    assert_eq!(
        w.passed(vec![turn_unit(turn(1, 1)), turn_unit(other)]),
        [true, true]
    );
}

fn flag(tenant: tl_kernel::id::TenantId) -> Unit {
    let row = Row::Flag {
        name: "f".into(),
        value: Some(true),
    };
    Unit {
        rows: vec![row],
        ..Unit::new(tenant)
    }
}

fn gated(tenant: u64, installation: u64) -> Unit {
    Unit {
        guards: vec![Guard::GateAt {
            tenant,
            installation,
        }],
        ..unit()
    }
}

fn gate_epochs(w: &mut dyn World) {
    w.ok(gated(0, 0));
    w.ok(flag(T1));
    assert_eq!(w.refused(gated(0, 0)), Refused::GateMoved);
    w.ok(gated(1, 0));
    w.ok(flag(tl_kernel::id::TenantId::SYSTEM));
    assert_eq!(w.refused(gated(1, 0)), Refused::GateMoved);
    w.ok(gated(1, 1));
    w.ok(flag(T2));
    w.ok(gated(1, 1));
}

fn gate_group(w: &mut dyn World) {
    assert_eq!(
        w.passed(vec![gated(0, 0), flag(T1), gated(0, 0), gated(1, 0)]),
        [true, true, false, true]
    );
}

fn effect_at(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Ready, 0)));
    let guard = |state, attempt| Unit {
        guards: vec![Guard::EffectAt {
            effect: effect_id(1, 1),
            state,
            attempt,
        }],
        ..unit()
    };
    let moved = Refused::EffectMoved {
        effect: effect_id(1, 1),
    };
    w.ok(guard(Ready, 0));
    assert_eq!(w.refused(guard(Ready, 1)), moved);
    assert_eq!(w.refused(guard(Planned, 0)), moved);
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Ready, 0),
        Dispatching,
    )));
    assert_eq!(w.refused(guard(Ready, 0)), moved);
    w.ok(guard(Dispatching, 1));
}

pub fn record(version: u64) -> RecordWrite {
    RecordWrite {
        kind: "lead".into(),
        id: "r 1".into(),
        version,
        body: format!("{{\"v\":{version}}}").into_bytes(),
        provenance: b"{}".to_vec(),
        by: "engine".into(),
        at: 7,
        key: version.is_multiple_of(2).then(|| digest("write")),
    }
}

fn record_unit(version: u64) -> Unit {
    let guard = Guard::RecordAt {
        kind: "lead".into(),
        id: "r 1".into(),
        version: version - 1,
    };
    Unit {
        guards: vec![guard],
        rows: vec![Row::Record(record(version))],
        ..unit()
    }
}

fn record_at(w: &mut dyn World) {
    assert_eq!(
        w.refused(record_unit(2)),
        Refused::RecordMoved { version: 0 }
    );
    w.ok(record_unit(1));
    w.ok(record_unit(2));
    assert_eq!(
        w.refused(record_unit(2)),
        Refused::RecordMoved { version: 2 }
    );
    let read = |q| ask!(w, q, Records);
    assert_eq!(
        read(Query::Record(T1, "lead".into(), "r 1".into())),
        [record(2)]
    );
    assert_eq!(
        read(Query::RecordHistory(T1, "lead".into(), "r 1".into())),
        [record(2), record(1)]
    );
    assert!(read(Query::Record(T2, "lead".into(), "r 1".into())).is_empty());
}

fn record_group(w: &mut dyn World) {
    // Even a write without a guard cannot replace a version.
    let bare = Unit {
        rows: vec![Row::Record(record(1))],
        ..unit()
    };
    // Nor may it leave one out.
    let ahead = Unit {
        rows: vec![Row::Record(record(3))],
        ..unit()
    };
    assert_eq!(
        w.passed(vec![record_unit(1), record_unit(1), bare, ahead]),
        [true, false, false, false]
    );
}

fn record_two_versions(w: &mut dyn World) {
    let rows = vec![Row::Record(record(1)), Row::Record(record(2))];
    w.ok(Unit { rows, ..unit() });
    let rows = vec![Row::Record(record(3)), Row::Record(record(3))];
    assert_eq!(
        w.refused(Unit { rows, ..unit() }),
        Refused::RecordMoved { version: 3 }
    );
    assert_eq!(
        ask!(
            w,
            Query::RecordHistory(T1, "lead".into(), "r 1".into()),
            Records
        )
        .len(),
        2
    );
}

fn slot_guard(action: &str, window: i64, n: u32) -> Guard {
    Guard::Slot {
        action: action.into(),
        subject: digest("contact"),
        window,
        n,
    }
}

fn slot_unit(n: u32) -> Unit {
    Unit {
        guards: vec![slot_guard("ack", 0, n)],
        ..unit()
    }
}

fn slot(w: &mut dyn World) {
    w.ok(slot_unit(1));
    assert_eq!(w.refused(slot_unit(1)), Refused::SlotTaken);
    w.ok(slot_unit(2));
    let count = Query::SlotsTaken(T1, "ack".into(), digest("contact"), 0);
    assert_eq!(ask!(w, count, Count), 2);
}

fn slot_group(w: &mut dyn World) {
    assert_eq!(
        w.passed(vec![slot_unit(1), slot_unit(1), slot_unit(2)]),
        [true, false, true]
    );
}

fn slot_scope(w: &mut dyn World) {
    w.ok(slot_unit(1));
    w.ok(Unit {
        guards: vec![slot_guard("reply", 0, 1)],
        ..unit()
    });
    w.ok(Unit {
        guards: vec![slot_guard("ack", 1, 1)],
        ..unit()
    });
    w.ok(Unit {
        guards: vec![slot_guard("ack", 0, 1)],
        ..Unit::new(T2)
    });
    // A refused unit takes no slot.
    let refused = Unit {
        guards: vec![slot_guard("ack", 5, 1), slot_guard("ack", 0, 1)],
        ..unit()
    };
    assert_eq!(w.refused(refused), Refused::SlotTaken);
    assert_eq!(
        ask!(
            w,
            Query::SlotsTaken(T1, "ack".into(), digest("contact"), 5),
            Count
        ),
        0
    );
}

fn node_unit(node: u32, epoch: u64) -> Unit {
    Unit {
        guards: vec![Guard::NodeAt { node, epoch }],
        ..unit()
    }
}

fn node_at(w: &mut dyn World) {
    assert_eq!(w.epoch(), 1);
    w.ok(node_unit(1, 1));
    for (node, epoch) in [(1, 0), (1, 2), (2, 1)] {
        assert_eq!(
            w.refused(node_unit(node, epoch)),
            Refused::Fenced,
            "{node} {epoch}"
        );
    }
}

fn node_restarted(w: &mut dyn World) {
    w.crash();
    assert_eq!(w.epoch(), 2);
    assert_eq!(w.refused(node_unit(1, 1)), Refused::Fenced);
    w.ok(node_unit(1, 2));
}

fn in_order(w: &mut dyn World) {
    w.ok(slot_unit(1));
    let both = |guards| Unit { guards, ..unit() };
    let (slot, gate) = (
        slot_guard("ack", 0, 1),
        Guard::GateAt {
            tenant: 9,
            installation: 9,
        },
    );
    assert_eq!(
        w.refused(both(vec![slot.clone(), gate.clone()])),
        Refused::SlotTaken
    );
    assert_eq!(w.refused(both(vec![gate, slot])), Refused::GateMoved);
}

fn whole(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1)));
    // The last thing in the unit does not hold: nothing before it is written.
    let mut unit = admission(2, &["a"]);
    unit.turns.push(turn(1, 9));
    assert!(matches!(w.refused(unit), Refused::CaseMoved { .. }));
    w.ok(admission(2, &["a"]));
}
