//! Accounts of people and the sessions in which they are signed in.

use tl_store::{AccountRow, People, Query, Row, SessionRow, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("an account is added and replaced by name", accounts),
    ("a session begins, is seen and ends", sessions),
    ("all sessions of an account end together", all_end),
    ("sessions that are over are dropped", over),
    ("people of one tenant are not seen by another", isolation),
    ("the oldest open case of each state is told", oldest),
];

fn unit_of(people: Vec<People>) -> Unit {
    Unit {
        rows: people.into_iter().map(Row::People).collect(),
        ..unit()
    }
}

fn account(name: &str, role: &str) -> AccountRow {
    AccountRow {
        name: name.into(),
        shown: format!("{name} \u{0}"),
        role: role.into(),
        password: "$argon2id$x".into(),
        by: "ops".into(),
        at: 3,
    }
}

fn session(token: &str, account: &str, ends: i64) -> SessionRow {
    SessionRow {
        token: digest(token),
        account: account.into(),
        begun: 1,
        seen: 1,
        ends,
    }
}

fn found(w: &dyn World, token: &str) -> Option<SessionRow> {
    ask!(w, Query::Session(T1, digest(token)), Session)
}

fn accounts(w: &mut dyn World) {
    for (name, role) in [("bo", "viewer"), ("ana", "viewer"), ("ana", "owner")] {
        w.ok(unit_of(vec![People::Account(account(name, role))]));
    }
    let all = ask!(w, Query::Accounts(T1, None), Accounts);
    assert_eq!(all, [account("ana", "owner"), account("bo", "viewer")]);
    let one = ask!(w, Query::Accounts(T1, Some("bo".into())), Accounts);
    assert_eq!(one, [account("bo", "viewer")]);
    let none = ask!(w, Query::Accounts(T1, Some("cy".into())), Accounts);
    assert!(none.is_empty());
}

fn sessions(w: &mut dyn World) {
    let begun = session("a", "ana", 90);
    w.ok(unit_of(vec![People::Session(begun.clone())]));
    assert_eq!(found(w, "a"), Some(begun.clone()));
    let seen = SessionRow { seen: 40, ..begun };
    w.ok(unit_of(vec![People::Session(seen.clone())]));
    assert_eq!(found(w, "a"), Some(seen));
    let ends = People::SessionEnds { token: digest("a") };
    w.ok(unit_of(vec![ends]));
    assert_eq!(found(w, "a"), None);
}

fn all_end(w: &mut dyn World) {
    let of = |token, account| People::Session(session(token, account, 90));
    w.ok(unit_of(vec![of("a", "ana"), of("b", "ana"), of("c", "bo")]));
    let account = "ana".to_owned();
    w.ok(unit_of(vec![People::SessionsEnd { account }]));
    let left = ["a", "b", "c"].map(|t| found(w, t).is_some());
    assert_eq!(left, [false, false, true]);
}

fn over(w: &mut dyn World) {
    let of = |token, ends| People::Session(session(token, "ana", ends));
    w.ok(unit_of(vec![of("a", 10), of("b", 11)]));
    w.ok(unit_of(vec![People::SessionsOver { now: 10 }]));
    assert_eq!(["a", "b"].map(|t| found(w, t).is_some()), [false, true]);
}

fn isolation(w: &mut dyn World) {
    let people = vec![
        People::Account(account("ana", "owner")),
        People::Session(session("a", "ana", 90)),
    ];
    w.ok(unit_of(people));
    let theirs = ask!(w, Query::Accounts(T2, None), Accounts);
    assert!(theirs.is_empty());
    assert_eq!(ask!(w, Query::Session(T2, digest("a")), Session), None);
}

fn oldest(w: &mut dyn World) {
    let none = ask!(w, Query::OldestOpen(T1, "lead".into()), OldestOpen);
    assert!(none.is_empty());
    for (case, state, opened_at, closed) in [
        (1, 0, 10, true),
        (2, 0, 20, false),
        (3, 0, 30, false),
        (4, 2, 40, false),
    ] {
        let mut turn = turn(case, 1);
        (turn.head.state, turn.head.opened_at, turn.head.closed) = (state, opened_at, closed);
        w.ok(turn_unit(turn));
    }
    let told = ask!(w, Query::OldestOpen(T1, "lead".into()), OldestOpen);
    assert_eq!(told, [(0, 20), (2, 40)]);
    let other = ask!(w, Query::OldestOpen(T1, "ticket".into()), OldestOpen);
    assert!(other.is_empty());
}
