//! Everything that a person can see of an installation, as lines of text: what the doors answered, the log, cases
//! with their owners, clocks and journals, tasks, effects, the outbox, the record store, the CRM's and the model's
//! side, and the metrics.

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use http::Request;
use tl_kernel::case::Case;
use tl_kernel::journal::open;
use tl_kernel::time::duration_text;
use tl_kernel::value::Value;
use tl_store::contract::{CaseFilter, EffectFilter, EffectRow, TaskFilter};
use tower::ServiceExt;

use crate::bench::{Bench, START, TENANT};

/// Largest page that is read.
const PAGE: usize = 1 << 20;

/// An instant as its distance to the start.
fn after(at: i64) -> String {
    match at {
        START => "+0".into(),
        i64::MAX => "never".into(),
        at => format!("+{}", duration_text(at - START)),
    }
}

pub async fn seen(bench: &Bench) -> String {
    let mut out = bench.log.text();
    let store = bench.desk.store();
    for b in store.bundles(TENANT).await.expect("bundles") {
        let _ = writeln!(out, "workflow {} version {}", b.workflow, b.version);
    }
    let filter = CaseFilter {
        tenant: Some(TENANT),
        limit: 50,
        ..CaseFilter::default()
    };
    let mut cases = store.cases(filter).await.expect("cases");
    cases.reverse();
    let _ = writeln!(out, "{} cases", cases.len());
    for row in cases {
        let case = bench.desk.load(TENANT, row.case).await.expect("the case");
        case_seen(bench, &case, &mut out).await;
    }
    for m in store.outbox(TENANT, None, 50).await.expect("the outbox") {
        let _ = writeln!(
            out,
            "outbox {} to {}: {}: {}",
            m.channel, m.to, m.subject, m.text
        );
    }
    for r in bench.crm.requests() {
        let head = ["if-match", "if-none-match", "idempotency-key"]
            .iter()
            .filter_map(|name| Some(format!("{name}={} ", r.header(name)?)));
        let head: String = head.collect();
        let body = String::from_utf8_lossy(&r.body);
        let _ = writeln!(out, "crm {} {} {head}{body}", r.method, r.target);
    }
    for question in bench.model.asked() {
        let _ = writeln!(out, "model asked {}", question["messages"]);
    }
    let metrics = Request::get("/metrics").body(Body::empty());
    let Ok(answer) = bench
        .router
        .clone()
        .oneshot(metrics.expect("a request"))
        .await;
    let page = to_bytes(answer.into_body(), PAGE).await.expect("a page");
    let page = String::from_utf8_lossy(&page).into_owned();
    for line in page
        .lines()
        .filter(|l| l.contains("workflow=\"w\"") && !l.contains("_bucket"))
    {
        let _ = writeln!(out, "series {line}");
    }
    out
}

async fn case_seen(bench: &Bench, case: &Case, out: &mut String) {
    let store = bench.desk.store();
    let bundle = bench.desk.bundle(TENANT, case.definition).await;
    let program = &bundle.expect("the bundle").program;
    let due = case.due.map_or("none".into(), after);
    let _ = writeln!(
        out,
        "case in {}, owner {}, reason {}, due {due}, correlation {}",
        program.state_name(case.state),
        case.owner,
        case.reason,
        case.correlation
    );
    for (name, field) in &case.record {
        let _ = writeln!(
            out,
            "field {name} = {:?} {:?} {:?}",
            field.value, field.label, field.source
        );
    }
    for (kind, at) in case.timers.values() {
        let _ = writeln!(out, "timer {kind:?} at {}", after(*at));
    }
    for sealed in store.journal(TENANT, case.id).await.expect("the journal") {
        let (head, _) = open(&sealed).expect("a turn");
        for entry in &head.entries {
            let _ = writeln!(out, "journal {entry:?}");
        }
    }
    let filter = TaskFilter {
        tenant: Some(TENANT),
        case: Some(case.id),
        closed: true,
        limit: 50,
        ..TaskFilter::default()
    };
    for t in store.tasks(filter).await.expect("tasks") {
        let due = t.due.map_or("none".into(), after);
        let _ = writeln!(
            out,
            "task {} for {}, reason {}, due {due}",
            t.kind, t.owner, t.reason
        );
    }
    let filter = EffectFilter {
        tenant: Some(TENANT),
        case: Some(case.id),
        limit: 50,
        ..EffectFilter::default()
    };
    for e in store.effects(filter).await.expect("effects") {
        effect_seen(bench, &e, out).await;
    }
}

async fn effect_seen(bench: &Bench, e: &EffectRow, out: &mut String) {
    let args = minicbor::decode::<Value>(&e.args).unwrap_or(Value::Null);
    let _ = writeln!(
        out,
        "effect {} {:?} {:?} via `{}`, hold `{}`, code `{}`, valid until {}, {args}",
        e.action,
        e.class,
        e.state,
        e.connection,
        e.hold,
        e.code,
        after(e.valid_until),
    );
    let text = |name: &str| args.at(&[name]).map(Value::to_string);
    if let (Some(kind), Some(key)) = (text("kind"), text("key")) {
        let stored = bench.desk.store().record(TENANT, kind, key).await;
        if let Some(r) = stored.expect("the record store") {
            let body = String::from_utf8_lossy(&r.body).into_owned();
            let _ = writeln!(out, "stored {}/{} {body}", r.kind, r.id);
        }
    }
}
