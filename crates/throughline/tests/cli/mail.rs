//! Mail out of folders: a maildir and a folder of `.eml` files, with the real binary.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bench::{Bench, PATIENCE};

const WORKFLOW: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  natural_key: \"${event.thread}\"
  fields:
    email:   { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
ingress:
  channels:
    mail: { channel: email }
decision: { branches: [{ default: human_queue }] }
";

/// A project whose door takes mail out of folders: `"mail=FOLDER", …`.
pub(super) fn project(folders: &str) -> Bench {
    let bench = Bench::empty();
    bench.write("workflows/support/workflow.yaml", WORKFLOW);
    bench.write("throughline.toml", &format!("mail_folders = [{folders}]\n"));
    bench
}

fn mail(id: &str, headers: &str) -> String {
    format!(
        "From: Ada <ada@example.com>\nTo: support@acme.example\nSubject: Seats\nMessage-ID: <{id}@example.com>\n\
         {headers}\nWe need ten seats.\n"
    )
}

/// Waits until a file is there.
fn appears(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} does not appear",
            path.display()
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn cases(bench: &Bench) -> Vec<Value> {
    bench.json(&["case", "list"]).as_array().unwrap().clone()
}

#[test]
fn each_mail_of_a_maildir_becomes_a_case_once() {
    let bench = project("\"mail=in\"");
    for dir in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(bench.path().join("in").join(dir)).unwrap();
    }
    bench.write("in/tmp/9.half", "From: half");
    bench.write("in/new/1.host", &mail("m1", ""));
    bench.write("in/new/2.host", "this is no mail");
    let server = bench.serve();
    appears(&bench.path().join("in/cur/1.host:2,"));
    appears(&bench.path().join("in/refused/2.host"));
    let reason = bench.path().join("in/refused/2.host.reason.txt");
    let reason = std::fs::read_to_string(reason).unwrap();
    assert!(reason.starts_with("TL1010 "), "{reason}");
    assert_eq!(cases(&bench).len(), 1);
    bench
        .run(&["endpoint", "list"])
        .expect(0, &["its mail is fetched; for HTTP it has no secret"]);
    let told = bench.run(&["status"]);
    told.expect(0, &["1 mail was refused by `mail`", "in/refused"]);

    // An answer finds its case; a note of absence changes nothing there; one on its own is closed at once.
    bench.write(
        "in/new/3.host",
        &mail("m2", "In-Reply-To: <m1@example.com>\n"),
    );
    appears(&bench.path().join("in/cur/3.host:2,"));
    let away = "Auto-Submitted: auto-replied\n";
    bench.write(
        "in/new/4.host",
        &mail("m3", &format!("{away}In-Reply-To: <m2@example.com>\n")),
    );
    appears(&bench.path().join("in/cur/4.host:2,"));
    bench.write("in/new/5.host", &mail("m4", away));
    appears(&bench.path().join("in/cur/5.host:2,"));
    let all = cases(&bench);
    assert_eq!(all.len(), 2, "{all:#?}");
    let first = all
        .iter()
        .find(|c| c["state"] == "needs_human")
        .expect("open");
    let id = first["id"]
        .as_str()
        .or_else(|| first["case"].as_str())
        .expect("an id");
    bench.run(&["explain", id]).expect(
        0,
        &[
            "event.thread",
            "sent by a program and by no person (auto_reply)",
        ],
    );
    let closed = all.iter().find(|c| c["state"] == "closed").expect("closed");
    let id = closed["id"]
        .as_str()
        .or_else(|| closed["case"].as_str())
        .expect("an id");
    bench.run(&["explain", id]).expect(0, &["auto_reply"]);
    assert_eq!(server.stop(), 0);

    // The crash between commit and move: the file lies there again, and is known.
    bench.write("in/new/1.again", &mail("m1", ""));
    let server = bench.serve();
    appears(&bench.path().join("in/cur/1.again:2,"));
    assert_eq!(cases(&bench).len(), 2);
    assert!(bench.path().join("in/tmp/9.half").exists());
    assert_eq!(server.stop(), 0);
}

#[test]
fn eml_files_are_read_when_they_are_complete_and_a_folder_says_what_it_lacks() {
    let bench = project("\"mail=drop\", \"default/nothing=other\"");
    std::fs::create_dir_all(bench.path().join("other")).unwrap();
    let server = bench.serve();
    let lacks = |part: &str| {
        let begun = Instant::now();
        loop {
            let told = bench.run(&["status"]);
            if told.out.contains(part) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "`{part}` in {}{}",
                told.out,
                told.err
            );
        }
    };
    lacks("there is no such folder");
    lacks("no open door `default/nothing`");
    let drop = bench.path().join("drop");
    std::fs::create_dir_all(&drop).unwrap();
    bench.write("drop/1.eml", &mail("m1", ""));
    bench.write("drop/2.eml.part", &mail("m2", ""));
    appears(&drop.join("done/1.eml"));
    assert!(!drop.join("1.eml").exists());
    assert!(drop.join("2.eml.part").exists());
    assert_eq!(cases(&bench).len(), 1);
    // Whoever runs the tests as root may do everything.
    bench.write("drop/3.eml", &mail("m3", ""));
    std::fs::rename(drop.join("2.eml.part"), drop.join("2.eml")).unwrap();
    appears(&drop.join("done/2.eml"));
    appears(&drop.join("done/3.eml"));
    assert_eq!(cases(&bench).len(), 3);
    std::fs::set_permissions(&drop, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&drop).is_err() {
        lacks("the account of the server may not");
    }
    std::fs::set_permissions(&drop, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(server.stop(), 0);
}
