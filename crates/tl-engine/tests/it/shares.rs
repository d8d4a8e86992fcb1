//! What one tenant sends, and what one vendor lets wait, is no business of the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tl_connect::client::{Auth, Connection};
use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};
use tl_engine::outward::{Connections, Outward};
use tl_engine::tenant::{Tenant, pack};
use tl_engine::worker::Worker;
use tl_kernel::effect::EffectState;
use tl_kernel::id::TenantId;
use tl_kernel::time::SECOND;
use tl_lang::{Project, bundle_digest, load};
use tl_store::contract::{EffectFilter, Row, Unit};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::flows::TO_CRM;
use crate::telemetry::scrape;
use crate::world::{START, TENANT, World, client};

/// The other tenant.
const OTHER: TenantId = TenantId(2);

/// Connections by name.
struct ToMany(BTreeMap<&'static str, Arc<Connection>>);

impl Connections for ToMany {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| format!("no connection `{name}`"))
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

/// The workflow to the CRM, over another connection.
fn over(connection: &str) -> String {
    TO_CRM.replace("connection: crm", &format!("connection: {connection}"))
}

/// Its effects are born dispatching.
fn born(yaml: &str) -> String {
    yaml.replace("valid_for: 1d", "base_version: '\"1\"'")
}

/// Deploys for a tenant that is new.
async fn deploy(w: &World, tenant: TenantId, yaml: &str) {
    let name = "workflows/w/workflow.yaml".to_owned();
    let project = Project {
        files: BTreeMap::from([(name, yaml.as_bytes().to_vec())]),
    };
    assert!(load(&project, "w").program.is_some(), "{yaml}");
    let mut unit = Unit::new(tenant);
    unit.rows.push(Row::Tenant {
        name: format!("tenant {}", tenant.0),
        at: START,
    });
    unit.rows.push(Row::Deploy {
        number: 1,
        workflow: "w".into(),
        version: "1".into(),
        digest: bundle_digest(&project, "w"),
        files: pack(&project),
        at: START,
    });
    w.desk.store().commit(unit).await.unwrap();
    w.desk.forget_views();
}

/// So many leads of a tenant, each of somebody else.
async fn leads(w: &World, tenant: TenantId, count: usize) {
    for n in 0..count {
        let json = format!(r#"{{"email":"t{}-{n}@x.example","size":12}}"#, tenant.0);
        let mut message = w.message(&format!("{} {n}", tenant.0), &json);
        message.tenant = tenant;
        w.desk.admit(message).await.unwrap();
    }
}

async fn in_state(w: &World, tenant: TenantId, state: EffectState) -> usize {
    let filter = EffectFilter {
        tenant: Some(tenant),
        limit: 1_000,
        ..EffectFilter::default()
    };
    let all = w.desk.store().effects(filter).await.unwrap();
    all.iter().filter(|e| e.state == state).count()
}

/// One of a hundred tenants sends a hundred times as much as any other, and before them.
#[tokio::test]
async fn a_noisy_tenant_waits_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let w = World::bare(dir.path()).await;
    for tenant in 1..=100 {
        deploy(&w, TenantId(tenant), TO_CRM).await;
    }
    leads(&w, TenantId(1), 100).await;
    w.clock.advance(SECOND);
    for tenant in 2..=100 {
        leads(&w, TenantId(tenant), 1).await;
    }
    w.worker.round().await.unwrap();
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for applied in w.crm.ledger().iter().take(100) {
        let tenant = applied.path.split(['/', '-']).nth(2).unwrap();
        *done.entry(tenant.to_owned()).or_default() += 1;
    }
    assert_eq!(done.remove("t1"), Some(1), "of the first hundred");
    assert_eq!(done.len(), 99, "every other has had its turn: {done:?}");
}

#[tokio::test]
async fn a_share_holds_for_what_is_born_dispatching() {
    let dir = tempfile::tempdir().unwrap();
    let w = World::bare(dir.path()).await;
    // Of eight slots, by tenants in the order in which they come: born dispatching, and waiting.
    let table = [(1, 4, 4), (2, 2, 6), (3, 1, 7), (4, 1, 7), (5, 0, 8)];
    for (tenant, sent, waiting) in table {
        let tenant = TenantId(tenant);
        deploy(&w, tenant, &born(TO_CRM)).await;
        leads(&w, tenant, 8).await;
        let born = in_state(&w, tenant, EffectState::Dispatching).await;
        let ready = in_state(&w, tenant, EffectState::Ready).await;
        assert_eq!((born, ready), (sent, waiting), "{tenant:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_hangs_keeps_nobody_else_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::bare(dir.path()).await;
    let slow = Crm::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    slow.script(On::All, Fault::Delay(Duration::from_secs(600)), u32::MAX);
    let to = |name, crm: &Crm| {
        let connection = Connection::new(name, &crm.base_url(), &Auth::None, true);
        (name, Arc::new(connection.unwrap()))
    };
    let outward = Outward {
        client: client(),
        connections: Arc::new(ToMany(
            [to("slow", &slow), to("crm", &w.crm)].into_iter().collect(),
        )),
    };
    w.worker = Worker::new(w.desk.clone(), outward);
    deploy(&w, TENANT, &over("slow")).await;
    deploy(&w, OTHER, TO_CRM).await;
    leads(&w, TENANT, 20).await;
    let (_handoff, queue) = mpsc::unbounded_channel();
    let run = tokio::spawn(w.worker.clone().run(queue, CancellationToken::new()));
    let end = Instant::now() + Duration::from_secs(60);
    while slow.requests().len() < 4 {
        assert!(Instant::now() < end, "{} began", slow.requests().len());
        tokio::task::yield_now().await;
    }
    leads(&w, OTHER, 20).await;
    while w.crm.ledger().len() < 20 {
        assert!(Instant::now() < end, "{} are done", w.crm.ledger().len());
        tokio::task::yield_now().await;
    }
    // The other tenant's door stays open.
    w.clock.advance(11 * SECOND);
    let waits =
        "throughline_connection_waiting{tenant=\"1\",connection=\"slow\",why=\"slot\"} 16\n";
    while w.desk.backlog_age(TENANT) != 11 * SECOND || !scrape(&w).contains(waits) {
        assert!(Instant::now() < end, "{}", scrape(&w));
        w.desk.nudge();
        tokio::task::yield_now().await;
    }
    assert_eq!(w.desk.backlog_age(OTHER), 0);
    assert_eq!(slow.requests().len(), 4, "half of the slots, and no more");
    run.abort();
}
