//! Cases that are decided again, and dry runs: what is sent, what is not, and what the screens say of it.

use serde_json::Value;

use super::bench::{Bench, Server, WORKFLOW};

/// The small workflow with a reply that goes by itself.
fn project() -> Bench {
    let bench = Bench::project();
    let by_itself = WORKFLOW
        .replace(
            "reply: { approve: operators }",
            "reply: { auto: true, limit: 5 per contact per day }",
        )
        .replace(
            "to: record.email,",
            "to: record.email, check: verified_sender,",
        );
    bench.write("workflows/lead/workflow.yaml", &by_itself);
    bench.write(
        "workflows/lead/templates/reply.md",
        "We have your message.\n",
    );
    bench
}

fn case(bench: &Bench, server: &Server, secret: &str) -> String {
    bench.write(
        "m.json",
        r#"{"email":"dana@acme.example","message":"please write"}"#,
    );
    let to = format!("{}/hooks/default/web", server.url);
    let args = ["send", "m.json", "--to", &to, "--secret", secret];
    let answer = bench.json(&args);
    answer["answer"]["case_id"].as_str().unwrap().to_owned()
}

fn until_closed(bench: &Bench, case: &str) {
    bench.until(&["case", "show", case], "the end", |c| {
        c["state"] == "closed"
    });
}

fn effects(bench: &Bench, case: &str, action: &str) -> Vec<Value> {
    let all = bench.json(&["effect", "list", "--case", case]);
    let own = all.as_array().unwrap().iter();
    own.filter(|e| e["action"] == action).cloned().collect()
}

#[test]
fn a_case_that_is_opened_again_writes_again_and_says_nothing_twice() {
    let bench = project();
    let secret = bench.secret("web");
    let server = bench.serve();
    let case = case(&bench, &server, &secret);
    until_closed(&bench, &case);
    bench
        .run(&["case", "reopen", &case, "--reason", "second_look"])
        .expect(
            0,
            &[
                "`crm_upsert` is done again",
                "`reply` is not sent again: eff_",
                "has said the same",
            ],
        );
    until_closed(&bench, &case);
    assert_eq!(effects(&bench, &case, "reply").len(), 1);
    assert_eq!(effects(&bench, &case, "crm_upsert").len(), 2);
    bench
        .run(&["explain", &case])
        .expect(0, &["not sent again: eff_"]);
}

#[test]
fn a_dry_run_names_its_switch_wherever_it_shows() {
    let bench = project();
    let secret = bench.secret("web");
    let server = bench.serve();
    let scope = "connection:built_in";
    for scope in [scope, "action:reply"] {
        bench
            .run(&[
                "kill", "set", scope, "--mode", "dry-run", "--reason", "drill",
            ])
            .expect(0, &[&format!("dry_run:{scope}")]);
    }
    let case = case(&bench, &server, &secret);
    until_closed(&bench, &case);
    for (action, scope) in [("crm_upsert", scope), ("reply", "action:reply")] {
        let rows = effects(&bench, &case, action);
        assert_eq!(rows[0]["code"], format!("dry_run:{scope}"), "{action}");
    }
    let screen = bench.run(&["explain", &case]);
    screen.expect(
        0,
        &[
            "not sent: dry run by the switch `connection:built_in`",
            "not sent: dry run by the switch `action:reply`",
        ],
    );
    assert!(!screen.out.contains("now succeeded"), "{}", screen.out);
    bench
        .run(&["effect", "list", "--case", &case])
        .expect(0, &["succeeded (not sent)"]);
    let metrics = format!("{}/metrics", server.url);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let text =
        runtime.block_on(async { reqwest::get(metrics).await.unwrap().text().await.unwrap() });
    let settled = |outcome: &str| {
        let lines = text.lines().filter(|l| {
            l.starts_with("throughline_effects_settled_total")
                && l.contains(&format!("outcome=\"{outcome}\""))
        });
        lines.count()
    };
    assert_eq!((settled("dry_run"), settled("succeeded")), (2, 0), "{text}");
    // What was not sent was not said.
    for scope in [scope, "action:reply"] {
        bench
            .run(&["kill", "clear", scope, "--reason", "over"])
            .expect(0, &[]);
    }
    bench
        .run(&["case", "reopen", &case, "--reason", "for_real"])
        .expect(0, &["`reply` is done again"]);
}
