//! Sending: what one attempt does, by kind of action, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use tl_connect::classify::{Action as Next, BodySays, Observation, Overrides, classify};
use tl_connect::client::Connection;
use tl_connect::reconcile::{AfterReading, after_reading};
use tl_connect::rest::{ReadState, Receipt, RestAttempt, RestRead, read, write};
use tl_kernel::case::Case;
use tl_kernel::digest::hex;
use tl_kernel::effect::EffectState;
use tl_kernel::limits::ATTEMPT_DEADLINE;
use tl_kernel::program::{Action, ActionKind, BaseVersion, Lock, RestWrite};
use tl_kernel::value::Value;
use tl_store::contract::{Attempt, EffectRow, Refused, Row, Unit};

use crate::deliver::{Finished, Outcome, arguments, settlement};
use crate::desk::DeskError;
use crate::tap::Point;
use crate::telemetry::traceparent;
use crate::tenant::Bundle;
use crate::worker::Worker;

/// The base version of a write that creates: the read found nothing.
pub(crate) const ABSENT: &str = "";

/// Everything one attempt at an HTTP system of record needs.
struct Target<'a> {
    rest: &'a RestWrite,
    action: &'a Action,
    connection: Arc<Connection>,
    path: String,
    body: Value,
}

impl Worker {
    /// One attempt of a dispatched effect.
    pub(crate) async fn send(&self, row: &mut EffectRow) -> Result<Finished, DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let target = match self.target(row, &bundle).await? {
            Ok(target) => target,
            Err(finished) => return Ok(*finished),
        };
        self.desk.at(Point::BeforeSend)?;
        if row.base_version.is_none()
            && target.rest.lock != Lock::LastWriterWins
            && let Some(finished) = self.read_first(row, &target).await?
        {
            return Ok(finished);
        }
        let key = hex(&row.key);
        let base = row.base_version.clone();
        let trace = traceparent(row);
        let attempt = RestAttempt {
            connection: &target.connection,
            method: &target.rest.method,
            path: &target.path,
            body: &target.body,
            lock: &target.rest.lock,
            base_version: base.as_deref().filter(|b| *b != ABSENT),
            create: base.as_deref() == Some(ABSENT),
            idempotency: target
                .rest
                .idempotency_header
                .as_deref()
                .map(|h| (h, key.as_str())),
            expected_id: None,
            correlation_id: &row.correlation,
            trace: Some(&trace),
            deadline: deadline(),
            now: self.desk.now(),
        };
        let done = match write(&self.outward.client, &attempt).await {
            Ok(done) => done,
            Err(e) => return Ok(self.failed(row, &e.to_string())),
        };
        self.desk.at(Point::AfterSend)?;
        let evidence = self.attempt(row, &done.observation, &done.receipt);
        let next = classify(
            row.class,
            target.action.on_unknown,
            &done.observation,
            &Overrides::default(),
        );
        let outcome = match next {
            Next::Succeed | Next::AssumeSent => {
                let known = if next == Next::Succeed {
                    "answer"
                } else {
                    "assumed"
                };
                let mut s = settlement(row, EffectState::Succeeded, "", known);
                s.vendor_ref = done.vendor_ref;
                s.seen = done.version.map(|v| (v, None));
                Outcome::Settle(s)
            }
            Next::Conflict | Next::Reread => {
                self.by_reading(row, &target, next == Next::Conflict)
                    .await?
            }
            other => plain_outcome(row, other, &evidence.code),
        };
        Ok(Finished {
            outcome,
            attempt: Some(evidence),
            rows: Vec::new(),
        })
    }

    /// What the attempt is aimed at; `Err(finished)` where it cannot be made.
    async fn target<'b>(
        &self,
        row: &EffectRow,
        bundle: &'b Bundle,
    ) -> Result<Result<Target<'b>, Box<Finished>>, DeskError> {
        let view = self.desk.tenant(row.tenant).await?;
        let action = bundle.program.actions.iter().find(|a| a.name == row.action);
        let Some((action, ActionKind::Rest(rest))) = action.map(|a| (a, &a.kind)) else {
            let why = format!("no connector for `{}` in this build", row.action);
            return Ok(Err(Box::new(self.failed(row, &why))));
        };
        let found = self
            .outward
            .connections
            .find(&view, &row.workflow, &rest.connection);
        let connection = match found {
            Ok(connection) => connection,
            Err(why) => {
                tracing::warn!(connection = rest.connection, why, "no connection");
                let outcome = Outcome::Retry {
                    code: "no_connection".into(),
                    hold: "connection",
                    wait: None,
                };
                return Ok(Err(Box::new(Finished {
                    outcome,
                    attempt: None,
                    rows: Vec::new(),
                })));
            }
        };
        let args = arguments(row);
        Ok(Ok(Target {
            rest,
            action,
            connection,
            path: args.at(&["path"]).map(Value::to_string).unwrap_or_default(),
            body: args.at(&["body"]).cloned().unwrap_or(Value::Null),
        }))
    }

    /// Reads the base version and makes it durable before the write. `Some` where the read decides already.
    async fn read_first(
        &self,
        row: &mut EffectRow,
        target: &Target<'_>,
    ) -> Result<Option<Finished>, DeskError> {
        let found = self.read(row, target).await;
        let version = match &found.state {
            ReadState::Absent => ABSENT.to_owned(),
            ReadState::Present {
                version: Some(v),
                values,
            } => {
                if differs(&target.body, values) {
                    // Somebody's values are there: they are merged before anything is written.
                    let mut s = settlement(row, EffectState::Superseded, "exists", "read");
                    s.seen = Some((v.clone(), Some(values.clone())));
                    return Ok(Some(finished(Outcome::Settle(s))));
                }
                v.clone()
            }
            ReadState::Present { version: None, .. } => {
                return Ok(Some(
                    self.failed(row, "TL0801 the answer to the read carries no version"),
                ));
            }
            ReadState::Unread => {
                let evidence = self.attempt(row, &found.observation, &found.receipt);
                let outcome = Outcome::Retry {
                    code: evidence.code.clone(),
                    hold: "retry",
                    wait: wait_of(&found.observation),
                };
                return Ok(Some(Finished {
                    outcome,
                    attempt: Some(evidence),
                    rows: Vec::new(),
                }));
            }
        };
        let mut known = self.change(row, EffectState::Dispatching, row.due);
        known.base_version = Some(version.clone());
        let mut unit = Unit::new(row.tenant);
        unit.rows.push(Row::Effect(known));
        match self.desk.commit(unit).await? {
            Ok(_) => {
                row.base_version = Some(version);
                Ok(None)
            }
            Err(Refused::EffectMoved { .. }) => Ok(Some(finished(Outcome::Retry {
                code: "moved".into(),
                hold: "retry",
                wait: None,
            }))),
            Err(other) => Err(DeskError::Store(other)),
        }
    }

    async fn read(&self, row: &EffectRow, target: &Target<'_>) -> tl_connect::rest::ReadOutcome {
        let trace = traceparent(row);
        let query = RestRead {
            connection: &target.connection,
            path: &target.path,
            lock: &target.rest.lock,
            correlation_id: &row.correlation,
            trace: Some(&trace),
            deadline: deadline(),
            now: self.desk.now(),
        };
        read(&self.outward.client, &query).await
    }

    /// After a conflict or an unknown outcome: what the record holds now decides. Our values in it: it
    /// happened. The base version still there: it did not. Anything else: somebody was first.
    async fn by_reading(
        &self,
        row: &EffectRow,
        target: &Target<'_>,
        conflict: bool,
    ) -> Result<Outcome, DeskError> {
        let found = self.read(row, target).await;
        let base = row.base_version.as_deref().filter(|b| *b != ABSENT);
        let again = |code: &str| Outcome::Retry {
            code: code.to_owned(),
            hold: "retry",
            wait: wait_of(&found.observation),
        };
        Ok(match after_reading(base, &target.body, &found.state) {
            AfterReading::Applied => {
                let mut s = settlement(row, EffectState::Succeeded, "", "look_up");
                s.seen = seen(&found.state);
                Outcome::Settle(s)
            }
            AfterReading::NotApplied => again("not_applied"),
            AfterReading::ChangedByOthers => {
                let mut s = settlement(row, EffectState::Superseded, "conflict", "look_up");
                s.seen = seen(&found.state);
                if s.seen.is_none() {
                    s.state = EffectState::Uncertain;
                }
                Outcome::Settle(s)
            }
            // The vendor gives no versions to compare, but knows our key: the same bytes again do no harm.
            AfterReading::Unclear if target.rest.idempotency_header.is_some() && !conflict => {
                again("unclear")
            }
            AfterReading::Unclear
                if matches!(found.state, ReadState::Unread) && row.attempt < 5 =>
            {
                again("unread")
            }
            AfterReading::Unclear => Outcome::Settle(settlement(
                row,
                EffectState::Uncertain,
                "unclear",
                "look_up",
            )),
        })
    }

    /// Resolves an uncertain effect after a crash or a lost answer.
    pub(crate) async fn resolve(
        &self,
        row: EffectRow,
        case: Option<Case>,
    ) -> Result<(), DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let readable = matches!(
            bundle.program.actions.iter().find(|a| a.name == row.action).map(|a| &a.kind),
            Some(ActionKind::Rest(r)) if r.lock != Lock::LastWriterWins
        );
        if !readable {
            let s = settlement(&row, EffectState::Uncertain, "uncertain", "none");
            return self.record(row, case, finished(Outcome::Settle(s))).await;
        }
        let finished = match self.target(&row, &bundle).await? {
            Err(finished) => *finished,
            Ok(target) => {
                let declared = matches!(target.rest.base, BaseVersion::Declared(_));
                let outcome = self.by_reading(&row, &target, false).await?;
                // A declared version of a vendor that serves no reads: its key is what makes a repeat harmless.
                let outcome = match outcome {
                    Outcome::Settle(s)
                        if s.state == EffectState::Uncertain
                            && declared
                            && target.rest.idempotency_header.is_some() =>
                    {
                        Outcome::Retry {
                            code: "unclear".into(),
                            hold: "retry",
                            wait: None,
                        }
                    }
                    other => other,
                };
                finished(outcome)
            }
        };
        self.record(row, case, finished).await
    }

    fn failed(&self, row: &EffectRow, why: &str) -> Finished {
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
        Finished {
            outcome: Outcome::Settle(settlement(row, EffectState::Failed, code, "gate")),
            attempt: Some(attempt),
            rows: Vec::new(),
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
fn plain_outcome(row: &EffectRow, next: Next, seen_code: &str) -> Outcome {
    match next {
        Next::Retry { retry_after, .. } => Outcome::Retry {
            code: seen_code.to_owned(),
            hold: "retry",
            wait: retry_after,
        },
        Next::Hold { code } => Outcome::Retry {
            code: code.to_owned(),
            hold: "connection",
            wait: Some(60_000_000),
        },
        Next::Failed { code } => {
            Outcome::Settle(settlement(row, EffectState::Failed, code, "answer"))
        }
        Next::Succeed
        | Next::AssumeSent
        | Next::AwaitCallback
        | Next::Reread
        | Next::Conflict
        | Next::Uncertain => {
            Outcome::Settle(settlement(row, EffectState::Uncertain, seen_code, "none"))
        }
    }
}

fn finished(outcome: Outcome) -> Finished {
    Finished {
        outcome,
        attempt: None,
        rows: Vec::new(),
    }
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

/// Whether the record there holds another value for a property that we would write.
fn differs(ours: &Value, theirs: &Value) -> bool {
    let (Value::Record(ours), Value::Record(theirs)) = (ours, theirs) else {
        return true;
    };
    ours.iter().any(|(name, our)| {
        theirs
            .get(name)
            .is_some_and(|their| !their.is_blank() && their.to_string() != our.to_string())
    })
}

fn deadline() -> Duration {
    // Half of the attempt's deadline: a read and a write fit into it.
    Duration::from_micros((ATTEMPT_DEADLINE / 2) as u64)
}
