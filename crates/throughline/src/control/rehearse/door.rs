//! The rehearsed door: the real checks of the real door, opened with a key of the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode};
use tl_document::{Declared, Document, Unread};
use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::program::{Auth, Channel, Endpoint, Format, Idempotency};
use tl_web::intake::{Admission, AdmitError, Admitted, Answer, Door, Intake, TenantView};
use tl_web::{AppState, WebConfig, router, signature_scheme};
use tl_wire::signature::{HmacScheme, Part, Preset, Scheme, Secret, Stamp, sign};
use tower::ServiceExt;

use super::super::Ctx;
use super::super::doors::unbase64;
use super::super::request::Message;
use super::super::vendor;
use crate::documents::Readers;
use crate::failure::Failure;
use crate::keys::random;

/// Largest answer of a door that is read, bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// The header that a door may ask for, and how older clients write it. A sender has one that nobody used before.
const KEY: &str = "idempotency-key";
const OLDER_KEY: &str = "x-idempotency-key";
/// Name of the tenant under which the rehearsed door is found.
const STAGE: &str = "stage";

/// A way in that keeps the message for us and stores nothing.
struct Rehearsal {
    view: Arc<TenantView>,
    now: i64,
    kept: Mutex<Option<Admission>>,
    readers: Arc<Readers>,
}

impl Intake for Rehearsal {
    fn read_document(
        &self,
        bytes: Vec<u8>,
        declared: Declared,
    ) -> Answer<'_, Option<Result<Document, Unread>>> {
        Box::pin(Arc::clone(&self.readers).read(bytes, declared))
    }

    fn tenant<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async { Some(Arc::clone(&self.view)) })
    }

    fn tenant_of_key<'a>(&'a self, _: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async { None })
    }

    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(admission);
        Box::pin(async {
            Ok(Admitted::Accepted {
                case: None,
                joined: None,
            })
        })
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn wall(&self) -> i64 {
        self.now
    }

    fn overloaded(&self) -> Option<(&'static str, u32)> {
        None
    }
}

impl Rehearsal {
    /// What the door took in.
    fn handed_over(&self) -> Result<Admission, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take()
            .ok_or_else(|| Failure::refused("the door took the message but handed nothing over"))
    }
}

impl Ctx<'_> {
    /// The message as the doors hand it over. The door is opened with a key of the moment, so that everything
    /// but the sender's signature is checked as it would be.
    pub(super) async fn through_the_door(
        &self,
        view: &Tenant,
        (number, bundle): (u32, &Bundle),
        message: &Message,
    ) -> Result<Admission, Failure> {
        let mut program = bundle.program.clone();
        let Some(i) = program
            .endpoints
            .iter()
            .position(|e| e.name == message.endpoint)
        else {
            return Err(Failure::not_found("the endpoint is gone"));
        };
        let endpoint = &mut program.endpoints[i];
        let own = endpoint.auth.clone();
        let auth = signature(endpoint);
        let scheme = signature_scheme(&auth)
            .map_err(|_| Failure::refused("the door's signature cannot be made"))?;
        endpoint.auth = vec![auth];
        // A vendor's door knows a repeat by what stands in the body as well.
        endpoint
            .auth
            .extend(own.into_iter().filter(|a| a.preset().is_some()));
        let needs_key = endpoint.idempotency == Idempotency::Header;
        if matches!(endpoint.channel, Channel::Api | Channel::Schedule) {
            endpoint.channel = Channel::Webhook;
        }
        let way = if endpoint.format == Format::Form {
            "forms"
        } else {
            "hooks"
        };
        let now = self.now();
        let unusable = |_| Failure::unreachable("the message cannot be signed");
        let secret = Secret::new("try", random::<32>()?, 0, None).map_err(unusable)?;
        let door = Door {
            program: Arc::new(program),
            definition: number,
            endpoint: i,
            secrets: vec![secret.clone()],
            key_sets: BTreeMap::new(),
            keys_read: BTreeMap::new(),
            disabled: false,
        };
        let intake = Arc::new(Rehearsal {
            view: Arc::new(TenantView {
                id: view.id,
                key: view.key,
                doors: BTreeMap::from([(message.endpoint.clone(), door)]),
                api_keys: BTreeMap::new(),
                ingest_killed: false,
            }),
            now,
            kept: Mutex::new(None),
            readers: Arc::clone(&self.app.readers),
        });
        let body = unbase64(&message.body)?;
        let fresh = format!("try-{}", hex::encode(random::<12>()?));
        let stamp = Stamp {
            delivery_id: Some(delivery_id(&scheme, message).unwrap_or(&fresh)),
            timestamp_s: now / 1_000_000,
        };
        let signed = sign(&scheme, &secret, stamp, &body)
            .map_err(|e| Failure::usage(format!("the message cannot be signed: {e}")))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("/{way}/{STAGE}/{}", message.endpoint))
            .header("content-type", &message.content_type)
            .header("content-length", body.len());
        if needs_key && !has_key(message) {
            request = request.header(KEY, &fresh);
        }
        let own = |name: &str| signed.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let given = message.headers.iter().filter(|(name, _)| !own(name));
        for (name, value) in signed.iter().chain(given) {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body));
        let request =
            request.map_err(|e| Failure::usage(format!("a header cannot be sent: {e}")))?;
        let state = AppState {
            intake: Arc::clone(&intake) as Arc<dyn Intake>,
            store: self.app.desk.store().clone(),
            config: WebConfig::default(),
            metrics: Arc::default(),
        };
        let Ok(response) = router(state).oneshot(request).await;
        let status = response.status();
        let answer = to_bytes(response.into_body(), MAX_ANSWER)
            .await
            .unwrap_or_default();
        if status != StatusCode::ACCEPTED {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            return Err(Failure::refused(format!(
                "the door would answer {status}: {answer}"
            )));
        }
        intake.handed_over()
    }
}

/// Whether the message was given a key of its own.
fn has_key(message: &Message) -> bool {
    let key = |name: &str| {
        [KEY, OLDER_KEY]
            .iter()
            .any(|k| name.eq_ignore_ascii_case(k))
    };
    message.headers.iter().any(|(name, _)| key(name))
}

/// The signature that the message is given: the door's own kind, so that a repeat is recognised by the same part of
/// the message; of the body alone where the door knows its senders in another way.
fn signature(endpoint: &Endpoint) -> Auth {
    let own = endpoint
        .auth
        .iter()
        .find(|a| matches!(a, Auth::Hmac { .. } | Auth::StandardWebhooks));
    own.cloned().unwrap_or_else(|| {
        let plain = HmacScheme::default();
        let id = vendor::row(endpoint).and_then(|row| row.recipe.id.map(|id| (row, id)));
        let covered = |row: &Preset| row.recipe.covers(&Part::Id);
        let header = id.and_then(|(row, id)| Some((covered(row), id.place.header()?)));
        Auth::Hmac {
            header: plain.header,
            prefix: plain.prefix,
            base64: false,
            signed: match header {
                Some((true, _)) => "{id}.{body}".into(),
                _ => "{body}".into(),
            },
            timestamp_header: None,
            id_header: header.map(|(_, name)| name.to_owned()),
        }
    })
}

/// The delivery id that was given with `--header`, under the name that the signature has for it.
fn delivery_id<'m>(scheme: &Scheme, message: &'m Message) -> Option<&'m str> {
    let name = match scheme {
        Scheme::Hmac(hmac) => hmac.id_header.as_deref()?,
        Scheme::StandardWebhooks => "webhook-id",
        Scheme::Preset(row) => row.recipe.id?.place.header()?,
    };
    let given = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
    let header = message.headers.iter().find(given)?;
    Some(&header.1)
}
