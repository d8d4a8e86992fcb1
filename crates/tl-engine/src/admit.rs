//! Admission: a verified message becomes an event and the first turn of a case, or joins one, in one unit.

use std::sync::Arc;

use tl_kernel::case::Case;
use tl_kernel::decide::{self, Input, decide, map_event, natural_key_digests};
use tl_kernel::digest::{Digest, keyed, sha256};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::program::{Endpoint, OnMatch};
use tl_kernel::turn::{Decision, StoredEvent, Turn};
use tl_kernel::value::Value;
use tl_store::contract::{Guard, Refused, Row, Unit};

use crate::desk::{Desk, DeskError, FactSheet, gate_guard, read_error};
use crate::telemetry::Step;
use crate::tenant::{Bundle, Tenant};

/// Pending messages joined in one look.
const JOIN_BATCH: u32 = 64;
/// How often a join that lost its race is tried again at the door.
const JOIN_TRIES: usize = 3;

/// A verified, parsed message.
#[derive(Debug, Clone)]
pub struct Message {
    /// The tenant.
    pub tenant: TenantId,
    /// The workflow whose door it came through.
    pub workflow: String,
    /// The door.
    pub endpoint: String,
    /// The message as expressions see it: `event`.
    pub event: Value,
    /// Its id.
    pub id: EventId,
    /// Fresh seed for the case it may open.
    pub seed: [u8; 16],
    /// Dedupe keys, the strongest first.
    pub keys: Vec<Digest>,
    /// Which rule gave the strongest.
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
    /// Rows to commit with it: the saved answer of an API command.
    pub rows: Vec<Row>,
    /// It was accepted before, without a case: the race for its natural key had been lost too often.
    pub pending: bool,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// Committed.
    Accepted {
        /// The case; absent while its join is pending.
        case: Option<CaseId>,
        /// Position of the natural key that joined it.
        joined: Option<u8>,
    },
    /// Known.
    Duplicate {
        /// The event that was there.
        event: EventId,
        /// The bytes differ.
        variant: bool,
    },
}

/// Where the message belongs, as of a look at the store.
struct Target {
    case: Case,
    bundle: Arc<Bundle>,
    matched: Option<u8>,
    natural: Vec<Digest>,
}

impl Desk {
    /// Admits a message: decides it, and commits event, keys and turn together.
    pub async fn admit(&self, message: Message) -> Result<Admitted, DeskError> {
        let step = Step::message();
        let mut joins = 0;
        let mut may_be_born = true;
        loop {
            let view = self.tenant(message.tenant).await?;
            let target = self.target(&view, &message).await?;
            let slot = if may_be_born { self.reserve() } else { None };
            let sheet = FactSheet::new(self, &view, &target.bundle, target.case.definition);
            let facts = sheet.facts(Some(&message.event), slot.is_some());
            let input = Input::EventAdmitted(decide::Admitted {
                id: message.id,
                endpoint: message.endpoint.clone(),
                kid: message.kid.clone(),
                key_source: message.key_source.clone(),
                origin: message.keys.first().copied().unwrap_or_default(),
                seed: message.seed,
                matched_key: target.matched,
            });
            let turn = match decide(&target.bundle.program, &target.case, input, &facts) {
                Decision::Turn(turn) => *turn,
                Decision::Refused(refusal) => {
                    self.telemetry().refused(&step, &target.bundle.program);
                    return Err(self.record(message.tenant, refusal).await?);
                }
            };
            let unit = unit(&message, &view, &target, Some(&turn));
            match self.commit(unit).await? {
                Ok(_) => {
                    let case = self.after(target.case, &turn, &target.bundle, slot)?;
                    self.telemetry()
                        .turned(&step, &turn, (&case, &target.bundle.program));
                    return Ok(Admitted::Accepted {
                        case: Some(case.id),
                        joined: target.matched,
                    });
                }
                Err(Refused::Duplicate { event, payload }) => {
                    return self.duplicate(&message, event, payload).await;
                }
                Err(Refused::GateMoved) => {
                    self.reload(message.tenant).await?;
                }
                Err(Refused::NaturalKeyTaken { .. } | Refused::CaseMoved { .. }) => {
                    joins += 1;
                    if joins >= JOIN_TRIES && message.pending {
                        return Err(DeskError::Busy);
                    }
                    if joins == JOIN_TRIES {
                        return self.accept_pending(&message, &view, &target).await;
                    }
                }
                // Another write to the same target is on its way: this one waits for its turn.
                Err(Refused::Serial) if may_be_born => may_be_born = false,
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
    }

    async fn target(&self, view: &Tenant, message: &Message) -> Result<Target, DeskError> {
        let (number, bundle) = view
            .current
            .get(&message.workflow)
            .ok_or_else(|| DeskError::Missing(format!("workflow {}", message.workflow)))?;
        let program = &bundle.program;
        let mut natural = Vec::new();
        if !program.record.natural_keys.is_empty()
            && let Some(endpoint) = program.endpoint(&message.endpoint)
        {
            let (record, _) = map_event(program, endpoint, &message.event, 1);
            natural = natural_key_digests(program, &record, &message.event, &view.key);
        }
        let digests: Vec<Digest> = natural.iter().map(|(_, d)| *d).collect();
        if program.record.on_match != OnMatch::Open && !digests.is_empty() {
            let found = self
                .store()
                .natural_key(view.id, program.id.clone(), digests.clone())
                .await
                .map_err(read_error)?;
            if let Some((case, position)) = found {
                let case = self.load(view.id, case).await?;
                let bundle = self.bundle(view.id, case.definition).await?;
                return Ok(Target {
                    case,
                    bundle,
                    matched: natural.get(position as usize).map(|(ix, _)| *ix),
                    natural: Vec::new(),
                });
            }
        }
        let natural = if program.record.on_match == OnMatch::Open {
            Vec::new()
        } else {
            digests
        };
        Ok(Target {
            case: Case::new(view.id, CaseId(message.id.0), *number),
            bundle: Arc::clone(bundle),
            matched: None,
            natural,
        })
    }

    /// Joins what was accepted without a case. `event` reads a stored message again, as expressions see it.
    /// Returns how many were joined.
    pub async fn join_pending(
        &self,
        event: impl Fn(&Endpoint, &StoredEvent) -> Option<Value>,
    ) -> Result<usize, DeskError> {
        let pending = self
            .store()
            .pending_joins(JOIN_BATCH)
            .await
            .map_err(read_error)?;
        let mut joined = 0;
        for (tenant, stored) in pending {
            let view = self.tenant(tenant).await?;
            let mut programs = view.current.values().map(|(_, bundle)| &bundle.program);
            let found = programs.find_map(|p| Some((p, p.endpoint(&stored.endpoint)?)));
            let Some((program, value)) = found.and_then(|(p, e)| Some((p, event(e, &stored)?)))
            else {
                tracing::warn!(event = %stored.id, "a pending message has no door any more");
                continue;
            };
            let seed = keyed(&view.key, &[b"pending", &stored.id.0]);
            let message = Message {
                tenant,
                workflow: program.id.clone(),
                endpoint: stored.endpoint.clone(),
                event: value,
                id: stored.id,
                seed: std::array::from_fn(|i| seed[i]),
                keys: vec![keyed(&view.key, &[b"pending-key", &stored.id.0])],
                key_source: stored.key_source.clone(),
                expires: 0,
                kid: stored.kid.clone(),
                received_at: stored.received_at,
                content_type: stored.content_type.clone(),
                payload: stored.payload.clone(),
                rows: Vec::new(),
                pending: true,
            };
            match self.admit(message).await {
                Ok(_) => joined += 1,
                Err(DeskError::Busy) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(joined)
    }

    /// The duplicate is counted; bytes that differ from the first are kept as a digest.
    async fn duplicate(
        &self,
        message: &Message,
        event: EventId,
        payload: Digest,
    ) -> Result<Admitted, DeskError> {
        let ours = sha256(&[&message.payload]);
        let variant = ours != payload;
        let mut unit = Unit::new(message.tenant);
        unit.rows.push(Row::Variant {
            event,
            body: variant.then_some(ours),
            at: message.received_at,
        });
        if let Err(refused) = self.commit(unit).await? {
            return Err(DeskError::Store(refused));
        }
        Ok(Admitted::Duplicate { event, variant })
    }

    /// The race for the natural key was lost too often: the event is committed alone and joined later.
    async fn accept_pending(
        &self,
        message: &Message,
        view: &Tenant,
        target: &Target,
    ) -> Result<Admitted, DeskError> {
        let unit = unit(message, view, target, None);
        match self.commit(unit).await? {
            Ok(_) => Ok(Admitted::Accepted {
                case: None,
                joined: None,
            }),
            Err(Refused::Duplicate { event, payload }) => {
                self.duplicate(message, event, payload).await
            }
            Err(other) => Err(DeskError::Store(other)),
        }
    }
}

fn unit(message: &Message, view: &Tenant, target: &Target, turn: Option<&Turn>) -> Unit {
    let mut unit = Unit::new(message.tenant);
    if !message.pending {
        unit.guards.push(Guard::KeysFree {
            endpoint: message.endpoint.clone(),
            keys: message.keys.clone(),
        });
    }
    unit.guards.push(gate_guard(view));
    if turn.is_some() && target.matched.is_none() && !target.natural.is_empty() {
        unit.guards.push(Guard::NaturalKeysFree {
            workflow: target.bundle.program.id.clone(),
            keys: target.natural.clone(),
        });
    }
    unit.turns.extend(turn.cloned());
    if let (true, Some(turn)) = (message.pending, turn) {
        unit.rows.push(Row::EventJoined {
            event: message.id,
            case: turn.case,
        });
        return unit;
    }
    unit.rows.push(Row::Event {
        event: StoredEvent {
            id: message.id,
            endpoint: message.endpoint.clone(),
            received_at: message.received_at,
            kid: message.kid.clone(),
            key_source: message.key_source.clone(),
            case: turn.map(|t| t.case),
            content_type: message.content_type.clone(),
            payload: message.payload.clone(),
        },
        keys: message.keys.clone(),
        expires: message.expires,
    });
    unit.rows.extend(message.rows.iter().cloned());
    unit
}
