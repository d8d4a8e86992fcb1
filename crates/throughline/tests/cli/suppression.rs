//! A person says STOP by text message, and is heard: through a real door, to the ledger.

use serde_json::Value;

use super::bench::{Answer, Bench, Server};

const WORKFLOW: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  fields:
    phone:   { type: phone, required: true, use: control }
    message: { type: text, untrusted: true }
ingress:
  channels:
    sms: { channel: sms, auth: hmac_signature }
worker: { ai_step: none }
decision: { branches: [ { condition: has(record.phone), action: ack }, { default: human_queue } ] }
policy: { ack: { auto: true, limit: 50 per contact per day } }
side_effects:
  messaging:
    ack: { channel: sms, via: outbox, to: record.phone, text: \"We have it\", check: verified_sender }
";
const ADA: &str = "+4366012345678";

/// A number's text message, as the provider posts it.
fn says(bench: &Bench, server: &Server, (number, text): (u32, &str)) -> Answer {
    let fields = format!(
        "MessageSid=SM{number:032x}&From=%2B4366012345678&To=%2B442079460991&Body={text}&SmsStatus=received"
    );
    bench.write("m.form", &fields);
    let to = format!("{}/forms/default/sms", server.url);
    bench.run(&["send", "m.form", "--secret-file", "secret", "--to", &to])
}

#[test]
fn who_says_stop_gets_no_message_until_start() {
    let bench = Bench::empty();
    bench.write("workflows/support/workflow.yaml", WORKFLOW);
    let server = bench.serve();
    bench.write("secret", &bench.secret("sms"));
    let sent = |n: usize| {
        let what = format!("{n} messages in the outbox");
        bench.until(&["outbox", "list"], &what, |all| {
            all.as_array().is_some_and(|a| a.len() == n)
        });
    };
    says(&bench, &server, (1, "Where+is+it")).expect(0, &[]);
    sent(1);
    bench
        .run(&["suppression", "list"])
        .expect(0, &["no address is suppressed"]);

    bench.write("stop.form", "MessageSid=SM0123456789abcdef0123456789abcdef&From=%2B4366012345678&To=%2B442079460991&Body=STOP");
    bench
        .run(&["try", "stop.form", "--endpoint", "sms"])
        .expect(0, &["puts its number on the list"]);
    says(&bench, &server, (2, "Stop.")).expect(0, &[]);
    let listed = bench.run(&["suppression", "list"]);
    listed.expect(0, &[ADA, "sms", "stop", "endpoint sms"]);
    // It opened no case, and none waits to be joined.
    assert_eq!(
        bench.json(&["case", "list"]).as_array().map(Vec::len),
        Some(1)
    );

    bench.write("t.form", "MessageSid=SM0123456789abcdef0123456789abcdef&From=%2B4366012345678&To=%2B442079460991&Body=Hello");
    bench
        .run(&["try", "t.form", "--endpoint", "sms"])
        .expect(0, &["would be stopped at once (suppressed)"]);
    says(&bench, &server, (3, "And+now")).expect(0, &[]);
    let stopped = |all: &Value| all[0]["state"] == "needs_human";
    let cases = bench.until(&["case", "list"], "the case of the third", stopped);
    let case = cases[0]["case"].as_str().unwrap().to_owned();
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "its recipient wants nothing more",
            "throughline suppression list",
        ],
    );
    sent(1);

    bench
        .run(&["suppression", "remove", ADA, "--reason", "x"])
        .expect(5, &["--over-stop"]);
    // Said again, as a provider that has lost the answer says it: nothing changes.
    says(&bench, &server, (2, "Stop.")).expect(0, &[]);
    says(&bench, &server, (4, "START")).expect(0, &[]);
    bench
        .run(&["suppression", "list"])
        .expect(0, &["no address is suppressed"]);
    bench
        .run(&["case", "reopen", &case, "--reason", "asked_again"])
        .expect(0, &[]);
    sent(2);
    bench
        .run(&["audit", "export", "-o", "audit.jsonl"])
        .expect(0, &[]);
    bench
        .run(&["audit", "verify", "audit.jsonl"])
        .expect(0, &[]);
    let told = std::fs::read_to_string(bench.path().join("audit.jsonl")).unwrap();
    for action in ["suppression.add", "suppression.remove"] {
        assert_eq!(told.matches(action).count(), 1, "{action}");
    }
    assert!(!told.contains("66012345678"));
}

#[test]
fn operators_keep_the_list() {
    let bench = Bench::project();
    let _server = bench.serve();
    let table: [(&[&str], i32, &str); 9] = [
        (
            &["add", " Ada@Example.COM ", "--reason", "asked_by_phone"],
            0,
            "nothing is sent to ada@example.com",
        ),
        (
            &["add", "+43 660 12345678", "--reason", "asked_by_phone"],
            0,
            "nothing is sent to +4366012345678",
        ),
        (
            &["add", "0660 12345678", "--reason", "x"],
            2,
            "with its country",
        ),
        (&["add", "ada@", "--reason", "x"], 2, "is no address"),
        (&["add", "ada@example.com", "--reason", ""], 2, "TL0721"),
        (&["list"], 0, "asked_by_phone"),
        (&["list", "--limit", "1"], 0, "1 rows is the limit"),
        (
            &["remove", "ada@example.com", "--reason", "mistake"],
            0,
            "may be written to again",
        ),
        (
            &["remove", "ada@example.com", "--reason", "mistake"],
            3,
            "is not suppressed",
        ),
    ];
    for (args, code, part) in table {
        let args: Vec<&str> = ["suppression"]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        let answer = bench.run(&args);
        assert_eq!(answer.code, code, "{args:?}: {}{}", answer.out, answer.err);
        let said = format!("{}{}", answer.out, answer.err);
        assert!(said.contains(part), "{args:?}: {said}");
    }
}
