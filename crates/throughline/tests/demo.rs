//! The demo as its user runs it: the real binary, to the end, and killed in the middle of work.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

fn demo(dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["demo", "--once", "--json", "--keep"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// Runs the demo to its end and returns its report.
fn finish(dir: &Path) -> Json {
    let out = demo(dir).wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let report: Json = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&out.stderr)));
    assert!(out.status.success(), "{:#}", report["invariants"]);
    report
}

fn check(report: &Json, when: &str) {
    let messages = report["messages"].as_u64().expect("a number");
    assert!(messages >= 200, "{when}: only {messages} messages");
    assert_eq!(
        report["right"].as_u64(),
        Some(messages),
        "{when}: {:#}",
        report["wrong"]
    );
    for i in report["invariants"].as_array().expect("a list") {
        assert_eq!(
            i["violations"].as_array().map(Vec::len),
            Some(0),
            "{when}: {i:#}"
        );
    }
    let writes = report["writes_succeeded"].as_u64();
    assert_eq!(writes, report["writes_in_crm"].as_u64(), "{when}");
    assert!(writes > Some(0), "{when}: no write");
    assert_eq!(report["uncertain"], 0, "{when}");
    assert_eq!(report["dead"], 0, "{when}");
}

#[test]
fn every_message_comes_out_as_expected() {
    let dir = tempfile::tempdir().expect("a directory");
    let report = finish(dir.path());
    check(&report, "in one go");
    // A demo without its incidents proves less than it says.
    for (what, least) in [
        ("duplicate", 20),
        ("refused", 30),
        ("joined", 25),
        ("hot", 100),
        ("conflicts", 1),
        ("crm_refused", 1),
    ] {
        assert!(
            report[what].as_u64() >= Some(least),
            "{what}: {}",
            report[what]
        );
    }
}

/// A small generator of places to kill at (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Kills the demo (SIGKILL) right after so many messages were answered; false when it had ended before.
fn kill_after(dir: &Path, messages: u64) -> bool {
    let mut child = demo(dir);
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut reached = false;
    let mut said = Vec::new();
    for line in lines.map_while(Result::ok) {
        let sent = serde_json::from_str::<Json>(&line)
            .ok()
            .and_then(|j| j["sent"].as_u64());
        if sent.is_some_and(|n| n >= messages) {
            reached = true;
            break;
        }
        if sent.is_none() {
            said.push(line);
        }
    }
    child.kill().expect("a kill");
    child.wait().expect("it is gone");
    // A demo that ended by itself says why.
    assert!(reached, "not killed after {messages} messages: {said:?}");
    reached
}

#[test]
fn killed_at_twenty_moments_nothing_is_lost_and_nothing_doubled() {
    let seed = std::env::var("TL_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_261_122);
    println!("TL_SEED={seed}");
    let mut state = seed;
    let mut kills = 0;
    for round in 0..4 {
        let dir = tempfile::tempdir().expect("a directory");
        for _ in 0..5 {
            kills += u32::from(kill_after(dir.path(), draw(&mut state) % 316));
        }
        check(&finish(dir.path()), &format!("round {round}"));
    }
    assert!(kills >= 20, "only {kills} kills");
}
