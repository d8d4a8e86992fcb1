//! What the doors need from the rest of the product. tl-web declares it, the binary wires it: no handler
//! reaches the engine or opens a socket by itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tl_kernel::digest::Digest;
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::program::Program;
use tl_kernel::value::Value;
use tl_wire::signature::Secret;

use crate::limits::KEYS_FRESH;

/// A boxed future, so that the traits below can be objects.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a door needs to know of its tenant: rebuilt when the gate's epoch moves.
#[derive(Debug)]
pub struct TenantView {
    /// The tenant.
    pub id: TenantId,
    /// Key of the tenant's keyed digests.
    pub key: [u8; 32],
    /// The doors of the current versions of all its workflows, by endpoint name.
    pub doors: BTreeMap<String, Door>,
    /// Its API keys, by key id.
    pub api_keys: BTreeMap<String, ApiKey>,
    /// Ingest is switched off for the tenant or everywhere (`kill set ingest`).
    pub ingest_killed: bool,
}

/// An endpoint of a current workflow version.
#[derive(Debug, Clone)]
pub struct Door {
    /// The workflow.
    pub program: Arc<Program>,
    /// Number of its bundle in the tenant.
    pub definition: u32,
    /// Position in `program.endpoints`.
    pub endpoint: usize,
    /// Secrets, active and not, in order of creation.
    pub secrets: Vec<Secret>,
    /// Key sets of its JWT alternatives, by position in `Endpoint::auth`; absent while they are being fetched.
    pub key_sets: BTreeMap<usize, Arc<tl_wire::jwt::KeySet>>,
    /// When those that were fetched from their issuers were asked for, µs, by the same position.
    pub keys_read: BTreeMap<usize, i64>,
    /// Closed by an operator.
    pub disabled: bool,
}

impl Door {
    /// Whether the issuer of a JWT alternative may have keys by now that are not here.
    pub(crate) fn may_have_newer_keys(&self, at: usize, now: i64) -> bool {
        let read = self.keys_read.get(&at);
        read.is_some_and(|read| now.saturating_sub(*read) >= KEYS_FRESH)
    }
}

/// An API key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Keyed digest of the secret part.
    pub hash: Digest,
    /// Scopes: `events`, `records:read`, `records:write`, `cases:read`.
    pub scopes: Vec<String>,
    /// Not valid after, µs.
    pub expires: Option<i64>,
}

/// A verified, parsed, deduplicable message.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The tenant.
    pub tenant: TenantId,
    /// The door.
    pub endpoint: String,
    /// The message as expressions see it: `event`.
    pub event: Value,
    /// Its id, drawn at the door.
    pub id: EventId,
    /// Dedupe keys, the strongest first.
    pub keys: Vec<Digest>,
    /// Which rule gave the strongest: `signed_id`, `header_and_body`, `pointer`, `natural`, `api_key`, `weak`.
    pub key_source: String,
    /// Dedupe keys may be dropped after this instant, µs.
    pub expires: i64,
    /// Key id of the secret that verified it.
    pub kid: String,
    /// Received, µs.
    pub received_at: i64,
    /// Content type as received.
    pub content_type: String,
    /// The raw bytes.
    pub payload: Vec<u8>,
    /// The saved answer of an API command, committed in the same unit: principal, key, fingerprint.
    pub idempotent: Option<(String, String, Digest)>,
}

/// What became of an admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// Committed. `case` is absent while the join is pending.
    Accepted {
        /// The case it opened or joined.
        case: Option<CaseId>,
        /// It joined a case that was there; position of the natural key that matched.
        joined: Option<u8>,
    },
    /// Its dedupe key was known.
    Duplicate {
        /// The event that was there.
        event: EventId,
        /// The bytes differ.
        variant: bool,
    },
}

/// Why an admission failed. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The store cannot commit now.
    #[error("the store cannot commit now")]
    Unavailable,
    /// The message cannot be stored; error id.
    #[error("the message cannot be stored (error {0})")]
    Faulty(u64),
    /// The case refuses it: code and sentence.
    #[error("{0} {1}")]
    Refused(&'static str, String),
}

/// What the doors ask of the rest of the product.
pub trait Intake: Send + Sync + 'static {
    /// The view of a tenant by name; `None` for an unknown one.
    fn tenant<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Arc<TenantView>>>;
    /// The tenant that an API key id belongs to.
    fn tenant_of_key<'a>(&'a self, kid: &'a str) -> Answer<'a, Option<Arc<TenantView>>>;
    /// Decides the message and commits event, dedupe keys and the case's turn in one unit.
    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>>;
    /// Engine time, µs.
    fn now(&self) -> i64;
    /// A sender shows a key that the fetched set of this address does not have, or there is no set yet: it should be
    /// fetched soon.
    fn keys_wanted(&self, address: &str) {
        let _ = address;
    }
    /// The process will end soon: it still takes messages, but a load balancer should send them elsewhere.
    fn leaving(&self) -> bool {
        false
    }
    /// Why no message can be taken now, with the seconds to wait: draining, overload, no disk space.
    fn overloaded(&self) -> Option<(&'static str, u32)>;
}
