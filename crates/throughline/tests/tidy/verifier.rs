//! The audit verifier of the documentation, run against exports that are right and exports that are not.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tl_engine::follower::{Frontier, note, signer};
use tl_kernel::digest::hex;
use tl_kernel::id::CaseId;
use tl_kernel::journal::{Actor, Body, Entry, HEAD_VERSION, Head, Sealed, seal};
use tl_kernel::time::rfc3339;

use crate::root;

const TURNS: u32 = 70;
/// Sizes at which a checkpoint is signed.
const SIZES: [u64; 4] = [1, 8, 37, 69];
const KEY: [u8; 32] = [7; 32];

fn turn(n: u32) -> Sealed {
    let head = Head {
        v: HEAD_VERSION,
        tenant: 1,
        case: CaseId::CONTROL,
        seq: 0,
        prev: [0; 32],
        at: i64::from(n) * 1_000_000,
        actor: Actor::Operator("ops".into()),
        correlation: "control".into(),
        definition: 1,
        policy: 1,
        entries: vec![Entry::Control {
            action: "flag.set".into(),
            object: format!("f{n}"),
            detail: "true".into(),
        }],
        body: [0; 32],
    };
    seal(head, &Body::default(), &[1; 16])
}

/// The lines of an export, as `throughline audit export` writes them: the key, the turns, the checkpoints.
fn export() -> Vec<Value> {
    use aws_lc_rs::signature::KeyPair as _;
    let signer = signer(&KEY).expect("a signer");
    let mut tree = Frontier::default();
    let (mut turns, mut checkpoints) = (Vec::new(), Vec::new());
    for n in 1..=TURNS {
        let sealed = turn(n);
        tree.push(sealed.leaf);
        turns.push(turn_line(n, &sealed));
        if SIZES.contains(&tree.size()) {
            let text = note("acme", tree.size(), &tree.root());
            let signature = hex(signer.sign(text.as_bytes()).as_ref());
            let root = hex(&tree.root());
            checkpoints.push(json!({
                "kind": "checkpoint", "size": tree.size(), "root": root, "signature": signature,
            }));
        }
    }
    let key = hex(signer.public_key().as_ref());
    let about = json!({ "kind": "audit", "v": 1, "tenant": "acme", "public_key": key });
    [vec![about], turns, checkpoints].concat()
}

/// As the export spells it: what stands beside the head is the head once more.
fn turn_line(n: u32, sealed: &Sealed) -> Value {
    json!({
        "kind": "turn", "leaf": hex(&sealed.leaf), "head": STANDARD.encode(&sealed.head),
        "at": rfc3339(i64::from(n) * 1_000_000), "case": null, "turn": 0,
        "actor": { "kind": "operator_cli", "id": "ops" }, "correlation": "control",
        "definition": 1, "policy": 1,
        "entries": [{ "what": "control", "action": "flag.set", "object": format!("f{n}"), "detail": "true" }],
    })
}

/// Position of the first checkpoint.
const FIRST_POINT: usize = 1 + TURNS as usize;

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn verify(files: &[PathBuf], key: Option<&str>) -> (bool, String) {
    let mut command = Command::new("python3");
    command
        .arg(root().join("docs/concepts/verify_audit.py"))
        .args(files)
        .args(key);
    let out = command.output().expect("python3 runs");
    let said =
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), said)
}

fn lines(export: &[Value]) -> String {
    export.iter().map(|l| format!("{l}\n")).collect()
}

fn python() -> bool {
    let there = Command::new("python3").arg("--version").output().is_ok();
    if !there {
        tl_trial::lacks("PYTHON", "the audit verifier in Python: python3 is missing");
    }
    there
}

#[test]
fn the_verifier_accepts_what_is_right_and_nothing_else() {
    if !python() {
        return;
    }
    type Spoil = fn(&mut Vec<Value>);
    let table: [(&str, Spoil, &str); 16] = [
        (
            "right",
            |_| (),
            "OK: 70 turns, 4 checkpoints, 1 turns after the last one",
        ),
        (
            "changed head",
            |e| e[5]["head"] = turn_line(99, &turn(99))["head"].clone(),
            "does not give the leaf",
        ),
        (
            "changed turn",
            |e| e[5] = turn_line(99, &turn(99)),
            "the first 8 turns do not give",
        ),
        (
            "another actor beside the head",
            |e| e[5]["actor"]["id"] = json!("boss"),
            "beside the head is not what it says: actor",
        ),
        (
            "another time beside the head",
            |e| e[69]["at"] = json!("2031-01-01T00:00:00.000000Z"),
            "beside the head is not what it says: at",
        ),
        (
            "other entries beside the head",
            |e| e[9]["entries"][0]["detail"] = json!("false"),
            "beside the head is not what it says: entries",
        ),
        (
            "an entry less beside the head",
            |e| e[9]["entries"] = json!([]),
            "beside the head is not what it says: entries",
        ),
        (
            "a case beside the head of none",
            |e| e[9]["case"] = json!("case_00000000000000000000000001"),
            "beside the head is not what it says: case",
        ),
        (
            "something more beside the head",
            |e| e[9]["approved_by"] = json!("boss"),
            "beside the head is not what it says: approved_by",
        ),
        (
            "nothing beside the head",
            |e| drop(e[9].as_object_mut().expect("an object").remove("actor")),
            "beside the head is not what it says: actor",
        ),
        (
            "dropped turn",
            |e| drop(e.remove(20)),
            "the first 37 turns do not give",
        ),
        (
            "doubled turn",
            |e| e.insert(20, e[20].clone()),
            "the first 37 turns do not give",
        ),
        (
            "swapped turns",
            |e| e.swap(60, 61),
            "the first 69 turns do not give",
        ),
        (
            "cut off",
            |e| drop(e.drain(60..FIRST_POINT)),
            "turns are missing at the end",
        ),
        (
            "other tenant",
            |e| e[0]["tenant"] = json!("evil"),
            "is not signed by this key",
        ),
        (
            "forged root",
            |e| e[FIRST_POINT]["root"] = e[FIRST_POINT + 1]["root"].clone(),
            "the first 1 turns do not give",
        ),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    for (name, spoil, want) in table {
        let mut export = export();
        spoil(&mut export);
        let file = write(dir.path(), "export.jsonl", &lines(&export));
        let (ok, said) = verify(&[file], None);
        assert_eq!(ok, name == "right", "{name}: {said}");
        assert!(said.contains(want), "{name}: {said}");
    }
}

#[test]
fn a_checkpoint_file_kept_elsewhere_outranks_the_export() {
    if !python() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let export = export();
    let own = export[0]["public_key"].as_str().expect("a key").to_owned();
    let block = |c: &Value| {
        let word = |key: &str| c[key].as_str().expect("text").to_owned();
        format!(
            "throughline/acme\n{}\n{}\n{}\n\n",
            c["size"],
            word("root"),
            word("signature")
        )
    };
    let kept: String = export[FIRST_POINT..].iter().map(block).collect();
    let kept = write(
        dir.path(),
        "kept.txt",
        &format!("throughline/system\n1\nab\ncd\n\n{kept}"),
    );
    // Its maker left turns out, and the checkpoints that would tell.
    let full = write(dir.path(), "full.jsonl", &lines(&export));
    let cut = write(dir.path(), "cut.jsonl", &lines(&export[..61]));
    assert!(verify(&[full.clone(), kept.clone()], Some(&own)).0);
    assert!(
        verify(std::slice::from_ref(&cut), None).0,
        "without anything held elsewhere nothing is proven"
    );
    assert!(!verify(&[cut, kept.clone()], None).0);
    assert!(!verify(&[full, kept], Some(&"00".repeat(32))).0);
}

#[test]
fn an_export_of_the_binary_is_accepted() {
    if !python() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let project = dir.path().join("leads");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        let out = command
            .args(arguments)
            .current_dir(dir.path())
            .env("THROUGHLINE_DIR", &project)
            .output();
        let out = out.expect("the binary runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{arguments:?}: {said}");
    };
    run(&["init", "lead", "leads"]);
    run(&["endpoint", "rotate", "leads"]);
    run(&["kill", "set", "everything", "--reason", "drill"]);
    serve_and_stop(&project, || run(&["status"]));
    run(&["kill", "clear", "everything", "--reason", "over"]);
    run(&["audit", "export", "--output", "audit.jsonl"]);
    let files = [
        dir.path().join("audit.jsonl"),
        project.join("data/checkpoints.txt"),
    ];
    let (ok, said) = verify(&files, None);
    assert!(
        ok && said.starts_with("OK: ") && !said.contains(" 0 checkpoints"),
        "{said}"
    );
}

/// Everything that can be refused about a case, a task, an effect and a deployment leaves a leaf, and both verifiers
/// take the export that holds them.
#[test]
fn an_export_with_refusals_is_accepted_by_both() {
    let dir = tempfile::tempdir().expect("a directory");
    let project = dir.path().join("leads");
    let binary = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command
            .args(arguments)
            .current_dir(dir.path())
            .env("THROUGHLINE_DIR", &project);
        let out = command.output().expect("the binary runs");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.success(), said(&out.stdout), said(&out.stderr))
    };
    let run = |arguments: &[&str]| {
        let (ok, out, err) = binary(arguments);
        assert!(ok, "{arguments:?}: {err}");
        out
    };
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&run(&[arguments, &["--json"]].concat())).expect("JSON")
    };
    let file = project.join("workflows/lead/workflow.yaml");
    std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
    let workflow = "workflow: { id: lead, version: \"1\" }\nrecord: { type: lead, fields: { email: { type: email } } }\n\
                    ingress: { channels: { web: { channel: webhook, auth: hmac_signature, map: { email: event.body.email } } } }\n\
                    decision: { branches: [{ condition: \"record.email != null\", action: [crm_upsert, human_queue] }, { default: human_queue }] }\n\
                    policy: { crm_upsert: { approve: operators } }\n";
    std::fs::write(&file, workflow).expect("a file");
    let secret = json(&["endpoint", "rotate", "web"])["secret"].clone();
    let message = write(dir.path(), "m.json", r#"{"email":"ada@example.com"}"#);
    let mut case = String::new();
    serve_and_stop_at(&project, |url| {
        let to = format!("{url}/hooks/default/web");
        let secret = secret.as_str().expect("text");
        let message = message.to_str().expect("a path");
        let answer = json(&["send", message, "--to", &to, "--secret", secret]);
        case = answer["answer"]["case_id"].as_str().expect("a case").into();
    });
    let tasks = json(&["task", "list"]);
    let task = |kind: &str| {
        let mut all = tasks.as_array().expect("a list").iter();
        let found = all.find(|t| t["kind"] == kind);
        found.expect(kind)["task"]
            .as_str()
            .expect("text")
            .to_owned()
    };
    let effects = json(&["effect", "list", "--case", &case]);
    let effect = effects[0]["effect"].as_str().expect("text");
    let (approve, review, none) = (
        task("approve"),
        task("review"),
        format!("task_{}-9", &case[5..]),
    );
    let wrong = "0".repeat(64);
    std::fs::write(&file, workflow.replace("crm_upsert, ", "crm_upset, ")).expect("a file");
    let refused: [(&[&str], &str); 9] = [
        (&["case", "move", &case, "pending"], "TL0701"),
        (&["case", "move", &case, "nowhere"], "TL0702"),
        (&["effect", "resolve", effect, "happened"], "TL0726"),
        (&["task", "decide", &approve, "close"], "TL0722"),
        (
            &["task", "decide", &approve, "approve", "--digest", &wrong],
            "TL0725",
        ),
        (&["task", "decide", &review, "accept"], "TL0722"),
        (
            &["task", "decide", &review, "edit", "--set", "nofield=1"],
            "TL0723",
        ),
        (&["task", "decide", &none, "approve"], "TL07"),
        (&["deploy", "--yes"], "TL0403"),
    ];
    for (arguments, code) in refused {
        let reason: &[&str] = match arguments[0] {
            "deploy" => &[],
            _ => &["--reason", "drill"],
        };
        let (ok, out, err) = binary(&[arguments, reason].concat());
        assert!(!ok && (out + &err).contains(code), "{arguments:?}: {err}");
    }
    std::fs::write(&file, workflow).expect("a file");
    run(&["case", "assign", &case, "operators", "--reason", "goes_on"]);
    serve_and_stop_at(&project, |_| ());
    run(&["audit", "export", "--output", "audit.jsonl"]);
    let export = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("the export");
    let leaves = export.matches("\"what\":\"refused\"").count();
    assert!(leaves >= 6, "only {leaves} refusals in the audit");
    run(&["audit", "verify", "audit.jsonl"]);
    if python() {
        let (ok, said) = verify(&[dir.path().join("audit.jsonl")], None);
        assert!(ok && said.starts_with("OK: "), "{said}");
    }
}

/// Starts the server and ends it as a service manager would: at its end it signs what there is.
fn serve_and_stop(project: &Path, meanwhile: impl Fn()) {
    serve_and_stop_at(project, |_| meanwhile());
}

fn serve_and_stop_at(project: &Path, meanwhile: impl FnOnce(&str)) {
    use std::io::BufRead as _;
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("THROUGHLINE_DIR", project);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let mut server = command.spawn().expect("the server starts");
    let mut line = String::new();
    let out = server.stdout.take().expect("its output");
    std::io::BufReader::new(out)
        .read_line(&mut line)
        .expect("its first line");
    let url = line.trim().strip_prefix("listening on ");
    meanwhile(url.unwrap_or_else(|| panic!("{line}")));
    let ended = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status();
    assert!(ended.expect("kill runs").success());
    assert!(server.wait().expect("it ends").success());
}
