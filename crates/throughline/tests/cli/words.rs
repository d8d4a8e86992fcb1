//! What is typed, and what comes back: commands that one would expect elsewhere, and answers that scripts read.

use super::bench::{Bench, WORKFLOW};

#[test]
fn what_is_no_command_says_what_to_type_instead() {
    let table: [(&[&str], &str); 4] = [
        (&["endpoint", "create", "web"], "ingress.channels"),
        (&["endpoint", "create"], "throughline endpoint rotate"),
        (&["tenant", "rotate", "acme"], "key rotate"),
        (
            &["tenant", "rotate", "acme", "--overlap", "0s"],
            "endpoint rotate",
        ),
    ];
    let bench = Bench::project();
    for (args, part) in table {
        bench.run(args).expect(2, &[part]);
    }
}

#[test]
fn a_message_is_tried_through_the_one_door_that_takes_it() {
    let bench = Bench::project();
    bench.write("m.json", r#"{"email":"a@b.example","message":"hello"}"#);
    let mail = "from: a@b.example\r\nmessage-id: <1@b.example>\r\n\r\nhello\r\n";
    bench.write("m.eml", mail);
    bench
        .run(&["try", "m.json"])
        .expect(0, &["through the endpoint `web`", "nothing was stored"]);
    let more = |name: &str, channel: &str| {
        format!("    {name}:\n      channel: {channel}\n      map: {{ email: event.body.email }}\n")
    };
    let two = WORKFLOW.replace(
        "    web:\n",
        &format!("{}    web:\n", more("partner", "webhook")),
    );
    bench.write("workflows/lead/workflow.yaml", &two);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    bench
        .run(&["try", "m.json"])
        .expect(2, &["--endpoint", "partner", "web"]);
    bench
        .run(&["try", "m.eml"])
        .expect(2, &["message/rfc822", "web (webhook)"]);
    bench
        .run(&["try", "m.json", "--endpoint", "partner"])
        .expect(0, &["nothing was stored"]);
}

#[test]
fn a_script_reads_what_a_deployment_changes() {
    let bench = Bench::project();
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let tighter = WORKFLOW.replace("crm_upsert: auto", "crm_upsert: { approve: operators }");
    bench.write("workflows/lead/workflow.yaml", &tighter);
    let asked = bench.run(&["--json", "deploy"]);
    asked.expect(2, &["pass --yes"]);
    let plan: serde_json::Value = serde_json::from_str(&asked.out).unwrap();
    let changes = plan["plan"][0]["changes"].to_string();
    assert!(changes.contains("crm_upsert"), "{plan:#}");
    assert!(plan["deployed"].is_null(), "{plan:#}");
    let done = bench.json(&["deploy", "--yes"]);
    assert_eq!(done["plan"], plan["plan"]);
    assert_eq!(done["deployed"][0]["number"], 2, "{done:#}");
    let again = bench.json(&["deploy", "--yes"]);
    assert_eq!(again["deployed"].as_array().map(Vec::len), Some(0));
    bench.write(
        "workflows/lead/workflow.yaml",
        &tighter.replace("[crm_upsert", "[crm_upset"),
    );
    let refused = bench.run(&["--json", "deploy", "--yes"]);
    let plan: serde_json::Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!((refused.code, &plan["plan"][0]["ok"]), (1, &false.into()));
}

#[test]
fn an_effect_that_succeeded_is_not_dead() {
    let bench = Bench::project();
    let secret = bench.secret("web");
    let server = bench.serve();
    bench.write(
        "m.json",
        r#"{"email":"a@b.example","message":"please write"}"#,
    );
    let to = format!("{}/hooks/default/web", server.url);
    bench.json(&["send", "m.json", "--to", &to, "--secret", &secret]);
    let list = bench.until(&["effect", "list"], "the write", |l| {
        l.as_array()
            .unwrap()
            .iter()
            .any(|e| e["state"] == "succeeded")
    });
    let mut all = list.as_array().unwrap().iter();
    let effect = all.find(|e| e["state"] == "succeeded").unwrap()["effect"].as_str();
    let effect = effect.unwrap();
    bench
        .run(&["dead", "show", effect])
        .expect(3, &["is succeeded, not dead", "throughline effect show"]);
    bench
        .run(&["effect", "show", effect])
        .expect(0, &["in one transaction with the outcome"]);
    assert_eq!(server.stop(), 0);
}
