//! The clock: what time it is for the engine and for the machine, and an operator's word that the machine is right.

use tl_engine::clock::{Alarm, follows};
use tl_kernel::id::TenantId;
use tl_kernel::time::SECOND;

use super::Ctx;
use super::views::{ClockSheet, Done, Next, Reply};
use crate::app::Change;
use crate::clock::{OBJECT, distance};
use crate::failure::Failure;
use crate::text::At;

impl Ctx<'_> {
    pub(super) fn clock(&self) -> Reply {
        let clock = self.app.desk.clock();
        let alarm = clock.alarm();
        let (engine, wall) = (clock.now(), clock.wall());
        let of = match self.app.desk.store().database_time() {
            Some(_) => "database",
            None => "machine",
        };
        Reply::Clock(ClockSheet {
            engine: At(engine),
            clock: At(wall),
            of: of.to_owned(),
            ahead_s: (wall - engine) / SECOND,
            alarm: match alarm {
                Some(alarm) if alarm.holds() => "ahead",
                Some(_) => "behind",
                None => "none",
            }
            .to_owned(),
            since: alarm.map(|a| At(a.since)),
            next: self.clock_next().into_iter().collect(),
        })
    }

    /// Believes the machine's clock from which engine time is held back.
    pub(super) async fn clock_accept(&self, reason: &str) -> Result<Reply, Failure> {
        let reason = self.reason(reason)?;
        let clock = self.app.desk.clock();
        let alarm = match clock.alarm() {
            Some(alarm) if alarm.holds() => alarm,
            Some(alarm) => return Err(nothing_held(&waits(alarm))),
            None => return Err(nothing_held("engine time follows the clock")),
        };
        let change = Change {
            action: "clock.accept",
            object: OBJECT.to_owned(),
            detail: format!("{}: {reason}", distance(alarm)),
        };
        // Recorded first: a move of time that nobody has answered for must not be.
        let rows = vec![follows(self.now())];
        self.app
            .change(TenantId::SYSTEM, &self.by, rows, vec![change])
            .await?;
        let moved = clock.accept().map_or(0, |by| by / SECOND * SECOND);
        self.app.desk.nudge();
        Ok(Reply::Done(
            Done::new(format!(
                "engine time has moved on by {} and follows the machine's clock; what has become due by that happens now",
                tl_kernel::time::duration_text(moved)
            ))
            .then("see what that is", "throughline status"),
        ))
    }

    /// What needs attention about the clock.
    pub(super) fn clock_next(&self) -> Option<Next> {
        let alarm = self.app.desk.clock().alarm()?;
        Some(match alarm.holds() {
            true => Next {
                why: format!(
                    "the machine's clock has jumped ahead by {}: engine time is held back, nothing becomes due by the \
                     jump (TL0634). Set the clock right, or, if it is right",
                    distance(alarm)
                ),
                command: "throughline clock accept --reason CODE".into(),
            },
            false => Next {
                why: format!(
                    "{} (TL0635). If the clock is wrong, set it right; see how far they are",
                    waits(alarm)
                ),
                command: "throughline clock".into(),
            },
        })
    }
}

fn waits(alarm: Alarm) -> String {
    format!(
        "the machine's clock is {} behind engine time, which never goes back",
        distance(alarm)
    )
}

fn nothing_held(why: &str) -> Failure {
    Failure::refused(format!("TL0636 there is nothing to accept: {why}"))
}
