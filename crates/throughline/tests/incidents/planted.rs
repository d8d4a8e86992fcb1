//! The ten incidents. Each names what its screen must hold, then does what the screen says.

use serde_json::{Value as Json, json};
use tl_connect::fake::crm::{Fault, On};

use super::scene::{LEAD, Plan, Scene};

const BIG: &str = r#"{"email":"ada@example.com","name":"Ada","size":12,"message":"hello"}"#;
const BIGGER: &str =
    r#"{"email":"ada@example.com","name":"Ada L.","size":20,"message":"hello again"}"#;
/// Leads are added to a collection that cannot tell a repeat.
const BLIND: [(&str, &str); 4] = [
    ("method: PUT", "method: POST"),
    ("/leads/${record.email}", "/leads"),
    (
        "optimistic_lock: If-Match",
        "optimistic_lock: last_writer_wins",
    ),
    ("    idempotency_header: idempotency-key\n", ""),
];
const SMALL: &str = r#"{"email":"ada@example.com","name":"Ada","size":2,"message":"hello"}"#;

/// Changes that let a model say what the sender wants, and that need it to be sure.
const WITH_MODEL: &[(&str, &str)] = &[
    (
        "ai_step: none",
        "ai_step: { classify: { field: intent, examples: examples/intent.csv } }",
    ),
    (
        "    region:",
        "    intent:  { type: enum, values: [demo, invoice], from: ai }\n    region:",
    ),
    (">= 10\"", ">= 10 && confidence >= threshold\""),
    ("  branches:", "  threshold: 0.999\n  branches:"),
];
const EXAMPLES: &[(&str, &str)] = &[(
    "workflows/lead/examples/intent.csv",
    "text,label\nplease show us a demo,demo\nwe want a demo next week,demo\na live demo would be nice,demo\n\
     the invoice is wrong,invoice\nplease send the invoice again,invoice\nwe paid your invoice,invoice\n",
)];

fn edit(name: &str) -> Fault {
    let fields = json!({ "name": name });
    Fault::EditedFirst(fields.as_object().cloned().unwrap_or_default())
}

fn refusal(status: u16) -> Fault {
    Fault::Status {
        status,
        retry_after: None,
    }
}

#[test]
fn denied_by_a_line_of_the_policy() {
    let never = r#"crm_upsert: { auto: true, never: "record.size > 1000" }"#;
    let s = Scene::new(Plan {
        changes: &[("crm_upsert: auto", never)],
        ..Plan::default()
    });
    let case = s.case(
        "a",
        r#"{"email":"ada@example.com","name":"Ada","size":5000,"message":"hello"}"#,
    );
    s.until_state(&case, "needs_human");
    let line = s.line_of("crm_upsert: {");
    let place = format!("workflows/lead/workflow.yaml:{line}");
    let screen = s.explain(&case);
    screen.says_up(&[
        "operators must decide the case, because the policy never allows `crm_upsert` here",
        &format!("{place} says never where `record.size > 1000`"),
        "in this case size is 5000",
    ]);
    screen.names(&[
        "state        needs_human (reason: policy_never)",
        &format!("policy says never, {place}"),
        "Approving changes nothing",
        "edit --set size=VALUE",
    ]);
    screen.leaves_out(&["did      `crm_upsert`", "confidence"]);
    s.follow(&screen, " close ")
        .expect(0, &["the case is in `closed`"]);
    assert!(s.crm.requests().is_empty(), "nothing was sent");
}

#[test]
fn held_by_a_switch() {
    let s = Scene::new(Plan::default());
    s.kill("connection:crm", "hold", "crm_maintenance");
    let case = s.case("a", BIG);
    let held = |e: &Json| e[0]["hold"] == "kill:connection:crm";
    s.bench
        .until(&["effect", "list", "--case", &case], "the hold", held);
    let screen = s.explain(&case);
    screen.says_up(&[
        "`crm_upsert` has not been sent",
        "held by the switch `connection:crm`, set by operator tester",
        "reason: crm_maintenance",
        "it can wait until ",
    ]);
    assert_eq!(screen.first(), "throughline kill list");
    screen.names(&["ask operator tester whether the reason is gone"]);
    screen.leaves_out(&["did      "]);
    s.follow(&screen, "kill clear")
        .expect(0, &["`connection:crm` is cleared"]);
    s.bench
        .run(&["kill", "list"])
        .expect(0, &["no switch is set"]);
    s.until_state(&case, "closed");
    assert_eq!(s.crm.ledger().len(), 1);
}

#[test]
fn a_person_edited_the_record_meanwhile() {
    let s = Scene::new(Plan::default());
    let case = s.case("a", BIG);
    s.until_state(&case, "closed");
    s.crm.script(On::Writes, edit("Countess Ada"), 1);
    assert_eq!(s.case("b", BIGGER), case);
    s.until_turns(&case, 5);
    let screen = s.explain(&case);
    screen.says_up(&[
        "it is closed",
        "`name` was not overwritten, because the other side had changed it meanwhile",
        "`name` is \"Countess Ada\" in `crm`; \"Ada L.\" of message 2 was not written",
    ]);
    screen.names(&[
        "nothing has to be done",
        ": status 412",
        "the system of record had changed in between",
        "conflict (round 1)",
        "kept as the other side had it: name",
        "it held version \"2\"",
        "name = Countess Ada",
        "its natural key `mail:ada@example.com` is the same",
        "from the system of record, version \"2\"",
    ]);
    let (_, record) = s.crm.record(LEAD).unwrap();
    assert_eq!(
        (&record["name"], &record["size"]),
        (&json!("Countess Ada"), &json!(20))
    );
    s.follow(&screen, "case reopen")
        .expect(0, &["throughline explain"]);
    s.until_turns(&case, 7);
    s.until_state(&case, "closed");
}

#[test]
fn conflicts_without_end_go_to_a_person() {
    let s = Scene::new(Plan::default());
    s.crm.script(On::Writes, edit("Countess Ada"), 4);
    let case = s.case("a", BIG);
    s.until_state(&case, "needs_human");
    let screen = s.explain(&case);
    screen.says_up(&[
        "somebody else changed the record in `crm` each time",
        "given up in round 4",
        "nothing of ours was written in those rounds",
        "held version \"4\" then",
        "name = Countess Ada",
    ]);
    screen.names(&[
        "conflict (round 1)",
        "conflict (round 4)",
        "or, to leave it as it is: closes the task",
    ]);
    s.follow(&screen, "case reopen")
        .expect(0, &["is in `automated`"]);
    s.until_state(&case, "closed");
    assert_eq!(s.crm.record(LEAD).unwrap().1["name"], "Countess Ada");
    assert_eq!(
        s.crm.ledger().len(),
        1,
        "the four refused writes changed nothing"
    );
}

#[test]
fn the_model_is_unsure() {
    let s = Scene::new(Plan {
        changes: WITH_MODEL,
        files: EXAMPLES,
    });
    let case = s.case("a", BIG);
    s.until_state(&case, "needs_human");
    let screen = s.explain(&case);
    let set_at = format!(
        "workflows/lead/workflow.yaml:{}",
        s.line_of("threshold: 0.999")
    );
    screen.says_up(&[
        "the model is not sure enough: its confidence is 0.",
        &format!("0.999 is asked for (`threshold`, {set_at})"),
        "the model says intent = demo",
    ]);
    screen.names(&[
        "answered in",
        "< threshold 0.999",
        "failed: confidence >= threshold",
        "is taken: crm_upsert",
        "VALUE is one of demo, invoice",
    ]);
    s.follow(&screen, "task show")
        .expect(0, &["hello", "the model is not sure enough"]);
    s.follow(&screen, " approve ")
        .expect(0, &["is decided; the case is in `automated`"]);
    s.until_state(&case, "closed");
    assert_eq!(s.crm.ledger().len(), 1);
}

#[test]
fn ai_is_switched_off() {
    let s = Scene::new(Plan {
        changes: WITH_MODEL,
        files: EXAMPLES,
    });
    s.kill("model:local", "cancel", "model_misbehaves");
    let by_hand = s.case("a", BIG);
    let anew = s.case("b", &BIG.replace("ada@", "bea@"));
    for case in [&by_hand, &anew] {
        s.until_state(case, "needs_human");
        let screen = s.explain(case);
        screen.says_up(&[
            "no model was asked, stopped by the switch `model:local`, set by operator tester",
            "reason: model_misbehaves",
        ]);
        screen.names(&[
            "no answer from a model: stopped by the switch `model:local`",
            "no confidence, which is below every threshold",
        ]);
    }
    // The path works without AI: a person's word stands in for the model's.
    s.follow(&s.explain(&by_hand), " approve ")
        .expect(0, &["the case is in `automated`"]);
    s.until_state(&by_hand, "closed");
    let screen = s.explain(&anew);
    s.follow(&screen, "kill clear")
        .expect(0, &["`model:local` is cleared"]);
    s.follow(&screen, "case reopen").expect(0, &[]);
    let asked = |e: &Json| {
        e.as_array()
            .unwrap()
            .iter()
            .any(|e| e["sort"] == "ask" && e["state"] == "succeeded")
    };
    s.bench.until(
        &["effect", "list", "--case", &anew],
        "the answer of a model",
        asked,
    );
    s.until_state(&anew, "needs_human");
    s.explain(&anew).says_up(&[
        "the model is not sure enough",
        "no model was asked: stopped by the switch `model:local`, set by operator tester",
        "which operator tester cleared at",
        "operator tester had the case decided again in turn ",
    ]);
}

#[test]
fn the_same_message_came_again() {
    let s = Scene::new(Plan::default());
    let first = s.send("a", SMALL);
    let again = s.send("a", SMALL);
    let other = s.send("a", BIG);
    assert_eq!(
        (&again["status"], &other["status"]),
        (&json!("duplicate"), &json!("duplicate"))
    );
    assert_eq!(
        (&again["event_id"], &other["event_id"]),
        (&first["event_id"], &first["event_id"])
    );
    let case = first["case_id"].as_str().unwrap();
    // What the sender was told is enough to find the case.
    let screen = s.explain(again["event_id"].as_str().unwrap());
    screen.names(&[
        case,
        "it came again 2 times, 1 of them with other content under the same key; nothing more was done",
        "its idempotency header or the hash of its signed bytes",
    ]);
    screen.says_up(&[
        "no branch of the decision took the case, so its default at workflows/lead/workflow.yaml:",
        "message 1 came again with other content, which was not used",
        "because `record.size >= 10` does not hold: size is 2",
        "the other content was not kept",
    ]);
    assert_eq!(s.bench.json(&["case", "list"]).as_array().unwrap().len(), 1);
    s.follow_with(&screen, " edit ", "20")
        .expect(0, &["the case is in `automated`"]);
    s.until_state(case, "closed");
    assert_eq!(s.crm.ledger().len(), 1);
}

#[test]
fn too_late_to_be_sent() {
    let s = Scene::new(Plan {
        changes: &[("    method", "    valid_for: 1s\n    method")],
        ..Plan::default()
    });
    s.kill("connection:crm", "hold", "crm_maintenance");
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "expired");
    let screen = s.explain(&case);
    screen.says_up(&[
        "`crm_upsert` has expired: it was not sent within the 1s that it has for that",
        "because the switch `connection:crm`, set by operator tester",
        "reason: crm_maintenance",
        "held it; it is still set",
        "`valid_for` of the action at workflows/lead/workflow.yaml:",
    ]);
    assert!(screen.first().contains("kill clear"), "{}", screen.first());
    screen.names(&[
        "1. ask operator tester",
        "2. have the case decided again",
        "or, to leave it undone",
    ]);
    s.follow(&screen, "kill clear").expect(0, &["is cleared"]);
    s.follow(&screen, "case reopen")
        .expect(0, &["is in `automated`"]);
    s.until_state(&case, "closed");
    assert_eq!(s.crm.ledger().len(), 1);
}

#[test]
fn the_other_system_refused_it() {
    let s = Scene::new(Plan::default());
    s.crm.script(On::Writes, refusal(400), 1);
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "failed");
    let screen = s.explain(&case);
    screen.says_up(&[
        "`crm` rejected `crm_upsert` with status 400, so it was not done",
        "the text of the answer is not kept",
        "what was to be written: email = ada@example.com",
    ]);
    screen.names(&["known from: the other system answered"]);
    assert!(screen.first().contains("effect show"), "{}", screen.first());
    s.follow(&screen, "effect show")
        .expect(0, &["400", "throughline dead redrive"]);
    s.follow(&screen, "dead redrive")
        .expect(0, &["1 of 1 are ready to be sent again"]);
    s.until_state(&case, "closed");
    assert_eq!(s.crm.ledger().len(), 1);
}

#[test]
fn the_secret_of_a_connection_is_missing() {
    let s = Scene::new(Plan::default());
    let with_secret = format!(
        "connections:\n  crm: {{ kind: rest, base_url: \"{}\", auth: bearer, secret: \"file:crm.token\" }}\n",
        s.crm.base_url()
    );
    s.bench.write("connections.yaml", &with_secret);
    s.bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let case = s.case("a", BIG);
    let waits = |e: &Json| e[0]["hold"] == "connection" && e[0]["code"] == "no_connection";
    s.bench
        .until(&["effect", "list", "--case", &case], "the hold", waits);
    let screen = s.explain(&case);
    let file = s.bench.path().join("crm.token");
    screen.says_up(&[
        "`crm_upsert` has not been sent: the secret of connection `crm` (connections.yaml:2) cannot be read from",
        &format!("{}: there is no such file", file.display()),
        "it can wait until ",
    ]);
    screen.names(&["until `crm_upsert` goes by itself"]);
    s.follow(&screen, "effect show")
        .expect(0, &["there is no such file"]);
    assert!(s.crm.requests().is_empty(), "nothing was sent without it");
}

/// How often an effect is tried.
const ATTEMPTS: u32 = 16;

#[test]
fn it_was_tried_as_often_as_it_may_be() {
    let mut s = Scene::new(Plan::default());
    s.crm.script(On::All, refusal(503), 1_000);
    let case = s.case("a", BIG);
    let tried = |l: &Json| l[0]["attempts"].as_u64() >= Some(1) && l[0]["hold"] == "retry";
    s.bench
        .until(&["effect", "list", "--case", &case], "a try", tried);
    s.stop();
    // Between sixteen tries lie hours: the ones before the last are written as the first was, and the last is due.
    let db = rusqlite::Connection::open(s.bench.path().join("data/throughline.db")).unwrap();
    let first: u32 = db
        .query_row("SELECT MAX(attempt) FROM attempt", [], |r| r.get(0))
        .unwrap();
    for n in first + 1..ATTEMPTS {
        let again = "INSERT INTO attempt (tenant, case_id, n, attempt, at, took, knowledge, status, code, detail) \
                     SELECT tenant, case_id, n, ?1, at, took, knowledge, status, code, detail FROM attempt \
                     WHERE attempt = ?2";
        assert_eq!(db.execute(again, [n, first]).unwrap(), 1);
    }
    let due = "UPDATE effect SET attempt = ?1, due = 0 WHERE state = 1";
    assert_eq!(db.execute(due, [ATTEMPTS - 1]).unwrap(), 1);
    drop(db);
    s.start();
    s.until_effect(&case, "crm_upsert", "dead");
    let screen = s.explain(&case);
    screen.says_up(&[
        "`crm_upsert` was given up after 16 attempts: the other system says that it is not available (http_503)",
    ]);
    screen.names(&["attempts 1 to 16, from ", "each: status 503"]);
    assert!(screen.first().contains("effect show"), "{}", screen.first());
    s.follow(&screen, "effect show")
        .expect(0, &["503", "throughline dead redrive"]);
    let list = s.bench.json(&["dead", "list"]);
    assert_eq!(list[0]["state"], "dead", "{list:#}");
    s.crm.heal();
    s.follow(&screen, "dead redrive")
        .expect(0, &["1 of 1 are ready to be sent again"]);
}

#[test]
fn nobody_knows_whether_it_happened() {
    let ways = [("happened", 1), ("send-again", 2), ("drop", 1)];
    let s = Scene::new(Plan {
        changes: &BLIND,
        ..Plan::default()
    });
    for (way, writes) in ways {
        let before = s.crm.ledger().len();
        s.crm.script(On::Writes, Fault::ResetAfterApplying, 1);
        let case = s.case(way, &BIG.replace("ada@", &format!("{way}@")));
        s.until_effect(&case, "crm_upsert", "uncertain");
        let screen = s.explain(&case);
        screen.says_up(&[
            "nobody knows whether `crm_upsert` happened in `crm`: the connection broke",
            "it is not sent again by itself",
            &format!("what was to be written: email = {way}@example.com"),
        ]);
        screen.names(&["attempt 1 at", "outcome unknown, the connection broke"]);
        screen.leaves_out(&["accept"]);
        assert_eq!(
            s.crm.ledger().len() - before,
            1,
            "a blind write is not repeated by itself"
        );
        s.follow(&screen, way).expect(0, &["throughline explain"]);
        s.until_state(&case, "closed");
        assert_eq!(s.crm.ledger().len() - before, writes, "{way}");
    }
}

#[test]
fn a_table_routed_it_to_the_wrong_person() {
    let routed = [
        (
            "ai_step: none",
            "ai_step: none\n  rules:\n    - { when: \"record.size > 0\", set: { region: north } }\n  \
             tables:\n    - { file: tables/contact.csv, outputs: [contact] }",
        ),
        (
            "policy:",
            "tasks:\n  hand_off: { owner: \"${record.contact}\" }\npolicy:",
        ),
        ("action: crm_upsert", "action: [crm_upsert, hand_off]"),
    ];
    // The rows for north and south were exchanged.
    let table = (
        "workflows/lead/tables/contact.csv",
        "region,contact\nsouth,anna\nnorth,bo\n",
    );
    let teams = ("teams.yaml", "teams:\n  sales: [anna, bo]\n");
    let s = Scene::new(Plan {
        changes: &routed,
        files: &[table, teams],
    });
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "succeeded");
    let screen = s.explain(&case);
    screen.names(&[
        "table workflows/lead/tables/contact.csv:3 matched: region = north",
        "contact = bo  (from table workflows/lead/tables/contact.csv:3)",
        "region = north  (from rule workflows/lead/workflow.yaml:",
        "if somebody else should have it (now: bo, from table workflows/lead/tables/contact.csv:3)",
    ]);
    screen.says_up(&["bo must take the case over"]);
    s.follow(&screen, "case assign").expect(0, &["owner anna"]);
    assert_eq!(
        s.bench.json(&["task", "list", "--case", &case])[0]["owner"],
        "anna"
    );
    let screen = s.explain(&case);
    screen.says_up(&[
        "anna must take the case over",
        "operator tester gave it to anna at ",
        "it was first routed to bo by table workflows/lead/tables/contact.csv:3",
        "correct that place, or the rule that led to it, then `throughline deploy`",
    ]);
    s.follow(&screen, "task decide")
        .expect(0, &["the case is in `closed`"]);
}

/// One cause holds up many: it is mended once, and they are sent again together, unless it is not mended after all.
#[test]
fn many_are_refused_for_one_cause() {
    let s = Scene::new(Plan::default());
    s.crm.script(On::Writes, refusal(400), 100);
    let lead = |n: u32| format!(r#"{{"email":"lead{n}@example.com","size":12,"message":"hello"}}"#);
    let cases: Vec<String> = (0..12)
        .map(|n| s.case(&format!("k{n}"), &lead(n)))
        .collect();
    for case in &cases {
        s.until_effect(case, "crm_upsert", "failed");
    }
    let groups = s.bench.json(&["dead", "groups"]);
    assert_eq!(
        (groups.as_array().unwrap().len(), &groups[0]["effects"]),
        (1, &12.into())
    );
    let group = groups[0]["group"].as_str().unwrap().to_owned();
    s.bench.run(&["dead", "groups"]).expect(
        0,
        &[&group, "crm_upsert at crm", "did not happen", "(refused)"],
    );
    let redrive = |more: &[&str]| {
        let all = [&["dead", "redrive", "--group", &group], more].concat();
        s.bench.run(&all)
    };
    // Looking at it sends nothing.
    let asked = s.crm.requests().len();
    redrive(&["--dry-run"]).expect(
        0,
        &[
            "12 effects, with their ids and keys",
            "and 2 more",
            "nothing else in their 12 cases",
            "nothing was sent",
        ],
    );
    assert_eq!(s.crm.requests().len(), asked);
    // The cause is still there: most are left alone.
    let again = ["--reason", "mended", "--per-second", "5"];
    redrive(&again).expect(
        1,
        &[
            "TL0728",
            "5 of 5 came to grief again (refused)",
            "7 were left alone",
        ],
    );
    let refused = s.crm.requests().len();
    assert!(s.crm.ledger().is_empty());
    redrive(&["--reason", "mended", "--limit", "0"]).expect(2, &["1..=10000"]);
    s.bench
        .run(&[
            "dead", "redrive", "--group", "ffffffff", "--reason", "mended",
        ])
        .expect(
            3,
            &["nothing has the fingerprint", "throughline dead groups"],
        );

    s.crm.heal();
    let came = redrive(&["--reason", "mended", "--per-second", "100", "--json"]);
    came.expect(0, &[]);
    let came: Json = serde_json::from_str(&came.out).unwrap();
    assert_eq!(
        (&came["sent"], &came["done"], &came["left"]),
        (&12.into(), &12.into(), &0.into())
    );
    assert_eq!(s.crm.ledger().len(), 12, "each once");
    assert!(s.crm.requests().len() >= refused + 12);
    s.bench
        .run(&["dead", "groups"])
        .expect(0, &["nothing has failed"]);
    for case in &cases {
        s.until_state(case, "closed");
    }
}

/// What may have happened is sent again only where a person says that it has not.
#[test]
fn a_group_that_may_have_happened_waits_for_a_look() {
    let s = Scene::new(Plan {
        changes: &BLIND,
        ..Plan::default()
    });
    s.crm.script(On::Writes, Fault::ResetBeforeApplying, 2);
    let lead = |n: u32| format!(r#"{{"email":"lead{n}@example.com","size":12,"message":"hello"}}"#);
    let cases: Vec<String> = (0..2).map(|n| s.case(&format!("k{n}"), &lead(n))).collect();
    for case in &cases {
        s.until_effect(case, "crm_upsert", "uncertain");
    }
    let groups = s.bench.json(&["dead", "groups"]);
    assert_eq!(groups[0]["uncertain"], true, "{groups:#}");
    let group = groups[0]["group"].as_str().unwrap();
    let redrive = [
        "dead",
        "redrive",
        "--group",
        group,
        "--reason",
        "nothing there",
    ];
    s.bench
        .run(&redrive)
        .expect(1, &["TL0728", "may have happened", "--none-happened"]);
    s.bench
        .run(&[&redrive[..], &["--none-happened"]].concat())
        .expect(0, &["2 effects sent again: 2 done"]);
    for case in &cases {
        s.until_state(case, "closed");
    }
}
