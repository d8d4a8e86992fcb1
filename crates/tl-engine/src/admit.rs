//! Admission: a verified message becomes an event and the first turn of a case, or joins one, in one unit.

use std::sync::Arc;

use tl_kernel::case::Case;
use tl_kernel::decide::{self, Input, decide_on, map_event, natural_key_digests};
use tl_kernel::digest::{Digest, keyed, sha256};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::program::{Endpoint, OnMatch};
use tl_kernel::turn::{Decision, StoredEvent, Turn};
use tl_kernel::value::Value;
use tl_store::contract::{Guard, Refused, Row, Unit};

use crate::desk::{Desk, DeskError, FactSheet, claimed, gate_guard, read_error};
use crate::telemetry::Step;
use crate::tenant::{Bundle, Tenant};

/// Pending messages read at once.
const JOIN_BATCH: u32 = 64;
/// Under this name every joined message is noted once.
const JOINED: &str = "join";
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
    /// The answer to save with it: the same API command gets the same bytes again.
    pub answer: Option<SavedAnswer>,
    /// It was accepted before, without a case: the race for its natural key had been lost too often.
    pub pending: bool,
}

/// The answer of an API command, saved in the unit that it speaks of. Its bytes name the case, and which case that
/// is is known only when the message has been decided, after every race.
#[derive(Debug, Clone)]
pub struct SavedAnswer {
    /// The caller.
    pub principal: String,
    /// The caller's own key for the command.
    pub key: String,
    /// Keyed digest of the request.
    pub fingerprint: Digest,
    /// HTTP status.
    pub status: u16,
    /// The body, from the event and its case; no case while its join is pending.
    pub body: fn(EventId, Option<CaseId>) -> Vec<u8>,
    /// The row may be dropped after this instant, µs.
    pub expires: i64,
}

impl SavedAnswer {
    fn row(&self, event: EventId, case: Option<CaseId>) -> Row {
        Row::Idempotent {
            principal: self.principal.clone(),
            key: self.key.clone(),
            fingerprint: self.fingerprint,
            status: self.status,
            body: (self.body)(event, case),
            expires: self.expires,
        }
    }
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
    bundle: Arc<Bundle>,
    /// Position of the natural key that joins it to the case.
    matched: Option<u8>,
    /// The case was there before.
    joins: bool,
    /// Who holds its natural keys does not take it.
    alone: bool,
}

/// What goes with a message that the engine brings itself.
pub(crate) struct Errand {
    /// As of which view it was decided that it comes: where the gate has moved since, it does not.
    pub(crate) view: Arc<Tenant>,
    /// Rows of its unit.
    pub(crate) rows: Vec<Row>,
}

/// The event that holds a message's dedupe key, and the digest of its payload.
pub(crate) struct Known {
    pub(crate) event: EventId,
    pub(crate) payload: Digest,
}

impl Desk {
    /// Admits a message: decides it, and commits event, keys and turn together.
    pub async fn admit(&self, message: Message) -> Result<Admitted, DeskError> {
        self.admit_counted(message, None).await
    }

    /// Admits what came by a one-time link: it joins the case that has sent the link, and no other.
    pub async fn admit_follow_up(
        &self,
        message: Message,
        case: CaseId,
    ) -> Result<Admitted, DeskError> {
        self.admit_counted(message, Some(case)).await
    }

    /// A repeat is counted with the event that it repeats.
    async fn admit_counted(
        &self,
        message: Message,
        sent_by: Option<CaseId>,
    ) -> Result<Admitted, DeskError> {
        match self.admit_new(&message, None, sent_by).await? {
            Ok(admitted) => Ok(admitted),
            Err(known) => self.repeated(&message, known).await,
        }
    }

    /// Admits a message that is no repeat, and says which event a repeat has. An errand fails with `Busy` where the gate
    /// has moved. `sent_by`: the case that has sent the link by which the message came.
    pub(crate) async fn admit_new(
        &self,
        message: &Message,
        errand: Option<&Errand>,
        sent_by: Option<CaseId>,
    ) -> Result<Result<Admitted, Known>, DeskError> {
        let step = Step::message();
        let mut joins = 0;
        let mut may_be_born = true;
        // The case that holds one of the message's natural keys, once the store has named it.
        let mut holder = sent_by;
        let mut alone = false;
        loop {
            let view = match errand {
                Some(errand) => Arc::clone(&errand.view),
                None => self.tenant(message.tenant).await?,
            };
            let (target, case) = match holder {
                Some(case) if !alone => self.joined(&view, message, case).await?,
                _ => opened(&view, message, alone)?,
            };
            let slot = if may_be_born {
                self.reserve(message.tenant)
            } else {
                None
            };
            let sheet = FactSheet::new(self, &view, &target.bundle, case.definition);
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
            let program = &target.bundle.program;
            let (turn, case) = match decide_on(program, case, input, &facts) {
                Decision::Turn(turn, after) => (*turn, *after),
                // It was acknowledged: where its case does not take it, it has one of its own.
                Decision::Refused(_) if message.pending && target.joins => {
                    alone = true;
                    continue;
                }
                Decision::Refused(refusal) => {
                    self.telemetry().refused(&step, program);
                    // What is tried again and again stands in the audit once, as pending.
                    return Err(match message.pending {
                        true => DeskError::Refused(refusal),
                        false => self.record(message.tenant, refusal).await?,
                    });
                }
            };
            let Ok(slot) = claimed(slot, &turn) else {
                may_be_born = false;
                continue;
            };
            let mut unit = unit(message, &view, &target, Some(&turn));
            unit.rows
                .extend(errand.into_iter().flat_map(|e| e.rows.clone()));
            match self.commit(unit).await? {
                Ok(_) => {
                    self.telemetry().turned(&step, &turn, (&case, program));
                    self.after(|| case, &turn, &target.bundle, slot);
                    return Ok(Ok(Admitted::Accepted {
                        case: Some(turn.case),
                        joined: target.matched,
                    }));
                }
                Err(Refused::Duplicate { event, payload }) => {
                    return Ok(Err(Known { event, payload }));
                }
                Err(Refused::GateMoved) => {
                    self.reload(message.tenant).await?;
                    if errand.is_some() {
                        return Err(DeskError::Busy);
                    }
                }
                // Almost every message is the first one of its case, so who holds its natural keys is not asked
                // before: the commit that finds one taken says whose it is.
                Err(Refused::NaturalKeyTaken { case, .. }) if holder.is_none() => {
                    holder = Some(case);
                }
                Err(Refused::NaturalKeyTaken { .. } | Refused::CaseMoved { .. }) => {
                    joins += 1;
                    if joins >= JOIN_TRIES && (message.pending || sent_by.is_some()) {
                        return Err(DeskError::Busy);
                    }
                    if joins == JOIN_TRIES {
                        let rows = errand.map_or(&[][..], |e| &e.rows);
                        return self.accept_pending((message, rows), &view, &target).await;
                    }
                }
                // Another write to the same target is on its way: this one waits for its turn.
                Err(Refused::Serial) if may_be_born => may_be_born = false,
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
    }

    /// The case that holds a natural key of the message.
    async fn joined(
        &self,
        view: &Tenant,
        message: &Message,
        case: CaseId,
    ) -> Result<(Target, Case), DeskError> {
        let (_, current) = current(view, message)?;
        let case = self.load(view.id, case).await?;
        let bundle = self.bundle(view.id, case.definition).await?;
        let program = &current.program;
        let mut matched = None;
        if let Some(endpoint) = program.endpoint(&message.endpoint) {
            let (record, _) = map_event(program, endpoint, &message.event, 1);
            let keys = natural_key_digests(program, &record, &message.event, &view.key);
            let held = keys.iter().find(|(_, key)| case.keys.contains(key));
            matched = held.map(|(position, _)| *position);
        }
        let target = Target {
            bundle,
            matched,
            joins: true,
            alone: false,
        };
        Ok((target, case))
    }

    /// Joins what was accepted without a case. `event` reads a stored message again, as expressions see it. What cannot
    /// be joined now stays, and keeps none of the others waiting. Returns how many were joined.
    pub async fn join_pending(
        &self,
        event: impl Fn(&Endpoint, &StoredEvent) -> Option<Value>,
    ) -> Result<usize, DeskError> {
        let (mut joined, mut closed, mut after) = (0, 0, 0);
        loop {
            let page = self.store().pending_joins(after, JOIN_BATCH).await;
            let page = page.map_err(read_error)?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            let is_last = page.len() < JOIN_BATCH as usize;
            for (_, tenant, stored) in page {
                let id = stored.id;
                match self.join((tenant, stored), &event).await {
                    Ok(true) => joined += 1,
                    Ok(false) => closed += 1,
                    Err(DeskError::Busy | DeskError::Store(Refused::KeyUsed)) => {}
                    Err(DeskError::Stopped(s)) => return Err(s.into()),
                    Err(e) => tracing::warn!(error = %e, event_id = %id, "a pending join"),
                }
            }
            if is_last {
                break;
            }
        }
        if closed > 0 {
            tracing::warn!(
                messages = closed,
                "acknowledged messages wait for a version that has their endpoint"
            );
        }
        Ok(joined)
    }

    /// Joins one message; `false` where its door is not there any more.
    async fn join(
        &self,
        (tenant, stored): (TenantId, StoredEvent),
        event: impl Fn(&Endpoint, &StoredEvent) -> Option<Value>,
    ) -> Result<bool, DeskError> {
        let view = self.tenant(tenant).await?;
        let mut programs = view.current.values().map(|(_, bundle)| &bundle.program);
        let found = programs.find_map(|p| Some((p, p.endpoint(&stored.endpoint)?)));
        let Some((program, value)) = found.and_then(|(p, e)| Some((p, event(e, &stored)?))) else {
            return Ok(false);
        };
        let seed = keyed(&view.key, &[b"pending", &stored.id.0]);
        let message = Message {
            tenant,
            workflow: program.id.clone(),
            endpoint: stored.endpoint,
            event: value,
            id: stored.id,
            seed: std::array::from_fn(|i| seed[i]),
            keys: vec![keyed(&view.key, &[b"pending-key", &stored.id.0])],
            key_source: stored.key_source,
            expires: 0,
            kid: stored.kid,
            received_at: stored.received_at,
            content_type: stored.content_type,
            payload: stored.payload,
            answer: None,
            pending: true,
        };
        self.admit(message).await.map(|_| true)
    }

    /// The duplicate is counted; bytes that differ from the first are kept as a digest.
    pub(crate) async fn repeated(
        &self,
        message: &Message,
        Known { event, payload }: Known,
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
        (message, rows): (&Message, &[Row]),
        view: &Tenant,
        target: &Target,
    ) -> Result<Result<Admitted, Known>, DeskError> {
        let mut unit = unit(message, view, target, None);
        unit.rows.extend_from_slice(rows);
        match self.commit(unit).await? {
            Ok(_) => Ok(Ok(Admitted::Accepted {
                case: None,
                joined: None,
            })),
            Err(Refused::Duplicate { event, payload }) => Ok(Err(Known { event, payload })),
            Err(other) => Err(DeskError::Store(other)),
        }
    }
}

/// The current version of the message's workflow.
fn current<'v>(view: &'v Tenant, message: &Message) -> Result<&'v (u32, Arc<Bundle>), DeskError> {
    view.current
        .get(&message.workflow)
        .ok_or_else(|| DeskError::Missing(format!("workflow {}", message.workflow)))
}

/// A case of its own; `alone`: whoever holds its natural keys.
fn opened(view: &Tenant, message: &Message, alone: bool) -> Result<(Target, Case), DeskError> {
    let (number, bundle) = current(view, message)?;
    let target = Target {
        bundle: Arc::clone(bundle),
        matched: None,
        joins: false,
        alone,
    };
    let case = Case::new(view.id, CaseId(message.id.0), *number);
    Ok((target, case))
}

fn unit(message: &Message, view: &Tenant, target: &Target, turn: Option<&Turn>) -> Unit {
    let mut unit = Unit::new(message.tenant);
    if !message.pending {
        unit.guards.push(keys_free(message));
    }
    unit.guards.push(gate_guard(view));
    let program = &target.bundle.program;
    if let Some(turn) = turn
        && !target.joins
        && !target.alone
        && program.record.on_match != OnMatch::Open
        && !turn.natural_keys.is_empty()
    {
        unit.guards.push(Guard::NaturalKeysFree {
            workflow: program.id.clone(),
            keys: turn.natural_keys.clone(),
        });
    }
    unit.turns.extend(turn.cloned());
    if let (true, Some(turn)) = (message.pending, turn) {
        unit.rows.push(Row::EventJoined {
            event: message.id,
            case: turn.case,
        });
        // Of two nodes that join it one does.
        unit.rows.push(Row::Idempotent {
            principal: JOINED.into(),
            key: message.id.to_string(),
            fingerprint: Digest::default(),
            status: 0,
            body: Vec::new(),
            expires: message.received_at.saturating_add(DEDUPE_KEEP),
        });
        return unit;
    }
    let case = turn.map(|t| t.case);
    unit.rows.push(event_row(message, case));
    let answer = message.answer.as_ref();
    unit.rows.extend(answer.map(|a| a.row(message.id, case)));
    unit
}

/// No message with one of its dedupe keys has come before.
pub(crate) fn keys_free(message: &Message) -> Guard {
    Guard::KeysFree {
        endpoint: message.endpoint.clone(),
        keys: message.keys.clone(),
    }
}

/// What is kept of a message, with its dedupe keys.
pub(crate) fn event_row(message: &Message, case: Option<CaseId>) -> Row {
    Row::Event {
        event: StoredEvent {
            id: message.id,
            endpoint: message.endpoint.clone(),
            received_at: message.received_at,
            kid: message.kid.clone(),
            key_source: message.key_source.clone(),
            case,
            content_type: message.content_type.clone(),
            payload: message.payload.clone(),
        },
        keys: message.keys.clone(),
        expires: message.expires,
    }
}
