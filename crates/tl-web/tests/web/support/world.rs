//! Two tenants with a door of each kind, over the real store: what is admitted is committed with its dedupe
//! keys, without a workflow behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tl_document::{Declared, Document, Limits, Unread};
use tl_kernel::digest::sha256;
use tl_kernel::expr::{At, Expr, Node, Piece, Template};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::policy::Policy;
use tl_kernel::program::{
    Auth, Channel, DecisionDef, Endpoint, FieldDef, FieldFrom, Format, Idempotency, Observability,
    OnMatch, Preset, Program, Queue, RecordType, Schema, TaskRules, Threshold,
};
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::{Type, Value};
use tl_store::{Guard, Refused, Row, Store, Unit};
use tl_web::apikey::{ApiKeyText, RANDOM_BYTES};
use tl_web::intake::{
    Admission, AdmitError, Admitted, Answer, ApiKey, Door, Intake, TenantView, Waiting,
};
use tl_web::limits::KEYS_FRESH;
use tl_web::{accepted_body, stored_event};
use tl_wire::jwt::KeySet;
use tl_wire::signature::Secret;
use tokio::sync::Semaphore;

/// Engine time at the start, µs: 2026-11-12T10:00:00Z.
pub const NOW: i64 = 1_794_477_600_000_000;
/// The secret of most doors of tenant `acme`.
pub const SECRET: &str = "first secret of the door at acme";
/// A second one, active beside it.
pub const SECOND: &str = "second secret of the door at acme";
/// One that has expired.
pub const FORMER: &str = "former secret of the door at acme";
/// One that is not active yet.
pub const SOON: &str = "coming secret of the door at acme";
/// The shared key of our issuer.
pub const JWT_SECRET: &str = "the key of the issuer, 32 bytes or more";

/// The website whose pages may post to the public forms.
pub const WEBSITE: &str = "https://www.example.com";
/// What a public form says of its questions.
const ENQUIRY: &str = r#"{
    "title": "Ask us <anything>",
    "description": "We answer within a day.",
    "type": "object",
    "required": ["name", "email"],
    "properties": {
        "name": { "type": "string", "title": "Your name", "maxLength": 40 },
        "email": { "type": "string", "format": "email" },
        "seats": { "type": "integer", "minimum": 1, "description": "How many people will use it." },
        "message": { "type": "string", "maxLength": 2000 },
        "start": { "type": "string", "format": "date" },
        "terms": { "type": "boolean", "title": "I have read the terms" },
        "campaign": { "type": "string", "readOnly": true },
        "tags": { "type": "array" }
    },
    "additionalProperties": true
}"#;

/// Which API key.
pub type KeyName = u8;
pub const EVENTS_KEY: KeyName = 1;
pub const READ_KEY: KeyName = 2;
pub const WRITE_KEY: KeyName = 3;
pub const EXPIRED_KEY: KeyName = 4;
/// Of tenant `other`, with all scopes.
pub const OTHER_KEY: KeyName = 5;

/// The text of an API key.
pub fn api_key(name: KeyName) -> String {
    ApiKeyText::from_random(&[name; RANDOM_BYTES]).to_text()
}

/// The rest of the product.
pub struct World {
    pub store: Store,
    pub now: AtomicI64,
    /// How far the calendar is ahead of engine time, µs.
    pub astray: AtomicI64,
    /// Every admission that was committed.
    pub admitted: Mutex<Vec<Admission>>,
    /// Whose backlog keeps the doors shut, with the seconds to wait.
    pub backlog: Mutex<Option<(TenantId, u32)>>,
    /// What `overloaded` answers.
    pub overload: Mutex<Option<(&'static str, u32)>>,
    /// What the next admission fails with.
    pub fails: Mutex<Option<AdmitError>>,
    /// Addresses whose key sets should be fetched.
    pub keys_wanted: Mutex<Vec<String>>,
    /// The next admission panics.
    pub panics: AtomicBool,
    /// Whoever asks next what time it is panics.
    pub clock_panics: AtomicBool,
    /// Cases that wait for fields.
    pub waiting: Mutex<BTreeMap<CaseId, Waiting>>,
    /// Admissions that have begun.
    pub begun: AtomicI64,
    /// No reader of documents is free.
    pub no_reader: AtomicBool,
    /// An admission takes a permit and gives it back: without any, admissions wait.
    pub gate: Semaphore,
    pub views: Mutex<BTreeMap<String, Arc<TenantView>>>,
}

impl World {
    pub async fn new(store: Store) -> World {
        for (number, name) in [(1, "acme"), (2, "other")] {
            let mut unit = Unit::new(TenantId(number));
            unit.rows.push(Row::Tenant {
                name: name.into(),
                at: NOW,
            });
            store.commit(unit).await.unwrap();
        }
        let views = [view(1), view(2)];
        let names = ["acme".to_owned(), "other".to_owned()];
        World {
            store,
            now: AtomicI64::new(NOW),
            astray: AtomicI64::new(0),
            admitted: Mutex::default(),
            backlog: Mutex::default(),
            overload: Mutex::default(),
            fails: Mutex::default(),
            keys_wanted: Mutex::default(),
            panics: AtomicBool::new(false),
            clock_panics: AtomicBool::new(false),
            waiting: Mutex::default(),
            begun: AtomicI64::new(0),
            no_reader: AtomicBool::new(false),
            gate: Semaphore::new(1_000),
            views: Mutex::new(names.into_iter().zip(views.map(Arc::new)).collect()),
        }
    }

    /// Changes the view of a tenant.
    pub fn change(&self, tenant: &str, change: impl FnOnce(&mut TenantView)) {
        let mut views = self.views.lock().unwrap();
        let held = views.get_mut(tenant).unwrap();
        let mut view = TenantView {
            id: held.id,
            key: held.key,
            doors: held.doors.clone(),
            api_keys: held.api_keys.clone(),
            ingest_killed: held.ingest_killed,
        };
        change(&mut view);
        *held = Arc::new(view);
    }

    /// Lets time pass, µs.
    pub fn pass(&self, us: i64) {
        self.now.fetch_add(us, Ordering::Relaxed);
    }

    /// Admissions that have begun.
    pub fn begun(&self) -> i64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The last message that was committed.
    pub fn last(&self) -> Admission {
        self.admitted
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("an admission")
    }
}

impl World {
    /// The event of the last message of tenant `acme`, read again from what is stored of it.
    pub fn read_again(&self) -> Value {
        let stored = stored(&self.last());
        let views = self.views.lock().unwrap();
        let door = &views["acme"].doors[&stored.endpoint];
        let endpoint = &door.program.endpoints[door.endpoint];
        stored_event(endpoint, &stored, read_document).expect("an event")
    }
}

/// Reads a document here and now.
pub fn read_document(bytes: &[u8], declared: &Declared) -> Result<Document, Unread> {
    tl_document::read(bytes, declared, &Limits::default())
}

impl Intake for World {
    fn read_document(
        &self,
        bytes: Vec<u8>,
        declared: Declared,
    ) -> Answer<'_, Option<Result<Document, Unread>>> {
        let free = !self.no_reader.load(Ordering::Relaxed);
        Box::pin(async move { free.then(|| read_document(&bytes, &declared)) })
    }

    fn tenant<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async move { self.views.lock().unwrap().get(name).cloned() })
    }

    fn tenant_of_key<'a>(&'a self, kid: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async move {
            let views = self.views.lock().unwrap();
            views
                .values()
                .find(|v| v.api_keys.contains_key(kid))
                .cloned()
        })
    }

    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>> {
        Box::pin(async move {
            self.begun.fetch_add(1, Ordering::Relaxed);
            let _permit = self.gate.acquire().await.unwrap();
            if let Some(error) = self.fails.lock().unwrap().take() {
                return Err(error);
            }
            assert!(
                !self.panics.swap(false, Ordering::Relaxed),
                "asked to panic"
            );
            let answer = self.store.commit(unit(&admission)).await;
            match answer {
                Ok(_) => {
                    self.admitted.lock().unwrap().push(admission);
                    Ok(Admitted::Accepted {
                        case: None,
                        joined: None,
                    })
                }
                Err(Refused::Duplicate { event, payload }) => {
                    let variant = payload != sha256(&[&admission.payload]);
                    Ok(Admitted::Duplicate { event, variant })
                }
                Err(Refused::Unavailable { .. }) => Err(AdmitError::Unavailable),
                Err(Refused::Faulty { id, .. }) => Err(AdmitError::Faulty(id)),
                Err(other) => panic!("{other}"),
            }
        })
    }

    fn waiting(&self, _: TenantId, case: CaseId) -> Answer<'_, Option<Waiting>> {
        let waiting = self.waiting.lock().unwrap().get(&case).cloned();
        Box::pin(async move { waiting })
    }

    fn now(&self) -> i64 {
        let panics = self.clock_panics.swap(false, Ordering::Relaxed);
        assert!(!panics, "asked to panic");
        self.now.load(Ordering::Relaxed)
    }

    fn wall(&self) -> i64 {
        self.now() + self.astray.load(Ordering::Relaxed)
    }

    fn clock_ahead(&self) -> i64 {
        self.astray.load(Ordering::Relaxed)
    }

    fn keys_wanted(&self, address: &str) {
        self.keys_wanted.lock().unwrap().push(address.to_owned());
    }

    fn backlog(&self, tenant: TenantId) -> Option<u32> {
        let whose = *self.backlog.lock().unwrap();
        whose.filter(|(t, _)| *t == tenant).map(|(_, wait)| wait)
    }

    fn overloaded(&self) -> Option<(&'static str, u32)> {
        *self.overload.lock().unwrap()
    }
}

/// What is kept of a message.
fn stored(a: &Admission) -> StoredEvent {
    StoredEvent {
        id: a.id,
        endpoint: a.endpoint.clone(),
        received_at: a.received_at,
        kid: a.kid.clone(),
        key_source: a.key_source.clone(),
        case: None,
        content_type: a.content_type.clone(),
        payload: a.payload.clone(),
    }
}

fn unit(a: &Admission) -> Unit {
    let mut unit = Unit::new(a.tenant);
    unit.guards.push(Guard::KeysFree {
        endpoint: a.endpoint.clone(),
        keys: a.keys.clone(),
    });
    unit.rows.push(Row::Event {
        event: stored(a),
        keys: a.keys.clone(),
        expires: a.expires,
    });
    if let Some((principal, key, fingerprint)) = &a.idempotent {
        unit.rows.push(Row::Idempotent {
            principal: principal.clone(),
            key: key.clone(),
            fingerprint: *fingerprint,
            status: 202,
            body: accepted_body(a.id, None),
            expires: a.expires,
        });
    }
    unit
}

const LEAD_SCHEMA: &str = r#"{
    "type": "object",
    "required": ["email"],
    "additionalProperties": false,
    "properties": {
        "email": { "type": "string", "format": "email", "maxLength": 100 },
        "seats": { "type": "integer", "minimum": 1 },
        "intent": { "enum": ["demo", "pricing"] },
        "contact": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } },
        "message": { "type": "string", "pattern": "^[^<>]*$" },
        "external_id": { "type": "string" },
        "correlation_id": { "type": "string" }
    }
}"#;

fn hmac() -> Auth {
    Auth::Hmac {
        header: "x-signature".into(),
        prefix: "sha256=".into(),
        base64: false,
        signed: "{body}".into(),
        timestamp_header: None,
        id_header: None,
    }
}

fn timed() -> Auth {
    Auth::Hmac {
        header: "x-signature".into(),
        prefix: "sha256=".into(),
        base64: false,
        signed: "{timestamp}.{body}".into(),
        timestamp_header: Some("x-timestamp".into()),
        id_header: None,
    }
}

fn delivery() -> Auth {
    Auth::Hmac {
        header: "x-signature".into(),
        prefix: "sha256=".into(),
        base64: false,
        signed: "{body}".into(),
        timestamp_header: None,
        id_header: Some("x-delivery".into()),
    }
}

fn jwt() -> Auth {
    Auth::Jwt {
        issuer: "https://id.example".into(),
        audience: "throughline".into(),
        algorithms: vec!["HS256".into()],
        keys: None,
    }
}

/// Where the key set of the doors `fetching` and `named` is fetched.
pub const ISSUER: &str = "https://id.example/keys";

/// A token of an issuer whose keys are fetched.
fn fetched() -> Auth {
    Auth::Jwt {
        issuer: "https://id.example".into(),
        audience: "throughline".into(),
        algorithms: vec!["HS256".into()],
        keys: Some(ISSUER.into()),
    }
}

/// A token that no key is named for.
fn keyless() -> Auth {
    Auth::Jwt {
        issuer: "https://id.example".into(),
        audience: "throughline".into(),
        algorithms: vec!["EdDSA".into()],
        keys: None,
    }
}

fn pointer() -> Idempotency {
    let names = ["event", "body", "order", "id"].map(str::to_owned).to_vec();
    let source = "event.body.order.id".to_owned();
    let at = At {
        start: 0,
        end: source.len() as u32,
    };
    Idempotency::Pointer(Template {
        source: format!("${{{source}}}"),
        parts: vec![Piece::Expr(Expr {
            source,
            root: Node::Path { names, at },
        })],
    })
}

fn endpoints() -> Vec<Endpoint> {
    use Channel::{Api, Email, Form as Web, Sms, Webhook};
    use Format::{Document, Form, Json, Mail};
    use Idempotency::{Covered, Header};
    // name, channel, format, auth, idempotency, with schema
    let table = [
        ("leads", Webhook, Json, vec![hmac()], Header, true),
        ("plain", Webhook, Json, vec![hmac()], Covered, false),
        ("timed", Webhook, Json, vec![timed()], Covered, false),
        (
            "partners",
            Webhook,
            Json,
            vec![Auth::StandardWebhooks],
            Covered,
            false,
        ),
        ("delivery", Webhook, Json, vec![delivery()], Covered, false),
        (
            "orders",
            Webhook,
            Json,
            vec![hmac(), Auth::ApiKey],
            pointer(),
            false,
        ),
        ("mail", Email, Mail, vec![hmac()], Header, false),
        ("sms", Sms, Form, vec![hmac()], Header, false),
        ("contact", Web, Form, vec![hmac()], Header, true),
        ("notes", Api, Json, vec![Auth::ApiKey], Covered, true),
        ("either", Webhook, Json, vec![jwt(), hmac()], Header, false),
        ("closed", Webhook, Json, vec![hmac()], Header, false),
        ("bare", Webhook, Json, vec![hmac()], Header, false),
        ("fetching", Webhook, Json, vec![fetched()], Header, false),
        ("named", Webhook, Json, vec![fetched()], Covered, false),
        ("keyless", Webhook, Json, vec![keyless()], Covered, false),
        ("files", Webhook, Document, vec![hmac()], Covered, false),
        ("upload", Web, Form, vec![hmac()], Covered, false),
    ];
    let make =
        |(name, channel, format, auth, idempotency, schema): (&str, _, _, _, _, bool)| Endpoint {
            name: name.to_owned(),
            channel,
            format,
            auth,
            idempotency,
            schema: schema.then(|| Schema {
                json: LEAD_SCHEMA.into(),
                derived: false,
            }),
            map: Vec::new(),
            text: None,
            automatic: tl_kernel::program::OnAutomatic::Note,
            max_body: 64 * 1024,
            line: 1,
        };
    let doors = table.into_iter().map(make);
    let public = [("enquiry", Some(ENQUIRY)), ("bare_form", None)];
    let public = public.map(|(name, schema)| public_form(name, schema));
    let of_people = [
        ("lead_follow_up", Auth::Link, None),
        ("phone_note", Auth::SignIn, Some(ENQUIRY)),
    ];
    let of_people = of_people.map(|(name, auth, schema)| Endpoint {
        auth: vec![auth],
        ..public_form(name, schema)
    });
    let doors = doors.chain(vendors().map(make)).chain(public);
    doors.chain(of_people).collect()
}

/// A form that anybody may fill in, and that a page of one website may post to.
fn public_form(name: &str, schema: Option<&str>) -> Endpoint {
    let of_body = |field: &str| {
        let names: Vec<String> = ["event", "body", field].map(str::to_owned).into();
        let source = names.join(".");
        let at = At {
            start: 0,
            end: source.len() as u32,
        };
        let root = Node::Path { names, at };
        (field.to_owned(), Expr { source, root })
    };
    let fields = [
        "name", "email", "phone", "country", "seats", "value", "stage",
    ];
    Endpoint {
        name: name.to_owned(),
        channel: Channel::Form,
        format: Format::Form,
        auth: vec![Auth::Public {
            origins: vec![WEBSITE.into()],
        }],
        idempotency: Idempotency::Covered,
        schema: schema.map(|json| Schema {
            json: json.into(),
            derived: false,
        }),
        map: fields.map(of_body).into(),
        text: None,
        automatic: tl_kernel::program::OnAutomatic::Note,
        max_body: 64 * 1024,
        line: 1,
    }
}

/// A door of each vendor that is played here, by the vendor's name.
fn vendors() -> impl Iterator<Item = (&'static str, Channel, Format, Vec<Auth>, Idempotency, bool)>
{
    let json = [
        "github", "hubspot", "meta", "shopify", "slack", "stripe", "svix", "twitter",
    ];
    let webhook = |name| (name, Channel::Webhook, Format::Json, Idempotency::Header);
    let sms = ("twilio", Channel::Sms, Format::Form, Idempotency::Covered);
    let orders = ("zendesk", Channel::Webhook, Format::Json, pointer());
    let post = |name| (name, Channel::Email, Format::Mail, Idempotency::Covered);
    let posts = ["mailgun", "sendgrid"].map(post);
    let all = json
        .into_iter()
        .map(webhook)
        .chain([sms, orders])
        .chain(posts);
    all.map(|(name, channel, format, idempotency)| {
        let preset = Preset::of(name).expect(name);
        (
            name,
            channel,
            format,
            vec![Auth::Preset(preset)],
            idempotency,
            false,
        )
    })
}

fn program() -> Program {
    let field = |name: &str, ty| FieldDef {
        name: name.into(),
        ty,
        required: false,
        control: false,
        untrusted: false,
        paragraphs: false,
        from: FieldFrom::Event,
        line: 1,
    };
    Program {
        id: "inbound_lead".into(),
        version: "1".into(),
        correlation: None,
        goal: None,
        record: RecordType {
            name: "lead".into(),
            fields: vec![
                field("name", Type::Text),
                field("email", Type::Email),
                field("phone", Type::Phone),
                field("country", Type::Text),
                field("seats", Type::Int),
                field("value", Type::Dec),
                field("stage", Type::Enum(vec!["open".into(), "won".into()])),
            ],
            natural_keys: Vec::new(),
            on_match: OnMatch::Join,
        },
        endpoints: endpoints(),
        queue: Queue {
            name: "workflow_jobs".into(),
            payload: Default::default(),
        },
        states: Vec::new(),
        edges: Vec::new(),
        rules_engine: false,
        tenant_flags: true,
        rules: Vec::new(),
        tables: Vec::new(),
        ai: None,
        decision: DecisionDef {
            threshold: Threshold::Fixed(0.9),
            branches: Vec::new(),
        },
        policy: Policy::default(),
        tasks: TaskRules::default(),
        owners: std::collections::BTreeSet::new(),
        actions: Vec::new(),
        settings: BTreeMap::new(),
        schedules: Vec::new(),
        observability: Observability { metrics: true },
    }
}

fn view(tenant: u32) -> TenantView {
    let key = [tenant as u8; 32];
    let mut program = program();
    // The other tenant's workflow has no series of its own.
    program.observability.metrics = tenant == 1;
    let program = Arc::new(program);
    let secret = |kid: &str, text: &str, from, until| Secret::new(kid, text, from, until).unwrap();
    let secrets = match tenant {
        1 => vec![
            secret("former", FORMER, 0, Some(NOW)),
            secret("first", SECRET, 0, Some(NOW + 1_000_000_000)),
            secret("second", SECOND, 0, None),
            secret("soon", SOON, NOW + 60_000_000, None),
        ],
        _ => vec![secret(
            "theirs",
            "secret of the door at other, unlike",
            0,
            None,
        )],
    };
    let set = |kid| Arc::new(KeySet::hs256(kid, JWT_SECRET.as_bytes()).unwrap());
    let (keys, named) = (set(None), set(Some("k1")));
    let mut doors = BTreeMap::new();
    for (at, endpoint) in program.endpoints.iter().enumerate() {
        let key_sets = match endpoint.name.as_str() {
            "fetching" | "keyless" => BTreeMap::new(),
            "named" => BTreeMap::from([(0, Arc::clone(&named))]),
            _ => BTreeMap::from([(0, Arc::clone(&keys))]),
        };
        let door = Door {
            program: Arc::clone(&program),
            definition: 1,
            endpoint: at,
            secrets: if endpoint.name == "bare" {
                Vec::new()
            } else {
                secrets.clone()
            },
            key_sets,
            keys_read: match endpoint.name.as_str() {
                "named" => BTreeMap::from([(0, NOW - KEYS_FRESH)]),
                _ => BTreeMap::new(),
            },
            disabled: endpoint.name == "closed",
        };
        doors.insert(endpoint.name.clone(), door);
    }
    let all = ["events", "records:read", "records:write", "cases:read"];
    let keys: Vec<(KeyName, &[&str], Option<i64>)> = match tenant {
        1 => vec![
            (EVENTS_KEY, &all[..1], None),
            (READ_KEY, &["records:read", "cases:read"], None),
            (WRITE_KEY, &["records:write", "records:read"], None),
            (EXPIRED_KEY, &all, Some(NOW)),
        ],
        _ => vec![(OTHER_KEY, &all, None)],
    };
    let api_keys = keys.into_iter().map(|(name, scopes, expires)| {
        let text = ApiKeyText::from_random(&[name; RANDOM_BYTES]);
        let scopes = scopes.iter().map(|s| (*s).to_owned()).collect();
        let known = ApiKey {
            hash: text.hash(&key),
            scopes,
            expires,
        };
        (text.kid().to_owned(), known)
    });
    TenantView {
        id: TenantId(tenant),
        key,
        doors,
        api_keys: api_keys.collect(),
        ingest_killed: false,
    }
}
