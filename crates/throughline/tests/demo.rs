//! The demo as its user runs it: the real binary, to the end, and killed in the middle of work.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

fn demo(template: &str, dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(["demo", template, "--once", "--json", "--keep"])
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

/// What senders saw acknowledged: message → event.
type Acks = BTreeMap<String, String>;

/// A line of progress: how many messages were answered, and what the last one was told.
fn progress(line: &str, acks: &mut Acks) -> Option<u64> {
    let told: Json = serde_json::from_str(line).ok()?;
    if let (Some(message), Some(event)) = (told["message"].as_str(), told["event"].as_str()) {
        acks.insert(message.to_owned(), event.to_owned());
    }
    told["sent"].as_u64()
}

/// Runs the demo to its end and returns its report, with what was acknowledged.
fn finish(template: &str, dir: &Path) -> (Json, Acks) {
    let out = demo(template, dir).wait_with_output().expect("it ends");
    let (text, said) = (
        String::from_utf8_lossy(&out.stdout).into_owned(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    );
    let report: Json =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}\n{said}"));
    assert!(out.status.success(), "{:#}", report["invariants"]);
    let mut acks = Acks::new();
    said.lines().for_each(|line| {
        progress(line, &mut acks);
    });
    assert!(!acks.is_empty(), "nothing was acknowledged: {said}");
    (report, acks)
}

fn check(report: &Json, when: &str) {
    let messages = report["messages"].as_u64().expect("a number");
    let least = if report["template"] == "lead" {
        200
    } else {
        40
    };
    assert!(messages >= least, "{when}: only {messages} messages");
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
    let (report, _) = finish("lead", dir.path());
    check(&report, "in one go");
    // Twenty failures in a row open the breaker, and the demo would wait for it.
    assert!(report["crm_refused"].as_u64() < Some(20), "{report:#}");
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

/// What a demo must have met at least, so that it proves what it says.
type Least = (&'static str, u64);

/// The other templates: once without a disturbance, once killed in the middle and gone on with.
fn play_and_kill(template: &str, least: &[Least]) {
    let dir = tempfile::tempdir().expect("a directory");
    let (report, _) = finish(template, dir.path());
    check(&report, template);
    assert!(report["crm_refused"].as_u64() < Some(20), "{report:#}");
    for (what, least) in least {
        assert!(
            report[what].as_u64() >= Some(*least),
            "{template}: {what}: {}",
            report[what]
        );
    }
    let killed = tempfile::tempdir().expect("a directory");
    let messages = report["messages"].as_u64().expect("a number");
    let acked = kill_after(
        (template, killed.path()),
        messages / 2,
        Duration::from_millis(5),
    );
    let (again, after) = finish(template, killed.path());
    check(&again, &format!("{template}, killed"));
    for (message, event) in &acked {
        assert_eq!(after.get(message), Some(event), "{template}: {message}");
    }
    assert_eq!(sums(&again), sums(&report), "{template}");
}

#[test]
fn every_ticket_comes_out_as_expected() {
    play_and_kill(
        "ticket",
        &[
            ("answered", 15),
            ("review", 15),
            ("joined", 5),
            ("duplicate", 5),
            ("refused", 10),
            ("closed", 1),
            ("conflicts", 1),
            ("crm_refused", 1),
        ],
    );
}

#[test]
fn every_document_comes_out_as_expected() {
    play_and_kill(
        "document",
        &[
            ("valid", 18),
            ("review", 12),
            ("joined", 4),
            ("duplicate", 5),
            ("refused", 10),
            ("conflicts", 1),
            ("crm_refused", 1),
        ],
    );
}

#[test]
fn a_demo_does_not_go_on_with_another_ones_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(
        dir.path().join("demo.json"),
        r#"{"crm_port":1,"template":"document"}"#,
    )
    .expect("a marker");
    let out = demo("ticket", dir.path())
        .wait_with_output()
        .expect("it ends");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(5), "{said}");
    assert!(said.contains("holds the demo `document`"), "{said}");
}

/// A small generator of places to kill at (SplitMix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Kills the demo (SIGKILL) so long after so many messages were answered; returns what was acknowledged by then.
fn kill_after((template, dir): (&str, &Path), messages: u64, wait: Duration) -> Acks {
    let mut child = demo(template, dir);
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (mut reached, mut said, mut acks) = (false, Vec::new(), Acks::new());
    for line in lines.by_ref().map_while(Result::ok) {
        match progress(&line, &mut acks) {
            Some(sent) if sent >= messages => {
                reached = true;
                break;
            }
            Some(_) => {}
            None => said.push(line),
        }
    }
    // The answer was the end of a commit: a moment later something else is under way.
    let answered = Instant::now();
    while answered.elapsed() < wait {
        std::thread::yield_now();
    }
    child.kill().expect("a kill");
    let ended = child.wait().expect("it is gone");
    // What was answered in that moment counts too.
    for line in lines.map_while(Result::ok) {
        progress(&line, &mut acks);
    }
    // A demo that ended by itself says why.
    assert!(reached, "not killed after {messages} messages: {said:?}");
    assert_eq!(ended.signal(), Some(9), "it had ended before: {said:?}");
    acks
}

/// What must be the same however often a run was killed: what is stored, written and said.
fn sums(report: &Json) -> Vec<(&'static str, u64)> {
    ["messages_stored", "writes_in_crm", "messages_sent"]
        .into_iter()
        .map(|name| (name, report[name].as_u64().expect("a number")))
        .collect()
}

#[test]
fn killed_at_twenty_moments_nothing_is_lost_and_nothing_doubled() {
    let seed = std::env::var("TL_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_261_122);
    println!("TL_SEED={seed}");
    let mut state = seed;
    let undisturbed = tempfile::tempdir().expect("a directory");
    let (undisturbed, _) = finish("lead", undisturbed.path());
    let messages = undisturbed["messages"].as_u64().expect("a number");
    let mut kills = 0;
    for round in 0..4 {
        let dir = tempfile::tempdir().expect("a directory");
        let mut before = Acks::new();
        let mut moments: Vec<u64> = (0..5).map(|_| draw(&mut state) % messages).collect();
        // After the last answer much is still on its way, and everything is judged.
        moments.push(messages);
        for after in moments {
            let wait = Duration::from_micros(draw(&mut state) % 20_001);
            let acked = kill_after(("lead", dir.path()), after, wait);
            kills += 1;
            // Each run sends everything again: what was acknowledged once keeps its event.
            for (message, event) in acked {
                let first = before.entry(message.clone()).or_insert(event.clone());
                assert_eq!(*first, event, "round {round}: {message} was taken twice");
            }
        }
        let (report, after) = finish("lead", dir.path());
        check(&report, &format!("round {round}"));
        for (message, event) in &before {
            assert_eq!(after.get(message), Some(event), "round {round}: {message}");
        }
        assert_eq!(sums(&report), sums(&undisturbed), "round {round}");
    }
    assert!(kills >= 24, "only {kills} kills");
}

/// Kills the demo (SIGKILL) as soon as a file is there.
fn kill_when_there(dir: &Path, file: &str) {
    let mut child = demo("lead", dir);
    while !dir.join(file).exists() {
        assert!(child.try_wait().expect("a child").is_none(), "no {file}");
        std::thread::yield_now();
    }
    child.kill().expect("a kill");
    child.wait().expect("it is gone");
}

#[test]
fn killed_before_its_first_message_it_starts_where_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let marker = || std::fs::read_to_string(dir.path().join("demo.json")).expect("a marker");
    let mut port = None;
    for file in [
        "demo.json",
        "throughline.toml",
        "data/throughline.db",
        "data/control.sock",
        "crm.token",
        "demo-keys.json",
    ] {
        kill_when_there(dir.path(), file);
        assert_eq!(*port.get_or_insert_with(marker), marker(), "after {file}");
    }
    let (report, _) = finish("lead", dir.path());
    check(&report, "killed at the start");
    assert_eq!(port, Some(marker()));
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        let out = command.args(arguments).current_dir(dir.path()).output();
        out.expect("the binary runs")
    };
    assert!(run(&["init", "lead", "leads"]).status.success());
    let leads = dir.path().join("leads");
    let before = files(&leads);
    assert!(before.len() > 3, "{before:?}");
    let out = run(&["demo", "--once", "--keep", "leads"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(5), "{said}");
    assert!(said.contains("is not empty"), "{said}");
    assert_eq!(files(&leads), before);
}

/// Every file below a directory, with what it holds.
fn files(dir: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => out.extend(files(&path)),
            false => drop(out.insert(path.clone(), std::fs::read(&path).expect("a file"))),
        }
    }
    out
}
