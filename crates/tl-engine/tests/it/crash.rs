//! The crash sweep: the engine is stopped before and after every commit and every send, one point at a time,
//! opened again on the same directory, and must finish the work with nothing lost and nothing doubled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};
use tl_engine::admit::Admitted;
use tl_engine::clock::ManualClock;
use tl_engine::desk::DeskError;
use tl_engine::tap::{Point, Stopped, Tap};
use tl_kernel::effect::EffectState;
use tl_kernel::id::CaseId;
use tl_kernel::turn::EffectKind;
use tl_store::contract::CaseFilter;

use crate::flows::TO_CRM;
use crate::world::{Plan, START, TENANT, World};

/// Counts ports, and stops the engine at one of them for good.
struct StopAt {
    left: AtomicI64,
    passed: AtomicU64,
}

impl StopAt {
    fn new(point: i64) -> Arc<StopAt> {
        Arc::new(StopAt {
            left: AtomicI64::new(point),
            passed: AtomicU64::new(0),
        })
    }
}

impl Tap for StopAt {
    fn at(&self, _: Point) -> Result<(), Stopped> {
        self.passed.fetch_add(1, Ordering::SeqCst);
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            Err(Stopped)
        } else {
            Ok(())
        }
    }
}

/// One way through the engine.
struct Scenario {
    name: &'static str,
    yaml: String,
    files: &'static [(&'static str, &'static str)],
    /// What the CRM does to the first requests.
    fault: Option<Fault>,
    /// Applied writes per record in the end; `None`: the CRM is not part of it.
    writes: Option<u64>,
    /// The records are there already, at their first version.
    existing: bool,
    /// Outbox messages per case in the end.
    messages: usize,
    slots: usize,
}

const MESSAGES: [(&str, &str); 3] = [
    (
        "a",
        r#"{"email":"ada@x.example","name":"Ada","size":12,"text":"please show me a demo"}"#,
    ),
    (
        "b",
        r#"{"email":"bob@x.example","name":"Bob","size":30,"text":"what does it cost per month"}"#,
    ),
    (
        "c",
        r#"{"email":"cyd@x.example","name":"Cyd","size":11,"text":"can you show us how it works"}"#,
    ),
];

pub const WITH_AI: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  fields:
    email:  { type: email, required: true, use: control }
    text:   { type: text, untrusted: true }
    intent: { type: enum, values: [demo, pricing], from: ai }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api, text: event.body.text } }
worker:
  ai_step: { optional: true, when_state: triaged, modes: [classify], output: { confidence, structured_fields }, classify: { field: intent, model: local, examples: examples/intent.csv } }
decision:
  threshold: 0.01
  branches:
    - { condition: "confidence >= threshold && policy_allows", action: [crm_upsert, ack] }
    - { condition: needs_human, action: human_queue }
    - default: deny
policy:
  crm_upsert: auto
  ack: { auto: "record.intent == 'demo' || record.intent == 'pricing'", limit: 1 per contact per day }
side_effects:
  crm: { api: records, key: "${record.email}" }
  messaging:
    ack: { channel: email, via: outbox, to: record.email, subject: "Hello", template: templates/ack.md, check: verified_sender }
"#;

pub const EXAMPLES: (&str, &str) = (
    "examples/intent.csv",
    "text,label\nshow me a demo,demo\ncan I see how it works,demo\nplease demonstrate it,demo\nwhat is the price,pricing\nhow much does it cost,pricing\nsend me a quote per month,pricing\n",
);

const DECLARED: &str = "version declared, born dispatching";

fn scenarios() -> Vec<Scenario> {
    let crm = |name, yaml: String, fault, writes, slots| Scenario {
        name,
        yaml,
        files: &[],
        fault,
        writes: Some(writes),
        existing: name == DECLARED,
        messages: 0,
        slots,
    };
    let declared = TO_CRM.replace("valid_for: 1d", "base_version: '\"1\"'");
    vec![
        crm("conditional write, read first", TO_CRM.into(), None, 1, 8),
        crm("without slots", TO_CRM.into(), None, 1, 0),
        crm(DECLARED, declared, None, 1, 8),
        crm(
            "without a key",
            TO_CRM.replace("    idempotency_header: idempotency-key\n", ""),
            None,
            1,
            8,
        ),
        crm(
            "the answer is lost after applying",
            TO_CRM.into(),
            Some(Fault::ResetAfterApplying),
            1,
            8,
        ),
        crm(
            "the CRM fails first",
            TO_CRM.into(),
            Some(Fault::Status {
                status: 503,
                retry_after: None,
            }),
            1,
            8,
        ),
        Scenario {
            name: "model, record store and outbox",
            yaml: WITH_AI.into(),
            files: &[EXAMPLES, ("templates/ack.md", "Hello ${record.email}")],
            fault: None,
            writes: None,
            existing: false,
            messages: 1,
            slots: 8,
        },
    ]
}

/// Sends what was not acknowledged, works, and notes what was acknowledged.
async fn run(w: &mut World, acked: &mut BTreeMap<String, CaseId>) -> Result<(), DeskError> {
    for (key, json) in MESSAGES {
        if acked.contains_key(key) {
            continue;
        }
        match w.send(key, json).await? {
            Admitted::Accepted {
                case: Some(case), ..
            } => acked.insert(key.into(), case),
            Admitted::Accepted { case: None, .. } => None,
            Admitted::Duplicate { event, .. } => acked.insert(key.into(), CaseId(event.0)),
        };
    }
    w.settle_for(6).await
}

async fn open(
    dir: &std::path::Path,
    s: &Scenario,
    crm: &Arc<Crm>,
    clock: &Arc<ManualClock>,
    tap: Arc<StopAt>,
) -> World {
    World::open(Plan {
        dir,
        clock: Arc::clone(clock),
        crm: Arc::clone(crm),
        tap: Some(tap),
        slots: s.slots.max(1),
    })
}

/// Runs a scenario with a crash at one port; returns how many ports it passed.
async fn crash_at(s: &Scenario, point: i64) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    let crm = Arc::new(
        Crm::start(([127, 0, 0, 1], 0).into())
            .await
            .expect("the CRM starts"),
    );
    if let Some(fault) = &s.fault {
        crm.script(On::Writes, fault.clone(), 2);
    }
    for name in ["ada", "bob", "cyd"].iter().filter(|_| s.existing) {
        crm.edit(
            &format!("/leads/{name}%40x.example"),
            serde_json::Map::new(),
        );
    }
    let clock = Arc::new(ManualClock::at(START));
    let tap = StopAt::new(point);
    let mut w = open(dir.path(), s, &crm, &clock, Arc::clone(&tap)).await;
    w.deploy_files(&s.yaml, s.files).await;
    let mut acked = BTreeMap::new();
    let first = run(&mut w, &mut acked).await;
    let passed = tap.passed.load(Ordering::SeqCst);
    if point < i64::MAX {
        assert!(
            matches!(first, Err(DeskError::Stopped(_))),
            "{}: not stopped at {point}",
            s.name
        );
    } else {
        first.expect("a run without a crash");
    }
    drop(w);
    let mut w = open(dir.path(), s, &crm, &clock, StopAt::new(i64::MAX)).await;
    run(&mut w, &mut acked)
        .await
        .unwrap_or_else(|e| panic!("{} after a crash at {point}: {e}", s.name));
    check(&w, s, point, &acked).await;
    passed
}

/// I1, I2, I6, I7 and I8 of one finished run.
async fn check(w: &World, s: &Scenario, point: i64, acked: &BTreeMap<String, CaseId>) {
    let at = format!("{} stopped at port {point}", s.name);
    let all = CaseFilter {
        limit: 100,
        ..CaseFilter::default()
    };
    let cases = w.desk.store().cases(all).await.expect("cases");
    assert_eq!(cases.len(), MESSAGES.len(), "{at}: one case per message");
    for (key, case) in acked {
        assert!(
            cases.iter().any(|c| c.case == *case),
            "{at}: acknowledged {key} is lost"
        );
        for e in w.effects(*case).await {
            let task = w
                .open_tasks(*case)
                .await
                .iter()
                .any(|t| t.effect == Some(e.effect.n));
            let at_rest = e.state.is_settled() || (e.state == EffectState::Uncertain && task);
            assert!(
                at_rest,
                "{at}: effect {} of {key} is {}",
                e.effect.n,
                e.state.word()
            );
            if e.kind == EffectKind::Effect {
                assert_eq!(
                    e.state,
                    EffectState::Succeeded,
                    "{at}: {} {}",
                    e.action,
                    e.code
                );
            }
        }
        assert_eq!(w.state(*case).await, "closed", "{at}: {key}");
        let outbox = w
            .desk
            .store()
            .outbox(TENANT, Some(*case), 10)
            .await
            .expect("outbox");
        assert_eq!(outbox.len(), s.messages, "{at}: messages of {key}");
    }
    let Some(writes) = s.writes else { return };
    let mut per_record: BTreeMap<String, u64> = BTreeMap::new();
    for applied in w.crm.ledger() {
        *per_record.entry(applied.path).or_default() += 1;
    }
    assert_eq!(per_record.len(), MESSAGES.len(), "{at}: {per_record:?}");
    assert!(
        per_record.values().all(|n| *n == writes),
        "{at}: {per_record:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_port_of_every_scenario() {
    let mut points = 0;
    for s in scenarios() {
        let ports = crash_at(&s, i64::MAX).await;
        assert!(ports >= 15, "{}: only {ports} ports", s.name);
        for point in 0..ports as i64 {
            crash_at(&s, point).await;
        }
        println!("{}: {ports} ports", s.name);
        points += ports;
    }
    // A sweep that enumerates nothing proves nothing.
    assert!(points >= 150, "only {points} points");
    println!("{points} crash points, 0 violations");
}
