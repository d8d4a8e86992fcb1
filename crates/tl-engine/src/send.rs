//! Sending: what one attempt does, by kind of action, and what its answer means.

use tl_connect::backoff::Backoff;
use tl_connect::call::{CallError, ReadState};
use tl_connect::classify::{Action as Next, BodySays, Observation, Overrides, classify};
use tl_connect::exchange::{ReadOutcome, Receipt};
use tl_connect::guard::{Seen, Why};
use tl_connect::reconcile::{AfterReading, after_reading};
use tl_kernel::case::Case;
use tl_kernel::connector::WhenAbsent;
use tl_kernel::decide::{Settlement, theirs};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::limits::{ATTEMPT_DEADLINE, MAX_CRASHES};
use tl_kernel::program::{ActionKind, Lock, OnUnknown};
use tl_kernel::time::{MINUTE, SECOND};
use tl_kernel::value::Value;
use tl_store::contract::{Attempt, EffectRow, Refused, Row, Unit};

use crate::again::{Again, UNCLEAR, UNREAD, can_be_looked_at};
use crate::called::{ABSENT, Target, based_on};
use crate::deliver::{Finished, Outcome, Waits, settlement};
use crate::desk::DeskError;
use crate::lanes::Pass;
use crate::tap::Point;
use crate::worker::Worker;

/// The code of a write whose target is not there.
const TARGET_MISSING: &str = "target_missing";
/// A read shows no version, and the action writes only on top of one.
const NO_VERSION: &str = "TL0801";
/// Attempts after which a record that cannot be read is left to a person.
const MAX_UNREAD: u32 = 5;

impl Worker {
    /// One attempt of a dispatched effect.
    pub(crate) async fn send(
        &self,
        row: &mut EffectRow,
        pass: Pass,
    ) -> Result<Finished, DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let mut target = match self.target(row, &bundle, pass).await? {
            Ok(target) => target,
            Err(finished) => return self.not_made(row, *finished).await,
        };
        if self.key_is_forgotten(row).await? {
            let s = settlement(row, EffectState::Uncertain, "key_window", "none");
            return Ok(Finished::of(Outcome::Settle(s)));
        }
        self.desk.at(Point::BeforeSend)?;
        if row.base_version.is_none()
            && target.operation.reads_first()
            && let Some(finished) = self.read_first(row, &mut target).await?
        {
            return Ok(finished);
        }
        self.desk.holds_lease()?;
        let mut done = match self.write_once(row, &target).await {
            Ok(done) => done,
            Err(e) => return Ok(self.failed(row, &e.to_string())),
        };
        if done.is_refused() && self.renewed(row, &mut target).await? {
            self.desk.holds_lease()?;
            // Refused is refused: nothing of the first came about.
            done = match self.write_once(row, &target).await {
                Ok(done) => done,
                Err(e) => return Ok(self.failed(row, &e.to_string())),
            };
        }
        self.saw(&mut target, &done.observation, &done.overrides);
        self.desk.at(Point::AfterSend)?;
        let evidence = self.attempt(row, &done.observation, &done.receipt);
        let next = classify(
            row.class,
            target.action.on_unknown,
            &done.observation,
            &done.overrides,
        );
        let has_look_up = target.operation.look_up.is_some();
        let outcome = match next {
            Next::Succeed | Next::AssumeSent | Next::AwaitCallback => {
                let known = if next == Next::AssumeSent {
                    "assumed"
                } else {
                    "answer"
                };
                let mut s = settlement(row, EffectState::Succeeded, "", known);
                s.vendor_ref = done.vendor_ref;
                s.seen = done.version.map(|v| (v, None));
                if next == Next::AwaitCallback {
                    Outcome::Accepted(s)
                } else {
                    Outcome::Settle(s)
                }
            }
            Next::Uncertain if has_look_up => Outcome::LookLater(evidence.code.clone()),
            Next::Reread | Next::Conflict if target.operation.read.is_none() => {
                let refused = next == Next::Conflict;
                self.without_reading(row, refused).await?
            }
            Next::Reread => self.by_reading(row, &mut target, false).await?,
            Next::Conflict => self.by_reading(row, &mut target, true).await?,
            // What was there a moment ago is looked for once more.
            Next::Failed {
                code: TARGET_MISSING,
            } if based_on(row).is_some() && target.operation.read.is_some() => {
                self.by_reading(row, &mut target, true).await?
            }
            other => {
                let plain = plain_outcome(row, other, (&done.observation, &evidence.code));
                self.after_earlier(row, plain).await?
            }
        };
        Ok(Finished {
            attempt: Some(evidence),
            ..Finished::of(outcome)
        })
    }

    /// An attempt that could not be made at all says nothing of an earlier one either.
    async fn not_made(&self, row: &EffectRow, finished: Finished) -> Result<Finished, DeskError> {
        let outcome = match (row.state, finished.outcome) {
            (EffectState::Uncertain, Outcome::Settle(s)) => Outcome::Settle(Settlement {
                state: EffectState::Uncertain,
                ..s
            }),
            (_, outcome) => self.after_earlier(row, outcome).await?,
        };
        Ok(Finished {
            outcome,
            ..finished
        })
    }

    /// That this attempt failed says nothing of an earlier one that may have had its effect.
    async fn after_earlier(&self, row: &EffectRow, outcome: Outcome) -> Result<Outcome, DeskError> {
        match outcome {
            Outcome::Settle(mut s)
                if s.state == EffectState::Failed && self.is_in_doubt(row).await? =>
            {
                if can_be_looked_at(row) {
                    return Ok(Outcome::LookLater(s.code));
                }
                s.state = EffectState::Uncertain;
                Ok(Outcome::Settle(s))
            }
            other => Ok(other),
        }
    }

    /// The guard of the connection learns what was seen.
    pub(crate) fn saw(
        &self,
        target: &mut Target<'_>,
        observation: &Observation,
        vendor: &Overrides,
    ) {
        let seen = Seen::of(observation, vendor);
        target.pass.seen(self.desk.now(), seen);
    }

    /// The credential was refused: it is read again where it lies. Another one is worth one more try at once.
    async fn renewed(&self, row: &EffectRow, target: &mut Target<'_>) -> Result<bool, DeskError> {
        let view = self.desk.tenant(row.tenant).await?;
        let connections = &self.outward.connections;
        let name = target.connection.name();
        match connections.renew(&view, &row.workflow, name) {
            Ok(newer) if !newer.is_same(&target.connection) => {
                target.connection = newer;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reads the base version and makes it durable before the write. `Some` where the read decides already.
    async fn read_first(
        &self,
        row: &mut EffectRow,
        target: &mut Target<'_>,
    ) -> Result<Option<Finished>, DeskError> {
        let found = match self.read(row, target).await? {
            Ok(found) => found,
            Err(e) => return Ok(Some(self.failed(row, &e.to_string()))),
        };
        let version = match &found.state {
            ReadState::Absent if target.operation.absent == WhenAbsent::Fails => {
                let missing = settlement(row, EffectState::Failed, TARGET_MISSING, "read");
                return Ok(Some(Finished::of(Outcome::Settle(missing))));
            }
            ReadState::Absent => ABSENT.to_owned(),
            ReadState::Present {
                version: Some(v),
                values,
            } => {
                if !theirs(Some(values), Some(&target.body), None).is_empty() {
                    // Somebody's values are there: they are merged before anything is written.
                    let mut s = settlement(row, EffectState::Superseded, "exists", "read");
                    s.seen = Some((v.clone(), Some(values.clone())));
                    return Ok(Some(Finished::of(Outcome::Settle(s))));
                }
                v.clone()
            }
            ReadState::Present { version: None, .. } => {
                let why = format!("{NO_VERSION} the answer to the read carries no version");
                return Ok(Some(self.failed(row, &why)));
            }
            ReadState::Unread => {
                let evidence = self.attempt(row, &found.observation, &found.receipt);
                let seen = (&found.observation, evidence.code.as_str());
                let next = classify(
                    Class::E5,
                    OnUnknown::Hold,
                    &found.observation,
                    &Overrides::default(),
                );
                return Ok(Some(Finished {
                    outcome: plain_outcome(row, next, seen),
                    attempt: Some(evidence),
                    rows: Vec::new(),
                }));
            }
        };
        let mut known = self.change(row, EffectState::Dispatching, row.due);
        known.base_version = Some(version.clone());
        let mut unit = Unit::new(row.tenant);
        unit.rows.push(Row::Effect(known));
        let mut waits = Waits::default();
        loop {
            return match self.desk.commit(unit.clone()).await? {
                Ok(_) => {
                    row.base_version = Some(version);
                    Ok(None)
                }
                Err(Refused::EffectMoved { .. }) => {
                    let again = Again::new("moved", None);
                    Ok(Some(Finished::of(Outcome::Retry(again))))
                }
                // The write that follows needs its time too.
                Err(Refused::Unavailable { .. })
                    if self.waits(row, &mut waits, ATTEMPT_DEADLINE / 2).await =>
                {
                    continue;
                }
                Err(other) => Err(DeskError::Store(other)),
            };
        }
    }

    async fn read(
        &self,
        row: &EffectRow,
        target: &mut Target<'_>,
    ) -> Result<Result<ReadOutcome, CallError>, DeskError> {
        let mut found = self.read_once(row, target).await;
        let refused = found.as_ref().is_ok_and(|f| is_refused(&f.observation));
        if refused && self.renewed(row, target).await? {
            found = self.read_once(row, target).await;
        }
        if let Ok(found) = &found {
            self.saw(target, &found.observation, &Overrides::default());
        }
        Ok(found)
    }

    /// An answer that a read would explain, where the connector does not say how the record is read.
    async fn without_reading(&self, row: &EffectRow, refused: bool) -> Result<Outcome, DeskError> {
        let state = match refused && !self.is_in_doubt(row).await? {
            true => EffectState::Failed,
            false => EffectState::Uncertain,
        };
        Ok(Outcome::Settle(settlement(
            row, state, "conflict", "answer",
        )))
    }

    /// What the record holds now decides: our values in it: it happened. The base version still there: it did not.
    /// Anything else: somebody was first. `refused`: the answer said that this write changed nothing; else nothing
    /// is known of it.
    async fn by_reading(
        &self,
        row: &EffectRow,
        target: &mut Target<'_>,
        refused: bool,
    ) -> Result<Outcome, DeskError> {
        let found = match self.read(row, target).await? {
            Ok(found) => found,
            Err(e) => return Ok(self.failed(row, &e.to_string()).outcome),
        };
        let again = |code: &str| Outcome::Retry(Again::new(code, wait_of(&found.observation)));
        let settled = |state, code: &str| settlement(row, state, code, "look_up");
        let seen = seen(&found.state);
        let verdict = after_reading(based_on(row), &target.body, &found.state);
        Ok(Outcome::Settle(match (verdict, seen) {
            (AfterReading::NotApplied, _) => {
                return Ok(again(self.nothing_found(row, refused).await?));
            }
            (AfterReading::Applied, seen) => {
                let mut s = settled(EffectState::Succeeded, "");
                s.seen = seen;
                s
            }
            (AfterReading::ChangedByOthers, Some(seen)) => {
                let mut s = settled(EffectState::Superseded, "conflict");
                s.seen = Some(seen);
                s
            }
            // The read shows neither our write nor somebody's. The vendor knows our key: the same bytes again do
            // no harm.
            _ if target.is_keyed && !refused => {
                return Ok(again(UNCLEAR));
            }
            _ if found.state == ReadState::Unread && row.attempt < MAX_UNREAD => {
                return Ok(again(UNREAD));
            }
            // It did not happen, and without a version nothing can be written on top of what is there.
            (AfterReading::Unclear, _) if refused && !self.is_in_doubt(row).await? => {
                let code = match found.state {
                    ReadState::Unread => UNREAD,
                    _ => NO_VERSION,
                };
                settled(EffectState::Failed, code)
            }
            (AfterReading::Unclear, _) => settled(EffectState::Uncertain, UNCLEAR),
            (AfterReading::ChangedByOthers, None) if refused && !self.is_in_doubt(row).await? => {
                let code = match found.state {
                    ReadState::Absent => TARGET_MISSING,
                    _ => "conflict",
                };
                settled(EffectState::Failed, code)
            }
            (AfterReading::ChangedByOthers, None) => settled(EffectState::Uncertain, "conflict"),
        }))
    }

    /// Resolves an uncertain effect after a crash or a lost answer.
    pub(crate) async fn resolve(
        &self,
        mut row: EffectRow,
        case: Option<Case>,
    ) -> Result<(), DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let action = bundle.program.actions.iter().find(|a| a.name == row.action);
        let readable = action.is_some_and(|a| match &a.kind {
            ActionKind::Rest(r) => r.lock != Lock::LastWriterWins,
            _ => a.call().is_some() && matches!(row.class, Class::E2 | Class::E3),
        });
        let uncertain = |code| settlement(&row, EffectState::Uncertain, code, "none");
        let outcome = if row.crashes >= MAX_CRASHES {
            Outcome::Settle(uncertain("poison"))
        } else if readable {
            let Some(pass) = self.pass(&row).await? else {
                return Ok(());
            };
            self.looked_at(&mut row).await?;
            match self.target(&row, &bundle, pass).await? {
                Err(finished) => self.not_made(&row, *finished).await?.outcome,
                Ok(mut target) if row.class == Class::E3 => {
                    self.by_looking(&row, &mut target).await?
                }
                Ok(mut target) => self.by_reading(&row, &mut target, false).await?,
            }
        } else {
            let unknown = action.map_or(OnUnknown::Hold, |a| a.on_unknown);
            match (row.class, unknown) {
                (Class::E4, OnUnknown::AssumeSent) => {
                    Outcome::Settle(settlement(&row, EffectState::Succeeded, "", "assumed"))
                }
                (Class::E4, OnUnknown::Resend) => Outcome::Retry(Again::new("uncertain", None)),
                _ => Outcome::Settle(uncertain("uncertain")),
            }
        };
        self.record(row, case, Finished::of(outcome)).await
    }

    /// A look-up that the process does not survive counts: it is counted before it begins.
    async fn looked_at(&self, row: &mut EffectRow) -> Result<(), DeskError> {
        let until = self.desk.now() + ATTEMPT_DEADLINE;
        let mut change = self.change(row, EffectState::Uncertain, until);
        change.crashes = row.crashes + 1;
        change.code.clone_from(&row.code);
        self.write(row, change, None).await
    }

    pub(crate) fn failed(&self, row: &EffectRow, why: &str) -> Finished {
        let code = why
            .split(' ')
            .next()
            .filter(|c| c.starts_with("TL"))
            .unwrap_or("failed");
        let attempt = Attempt {
            effect: row.effect,
            n: row.attempt,
            at: self.desk.now(),
            took: 0,
            knowledge: "not_sent".into(),
            status: 0,
            code: code.to_owned(),
            detail: why.to_owned(),
        };
        let s = settlement(row, EffectState::Failed, code, "gate");
        Finished {
            attempt: Some(attempt),
            ..Finished::of(Outcome::Settle(s))
        }
    }

    fn attempt(&self, row: &EffectRow, observation: &Observation, receipt: &Receipt) -> Attempt {
        let took = receipt.took.as_micros() as i64;
        let (knowledge, code) = match observation {
            Observation::NotSent(why) => ("not_sent", why.code().to_owned()),
            Observation::NotProcessed => ("not_processed", "not_processed".to_owned()),
            Observation::Unknown(why) => ("unknown", why.code().to_owned()),
            Observation::Answered { status, body, .. } => (
                "answered",
                match (status, body) {
                    (200..300, BodySays::Agrees) => String::new(),
                    (_, BodySays::Broken) => format!("http_{status}_cut"),
                    _ => format!("http_{status}"),
                },
            ),
        };
        Attempt {
            effect: row.effect,
            n: row.attempt,
            at: self.desk.now() - took,
            took,
            knowledge: knowledge.into(),
            status: receipt.status.unwrap_or(0),
            code,
            detail: receipt.request_id.clone().unwrap_or_default(),
        }
    }
}

/// Outcomes that need no further read.
fn plain_outcome(row: &EffectRow, next: Next, seen: (&Observation, &str)) -> Outcome {
    let (observation, code) = seen;
    match next {
        Next::Retry { retry_after, .. } => match observation {
            Observation::NotSent(why) if why.worth_tries().is_some_and(|n| row.attempt >= n) => {
                Outcome::Settle(settlement(row, EffectState::Failed, code, "answer"))
            }
            Observation::Answered { status: 429, .. } => Outcome::Retry(Again {
                pace: Backoff::THROTTLED,
                ..Again::new(code, retry_after)
            }),
            _ => Outcome::Retry(Again::new(code, retry_after)),
        },
        Next::Hold { code } => {
            let why = match code {
                "credential_refused" => Why::Credential,
                "not_permitted" => Why::Permission,
                _ => Why::VendorPause,
            };
            // Others on the connection come first when it is looked at again.
            let wait = wait_of(observation).filter(|_| why == Why::VendorPause);
            let wait = wait.unwrap_or(MINUTE + 5 * SECOND);
            Outcome::Retry(Again::held(code, why.word(), Some(wait)))
        }
        Next::Failed { code } => {
            Outcome::Settle(settlement(row, EffectState::Failed, code, "answer"))
        }
        Next::Succeed
        | Next::AssumeSent
        | Next::AwaitCallback
        | Next::Reread
        | Next::Conflict
        | Next::Uncertain => Outcome::Settle(settlement(row, EffectState::Uncertain, code, "none")),
    }
}

fn is_refused(observation: &Observation) -> bool {
    matches!(observation, Observation::Answered { status: 401, .. })
}

fn seen(state: &ReadState) -> Option<(String, Option<Value>)> {
    match state {
        ReadState::Present {
            version: Some(v),
            values,
        } => Some((v.clone(), Some(values.clone()))),
        _ => None,
    }
}

fn wait_of(observation: &Observation) -> Option<i64> {
    match observation {
        Observation::Answered { retry_after, .. } => *retry_after,
        _ => None,
    }
}
