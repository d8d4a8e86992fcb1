//! Cases and tasks as people see them, and counts.

use tl_kernel::turn::{TaskWrite, Turn};
use tl_store::{CaseFilter, Query, TaskFilter, TaskRow, Unit};

use super::build::*;
use super::{Check, World};
use crate::ask;

pub const CHECKS: &[Check] = &[
    ("cases are listed newest first, page by page", cases_pages),
    ("open cases are merged over their states", cases_open),
    (
        "cases are filtered by state, end and workflow",
        cases_filtered,
    ),
    ("cases of all tenants are listed together", cases_tenants),
    ("a case's row follows its turns", case_row),
    ("tasks come in the order of their due times", tasks_order),
    ("tasks are filtered by owner and case", tasks_filtered),
    ("a task is closed and handed over", tasks_change),
    ("counts of cases, tasks and timers are right", counts),
];

fn numbers(rows: &[tl_store::CaseRow]) -> Vec<u64> {
    let number = |row: &tl_store::CaseRow| u64::from_be_bytes(row.case.0[8..].try_into().unwrap());
    rows.iter().map(number).collect()
}

fn cases(w: &dyn World, filter: CaseFilter) -> Vec<u64> {
    numbers(&ask!(w, Query::Cases(filter), Cases))
}

/// Cases 1 to 9 in states 0, 1, 2, 0, …; those in state 2 are closed; those divisible by four are tickets.
fn nine(w: &mut dyn World) {
    let group = (1..=9)
        .map(|n: u64| {
            let state = ((n - 1) % 3) as u16;
            let mut turn = turn(n, 1).state(state, state == 2);
            if n.is_multiple_of(4) {
                turn.head.workflow = "ticket".into();
            }
            turn_unit(turn)
        })
        .collect();
    assert!(w.passed(group).into_iter().all(|p| p));
}

fn of_t1() -> CaseFilter {
    CaseFilter {
        tenant: Some(T1),
        ..CaseFilter::default()
    }
}

fn cases_pages(w: &mut dyn World) {
    nine(w);
    assert_eq!(
        cases(
            w,
            CaseFilter {
                limit: 4,
                ..of_t1()
            }
        ),
        [9, 8, 7, 6]
    );
    let next = CaseFilter {
        limit: 4,
        before: Some(case_id(6)),
        ..of_t1()
    };
    assert_eq!(cases(w, next), [5, 4, 3, 2]);
    assert_eq!(cases(w, of_t1()).len(), 9);
}

fn cases_open(w: &mut dyn World) {
    nine(w);
    let open = CaseFilter {
        closed: Some(false),
        ..of_t1()
    };
    assert_eq!(cases(w, open.clone()), [8, 7, 5, 4, 2, 1]);
    assert_eq!(
        cases(
            w,
            CaseFilter {
                limit: 3,
                ..open.clone()
            }
        ),
        [8, 7, 5]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                before: Some(case_id(5)),
                limit: 2,
                ..open.clone()
            }
        ),
        [4, 2]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                state: Some(1),
                ..open.clone()
            }
        ),
        [8, 5, 2]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                workflow: Some("ticket".into()),
                ..open
            }
        ),
        [8, 4]
    );
}

fn cases_filtered(w: &mut dyn World) {
    nine(w);
    assert_eq!(
        cases(
            w,
            CaseFilter {
                closed: Some(true),
                ..of_t1()
            }
        ),
        [9, 6, 3]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                state: Some(0),
                ..of_t1()
            }
        ),
        [7, 4, 1]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                workflow: Some("ticket".into()),
                ..of_t1()
            }
        ),
        [8, 4]
    );
    assert_eq!(
        cases(
            w,
            CaseFilter {
                tenant: Some(T2),
                ..of_t1()
            }
        ),
        []
    );
}

fn tenant(number: u32) -> Unit {
    let row = tl_store::Row::Tenant {
        name: format!("t{number}"),
        at: 0,
    };
    Unit {
        rows: vec![row],
        ..Unit::new(tl_kernel::id::TenantId(number))
    }
}

fn cases_tenants(w: &mut dyn World) {
    w.ok(tenant(1));
    w.ok(tenant(2));
    w.ok(turn_unit(turn(1, 1)));
    w.ok(turn_unit(Turn {
        tenant: T2,
        ..turn(2, 1)
    }));
    w.ok(turn_unit(turn(3, 1)));
    assert_eq!(cases(w, CaseFilter::default()), [3, 2, 1]);
    assert_eq!(
        cases(
            w,
            CaseFilter {
                closed: Some(false),
                limit: 2,
                ..CaseFilter::default()
            }
        ),
        [3, 2]
    );
}

fn case_row(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1)));
    let mut second = turn(1, 2).state(4, true);
    second.head.due = Some(-5);
    second.head.owner = "Zoë\u{301}".into();
    second.head.definition = 9;
    second.head.open_tasks = 1;
    second.head.open_effects = 2;
    second.head.reason = "won".into();
    let head = second.head.clone();
    w.ok(turn_unit(second));
    let row = ask!(w, Query::Case(T1, case_id(1)), Case).unwrap();
    assert_eq!(
        (row.tenant, row.case, row.seq, row.head),
        (T1, case_id(1), 2, head)
    );
}

fn tasks(w: &dyn World, filter: TaskFilter) -> Vec<(u64, u32)> {
    let case = |t: &TaskRow| u64::from_be_bytes(t.task.case.0[8..].try_into().unwrap());
    ask!(w, Query::Tasks(filter), Tasks)
        .iter()
        .map(|t| (case(t), t.task.n))
        .collect()
}

fn task_filter() -> TaskFilter {
    TaskFilter {
        tenant: Some(T1),
        ..TaskFilter::default()
    }
}

fn four_tasks(w: &mut dyn World) {
    w.ok(turn_unit(turn(1, 1).task(1, "ann", None).task(
        2,
        "bob",
        Some(30),
    )));
    w.ok(turn_unit(turn(2, 1).task(1, "ann", Some(10)).task(
        2,
        "cat",
        Some(20),
    )));
}

fn tasks_order(w: &mut dyn World) {
    four_tasks(w);
    assert_eq!(tasks(w, task_filter()), [(2, 1), (2, 2), (1, 2), (1, 1)]);
    assert_eq!(
        tasks(
            w,
            TaskFilter {
                limit: 2,
                ..task_filter()
            }
        ),
        [(2, 1), (2, 2)]
    );
    let first = ask!(w, Query::Tasks(task_filter()), Tasks).remove(0);
    assert_eq!(
        (first.due, first.opened_at, first.closed),
        (Some(10), 1_001, None)
    );
    assert_eq!(
        (first.kind.as_str(), first.reason.as_str(), first.effect),
        ("review", "unsure", None)
    );
}

fn tasks_filtered(w: &mut dyn World) {
    four_tasks(w);
    let owners = |list: &[&str]| TaskFilter {
        owners: list.iter().map(|o| (*o).to_owned()).collect(),
        ..task_filter()
    };
    assert_eq!(tasks(w, owners(&["ann"])), [(2, 1), (1, 1)]);
    assert_eq!(tasks(w, owners(&["bob", "cat", "bob"])), [(2, 2), (1, 2)]);
    assert_eq!(tasks(w, owners(&["dan"])), []);
    assert_eq!(
        tasks(
            w,
            TaskFilter {
                case: Some(case_id(1)),
                ..task_filter()
            }
        ),
        [(1, 2), (1, 1)]
    );
    assert_eq!(
        tasks(
            w,
            TaskFilter {
                tenant: Some(T2),
                ..task_filter()
            }
        ),
        []
    );
}

fn tasks_change(w: &mut dyn World) {
    four_tasks(w);
    let mut second = turn(2, 2);
    second.tasks = vec![
        TaskWrite::Close {
            n: 1,
            decision: "approve".into(),
        },
        TaskWrite::Assign {
            n: 2,
            owner: "ann".into(),
        },
    ];
    w.ok(turn_unit(second));
    assert_eq!(tasks(w, task_filter()), [(2, 2), (1, 2), (1, 1)]);
    let all = TaskFilter {
        closed: true,
        ..task_filter()
    };
    assert_eq!(tasks(w, all.clone()), [(2, 2), (1, 2), (1, 1), (2, 1)]);
    let rows = ask!(w, Query::Tasks(all), Tasks);
    assert_eq!(rows[0].owner, "ann");
    assert_eq!(rows[3].closed, Some((1_002, "approve".into())));
}

fn counts(w: &mut dyn World) {
    w.ok(turn_unit(
        turn(1, 1).task(1, "ann", None).timer(1, 500).timer(2, 900),
    ));
    w.ok(turn_unit(turn(2, 1)));
    w.ok(turn_unit(turn(2, 2).state(3, true)));
    let stats = ask!(w, Query::Stats { now: 2_001 }, Stats);
    assert_eq!(
        stats.cases,
        [(T1, "lead".into(), 0, 1), (T1, "lead".into(), 3, 1)]
    );
    assert_eq!(stats.tasks, [(T1, "review".into(), 1, 1_000)]);
    assert_eq!(
        (stats.timers, stats.turns, stats.leaves),
        ((2, 1_501), 3, 0)
    );
    assert!(stats.bytes > 0);
}
