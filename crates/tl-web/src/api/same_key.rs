//! Requests of one caller with the same Idempotency-Key go one after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tl_kernel::id::TenantId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::command::Command;
use crate::problem::{IN_PROGRESS, Problem};

type Key = (TenantId, String, String);

/// Who is at work: tenant, principal, key.
#[derive(Debug, Default)]
pub(crate) struct SameKey {
    busy: Mutex<BTreeMap<Key, Arc<AsyncMutex<()>>>>,
}

/// The right to work on a key; given back when dropped.
pub(crate) struct Turn<'a> {
    all: &'a SameKey,
    key: Key,
    lock: Option<OwnedMutexGuard<()>>,
}

impl SameKey {
    /// Waits for the request before this one, for a while.
    pub(crate) async fn take(
        &self,
        command: &Command,
        wait: Duration,
    ) -> Result<Turn<'_>, Problem> {
        let key = (
            command.tenant,
            command.principal.clone(),
            command.key.clone(),
        );
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(busy.entry(key.clone()).or_default())
        };
        // Made before the wait, so that a caller who gives up tidies as well.
        let mut turn = Turn {
            all: self,
            key,
            lock: None,
        };
        match tokio::time::timeout(wait, lock.lock_owned()).await {
            Ok(lock) => {
                turn.lock = Some(lock);
                Ok(turn)
            }
            Err(_) => Err(Problem::new(
                IN_PROGRESS,
                "Ask again with the same key; the first request goes on.",
            )
            .retry(1)),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.all.busy.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.lock.take());
        // One holder is the map itself: nobody works and nobody waits.
        if busy
            .get(&self.key)
            .is_some_and(|lock| Arc::strong_count(lock) == 1)
        {
            busy.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_second_waits_and_gives_up_and_nothing_is_left_behind() {
        let all = SameKey::default();
        let wait = Duration::from_secs(2);
        let command = |tenant, principal: &str| Command {
            tenant: TenantId(tenant),
            principal: principal.to_owned(),
            key: "k".to_owned(),
            fingerprint: [0; 32],
        };
        let first = all.take(&command(1, "key:a"), wait).await.ok();
        assert!(first.is_some());
        let second = all.take(&command(1, "key:a"), wait).await;
        assert_eq!(second.err().map(|p| p.kind), Some(IN_PROGRESS));
        assert!(
            all.take(&command(2, "key:a"), wait).await.is_ok(),
            "another tenant"
        );
        assert!(
            all.take(&command(1, "key:b"), wait).await.is_ok(),
            "another caller"
        );
        drop(first);
        assert!(
            all.take(&command(1, "key:a"), wait).await.is_ok(),
            "free again"
        );
        assert!(all.busy.lock().unwrap().is_empty());
    }
}
