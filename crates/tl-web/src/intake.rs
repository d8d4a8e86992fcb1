//! What the doors need from the rest of the product. tl-web declares it, the binary wires it: no handler
//! reaches the engine or opens a socket by itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tl_document::{Declared, Document, Unread};
use tl_kernel::contact::Consent;
use tl_kernel::digest::Digest;
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::program::{Program, RecordType};
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
    /// The case that has sent the one-time link by which it came: it joins that one, and no other.
    pub case: Option<CaseId>,
    /// What its sender says about being written to: that is done, and opens no case.
    pub consent: Option<Consent>,
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

/// A case that waits for fields which a sender may give.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The door that its links lead to.
    pub endpoint: String,
    /// The record of the version that the case is pinned to.
    pub record: RecordType,
    /// The message that asked last, by its number among the effects of the case.
    pub ask: u32,
    /// The fields, in file order.
    pub fields: Vec<String>,
}

/// What the doors ask of the rest of the product.
pub trait Intake: Send + Sync + 'static {
    /// The view of a tenant by name; `None` for an unknown one.
    fn tenant<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Arc<TenantView>>>;
    /// The tenant that an API key id belongs to.
    fn tenant_of_key<'a>(&'a self, kid: &'a str) -> Answer<'a, Option<Arc<TenantView>>>;
    /// Decides the message and commits event, dedupe keys and the case's turn in one unit.
    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>>;
    /// The fields that a case waits for; `None` where it waits for none.
    fn waiting(&self, tenant: TenantId, case: CaseId) -> Answer<'_, Option<Waiting>> {
        let _ = (tenant, case);
        Box::pin(async { None })
    }
    /// The text of a document, or why it has none; `None` where nobody can read it now. Whoever has no reader says so.
    fn read_document(
        &self,
        bytes: Vec<u8>,
        declared: Declared,
    ) -> Answer<'_, Option<Result<Document, Unread>>> {
        let _ = (bytes, declared);
        let why = "nobody reads documents here".to_owned();
        Box::pin(async { Some(Err(Unread::NotTried { why })) })
    }
    /// Engine time, µs.
    fn now(&self) -> i64;
    /// What the calendar says, µs. What senders have signed or had issued is held against it: they know nothing of
    /// engine time, which goes its own way while somebody has set the machine's clock.
    fn wall(&self) -> i64;
    /// How far the calendar is ahead of engine time, µs, where that is more than a correction explains; negative: behind.
    /// Else 0.
    fn clock_ahead(&self) -> i64 {
        0
    }
    /// A sender shows a key that the fetched set of this address does not have, or there is no set yet: it should be
    /// fetched soon.
    fn keys_wanted(&self, address: &str) {
        let _ = address;
    }
    /// The process will end soon: it still takes messages, but a load balancer should send them elsewhere.
    fn leaving(&self) -> bool {
        false
    }
    /// How long a sender of a tenant waits because of what the tenant has sent already, seconds; none where that is
    /// worked off as it comes.
    fn backlog(&self, tenant: TenantId) -> Option<u32> {
        let _ = tenant;
        None
    }
    /// Why no message can be taken now, with the seconds to wait: draining, overload, no disk space.
    fn overloaded(&self) -> Option<(&'static str, u32)>;
}
