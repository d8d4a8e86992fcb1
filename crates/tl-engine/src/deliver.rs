//! One effect's way: gate, attempt, outcome. Intent is durable before the first byte; a crash in between makes
//! the effect uncertain and is resolved by its class, never by age.

use std::time::{Duration, Instant};

use tl_connect::backoff::Backoff;
use tl_kernel::case::Case;
use tl_kernel::decide::{CaseScope, Input, ModelAnswer, Settlement, window_start};
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::gate::{GateVerdict, Intent, Known, gate};
use tl_kernel::limits::{ATTEMPT_DEADLINE, MAX_ATTEMPTS, MAX_CRASHES};
use tl_kernel::policy::{LimitScope, PolicyLine, Verdict};
use tl_kernel::time::{DAY, SECOND};
use tl_kernel::turn::EffectKind;
use tl_kernel::value::Value;
use tl_store::contract::{Attempt, EffectChange, EffectRow, Guard, Refused, Row, Unit};

use crate::desk::{DeskError, FactSheet, NODE, gate_guard};
use crate::telemetry::Observed;
use crate::tenant::Tenant;
use crate::worker::{Flight, Worker};

/// A row that a switch holds is looked at again after this.
const HOLD_RECHECK: i64 = 5 * SECOND;
/// A vendor's key is trusted for this long after the first send (0.8 of a day).
const KEY_WINDOW: i64 = DAY / 10 * 8;

/// What the gate let happen.
enum Cleared {
    /// The attempt is durable; send.
    Go,
    /// Nothing more to do now.
    Done,
}

/// What an attempt came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The effect ends, or needs a person.
    Settle(Settlement),
    /// It is tried again.
    Retry {
        code: String,
        hold: &'static str,
        wait: Option<i64>,
    },
    /// A model answered.
    Answer(Box<ModelAnswer>),
    /// A model gave no usable answer.
    NoAnswer(String),
}

/// An outcome with its evidence and the rows that belong to it.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) rows: Vec<Row>,
}

impl Worker {
    /// Sees one effect through to its next resting place.
    pub(crate) async fn see_through(&self, flight: Flight) -> Result<(), DeskError> {
        let Flight { mut row, case, .. } = flight;
        let ours = row
            .claim
            .is_some_and(|(node, epoch, _)| node == NODE && epoch == self.desk.store().epoch());
        if row.state == EffectState::Dispatching && (!ours || self.past_deadline(&row)) {
            return self.recover(row).await;
        }
        if row.state == EffectState::Uncertain {
            return self.resolve(row, case).await;
        }
        if row.state == EffectState::Ready {
            match self.clear(&mut row).await? {
                Cleared::Done => return Ok(()),
                Cleared::Go => {}
            }
        }
        self.observe(&row, Observed::Begun).await;
        let begun = Instant::now();
        let finished = match row.kind {
            EffectKind::Ask => self.ask(&row).await?,
            EffectKind::Effect => self.send(&mut row).await?,
        };
        let (outcome, code) = finished.words();
        self.observe(&row, Observed::Ended(outcome, code, begun.elapsed()))
            .await;
        if let Outcome::Answer(a) = &finished.outcome {
            let (read, written) = a.answered.tokens;
            self.observe(&row, Observed::Tokens(read, written)).await;
        }
        self.record(row, case, finished).await
    }

    fn past_deadline(&self, row: &EffectRow) -> bool {
        row.claim
            .is_some_and(|(_, _, deadline)| deadline < self.desk.now())
    }

    /// Asks the gate and makes the attempt durable.
    async fn clear(&self, row: &mut EffectRow) -> Result<Cleared, DeskError> {
        let mut fresh = false;
        loop {
            let view = self.desk.tenant(row.tenant).await?;
            let (verdict, approved) = self.verdict(&view, row).await?;
            let line = self.policy_line(&view, row);
            let slot = self.limit_slot(row, line.as_ref(), &view).await?;
            let now = self.desk.now();
            let intent = Intent {
                workflow: &row.workflow,
                action: &row.action,
                connection: &row.connection,
                is_ask: row.kind == EffectKind::Ask,
                verdict,
                approved,
                valid_until: row.valid_until,
            };
            let known = Known {
                now,
                switches: &view.switches,
                quiet_hours: line.as_ref().and_then(|l| l.quiet_hours.as_ref()),
                limit: slot.as_ref().map(|s| (s.taken, s.count)),
            };
            let answer = gate(&intent, &known);
            if answer != GateVerdict::Send && !fresh {
                // Sending is guarded by the gate's epoch; not sending must rest on a fresh look as well.
                self.desk.reload(row.tenant).await?;
                fresh = true;
                continue;
            }
            self.observe(row, Observed::Gate(&answer)).await;
            let stop = match answer {
                GateVerdict::Send => None,
                GateVerdict::Hold { until, why } => {
                    self.hold(row, until.unwrap_or(now + HOLD_RECHECK), why)
                        .await?;
                    return Ok(Cleared::Done);
                }
                GateVerdict::NeedsApproval => Some((EffectState::Cancelled, "policy".to_owned())),
                GateVerdict::DryRun { .. } => Some((EffectState::Succeeded, "dry_run".to_owned())),
                GateVerdict::Refuse { why } if why == "expired" => {
                    Some((EffectState::Expired, why))
                }
                GateVerdict::Refuse { why } => Some((EffectState::Cancelled, why)),
            };
            if let Some((state, code)) = stop {
                self.stop_at_gate(row.clone(), state, code).await?;
                return Ok(Cleared::Done);
            }
            if row.class == Class::E0 {
                if self.deliver_local(row, &view, slot).await? {
                    return Ok(Cleared::Done);
                }
                continue;
            }
            let mut unit = Unit::new(row.tenant);
            unit.guards.push(gate_guard(&view));
            unit.guards.extend(slot.map(Slot::guard));
            let epoch = self.desk.store().epoch();
            let mut change = self.change(row, EffectState::Dispatching, now);
            change.attempt = row.attempt + 1;
            change.claim = Some((NODE, epoch, now + ATTEMPT_DEADLINE));
            change.first_send = row.first_send.or(Some(now));
            unit.rows.push(Row::Effect(change.clone()));
            match self.desk.commit(unit).await? {
                Ok(_) => {
                    row.state = EffectState::Dispatching;
                    row.attempt = change.attempt;
                    row.claim = change.claim;
                    row.first_send = change.first_send;
                    return Ok(Cleared::Go);
                }
                Err(Refused::GateMoved) => {
                    self.desk.reload(row.tenant).await?;
                }
                Err(Refused::SlotTaken) => {}
                Err(Refused::EffectMoved { .. } | Refused::Serial) => return Ok(Cleared::Done),
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
    }

    /// The stricter of the verdict it was planned with and the current policy's. A ready row was automatic or
    /// approved when it was planned, so only a newer policy has to be asked.
    async fn verdict(&self, view: &Tenant, row: &EffectRow) -> Result<(Verdict, bool), DeskError> {
        let current = view.current.get(&row.workflow);
        let Some((number, bundle)) = current.filter(|(number, _)| *number != row.definition) else {
            return Ok((Verdict::Auto, true));
        };
        if row.kind == EffectKind::Ask {
            return Ok((Verdict::Auto, true));
        }
        let case = self.desk.load(row.tenant, row.effect.case).await?;
        let pinned = self.desk.bundle(row.tenant, row.definition).await?;
        let sheet = FactSheet::new(&self.desk, view, &pinned, *number);
        let facts = sheet.facts(None, false);
        let scope = CaseScope::new(&pinned.program, &case, &facts);
        // A condition that cannot be evaluated closes the gate.
        let ruled = bundle.program.policy.rule(&row.action, &scope);
        let ruled = ruled.map_or(Verdict::Never, |r| r.verdict);
        let effect = case.effects.get(&row.effect.n);
        let planned = effect.map_or(Verdict::Never, |e| e.verdict);
        let approved = effect.is_some_and(|e| e.approved);
        Ok((ruled.min(planned), approved))
    }

    fn policy_line(&self, view: &Tenant, row: &EffectRow) -> Option<PolicyLine> {
        let (_, bundle) = view.current.get(&row.workflow)?;
        bundle.program.policy.line(&row.action).cloned()
    }

    /// The use of the action's limit that this attempt would take.
    async fn limit_slot(
        &self,
        row: &EffectRow,
        line: Option<&PolicyLine>,
        view: &Tenant,
    ) -> Result<Option<Slot>, DeskError> {
        let Some(limit) = line.and_then(|l| l.limit).filter(|_| row.attempt == 0) else {
            return Ok(None);
        };
        let args = arguments(row);
        let to = args.at(&["to"]).map(Value::to_string).unwrap_or_default();
        let case = row.effect.case.0;
        let subject = match limit.per {
            LimitScope::Contact => keyed(&view.key, &[b"contact", to.as_bytes()]),
            LimitScope::Case => keyed(&view.key, &[b"case", &case]),
            LimitScope::Tenant => keyed(&view.key, &[b"tenant"]),
        };
        let window = window_start(self.desk.now(), limit.window);
        let taken = self
            .desk
            .store()
            .slots_taken(row.tenant, row.action.clone(), subject, window)
            .await
            .map_err(crate::desk::read_error)?;
        Ok(Some(Slot {
            action: row.action.clone(),
            subject,
            window,
            taken,
            count: limit.count,
        }))
    }

    async fn hold(&self, row: &EffectRow, until: i64, why: String) -> Result<(), DeskError> {
        let mut change = self.change(row, EffectState::Ready, until);
        change.hold = why;
        self.write(row, change, None).await
    }

    /// The gate ended it: no byte left.
    async fn stop_at_gate(
        &self,
        row: EffectRow,
        state: EffectState,
        code: String,
    ) -> Result<(), DeskError> {
        let outcome = match row.kind {
            // Which switch kept a model from being asked stands in the journal.
            EffectKind::Ask if code.starts_with("kill:") => Outcome::NoAnswer(code),
            EffectKind::Ask => Outcome::NoAnswer("off".into()),
            EffectKind::Effect => Outcome::Settle(settlement(&row, state, &code, "gate")),
        };
        let finished = Finished {
            outcome,
            attempt: None,
            rows: Vec::new(),
        };
        self.record(row, None, finished).await
    }

    /// Writes what an attempt came to: the ledger's row and the case's turn in one unit.
    pub(crate) async fn record(
        &self,
        row: EffectRow,
        case: Option<Case>,
        finished: Finished,
    ) -> Result<(), DeskError> {
        let Finished {
            outcome,
            attempt,
            mut rows,
        } = finished;
        rows.extend(attempt.map(Row::Attempt));
        let (to, code, input) = match outcome {
            Outcome::Retry { code, hold, wait } => {
                return self.retry(row, code, hold, wait, rows).await;
            }
            Outcome::Settle(s) => (s.state, s.code.clone(), Input::EffectSettled(s)),
            Outcome::Answer(a) => (
                EffectState::Succeeded,
                String::new(),
                Input::ModelAnswered(*a),
            ),
            Outcome::NoAnswer(reason) => (
                EffectState::Failed,
                reason.clone(),
                Input::ModelFailed {
                    n: row.effect.n,
                    reason,
                },
            ),
        };
        let due = if to == EffectState::Uncertain {
            i64::MAX
        } else {
            self.desk.now()
        };
        let mut settled = self.change(&row, to, due);
        settled.code = code;
        if to == EffectState::Expired {
            // What it waited for until then is why it came to this.
            settled.hold.clone_from(&row.hold);
        }
        if let Input::EffectSettled(s) = &input {
            settled.vendor_ref.clone_from(&s.vendor_ref);
        }
        rows.push(Row::Effect(settled));
        let at = (row.tenant, row.effect.case);
        match self.desk.advance(at, input, rows.clone(), case).await {
            Ok(_) => Ok(()),
            // The case does not wait for it any more; the ledger still says what became of it.
            Err(DeskError::Refused(_)) => {
                let mut unit = Unit::new(row.tenant);
                unit.rows = rows;
                self.commit_late(unit).await
            }
            Err(DeskError::Store(Refused::EffectMoved { .. })) => self.late(rows, &row).await,
            Err(e) => Err(e),
        }
    }

    /// Somebody else moved the effect on: what we saw is evidence, not truth.
    async fn late(&self, rows: Vec<Row>, row: &EffectRow) -> Result<(), DeskError> {
        let mut unit = Unit::new(row.tenant);
        unit.rows = rows
            .into_iter()
            .filter(|r| matches!(r, Row::Attempt(_)))
            .collect();
        if unit.rows.is_empty() {
            Ok(())
        } else {
            self.commit_late(unit).await
        }
    }

    async fn commit_late(&self, unit: Unit) -> Result<(), DeskError> {
        match self.desk.commit(unit).await? {
            Ok(_) | Err(Refused::EffectMoved { .. }) => Ok(()),
            Err(other) => Err(DeskError::Store(other)),
        }
    }

    async fn retry(
        &self,
        row: EffectRow,
        code: String,
        hold: &str,
        wait: Option<i64>,
        mut rows: Vec<Row>,
    ) -> Result<(), DeskError> {
        if row.attempt >= MAX_ATTEMPTS {
            let outcome = if row.kind == EffectKind::Ask {
                Outcome::NoAnswer("failed".into())
            } else {
                Outcome::Settle(settlement(&row, EffectState::Dead, &code, "answer"))
            };
            let finished = Finished {
                outcome,
                attempt: None,
                rows,
            };
            return Box::pin(self.record(row, None, finished)).await;
        }
        let delay = Backoff::DURABLE.delay(row.attempt.saturating_sub(1), &row.key, wait);
        let mut again = self.change(&row, EffectState::Ready, self.desk.now() + delay);
        (again.hold, again.code) = (hold.to_owned(), code);
        rows.push(Row::Effect(again));
        let mut unit = Unit::new(row.tenant);
        unit.rows = rows;
        self.commit_late(unit).await
    }

    /// Writes a ledger row that the case need not know about.
    pub(crate) async fn write(
        &self,
        row: &EffectRow,
        change: EffectChange,
        attempt: Option<Attempt>,
    ) -> Result<(), DeskError> {
        let mut unit = Unit::new(row.tenant);
        unit.rows.push(Row::Effect(change));
        unit.rows.extend(attempt.map(Row::Attempt));
        self.commit_late(unit).await
    }

    /// An attempt that nobody finished: its node died or it passed its deadline. What may be repeated is ready
    /// again; everything else is uncertain. The crash is counted before anything is tried.
    async fn recover(&self, row: EffectRow) -> Result<(), DeskError> {
        let crashes = row.crashes + 1;
        if crashes >= MAX_CRASHES {
            let outcome = match row.kind {
                EffectKind::Ask => Outcome::NoAnswer("failed".into()),
                EffectKind::Effect => {
                    Outcome::Settle(settlement(&row, EffectState::Dead, "poison", "recovery"))
                }
            };
            let finished = Finished {
                outcome,
                attempt: None,
                rows: Vec::new(),
            };
            return self.record(row, None, finished).await;
        }
        let now = self.desk.now();
        let in_key_window = row.first_send.is_some_and(|t| now < t + KEY_WINDOW);
        let nothing_written = row.class == Class::E2 && row.base_version.is_none();
        let again = match row.class {
            Class::E5 | Class::E0 => true,
            Class::E1 => in_key_window,
            Class::E2 => nothing_written,
            Class::E3 | Class::E4 => false,
        };
        let to = if again {
            EffectState::Ready
        } else {
            EffectState::Uncertain
        };
        let mut change = self.change(&row, to, now);
        change.crashes = crashes;
        change.code = "crashed".into();
        let attempt = crashed_attempt(&row, now);
        let took = Duration::from_micros(attempt.took.max(0).unsigned_abs());
        self.write(&row, change, Some(attempt)).await?;
        self.observe(&row, Observed::Ended("crashed", "crashed", took))
            .await;
        self.desk.nudge();
        Ok(())
    }
}

impl Worker {
    /// A change that only moves the state.
    pub(crate) fn change(&self, row: &EffectRow, to: EffectState, due: i64) -> EffectChange {
        EffectChange {
            effect: row.effect,
            from: (row.state, row.attempt),
            to,
            attempt: row.attempt,
            due,
            hold: String::new(),
            claim: if to == EffectState::Dispatching {
                row.claim
            } else {
                None
            },
            first_send: None,
            base_version: None,
            code: String::new(),
            vendor_ref: None,
            crashes: row.crashes,
            at: self.desk.now(),
        }
    }
}

/// The use of a limit that an attempt takes.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    action: String,
    subject: Digest,
    window: i64,
    taken: u64,
    count: u32,
}

impl Slot {
    pub(crate) fn guard(self) -> Guard {
        Guard::Slot {
            action: self.action,
            subject: self.subject,
            window: self.window,
            n: self.taken as u32 + 1,
        }
    }
}

pub(crate) fn settlement(
    row: &EffectRow,
    state: EffectState,
    code: &str,
    evidence: &str,
) -> Settlement {
    Settlement {
        n: row.effect.n,
        state,
        attempts: row.attempt,
        code: code.to_owned(),
        evidence: evidence.to_owned(),
        vendor_ref: None,
        seen: None,
    }
}

/// The arguments of a row; an empty record where they are erased.
pub(crate) fn arguments(row: &EffectRow) -> Value {
    minicbor::decode(&row.args).unwrap_or(Value::Record(Default::default()))
}

fn crashed_attempt(row: &EffectRow, now: i64) -> Attempt {
    Attempt {
        effect: row.effect,
        n: row.attempt,
        at: row.updated_at,
        took: now.saturating_sub(row.updated_at),
        knowledge: "unknown".into(),
        status: 0,
        code: "crashed".into(),
        detail: "the process ended, or the deadline passed, while the attempt was on its way"
            .into(),
    }
}
