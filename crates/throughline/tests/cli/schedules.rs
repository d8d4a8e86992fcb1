//! What an operator sees of timetables, and what happens after downtime. Nobody waits for minutes: the database is made
//! to hold what it would hold if nobody had been there for hours.

use super::bench::{Bench, WORKFLOW};

const FILE: &str = "workflows/lead/workflow.yaml";
const TWO: &str = "schedules:\n  tick: { cron: '0 * * * *' }\n  yearly: { cron: '30 2 1 1 *', timezone: Europe/Berlin, catch_up: none }\n";
const BACK: &str =
    "UPDATE cursor SET value = value - 10800000000 WHERE name = 'schedule:lead:tick'";

fn project() -> Bench {
    let bench = Bench::project();
    bench.write(FILE, &format!("{WORKFLOW}{TWO}"));
    bench
}

#[test]
fn a_check_shows_the_next_instants() {
    let bench = project();
    let said = [
        "30 2 1 1 * Europe/Berlin, catch_up none",
        "-01-01 02:30 +01",
        "runs at the jump",
    ];
    bench.run(&["check"]).expect(0, &said);
    let checked = bench.json(&["check"]);
    let next = checked[0]["schedules"]["tick"].as_array().unwrap();
    assert_eq!(next.len(), 3, "{checked:#}");
    bench.write(
        FILE,
        &format!("{WORKFLOW}schedules: {{ tick: {{ cron: '* * * * * *' }} }}\n"),
    );
    let refused = bench.run(&["check"]);
    assert_ne!(refused.code, 0);
    refused.expect(refused.code, &["TL0218", "six fields"]);
}

#[test]
fn operators_see_close_and_open_a_timetable() {
    let bench = project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let status = bench.run(&["status"]);
    status.expect(
        0,
        &[
            "schedule     tick of lead: next ",
            "last never  [0 * * * * UTC]",
        ],
    );
    let doors = bench.run(&["endpoint", "list"]);
    assert!(!doors.out.contains("tick"), "{}", doors.out);
    let rotated = bench.run(&["endpoint", "rotate", "tick"]);
    assert!(
        rotated.code != 0 && rotated.err.contains("`tick` is a timetable"),
        "{}",
        rotated.err
    );
    let closed = ["`tick` is closed: it brings nothing, and what is due meanwhile is left out"];
    bench
        .run(&["endpoint", "disable", "tick", "--reason", "drill"])
        .expect(0, &closed);
    bench.run(&["status"]).expect(0, &["tick of lead: closed"]);
    bench
        .run(&["endpoint", "enable", "tick", "--reason", "drill"])
        .expect(0, &["`tick` is open"]);
    bench.run(&["status"]).expect(0, &["tick of lead: next "]);
}

#[test]
fn after_downtime_the_last_instant_runs_and_explain_names_the_timetable() {
    let bench = project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let db = rusqlite::Connection::open(bench.path().join("data/throughline.db")).unwrap();
    assert_eq!(
        db.execute(BACK, []).unwrap(),
        1,
        "it began when it was deployed"
    );
    drop(db);
    for _ in 0..2 {
        let server = bench.serve();
        bench.until(&["status"], "it is made up for", |s| {
            s["events"].as_u64() >= Some(1)
        });
        assert_eq!(server.stop(), 0);
    }
    let cases = bench.json(&["case", "list"]);
    let case = cases[0]["case"].as_str().unwrap();
    let said = [
        "timetable tick",
        "message 1 of the timetable `tick` (0 * * * * UTC)",
    ];
    bench.run(&["explain", case]).expect(0, &said);
    let status = bench.json(&["status"]);
    assert!(status["schedules"][0]["last"].is_string(), "{status:#}");
}
