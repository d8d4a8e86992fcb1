//! What every engine behind the contract must do, as one table of named checks, run against each; and what is the
//! engines' own.

mod suite;

use std::panic::{AssertUnwindSafe, catch_unwind};

use suite::postgres::Postgres;
use suite::sqlite::Sqlite;
use suite::{Check, World};

fn all() -> Vec<Check> {
    [
        suite::admission::CHECKS,
        suite::guards::CHECKS,
        suite::groups::CHECKS,
        suite::ledger::CHECKS,
        suite::settings::CHECKS,
        suite::people::CHECKS,
        suite::lists::CHECKS,
        suite::rows::CHECKS,
    ]
    .concat()
}

/// Runs each check on a fresh database and names those that failed.
fn run(checks: &[Check], mut fresh: impl FnMut() -> Option<Box<dyn World>>) {
    let mut failed = Vec::new();
    for (name, check) in checks {
        let Some(mut world) = fresh() else { return };
        if catch_unwind(AssertUnwindSafe(|| check(world.as_mut()))).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

#[test]
fn sqlite_conforms() {
    run(&all(), || Some(Box::new(Sqlite::fresh())));
}

#[test]
fn postgres_conforms() {
    run(&all(), || Some(Box::new(Postgres::fresh()?)));
}

#[test]
fn names_are_unique_and_many() {
    let mut names: Vec<_> = all().into_iter().map(|c| c.0).collect();
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before);
    assert!(before >= 60, "{before} checks");
}
