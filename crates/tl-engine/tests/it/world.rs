//! A small world around the engine: a store in a temporary directory, a clock that stands still until it is
//! moved, a CRM on loopback, and doors that sign nothing because admission comes after the signature.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::fake::Crm;
use tl_engine::admit::{Admitted, Message};
use tl_engine::clock::{Clock, ManualClock};
use tl_engine::desk::{Desk, DeskError, Handoff, Setting};
use tl_engine::outward::{Connections, Outward};
use tl_engine::schedules::begin;
use tl_engine::tap::Tap;
use tl_engine::tenant::{Tenant, pack};
use tl_engine::worker::Worker;
use tl_kernel::case::Case;
use tl_kernel::digest::{keyed, sha256};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::payload::parse_json;
use tl_kernel::value::Value;
use tl_lang::{Project, bundle_digest, load, render};
use tl_store::contract::{EffectFilter, EffectRow, Row, TaskFilter, TaskRow, Unit};
use tl_store::{Location, Store};
use tokio::sync::mpsc;

pub const TENANT: TenantId = TenantId(1);
pub const START: i64 = 1_795_000_000_000_000;

/// The one connection of these tests: the CRM.
struct ToCrm(Arc<Connection>);

impl Connections for ToCrm {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        if name == "crm" {
            Ok(Arc::clone(&self.0))
        } else {
            Err(format!("no connection `{name}`"))
        }
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

pub struct World {
    pub desk: Desk,
    pub worker: Worker,
    pub clock: Arc<ManualClock>,
    pub crm: Arc<Crm>,
    queue: mpsc::UnboundedReceiver<Handoff>,
}

/// What a world is built from.
pub struct Plan<'a> {
    pub dir: &'a Path,
    pub clock: Arc<ManualClock>,
    pub crm: Arc<Crm>,
    /// Worlds that follow each other share one: it reads the certificates of the machine.
    pub client: Client,
    pub tap: Option<Arc<dyn Tap>>,
    /// Send slots; 0: nothing is born dispatching and every effect waits for the worker.
    pub slots: usize,
    /// The store runs on the threads that ask it, and has none of its own.
    pub inline: bool,
}

/// The way out.
pub fn client() -> Client {
    Client::new(&Options::default()).expect("a client")
}

impl World {
    /// A fresh world with one deployed workflow.
    pub async fn new(dir: &Path, workflow: &str) -> World {
        let world = World::bare(dir).await;
        world.deploy(workflow).await;
        world
    }

    /// A fresh world without a workflow.
    pub async fn bare(dir: &Path) -> World {
        let plan = Plan {
            dir,
            clock: Arc::new(ManualClock::at(START)),
            crm: Arc::new(
                Crm::start(([127, 0, 0, 1], 0).into())
                    .await
                    .expect("the CRM starts"),
            ),
            client: client(),
            tap: None,
            slots: 8,
            inline: false,
        };
        World::open(plan)
    }

    /// Opens (or opens again) the engine on a directory.
    pub fn open(plan: Plan<'_>) -> World {
        let clock: Arc<dyn Clock> = plan.clock.clone();
        let store = World::store(&plan);
        World::over(plan, store, clock)
    }

    /// The store of a plan.
    pub fn store(plan: &Plan<'_>) -> Store {
        let (path, options) = (plan.dir.join("store.db"), Default::default());
        let store = match plan.inline {
            true => Store::inline(&Location::from(path.as_path()), &options),
            false => Store::open(&path, &options),
        };
        store.expect("the store opens")
    }

    /// The engine with another clock than the manual one.
    pub fn over(plan: Plan<'_>, store: Store, clock: Arc<dyn Clock>) -> World {
        let (desk, queue) = Desk::new(Setting {
            store,
            clock,
            key: [7; 32],
            slots: plan.slots,
            tap: plan.tap,
        });
        let connection =
            Connection::new("crm", &plan.crm.base_url(), &Auth::None, true).expect("a connection");
        let outward = Outward {
            client: plan.client,
            connections: Arc::new(ToCrm(Arc::new(connection))),
        };
        World {
            worker: Worker::new(desk.clone(), outward),
            desk,
            clock: plan.clock,
            crm: plan.crm,
            queue,
        }
    }

    pub async fn deploy(&self, yaml: &str) -> u32 {
        self.deploy_files(yaml, &[]).await
    }

    /// Deploys a workflow named `w` with further files below its directory, or from the project's root with a `/`.
    pub async fn deploy_files(&self, yaml: &str, more: &[(&str, &str)]) -> u32 {
        let mut files = BTreeMap::from([(
            "workflows/w/workflow.yaml".to_owned(),
            yaml.as_bytes().to_vec(),
        )]);
        for (path, text) in more {
            let path = match path.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None => format!("workflows/w/{path}"),
            };
            files.insert(path, text.as_bytes().to_vec());
        }
        let project = Project { files };
        let loaded = load(&project, "w");
        let text = render(&loaded.diags, |f| project.text(f), false);
        assert!(loaded.program.is_some(), "{text}");
        let known = self.desk.store().tenants().await.expect("tenants");
        let bundles = self.desk.store().bundles(TENANT).await.expect("bundles");
        let number = bundles.iter().map(|b| b.number).max().unwrap_or(0) + 1;
        let mut unit = Unit::new(TENANT);
        if known.is_empty() {
            unit.rows.push(Row::Tenant {
                name: "default".into(),
                at: START,
            });
        }
        unit.rows.push(Row::Deploy {
            number,
            workflow: "w".into(),
            version: format!("{number}"),
            digest: bundle_digest(&project, "w"),
            files: pack(&project),
            at: START,
        });
        let view = self.desk.reload(TENANT).await.ok();
        let old = view.as_ref().and_then(|v| v.current.get("w"));
        let rows = loaded.program.iter();
        let rows = rows.flat_map(|p| begin(old.map(|(_, b)| &b.program), p, self.desk.now()));
        unit.rows.extend(rows);
        self.desk.store().commit(unit).await.expect("deployed");
        self.desk.forget_views();
        number
    }

    /// Sets or clears a switch, as `kill` does.
    pub async fn switch(&self, scope: &str, mode: Option<&str>) {
        let mut unit = Unit::new(TENANT);
        unit.rows.push(Row::Switch {
            scope: scope.into(),
            mode: mode.map(str::to_owned),
            by: "test".into(),
            reason: "test".into(),
            at: self.desk.now(),
        });
        self.desk.store().commit(unit).await.expect("switched");
    }

    /// Admits a JSON message with a delivery key, at endpoint `api`.
    pub async fn send(&self, key: &str, json: &str) -> Result<Admitted, DeskError> {
        self.desk.admit(self.message(key, json)).await
    }

    /// A JSON message with a delivery key, as endpoint `api` hands it over.
    pub fn message(&self, key: &str, json: &str) -> Message {
        let body = parse_json(json.as_bytes()).expect("good JSON");
        let id = EventId(
            sha256(&[key.as_bytes(), &self.desk.now().to_be_bytes()])[..16]
                .try_into()
                .expect("16"),
        );
        let event = BTreeMap::from([
            ("id".to_owned(), Value::text(id.to_string())),
            ("source".to_owned(), Value::text("api")),
            ("endpoint".to_owned(), Value::text("api")),
            ("channel".to_owned(), Value::text("api")),
            ("received_at".to_owned(), Value::Time(self.desk.now())),
            ("body".to_owned(), body),
        ]);
        Message {
            tenant: TENANT,
            workflow: "w".into(),
            endpoint: "api".into(),
            event: Value::Record(event),
            id,
            seed: sha256(&[b"seed", key.as_bytes()])[..16]
                .try_into()
                .expect("16"),
            keys: vec![keyed(b"dedupe", &[key.as_bytes()])],
            key_source: "signed_id".into(),
            expires: i64::MAX,
            kid: "k1".into(),
            received_at: self.desk.now(),
            content_type: "application/json".into(),
            payload: json.as_bytes().to_vec(),
            answer: None,
            pending: false,
        }
    }

    /// The case a message opened or joined.
    pub async fn case_of(&self, key: &str, json: &str) -> CaseId {
        match self.send(key, json).await.expect("admitted") {
            Admitted::Accepted {
                case: Some(case), ..
            } => case,
            other => panic!("{other:?}"),
        }
    }

    /// Works until there is nothing left to do now.
    pub async fn settle(&mut self) -> Result<(), DeskError> {
        loop {
            let mut worked = false;
            while let Ok(h) = self.queue.try_recv() {
                self.worker.fly(h).await?;
                worked = true;
            }
            worked |= self.worker.round().await? > 0;
            if !worked {
                return Ok(());
            }
        }
    }

    /// Works, moving the clock by an hour at a time past retries and holds.
    pub async fn settle_for(&mut self, hours: usize) -> Result<(), DeskError> {
        for _ in 0..hours {
            self.settle().await?;
            self.clock.advance(tl_kernel::time::HOUR);
        }
        self.settle().await
    }

    pub async fn case(&self, id: CaseId) -> Case {
        self.desk.load(TENANT, id).await.expect("the case folds")
    }

    pub async fn state(&self, id: CaseId) -> String {
        let case = self.case(id).await;
        let bundle = self
            .desk
            .bundle(TENANT, case.definition)
            .await
            .expect("its bundle");
        bundle.program.state_name(case.state).to_owned()
    }

    pub async fn effects(&self, id: CaseId) -> Vec<EffectRow> {
        let filter = EffectFilter {
            tenant: Some(TENANT),
            case: Some(id),
            limit: 100,
            ..EffectFilter::default()
        };
        self.desk.store().effects(filter).await.expect("effects")
    }

    pub async fn open_tasks(&self, id: CaseId) -> Vec<TaskRow> {
        let filter = TaskFilter {
            tenant: Some(TENANT),
            case: Some(id),
            limit: 100,
            ..TaskFilter::default()
        };
        self.desk.store().tasks(filter).await.expect("tasks")
    }
}
