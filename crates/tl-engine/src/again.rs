//! What has to go again: later, at most so often, and not while its connection is stopped.

use std::time::Duration;

use tl_connect::backoff::Backoff;
use tl_connect::guard::{Try, Why};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::limits::{MAX_ATTEMPTS, MAX_CRASHES};
use tl_kernel::program::OnUnknown;
use tl_kernel::time::MINUTE;
use tl_kernel::turn::EffectKind;
use tl_store::contract::{Attempt, EffectRow, Row, Unit};

use crate::deliver::{Finished, Outcome, Waits, settlement};
use crate::desk::{DeskError, read_error};
use crate::lanes::Pass;
use crate::telemetry::Observed;
use crate::worker::Worker;

/// A question waits so long for a model that is stopped; then a person gets the case.
const PATIENCE: i64 = 2 * MINUTE;

/// A request whose answer was lost may still be under way for so long after its end, µs.
pub(crate) const SETTLE: i64 = 2 * MINUTE;

/// The code of a repeat after a read that found nothing, so late that nothing can be under way any more.
pub(crate) const NOT_APPLIED: &str = "not_applied";
/// The code of a repeat after a read that found nothing yet. The base version makes the repeat safe; that nothing
/// came about is not known.
pub(crate) const NOT_SEEN: &str = "not_seen";
/// The code of a repeat after a read that failed.
pub(crate) const UNREAD: &str = "unread";
/// The code of a repeat with the same key after a read that showed neither our write nor anybody's.
pub(crate) const UNCLEAR: &str = "unclear";
/// What waits for a person to mend something is looked at again after this, µs.
const RECHECK: i64 = MINUTE;

/// How an attempt that has to be made again waits.
#[derive(Debug, Clone)]
pub(crate) struct Again {
    /// What stood against it.
    pub(crate) code: String,
    /// What it waits for.
    pub(crate) hold: &'static str,
    /// Not sooner than after this, µs.
    pub(crate) wait: Option<i64>,
    /// How its delays grow.
    pub(crate) pace: Backoff,
}

impl Again {
    /// After the usual delay.
    pub(crate) fn new(code: impl Into<String>, wait: Option<i64>) -> Again {
        Again {
            code: code.into(),
            hold: "retry",
            wait,
            pace: Backoff::DURABLE,
        }
    }

    /// Until something that concerns the whole connection is mended: such attempts are not counted.
    pub(crate) fn held(code: impl Into<String>, hold: &'static str, wait: Option<i64>) -> Again {
        Again {
            hold,
            ..Again::new(code, wait)
        }
    }

    fn counts(&self) -> bool {
        self.hold == "retry"
    }
}

impl Worker {
    /// Asks the guard of the row's connection. `None`: it waits, and the ledger says why.
    pub(crate) async fn pass(&self, row: &EffectRow) -> Result<Option<Pass>, DeskError> {
        if row.connection.is_empty() || row.class == Class::E0 {
            return Ok(Some(Pass::FREE));
        }
        let view = self.desk.tenant(row.tenant).await?;
        let connections = &self.outward.connections;
        let to = match connections.find(&view, &row.workflow, &row.connection) {
            Ok(to) => to,
            // Without its model the case goes on at once.
            Err(_) if row.kind == EffectKind::Ask => return Ok(Some(Pass::FREE)),
            Err(why) => {
                tracing::warn!(connection = row.connection, why, "no connection");
                self.put_off(row, ("connection", "no_connection"), RECHECK)
                    .await?;
                return Ok(None);
            }
        };
        let lane = self.lanes.of(row.tenant, &to);
        if !row.hold.is_empty() {
            lane.waits_no_more(row.effect);
        }
        // A row that is dispatching has begun its attempt; a ready one is about to.
        let nth = row.attempt + u32::from(row.state == EffectState::Ready);
        let what = match row.state {
            EffectState::Uncertain => Try::LookUp,
            // Attempts that ended with their process say nothing of the other side: after a node died, what it had on
            // its way goes on at once, and is not held up as a storm of retries is.
            _ if nth > row.crashes + 1 => Try::Again,
            _ => Try::First,
        };
        let now = self.desk.now();
        let (why, until) = match lane.admit(now, what, (to, self.desk.share().all)) {
            Ok(pass) => return Ok(Some(pass)),
            Err(waits) => waits,
        };
        if row.kind == EffectKind::Ask && now > row.planned_at.saturating_add(PATIENCE) {
            let outcome = Outcome::NoAnswer("failed".into(), None);
            self.record(row.clone(), None, Finished::of(outcome))
                .await?;
            return Ok(None);
        }
        let wait = match why {
            // A credential or a permission that is mended counts soon.
            Why::Credential | Why::Permission => (until - now).min(RECHECK),
            _ => until - now,
        };
        lane.waits(row.effect, why, now.saturating_add(wait));
        self.put_off(row, (why.word(), &row.code), wait).await?;
        Ok(None)
    }

    /// Nothing is sent and no attempt is used up: it is looked at again after a while, µs.
    async fn put_off(
        &self,
        row: &EffectRow,
        (hold, code): (&str, &str),
        wait: i64,
    ) -> Result<(), DeskError> {
        let to = match row.state {
            EffectState::Uncertain => EffectState::Uncertain,
            _ => EffectState::Ready,
        };
        let until = self.desk.now().saturating_add(wait);
        let mut change = self.change(row, to, due(row, until));
        if row.state == EffectState::Dispatching {
            change.attempt = row.attempt.saturating_sub(1);
        }
        (change.hold, change.code) = (hold.to_owned(), code.to_owned());
        self.write(row, change, None).await
    }

    /// It is tried again, unless it was tried often enough.
    pub(crate) async fn retry(
        &self,
        row: EffectRow,
        again: Again,
        mut rows: Vec<Row>,
    ) -> Result<(), DeskError> {
        if row.attempt >= MAX_ATTEMPTS && again.counts() {
            let mut tries = self.tries(&row).await?;
            tries.extend(attempts(&rows));
            if tries.iter().filter(|a| counts(a)).count() >= MAX_ATTEMPTS as usize {
                if again.code == NOT_SEEN {
                    return self.look_later(&row, NOT_SEEN, rows).await;
                }
                let finished = Finished {
                    rows,
                    ..Finished::of(given_up(&row, &again.code, &tries))
                };
                return Box::pin(self.record(row, None, finished)).await;
            }
        }
        let nth = row.attempt.saturating_sub(1);
        let delay = again.pace.delay(nth, &row.key, again.wait);
        let until = self.desk.now().saturating_add(delay);
        let mut change = self.change(&row, EffectState::Ready, due(&row, until));
        (change.hold, change.code) = (again.hold.to_owned(), again.code);
        rows.push(Row::Effect(change));
        let mut unit = Unit::new(row.tenant);
        unit.rows = rows;
        self.commit_late(unit).await
    }

    /// What is on record of earlier attempts.
    pub(crate) async fn tries(&self, row: &EffectRow) -> Result<Vec<Attempt>, DeskError> {
        let mut waits = Waits::default();
        loop {
            let tries = self.desk.store().attempts(row.tenant, row.effect).await;
            match tries.map_err(read_error) {
                // What the attempt has seen may depend on it.
                Err(_) if self.waits(row, &mut waits, 0).await => {}
                other => return other,
            }
        }
    }

    /// Whether an earlier attempt may have had its effect. One that is dispatching has no earlier one at its first.
    pub(crate) async fn is_in_doubt(&self, row: &EffectRow) -> Result<bool, DeskError> {
        let earlier = row.attempt - u32::from(row.state == EffectState::Dispatching);
        Ok(earlier > 0 && in_doubt(row, &row.code, &self.tries(row).await?))
    }

    /// What a read has shown that found the base version: nothing came about, or nothing has arrived yet.
    /// `refused`: the attempt that has just ended changed nothing for certain.
    pub(crate) async fn nothing_found(
        &self,
        row: &EffectRow,
        refused: bool,
    ) -> Result<&'static str, DeskError> {
        if row.state == EffectState::Dispatching && !refused {
            return Ok(NOT_SEEN);
        }
        let tries = self.tries(row).await?;
        let may_arrive = settles_at(&tries).is_some_and(|at| self.desk.now() < at);
        Ok(if may_arrive { NOT_SEEN } else { NOT_APPLIED })
    }

    /// Reads what became of it once nothing that was sent can be under way any more. `rows` are written with it.
    pub(crate) async fn look_later(
        &self,
        row: &EffectRow,
        code: &str,
        mut rows: Vec<Row>,
    ) -> Result<(), DeskError> {
        let mut tries = self.tries(row).await?;
        tries.extend(attempts(&rows));
        let at = settles_at(&tries).unwrap_or(self.desk.now());
        let mut change = self.change(row, EffectState::Uncertain, at);
        change.code = code.to_owned();
        rows.push(Row::Effect(change));
        let mut unit = Unit::new(row.tenant);
        unit.rows = rows;
        self.commit_late(unit).await
    }

    /// Looks once more after a while, µs.
    pub(crate) async fn look_again(
        &self,
        row: &EffectRow,
        (code, wait): (&str, i64),
        mut rows: Vec<Row>,
    ) -> Result<(), DeskError> {
        let mut change = self.change(row, EffectState::Uncertain, self.desk.now() + wait);
        change.code = code.to_owned();
        rows.push(Row::Effect(change));
        let mut unit = Unit::new(row.tenant);
        unit.rows = rows;
        self.commit_late(unit).await
    }

    /// A repeat with the same key is harmless only while the vendor knows the key.
    pub(crate) async fn key_is_forgotten(&self, row: &EffectRow) -> Result<bool, DeskError> {
        Ok(row.class == Class::E1
            && !self.in_key_window(row).await?
            && self.is_in_doubt(row).await?)
    }

    /// Whether the vendor still knows the key. By a calendar that engine time is far from, that may be over already.
    async fn in_key_window(&self, row: &EffectRow) -> Result<bool, DeskError> {
        if self.desk.clock().alarm().is_some() {
            return Ok(false);
        }
        let first = first_send(row).unwrap_or(row.planned_at);
        let ends = first.saturating_add(self.key_window(row).await?);
        Ok(self.desk.now() < ends)
    }

    /// The vendor had accepted it and has not said since what became of it.
    pub(crate) async fn overdue(&self, row: &EffectRow) -> Result<(), DeskError> {
        if self.resends(row).await? {
            // The vendor has taken it: what is sent again when nothing is known of it is not sent again for this.
            let taken = settlement(row, EffectState::Uncertain, "no_callback", "answer");
            let outcome = Outcome::Settle(taken);
            return self.record(row.clone(), None, Finished::of(outcome)).await;
        }
        let mut change = self.change(row, EffectState::Uncertain, self.desk.now());
        change.code.clone_from(&row.code);
        self.write(row, change, None).await?;
        self.desk.nudge();
        Ok(())
    }

    /// Whether the workflow wants it sent again when nobody knows what became of it.
    async fn resends(&self, row: &EffectRow) -> Result<bool, DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let action = bundle.program.action_named(&row.action);
        let wants = action.is_some_and(|a| a.on_unknown == OnUnknown::Resend);
        Ok(wants && row.class == Class::E4)
    }

    /// An attempt that nobody finished: its node died or it passed its deadline. What may be repeated is ready
    /// again; everything else is uncertain. The crash is counted before anything is tried.
    pub(crate) async fn recover(&self, row: EffectRow) -> Result<(), DeskError> {
        let crashes = row.crashes + 1;
        if crashes >= MAX_CRASHES {
            let outcome = match row.kind {
                EffectKind::Ask => Outcome::NoAnswer("failed".into(), None),
                EffectKind::Effect => {
                    // What crashed may have had its effect before.
                    let sent = row.class != Class::E2 || row.base_version.is_some();
                    let state = if sent && row.class != Class::E0 {
                        EffectState::Uncertain
                    } else {
                        EffectState::Dead
                    };
                    Outcome::Settle(settlement(&row, state, "poison", "recovery"))
                }
            };
            return self.record(row, None, Finished::of(outcome)).await;
        }
        let now = self.desk.now();
        let nothing_written = row.class == Class::E2 && row.base_version.is_none();
        let again = match row.class {
            Class::E5 | Class::E0 => true,
            Class::E1 => self.in_key_window(&row).await?,
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

/// When its first attempt was sent, µs. What was born dispatching was sent when it was planned.
pub(crate) fn first_send(row: &EffectRow) -> Option<i64> {
    let born = (row.attempt > 0).then_some(row.planned_at);
    row.first_send.or(born)
}

/// What waits is looked at when its time has passed, and not later.
fn due(row: &EffectRow, until: i64) -> i64 {
    until.min(row.valid_until.saturating_add(1))
}

/// The attempts among rows that are about to be written.
fn attempts(rows: &[Row]) -> impl Iterator<Item = Attempt> {
    rows.iter().filter_map(|r| match r {
        Row::Attempt(a) => Some(a.clone()),
        _ => None,
    })
}

/// A refusal that concerned the whole connection does not count against the effect.
fn counts(attempt: &Attempt) -> bool {
    !matches!(attempt.status, 401..=403)
}

/// Whether an attempt may have had its effect: it was sent, and no answer says that it had none.
fn may_have_happened(attempt: &Attempt) -> bool {
    match attempt.knowledge.as_str() {
        "unknown" => true,
        "answered" => matches!(attempt.status, 0..300 | 408 | 500 | 502..),
        _ => false,
    }
}

/// When nothing of these attempts can be under way any more, µs; none where each is known to have had no effect.
fn settles_at(tries: &[Attempt]) -> Option<i64> {
    let open = tries.iter().filter(|a| may_have_happened(a));
    open.map(|a| a.at.saturating_add(a.took).saturating_add(SETTLE))
        .max()
}

/// Whether one of these attempts may have had its effect. A late read that has found nothing of it outweighs what was
/// not known before.
fn in_doubt(row: &EffectRow, code: &str, tries: &[Attempt]) -> bool {
    let sent = match row.class {
        // Without a base version only reads were made.
        Class::E2 => row.base_version.is_some(),
        Class::E0 | Class::E5 => false,
        Class::E1 | Class::E3 | Class::E4 => true,
    };
    sent && code != NOT_APPLIED && tries.iter().any(may_have_happened)
}

/// Whether a read can still say what became of attempts of which nothing is known. One that was tried in vain is not
/// tried again.
pub(crate) fn can_be_looked_at(row: &EffectRow) -> bool {
    row.class == Class::E2 && row.code != UNREAD && row.code != UNCLEAR
}

/// After the last attempt: dead, or uncertain where one of them may have had its effect.
fn given_up(row: &EffectRow, code: &str, tries: &[Attempt]) -> Outcome {
    if row.kind == EffectKind::Ask {
        return Outcome::NoAnswer("failed".into(), None);
    }
    let state = if in_doubt(row, code, tries) {
        EffectState::Uncertain
    } else {
        EffectState::Dead
    };
    Outcome::Settle(settlement(row, state, code, "answer"))
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
