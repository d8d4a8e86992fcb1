//! Completeness of the audit for what operators do: every command that changes the database adds a turn, and what a
//! caller of the API writes without one is only what the documentation names. The database is looked at from outside,
//! table by table, before and after each command. What needs another system (`effect resolve`, `dead redrive`) is
//! looked at where one plays: each command that an incident's screen prints and that is followed.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;

use bench::{Bench, WORKFLOW};
use tl_trial::snapshot::{changed, snapshot};

/// What changes without a turn whenever a process opens the store or closes it: its start, and what the tree is.
const ALWAYS: [&str; 5] = ["node", "placed", "tree", "checkpoint", "cursor"];

/// A command, and a table that it is about.
const COMMANDS: &[(&str, &str)] = &[
    ("tenant create acme", "tenant"),
    ("tenant disable acme --reason gone", "switch"),
    ("tenant enable acme --reason back", "switch"),
    ("endpoint rotate default/web", "secret"),
    ("endpoint rotate default/web", "secret"),
    ("endpoint disable web --reason drill", "endpoint_disabled"),
    ("endpoint enable web --reason over", "endpoint_disabled"),
    ("key create --scope events", "api_key"),
    ("key rotate KEY", "api_key"),
    ("key disable KEY --reason lost", "api_key"),
    ("flag set beta on", "flag"),
    ("flag set beta off", "flag"),
    ("flag set beta remove", "flag"),
    ("flag set beta on --installation", "flag"),
    ("case assign CASE operators --reason drill", "case_head"),
    ("case close CASE --reason drill", "case_head"),
    ("case reopen CASE --reason drill", "case_head"),
    ("case move CASE closed --reason drill", "case_head"),
    ("case reopen CASE --reason drill", "case_head"),
    ("task decide TASK close --reason drill", "task"),
    ("kill set action:reply --reason drill", "switch"),
    ("kill set everything --reason drill", "switch"),
    ("kill clear action:reply --reason over", "switch"),
    ("kill clear everything --reason over", "switch"),
    ("deploy --yes", "bundle"),
    ("rollback lead 1 --reason too_strict", "current_bundle"),
];

#[test]
fn every_command_that_changes_something_leaves_a_turn() {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let case = waiting_case(&bench);
    let db = bench.path().join("data/throughline.db");
    let mut key = String::new();
    let mut silent = Vec::new();
    for (line, about) in COMMANDS {
        if line.starts_with("deploy") {
            let edited = WORKFLOW.replace("please write", "please do");
            bench.write(
                "workflows/lead/workflow.yaml",
                &edited.replace("\"1\"", "\"2\""),
            );
        }
        let mut line = line.replace("KEY", &key).replace("CASE", &case);
        if line.contains("TASK") {
            let tasks = bench.json(&["task", "list", "--case", &case]);
            line = line.replace("TASK", tasks[0]["task"].as_str().expect("its id"));
        }
        let args: Vec<&str> = line.split(' ').collect();
        let before = snapshot(&db);
        if line.starts_with("key create") {
            let made = bench.json(&args);
            key = made["kid"].as_str().expect("its id").to_owned();
        } else {
            bench.run(&args).expect(0, &[]);
        }
        let after = snapshot(&db);
        let changed = changed(&before, &after);
        assert!(changed.contains(about), "`{line}` changed {changed:?}");
        if !changed.contains("turn") {
            silent.push(format!("`{line}` changed {changed:?}"));
        }
    }
    assert!(silent.is_empty(), "no turn tells of it: {silent:#?}");
}

/// A case that waits for a person, of a server that has gone.
fn waiting_case(bench: &Bench) -> String {
    let secret = bench.secret("default/web");
    let server = bench.serve();
    bench.write("m.json", r#"{"email":"a@b.example","message":"hello"}"#);
    let to = format!("{}/hooks/default/web", server.url);
    let sent = bench.json(&["send", "m.json", "--to", &to, "--secret", &secret]);
    let case = sent["answer"]["case_id"].as_str().expect("a case");
    assert_eq!(server.stop(), 0);
    case.to_owned()
}

/// What only reads changes nothing that a turn would have to tell.
#[test]
fn what_reads_changes_nothing() {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let db = bench.path().join("data/throughline.db");
    for line in [
        "status",
        "case list",
        "task list",
        "effect list",
        "dead list",
        "outbox list",
        "kill list",
        "flag list",
        "key list",
        "endpoint list",
        "tenant list",
        "versions",
        "config",
        "check",
        "audit export",
    ] {
        let before = snapshot(&db);
        bench
            .run(&line.split(' ').collect::<Vec<_>>())
            .expect(0, &[]);
        let after = snapshot(&db);
        let mut changed = changed(&before, &after);
        changed.retain(|table| !ALWAYS.contains(table));
        assert!(changed.is_empty(), "`{line}` changed {changed:?}");
    }
}
