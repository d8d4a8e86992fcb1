//! The lines that `endpoint rotate` prints are run as they are printed.

use std::process::Command;

use super::bench::{Bench, WORKFLOW};

fn tools() -> bool {
    let there = |tool: &str, arg: &str| Command::new(tool).arg(arg).output().is_ok();
    let all = there("openssl", "version") && there("curl", "--version");
    if !all {
        tl_trial::lacks(
            "SHELL_TOOLS",
            "the printed lines of a shell: openssl or curl is missing",
        );
    }
    all
}

/// Runs lines of a shell; the status that curl saw.
fn post(lines: &[String]) -> String {
    let script = lines.join("\n") + " -o /dev/null -w '%{http_code}'";
    let out = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{script}\n{said}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn the_printed_lines_sign_and_post_a_message() {
    if !tools() {
        return;
    }
    const PLAIN: &str = "auth: hmac_signature, idempotency: header_idempotency_key";
    // How the endpoint verifies, and what a sender is told of it.
    let table = [
        (
            PLAIN,
            "x-signature: sha256=<HMAC-SHA-256 in hexadecimal digits>, over {body}",
        ),
        (
            "auth: standard_webhooks",
            "webhook-signature: v1,<HMAC-SHA-256 in base 64>",
        ),
        (
            "auth: standard_webhooks | hmac_signature",
            "x-signature: sha256=",
        ),
        (
            "auth: { hmac_signature: { header: x-mac, prefix: '$', encoding: base64, signed: 'v0:{id}:{timestamp}.{body}', timestamp_header: x-time, id_header: x-id } }",
            "x-mac: $<HMAC-SHA-256 in base 64>, over v0:{id}:{timestamp}.{body}",
        ),
    ];
    for (auth, told) in table {
        let bench = Bench::project();
        bench.write(
            "workflows/lead/workflow.yaml",
            &WORKFLOW.replace(PLAIN, auth),
        );
        let server = bench.serve();
        bench
            .run(&["endpoint", "list"])
            .expect(0, &[told, "curl -sS"]);
        let fresh = bench.json(&["endpoint", "rotate", "web"]);
        let lines: Vec<String> = serde_json::from_value(fresh["example"].clone()).unwrap();
        assert_eq!(post(&lines), "202", "{auth}: {lines:#?}");
        let wrong: Vec<String> = lines
            .iter()
            .map(|l| match l.starts_with("SIGNATURE=") {
                true => "SIGNATURE=00".to_owned(),
                false => l.clone(),
            })
            .collect();
        assert_eq!(post(&wrong), "401", "{auth}");
        drop(server);
    }
}

#[test]
fn a_caller_of_the_api_is_told_of_its_envelope() {
    if !tools() {
        return;
    }
    let bench = Bench::project();
    let api = WORKFLOW
        .replace("auth: hmac_signature", "auth: api_key")
        .replace("channel: webhook", "channel: api");
    bench.write("workflows/lead/workflow.yaml", &api);
    let server = bench.serve();
    let list = bench.json(&["endpoint", "list"]);
    let told = list[0]["signing"].to_string();
    assert!(
        told.contains(r#"{\"body\":{…},\"endpoint\":\"web\"}"#),
        "{told}"
    );
    let mut lines: Vec<String> = serde_json::from_value(list[0]["example"].clone()).unwrap();
    let key = bench.json(&["key", "create", "--scope", "events"]);
    lines[0] = format!("KEY='{}'", key["key"].as_str().unwrap());
    assert_eq!(post(&lines), "202", "{lines:#?}");
    drop(server);
}
