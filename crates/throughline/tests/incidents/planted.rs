//! The ten incidents.
use serde_json::json;
use tl_connect::fake::crm::{Fault, On};
use super::scene::{LEAD, Plan, Scene};

const BIG: &str = r#"{"email":"ada@example.com","name":"Ada","size":12,"message":"hello"}"#;
const SMALL: &str = r#"{"email":"ada@example.com","name":"Ada","size":2,"message":"hello"}"#;

#[test]
fn x1_never() {
    let s = Scene::new(Plan { changes: &[("crm_upsert: auto", "crm_upsert: { auto: true, never: \"record.size > 1000\" }")], ..Plan::default() });
    let case = s.case("a", r#"{"email":"ada@example.com","name":"Ada","size":5000,"message":"hello"}"#);
    s.until_state(&case, "needs_human");
    println!("X1\n{}", s.explain(&case).text);
}
#[test]
fn x2_held() {
    let s = Scene::new(Plan::default());
    s.bench.run(&["kill", "set", "connection:crm", "--reason", "crm_maintenance"]).expect(0, &[]);
    let case = s.case("a", BIG);
    s.bench.until(&["effect", "list", "--case", &case], "hold", |l| l[0]["hold"] == "kill:connection:crm");
    println!("X2\n{}", s.explain(&case).text);
}
#[test]
fn x3_conflict() {
    let s = Scene::new(Plan::default());
    let case = s.case("a", BIG);
    s.until_state(&case, "closed");
    let edit = json!({"name": "Countess Ada"});
    s.crm.script(On::Writes, Fault::EditedFirst(edit.as_object().unwrap().clone()), 1);
    s.case("b", r#"{"email":"ada@example.com","name":"Ada L.","size":20,"message":"again"}"#);
    s.bench.until(&["case", "show", &case], "closed again", |c| c["state"] == "closed" && c["turns"].as_u64() > Some(5));
    println!("X3a\n{}", s.explain(&case).text);
}
#[test]
fn x3b_conflicts() {
    let s = Scene::new(Plan::default());
    let edit = json!({"name": "Countess Ada"});
    s.crm.script(On::Writes, Fault::EditedFirst(edit.as_object().unwrap().clone()), 20);
    let case = s.case("a", BIG);
    s.until_state(&case, "needs_human");
    println!("X3b\n{}\n{:?}", s.explain(&case).text, s.crm.record(LEAD));
}
#[test]
fn x4_unsure() {
    let s = Scene::new(Plan { changes: &[
        ("  ai_step: none", "  ai_step: { classify: { field: intent, examples: examples/intent.csv } }"),
        ("    region:", "    intent:  { type: enum, values: [demo, other], from: ai }\n    region:"),
        ("record.size >= 10\"", "record.size >= 10 && confidence >= threshold\""),
    ], files: &[("workflows/lead/examples/intent.csv", "text,label\nplease show us a demo,demo\nwe want a demo next week,demo\na live demo would be nice,demo\nsomething else entirely,other\nwe only say hello,other\nthanks for the invoice,other\n")] });
    let case = s.case("a", BIG);
    s.until_state(&case, "needs_human");
    println!("X4\n{}", s.explain(&case).text);
}
#[test]
fn x5_ai_off() {
    let s = Scene::new(Plan { changes: &[
        ("  ai_step: none", "  ai_step: { classify: { field: intent, examples: examples/intent.csv } }"),
        ("    region:", "    intent:  { type: enum, values: [demo, other], from: ai }\n    region:"),
        ("record.size >= 10\"", "record.size >= 10 && confidence >= threshold\""),
    ], files: &[("workflows/lead/examples/intent.csv", "text,label\nplease show us a demo,demo\nwe want a demo next week,demo\na live demo would be nice,demo\nsomething else entirely,other\nwe only say hello,other\nthanks for the invoice,other\n")] });
    s.bench.run(&["kill", "set", "model:local", "--mode", "cancel", "--reason", "model_misbehaves"]).expect(0, &[]);
    let case = s.case("a", BIG);
    s.until_state(&case, "needs_human");
    println!("X5\n{}", s.explain(&case).text);
}
#[test]
fn x6_duplicate() {
    let s = Scene::new(Plan::default());
    let case = s.case("a", SMALL);
    let again = s.send("a", SMALL);
    println!("X6 {again}\n{}", s.explain(&case).text);
}
#[test]
fn x7_expired() {
    let s = Scene::new(Plan { changes: &[("    idempotency_header", "    valid_for: 1s\n    idempotency_header")], ..Plan::default() });
    s.bench.run(&["kill", "set", "connection:crm", "--reason", "crm_maintenance"]).expect(0, &[]);
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "expired");
    println!("X7\n{}", s.explain(&case).text);
}
#[test]
fn x8_failed() {
    let s = Scene::new(Plan::default());
    s.crm.script(On::Writes, Fault::Status { status: 400, retry_after: None }, 1);
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "failed");
    println!("X8\n{}", s.explain(&case).text);
}
#[test]
fn x9_uncertain() {
    let s = Scene::new(Plan { changes: &[("method: PUT", "method: POST"), ("/leads/${record.email}", "/leads"), ("optimistic_lock: If-Match", "optimistic_lock: last_writer_wins"), ("    idempotency_header: idempotency-key\n", "")], ..Plan::default() });
    s.crm.script(On::Writes, Fault::ResetAfterApplying, 1);
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "uncertain");
    println!("X9\n{}", s.explain(&case).text);
}
#[test]
fn x10_route() {
    let s = Scene::new(Plan { changes: &[
        ("  ai_step: none", "  ai_step: none\n  rules:\n    - { when: \"record.size > 0\", set: { region: north } }\n  tables:\n    - { file: tables/contact.csv, outputs: [contact] }"),
        ("policy:", "tasks:\n  hand_off: { owner: \"${record.contact}\", sla: 1h }\npolicy:"),
        ("action: crm_upsert", "action: [crm_upsert, hand_off]"),
    ], files: &[("workflows/lead/tables/contact.csv", "region,contact\nsouth,bo\nnorth,bo\n"), ("teams.yaml", "teams:\n  sales: [anna, bo]\n")] });
    let case = s.case("a", BIG);
    s.until_effect(&case, "crm_upsert", "succeeded");
    println!("X10\n{}", s.explain(&case).text);
}
