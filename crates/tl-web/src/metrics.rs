//! Counters and gauges. Labels are names of the configuration and fixed words; nothing of a message.

mod store;

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tl_kernel::id::TenantId;
use tl_store::Stats;

use crate::ingest::Found;
use store::StoreGauges;
pub(crate) use store::Writer;

/// Upper bounds of the latency buckets, seconds; close together around the target of 50 ms.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ingested {
    tenant: u32,
    endpoint: String,
    outcome: &'static str,
}

#[derive(Debug, Clone)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// What the series of a workflow are labelled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `queue.name`.
    pub queue: String,
    /// The names of its states, by position.
    pub states: Vec<String>,
    /// `observability.metrics`; false: it has no series of its own.
    pub own_series: bool,
}

/// Knows the current version of a workflow, by tenant and id.
type Names = dyn Fn(TenantId, &str) -> Option<Named> + Send + Sync;

/// The names, once the program has given them.
#[derive(Default)]
struct Namer(OnceLock<Box<Names>>);

impl fmt::Debug for Namer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Namer")
    }
}

/// All series of the process. Other parts of the program may register their own before the first scrape.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    answers: Family<Answered, Counter>,
    latency: Family<Route, Histogram, Latency>,
    messages: Family<Ingested, Counter>,
    store: StoreGauges,
    names: Namer,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("throughline");
        let answers = Family::default();
        registry.register(
            "http_requests",
            "Answers by route and class of status",
            answers.clone(),
        );
        let latency = Family::new_with_constructor(Latency);
        registry.register(
            "http_request_duration_seconds",
            "Time from the complete head to the answer, by route",
            latency.clone(),
        );
        let messages = Family::default();
        registry.register(
            "messages",
            "Messages by door and outcome: accepted, duplicate, variant, replayed, or why they were refused",
            messages.clone(),
        );
        let store = StoreGauges::register(&mut registry);
        Metrics {
            registry: Mutex::new(registry),
            answers,
            latency,
            messages,
            store,
            names: Namer::default(),
        }
    }
}

impl Metrics {
    /// Registers the series of another part of the program.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives workflows their names in the series that the store counts. The first caller decides.
    pub fn name_by(&self, names: impl Fn(TenantId, &str) -> Option<Named> + Send + Sync + 'static) {
        let _ = self.names.0.set(Box::new(names));
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        let route = route.to_owned();
        let labels = Answered {
            route: route.clone(),
            status: class,
        };
        self.answers.get_or_create(&labels).inc();
        self.latency
            .get_or_create(&Route { route })
            .observe(took.as_secs_f64());
    }

    /// Counts what became of a message. A door that was not found has no name here: names of strangers would
    /// fill the memory.
    pub(crate) fn ingested(&self, found: Option<&Found>, outcome: &'static str) {
        if found.is_some_and(|f| !f.door().program.observability.metrics) {
            return;
        }
        let labels = Ingested {
            tenant: found.map_or(0, |f| f.view.id.0),
            endpoint: found.map_or_else(|| "none".to_owned(), |f| f.name.clone()),
            outcome,
        };
        self.messages.get_or_create(&labels).inc();
    }

    /// All series as text.
    pub(crate) fn text(&self, stats: Option<&Stats>, writer: Writer) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let names = |tenant, workflow: &str| self.names.0.get().and_then(|n| n(tenant, workflow));
        self.store.set(stats, writer, names);
        let mut out = String::new();
        if encode(&mut out, &registry).is_err() {
            tracing::error!("the metrics could not be written as text");
        }
        out
    }
}

#[cfg(test)]
mod tests;
