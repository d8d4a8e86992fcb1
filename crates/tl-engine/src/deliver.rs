//! One effect's way: gate, attempt, outcome. Intent is durable before the first byte; a crash in between makes
//! the effect uncertain and is resolved by its class, never by age.

use std::time::{Duration, Instant};

use tl_kernel::case::Case;
use tl_kernel::decide::{CaseScope, Input, ModelAnswer, Settlement, window_start};
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::gate::{DRY_RUN, GateVerdict, Intent, Known, gate, is_dry_run};
use tl_kernel::journal::Answered;
use tl_kernel::limits::ATTEMPT_DEADLINE;
use tl_kernel::policy::{LimitScope, PolicyLine, Verdict};
use tl_kernel::time::SECOND;
use tl_kernel::turn::EffectKind;
use tl_kernel::value::Value;
use tl_store::contract::{Attempt, EffectChange, EffectRow, Guard, Refused, Row, Unit};

use crate::again::{Again, can_be_looked_at, first_send};
use crate::desk::{DeskError, FactSheet, gate_guard};
use crate::lanes::Pass;
use crate::telemetry::Observed;
use crate::tenant::Tenant;
use crate::worker::{Flight, Worker};

/// A row that a switch holds is looked at again after this.
const HOLD_RECHECK: i64 = 5 * SECOND;
/// How long a vendor that accepted something has to say what became of it before it is looked up.
const CALLBACK: i64 = 120 * SECOND;

/// While the store is away, what an attempt has to write is tried again after this, and so many times at most.
const WAIT: Duration = Duration::from_millis(200);
const MOST_WAITS: u32 = 150;

/// How often an attempt has waited for the store.
#[derive(Debug, Default)]
pub(crate) struct Waits(u32);

/// What an attempt came to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The effect ends, or needs a person.
    Settle(Settlement),
    /// It is tried again.
    Retry(Again),
    /// No further attempt is made; a read says later, with this code until then, what became of an earlier one.
    LookLater(String),
    /// The look has said nothing yet: another one after a while, µs.
    LookAgain(&'static str, i64),
    /// The vendor accepted it and will do it later.
    Accepted(Settlement),
    /// A model answered.
    Answer(Box<ModelAnswer>),
    /// A model gave no usable answer: why, and what it said if it said anything.
    NoAnswer(String, Option<Box<Answered>>),
}

/// An outcome with its evidence and the rows that belong to it.
#[derive(Clone)]
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) rows: Vec<Row>,
}

impl Finished {
    /// An outcome without an attempt.
    pub(crate) fn of(outcome: Outcome) -> Finished {
        Finished {
            outcome,
            attempt: None,
            rows: Vec::new(),
        }
    }
}

impl Worker {
    /// Sees one effect through to its next resting place.
    pub(crate) async fn see_through(&self, flight: Flight) -> Result<(), DeskError> {
        let Flight { mut row, case, .. } = flight;
        let ours = row
            .claim
            .is_some_and(|(node, epoch, _)| (node, epoch) == self.who());
        // Only what was handed over by the turn that planned it is known to be unsent. A row that is found on its way
        // may have been sent, whatever else is true of it.
        let handed_over = case.is_some() && ours && !self.past_deadline(&row);
        if row.state == EffectState::Dispatching && !handed_over {
            return self.recover(row).await;
        }
        let pass = match row.state {
            EffectState::Uncertain => return self.resolve(row, case).await,
            EffectState::AwaitingCallback => return self.overdue(&row).await,
            EffectState::Ready => self.clear(&mut row).await?,
            // Born dispatching: the turn that planned it has passed the gate.
            _ => self.pass(&row).await?,
        };
        let Some(pass) = pass else { return Ok(()) };
        self.observe(&row, Observed::Begun).await;
        let begun = Instant::now();
        let finished = match row.kind {
            EffectKind::Ask => self.ask(&row, pass).await?,
            EffectKind::Effect => self.send(&mut row, pass).await?,
        };
        let (outcome, code) = finished.words();
        self.observe(&row, Observed::Ended(outcome, code, begun.elapsed()))
            .await;
        self.keep(row, case, finished).await
    }

    /// Records what an attempt came to. That may be known to nobody else: while the store is away it is kept here, until
    /// the attempt's deadline, after which it counts as one that nobody finished.
    async fn keep(
        &self,
        row: EffectRow,
        mut case: Option<Case>,
        finished: Finished,
    ) -> Result<(), DeskError> {
        let mut waits = Waits::default();
        loop {
            let recorded = self.record(row.clone(), case.take(), finished.clone());
            match recorded.await {
                Err(e) if e.may_pass() && self.waits(&row, &mut waits, 0).await => {}
                other => return other,
            }
        }
    }

    /// Waits a moment for a store that is away; false where the attempt would then have less than `rest` (µs) left.
    pub(crate) async fn waits(&self, row: &EffectRow, waits: &mut Waits, rest: i64) -> bool {
        let left = row.claim.map_or(0, |(_, _, until)| until) - self.desk.now();
        let again = left > rest && waits.0 < MOST_WAITS;
        if again {
            waits.0 += 1;
            self.desk.sleep(WAIT).await;
        }
        again
    }

    /// This node, and how often it was started.
    fn who(&self) -> (u32, u64) {
        let store = self.desk.store();
        (store.node(), store.epoch())
    }

    fn past_deadline(&self, row: &EffectRow) -> bool {
        row.claim
            .is_some_and(|(_, _, deadline)| deadline < self.desk.now())
    }

    /// Asks the gate and the guard of its connection, and makes the attempt durable. `None`: nothing more is to
    /// be done now.
    async fn clear(&self, row: &mut EffectRow) -> Result<Option<Pass>, DeskError> {
        let mut fresh = false;
        let mut pass = None;
        loop {
            let view = self.desk.tenant(row.tenant).await?;
            let (verdict, approved) = self.verdict(&view, row).await?;
            let line = self.policy_line(&view, row);
            let slot = self.limit_slot(row, line.as_ref(), &view).await?;
            let suppressed = self.goes_to_suppressed(row, &view).await?;
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
                suppressed,
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
                    return Ok(None);
                }
                GateVerdict::NeedsApproval => Some((EffectState::Cancelled, "policy".to_owned())),
                GateVerdict::DryRun { scope } => {
                    Some((EffectState::Succeeded, format!("{DRY_RUN}{scope}")))
                }
                GateVerdict::Refuse { why } if why == "expired" => {
                    Some((EffectState::Expired, why))
                }
                GateVerdict::Refuse { why } => Some((EffectState::Cancelled, why)),
            };
            if let Some((state, code)) = stop {
                self.stop_at_gate(row.clone(), state, code).await?;
                return Ok(None);
            }
            if row.class == Class::E0 {
                if self.deliver_local(row, &view, slot).await? {
                    return Ok(None);
                }
                continue;
            }
            if pass.is_none() {
                pass = self.pass(row).await?;
            }
            if pass.is_none() {
                return Ok(None);
            }
            let mut unit = Unit::new(row.tenant);
            unit.guards.push(gate_guard(&view));
            unit.guards.extend(slot.map(Slot::guard));
            let mut change = self.change(row, EffectState::Dispatching, now);
            change.attempt = row.attempt + 1;
            let (node, epoch) = self.who();
            change.claim = Some((node, epoch, now + ATTEMPT_DEADLINE));
            change.first_send = first_send(row).or(Some(now));
            unit.rows.push(Row::Effect(change.clone()));
            match self.desk.commit(unit).await? {
                Ok(_) => {
                    row.state = EffectState::Dispatching;
                    row.attempt = change.attempt;
                    row.claim = change.claim;
                    row.first_send = change.first_send;
                    return Ok(pass);
                }
                Err(Refused::GateMoved) => {
                    self.desk.reload(row.tenant).await?;
                }
                Err(Refused::SlotTaken) => {}
                Err(Refused::EffectMoved { .. } | Refused::Serial) => return Ok(None),
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
        change.code.clone_from(&row.code);
        self.write(row, change, None).await
    }

    /// The gate ended it.
    async fn stop_at_gate(
        &self,
        row: EffectRow,
        state: EffectState,
        code: String,
    ) -> Result<(), DeskError> {
        let outcome = match row.kind {
            // Which switch kept a model from being asked stands in the journal.
            EffectKind::Ask if code.starts_with("kill:") || is_dry_run(&code) => {
                Outcome::NoAnswer(code, None)
            }
            EffectKind::Ask => Outcome::NoAnswer("off".into(), None),
            // No byte leaves now; one may have left before.
            EffectKind::Effect if self.is_in_doubt(&row).await? => {
                if can_be_looked_at(&row) {
                    return self.look_later(&row, &row.code, Vec::new()).await;
                }
                let in_doubt = settlement(&row, EffectState::Uncertain, "in_doubt", "gate");
                Outcome::Settle(in_doubt)
            }
            EffectKind::Effect => Outcome::Settle(settlement(&row, state, &code, "gate")),
        };
        self.record(row, None, Finished::of(outcome)).await
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
            Outcome::Retry(again) => return self.retry(row, again, rows).await,
            Outcome::LookLater(code) => return self.look_later(&row, &code, rows).await,
            Outcome::LookAgain(code, wait) => {
                return self.look_again(&row, (code, wait), rows).await;
            }
            Outcome::Accepted(s) => return self.accepted(&row, s, rows).await,
            Outcome::Settle(s) => (s.state, s.code.clone(), Input::EffectSettled(s)),
            Outcome::Answer(a) => (
                EffectState::Succeeded,
                String::new(),
                Input::ModelAnswered(*a),
            ),
            Outcome::NoAnswer(reason, said) => (
                EffectState::Failed,
                reason.clone(),
                Input::ModelFailed {
                    n: row.effect.n,
                    reason,
                    said,
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

    pub(crate) async fn commit_late(&self, unit: Unit) -> Result<(), DeskError> {
        match self.desk.commit(unit).await? {
            Ok(_) | Err(Refused::EffectMoved { .. }) => Ok(()),
            Err(other) => Err(DeskError::Store(other)),
        }
    }

    /// The vendor has it. The case waits on; nothing is settled.
    async fn accepted(
        &self,
        row: &EffectRow,
        s: Settlement,
        mut rows: Vec<Row>,
    ) -> Result<(), DeskError> {
        let until = self.desk.now() + CALLBACK;
        let mut change = self.change(row, EffectState::AwaitingCallback, until);
        (change.code, change.vendor_ref) = (s.code, s.vendor_ref);
        rows.push(Row::Effect(change));
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
