//! What `scripts/test` does beside the tests: whoever runs `cargo test` alone is told of it.

use crate::{none, read};

/// Steps that plain `cargo test` is itself, or needs.
const TESTS: [&str; 2] = ["fetch", "tests"];
/// Set by `scripts/test`.
const RUN_BY_THE_SCRIPT: &str = "TL_STEPS";

/// The names of the script's steps.
fn steps(script: &str) -> Vec<&str> {
    let lines = script.lines().filter(|l| !l.trim_start().starts_with('#'));
    let named = lines.filter_map(|l| {
        let before = l.split("step ").next()?.trim_end();
        let at_its_place = before.is_empty() || before.ends_with("&&");
        let name = l.split("step ").nth(1)?.split(' ').next()?;
        at_its_place.then_some(name)
    });
    let mut all: Vec<&str> = named.filter(|n| !TESTS.contains(n)).collect();
    all.dedup();
    all
}

#[test]
fn what_a_plain_run_of_the_tests_leaves_out_is_said() {
    let script = read("scripts/test");
    let steps = steps(&script);
    let wanted = [
        "fmt",
        "clippy",
        "clippy-pure",
        "vendor-signatures",
        "planted-apply",
        "planted",
    ];
    let missing = wanted.iter().filter(|w| !steps.contains(w));
    let missing: Vec<String> = missing.map(|w| (*w).to_owned()).collect();
    none("steps that scripts/test has lost", &missing);
    if std::env::var(RUN_BY_THE_SCRIPT).is_err() {
        tl_trial::left_out(&format!("{}: steps of scripts/test", steps.join(", ")));
    }
}

#[test]
fn a_test_that_may_leave_itself_out_is_required_where_it_can_run() {
    let script = read("scripts/test");
    let mut unknown = Vec::new();
    let sources = crate::files("crates").into_iter();
    for path in sources.filter(|p| p.ends_with(".rs") && !p.ends_with("/steps.rs")) {
        let source = read(&path);
        for (at, _) in source.match_indices("::lacks(") {
            let thing = source[at..].split('"').nth(1).unwrap_or_default();
            let set = script
                .lines()
                .any(|l| l.starts_with("need ") && l.split(' ').nth(2) == Some(thing));
            if !set {
                unknown.push(format!(
                    "{path}: no `need` of scripts/test sets TL_REQUIRE_{thing}"
                ));
            }
        }
    }
    none("what a machine may lack", &unknown);
}
