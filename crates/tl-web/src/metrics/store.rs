//! What the store counts, as gauges that are set at each scrape.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tl_kernel::id::TenantId;
use tl_kernel::program::canonical;
use tl_store::Stats;

use super::Named;

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    tenant: u32,
    workflow: String,
    queue: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAction {
    tenant: u32,
    action: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByClass {
    class: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByKind {
    tenant: u32,
    kind: String,
}

/// The gauges.
#[derive(Debug, Default)]
pub(super) struct StoreGauges {
    cases: Family<ByState, Gauge>,
    cases_oldest: Family<ByState, Seconds>,
    queue: Family<ByAction, Gauge>,
    queue_oldest: Family<ByAction, Seconds>,
    effects: Family<ByClass, Gauge>,
    tasks: Family<ByKind, Gauge>,
    tasks_oldest: Family<ByKind, Seconds>,
    timers: Gauge,
    timers_late: Seconds,
    events: Gauge,
    pending: Gauge,
    pending_oldest: Seconds,
    duplicates: Gauge,
    turns: Gauge,
    leaves: Gauge,
    bytes: Gauge,
    commits: Gauge,
    commit_wait: Seconds,
    clock_ahead: Seconds,
}

/// How the store's writer and the clock are doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Writer {
    /// Groups made durable since the store was opened.
    pub(crate) groups: u64,
    /// How long the oldest unit that is not durable yet has waited.
    pub(crate) waits: Duration,
    /// How far the calendar is ahead of engine time, µs; 0 where nothing is wrong.
    pub(crate) clock_ahead: i64,
}

impl StoreGauges {
    pub(super) fn register(registry: &mut Registry) -> StoreGauges {
        let g = StoreGauges::default();
        registry.register(
            "cases",
            "Cases by workflow, queue and state",
            g.cases.clone(),
        );
        registry.register(
            "cases_oldest_seconds",
            "Age of the oldest open case",
            g.cases_oldest.clone(),
        );
        registry.register("effects_open", "Effects not settled", g.queue.clone());
        registry.register(
            "effects_open_oldest_seconds",
            "Age of the oldest effect not settled",
            g.queue_oldest.clone(),
        );
        registry.register(
            "effects",
            "Effects by guarantee class and state",
            g.effects.clone(),
        );
        registry.register("tasks_open", "Open tasks", g.tasks.clone());
        registry.register(
            "tasks_open_oldest_seconds",
            "Age of the oldest open task",
            g.tasks_oldest.clone(),
        );
        registry.register("timers", "Timers set", g.timers.clone());
        registry.register(
            "timers_late_seconds",
            "Lateness of the most overdue timer",
            g.timers_late.clone(),
        );
        registry.register(
            "events_stored",
            "Messages accepted since the store was made",
            g.events.clone(),
        );
        registry.register(
            "events_pending",
            "Messages accepted that have not come to a case yet",
            g.pending.clone(),
        );
        registry.register(
            "events_pending_oldest_seconds",
            "Age of the oldest of them",
            g.pending_oldest.clone(),
        );
        registry.register(
            "duplicates_seen",
            "Duplicates seen since the store was made",
            g.duplicates.clone(),
        );
        registry.register("turns", "Turns in the journal", g.turns.clone());
        registry.register(
            "audit_leaves",
            "Leaves placed in audit trees",
            g.leaves.clone(),
        );
        registry.register("store_bytes", "Size of the database", g.bytes.clone());
        registry.register(
            "commits",
            "Groups of changes made durable since the server was started",
            g.commits.clone(),
        );
        registry.register(
            "commit_wait_seconds",
            "Age of the oldest unit not yet durable",
            g.commit_wait.clone(),
        );
        registry.register(
            "clock_ahead_seconds",
            "How far the machine's clock is ahead of engine time while that is an alarm",
            g.clock_ahead.clone(),
        );
        g
    }

    /// Sets all gauges; without counts those of the store disappear rather than stand still.
    pub(super) fn set(
        &self,
        stats: Option<&Stats>,
        writer: Writer,
        names: impl Fn(TenantId, &str) -> Option<Named>,
    ) {
        self.commits.set(count(writer.groups));
        self.commit_wait.set(writer.waits.as_secs_f64());
        self.clock_ahead.set(seconds(writer.clock_ahead));
        self.cases.clear();
        self.cases_oldest.clear();
        self.queue.clear();
        self.queue_oldest.clear();
        self.effects.clear();
        self.tasks.clear();
        self.tasks_oldest.clear();
        let Some(stats) = stats else { return };
        let labels = |(tenant, workflow, state): (TenantId, &String, u16)| {
            let named = names(tenant, workflow);
            let shown = named.as_ref().is_none_or(|n| n.own_series);
            shown.then(|| ByState {
                tenant: tenant.0,
                workflow: workflow.clone(),
                queue: named.as_ref().map_or_else(String::new, |n| n.queue.clone()),
                state: state_name(named.as_ref(), state),
            })
        };
        for (tenant, workflow, state, n) in &stats.cases {
            if let Some(labels) = labels((*tenant, workflow, *state)) {
                self.cases.get_or_create(&labels).set(count(*n));
            }
        }
        for (tenant, workflow, state, age) in &stats.cases_oldest {
            if let Some(labels) = labels((*tenant, workflow, *state)) {
                self.cases_oldest.get_or_create(&labels).set(seconds(*age));
            }
        }
        for (tenant, action, state, n, age) in &stats.effects_open {
            let labels = ByAction {
                tenant: tenant.0,
                action: action.clone(),
                state: state.word(),
            };
            self.queue.get_or_create(&labels).set(count(*n));
            self.queue_oldest.get_or_create(&labels).set(seconds(*age));
        }
        for (class, state, n) in &stats.effects {
            let labels = ByClass {
                class: class.word(),
                state: state.word(),
            };
            self.effects.get_or_create(&labels).set(count(*n));
        }
        for (tenant, kind, n, age) in &stats.tasks {
            let labels = ByKind {
                tenant: tenant.0,
                kind: kind.clone(),
            };
            self.tasks.get_or_create(&labels).set(count(*n));
            self.tasks_oldest.get_or_create(&labels).set(seconds(*age));
        }
        self.timers.set(count(stats.timers.0));
        self.timers_late.set(seconds(stats.timers.1));
        self.events.set(count(stats.events));
        self.pending.set(count(stats.events_pending.0));
        self.pending_oldest.set(seconds(stats.events_pending.1));
        self.duplicates.set(count(stats.duplicates));
        self.turns.set(count(stats.turns));
        self.leaves.set(count(stats.leaves));
        self.bytes.set(count(stats.bytes));
    }
}

/// The name of a state. Beyond the canonical ones it is the current version's; a number where there is none.
fn state_name(named: Option<&Named>, state: u16) -> String {
    let at = usize::from(state);
    let known = canonical::NAMES.get(at).map(|n| (*n).to_owned());
    known
        .or_else(|| named?.states.get(at).cloned())
        .unwrap_or_else(|| state.to_string())
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}
