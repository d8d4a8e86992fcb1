//! One message's way through a running server, seen from the command line.

use serde_json::Value;

use super::bench::{Bench, WORKFLOW};

fn send(bench: &Bench, url: &str, secret: &str, body: &str) -> Value {
    bench.write("m.json", body);
    let to = format!("{url}/hooks/default/web");
    let answer = bench.json(&[
        "send",
        "m.json",
        "--to",
        &to,
        "--secret",
        secret,
        "--key",
        &body.len().to_string(),
    ]);
    answer["answer"].clone()
}

/// What a person lets a message say is sent, and what would have been said stays in the journal.
#[test]
fn a_message_is_approved_in_other_words() {
    let bench = Bench::project();
    let secret = bench.secret("default/web");
    let server = bench.serve();
    let body = r#"{"email":"dana@acme.example","message":"please write"}"#;
    let accepted = send(&bench, &server.url, &secret, body);
    let case = accepted["case_id"].as_str().unwrap().to_owned();
    let waits = |all: &Value| !all.as_array().unwrap().is_empty();
    let tasks = bench.until(&["task", "list"], "the approval", waits);
    let task = tasks[0]["task"].as_str().unwrap().to_owned();
    let sheet = bench.json(&["task", "show", &task]);
    let shown = sheet["sends"]["effect"].as_str().unwrap().to_owned();
    let digest = sheet["sends"]["digest"].as_str().unwrap().to_owned();
    let decide = |how: &str, digest: &str, set: &str| {
        let args = [
            "task", "decide", &task, how, "--reason", "reworded", "--digest", digest,
        ];
        match set {
            "" => bench.run(&args),
            set => bench.run(&[&args[..], &["--set", set]].concat()),
        }
    };
    for (how, digest, set, code, said) in [
        (
            "edit",
            "0".repeat(64).as_str(),
            "text=Hello Dana",
            5,
            "TL0725",
        ),
        ("approve", &digest, "text=Hello Dana", 1, "decide `edit`"),
        (
            "edit",
            &digest,
            "to=eve@evil.example",
            1,
            "its subject and its text can",
        ),
        ("edit", &digest, "email=eve@evil.example", 1, "TL0727"),
        ("edit", &digest, "text= ", 1, "TL0727"),
        ("edit", &digest, "subject=a\nb", 1, "one line"),
    ] {
        decide(how, digest, set).expect(code, &[said]);
    }
    decide("edit", &digest, "text=Hello Dana,\nwe call you today.").expect(0, &["is decided"]);
    let closed = |c: &Value| c[0]["state"] == "closed";
    bench.until(&["case", "list"], "the end", closed);
    let outbox = bench.json(&["outbox", "list"]);
    assert_eq!(outbox.as_array().unwrap().len(), 1, "{outbox:#}");
    let sent = outbox[0]["effect"].as_str().unwrap();
    assert_ne!(sent, shown, "other words are another effect");
    bench.run(&["outbox", "show", sent]).expect(
        0,
        &["dana@acme.example", "Hello Dana,", "we call you today."],
    );
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "a person approved it in other words",
            &format!("in place of {shown}"),
            "text: “Hello Dana, we call you today.”, in place of “You wrote: please write”",
        ],
    );
    // Said once, and not open any more.
    decide("edit", &digest, "text=Again").expect(5, &["TL0720"]);
    let export = bench.path().join("audit.jsonl");
    let export = export.to_str().unwrap();
    bench
        .run(&["audit", "export", "--output", export])
        .expect(0, &[]);
    bench.run(&["audit", "verify", export]).expect(0, &[]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn from_secret_to_explanation() {
    let bench = Bench::project();
    let secret = bench.secret("default/web");
    let server = bench.serve();
    let body = r#"{"email":"dana@acme.example","message":"please write"}"#;
    let accepted = send(&bench, &server.url, &secret, body);
    let case = accepted["case_id"].as_str().unwrap().to_owned();
    assert_eq!(
        send(&bench, &server.url, &secret, body)["status"],
        "duplicate"
    );

    // The write goes by itself, the reply waits for a person.
    let tasks = bench.until(&["task", "list"], "the approval", |t| {
        !t.as_array().unwrap().is_empty()
    });
    let task = tasks[0]["task"].as_str().unwrap().to_owned();
    bench
        .run(&["task", "decide", &task, "approve", "--reason", "x"])
        .expect(2, &["--digest"]);
    let sheet = bench.json(&["task", "show", &task]);
    let digest = sheet["sends"]["digest"].as_str().unwrap().to_owned();
    let arguments = sheet["sends"]["arguments"].to_string();
    assert!(
        arguments.contains("You wrote: please write") && arguments.contains("dana@acme.example"),
        "{arguments}"
    );
    let wrong = "0".repeat(64);
    bench
        .run(&[
            "task", "decide", &task, "approve", "--reason", "x", "--digest", &wrong,
        ])
        .expect(5, &["TL0725"]);

    // Held by a switch, then released.
    bench
        .run(&["kill", "set", "action:reply", "--reason", "drill"])
        .expect(0, &["waits from now on"]);
    bench
        .run(&[
            "task",
            "decide",
            &task,
            "approve",
            "--reason",
            "ok",
            "--digest",
            &digest[..12],
        ])
        .expect(0, &["is decided"]);
    let held = |e: &Value| {
        e.as_array()
            .unwrap()
            .iter()
            .any(|e| e["hold"] == "kill:action:reply")
    };
    bench.until(&["effect", "list"], "the hold", held);
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "held by the switch `action:reply`",
            "throughline kill clear action:reply",
            "workflows/lead/workflow.yaml:",
            "record.message == 'please write'",
            "it came again 1 time;",
            "policy says approve",
            "event.body.email",
        ],
    );
    bench
        .run(&["status"])
        .expect(0, &["runs since", "action:reply", "1 duplicate\n"]);
    bench
        .run(&["kill", "clear", "action:reply", "--reason", "over"])
        .expect(0, &["is cleared"]);
    let closed = |c: &Value| c[0]["state"] == "closed";
    bench.until(&["case", "list"], "the end", closed);
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "`reply`",
            "succeeded",
            "it is closed",
            "throughline case reopen",
        ],
    );
    bench.run(&["explain", &task]).expect(0, &[&case]);

    assert_eq!(server.stop(), 0);
    // Without a server the same commands work on the store.
    bench.run(&["case", "list"]).expect(0, &[&case, "closed"]);
    bench
        .run(&["status"])
        .expect(0, &["does not run", "throughline serve"]);
    bench
        .run(&["case", "reopen", &case, "--reason", "second_look"])
        .expect(0, &["throughline explain"]);
}

#[test]
fn a_case_that_needs_a_person_is_decided_without_a_server() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    let accepted = send(
        &bench,
        &server.url,
        &secret,
        r#"{"email":"a@b.example","message":"hello"}"#,
    );
    let case = accepted["case_id"].as_str().unwrap().to_owned();
    assert_eq!(server.stop(), 0);
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "review",
            "default => human_queue",
            "throughline task decide",
        ],
    );
    bench
        .run(&["case", "assign", &case, "operatrs", "--reason", "x"])
        .expect(3, &["did you mean `operators`?"]);
    bench
        .run(&["case", "move", &case, "pending", "--reason", "x"])
        .expect(1, &["TL0701", "throughline explain TL0701"]);
    let task = bench.json(&["task", "list"])[0]["task"]
        .as_str()
        .unwrap()
        .to_owned();
    let edit = [
        "task",
        "decide",
        &task,
        "edit",
        "--reason",
        "mended",
        "--set",
        "message=please write",
    ];
    bench.run(&edit).expect(0, &["is decided"]);
    // What that planned is not sent by a command: it waits for a server.
    let effects = bench.json(&["effect", "list", "--case", &case]);
    let write = effects
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["action"] == "crm_upsert")
        .unwrap();
    assert_eq!(write["state"], "ready");
    let server = bench.serve();
    let done = |e: &Value| {
        e.as_array()
            .unwrap()
            .iter()
            .any(|e| e["action"] == "crm_upsert" && e["state"] == "succeeded")
    };
    bench.until(&["effect", "list", "--case", &case], "the write", done);
    drop(server);
}

#[test]
fn nothing_happens_to_a_message_that_is_tried() {
    let bench = Bench::project();
    let good = r#"{"email":"a@b.example","message":"please write"}"#;
    bench.write("m.json", good);
    bench.run(&["try", "m.json", "--endpoint", "web"]).expect(
        0,
        &[
            "nothing was stored",
            "`crm_upsert` would be sent by itself",
            "`reply` would wait for an approval",
        ],
    );
    bench.write(
        "bad.json",
        r#"{"email":"a@b.example","email":"b@b.example"}"#,
    );
    bench
        .run(&["try", "bad.json", "--endpoint", "web"])
        .expect(1, &["the door would answer 400"]);
    bench
        .run(&["try", "m.json", "--endpoint", "wep"])
        .expect(3, &["did you mean `web`?"]);
    assert_eq!(bench.json(&["case", "list"]).as_array().unwrap().len(), 0);
    assert_eq!(bench.json(&["status"])["events"], 0);
}

#[test]
fn a_message_that_is_tried_meets_the_gate_as_it_stands() {
    let bench = Bench::project();
    bench.write(
        "m.json",
        r#"{"email":"a@b.example","message":"please write"}"#,
    );
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let hour = now.as_secs() / 3_600 % 24;
    let quiet = format!(
        "{{ auto: true, quiet_hours: \"{hour:02}:00-{:02}:00 UTC\" }}",
        (hour + 2) % 24
    );
    // The policy of the write, the mode of a switch for everything, what is said.
    let table = [
        ("auto", None, "would be sent by itself\n"),
        (&quiet, None, "when its quiet hours are over"),
        ("auto", Some("hold"), "would be held (kill:everything)"),
        (
            "auto",
            Some("cancel"),
            "would be stopped at once (kill:everything)",
        ),
        ("auto", Some("dry-run"), "`everything` makes it a dry run"),
    ];
    for (policy, mode, said) in table {
        let file = WORKFLOW.replace("crm_upsert: auto", &format!("crm_upsert: {policy}"));
        bench.write("workflows/lead/workflow.yaml", &file);
        bench.run(&["deploy", "--yes"]).expect(0, &[]);
        let switch = |args: &[&str]| {
            bench.run(args).expect(0, &[]);
        };
        if let Some(mode) = mode {
            let set = [
                "kill",
                "set",
                "everything",
                "--mode",
                mode,
                "--reason",
                "drill",
            ];
            switch(&set);
        }
        let tried = bench.run(&["try", "m.json", "--endpoint", "web"]);
        tried.expect(0, &["`crm_upsert` would", said]);
        if mode.is_some() {
            switch(&["kill", "clear", "everything", "--reason", "over"]);
        }
    }
}

/// Writes a message, tries it, and returns what was said: as text and as JSON.
fn try_it(bench: &Bench, body: &str, more: &[&str]) -> (String, Value) {
    bench.write("t.json", body);
    let args = [&["try", "t.json", "--endpoint", "web"], more].concat();
    let answer = bench.run(&args);
    answer.expect(0, &["nothing was stored"]);
    (answer.out, bench.json(&args))
}

#[test]
fn a_tried_message_says_whether_it_has_come_before_and_what_it_would_join() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    let first = r#"{"email":"a@b.example","message":"hello"}"#;
    let accepted = send(&bench, &server.url, &secret, first);
    let (event, case) = (&accepted["event_id"], &accepted["case_id"]);
    let key = ["--header", &format!("idempotency-key={}", first.len())];
    let same_thing = r#"{"email":"A@B.example","message":"hello again"}"#;
    let other = r#"{"email":"c@d.example","message":"hello"}"#;
    // Body, further arguments; the event it repeats and whether the bytes are the same; the case it joins.
    let none = &Value::Null;
    let table: [(&str, &[&str], &Value, bool, &Value); 4] = [
        (first, &[], event, true, case),
        (other, &key, event, false, none),
        (same_thing, &[], none, false, case),
        (other, &[], none, false, none),
    ];
    let look = |server: &str| {
        for (body, more, repeats, same, joins) in table {
            let what = format!("{server}: {body} {more:?}");
            let (text, json) = try_it(&bench, body, more);
            assert_eq!(&json["duplicate"]["event"], repeats, "{what}");
            assert_eq!(&json["joins"], joins, "{what}");
            let mut parts = Vec::new();
            match repeats.as_str() {
                Some(event) => {
                    parts.push(format!("it is a duplicate of {event}"));
                    assert_eq!(json["duplicate"]["same_bytes"], same, "{what}");
                    assert_eq!(&json["duplicate"]["case"], case, "{what}");
                }
                None => parts.push("it is no duplicate".into()),
            }
            if let Some(case) = joins.as_str() {
                parts.push(format!("it would join {case}"));
            }
            for part in parts {
                assert!(text.contains(&part), "{what}: `{part}` in\n{text}");
            }
        }
    };
    let before = bench.json(&["status"]);
    look("with a server");
    assert_eq!(server.stop(), 0);
    look("without a server");
    let after = bench.json(&["status"]);
    for count in ["events", "duplicates", "turns", "effects"] {
        assert_eq!(before[count], after[count], "{count}");
    }
}

#[test]
fn versions_change_by_deploy_alone() {
    let bench = Bench::project();
    let first = bench.json(&["versions"]);
    assert_eq!(
        (first[0]["number"].as_u64(), first[0]["current"].as_bool()),
        (Some(1), Some(true))
    );
    bench.run(&["deploy"]).expect(0, &["nothing changes"]);
    let looser = WORKFLOW.replace("reply: { approve: operators }", "reply: never");
    bench.write(
        "workflows/lead/workflow.yaml",
        &looser.replace("action: [crm_upsert, reply]", "action: crm_upsert"),
    );
    bench
        .run(&["deploy"])
        .expect(2, &["policy: `reply` tighter", "pass --yes"]);
    bench
        .run(&["deploy", "--yes"])
        .expect(0, &["policy: `reply` tighter", "branch is new"]);
    let server = bench.serve();
    assert_eq!(bench.json(&["versions"])[0]["number"], 2);
    bench
        .run(&["rollback", "lead", "1", "--reason", "too_strict"])
        .expect(0, &["new cases of `lead` go through number 1"]);
    bench
        .run(&["rollback", "lead", "7", "--reason", "x"])
        .expect(3, &["throughline versions"]);
    let current: Vec<u64> = bench
        .json(&["versions"])
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| v["current"] == true)
        .filter_map(|v| v["number"].as_u64())
        .collect();
    assert_eq!(current, [1]);
    drop(server);
}

#[test]
fn a_hanging_server_does_not_keep_a_switch_from_working() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    server.signal("STOP");
    bench
        .run(&["kill", "set", "ingest", "--reason", "drill"])
        .expect(0, &["senders get 503"]);
    server.signal("CONT");
    bench.write("m.json", r#"{"email":"a@b.example","message":"x"}"#);
    let to = format!("{}/hooks/default/web", server.url);
    // The server notices what was written beside it.
    let begun = std::time::Instant::now();
    loop {
        let answer = bench.run(&["send", "m.json", "--to", &to, "--secret", &secret]);
        if answer.code == 1 && answer.out.contains("503") {
            break;
        }
        assert!(
            begun.elapsed() < super::bench::PATIENCE,
            "{} {}",
            answer.out,
            answer.err
        );
    }
    bench.run(&["kill", "list"]).expect(0, &["ingest", "drill"]);
    bench
        .run(&["kill", "clear", "ingest", "--reason", "over"])
        .expect(0, &["is cleared"]);
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", &secret])
        .expect(0, &["202"]);
}

#[test]
fn secrets_keys_flags_and_tenants_are_managed() {
    let bench = Bench::project();
    let list = bench.json(&["endpoint", "list"]);
    assert_eq!(list[0]["open"], false);
    let first = bench.secret("web");
    let second = bench.secret("default/web");
    assert_ne!(first, second);
    let list = bench.json(&["endpoint", "list"]);
    let secrets = list[0]["secrets"].as_array().unwrap();
    assert_eq!((secrets.len(), list[0]["open"].as_bool()), (2, Some(true)));
    assert!(
        !list.to_string().contains(&second),
        "a secret is shown once"
    );
    let server = bench.serve();
    bench.write("m.json", r#"{"email":"a@b.example","message":"x"}"#);
    let to = format!("{}/hooks/default/web", server.url);
    for secret in [&first, &second] {
        bench
            .run(&["send", "m.json", "--to", &to, "--secret", secret])
            .expect(0, &[]);
    }
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", "another"])
        .expect(1, &["401"]);
    bench.json(&["endpoint", "rotate", "web", "--overlap", "0s"]);
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", &second])
        .expect(1, &["401"]);
    bench
        .run(&["endpoint", "disable", "web", "--reason", "x"])
        .expect(0, &["closed"]);
    bench
        .run(&["send", "m.json", "--to", &to, "--secret", &second])
        .expect(1, &["404"]);

    let key = bench.json(&["key", "create", "--scope", "events", "--expires", "90d"]);
    assert!(key["key"].as_str().unwrap().starts_with("tl_"));
    let kid = key["kid"].as_str().unwrap();
    bench
        .run(&["key", "disable", kid, "--reason", "lost"])
        .expect(0, &[]);
    assert_eq!(bench.json(&["key", "list"])[0]["active"], false);

    bench.run(&["flag", "set", "beta", "on"]).expect(0, &[]);
    assert_eq!(bench.json(&["flag", "list"])[0]["value"], true);
    bench
        .run(&["tenant", "create", "acme"])
        .expect(0, &["throughline --tenant acme deploy"]);
    bench
        .run(&["tenant", "create", "acme"])
        .expect(5, &["already"]);
    bench
        .run(&["--tenant", "acme", "deploy", "--yes"])
        .expect(0, &["`lead` is new"]);
    bench
        .run(&["tenant", "disable", "acme", "--reason", "gone"])
        .expect(0, &["takes no message"]);
    let tenants = bench.json(&["tenant", "list"]);
    assert_eq!(tenants[1]["disabled"], true);
}

#[test]
fn the_audit_is_exported_and_verified_elsewhere() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    send(
        &bench,
        &server.url,
        &secret,
        r#"{"email":"dana@acme.example","message":"please write"}"#,
    );
    assert_eq!(server.stop(), 0);
    bench
        .run(&["audit", "export", "--output", "audit.jsonl"])
        .expect(0, &["audit verify audit.jsonl"]);
    let checkpoints = "data/checkpoints.txt";
    bench
        .run(&[
            "audit",
            "verify",
            "audit.jsonl",
            "--checkpoints",
            checkpoints,
        ])
        .expect(0, &["verified", "not yet signed: 0 turns"]);
    let text = std::fs::read_to_string(bench.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("dana"), "no personal data in the audit");
    for action in ["tenant.create", "deploy", "endpoint.rotate"] {
        assert!(text.contains(action), "{action}");
    }
    let cut: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(i, _)| *i != 3)
        .map(|(_, l)| l)
        .collect();
    bench.write("cut.jsonl", &cut.join("\n"));
    bench
        .run(&["audit", "verify", "cut.jsonl"])
        .expect(1, &["TL0910", "line "]);
    let python = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/concepts/verify_audit.py");
    let run = |file: &str| {
        std::process::Command::new("python3")
            .arg(&python)
            .arg(file)
            .current_dir(bench.path())
            .output()
    };
    let Ok(good) = run("audit.jsonl") else { return };
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(!run("cut.jsonl").unwrap().status.success());
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let bench = Bench::project();
    let server = bench.serve();
    let pid = server.pid().to_string();
    bench
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .expect(5, &["TL0641", &pid]);
}

#[test]
fn a_signal_right_after_the_address_ends_the_server_in_order() {
    let bench = Bench::project();
    for signal in ["TERM", "INT", "TERM", "INT", "TERM"] {
        let server = bench.serve();
        server.signal(signal);
        assert_eq!(server.wait(), 0, "{signal}");
        let left: Vec<String> = std::fs::read_dir(bench.path().join("data"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("throughline.db"))
            .collect();
        assert_eq!(
            left,
            ["throughline.db"],
            "{signal}: nothing is left to recover"
        );
        bench.run(&["status"]).expect(0, &["does not run"]);
    }
}

#[test]
fn a_server_that_was_killed_is_not_in_the_way() {
    let bench = Bench::project();
    drop(bench.serve());
    bench.run(&["status"]).expect(0, &["does not run"]);
    let server = bench.serve();
    bench.run(&["status"]).expect(0, &["runs since"]);
    assert_eq!(server.stop(), 0);
}
