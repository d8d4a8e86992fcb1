//! Before each connection of a tenant stands a guard: its retry budget, its breaker, and what the other side said of
//! us. Here they are kept, by name, for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tl_connect::client::Connection;
use tl_connect::guard::breaker::Position;
use tl_connect::guard::{Admission, Guard, Seen, Ticket, Try, Why};
use tl_kernel::id::{EffectId, TenantId};
use tl_kernel::time::MINUTE;

use crate::telemetry::{ConnectionNow, Telemetry};

/// What waited and was not seen again so long after it was due waits no more: a person closed its case.
const GONE: i64 = 5 * MINUTE;

/// The lanes of a node: by tenant, connection, and where that leads.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    all: RwLock<BTreeMap<TenantId, Named>>,
}

/// The lanes of a tenant by connection; more than one where versions of workflows lead to different places.
type Named = BTreeMap<String, Vec<Arc<Lane>>>;

/// The way to one place behind a connection of a tenant.
#[derive(Debug)]
pub(crate) struct Lane {
    tenant: TenantId,
    connection: String,
    base_url: String,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    guard: Guard,
    /// The connection as it was the last time.
    to: Option<Arc<Connection>>,
    /// Effects that wait at the guard: why, and when they ask again, µs.
    waiting: BTreeMap<EffectId, (Why, i64)>,
    /// What the series show.
    shown: Option<ConnectionNow>,
}

/// An attempt that was let through. The guard learns when it is over what the worst was that was seen of it: an
/// attempt reads and writes, and counts once.
#[derive(Debug)]
pub(crate) struct Pass {
    lane: Option<(Arc<Lane>, Ticket)>,
    to: Option<Arc<Connection>>,
    worst: Seen,
    seen_at: i64,
}

impl Lanes {
    /// The lane of a tenant's connection.
    pub(crate) fn of(&self, tenant: TenantId, to: &Connection) -> Arc<Lane> {
        let leads_there = |l: &&Arc<Lane>| l.base_url == to.base_url();
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let named = all.get(&tenant).and_then(|t| t.get(to.name()));
        if let Some(lane) = named.and_then(|lanes| lanes.iter().find(leads_there)) {
            return Arc::clone(lane);
        }
        drop(all);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let named = all.entry(tenant).or_default();
        let lanes = named.entry(to.name().to_owned()).or_default();
        if let Some(lane) = lanes.iter().find(leads_there) {
            return Arc::clone(lane);
        }
        let lane = Arc::new(Lane {
            tenant,
            connection: to.name().to_owned(),
            base_url: to.base_url().to_owned(),
            inner: Mutex::default(),
        });
        lanes.push(Arc::clone(&lane));
        lane
    }

    /// Shows in the series how the connections are.
    pub(crate) fn show(&self, now: i64, telemetry: &Telemetry) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        for lane in all.values().flat_map(BTreeMap::values).flatten() {
            let mut inner = lane.lock();
            inner.waiting.retain(|_, (_, due)| now < *due + GONE);
            let mut present = ConnectionNow {
                stopped: inner.guard.stopped(now),
                ramps: inner.guard.position(now) == Position::Ramp,
                waiting: [0; Why::ALL.len()],
            };
            for (why, _) in inner.waiting.values() {
                present.waiting[*why as usize] += 1;
            }
            if inner.shown.as_ref() != Some(&present) {
                telemetry.connection(lane.tenant, &lane.connection, &present);
                inner.shown = Some(present);
            }
        }
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an attempt through, or says why and until when it waits. Another credential than the last time is
    /// tried: that the old one was refused says nothing of it. So many nodes share its rate.
    pub(crate) fn admit(
        self: &Arc<Lane>,
        now: i64,
        what: Try,
        (to, nodes): (Arc<Connection>, u32),
    ) -> Result<Pass, (Why, i64)> {
        let admission = {
            let mut inner = self.lock();
            inner.leads(&to);
            inner.guard.shared_by(nodes);
            inner.guard.admit(now, what)
        };
        match admission {
            Admission::Go(ticket) => Ok(Pass {
                lane: Some((Arc::clone(self), ticket)),
                to: Some(to),
                worst: Seen::Nothing,
                seen_at: now,
            }),
            Admission::Wait { why, until } => Err((why, until)),
        }
    }

    /// An effect waits at the guard until an instant, µs.
    pub(crate) fn waits(&self, effect: EffectId, why: Why, until: i64) {
        self.lock().waiting.insert(effect, (why, until));
    }

    /// It does not wait any more.
    pub(crate) fn waits_no_more(&self, effect: EffectId) {
        self.lock().waiting.remove(&effect);
    }

    fn seen(&self, now: i64, ticket: Ticket, seen: Seen) {
        let (before, after) = {
            let mut inner = self.lock();
            let before = inner.guard.stopped(now);
            inner.guard.seen(now, ticket, seen);
            (before, inner.guard.stopped(now))
        };
        if before == after {
            return;
        }
        let (connection, tenant) = (&self.connection, self.tenant.0);
        match after {
            Some(why) => {
                tracing::warn!(
                    connection,
                    tenant,
                    why = why.word(),
                    "a connection is stopped"
                );
            }
            None => tracing::info!(connection, tenant, "a connection works again"),
        }
    }
}

impl Inner {
    fn leads(&mut self, to: &Arc<Connection>) {
        match &self.to {
            Some(before) if Arc::ptr_eq(before, to) => return,
            Some(before) if !before.is_same(to) => self.guard.credential_changed(),
            _ => {}
        }
        self.guard.set_rate(to.rate());
        self.to = Some(Arc::clone(to));
    }
}

impl Pass {
    /// For what reaches no other system.
    pub(crate) const FREE: Pass = Pass {
        lane: None,
        to: None,
        worst: Seen::Nothing,
        seen_at: 0,
    };

    /// Where the attempt leads.
    pub(crate) fn to(&self) -> Option<Arc<Connection>> {
        self.to.clone()
    }

    /// Takes note of what was seen of it.
    pub(crate) fn seen(&mut self, now: i64, seen: Seen) {
        self.worst = self.worst.or_worse(seen);
        self.seen_at = now;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((lane, ticket)) = &self.lane {
            lane.seen(self.seen_at, *ticket, self.worst);
        }
    }
}
