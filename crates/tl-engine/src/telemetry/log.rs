//! Log lines of turns and attempts: ids and fixed words, nothing of a message.
//!
//! What came from outside (a message, a person) is `info`; what the engine did by itself is `debug`; an attempt that
//! did not succeed is louder.

use std::time::Duration;

use tl_kernel::case::Case;
use tl_kernel::id::EventId;
use tl_kernel::journal::Entry;
use tl_kernel::program::Program;
use tl_kernel::turn::{EffectKind, Turn};
use tl_store::contract::EffectRow;
use tracing::Level;

/// One line for a committed turn, with the ids that `queue.payload` names.
pub(super) fn turn(step: &'static str, turn: &Turn, after: (&Case, &Program)) {
    let (case, program) = after;
    let queue = &program.queue;
    let has = |id: &str| queue.payload.contains(id);
    let event = turn.entries.iter().find_map(|e| match e {
        Entry::Event {
            id, correlation, ..
        } => Some((*id, correlation.as_deref())),
        _ => None,
    });
    // A case is called like the message that opened it.
    let (event, own) = event.unwrap_or((EventId(turn.case.0), None));
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                workflow = program.id,
                queue = queue.name,
                event_id = has("event_id").then(|| tracing::field::display(event)),
                correlation_id = has("correlation_id").then_some(turn.head.correlation.as_str()),
                message_correlation_id = own.filter(|_| has("correlation_id")),
                tenant_id = has("tenant_id").then_some(turn.tenant.0),
                case_id = has("case_id").then(|| tracing::field::display(turn.case)),
                seq = turn.sealed.seq,
                step,
                state = program.state_name(case.state),
                "turn"
            )
        };
    }
    match step {
        "message" | "person" => line!(Level::INFO),
        _ => line!(Level::DEBUG),
    }
}

/// One line for an attempt that ended: its outcome, its code, and how long it took.
pub(super) fn attempt(row: &EffectRow, queue: &str, ended: (&str, &str, Duration)) {
    let (outcome, code, took) = ended;
    let what = match row.kind {
        EffectKind::Effect => "effect",
        EffectKind::Ask => "model",
    };
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                workflow = row.workflow,
                queue,
                correlation_id = row.correlation,
                effect_id = %row.effect,
                kind = what,
                action = row.action,
                connection = row.connection,
                attempt = row.attempt,
                outcome,
                code,
                took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "attempt"
            )
        };
    }
    match outcome {
        "succeeded" | "answered" => line!(Level::DEBUG),
        "retry" | "superseded" | "accepted" => line!(Level::INFO),
        _ => line!(Level::WARN),
    }
}
