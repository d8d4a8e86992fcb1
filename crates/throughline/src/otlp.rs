//! What a running server tells others about itself: the engine's series beside those of the doors, and traces to the
//! receiver in the settings.

use tl_connect::client::{Auth, Client, Connection};
use tl_engine::desk::Desk;
use tl_engine::telemetry::Exporter;
use tl_web::metrics::{Metrics, Named};

use crate::config::Config;
use crate::failure::Failure;

/// Every series of the process: of the doors, the store and the engine.
pub fn metrics(desk: &Desk) -> Metrics {
    let metrics = Metrics::default();
    metrics.register(|registry| desk.telemetry().register(registry));
    let desk = desk.clone();
    metrics.name_by(move |tenant, workflow| {
        let view = desk.tenant_if_known(tenant)?;
        let program = &view.current.get(workflow)?.1.program;
        Some(Named {
            queue: program.queue.name.clone(),
            states: program.states.iter().map(|s| s.name.clone()).collect(),
            own_series: program.observability.metrics,
        })
    });
    metrics
}

/// The exporter of traces, where the settings name a receiver. The receiver is the owner's own choice, so it may be
/// at a private address, as collectors usually are.
pub fn exporter(
    config: &Config,
    desk: &Desk,
    client: &Client,
) -> Result<Option<Exporter>, Failure> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let connection = Connection::new("otlp", endpoint, &Auth::None, true)
        .map_err(|e| Failure::usage(format!("`otlp_endpoint` cannot be used: {e}")))?;
    Ok(Some(Exporter::new(
        desk.clone(),
        client.clone(),
        connection,
    )))
}
