//! Completeness of the audit for what operators do: every command that changes the database adds a turn, and what a
//! caller of the API writes without one is only what the documentation names. The database is looked at from outside,
//! table by table, before and after each command. What needs another system (`effect resolve`, `dead redrive`) is
//! looked at where one plays: each command that an incident's screen prints and that is followed.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;
#[allow(dead_code, reason = "the command line's own tests use the rest")]
#[path = "completeness/lines.rs"]
mod lines;

use bench::{Bench, WORKFLOW};
use lines::{CHANGES, Prints, READS};
use serde_json::Value as Json;
use tl_connect::fake::crm::{Crm, Fault, On};
use tl_trial::snapshot::{changed, snapshot};
use tokio::runtime::Runtime;

/// What changes without a turn whenever a process opens the store or closes it: its start, and what the tree is.
const ALWAYS: [&str; 5] = ["node", "placed", "tree", "checkpoint", "cursor"];

#[test]
fn every_command_that_changes_something_leaves_a_turn() {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let case = waiting_case(&bench);
    bench.write("rows.csv", ROWS);
    let db = bench.path().join("data/throughline.db");
    let mut key = String::new();
    let mut silent = Vec::new();
    for (line, about) in CHANGES {
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

/// Rows to import.
const ROWS: &str = "email,message\nrow@b.example,hello\n";

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

/// A second workflow of the project, whose system of record refuses what it is told.
const REFUSED: &str = r#"
workflow: { id: refused, version: "1" }
record:
  type: contact
  natural_key: "${record.email}"
  fields:
    email: { type: email, required: true, use: control }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    sync: { channel: webhook, map: { email: event.body.email } }
decision:
  branches:
    - { condition: "has(record.email)", action: crm_upsert, reason: known }
    - default: human_queue
policy: { crm_upsert: auto }
side_effects:
  crm:
    api: rest
    connection: crm
    method: PUT
    path: "/contacts/${record.email}"
    optimistic_lock: If-Match
    map: { email: record.email }
"#;

/// An installation in which there is one of everything that can be looked at, and the words that lines name it by.
fn one_of_everything(bench: &Bench) -> Vec<(&'static str, String)> {
    let runtime = Runtime::new().unwrap();
    let crm = runtime.block_on(Crm::start(([127, 0, 0, 1], 0).into()));
    let crm = crm.unwrap();
    let refusal = Fault::Status {
        status: 422,
        retry_after: None,
    };
    crm.script(On::Writes, refusal, 10);
    let connection = format!(
        "connections:\n  crm: {{ kind: rest, base_url: \"{}\", auth: none }}\n",
        crm.base_url()
    );
    bench.write("connections.yaml", &connection);
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"crm\"]\n",
    );
    bench.write("workflows/refused/workflow.yaml", REFUSED);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let server = bench.serve();
    let send = |door: &str, message: &str| {
        let body = format!(r#"{{"email":"{door}@b.example","message":"{message}"}}"#);
        bench.write("m.json", &body);
        let secret = bench.secret(door);
        let to = format!("{}/hooks/default/{door}", server.url);
        let sent = bench.json(&["send", "m.json", "--to", &to, "--secret", &secret]);
        sent["answer"]["case_id"].as_str().unwrap().to_owned()
    };
    let word = |json: &Json, key: &str| json[key].as_str().expect(key).to_owned();
    let case = send("web", "please write");
    let tasks = bench.json(&["task", "list", "--case", &case]);
    let task = word(&tasks[0], "task");
    let digest = word(&bench.json(&["task", "show", &task])["sends"], "digest");
    let decide = ["task", "decide", &task, "approve", "--reason", "drill"];
    let decide: Vec<&str> = decide.into_iter().chain(["--digest", &digest]).collect();
    bench.run(&decide).expect(0, &[]);
    let some = |l: &Json| l.as_array().is_some_and(|l| !l.is_empty());
    let outbox = bench.until(&["outbox", "list"], "the message", some);
    send("sync", "hello");
    let dead = bench.until(&["dead", "list"], "the refusal", some);
    let effects = bench.json(&["effect", "list", "--case", &case]);
    let of = |e: &&Json| e["action"] == "crm_upsert";
    let write = effects.as_array().unwrap().iter().find(of).unwrap();
    let effect = word(write, "effect");
    let shown = bench.json(&["effect", "show", &effect]);
    let arguments = shown["arguments"].as_array().unwrap().iter();
    let key = arguments.rev().find(|pair| pair[0] == "key");
    let key = key
        .and_then(|pair| pair[1].as_str())
        .expect("a key")
        .to_owned();
    let export = "audit.jsonl".to_owned();
    assert_eq!(server.stop(), 0);
    bench
        .run(&["audit", "export", "--output", &export])
        .expect(0, &[]);
    vec![
        ("CASE", case),
        ("TASK", task),
        ("EFFECT", effect),
        ("SENT", word(&outbox[0], "effect")),
        ("DEAD", word(&dead[0], "effect")),
        ("RECORD", key),
        ("EXPORT", export),
    ]
}

/// What only reads changes nothing that a turn would have to tell, and says to a script what it says to a person.
#[test]
fn what_reads_changes_nothing() {
    let bench = Bench::project();
    let words = one_of_everything(&bench);
    let db = bench.path().join("data/throughline.db");
    for (line, prints) in READS {
        let named = words
            .iter()
            .fold((*line).to_owned(), |l, (word, id)| l.replace(word, id));
        let args: Vec<&str> = named.split(' ').collect();
        let before = snapshot(&db);
        let text = bench.run(&args);
        text.expect(0, &[]);
        assert!(!text.out.is_empty(), "`{named}` prints nothing");
        let json: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let json = bench.run(&json);
        json.expect(0, &[]);
        let documents = match prints {
            Prints::Json => vec![json.out.as_str()],
            Prints::Lines => json.out.lines().collect(),
        };
        for document in documents {
            let parsed: Result<Json, _> = serde_json::from_str(document);
            let told = parsed.unwrap_or_else(|e| panic!("`{named} --json`: {e}: {document}"));
            assert!(!told.is_null(), "`{named} --json` says nothing");
        }
        let after = snapshot(&db);
        let mut changed = changed(&before, &after);
        changed.retain(|table| !ALWAYS.contains(table));
        assert!(changed.is_empty(), "`{named}` changed {changed:?}");
    }
}
