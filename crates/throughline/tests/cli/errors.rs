//! What goes wrong, with the sentence that says what to do and the exit code.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::bench::{Bench, WORKFLOW};

#[test]
fn a_typo_is_shown_with_its_place_and_its_mend() {
    let bench = Bench::project();
    let table = [
        (
            WORKFLOW.replace("decision:", "decison:"),
            "TL0201",
            "did you mean `decision`?",
        ),
        (
            WORKFLOW.replace("human_queue", "human_queu"),
            "TL0204",
            "human_queue",
        ),
        (
            WORKFLOW.replace("record.message ==", "record.mesage =="),
            "TL0303",
            "message",
        ),
        (WORKFLOW.replace("auto\n", "yes\n"), "TL0105", "quote"),
    ];
    for (text, code, mend) in table {
        bench.write("workflows/lead/workflow.yaml", &text);
        let answer = bench.run(&["check"]);
        answer.expect(1, &[code, mend, "workflows/lead/workflow.yaml:"]);
        bench
            .run(&["deploy", "--yes"])
            .expect(1, &[code, "nothing was deployed"]);
        bench
            .run(&["serve", "--listen", "127.0.0.1:0"])
            .expect(1, &[code]);
        let json = bench.run(&["check", "--json"]);
        assert!(json.out.contains(code), "{}", json.out);
    }
}

#[test]
fn many_findings_are_counted_and_not_all_printed() {
    let bench = Bench::project();
    let states: String = (0..300)
        .map(|i| format!("  lost_{i}: {{ owner: operators, sla: 1h }}\n"))
        .collect();
    bench.write(
        "workflows/lead/workflow.yaml",
        &format!("{WORKFLOW}states:\n{states}"),
    );
    let all = bench.run(&["check", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&all.out).unwrap();
    let count = all[0]["findings"].as_array().unwrap().len();
    assert!(count >= 300, "{count}");
    assert_eq!(all[0]["findings_left_out"], 0);
    let more = format!("and {} more findings", count - 50);
    let shown = |text: &str| text.matches("error[").count() + text.matches("warning[").count();
    for args in [&["check"][..], &["deploy", "--yes"]] {
        let answer = bench.run(args);
        answer.expect(1, &["TL0501", &more]);
        assert_eq!(shown(&answer.out) + shown(&answer.err), 50, "{args:?}");
    }
}

#[test]
fn the_command_line_says_what_is_missing() {
    let bench = Bench::project();
    bench.write("m.json", "{}");
    let table: [(&[&str], i32, &str); 22] = [
        (&["sreve"], 2, "serve"),
        (&["explain", "unsur"], 2, "did you mean `unsure`?"),
        (
            &["explain", "quite_hours"],
            2,
            "did you mean `quiet_hours`?",
        ),
        (&["explain", "why"], 2, "the words of a decision are"),
        (&["explain", "tl701"], 3, "did you mean TL0701?"),
        (
            &["try", "m.json", "--endpoint", "webb"],
            3,
            "did you mean `web`?",
        ),
        (
            &[
                "send",
                "m.jsn",
                "--to",
                "http://127.0.0.1:1/",
                "--secret",
                "x",
            ],
            3,
            "did you mean m.json?",
        ),
        (&["case", "close", "case_0"], 2, "--reason"),
        (&["case", "show", "nonsense"], 2, "is no id"),
        (
            &["case", "show", "case_00000000000000000000000001"],
            3,
            "TL0703",
        ),
        (
            &["explain", "case_00000000000000000000000001"],
            3,
            "throughline case list",
        ),
        (
            &["task", "show", "task_00000000000000000000000001-1"],
            3,
            "TL0703",
        ),
        (
            &["case", "list", "--state", "triagd"],
            2,
            "did you mean `triaged`?",
        ),
        (
            &["effect", "list", "--state", "uncertian"],
            2,
            "did you mean `uncertain`?",
        ),
        (
            &["kill", "set", "actoin:reply", "--reason", "x"],
            2,
            "Did you mean `action:reply`?",
        ),
        (
            &["kill", "set", "action:repyl", "--reason", "x"],
            3,
            "did you mean `action:reply`?",
        ),
        (
            &["kill", "clear", "tenant", "--reason", "x"],
            3,
            "no switch is set",
        ),
        (&["endpoint", "rotate", "webb"], 3, "did you mean `web`?"),
        (
            &["endpoint", "rotate", "nobody/web"],
            3,
            "no tenant `nobody`",
        ),
        (
            &["--tenant", "nobody", "status"],
            3,
            "throughline tenant list",
        ),
        (
            &["key", "create", "--scope", "record:read"],
            2,
            "records:read",
        ),
        (&["tenant", "create", "Big Corp"], 2, "lower-case"),
    ];
    for (args, code, part) in table {
        bench.run(args).expect(code, &[part]);
    }
}

#[test]
fn a_wrong_directory_holds_nothing_and_says_so() {
    let bench = Bench::empty();
    let table: [&[&str]; 3] = [
        &["status"],
        &["case", "list"],
        &["kill", "set", "everything", "--reason", "drill"],
    ];
    for args in table {
        bench.run(args).expect(3, &["TL0643", "--dir"]);
    }
    assert!(!bench.path().join("data").exists(), "nothing was made");
    let json = bench.run(&["status", "--json"]);
    assert!(json.err.contains("\"code\":\"TL0643\""), "{}", json.err);
}

#[test]
fn settings_are_checked() {
    let bench = Bench::project();
    bench.write("throughline.toml", "lisen = \"127.0.0.1:1\"\n");
    bench.run(&["status"]).expect(
        2,
        &["TL0622", "throughline.toml:1", "did you mean `listen`?"],
    );
    bench.write("throughline.toml", "slots = 5\n");
    let config = bench.json(&["config"]);
    let slots = config
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["key"] == "slots")
        .unwrap();
    assert!(
        slots["from"]
            .as_str()
            .unwrap()
            .ends_with("throughline.toml:1")
    );
}

#[test]
fn a_port_in_use_is_named() {
    let bench = Bench::project();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    bench
        .run(&["serve", "--listen", &address])
        .expect(4, &["TL0642", &address, "another program"]);
    bench
        .run(&["serve", "--listen", "nonsense"])
        .expect(4, &["TL0642", "HOST:PORT"]);
}

#[test]
fn an_unwritable_directory_is_named() {
    let bench = Bench::project();
    bench.write("data", "a file in the way");
    bench.run(&["status"]).expect(
        4,
        &["TL0610", "a file stands where the directory should be"],
    );
    let Ok(uid) = std::process::Command::new("id").arg("-u").output() else {
        return;
    };
    if uid.stdout.starts_with(b"0") {
        return; // root may write everywhere
    }
    std::fs::remove_file(bench.path().join("data")).unwrap();
    std::fs::set_permissions(bench.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let answer = bench.run(&["status"]);
    std::fs::set_permissions(bench.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    answer.expect(4, &["TL0610", "may not write there"]);
}

#[test]
fn a_newer_database_and_a_foreign_key_are_refused() {
    let bench = Bench::project();
    bench.run(&["status"]).expect(0, &[]);
    let key = bench.path().join("data/installation.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "0".repeat(64)).unwrap();
    bench.run(&["status"]).expect(4, &["TL0632"]);
    std::fs::remove_file(&key).unwrap();
    bench
        .run(&["status"])
        .expect(4, &["TL0631", "backup of keys"]);
    std::fs::write(&key, good).unwrap();
    bench.run(&["status"]).expect(0, &[]);
    // The schema's own table, as a newer release would leave it.
    let database = bench.path().join("data/throughline.db");
    let mut newer = rusqlite::Connection::open(&database).unwrap();
    let tx = newer.transaction().unwrap();
    tx.execute(
        "INSERT INTO migration (version, checksum) VALUES (9999, x'00')",
        [],
    )
    .unwrap();
    tx.commit().unwrap();
    drop(newer);
    bench
        .run(&["status"])
        .expect(4, &["TL0612", "newer release"]);
}
