//! The hot path without the network: messages of the golden path are admitted, decided and written as records of the
//! built-in store, one after the other on one thread, so that the same build needs nearly the same instructions every
//! time. `scripts/instructions` counts them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tl_connect::client::{Client, Connection, Options};
use tl_engine::admit::{Admitted, Message};
use tl_engine::clock::{Clock, ManualClock};
use tl_engine::desk::{Desk, Setting};
use tl_engine::outward::{Connections, Outward};
use tl_engine::tenant::{Tenant, pack};
use tl_engine::worker::Worker;
use tl_kernel::digest::{keyed, sha256};
use tl_kernel::id::{EventId, TenantId};
use tl_kernel::payload::parse_json;
use tl_kernel::program::canonical;
use tl_kernel::value::Value;
use tl_lang::{Project, bundle_digest, load};
use tl_store::contract::{Row, Unit};
use tl_store::{Location, Store};

const TENANT: TenantId = TenantId(1);
const START: i64 = 1_795_000_000_000_000;
const LEADS: &str = include_str!("../../../examples/golden_path/workflows/leads/workflow.yaml");
/// How the example writes to its CRM; here the built-in record store takes its place.
const OVER_HTTP: &[&str] = &[
    "connection:",
    "method:",
    "path:",
    "optimistic_lock:",
    "# Every lead is new",
    "base_version:",
    "idempotency_header:",
];

/// Records of the built-in store need no connection.
struct Nowhere;

impl Connections for Nowhere {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        Err(format!("no connection `{name}`"))
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

fn main() -> anyhow::Result<()> {
    let count: u64 = std::env::args().nth(1).context("how many?")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(count))
}

async fn run(count: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("store.db");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START));
    let (desk, _handoff) = Desk::new(Setting {
        store: Store::inline(
            &Location::from(Path::new(&path)),
            &tl_store::Options::default(),
        )?,
        clock,
        key: [7; 32],
        slots: 8,
        tap: None,
    });
    let outward = Outward {
        client: Client::new(&Options::default())?,
        connections: Arc::new(Nowhere),
    };
    let worker = Worker::new(desk.clone(), outward);
    deploy(&desk).await?;
    for n in 0..count {
        let admitted = desk.admit(message(n)?).await?;
        ensure!(
            matches!(admitted, Admitted::Accepted { .. }),
            "{admitted:?}"
        );
        while worker.round().await? > 0 {}
    }
    let stats = desk.store().stats(START).await?;
    let closed: u64 = stats
        .cases
        .iter()
        .filter(|c| c.2 == canonical::CLOSED)
        .map(|c| c.3)
        .sum();
    ensure!(
        closed == count,
        "{closed} of {count} cases are closed: {:?}",
        stats.cases
    );
    Ok(())
}

fn workflow() -> String {
    let kept = LEADS
        .lines()
        .filter(|l| !OVER_HTTP.iter().any(|o| l.trim_start().starts_with(o)));
    let text: Vec<&str> = kept.collect();
    text.join("\n").replace(
        "api: rest",
        "api: records\n    key: \"${record.external_id}\"",
    )
}

async fn deploy(desk: &Desk) -> anyhow::Result<()> {
    let name = "workflows/leads/workflow.yaml".to_owned();
    let project = Project {
        files: BTreeMap::from([(name, workflow().into_bytes())]),
    };
    let loaded = load(&project, "leads");
    ensure!(loaded.program.is_some(), "{:?}", loaded.diags);
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Tenant {
        name: "default".into(),
        at: START,
    });
    unit.rows.push(Row::Deploy {
        number: 1,
        workflow: "leads".into(),
        version: "1".into(),
        digest: bundle_digest(&project, "leads"),
        files: pack(&project),
        at: START,
    });
    desk.store().commit(unit).await?;
    desk.forget_views();
    Ok(())
}

fn message(n: u64) -> anyhow::Result<Message> {
    let digest = sha256(&[b"lead", &n.to_be_bytes()]);
    let id = EventId(digest[..16].try_into()?);
    let key: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
    let json = format!(
        r#"{{"external_id":"{key}","correlation_id":"corr-{n}","source":"web_form","contact":{{"name":"Mira Lindqvist","email":"Mira.Lindqvist.{n}@Northline.Example","phone":"+46 8 123 456 78","company":"Northline Cold Chain AB"}},"lead":{{"intent":"demo","employees":{},"budget":{},"territory":"nordics","message":"Our planners move eighty trailers between four depots and still do it with spreadsheets and the phone."}}}}"#,
        n * 37 % 450,
        n * 911 % 48_000
    );
    let text = |t: &str| Value::text(t.to_owned());
    let event = BTreeMap::from([
        ("id".to_owned(), text(&id.to_string())),
        ("source".to_owned(), text("webhook")),
        ("endpoint".to_owned(), text("leads")),
        ("channel".to_owned(), text("webhook")),
        ("received_at".to_owned(), Value::Time(START)),
        ("body".to_owned(), parse_json(json.as_bytes())?),
    ]);
    Ok(Message {
        tenant: TENANT,
        workflow: "leads".into(),
        endpoint: "leads".into(),
        event: Value::Record(event),
        id,
        seed: digest[16..].try_into()?,
        keys: vec![keyed(b"dedupe", &[&digest])],
        key_source: "idempotency_header".into(),
        expires: i64::MAX,
        kid: "k1".into(),
        received_at: START,
        content_type: "application/json".into(),
        payload: json.into_bytes(),
        answer: None,
        pending: false,
    })
}
