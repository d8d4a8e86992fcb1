//! Rows of files as messages: what is taken, what is refused and how it says so, and that every row is taken once
//! however often an import is ended.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::bench::Bench;

/// A workflow with types and a schema, and doors of several kinds.
const TYPED: &str = "\
workflow: { id: lead, version: \"1\" }
record:
  type: lead
  natural_key: \"${record.email}\"
  on_match: update
  fields:
    email: { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
    seats: { type: int }
    topic: { type: enum, values: [price, demo] }
ingress:
  gateway: { auth: hmac_signature, validate: json_schema }
  channels:
    web:
      channel: webhook
      idempotency: header_idempotency_key
      map: { email: event.body.contact.email, message: event.body.message, seats: event.body.seats, topic: event.body.topic }
    named:
      channel: webhook
      idempotency: \"${event.body.id}\"
      map: { email: event.body.email, message: event.body.message }
    post: { channel: email, map: { email: event.from } }
decision:
  branches:
    - default: human_queue
";

fn typed() -> Bench {
    let bench = Bench::empty();
    bench.write("workflows/lead/workflow.yaml", TYPED);
    bench
}

/// Rows of a table in the database, looked at from outside.
fn rows_of(bench: &Bench, table: &str) -> u64 {
    let path = bench.path().join("data/throughline.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(path, flags).expect("the database");
    let count = format!("SELECT count(*) FROM {table}");
    let n: i64 = db.query_row(&count, [], |r| r.get(0)).expect("a number");
    n.unsigned_abs()
}

/// How many of each: new, joined, there already, with other content, not taken.
fn counts(told: &Value) -> [u64; 5] {
    [
        "new",
        "joined",
        "there_already",
        "other_content",
        "not_taken",
    ]
    .map(|name| {
        told[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name}: {told:#}"))
    })
}

fn many(rows: u32) -> String {
    let mut out = String::from("email,message\n");
    for n in 0..rows {
        let _ = writeln!(out, "p{n}@list.example,\"row {n}, with a comma\"");
    }
    out
}

/// Kills an import (SIGKILL) when it says that so many rows were dealt with; returns how many it had.
fn kill_after(bench: &Bench, args: &[&str], rows: u64) -> u64 {
    let mut command = bench.command(args);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut dealt = 0;
    for line in lines.map_while(Result::ok) {
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        dealt = told["dealt"].as_u64().unwrap_or(dealt);
        if dealt >= rows {
            break;
        }
    }
    child.kill().expect("a kill");
    let ended = child.wait().expect("it is gone");
    assert_eq!(ended.code(), None, "it had ended before it was killed");
    dealt
}

#[test]
fn an_import_that_is_killed_goes_on_and_takes_each_row_once() {
    // Rows, where it is killed, beside a running server.
    for (rows, kills, served) in [
        (10_000, &[2_000, 6_000][..], true),
        (2_000, &[500][..], false),
    ] {
        let bench = Bench::project();
        bench.write("rows.csv", &many(rows));
        // A line for each turn would fill the pipe that nobody reads.
        bench.write("throughline.toml", "log_level = \"error\"\n");
        let server = served.then(|| bench.serve());
        let args = ["import", "rows.csv", "--to", "web", "--json"];
        let mut before = 0;
        for kill in kills {
            before = before.max(kill_after(&bench, &args, *kill));
        }
        let told = bench.json(&args[..4]);
        let [new, joined, there, differs, refused] = counts(&told);
        assert_eq!((joined, differs, refused), (0, 0, 0), "{told:#}");
        assert_eq!(new + there, u64::from(rows), "{told:#}");
        assert!(there >= before && new > 0, "{before} before: {told:#}");
        let again = bench.json(&args[..4]);
        assert_eq!(counts(&again), [0, 0, u64::from(rows), 0, 0]);
        if let Some(server) = server {
            assert_eq!(server.stop(), 0);
        }
        assert_eq!(rows_of(&bench, "event"), u64::from(rows));
        assert_eq!(rows_of(&bench, "case_head"), u64::from(rows));
    }
}

#[test]
fn a_file_that_cannot_be_read_changes_nothing_and_says_where() {
    let bench = Bench::project();
    // Name, bytes, exit code, what is said.
    type Row = (&'static str, &'static [u8], i32, &'static [&'static str]);
    let table: [Row; 12] = [
        (
            "a.csv",
            b"email,message\na@b.example,caf\xe9\n",
            1,
            &["not in UTF-8 (line 2, byte 16)", "CSV UTF-8"],
        ),
        (
            "b.csv",
            b"\xff\xfee\0m\0",
            1,
            &["is in UTF-16", "CSV UTF-8"],
        ),
        (
            "c.csv",
            b"email,message\na@b.example,\"open\nb@b.example,x\n",
            1,
            &["quotation mark in line 2", "Nothing was imported"],
        ),
        ("d.csv", b"", 1, &["has 0 rows"]),
        ("e.csv", b"email,message\n", 1, &["has 0 rows"]),
        (
            "f.csv",
            b"email,mesage\na@b.example,x\n",
            2,
            &[
                "`mesage` is read by nothing",
                "did you mean `message`",
                "--column \"mesage=message\"",
            ],
        ),
        (
            "g.csv",
            b"a,b\n1,2\n",
            2,
            &["none of the columns", "reads email, message"],
        ),
        (
            "h.csv",
            b"email,email\n1,2\n",
            2,
            &["two columns are called `email`"],
        ),
        ("i.csv", b"email,\n1,2\n", 2, &["column 2 has no name"]),
        ("j.txt", b"email\n1\n", 2, &["--format csv"]),
        (
            "k.jsonl",
            b"{\"email\":\"\xe9\"}\n",
            1,
            &["line 1, byte 11"],
        ),
        (
            "l.csv",
            b"E-Mail;Message\na@b.example;x\n",
            2,
            &["--column \"E-Mail=email\"", "--column \"Message=message\""],
        ),
    ];
    for (name, bytes, code, parts) in table {
        std::fs::write(bench.path().join(name), bytes).expect("a file");
        bench
            .run(&["import", name, "--to", "web"])
            .expect(code, parts);
    }
    bench
        .run(&["import", "z.csv", "--to", "web"])
        .expect(3, &["there is no file z.csv", "did you mean"]);
    bench
        .run(&["import", "f.csv", "--to", "web", "--key", "emial"])
        .expect(
            2,
            &[
                "--key: the file has no column `emial`",
                "did you mean `email`?",
            ],
        );
    bench
        .run(&["import", "k.jsonl", "--to", "web", "--column", "a=b"])
        .expect(2, &["--column is for CSV"]);
    assert_eq!(rows_of(&bench, "event"), 0);
}

#[test]
fn cells_with_lines_marks_and_other_separators_are_read_as_they_are() {
    let bench = Bench::project();
    let server = bench.serve();
    let text = "\u{feff}E-Mail;Message;Remarks\r\na@b.example;\"two\nlines; \"\"so\"\"\";x\r\n\r\nc@d.example;;y\r\n";
    bench.write("rows.csv", text);
    let args = [
        "import",
        "rows.csv",
        "--to",
        "web",
        "--column",
        "E-Mail=email",
        "--column",
        "Message=message",
    ];
    let args: Vec<&str> = args.into_iter().chain(["--column", "Remarks=-"]).collect();
    assert_eq!(counts(&bench.json(&args)), [2, 0, 0, 0, 0]);
    let cases = bench.json(&["case", "list"]);
    let mut found: Vec<Value> = Vec::new();
    for case in cases.as_array().expect("a list") {
        let sheet = bench.json(&["case", "show", case["case"].as_str().expect("its id")]);
        let fields = sheet["record"].as_array().cloned().unwrap_or_default();
        let value = |name: &str| {
            let field = fields.iter().find(|f| f["name"] == *name);
            field.map_or(Value::Null, |f| f["value"].clone())
        };
        found.push(json!([value("email"), value("message")]));
    }
    found.sort_by_key(Value::to_string);
    let want = [
        json!(["a@b.example", "two lines; \"so\""]),
        json!(["c@d.example", null]),
    ];
    assert_eq!(found, want);
    let case = cases[0]["case"].as_str().expect("its id");
    bench.run(&["explain", case]).expect(0, &["through `web`"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_rehearsal_tells_every_outcome_and_stores_nothing() {
    let bench = typed();
    let head = "contact.email,message,seats,topic,extra\n";
    bench.write("first.csv", &format!("{head}old@b.example,hello,1,,\n"));
    let first = bench.json(&["import", "first.csv", "--to", "web"]);
    assert_eq!(counts(&first), [1, 0, 0, 0, 0]);
    assert_eq!(first["unread_columns"], json!(["extra"]));
    let rows = [
        "new@b.example,hi,5,demo,",
        "old@b.example,hello,1,,",
        "old@b.example,and more,1,,",
        "new@b.example,hi,5,demo,",
        "new@b.example,again,6,price,",
        "bad@b.example,hi,many,demo,",
        "bad@b.example,hi,1,sale,",
        "bad@b.example,hi,1",
    ];
    bench.write("rows.csv", &format!("{head}{}\n", rows.join("\n")));
    let (events, turns) = (rows_of(&bench, "event"), rows_of(&bench, "turn"));
    let run = bench.run(&["import", "rows.csv", "--to", "web", "--dry-run"]);
    run.expect(
        1,
        &[
            "nothing was stored",
            "line 7       TL1016 `seats` must match",
            "line 8       TL1016 `topic` must be one of",
            "line 9       has 3 cells where the first line has 5",
            "3 of 8 rows would be not taken",
            "does not read; they stay in the messages: extra",
        ],
    );
    let told = bench.run(&["import", "rows.csv", "--to", "web", "--dry-run", "--json"]);
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(counts(&told), [1, 2, 2, 0, 3], "{told:#}");
    assert_eq!(told["errors"][0]["line"], 7);
    assert_eq!(
        (rows_of(&bench, "event"), rows_of(&bench, "turn")),
        (events, turns)
    );
    // And then it happens as it was told.
    let done = bench.run(&[
        "import", "rows.csv", "--to", "web", "--errors", "1", "--json",
    ]);
    assert_eq!(done.code, 1, "{}", done.err);
    let done: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(counts(&done), counts(&told), "{done:#}");
    assert_eq!(done["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!(rows_of(&bench, "event"), events + 3);
}

#[test]
fn a_row_is_known_by_its_key_wherever_it_came_in() {
    let bench = typed();
    let secret = bench.secret("web");
    let server = bench.serve();
    bench.write(
        "m.json",
        r#"{"contact":{"email":"a@b.example"},"message":"by webhook"}"#,
    );
    let to = format!("{}/hooks/default/web", server.url);
    bench.json(&[
        "send", "m.json", "--to", &to, "--secret", &secret, "--key", "r-1",
    ]);
    let line = |key: &str, email: &str, text: &str| {
        format!(
            "{}\n",
            json!({ "nr": key, "contact": { "email": email }, "message": text })
        )
    };
    let first = line("r-1", "a@b.example", "by import") + &line("r-2", "c@b.example", "second");
    bench.write("rows.jsonl", &first);
    let args = ["import", "rows.jsonl", "--to", "web", "--key", "nr"];
    assert_eq!(counts(&bench.json(&args)), [1, 0, 0, 1, 0]);
    // Changed under its key: what was taken stays.
    let changed = first.replace("second", "changed") + "not json\n" + "{\"nr\":[]}\n";
    bench.write("rows.jsonl", &changed);
    let told = bench.run(&[&args[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(counts(&told), [0, 0, 0, 2, 2], "{told:#}");
    let why = told["errors"].to_string();
    assert!(
        why.contains("is no JSON") && why.contains("`nr`, which --key names"),
        "{why}"
    );
    // A part of the body that the workflow names needs no --key.
    bench.write(
        "named.csv",
        "id,email,message\n7,x@b.example,one\n7,y@b.example,other\n8,z@b.example,\n",
    );
    let named = ["import", "named.csv", "--to", "named"];
    assert_eq!(counts(&bench.json(&named)), [2, 0, 0, 1, 0]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn where_rows_may_not_go_is_said_before_anything_happens() {
    let bench = typed();
    bench.write("rows.csv", "contact.email,message\na@b.example,hi\n");
    let import = |to: &str, code: i32, parts: &[&str]| {
        bench
            .run(&["import", "rows.csv", "--to", to])
            .expect(code, parts);
    };
    import("webb", 3, &["an endpoint `webb`", "did you mean `web`?"]);
    import("post", 2, &["takes no rows", "web, named"]);
    let server = bench.serve();
    bench
        .run(&["endpoint", "disable", "web", "--reason", "drill"])
        .expect(0, &[]);
    import("web", 5, &["is closed", "throughline endpoint enable web"]);
    bench
        .run(&["endpoint", "enable", "web", "--reason", "over"])
        .expect(0, &[]);
    bench
        .run(&["kill", "set", "ingest", "--reason", "drill"])
        .expect(0, &[]);
    import("web", 5, &["throughline kill clear ingest"]);
    bench
        .run(&["kill", "clear", "ingest", "--reason", "over"])
        .expect(0, &[]);
    import("web", 0, &["1 row of rows.csv went to `web`", "new"]);
    assert_eq!(server.stop(), 0);
    // The audit tells who imported what.
    let audit = bench.run(&["audit", "export"]);
    audit.expect(0, &["\"import\"", "1 row sha256:"]);
}
