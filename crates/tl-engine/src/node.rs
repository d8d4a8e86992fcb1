//! One node among several: its views follow what other nodes change, its worker wakes for what they leave to it, it
//! takes over from nodes that died, and nothing leaves it once its own lease has run out.
//!
//! With an embedded database there is one node, and the same loop notices a switch that a command wrote beside it.

use std::time::Duration;

use tl_kernel::id::TenantId;
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, DeskError, read_error};
use crate::tap::Stopped;

/// How often the gates are compared with what is cached when nobody says that something has changed: what another
/// process writes counts after this.
const COMPARE: Duration = Duration::from_millis(250);
/// How often a node that does no work looks how long work waits. Senders are turned away after ten seconds of it.
const BACKLOG: Duration = Duration::from_secs(1);
/// Nodes that died are looked for so many times in the length of a lease.
const LOOKS_PER_LEASE: u32 = 4;

/// Where a node stands among those that live: the order in which it takes up what all of them see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Nodes of a smaller number.
    pub(crate) before: u32,
    /// All of them, at least 1.
    pub(crate) all: u32,
}

impl Share {
    /// The only one.
    pub(crate) const ALONE: Share = Share { before: 0, all: 1 };

    /// Of a list that every node reads alike each begins somewhere else, so that they seldom reach for the same.
    pub(crate) fn turn<T>(self, list: &mut [T]) {
        let start = list.len() * self.before as usize / self.all.max(1) as usize;
        list.rotate_left(start);
    }
}

impl Desk {
    /// Whether effects may leave: the node's lease runs, by this machine's clocks.
    pub fn may_send(&self) -> bool {
        self.store().lease_left().is_none_or(|left| !left.is_zero())
    }

    /// Passed right before bytes leave.
    pub(crate) fn holds_lease(&self) -> Result<(), Stopped> {
        if self.may_send() {
            return Ok(());
        }
        tracing::warn!("TL0607 the node's lease has run out: nothing is sent");
        Err(Stopped)
    }

    /// Keeps the views true until the token is cancelled: looks when another node has committed, and in time.
    pub async fn follow_gates(self, stop: CancellationToken) {
        let mut elsewhere = self.store().elsewhere();
        loop {
            let woken = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = elsewhere.changed() => changed.is_ok(),
                () = self.sleep(COMPARE) => false,
            };
            match self.compare_gates().await {
                Ok(moved) if moved || woken => self.nudge(),
                Ok(_) => {}
                Err(e) => tracing::warn!(error = %e, "the gates cannot be read"),
            }
        }
    }

    /// Reads every cached view anew whose gate has moved. Whether one had.
    pub async fn compare_gates(&self) -> Result<bool, DeskError> {
        let gates = self.store().gates().await.map_err(read_error)?;
        let epoch = |id: TenantId| gates.get(&id).copied().unwrap_or(0);
        let installation = epoch(TenantId::SYSTEM);
        let mut moved = false;
        for view in self.known_views() {
            let known = (view.rows.tenant_epoch, view.rows.installation_epoch);
            if known != (epoch(view.id), installation) {
                self.reload(view.id).await?;
                moved = true;
            }
        }
        Ok(moved)
    }

    /// Follows how long work waits, for a node that takes messages and does none of it: what its doors bring is worked
    /// off elsewhere, and only the database says how far behind that is. Until the token is cancelled.
    pub async fn follow_backlog(self, stop: CancellationToken) {
        loop {
            if let Err(e) = self.look_at_backlog().await {
                tracing::warn!(error = %e, "the backlog cannot be read");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.sleep(BACKLOG) => {}
            }
        }
    }

    /// Reads how long the oldest effect of each tenant has been ready that nobody has taken.
    pub async fn look_at_backlog(&self) -> Result<(), DeskError> {
        let now = self.now();
        let since = self.store().backlog(now).await;
        self.set_backlog(since.map_err(read_error)?);
        Ok(())
    }

    /// Takes over from nodes whose lease has lapsed, until the token is cancelled.
    pub async fn take_over(self, lease: Duration, stop: CancellationToken) {
        if !self.store().is_shared() {
            return;
        }
        loop {
            if let Err(e) = self.take_over_once().await {
                tracing::warn!(error = %e, "nodes that died cannot be looked for");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.sleep(lease / LOOKS_PER_LEASE) => {}
            }
        }
    }

    async fn take_over_once(&self) -> Result<(), DeskError> {
        let store = self.store();
        let lapsed = store.lapse_others().await.map_err(read_error)?;
        if !lapsed.is_empty() {
            tracing::info!(nodes = ?lapsed, "nodes have ended; what they had begun is taken over");
            self.nudge();
        }
        let now = store.database_time().unwrap_or_else(|| self.now());
        let nodes = store.nodes().await.map_err(read_error)?;
        let live = nodes.iter().filter(|n| n.lease_until > now);
        let (own, mut share) = (store.node(), Share { before: 0, all: 0 });
        for node in live {
            share.all += 1;
            share.before += u32::from(node.id < own);
        }
        share.all = share.all.max(share.before + 1);
        self.set_share(share);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_begins_somewhere_else() {
        let table = [
            (Share::ALONE, [0, 1, 2, 3, 4, 5]),
            (Share { before: 0, all: 3 }, [0, 1, 2, 3, 4, 5]),
            (Share { before: 1, all: 3 }, [2, 3, 4, 5, 0, 1]),
            (Share { before: 2, all: 3 }, [4, 5, 0, 1, 2, 3]),
        ];
        for (share, want) in table {
            let mut list = [0, 1, 2, 3, 4, 5];
            share.turn(&mut list);
            assert_eq!(list, want, "{share:?}");
        }
        Share { before: 1, all: 2 }.turn::<u8>(&mut []);
    }
}
