//! What the handlers share, and what can be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tl_kernel::id::EventId;
use tl_store::Store;
use tokio::sync::Semaphore;
use uuid::{NoContext, Timestamp, Uuid};

use crate::api::SameKey;
use crate::echoes::Echoes;
use crate::ingest::Schemas;
use crate::intake::Intake;
use crate::limits;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::problem::{Problem, UNAVAILABLE};
use crate::security::SecurityLog;

/// What the router is built from.
#[derive(Clone)]
pub struct AppState {
    /// Tenants, doors and the way in.
    pub intake: Arc<dyn Intake>,
    /// The store: records, cases, saved answers.
    pub store: Store,
    /// Limits and deadlines.
    pub config: WebConfig,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppState")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A pace: so many requests per second, and so many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// What an operator may set. The default is every limit of [`crate::limits`].
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Time for a whole request head.
    pub head_deadline: Duration,
    /// Time for a whole request body.
    pub body_deadline: Duration,
    /// Time for a commit.
    pub commit_deadline: Duration,
    /// How long a second request with the same Idempotency-Key waits for the first.
    pub same_key_wait: Duration,
    /// How long open requests may go on after the order to stop.
    pub drain_grace: Duration,
    /// Open connections.
    pub max_connections: usize,
    /// Requests between admission and answer.
    pub max_in_flight: usize,
    /// Bodies in memory at once, KiB.
    pub max_bodies_kib: usize,
    /// Pace of one tenant.
    pub tenant_rate: Rate,
    /// Pace of one door.
    pub endpoint_rate: Rate,
    /// The address under which senders reach the doors; needed where a vendor signs it.
    pub public_url: Option<String>,
}

impl Default for WebConfig {
    fn default() -> Self {
        WebConfig {
            head_deadline: limits::HEAD_DEADLINE,
            body_deadline: limits::BODY_DEADLINE,
            commit_deadline: limits::COMMIT_DEADLINE,
            same_key_wait: limits::SAME_KEY_WAIT,
            drain_grace: limits::DRAIN_GRACE,
            max_connections: limits::MAX_CONNECTIONS,
            max_in_flight: limits::MAX_IN_FLIGHT,
            max_bodies_kib: limits::MAX_BODIES_KIB,
            tenant_rate: Rate {
                per_second: 2_000,
                burst: 4_000,
            },
            endpoint_rate: Rate {
                per_second: 1_000,
                burst: 2_000,
            },
            public_url: None,
        }
    }
}

/// Everything a handler may use.
pub(crate) struct Web {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) store: Store,
    pub(crate) config: WebConfig,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pace: Pace,
    pub(crate) echoes: Echoes,
    pub(crate) security: SecurityLog,
    pub(crate) schemas: Schemas,
    pub(crate) same_key: SameKey,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) bodies: Arc<Semaphore>,
    errors: AtomicU64,
}

impl Web {
    pub(crate) fn new(state: AppState) -> Web {
        Web {
            in_flight: Arc::new(Semaphore::new(state.config.max_in_flight)),
            bodies: Arc::new(Semaphore::new(state.config.max_bodies_kib)),
            intake: state.intake,
            store: state.store,
            config: state.config,
            metrics: state.metrics,
            pace: Pace::default(),
            echoes: Echoes::default(),
            security: SecurityLog::default(),
            schemas: Schemas::default(),
            same_key: SameKey::default(),
            errors: AtomicU64::new(0),
        }
    }

    /// A fresh id: of the request, and of the event if it becomes one.
    pub(crate) fn draw_id(&self) -> EventId {
        id_at(self.intake.now())
    }

    /// The id under which an error of ours is logged.
    pub(crate) fn error_id(&self) -> u64 {
        self.errors.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A question to the store, with a deadline.
    pub(crate) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, tl_store::StoreError>>,
        request: EventId,
    ) -> Result<T, Problem> {
        match tokio::time::timeout(limits::QUERY_DEADLINE, question).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(e @ tl_store::StoreError::Damaged { .. })) => {
                let id = self.error_id();
                tracing::error!(error = id, "{e}");
                Err(Problem::internal(id))
            }
            Ok(Err(_)) | Err(_) => Err(unavailable("store", limits::RETRY_LEAST, request)),
        }
    }
}

/// A fresh id in the order of engine time, µs.
pub(crate) fn id_at(now: i64) -> EventId {
    let now = now.max(0).unsigned_abs();
    let nanos = u32::try_from(now % 1_000_000 * 1_000).unwrap_or(0);
    let stamp = Timestamp::from_unix(NoContext, now / 1_000_000, nanos);
    EventId(*Uuid::new_v7(stamp).as_bytes())
}

/// No message can be taken now. `seconds` is a hint; each request gets its own share of time around it, from
/// its id, so that senders do not come back all at once.
pub(crate) fn unavailable(class: &'static str, seconds: u32, request: EventId) -> Problem {
    let base = seconds.clamp(limits::RETRY_LEAST, limits::RETRY_MOST);
    let width = base / 2 + 1;
    let offset = u32::from(request.0[15]) % width;
    let after = (base - base / 4 + offset).clamp(limits::RETRY_LEAST, limits::RETRY_MOST);
    Problem::new(
        UNAVAILABLE,
        "Nothing was stored. Send the message again after the time in Retry-After.",
    )
    .class(class)
    .retry(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_come_back_is_spread_and_bounded() {
        for hint in [0, 5, 17, 30, 60, 9_999] {
            let mut seen = std::collections::BTreeSet::new();
            for last in 0..=255 {
                let mut id = [0; 16];
                id[15] = last;
                let after = unavailable("x", hint, EventId(id)).retry_after.unwrap();
                assert!((5..=60).contains(&after), "{hint} gave {after}");
                seen.insert(after);
            }
            assert!(seen.len() > 1, "{hint} is not spread");
        }
    }
}
