//! Step 3: whether there is room, before a byte of the body is read.

use std::sync::Arc;

use tl_kernel::id::{EventId, TenantId};
use tokio::sync::OwnedSemaphorePermit;

use super::Found;
use crate::bearer::too_fast;
use crate::intake::TenantView;
use crate::limits::PUBLIC_RATE;
use crate::problem::Problem;
use crate::state::{Rate, Web, unavailable};

/// First the installation, then the tenant, then the door. The permit counts the request until its answer.
pub(crate) fn enter(
    web: &Web,
    found: &Found,
    id: EventId,
) -> Result<OwnedSemaphorePermit, Problem> {
    let permit = installation(web, id)?;
    tenant(web, &found.view, id)?;
    door(web, found, id)?;
    Ok(permit)
}

/// Whether a tenant takes messages, and this one at its pace.
pub(crate) fn tenant(web: &Web, view: &TenantView, id: EventId) -> Result<(), Problem> {
    if view.ingest_killed {
        return Err(unavailable("kill_ingest", 30, id));
    }
    if let Some(seconds) = web.intake.backlog(view.id) {
        return Err(unavailable("backlog", seconds, id));
    }
    pace(web, (view.id, ""), web.config.tenant_rate, id)
}

/// Whether a door takes a message at its pace. Where anybody may send, it is the pace of people.
pub(crate) fn door(web: &Web, found: &Found, id: EventId) -> Result<(), Problem> {
    let whose = (found.view.id, found.name.as_str());
    let rate = web.config.endpoint_rate;
    let rate = match found.endpoint().proves_sender() {
        true => rate,
        false => Rate {
            per_second: rate.per_second.min(PUBLIC_RATE.per_second),
            burst: rate.burst.min(PUBLIC_RATE.burst),
        },
    };
    pace(web, whose, rate, id)
}

/// Whether the page of a door is shown now: it has a pace of its own, so that whoever loads it again and again keeps
/// no message out.
pub(crate) fn glance(web: &Web, found: &Found, id: EventId) -> Result<(), Problem> {
    drop(installation(web, id)?);
    let whose = (found.view.id, format!("page of {}", found.name));
    pace(web, (whose.0, &whose.1), web.config.endpoint_rate, id)
}

fn pace(
    web: &Web,
    (tenant, name): (TenantId, &str),
    rate: Rate,
    id: EventId,
) -> Result<(), Problem> {
    web.pace
        .take(tenant, name, rate, web.intake.now())
        .map_err(|wait| too_fast(wait, id))
}

/// Whether the installation takes any message now.
pub(crate) fn installation(web: &Web, id: EventId) -> Result<OwnedSemaphorePermit, Problem> {
    if let Some((class, seconds)) = web.intake.overloaded() {
        return Err(unavailable(class, seconds, id));
    }
    Arc::clone(&web.in_flight)
        .try_acquire_owned()
        .map_err(|_| unavailable("in_flight", 5, id))
}

/// Memory for a body of a declared length, held until the answer.
pub(crate) fn room(web: &Web, length: u32, id: EventId) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&web.bodies)
        .try_acquire_many_owned(length / 1024 + 1)
        .map_err(|_| unavailable("memory", 5, id))
}
