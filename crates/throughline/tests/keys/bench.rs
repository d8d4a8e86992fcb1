//! One installation in one process: real doors, the real engine on a store on disk, a clock that stands still until
//! it is moved, and a CRM and a model on loopback.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tl_connect::client::{Auth as Credential, Client, Connection, Options};
use tl_connect::fake::Crm;
use tl_connect::fake::http::{Answer as Said, Handler, Received, Reply, Server};
use tl_engine::admit::{self, Message};
use tl_engine::clock::{Clock, ManualClock};
use tl_engine::desk::{Desk, DeskError, Handoff, Setting};
use tl_engine::outward::{Connections, Outward};
use tl_engine::schedules::begin;
use tl_engine::tenant::{Bundle, Tenant, pack};
use tl_engine::worker::Worker;
use tl_kernel::digest::sha256;
use tl_kernel::id::TenantId;
use tl_kernel::program::{Auth, Program};
use tl_lang::proof::{Sources, prove};
use tl_lang::{Project, Severity, bundle_digest, load};
use tl_store::Store;
use tl_store::contract::{Row, Unit};
use tl_web::apikey::{ApiKeyText, RANDOM_BYTES};
use tl_web::intake::{Admission, AdmitError, Admitted, Answer, ApiKey, Door, Intake, TenantView};
use tl_web::metrics::Metrics;
use tl_web::{AppState, WebConfig, router};
use tl_wire::jwt::KeySet;
use tl_wire::signature::Secret;
use tokio::sync::mpsc;
use tracing::subscriber::DefaultGuard;

pub const TENANT: TenantId = TenantId(1);
/// 2026-11-18T11:06:40Z.
pub const START: i64 = 1_795_000_000_000_000;
/// The secret of every door.
pub const SECRET: &str = "the secret of the door, 32 bytes or more";
/// The base address of the doors holds the tenant's name.
pub const TENANT_NAME: &str = "default";

/// The API key that every door knows.
pub fn api_key() -> ApiKeyText {
    ApiKeyText::from_random(&[7; RANDOM_BYTES])
}

/// What the tests share: setting a client up reads the machine's certificates, which takes its time.
pub fn client() -> Client {
    static CLIENT: Mutex<Option<Client>> = Mutex::new(None);
    let mut held = CLIENT.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || Client::new(&Options::default()).expect("a client");
    held.get_or_insert_with(made).clone()
}

/// The running installation.
#[derive(Debug)]
pub struct Bench {
    pub desk: Desk,
    pub worker: Worker,
    pub clock: Arc<ManualClock>,
    pub crm: Crm,
    pub model: Model,
    pub router: Router,
    pub log: Lines,
    queue: mpsc::UnboundedReceiver<Handoff>,
    _listening: DefaultGuard,
    _dir: TempDir,
}

impl Bench {
    /// An installation with one deployed workflow, or what `check` says against it.
    pub async fn new(project: &Project) -> Result<Bench, String> {
        let (program, findings) = check(project);
        let Some(program) = program else {
            return Err(format!("refused\n{findings}"));
        };
        let log = Lines::default();
        log.say(&findings);
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            Store::open(&dir.path().join("store.db"), &Default::default()).expect("the store");
        let clock = Arc::new(ManualClock::at(START));
        let crm = Crm::start(([127, 0, 0, 1], 0).into())
            .await
            .expect("the CRM");
        let model = Model::start().await;
        let (desk, queue) = Desk::new(Setting {
            store,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            key: [7; 32],
            slots: 8,
            tap: None,
        });
        let outward = Outward {
            client: client(),
            connections: Arc::new(Known {
                crm: crm.base_url(),
                model: format!("http://{}", model.server.addr()),
            }),
        };
        deploy(&desk, project, &program).await;
        let metrics = Metrics::default();
        metrics.register(|registry| desk.telemetry().register(registry));
        let state = AppState {
            intake: Arc::new(Doors(desk.clone())),
            store: desk.store().clone(),
            config: WebConfig::default(),
            metrics: Arc::new(metrics),
        };
        let writer = log.clone();
        let listener = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        Ok(Bench {
            worker: Worker::new(desk.clone(), outward),
            desk,
            clock,
            crm,
            model,
            router: router(state),
            log,
            queue,
            _listening: tracing::subscriber::set_default(listener),
            _dir: dir,
        })
    }

    /// Works until there is nothing left to do now.
    pub async fn settle(&mut self) {
        loop {
            let mut worked = false;
            while let Ok(h) = self.queue.try_recv() {
                self.worker.fly(h).await.expect("an effect is sent");
                worked = true;
            }
            worked |= self.worker.round().await.expect("a round") > 0;
            if !worked {
                return;
            }
        }
    }

    /// Commits rows that change how the tenant works.
    pub async fn change(&self, tenant: TenantId, row: Row) {
        let mut unit = Unit::new(tenant);
        unit.rows.push(row);
        self.desk.store().commit(unit).await.expect("a change");
        self.desk.forget_views();
    }
}

/// What `check` says, and the program where nothing stands against it.
pub fn check(project: &Project) -> (Option<Program>, String) {
    const FILE: &str = "workflows/w/workflow.yaml";
    let loaded = load(project, "w");
    let mut diags = loaded.diags;
    let text = project.text(FILE).unwrap_or_default();
    if let Some(program) = &loaded.program {
        let sources = Sources {
            workflow: FILE,
            workflow_text: text,
            policy: FILE,
            policy_text: text,
        };
        diags.extend(prove(program, &sources));
    }
    let mut said = String::new();
    for d in &diags {
        let _ = writeln!(said, "check: {} {} ({})", d.code, d.message, d.why);
    }
    for note in &loaded.notes {
        let _ = writeln!(said, "check: {note}");
    }
    let broken = diags.iter().any(|d| d.severity == Severity::Error);
    (loaded.program.filter(|_| !broken), said)
}

async fn deploy(desk: &Desk, project: &Project, program: &Program) {
    let mut unit = Unit::new(TENANT);
    unit.rows.push(Row::Tenant {
        name: TENANT_NAME.into(),
        at: START,
    });
    unit.rows.push(Row::Deploy {
        number: 1,
        workflow: "w".into(),
        version: program.version.clone(),
        digest: bundle_digest(project, "w"),
        files: pack(project),
        at: START,
    });
    unit.rows.extend(begin(None, program, START));
    desk.store().commit(unit).await.expect("deployed");
    desk.forget_views();
}

/// Two connections to the CRM and one to the model.
struct Known {
    crm: String,
    model: String,
}

impl Connections for Known {
    fn find(&self, _: &Tenant, _: &str, name: &str) -> Result<Arc<Connection>, String> {
        let base = match name {
            "crm" | "other" | "web" | "web2" => &self.crm,
            "gpt" => &self.model,
            _ => return Err(format!("no connection `{name}`")),
        };
        let made = Connection::new(name, base, &Credential::None, true);
        made.map(Arc::new).map_err(|e| e.to_string())
    }

    fn model(&self, _: &Tenant, _: &str, _: &str) -> Option<String> {
        None
    }
}

/// The doors' way in.
struct Doors(Desk);

impl Doors {
    async fn view(&self) -> Option<Arc<TenantView>> {
        let tenant = self.0.tenant(TENANT).await.ok()?;
        let (number, bundle) = tenant.current.get("w")?;
        let program = Arc::new(bundle.program.clone());
        let mut doors = BTreeMap::new();
        for (i, endpoint) in program.endpoints.iter().enumerate() {
            let door = Door {
                program: Arc::clone(&program),
                definition: *number,
                endpoint: i,
                secrets: vec![Secret::new("k1", SECRET, 0, None).ok()?],
                key_sets: key_sets(bundle, &endpoint.auth),
                keys_read: BTreeMap::new(),
                disabled: false,
            };
            doors.insert(endpoint.name.clone(), door);
        }
        let key = ApiKey {
            hash: api_key().hash(&tenant.key),
            scopes: vec!["events".into()],
            expires: None,
        };
        Some(Arc::new(TenantView {
            id: TENANT,
            key: tenant.key,
            doors,
            api_keys: BTreeMap::from([(api_key().kid().to_owned(), key)]),
            ingest_killed: false,
        }))
    }

    async fn take(&self, a: Admission) -> Result<Admitted, AdmitError> {
        let message = Message {
            tenant: a.tenant,
            workflow: "w".into(),
            endpoint: a.endpoint,
            event: a.event,
            id: a.id,
            seed: sha256(&[b"seed", &a.id.0])[..16]
                .try_into()
                .expect("16 bytes"),
            keys: a.keys,
            key_source: a.key_source,
            expires: a.expires,
            kid: a.kid,
            received_at: a.received_at,
            content_type: a.content_type,
            payload: a.payload,
            answer: None,
            pending: false,
        };
        match self.0.admit(message).await {
            Ok(admit::Admitted::Accepted { case, joined }) => {
                Ok(Admitted::Accepted { case, joined })
            }
            Ok(admit::Admitted::Duplicate { event, variant }) => {
                Ok(Admitted::Duplicate { event, variant })
            }
            Err(DeskError::Refused(r)) => Err(AdmitError::Refused(r.code, r.message)),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Key sets of the token alternatives: a file of the bundle, or the door's own secret.
fn key_sets(bundle: &Bundle, auth: &[Auth]) -> BTreeMap<usize, Arc<KeySet>> {
    let of = |auth: &Auth| match auth {
        Auth::Jwt { keys: None, .. } => KeySet::hs256(None, SECRET.as_bytes()).ok(),
        Auth::Jwt {
            keys: Some(path), ..
        } => {
            let file = bundle.project.files.get(&format!("workflows/w/{path}"))?;
            KeySet::from_jwks(file).ok()
        }
        _ => None,
    };
    let all = auth.iter().enumerate();
    all.filter_map(|(i, a)| Some((i, Arc::new(of(a)?))))
        .collect()
}

impl Intake for Doors {
    fn tenant<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async move {
            if name == TENANT_NAME {
                self.view().await
            } else {
                None
            }
        })
    }

    fn tenant_of_key<'a>(&'a self, kid: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async move {
            self.view()
                .await
                .filter(|view| view.api_keys.contains_key(kid))
        })
    }

    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>> {
        Box::pin(self.take(admission))
    }

    fn wall(&self) -> i64 {
        self.now()
    }

    fn now(&self) -> i64 {
        self.0.now()
    }

    fn overloaded(&self) -> Option<(&'static str, u32)> {
        None
    }
}

/// A model that answers every question in the shape that was asked for, and nothing at all to a message with
/// the word `silence` in it.
#[derive(Debug)]
pub struct Model {
    server: Server,
    asked: Arc<Mutex<Vec<Json>>>,
}

impl Model {
    async fn start() -> Model {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&asked);
        let handler: Handler = Arc::new(move |request: Received| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
                let silent = body["messages"][1].to_string().contains("silence");
                let content = answer_to(&body["response_format"]["json_schema"]["schema"]);
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(body);
                if silent {
                    return std::future::pending().await;
                }
                Reply::Answer(Said::json(
                    200,
                    &json!({
                        "model": "fake",
                        "choices": [{
                            "finish_reason": "stop",
                            "message": { "role": "assistant", "content": content.to_string() },
                        }],
                        "usage": { "prompt_tokens": 1, "completion_tokens": 1 },
                    }),
                ))
            })
        });
        let server = Server::start(([127, 0, 0, 1], 0).into(), handler);
        Model {
            server: server.await.expect("the model"),
            asked,
        }
    }

    /// The questions, in order.
    pub fn asked(&self) -> Vec<Json> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Something of the shape: the first label, high confidence, and short texts.
fn answer_to(schema: &Json) -> Json {
    let Some(properties) = schema["properties"].as_object() else {
        return json!({});
    };
    let part = |name: &str, of: &Json| match name {
        "label" => of["enum"][0].clone(),
        "confidence" => json!(0.85),
        "fields" | "quote" => Json::Null,
        "summary" => json!("wants to see it"),
        "draft" => json!("Dear Ada, gladly."),
        _ => json!("Acme"),
    };
    let mut out = serde_json::Map::new();
    for (name, of) in properties {
        let said = if of["properties"].is_object() {
            answer_to(of)
        } else {
            part(name, of)
        };
        out.insert(name.clone(), said);
    }
    Json::Object(out)
}

/// What was written to the log, and what the doors answered.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn say(&self, line: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(line.as_bytes());
        held.push(b'\n');
    }

    pub fn text(&self) -> String {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&held).into_owned()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
