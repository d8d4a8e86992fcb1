//! What is too large, half written, misplaced or newer than this build: each ends with its exit code and a sentence
//! that says what to do, and the version that runs goes on running.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use bench::{Bench, Server, WORKFLOW};
use serde_json::{Value as Json, json};

/// How long a file may keep `check` busy in a debug build, whatever stands in it.
const BUSY: Duration = Duration::from_secs(15);
const FILE: &str = "workflows/lead/workflow.yaml";

/// The workflow with one text in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(WORKFLOW.contains(from), "{from}");
    WORKFLOW.replace(from, to)
}

fn condition(expression: &str) -> String {
    with(
        "record.message == 'please write'",
        &format!("\"{expression}\""),
    )
}

/// One line for each number, put behind a line of the workflow.
fn lines(behind: &str, n: usize, line: impl Fn(usize) -> String) -> String {
    let mut all = String::new();
    (0..n).for_each(|i| {
        let _ = writeln!(all, "{}", line(i));
    });
    with(behind, &format!("{behind}{all}"))
}

fn states(n: usize) -> String {
    (0..n).fold(format!("{WORKFLOW}states:\n"), |all, i| {
        all + &format!("  s{i}: {{ sla: 1h }}\n")
    })
}

fn schedules(n: usize) -> String {
    (0..n).fold(format!("{WORKFLOW}schedules:\n"), |all, i| {
        all + &format!("  t{i}: {{ cron: '{i} 6 * * *' }}\n")
    })
}

fn branches(n: usize) -> String {
    lines("  branches:\n", n, |i| {
        format!("    - {{ condition: \"record.message == 'a{i}'\", action: close }}")
    })
}

/// A branch whose every message waits for an approval of its own.
fn messages(n: usize) -> String {
    let text = lines("  messaging:\n", n, |i| {
        format!("    m{i}: {{ to: record.email, text: Hello }}")
    });
    let names: Vec<String> = (0..n).map(|i| format!("m{i}")).collect();
    text.replace(
        "[crm_upsert, reply]",
        &format!("[crm_upsert, reply, {}]", names.join(", ")),
    )
}

#[test]
fn a_workflow_file_cannot_keep_its_reader_busy() {
    let around = |open: &str, n: usize, close: &str| {
        condition(&format!("{}true{}", open.repeat(n), close.repeat(n)))
    };
    let matches = |pattern: &str| condition(&format!("record.message.matches('{pattern}')"));
    let nested = format!(
        "{WORKFLOW}settings: {}1{}\n",
        "[".repeat(2_000),
        "]".repeat(2_000)
    );
    let table: Vec<(&str, String, i32, &[&str])> = vec![
        (
            "1 MB",
            format!("{WORKFLOW}# {}\n", "x".repeat(1_000_000)),
            1,
            &["TL0106", "262144 bytes"],
        ),
        (
            "100,000 states",
            states(100_000),
            1,
            &["TL0106", "262144 bytes"],
        ),
        (
            "10,000 states",
            states(10_000),
            1,
            &["TL0106", "more values than 20000"],
        ),
        (
            "2,000 states nobody reaches",
            states(2_000),
            1,
            &["TL0501", "declare a transition to `s0`"],
        ),
        ("deep nesting", nested, 1, &["TL0106", "nested too deeply"]),
        (
            "a thousand branches",
            branches(1_000),
            1,
            &["TL0106", "1002 branches", "a decision table"],
        ),
        (
            "as many branches as may be",
            branches(198),
            0,
            &["its proofs hold"],
        ),
        (
            "a hundred approvals in one branch",
            messages(100),
            0,
            &["its proofs hold"],
        ),
        (
            "2,000 fields",
            lines("  fields:\n", 2_000, |i| {
                format!("    f{i}: {{ type: string }}")
            }),
            0,
            &["its proofs hold"],
        ),
        (
            "1,000 doors",
            lines("  channels:\n", 1_000, |i| {
                format!("    c{i}: {{ channel: form }}")
            }),
            0,
            &["its proofs hold"],
        ),
        (
            "33 timetables",
            schedules(33),
            1,
            &["TL0206", "more than 32 timetables in one workflow"],
        ),
        (
            "as many timetables as may be",
            schedules(32),
            0,
            &["its proofs hold"],
        ),
        (
            "a pattern that grows",
            matches("((((x{100}){100}){100}){100})"),
            1,
            &["TL0309", "repeat less"],
        ),
        (
            "a pattern of classes",
            matches(&"[^a]{900}".repeat(20)),
            1,
            &["TL0309", "repeat less"],
        ),
        (
            "a pattern that others try again and again",
            matches("(a*)*(a*)*b"),
            0,
            &["its proofs hold"],
        ),
        (
            "a long pattern",
            matches(&"(a|b)*".repeat(4_000)),
            1,
            &["TL0311", "at most 4000 bytes"],
        ),
        (
            "deep parentheses",
            around("(", 1_900, ")"),
            1,
            &["TL0311", "deeper than 40; split it"],
        ),
        (
            "deep lists",
            around("[", 1_900, "]"),
            1,
            &["TL0311", "deeper than 40; split it"],
        ),
        (
            "deep negation",
            around("!", 3_900, ""),
            1,
            &["TL0311", "deeper than 40; split it"],
        ),
        (
            "many parts",
            condition(&vec!["true"; 480].join("||")),
            0,
            &["its proofs hold"],
        ),
    ];
    let bench = Bench::project();
    for (what, text, code, parts) in table {
        bench.write(FILE, &text);
        let begun = Instant::now();
        let answer = bench.run(&["check"]);
        assert!(begun.elapsed() < BUSY, "{what}: {:?}", begun.elapsed());
        let shown: String = answer.out.chars().take(2_000).collect();
        assert_eq!(answer.code, code, "{what}: {shown}{}", answer.err);
        for part in parts {
            assert!(answer.out.contains(part), "{what}: `{part}` in\n{shown}");
        }
    }
}

/// Parts that each stand for two of the one before.
fn doubled(times: usize) -> Json {
    let mut parts = json!({ "d0": { "type": "integer" } });
    for i in 1..=times {
        let before = json!({ "$ref": format!("#/$defs/d{}", i - 1) });
        parts[format!("d{i}")] = json!({ "anyOf": [before, before] });
    }
    json!({ "$defs": parts, "properties": { "email": { "$ref": format!("#/$defs/d{times}") } } })
}

#[test]
fn a_schema_that_no_door_could_use_is_refused_before_it_is_deployed() {
    let endless = json!({ "anyOf": [{ "items": { "$ref": "#" } }, { "items": { "$ref": "#" } }] });
    let table: Vec<(&str, String, i32, &str)> = vec![
        (
            "a list of itself",
            json!({ "properties": { "next": { "$ref": "#" } } }).to_string(),
            0,
            "its proofs hold",
        ),
        (
            "two of itself",
            endless.to_string(),
            1,
            "refers to itself in more than one place",
        ),
        (
            "2^30 parts",
            doubled(30).to_string(),
            1,
            "more than 10000 parts",
        ),
        (
            "another file",
            json!({ "$ref": "file:///etc/passwd" }).to_string(),
            1,
            "no part of this file",
        ),
        (
            "another host",
            json!({ "$ref": "http://127.0.0.1:9/x" }).to_string(),
            1,
            "no part of this file",
        ),
        (
            "1 MB",
            json!({ "title": "x".repeat(1_000_000) }).to_string(),
            1,
            "at most 262144 bytes",
        ),
        (
            "10,000 levels",
            "[".repeat(10_000),
            1,
            "is not a JSON Schema",
        ),
        ("no JSON", "{".into(), 1, "is not a JSON Schema"),
    ];
    let bench = Bench::project();
    bench.write(
        FILE,
        &with(
            "idempotency: header_idempotency_key",
            "validate: schemas/lead.json",
        ),
    );
    for (what, schema, code, part) in table {
        bench.write("workflows/lead/schemas/lead.json", &schema);
        let begun = Instant::now();
        let answer = bench.run(&["check"]);
        assert!(begun.elapsed() < BUSY, "{what}");
        answer.expect(code, &[part]);
        assert_eq!(
            answer.out.contains("TL0413"),
            code == 1,
            "{what}: {}",
            answer.out
        );
    }
}

#[test]
fn a_key_set_that_no_token_could_be_verified_with_is_refused_before_it_is_deployed() {
    const GOOD: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"k",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let beside = "workflows/lead/keys.json";
    // Where the file lies, what is in it, the exit code, what is said.
    let table = [
        (beside, GOOD, 0, "its proofs hold"),
        (beside, "{", 1, "TL0413"),
        (beside, "{}", 1, "is no set of keys"),
        (beside, r#"{"keys":[]}"#, 1, "no key we can use"),
        (
            beside,
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
            1,
            "no key we can use",
        ),
        ("keys.json", GOOD, 1, "TL0405"),
        ("workflows/lead/keyz.json", GOOD, 1, "TL0405"),
    ];
    let auth = "auth: { jwt: { issuer: i, audience: a, keys: keys.json } }";
    for (file, keys, code, part) in table {
        let bench = Bench::project();
        bench.write(FILE, &with("auth: hmac_signature", auth));
        bench.write(file, keys);
        let answer = bench.run(&["check"]);
        assert_eq!(
            answer.code, code,
            "{file} {keys}: {}{}",
            answer.out, answer.err
        );
        assert!(answer.out.contains(part), "{file} {keys}: {}", answer.out);
    }
}

/// A message that was not sent before is taken.
fn takes_messages(bench: &Bench, server: &Server, secret: &str) {
    let before = bench.json(&["case", "list"]).as_array().unwrap().len();
    bench.write(
        "m.json",
        &format!("{{\"email\":\"a{before}@b.example\",\"message\":\"x\"}}"),
    );
    let to = format!("{}/hooks/default/web", server.url);
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", secret])
        .expect(0, &["202", "accepted"]);
}

#[test]
fn a_half_written_deployment_leaves_the_version_that_runs() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    takes_messages(&bench, &server, &secret);
    let template = bench.path().join("workflows/lead/templates/reply.md");
    let half = &WORKFLOW[..WORKFLOW.len() / 2];
    let table: [(&str, &str, &str); 5] = [
        (WORKFLOW, "no template", "templates/reply.md"),
        (half, "a template", "TL0102"),
        ("", "a template", "error[TL"),
        ("\u{0}\u{1}", "a template", "error[TL"),
        (&WORKFLOW.replace("auto\n", "aut\n"), "a template", "TL0204"),
    ];
    for (text, template_is, part) in table {
        bench.write(FILE, text);
        match template_is {
            "no template" => std::fs::remove_file(&template).unwrap(),
            _ => std::fs::write(&template, "Hello\n").unwrap(),
        }
        bench
            .run(&["deploy", "--yes"])
            .expect(1, &[part, "nothing was deployed"]);
        let versions = bench.json(&["versions"]);
        assert_eq!(
            (versions.as_array().unwrap().len(), &versions[0]["current"]),
            (1, &json!(true)),
            "{text}"
        );
        takes_messages(&bench, &server, &secret);
    }
    // A restart does not depend on files that are half written either: what is deployed runs.
    assert_eq!(server.stop(), 0);
    let server = bench.serve();
    takes_messages(&bench, &server, &secret);
    std::fs::remove_dir_all(bench.path().join("workflows")).unwrap();
    bench
        .run(&["deploy", "--yes"])
        .expect(3, &["workflows/<id>/workflow.yaml", "throughline init"]);
    takes_messages(&bench, &server, &secret);
}

#[test]
fn settings_and_places_that_cannot_be_used_are_named_with_what_to_do() {
    let bench = Bench::project();
    let settings: [(&str, i32, &[&str]); 7] = [
        (
            "lisen = \"x\"",
            2,
            &["TL0622", "throughline.toml:1", "did you mean `listen`?"],
        ),
        (
            "slots = 5\nzzzzz = 1",
            2,
            &["TL0622", "throughline.toml:2", "these keys exist"],
        ),
        ("slots = \"many\"", 2, &["TL0623", "must be a whole number"]),
        (
            "data_dir = \"\"",
            2,
            &["TL0623", "`data_dir` must be a directory"],
        ),
        ("log_format = \"xml\"", 2, &["TL0623", "json or text"]),
        ("listen = ", 2, &["TL0621", "is not TOML"]),
        ("listen = \"nowhere\"", 4, &["TL0642", "HOST:PORT"]),
    ];
    for (text, code, parts) in settings {
        bench.write("throughline.toml", text);
        bench.run(&["serve"]).expect(code, parts);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    bench.write("throughline.toml", &format!("listen = \"{address}\"\n"));
    bench.run(&["serve"]).expect(
        4,
        &[
            "TL0642",
            &address,
            "another program listens there",
            "--listen 127.0.0.1:0",
        ],
    );

    bench.write("throughline.toml", "data_dir = \"place\"\n");
    bench.write("place", "a file in the way");
    bench.run(&["serve"]).expect(
        4,
        &["TL0610", "a file stands where the directory should be"],
    );
    let locked = bench.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
    // Nobody may write there, not even who may write everywhere.
    for place in ["locked/data", "/proc/data"] {
        let root = std::fs::write(locked.join("x"), "x").is_ok();
        if root && place.starts_with("locked") {
            continue;
        }
        bench.write("throughline.toml", &format!("data_dir = \"{place}\"\n"));
        bench.run(&["serve"]).expect(4, &["TL0610", place]);
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_database_that_this_build_cannot_read_is_left_alone() {
    let bench = Bench::project();
    bench.run(&["status"]).expect(0, &[]);
    let path = bench.path().join("data/throughline.db");
    let execute = |sql: &str| {
        let mut database = rusqlite::Connection::open(&path).unwrap();
        let tx = database.transaction().unwrap();
        tx.execute(sql, []).unwrap();
        tx.commit().unwrap();
    };
    let commands: [&[&str]; 3] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["status"],
        &["migrate"],
    ];
    execute("INSERT INTO migration (version, checksum) VALUES (9999, x'00')");
    for args in commands {
        bench.run(args).expect(4, &["TL0612", "newer release"]);
    }
    execute("DELETE FROM migration WHERE version = 9999");
    bench.run(&["status"]).expect(0, &[]);
    // Not a database at all: it is said, and nothing is written over it.
    let good = std::fs::read(&path).unwrap();
    for extra in ["throughline.db-wal", "throughline.db-shm"] {
        let _ = std::fs::remove_file(bench.path().join("data").join(extra));
    }
    let text = b"this is somebody's diary and no database at all, for more than a hundred bytes of text in a row".repeat(50);
    std::fs::write(&path, &text).unwrap();
    for args in commands {
        bench.run(args).expect(4, &["TL06"]);
        assert_eq!(std::fs::read(&path).unwrap(), text, "{args:?}");
    }
    std::fs::write(&path, good).unwrap();
    bench.run(&["status"]).expect(0, &[]);
}
