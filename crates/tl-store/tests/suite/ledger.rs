//! Effects: planning, claiming, serial keys, what went stale; timers.

use tl_kernel::effect::EffectState::{self, *};
use tl_kernel::journal::TimerKind;
use tl_kernel::turn::{EffectPlan, EffectWrite, TimerWrite};
use tl_store::{Attempt, EffectChange, EffectRow, Query, Refused, Row, TimerRow, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("a planned effect is read back whole", read_back),
    (
        "arguments are read from the body of the turn that planned them",
        args_in_body,
    ),
    ("an effect may be born dispatching", born),
    ("a change needs the state and the attempt", change_from),
    ("every declared edge is allowed, every other refused", edges),
    ("two claims in one group have one winner", claim_group),
    ("options that are absent leave the row as it is", options),
    ("the first send is set once", first_send),
    ("a turn changes an effect's state", turn_change),
    (
        "a turn whose effect has moved is refused",
        turn_change_moved,
    ),
    (
        "a row applies before the turns that follow from it",
        row_before_turn,
    ),
    ("a unit may plan and dispatch an effect", plan_and_dispatch),
    (
        "withdrawing expires what is ready and leaves the rest",
        withdraw,
    ),
    (
        "a withdrawn effect cannot be dispatched",
        withdrawn_dispatch,
    ),
    ("candidates are ready and due, oldest first", candidates),
    ("candidates are limited", candidates_limit),
    (
        "each line has candidates, however many wait in another",
        candidates_lines,
    ),
    (
        "each line has what is stale, however much that is in another",
        stale_lines,
    ),
    ("a serial key admits one candidate", serial_candidate),
    ("a serial key in flight admits none", serial_busy),
    (
        "a serial key in flight refuses a second flight",
        serial_refused,
    ),
    (
        "a serial key refuses an effect born dispatching",
        serial_born,
    ),
    ("a serial key passes on within one unit", serial_passes_on),
    ("serial keys belong to their tenant", serial_tenant),
    (
        "planned effects do not hold their serial key",
        serial_planned,
    ),
    ("an attempt past its deadline is stale", stale_deadline),
    ("an attempt of an earlier epoch is stale", stale_epoch),
    ("a look-up is stale when due", stale_look_up),
    ("attempts are kept once each", attempts),
    ("timers fire in order and are removed", timers),
    (
        "the next due instant covers timers, effects and look-ups",
        next_due,
    ),
    ("effects are listed by state and case", list),
    ("counts follow every move", counts),
];

fn effect(w: &dyn World, case: u64, n: u32) -> EffectRow {
    ask!(w, Query::Effect(T1, effect_id(case, n)), Effects).remove(0)
}

fn ids(rows: Vec<EffectRow>) -> Vec<(u64, u32)> {
    let case = |row: &EffectRow| u64::from_be_bytes(row.effect.case.0[8..].try_into().unwrap());
    rows.iter().map(|r| (case(r), r.effect.n)).collect()
}

fn due(w: &dyn World, now: i64) -> Vec<(u64, u32)> {
    ids(ask!(w, Query::Candidates { now, limit: 100 }, Effects))
}

fn stale(w: &dyn World, now: i64) -> Vec<(u64, u32)> {
    ids(ask!(w, Query::Stale { now, limit: 100 }, Effects))
}

fn read_back(w: &mut dyn World) {
    let plan = EffectPlan {
        base_version: Some("W/\"\u{e9}\u{0}\"".into()),
        valid_until: 77,
        due: 5,
        ..plan(1, Ready)
    };
    w.ok(turn_unit(
        turn(1, 1).with(EffectWrite::Plan(Box::new(plan.clone()))),
    ));
    let expected = EffectRow {
        tenant: T1,
        effect: effect_id(1, 1),
        kind: plan.kind,
        workflow: "lead".into(),
        definition: 3,
        correlation: "corr-1".into(),
        action: plan.action,
        connection: plan.connection,
        class: plan.class,
        state: Ready,
        due: 5,
        valid_until: 77,
        hold: String::new(),
        args: plan.args,
        digest: plan.digest,
        key: plan.key,
        base_version: plan.base_version,
        attempt: 0,
        claim: None,
        first_send: None,
        planned_at: 1_001,
        updated_at: 1_001,
        code: String::new(),
        vendor_ref: None,
        crashes: 0,
    };
    assert_eq!(effect(w, 1, 1), expected);
    assert!(ask!(w, Query::Effect(T2, effect_id(1, 1)), Effects).is_empty());
}

fn args_in_body(w: &mut dyn World) {
    use tl_kernel::journal::{Body, Fact};
    use tl_kernel::value::Value;
    let args = |text: &str| Value::Record([("to".to_owned(), Value::text(text))].into());
    let bytes = |text: &str| minicbor::to_vec(args(text)).unwrap();
    let facts = vec![
        Fact::Note("before".into()),
        Fact::Args(2, args("two")),
        Fact::Args(1, args("one")),
    ];
    let mut body = vec![0];
    body.extend(minicbor::to_vec(Body { facts }).unwrap());
    let mut turn = turn(1, 1);
    turn.sealed.body = Some(body);
    // The third one is not in the body, or not as it was planned.
    for (n, text) in [(1, "one"), (2, "two"), (3, "three")] {
        turn = turn.with(EffectWrite::Plan(Box::new(EffectPlan {
            args: bytes(text),
            ..plan(n, Ready)
        })));
    }
    w.ok(turn_unit(turn));
    for (n, text) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(effect(w, 1, n).args, bytes(text), "{n}");
    }
    let all = ask!(w, Query::Candidates { now: 99, limit: 9 }, Effects);
    let all: Vec<_> = all.into_iter().map(|e| e.args).collect();
    assert_eq!(all, [bytes("one"), bytes("two"), bytes("three")]);
}

fn born(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    let row = effect(w, 1, 1);
    assert_eq!((row.attempt, row.claim), (1, Some((1, 1, 500))));
    assert!(due(w, 99).is_empty());
    let claimless = EffectPlan {
        born: None,
        ..plan(1, Dispatching)
    };
    let unit = turn_unit(turn(2, 1).with(EffectWrite::Plan(Box::new(claimless))));
    assert!(matches!(w.refused(unit), Refused::Faulty { .. }));
}

fn change_from(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Ready, 0)));
    let moved = Refused::EffectMoved {
        effect: effect_id(1, 1),
    };
    for from in [(Ready, 1), (Uncertain, 0)] {
        assert_eq!(
            w.refused(change_unit(change(effect_id(1, 1), from, Dispatching))),
            moved
        );
    }
    let nowhere = change(effect_id(1, 2), (Ready, 0), Dispatching);
    assert_eq!(
        w.refused(change_unit(nowhere)),
        Refused::EffectMoved {
            effect: effect_id(1, 2)
        }
    );
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Ready, 0),
        Dispatching,
    )));
    assert_eq!(effect(w, 1, 1).attempt, 1);
}

fn edges(w: &mut dyn World) {
    let mut case = 0;
    for from in EffectState::ALL {
        for to in EffectState::ALL {
            case += 1;
            w.ok(turn_unit(turn(case, 1).plan(1, from, 0)));
            let attempt = u32::from(from == Dispatching);
            let answer = w.one(change_unit(change(effect_id(case, 1), (from, attempt), to)));
            let allowed = from.may_become(to) || (from == to && !from.is_settled());
            assert_eq!(answer.is_ok(), allowed, "{from:?} to {to:?}: {answer:?}");
        }
    }
}

fn claim_group(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Ready, 0)));
    let claim = || change_unit(change(effect_id(1, 1), (Ready, 0), Dispatching));
    assert_eq!(
        w.passed(vec![claim(), claim(), claim()]),
        [true, false, false]
    );
}

fn options(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    let id = effect_id(1, 1);
    w.ok(change_unit(EffectChange {
        base_version: Some("v7".into()),
        vendor_ref: Some("SM1".into()),
        hold: "retry".into(),
        due: 9,
        code: "TL0420".into(),
        crashes: 2,
        ..change(id, (Dispatching, 1), Uncertain)
    }));
    let row = effect(w, 1, 1);
    assert_eq!(
        (row.hold.as_str(), row.due, row.code.as_str(), row.crashes),
        ("retry", 9, "TL0420", 2)
    );
    assert_eq!((row.claim, row.updated_at), (None, 2_000));
    w.ok(change_unit(change(id, (Uncertain, 1), Succeeded)));
    let row = effect(w, 1, 1);
    assert_eq!(row.base_version.as_deref(), Some("v7"));
    assert_eq!(row.vendor_ref.as_deref(), Some("SM1"));
    assert_eq!((row.hold.as_str(), row.due, row.crashes), ("", 0, 0));
}

fn first_send(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    for (from, to, at) in [(Dispatching, Ready, 10), (Ready, Dispatching, 20)] {
        let change = change(effect_id(1, 1), (from, 1), to);
        w.ok(change_unit(EffectChange {
            first_send: Some(at),
            ..change
        }));
        assert_eq!(effect(w, 1, 1).first_send, Some(10));
    }
}

fn to(n: u32, from: EffectState, to: EffectState) -> EffectWrite {
    EffectWrite::Change {
        n,
        from,
        to,
        due: 3,
        code: "approved".into(),
    }
}

fn turn_change(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Planned, 0)));
    assert!(due(w, 99).is_empty());
    w.ok(turn_unit(turn(1, 2).with(to(1, Planned, Ready))));
    let row = effect(w, 1, 1);
    assert_eq!(
        (row.state, row.due, row.code.as_str(), row.updated_at),
        (Ready, 3, "approved", 1_002)
    );
    assert_eq!(due(w, 99), [(1, 1)]);
}

fn turn_change_moved(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Planned, 0)));
    let moved = Refused::EffectMoved {
        effect: effect_id(1, 1),
    };
    assert_eq!(
        w.refused(turn_unit(turn(1, 2).with(to(1, Ready, Cancelled)))),
        moved
    );
    assert_eq!(ask!(w, Query::Case(T1, case_id(1)), Case).unwrap().seq, 1);
}

fn row_before_turn(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    let unit = Unit {
        turns: vec![turn(1, 2).with(to(1, Uncertain, Cancelled))],
        rows: vec![Row::Effect(change(
            effect_id(1, 1),
            (Dispatching, 1),
            Uncertain,
        ))],
        ..unit()
    };
    w.ok(unit);
    assert_eq!(effect(w, 1, 1).state, Cancelled);
}

fn plan_and_dispatch(w: &mut dyn World) {
    let unit = Unit {
        turns: vec![turn(1, 1).plan(1, Ready, 0)],
        rows: vec![Row::Effect(change(
            effect_id(1, 1),
            (Ready, 0),
            Dispatching,
        ))],
        ..unit()
    };
    w.ok(unit);
    assert_eq!(effect(w, 1, 1).state, Dispatching);
}

fn withdraw(w: &mut dyn World) {
    let first = turn(1, 1)
        .plan(1, Ready, 0)
        .plan(2, Dispatching, 0)
        .plan(3, Succeeded, 0);
    w.ok(turn_unit(first));
    let second = [1, 2, 3, 9]
        .into_iter()
        .fold(turn(1, 2), |t, n| t.with(EffectWrite::Withdraw { n }));
    w.ok(turn_unit(second));
    let until: Vec<_> = [1, 2, 3].map(|n| effect(w, 1, n).valid_until).to_vec();
    assert_eq!(until, [0, i64::MAX, i64::MAX]);
    assert_eq!(due(w, 99), [(1, 1)]);
    w.ok(change_unit(change(effect_id(1, 1), (Ready, 0), Expired)));
}

fn withdrawn_dispatch(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Ready, 0)));
    // Somebody has read the row as ready; the case withdraws it; the late claim is refused.
    let claim = change_unit(change(effect_id(1, 1), (Ready, 0), Dispatching));
    let group = vec![
        turn_unit(turn(1, 2).with(EffectWrite::Withdraw { n: 1 })),
        claim,
    ];
    assert_eq!(w.passed(group), [true, false]);
}

fn candidates(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1)
            .plan(1, Ready, 30)
            .plan(2, Ready, 10)
            .plan(3, Planned, 0),
    ));
    w.ok(turn_unit(
        turn(2, 1)
            .plan(1, Ready, 20)
            .plan(2, Ready, 99)
            .plan(3, Dispatching, 0),
    ));
    let mut other = turn(3, 1).plan(1, Ready, 10);
    other.tenant = T2;
    w.ok(turn_unit(other));
    assert_eq!(due(w, 50), [(1, 2), (3, 1), (2, 1), (1, 1)]);
    assert_eq!(due(w, 10), [(1, 2), (3, 1)]);
    assert!(due(w, 9).is_empty());
}

fn candidates_limit(w: &mut dyn World) {
    let many = (1..=9).fold(turn(1, 1), |t, n| t.plan(n, Ready, i64::from(n)));
    w.ok(turn_unit(many));
    let two = ask!(w, Query::Candidates { now: 99, limit: 2 }, Effects);
    assert_eq!(ids(two), [(1, 1), (1, 2)]);
}

fn candidates_lines(w: &mut dyn World) {
    let many = (1..=30).fold(turn(1, 1), |t, n| t.plan(n, Ready, i64::from(n)));
    let model = EffectPlan {
        connection: "model".into(),
        due: 90,
        ..plan(31, Ready)
    };
    w.ok(turn_unit(many.with(EffectWrite::Plan(Box::new(model)))));
    let mut other = turn(2, 1).plan(1, Ready, 95).plan(2, Ready, 96);
    other.tenant = T2;
    w.ok(turn_unit(other));
    for (limit, want) in [
        (1, vec![(1, 1), (1, 31), (2, 1)]),
        (7, vec![(1, 1), (1, 2), (1, 31), (2, 1), (2, 2)]),
    ] {
        let found = ask!(w, Query::Candidates { now: 99, limit }, Effects);
        assert_eq!(ids(found), want, "{limit}");
    }
}

fn stale_lines(w: &mut dyn World) {
    let many = (1..=30).fold(turn(1, 1), |t, n| t.plan(n, Dispatching, i64::from(n)));
    w.ok(turn_unit(many));
    let mut other = turn(2, 1).plan(1, Dispatching, 95);
    other.tenant = T2;
    w.ok(turn_unit(other));
    let found = ask!(w, Query::Stale { now: 999, limit: 4 }, Effects);
    assert_eq!(ids(found), [(1, 1), (1, 2), (2, 1)]);
}

fn serial_candidate(w: &mut dyn World) {
    let many = (1..=8).fold(turn(1, 1), |t, n| t.plan_serial(n, Ready, "a"));
    w.ok(turn_unit(many.plan_serial(9, Ready, "b")));
    // The limit counts what is returned, not what was passed over.
    let two = ask!(w, Query::Candidates { now: 99, limit: 2 }, Effects);
    assert_eq!(ids(two), [(1, 1), (1, 9)]);
}

fn serial_busy(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1)
            .plan_serial(1, Ready, "a")
            .plan_serial(2, Ready, "a"),
    ));
    for (from, to, next) in [
        ((Ready, 0), Dispatching, vec![]),
        ((Dispatching, 1), Uncertain, vec![]),
        ((Uncertain, 1), Succeeded, vec![(1, 2)]),
    ] {
        w.ok(change_unit(change(effect_id(1, 1), from, to)));
        assert_eq!(due(w, 99), next, "{to:?}");
    }
}

fn serial_refused(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1)
            .plan_serial(1, Ready, "a")
            .plan_serial(2, Ready, "a"),
    ));
    let claim = |n| change_unit(change(effect_id(1, n), (Ready, 0), Dispatching));
    let answers = w.commit(vec![claim(1), claim(2)]);
    assert!(answers[0].is_ok());
    assert_eq!(answers[1], Err(Refused::Serial));
    assert_eq!(w.refused(claim(2)), Refused::Serial);
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Dispatching, 1),
        Failed,
    )));
    w.ok(claim(2));
}

fn serial_born(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan_serial(1, Dispatching, "a")));
    assert_eq!(
        w.refused(turn_unit(turn(2, 1).plan_serial(1, Dispatching, "a"))),
        Refused::Serial
    );
    w.ok(turn_unit(turn(2, 1).plan_serial(1, Ready, "a")));
    let both = turn(3, 1)
        .plan_serial(1, Dispatching, "b")
        .plan_serial(2, Dispatching, "b");
    assert_eq!(w.refused(turn_unit(both)), Refused::Serial);
}

fn serial_passes_on(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan_serial(1, Dispatching, "a")));
    // The first write lost; the unit that says so sends the next one.
    w.ok(Unit {
        turns: vec![turn(1, 2).plan_serial(2, Dispatching, "a")],
        rows: vec![Row::Effect(change(
            effect_id(1, 1),
            (Dispatching, 1),
            Superseded,
        ))],
        ..unit()
    });
    assert_eq!(effect(w, 1, 2).state, Dispatching);
}

fn serial_tenant(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan_serial(1, Dispatching, "a")));
    let mut other = turn(1, 1).plan_serial(1, Dispatching, "a");
    other.tenant = T2;
    w.ok(turn_unit(other));
}

fn serial_planned(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1)
            .plan_serial(1, Planned, "a")
            .plan_serial(2, Planned, "a"),
    ));
    w.ok(turn_unit(turn(2, 1).plan_serial(1, Dispatching, "a")));
}

fn stale_deadline(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    assert!(stale(w, 499).is_empty());
    assert_eq!(stale(w, 500), [(1, 1)]);
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Dispatching, 1),
        Uncertain,
    )));
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Uncertain, 1),
        Succeeded,
    )));
    assert!(stale(w, 500).is_empty());
}

fn stale_epoch(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0)));
    assert!(stale(w, 1).is_empty());
    w.crash();
    assert_eq!(stale(w, 1), [(1, 1)]);
    // The outcome that the first process still reports fits state and attempt: its unit carries the node guard.
    let late = Unit {
        guards: vec![tl_store::Guard::NodeAt { node: 1, epoch: 1 }],
        ..change_unit(change(effect_id(1, 1), (Dispatching, 1), Succeeded))
    };
    assert_eq!(w.refused(late), Refused::Fenced);
}

fn stale_look_up(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).plan(1, Dispatching, 0).plan(
        2,
        Dispatching,
        0,
    )));
    for (n, state) in [(1, Uncertain), (2, AwaitingCallback)] {
        let change = change(effect_id(1, n), (Dispatching, 1), state);
        w.ok(change_unit(EffectChange {
            due: 100 * i64::from(n),
            ..change
        }));
    }
    for (now, expected) in [
        (99, vec![]),
        (100, vec![(1, 1)]),
        (200, vec![(1, 1), (1, 2)]),
    ] {
        assert_eq!(stale(w, now), expected, "{now}");
    }
    // The next look-up is later.
    w.ok(change_unit(EffectChange {
        due: 300,
        ..change(effect_id(1, 1), (Uncertain, 1), Uncertain)
    }));
    assert_eq!(stale(w, 200), [(1, 2)]);
}

fn attempts(w: &mut dyn World) {
    let attempt = |n, code: &str| Attempt {
        effect: effect_id(1, 1),
        n,
        at: 5,
        took: 7,
        knowledge: "unknown".into(),
        status: 504,
        code: code.into(),
        detail: "no answer\u{0}".into(),
    };
    for (n, code) in [(2, "b"), (1, "a"), (2, "late")] {
        w.ok(Unit {
            rows: vec![Row::Attempt(attempt(n, code))],
            ..unit()
        });
    }
    let found = ask!(w, Query::Attempts(T1, effect_id(1, 1)), Attempts);
    assert_eq!(found, [attempt(1, "a"), attempt(2, "b")]);
}

fn timers(w: &mut dyn World) {
    let kinds = [TimerKind::Warn, TimerKind::Breach, TimerKind::Escalate(3)];
    let mut first = turn(1, 1);
    for (n, kind) in (1..).zip(kinds) {
        first.timers.push(TimerWrite {
            n,
            kind,
            due: 400 - 100 * i64::from(n),
        });
    }
    w.ok(turn_unit(first));
    let at = |w: &dyn World, now, limit| ask!(w, Query::DueTimers { now, limit }, Timers);
    let third = TimerRow {
        tenant: T1,
        case: case_id(1),
        n: 3,
        kind: TimerKind::Escalate(3),
        due: 100,
    };
    assert_eq!(at(w, 100, 9), [third]);
    assert_eq!(
        at(w, 999, 2).iter().map(|t| t.n).collect::<Vec<_>>(),
        [3, 2]
    );
    assert!(at(w, 99, 9).is_empty());
    let mut second = turn(1, 2).timer(4, 50);
    second.timers_cancelled = vec![3, 2, 9];
    w.ok(turn_unit(second));
    assert_eq!(
        at(w, 999, 9).iter().map(|t| t.n).collect::<Vec<_>>(),
        [4, 1]
    );
}

fn next_due(w: &mut dyn World) {
    let next = |w: &dyn World| ask!(w, Query::NextDue, NextDue);
    assert_eq!(next(w), None);
    w.ok(turn_unit(turn(1, 1).timer(1, 900)));
    assert_eq!(next(w), Some(900));
    w.ok(turn_unit(turn(1, 2).plan(1, Ready, 800).plan(
        2,
        Dispatching,
        0,
    )));
    assert_eq!(next(w), Some(800));
    let look_up = EffectChange {
        due: 700,
        ..change(effect_id(1, 2), (Dispatching, 1), Uncertain)
    };
    w.ok(change_unit(look_up));
    assert_eq!(next(w), Some(700));
    // Behind a busy serial key nothing is due until the key is free.
    w.ok(turn_unit(
        turn(2, 1)
            .plan_serial(1, Dispatching, "a")
            .plan_serial(2, Ready, "a"),
    ));
    assert_eq!(next(w), Some(700));
    w.ok(change_unit(change(
        effect_id(2, 1),
        (Dispatching, 1),
        Succeeded,
    )));
    assert_eq!(next(w), Some(2));
}

fn list(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1)
            .plan(1, Failed, 0)
            .plan(2, Ready, 0)
            .plan(3, Dead, 0),
    ));
    w.ok(turn_unit(
        turn(2, 1).plan(1, Failed, 0).plan(2, Succeeded, 0),
    ));
    let find = |states: &[EffectState], case: Option<u64>, limit| {
        let filter = tl_store::EffectFilter {
            tenant: Some(T1),
            case: case.map(case_id),
            states: states.to_vec(),
            limit,
        };
        ids(ask!(w, Query::Effects(filter), Effects))
    };
    assert_eq!(find(&[Failed, Dead], None, 0), [(2, 1), (1, 3), (1, 1)]);
    assert_eq!(find(&[], None, 2), [(2, 2), (2, 1)]);
    assert_eq!(find(&[], Some(1), 0), [(1, 3), (1, 2), (1, 1)]);
    assert_eq!(find(&[Failed], Some(1), 0), [(1, 1)]);
    assert_eq!(find(&[Uncertain], None, 0), []);
    let row = Row::Tenant {
        name: "acme".into(),
        at: 0,
    };
    w.ok(Unit {
        rows: vec![row],
        ..unit()
    });
    let all = tl_store::EffectFilter {
        states: vec![Ready],
        ..Default::default()
    };
    assert_eq!(ids(ask!(w, Query::Effects(all), Effects)), [(1, 2)]);
}

fn counts(w: &mut dyn World) {
    use tl_kernel::effect::Class::E2;
    w.ok(turn_unit(turn(1, 1).plan(1, Ready, 0).plan(2, Ready, 0)));
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Ready, 0),
        Dispatching,
    )));
    let stats = ask!(w, Query::Stats { now: 2_001 }, Stats);
    assert_eq!(stats.effects, [(E2, Ready, 1), (E2, Dispatching, 1)]);
    let action = || "crm_upsert".to_owned();
    assert_eq!(
        stats.effects_open,
        [
            (T1, action(), Ready, 1, 1_000),
            (T1, action(), Dispatching, 1, 1_000)
        ]
    );
    w.ok(change_unit(change(
        effect_id(1, 1),
        (Dispatching, 1),
        Succeeded,
    )));
    let stats = ask!(w, Query::Stats { now: 2_001 }, Stats);
    assert_eq!(stats.effects, [(E2, Ready, 1), (E2, Succeeded, 1)]);
}
