//! The persisted form of what was decided: a turn is a head without personal data and a body with it.
//!
//! Encoding: CBOR with integer field numbers; a reader skips numbers it does not know. Numbers are never
//! reused and an entry never changes its meaning: journals of every earlier release fold.
//! The audit leaf of a turn is `SHA-256(0x00 ‖ head bytes)` (RFC 9162 leaf hash); each head names the
//! leaf of the case's previous turn, so a gap shows before the tree is built.

mod bytes;

use minicbor::{Decode, Encode};

use crate::digest::{Digest, keyed, sha256};
use crate::effect::{Class, EffectState};
use crate::id::{CaseId, EventId, TenantId};
use crate::policy::Verdict;
use crate::program::TIMETABLE;
use crate::value::{Field, Value};

use bytes::encode_to;
pub use bytes::{BodyWriter, args_in};

/// Version of the head's layout.
pub const HEAD_VERSION: u8 = 1;

/// Who or what made a turn.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Actor {
    /// The engine itself: timers, deliveries, recovery.
    #[n(0)]
    Engine,
    /// A message through a door: endpoint name and id of the secret or key that verified it.
    #[n(1)]
    Endpoint {
        /// The door.
        #[n(0)]
        name: String,
        /// Key id.
        #[n(1)]
        kid: String,
    },
    /// A caller of our API, by key id.
    #[n(2)]
    ApiKey(#[n(0)] String),
    /// A person, by account name.
    #[n(3)]
    Person(#[n(0)] String),
    /// A model, by name.
    #[n(4)]
    Model(#[n(0)] String),
    /// A command on the machine itself, by operating-system account.
    #[n(5)]
    Operator(#[n(0)] String),
}

impl Actor {
    /// As shown in explanations and the audit.
    pub fn text(&self) -> String {
        match self {
            Actor::Engine => "engine".into(),
            Actor::Endpoint { name, kid } if kid == TIMETABLE => format!("timetable {name}"),
            Actor::Endpoint { name, kid } => format!("endpoint {name} (key {kid})"),
            Actor::ApiKey(k) => format!("api key {k}"),
            Actor::Person(p) => p.clone(),
            Actor::Model(m) => format!("model {m}"),
            Actor::Operator(o) => format!("operator {o}"),
        }
    }

    /// True for a person and for an operator at the machine.
    pub fn is_person(&self) -> bool {
        matches!(self, Actor::Person(_) | Actor::Operator(_))
    }
}

/// The head of a turn: who, why, versions, verdicts, digests. No personal data, no free text.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Head {
    /// `HEAD_VERSION` of the writer.
    #[n(0)]
    pub v: u8,
    /// The tenant's number.
    #[n(1)]
    pub tenant: u32,
    /// The case; `CaseId::CONTROL` for what belongs to none.
    #[n(2)]
    pub case: CaseId,
    /// Number of the turn within the case, from 1; 0 in the control stream.
    #[n(3)]
    pub seq: u32,
    /// Leaf of the case's previous turn; zeros for the first and in the control stream.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub prev: Digest,
    /// Engine time, µs.
    #[n(5)]
    pub at: i64,
    /// Who made it.
    #[n(6)]
    pub actor: Actor,
    /// Correlation id of the case, printable ASCII.
    #[n(7)]
    pub correlation: String,
    /// Number of the pinned bundle in the tenant.
    #[n(8)]
    pub definition: u32,
    /// Number of the bundle whose policy was current.
    #[n(9)]
    pub policy: u32,
    /// What was decided, in order.
    #[n(10)]
    pub entries: Vec<Entry>,
    /// Keyed digest of the body bytes (keyed by the case's seed, so that nobody can guess a body from it).
    #[cbor(n(11), with = "minicbor::bytes")]
    pub body: Digest,
}

/// One decided thing. Field numbers are for ever.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Entry {
    /// The case began, in the first state.
    #[n(0)]
    Opened,
    /// A message was attached.
    #[n(1)]
    Event {
        /// Its number within the case, from 1.
        #[n(0)]
        n: u32,
        /// Its id.
        #[n(1)]
        id: EventId,
        /// The door.
        #[n(2)]
        endpoint: String,
        /// Which key recognised it: see `KeySource`.
        #[n(3)]
        key_source: String,
        /// Position of the natural key that joined it to this case.
        #[n(4)]
        matched_key: Option<u8>,
        /// Its own correlation id, where that is not the case's.
        #[n(5)]
        correlation: Option<String>,
    },
    /// Fields were set; names and values are in the body.
    #[n(2)]
    FieldsSet {
        /// How many.
        #[n(0)]
        count: u32,
    },
    /// A rule's condition held.
    #[n(3)]
    Rule {
        /// Position from 0.
        #[n(0)]
        rule: u32,
        /// Its line in the workflow file.
        #[n(1)]
        line: u32,
    },
    /// A row of a decision table matched.
    #[n(4)]
    TableRow {
        /// Position of the table, from 0.
        #[n(0)]
        table: u32,
        /// Line in the CSV file.
        #[n(1)]
        line: u32,
    },
    /// No row of a decision table matched.
    #[n(5)]
    TableMiss {
        /// Position of the table, from 0.
        #[n(0)]
        table: u32,
    },
    /// The case moved along a declared edge.
    #[n(6)]
    Moved {
        /// From.
        #[n(0)]
        from: u16,
        /// To.
        #[n(1)]
        to: u16,
        /// Reason code; required where a person acted.
        #[n(2)]
        reason: String,
        /// Owner after the move.
        #[n(3)]
        owner: String,
        /// Instant at which the stay breaches its SLA, µs.
        #[n(4)]
        due: Option<i64>,
    },
    /// The owner changed without a move.
    #[n(7)]
    Assigned {
        /// The new owner.
        #[n(0)]
        owner: String,
        /// Reason code.
        #[n(1)]
        reason: String,
    },
    /// A model was asked.
    #[n(8)]
    Asked {
        /// Number in the ledger.
        #[n(0)]
        n: u32,
        /// The model's name.
        #[n(1)]
        model: String,
    },
    /// A model answered; the typed proposal is in the body.
    #[n(9)]
    Answered(#[n(0)] Answered),
    /// A model gave no usable answer.
    #[n(10)]
    AskFailed {
        /// Number in the ledger.
        #[n(0)]
        n: u32,
        /// `off`, `kill:SCOPE`, `dry_run:SCOPE`, `failed`, `refused`, `invalid`, `timeout`.
        #[n(1)]
        reason: String,
        /// What it said, where it said something that could not be used.
        #[n(2)]
        said: Option<Box<Answered>>,
    },
    /// A branch of the decision was chosen.
    #[n(11)]
    Decided(#[n(0)] Decided),
    /// An effect was planned.
    #[n(12)]
    Planned(#[n(0)] Planned),
    /// A person approved an effect with this digest.
    #[n(13)]
    Approved {
        /// The effect.
        #[n(0)]
        n: u32,
        /// Digest of what was shown and approved.
        #[cbor(n(1), with = "minicbor::bytes")]
        digest: Digest,
    },
    /// An effect reached the end of its life, or a point where a person must look.
    #[n(14)]
    Settled {
        /// The effect.
        #[n(0)]
        n: u32,
        /// Where it stands.
        #[n(1)]
        state: EffectState,
        /// Attempts made.
        #[n(2)]
        attempts: u32,
        /// Error or reason code, empty on success.
        #[n(3)]
        code: String,
        /// How it is known: `answer`, `look_up`, `read`, `callback`, `person`, `gate`, `transaction`, `assumed`,
        /// `recovery`; `none` where nobody can tell.
        #[n(4)]
        evidence: String,
    },
    /// A task was opened.
    #[n(15)]
    TaskOpened {
        /// Its number within the case, from 1.
        #[n(0)]
        n: u32,
        /// `review`, `approve`, `missing`, `hand_off`, `exception`.
        #[n(1)]
        kind: String,
        /// Person or team.
        #[n(2)]
        owner: String,
        /// Reason code.
        #[n(3)]
        reason: String,
        /// When it should be done, µs.
        #[n(4)]
        due: Option<i64>,
        /// The effect it is about.
        #[n(5)]
        effect: Option<u32>,
    },
    /// A task ended.
    #[n(16)]
    TaskClosed {
        /// Its number.
        #[n(0)]
        n: u32,
        /// `approve`, `reject`, `edit`, `accept`, `close`, `answered`, `withdrawn`.
        #[n(1)]
        decision: String,
        /// Reason code.
        #[n(2)]
        reason: String,
    },
    /// A timer was set.
    #[n(17)]
    TimerSet {
        /// Its number within the case, from 1.
        #[n(0)]
        n: u32,
        /// What it is for.
        #[n(1)]
        kind: TimerKind,
        /// When it fires, µs.
        #[n(2)]
        due: i64,
    },
    /// A timer fired or was cancelled.
    #[n(18)]
    TimerEnded {
        /// Its number.
        #[n(0)]
        n: u32,
        /// It fired.
        #[n(1)]
        fired: bool,
    },
    /// The stay in a state ended within or beyond its SLA.
    #[n(19)]
    Sla {
        /// The state.
        #[n(0)]
        state: u16,
        /// Met: the turn's time ≤ due.
        #[n(1)]
        met: bool,
        /// The due instant, µs.
        #[n(2)]
        due: i64,
    },
    /// Something was asked for and refused; nothing else changed.
    #[n(20)]
    Refused {
        /// What was asked for.
        #[n(0)]
        action: String,
        /// Error code `TLnnnn`.
        #[n(1)]
        code: String,
    },
    /// A change that belongs to no case: a switch, a deployment, a key, a flag.
    #[n(21)]
    Control {
        /// What was changed: `kill.set`, `deploy`, `key.create`, …
        #[n(0)]
        action: String,
        /// What it was changed on: a scope, a workflow, a key id.
        #[n(1)]
        object: String,
        /// The new value or the reason code.
        #[n(2)]
        detail: String,
    },
    /// A conflict: the system of record had changed; what it held is in the body.
    #[n(22)]
    Conflict {
        /// The effect whose write was refused.
        #[n(0)]
        n: u32,
        /// Which time for this write, from 1.
        #[n(1)]
        round: u32,
        /// Fields kept as the other side had them.
        #[n(2)]
        kept: u32,
    },
    /// The path of `workflow.goal` ended within its time, or the time passed.
    #[n(23)]
    Goal {
        /// Met: the turn's time ≤ due.
        #[n(0)]
        met: bool,
        /// The due instant, µs: when it was missed, whenever that was noticed.
        #[n(1)]
        due: i64,
    },
    /// A value that arrived was left out, because it is not what it was for. It stands nowhere in the journal.
    #[n(24)]
    LeftOut {
        /// The field, or the part of the file, that goes without it.
        #[n(0)]
        part: String,
        /// What is wrong with it.
        #[n(1)]
        why: String,
    },
    /// An expression of the file had no result. The case goes to a person before anything is decided.
    #[n(25)]
    NotEvaluated {
        /// What the expression is for: `when`, `set FIELD`, `route`, `map FIELD`, `text`.
        #[n(0)]
        part: String,
        /// Its line in the workflow file, or that of the section it stands in.
        #[n(1)]
        line: u32,
        /// What went wrong, without a value.
        #[n(2)]
        why: String,
    },
}

/// `Entry::Answered`.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Answered {
    /// Number in the ledger.
    #[n(0)]
    pub n: u32,
    /// Model name and revision, as the provider says.
    #[n(1)]
    pub model: String,
    /// Digest of prompt, examples and options.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub prompt: Digest,
    /// Keyed digest of the input text.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub input: Digest,
    /// Keyed digest of the answer.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub output: Digest,
    /// Confidence in thousandths; absent where the model gave none.
    #[n(5)]
    pub confidence: Option<u16>,
    /// Tokens in and out, 0 where the model counts none.
    #[n(6)]
    pub tokens: (u32, u32),
    /// How long it took, µs.
    #[n(7)]
    pub took: i64,
    /// Repair rounds before the answer was valid.
    #[n(8)]
    pub repairs: u8,
}

/// `Entry::Decided`.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Decided {
    /// Position of the branch, from 0.
    #[n(0)]
    pub branch: u32,
    /// Its line in the workflow file.
    #[n(1)]
    pub line: u32,
    /// Confidence in thousandths.
    #[n(2)]
    pub confidence: Option<u16>,
    /// Threshold used, in thousandths.
    #[n(3)]
    pub threshold: u16,
    /// `policy_allows` for the branch.
    #[n(4)]
    pub policy_allows: bool,
    /// Why `needs_human` was true: `missing`, `ai_off`, `ai_failed`, `unsure`, `rule`; empty when false.
    #[n(5)]
    pub needs_human: Vec<String>,
    /// For each branch before the chosen one: the parts of its condition that failed.
    #[n(6)]
    pub passed_over: Vec<PassedOver>,
    /// An evaluation error sent the case to a person: its text, without values.
    #[n(7)]
    pub error: Option<String>,
}

/// A branch that was not taken, and why.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct PassedOver {
    /// Position of the branch, from 0.
    #[n(0)]
    pub branch: u32,
    /// Line in the workflow file.
    #[n(1)]
    pub line: u32,
    /// Source texts of the parts that were false or absent, with what was seen where that is no record value.
    #[n(2)]
    pub because: Vec<String>,
}

/// `Entry::Planned`.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Planned {
    /// Number in the ledger, from 1.
    #[n(0)]
    pub n: u32,
    /// Position of the action in the pinned definition.
    #[n(1)]
    pub action: u16,
    /// Its name.
    #[n(2)]
    pub name: String,
    /// Its guarantee class.
    #[n(3)]
    pub class: Class,
    /// Verdict of the policy, the stricter of pinned and current.
    #[n(4)]
    pub verdict: Verdict,
    /// Line of the policy that gave it, 0 = the effective default.
    #[n(5)]
    pub line: u32,
    /// Keyed digest of everything an approver sees.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub digest: Digest,
    /// The state it was born in.
    #[n(7)]
    pub state: EffectState,
    /// Replaces this effect after a conflict. Where it was born cancelled: this effect has said the same already.
    #[n(8)]
    pub replaces: Option<u32>,
    /// The policy would have let it go by itself; it waits because its recipient or amount came from outside.
    #[n(9)]
    #[cbor(default)]
    pub unvouched: bool,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum TimerKind {
    /// A share of the state's SLA has passed.
    #[n(0)]
    Warn,
    /// The state's SLA has passed.
    #[n(1)]
    Breach,
    /// The n-th step of the escalation, from 0.
    #[n(2)]
    Escalate(#[n(0)] u8),
    /// The time that `workflow.goal` gives the whole path has passed.
    #[n(3)]
    Goal,
    /// The n-th step of what is done while nobody answers the question for missing fields, from 0.
    #[n(4)]
    Unanswered(#[n(0)] u8),
}

impl TimerKind {
    /// Whether it is of the stay in a state, and ends with it.
    pub fn is_of_stay(self) -> bool {
        !matches!(self, TimerKind::Goal | TimerKind::Unanswered(_))
    }
}

/// The body of a turn: everything that may be personal. Stored apart, so that erasing it touches no head.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
pub struct Body {
    /// The facts, in order.
    #[n(0)]
    pub facts: Vec<Fact>,
}

/// One fact of a body. Field numbers are for ever.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Fact {
    /// The case's 16-byte seed, in its first turn.
    #[n(0)]
    Seed(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]),
    /// A field's new value.
    #[n(1)]
    Set(#[n(0)] String, #[n(1)] Field),
    /// The arguments of an effect.
    #[n(2)]
    Args(#[n(0)] u32, #[n(1)] Value),
    /// A person's words beside a decision.
    #[n(3)]
    Note(#[n(0)] String),
    /// What a model proposed.
    #[n(4)]
    Proposal(#[n(0)] Value),
    /// What the system of record held: version and values, as read by an effect.
    #[n(5)]
    Seen {
        /// The effect that read it.
        #[n(0)]
        n: u32,
        /// Its version.
        #[n(1)]
        version: String,
        /// Its values, where they were read.
        #[n(2)]
        values: Option<Value>,
    },
    /// What the vendor calls the thing it made.
    #[n(6)]
    VendorRef(#[n(0)] u32, #[n(1)] String),
    /// A natural key that the case holds now, keyed digest.
    #[n(7)]
    Key(#[cbor(n(0), with = "minicbor::bytes")] Digest),
    /// The strongest dedupe key of the case's first message; vendor-side idempotency keys derive from it.
    #[n(8)]
    Origin(#[cbor(n(0), with = "minicbor::bytes")] Digest),
    /// The message as expressions see it (`event`), kept where the workflow reads it after admission.
    #[n(9)]
    Message(#[n(0)] Value),
}

/// A turn in its persisted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Number of the turn within the case.
    pub seq: u32,
    /// CBOR of `Head`.
    pub head: Vec<u8>,
    /// Codec byte (0 = plain) and CBOR of `Body`; absent once erased.
    pub body: Option<Vec<u8>>,
    /// Leaf hash of the head.
    pub leaf: Digest,
}

/// Why stored bytes are no turn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The head cannot be decoded.
    #[error("TL0901 the head of turn {seq} cannot be read: {why}")]
    Head {
        /// Which turn.
        seq: u32,
        /// The decoder's words.
        why: String,
    },
    /// The body cannot be decoded.
    #[error("TL0902 the body of turn {seq} cannot be read: {why}")]
    Body {
        /// Which turn.
        seq: u32,
        /// The decoder's words.
        why: String,
    },
    /// The body is not the one that the head names.
    #[error("TL0903 the body of turn {seq} is not the one its head was sealed with")]
    BodyDigest {
        /// Which turn.
        seq: u32,
    },
    /// The chain is broken.
    #[error("TL0904 turn {seq} does not follow the turn before it")]
    Chain {
        /// Which turn.
        seq: u32,
    },
}

/// Leaf hash of a head (RFC 9162, section 2.1.1).
pub fn leaf_hash(head: &[u8]) -> Digest {
    sha256(&[&[0], head])
}

fn body_digest(seed: &[u8; 16], body: &[u8]) -> Digest {
    keyed(seed, &[b"body", body])
}

/// Seals a turn: encodes the body, puts its digest into the head, encodes the head, hashes the leaf.
pub fn seal(mut head: Head, body: &Body, seed: &[u8; 16]) -> Sealed {
    let mut bytes = vec![0u8];
    encode_to(&mut bytes, body);
    seal_bytes(&mut head, bytes, seed)
}

/// As `seal`, of a body that is encoded already.
pub fn seal_bytes(head: &mut Head, bytes: Vec<u8>, seed: &[u8; 16]) -> Sealed {
    head.body = body_digest(seed, &bytes);
    let seq = head.seq;
    let mut cbor = Vec::with_capacity(512);
    encode_to(&mut cbor, head);
    let leaf = leaf_hash(&cbor);
    Sealed {
        seq,
        head: cbor,
        body: Some(bytes),
        leaf,
    }
}

/// Seals a turn of a tenant's control stream, which belongs to no case. `at` is engine time, µs.
pub fn seal_control(tenant: TenantId, at: i64, actor: Actor, entries: Vec<Entry>) -> Sealed {
    let no_digest: Digest = [0; 32];
    let head = Head {
        v: HEAD_VERSION,
        tenant: tenant.0,
        case: CaseId::CONTROL,
        seq: 0,
        prev: no_digest,
        at,
        actor,
        correlation: String::new(),
        definition: 0,
        policy: 0,
        entries,
        body: no_digest,
    };
    seal(head, &Body::default(), &[0; 16])
}

/// Reads a sealed turn back. The body is `None` once erased.
pub fn open(sealed: &Sealed) -> Result<(Head, Option<Body>), JournalError> {
    let seq = sealed.seq;
    let head: Head = minicbor::decode(&sealed.head).map_err(|e| JournalError::Head {
        seq,
        why: e.to_string(),
    })?;
    let Some(bytes) = &sealed.body else {
        return Ok((head, None));
    };
    let (codec, rest) = bytes.split_first().unwrap_or((&0, &[]));
    if *codec != 0 {
        return Err(JournalError::Body {
            seq,
            why: format!("unknown codec {codec}"),
        });
    }
    let body: Body = minicbor::decode(rest).map_err(|e| JournalError::Body {
        seq,
        why: e.to_string(),
    })?;
    Ok((head, Some(body)))
}

/// Checks that the body is the one the head was sealed with.
pub fn verify_body(sealed: &Sealed, head: &Head, seed: &[u8; 16]) -> Result<(), JournalError> {
    match &sealed.body {
        Some(bytes) if body_digest(seed, bytes) != head.body => {
            Err(JournalError::BodyDigest { seq: sealed.seq })
        }
        _ => Ok(()),
    }
}
