//! What somebody meets who has the documentation and the binary, and nobody to ask.

use super::bench::{Bench, Server, WORKFLOW};

fn post(bench: &Bench, server: &Server, secret: &str, file: &str, endpoint: &str) -> String {
    let to = format!("{}/hooks/default/{endpoint}", server.url);
    let answer = bench.json(&["send", file, "--to", &to, "--secret", secret]);
    answer["answer"]["case_id"].as_str().unwrap().to_owned()
}

/// A served project with one case of a message.
fn case(bench: &Bench, message: &str) -> (Server, String) {
    let secret = bench.secret("web");
    let server = bench.serve();
    let body = serde_json::json!({ "email": "dana@acme.example", "message": message });
    bench.write("m.json", &body.to_string());
    let case = post(bench, &server, &secret, "m.json", "web");
    (server, case)
}

#[test]
fn a_new_project_has_a_message_to_try_it_with() {
    let bench = Bench::empty();
    bench
        .run(&["init", "p"])
        .expect(0, &["throughline try lead.json --endpoint leads"]);
    let args = ["--dir", "p", "try", "p/lead.json", "--endpoint", "leads"];
    bench
        .run(&args)
        .expect(0, &["nothing was stored", "Ada Byron"]);
}

#[test]
fn status_names_the_door_that_nobody_opened() {
    let bench = Bench::project();
    bench.run(&["status"]).expect(
        0,
        &[
            "the only door is closed",
            "throughline endpoint rotate default/web",
        ],
    );
    bench.secret("web");
    let open = bench.run(&["status"]);
    assert!(!open.out.contains("door"), "{}", open.out);
}

#[test]
fn a_task_that_was_handed_on_has_its_new_owner_on_every_screen() {
    let bench = Bench::project();
    bench.write("teams.yaml", "teams: { north: [anna] }\n");
    let (server, case) = case(&bench, "hello");
    bench
        .run(&["case", "assign", &case, "north", "--reason", "nearer"])
        .expect(0, &["owner north"]);
    bench
        .run(&["explain", &case])
        .expect(0, &["north must decide the case", "(`review` of north)"]);
    drop(server);
}

#[test]
fn what_our_own_systems_hold_can_be_read() {
    let bench = Bench::project();
    let reply = WORKFLOW
        .replace(
            "reply: { approve: operators }",
            "reply: { auto: true, limit: 5 per contact per day }",
        )
        .replace(
            "to: record.email,",
            "to: record.email, check: verified_sender,",
        );
    bench.write("workflows/lead/workflow.yaml", &reply);
    bench.write("workflows/lead/templates/reply.md", "We have it.\n");
    let (server, case) = case(&bench, "please write");
    let sent = bench.until(&["outbox", "list"], "the message", |m| {
        !m.as_array().unwrap().is_empty()
    });
    let effect = sent[0]["effect"].as_str().unwrap();
    let list = bench.run(&["outbox", "list", "--case", &case, "--limit", "1"]);
    list.expect(0, &[effect, "dana@acme.example"]);
    assert!(list.err.contains("1 rows is the limit"), "{}", list.err);
    bench
        .run(&["outbox", "show", effect])
        .expect(0, &["Hello", "We have it."]);
    let write = effect.replace("-2", "-1");
    bench
        .run(&["outbox", "show", &write])
        .expect(3, &["TL0703", "throughline outbox list"]);
    bench
        .run(&["record", "show", "lead", "dana@acme.example"])
        .expect(0, &["version      1", "please write"]);
    bench
        .run(&["record", "show", "lead", "nobody"])
        .expect(3, &["TL0703", "throughline effect show"]);
    drop(server);
}

#[test]
fn what_the_policy_never_allows_says_so_wherever_it_is_looked_for() {
    let bench = Bench::project();
    let never = WORKFLOW.replace(
        "reply: { approve: operators }",
        "reply: { approve: operators, never: \"record.email == 'dana@acme.example'\" }",
    );
    bench.write("workflows/lead/workflow.yaml", &never);
    let (server, case) = case(&bench, "please write");
    let effect = case.replace("case_", "eff_") + "-2";
    bench.run(&["effect", "show", &effect]).expect(
        3,
        &["TL0703", "the policy says never", "throughline explain"],
    );
    let task = bench.json(&["task", "list"])[0]["task"]
        .as_str()
        .unwrap()
        .to_owned();
    let sheet = bench.run(&["task", "show", &task]);
    sheet.expect(0, &["Approving changes nothing", "the policy never allows"]);
    assert!(!sheet.out.contains(" approve "), "{}", sheet.out);
    drop(server);
}

#[test]
fn a_question_to_a_model_is_not_sent_again() {
    let bench = Bench::empty();
    bench.run(&["init", "."]).expect(0, &[]);
    let secret = bench.secret("leads");
    let server = bench.serve();
    let set = ["kill", "set", "model:local", "--mode", "cancel"];
    bench
        .run(&[&set[..], &["--reason", "drill"]].concat())
        .expect(0, &[]);
    let case = post(&bench, &server, &secret, "lead.json", "leads");
    bench.until(&["case", "show", &case], "the end of the question", |c| {
        c["state"] == "needs_human"
    });
    bench.run(&["dead", "list"]).expect(0, &["no effect"]);
    let ask = case.replace("case_", "eff_") + "-1";
    bench
        .run(&["dead", "redrive", &ask, "--reason", "again"])
        .expect(1, &["is not repeated", "throughline case reopen"]);
    let task = bench.json(&["task", "list"])[0]["task"].clone();
    bench
        .run(&["task", "show", task.as_str().unwrap()])
        .expect(0, &["VALUE is one of demo", "--set intent=VALUE"]);
    drop(server);
}

#[test]
fn a_decision_that_comes_too_late_or_names_half_a_task_says_what_is_the_matter() {
    let bench = Bench::project();
    let (server, case) = case(&bench, "hello");
    let task = case.replace("case_", "task_") + "-1";
    let decide = |task: &str, reason: &str| {
        bench.run(&["task", "decide", task, "reject", "--reason", reason])
    };
    decide("task_01m83", "no").expect(2, &["is no whole id of a task"]);
    let first = decide(&task, "Called Dana Miller by phone");
    first.expect(0, &["is decided"]);
    assert!(
        first.err.contains("stays in the audit for good"),
        "{}",
        first.err
    );
    assert!(first.err.contains("--note"), "{}", first.err);
    let second = decide(&task, "not_ours");
    second.expect(5, &["TL0720", &task, "closed with `reject`"]);
    assert!(!second.err.contains("warning"), "{}", second.err);
    drop(server);
}

#[test]
fn a_rollback_and_status_tell_of_the_files() {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let other = WORKFLOW.replace("'please write'", "'write'");
    bench.write("workflows/lead/workflow.yaml", &other);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let files = "the files of `lead` differ from number 1";
    let before = bench.run(&["status"]);
    assert!(!before.out.contains(files), "{}", before.out);
    bench
        .run(&["rollback", "lead", "1", "--reason", "wrong_word"])
        .expect(0, &["the files of the project are as they were"]);
    bench
        .run(&["status"])
        .expect(0, &[files, "throughline deploy"]);
}

/// A project whose CRM is an address at which nobody listens.
fn with_crm() -> Bench {
    let bench = Bench::project();
    let crm = "side_effects:\n  crm: { api: rest, connection: crm, path: \"/leads/${case.id}\", \
               optimistic_lock: last_writer_wins, idempotency_header: idempotency-key, map: { email: record.email } }\n";
    let rest = WORKFLOW.replace("side_effects:\n", crm);
    bench.write("workflows/lead/workflow.yaml", &rest);
    bench.write(
        "connections.yaml",
        "connections:\n  crm: { kind: rest, base_url: \"http://127.0.0.1:9/api\", auth: none, owner: operators }\n",
    );
    bench
}

#[test]
fn a_dead_system_of_record_shows_in_status() {
    let bench = with_crm();
    bench.write(
        "throughline.toml",
        "allow_private_connections = [\"crm\"]\n",
    );
    let (server, _) = case(&bench, "please write");
    bench.until(&["status"], "the line about the connection", |s| {
        let next = s["next"].as_array().unwrap();
        next.iter().any(|n| {
            let why = n["why"].as_str().unwrap();
            why.contains("`crm` has been failing for")
                && why.contains("1 effect waits: nobody listens")
        })
    });
    drop(server);
}

#[test]
fn a_connection_without_tls_is_named_before_a_case_meets_it() {
    let bench = with_crm();
    bench
        .run(&["check"])
        .expect(0, &["allow_private_connections = [\"crm\"]"]);
    let server = bench.serve();
    bench
        .run(&["status"])
        .expect(0, &["connection `crm`", "allow_private_connections"]);
    drop(server);
}

#[test]
fn check_says_of_each_closed_endpoint_what_opens_it() {
    let bench = Bench::project();
    let file = WORKFLOW.replace(
        "decision:\n",
        "    notes: { channel: api, auth: api_key }\n    tokens: { channel: webhook, auth: jwt }\ndecision:\n",
    );
    bench.write("workflows/lead/workflow.yaml", &file);
    const SECRET: &str = "throughline endpoint rotate default/web";
    const KEY: &str = "throughline key create --scope events";
    const TOKENS: &str = "closed until its `jwt` has keys";
    bench.run(&["check"]).expect(0, &[SECRET, KEY, TOKENS]);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    bench
        .run(&["key", "create", "--scope", "events"])
        .expect(0, &[]);
    let answer = bench.run(&["check"]);
    answer.expect(0, &[SECRET, TOKENS]);
    assert!(!answer.out.contains(KEY), "{}", answer.out);
}

#[test]
fn a_rule_that_held_and_set_nothing_says_so() {
    let bench = Bench::project();
    let rule = "worker:\n  rules:\n    - { when: \"has(record.email)\", set: { area: \"${record.message.capture('^([0-9]{2})')}\" } }\n\
                ingress:\n";
    let with_rule = WORKFLOW.replace("ingress:\n", rule).replace(
        "    message: {",
        "    area: { type: string, from: rules }\n    message: {",
    );
    bench.write("workflows/lead/workflow.yaml", &with_rule);
    let (server, case) = case(&bench, "SW1A");
    bench.run(&["explain", &case]).expect(
        0,
        &[
            "applied: has(record.email)",
            "`area` stays absent: what it is made from has no value",
        ],
    );
    drop(server);
}

#[test]
fn a_door_for_tokens_says_what_it_still_needs() {
    let bench = Bench::project();
    let tokens = WORKFLOW.replace("auth: hmac_signature", "auth: jwt");
    bench.write("workflows/lead/workflow.yaml", &tokens);
    let keys = "set `jwt: { issuer, audience, keys }`";
    let until = format!("closed until its `jwt` has keys to verify with: {keys}");
    bench.run(&["check"]).expect(0, &[&until]);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let door = &bench.json(&["endpoint", "list"])[0];
    assert_eq!(door["open"], false, "{door}");
    let says = |name: &str| door[name].as_str().unwrap_or_default().to_owned();
    assert!(says("closed_because").contains(keys), "{door}");
    let issuer = "a token of its issuer, which is not set yet";
    assert!(door["signing"].to_string().contains(issuer), "{door}");
}

#[test]
fn status_names_senders_that_still_use_an_earlier_secret() {
    let bench = Bench::project();
    let (first, second) = (bench.secret("web"), bench.secret("web"));
    let server = bench.serve();
    let earlier = "senders of `web` still sign with the earlier secret";
    for (secret, n) in [(&second, 0), (&first, 1)] {
        let body =
            serde_json::json!({ "email": "dana@acme.example", "message": format!("hello {n}") });
        bench.write("m.json", &body.to_string());
        post(&bench, &server, secret, "m.json", "web");
        let said = bench.run(&["status"]).out;
        assert_eq!(said.contains(earlier), n == 1, "{said}");
    }
    let door = &bench.json(&["endpoint", "list"])[0];
    let uses = door["secrets"].as_array().expect("secrets");
    let of = |earlier: bool| {
        let one = uses.iter().find(|s| s["earlier"] == earlier);
        one.map(|s| s["matched"].as_u64())
    };
    assert_eq!(
        (of(true), of(false)),
        (Some(Some(1)), Some(Some(1))),
        "{door}"
    );
}
