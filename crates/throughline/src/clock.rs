//! The watch over the machine's clock: an alarm is logged when it begins and when it ends, stands in the audit, and is
//! noted in the database, so that a process which starts in the middle holds engine time as well.

use std::time::Duration;

use tl_engine::clock::{self, Alarm};
use tl_kernel::id::TenantId;
use tl_kernel::journal::Actor;
use tl_kernel::time::{SECOND, duration_text};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Change};
use crate::failure::Failure;
use crate::serve::pause;

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_secs(1);
/// What changes about the clock are recorded on.
pub const OBJECT: &str = "clock";

/// Watches until the token is cancelled.
pub async fn watch(app: &App, stop: &CancellationToken) {
    let (mut said, mut noted) = (None, noted_before(app).await);
    loop {
        let alarm = app.desk.clock().alarm();
        let now = alarm.map(Alarm::holds);
        if now != said {
            say(alarm);
            said = now;
        }
        if now != noted {
            match note(app, alarm).await {
                Ok(()) => noted = now,
                // It is tried again at the next look.
                Err(e) => tracing::warn!(error = e.message, "the clock's alarm is not recorded"),
            }
        }
        if !pause(LOOK, stop).await {
            return;
        }
    }
}

/// What the database holds of an alarm of the process before this one: that time was held.
async fn noted_before(app: &App) -> Option<bool> {
    let held = clock::held_since(app.desk.store()).await;
    held.ok().flatten().map(|_| true)
}

/// One line when an alarm begins, and one when it ends.
fn say(alarm: Option<Alarm>) {
    match alarm {
        Some(alarm) if alarm.holds() => tracing::error!(
            ahead = distance(alarm),
            "TL0634 the machine's clock has jumped ahead: engine time goes on without it. If the clock is right: \
             throughline clock accept --reason CODE"
        ),
        Some(alarm) => tracing::error!(
            behind = distance(alarm),
            "TL0635 the machine's clock is behind what was written here: engine time waits for it"
        ),
        None => tracing::error!("engine time follows the machine's clock again"),
    }
}

async fn note(app: &App, alarm: Option<Alarm>) -> Result<(), Failure> {
    let (row, action) = match alarm {
        Some(alarm) if alarm.holds() => (clock::held(alarm), "clock.hold"),
        Some(_) => (clock::follows(app.desk.now()), "clock.behind"),
        None => (clock::follows(app.desk.now()), "clock.follow"),
    };
    let change = Change {
        action,
        object: OBJECT.to_owned(),
        detail: alarm.map_or_else(String::new, distance),
    };
    app.change(TenantId::SYSTEM, &Actor::Engine, vec![row], vec![change])
        .await
}

/// How far the clock is from engine time, in whole seconds.
pub fn distance(alarm: Alarm) -> String {
    duration_text(alarm.ahead.saturating_abs() / SECOND * SECOND)
}
