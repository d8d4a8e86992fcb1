//! Key sets of token issuers, fetched beside the request path: at once for a new address, again from time to time,
//! soon where a sender shows a key that is not in the set, and with growing pauses while an issuer does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tl_connect::client::Client;
use tl_kernel::program::Auth;
use tl_web::limits::KEYS_FRESH;
use tl_wire::jwt::KeySet;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// How often a set is fetched that nobody asks for.
const REFRESH: Duration = Duration::from_secs(300);
/// The pause after the first failed fetch; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The shortest time between two fetches of a set, however often it is asked for.
const FLOOR: Duration = Duration::from_micros(KEYS_FRESH as u64);
/// How often it is looked whether a new address was deployed, or a pause is over.
const LOOK: Duration = Duration::from_secs(2);

/// A set as it was fetched.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// When the issuer was asked, µs.
    pub at: i64,
    /// Its keys.
    pub keys: Arc<KeySet>,
}

/// The fetched key sets by address.
#[derive(Debug, Default)]
pub struct Issuers {
    sets: RwLock<BTreeMap<String, Fetched>>,
    fetches: AtomicU64,
    wanted: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Issuers {
    /// The newest set of an address; none before the first fetch.
    pub fn get(&self, address: &str) -> Option<Fetched> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.get(address).cloned()
    }

    /// Raised with every fetch.
    pub fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::Acquire)
    }

    /// A newer set of an address is wanted.
    pub fn want(&self, address: &str) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.insert(address.to_owned());
        self.wake.notify_one();
    }

    fn put(&self, address: String, fetched: Fetched) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        sets.insert(address, fetched);
        self.fetches.fetch_add(1, Ordering::Release);
    }

    /// Fetches what is due until it is stopped.
    pub async fn keep(&self, app: &App, client: &Client, stop: &CancellationToken) {
        let mut turns: BTreeMap<String, Turn> = BTreeMap::new();
        loop {
            let addresses = addresses(app).await;
            turns.retain(|address, _| addresses.contains_key(address));
            let wanted =
                std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
            for (address, private) in addresses {
                let turn = turns.entry(address.clone()).or_default();
                turn.wanted |= wanted.contains(&address);
                let begun = Instant::now();
                if !turn.is_due(begun) {
                    continue;
                }
                let at = app.desk.now();
                let fetched = tl_connect::keysets::fetch(client, &address, private).await;
                turn.took_place(begun, fetched.is_ok());
                match fetched {
                    Ok(keys) => {
                        let keys = Arc::new(keys);
                        self.put(address, Fetched { at, keys });
                    }
                    Err(e) => tracing::warn!(error = %e, address, "key set"),
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// When an address is fetched next.
#[derive(Debug, Default)]
struct Turn {
    last: Option<Instant>,
    failures: u32,
    wanted: bool,
}

impl Turn {
    fn is_due(&self, now: Instant) -> bool {
        let pause = self.pause();
        self.last
            .is_none_or(|last| now.duration_since(last) >= pause)
    }

    fn pause(&self) -> Duration {
        let usual = match self.failures {
            0 => REFRESH,
            n => FIRST_PAUSE
                .saturating_mul(1 << (n - 1).min(16))
                .min(REFRESH),
        };
        if self.wanted { usual.min(FLOOR) } else { usual }
    }

    fn took_place(&mut self, begun: Instant, succeeded: bool) {
        *self = Turn {
            last: Some(begun),
            failures: if succeeded {
                0
            } else {
                self.failures.saturating_add(1)
            },
            // While an issuer does not answer, its senders go on waiting.
            wanted: self.wanted && !succeeded,
        };
    }
}

/// The addresses of the current versions, and whether each may lie in a private network.
async fn addresses(app: &App) -> BTreeMap<String, bool> {
    let mut out = BTreeMap::new();
    for (id, _) in app.desk.store().tenants().await.unwrap_or_default() {
        let Ok(view) = app.desk.tenant(id).await else {
            continue;
        };
        let bundles = view.current.values();
        for endpoint in bundles.flat_map(|(_, b)| &b.program.endpoints) {
            let private = app.config.allow_private.contains(&endpoint.name);
            for auth in &endpoint.auth {
                if let Auth::Jwt {
                    keys: Some(url), ..
                } = auth
                    && tl_lang::is_key_address(url)
                    && tl_lang::may_fetch_keys(url)
                {
                    *out.entry(url.clone()).or_insert(false) |= private;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_asked_as_often_as_it_helps() {
        // Failed fetches in a row, whether a sender waits, seconds until the next fetch.
        let table = [
            (0, false, 300),
            (0, true, 10),
            (1, false, 2),
            (1, true, 2),
            (2, true, 4),
            (4, false, 16),
            (4, true, 10),
            (9, false, 300),
            (u32::MAX, false, 300),
        ];
        let begun = Instant::now();
        for (failures, wanted, seconds) in table {
            let turn = Turn {
                last: Some(begun),
                failures,
                wanted,
            };
            let (due, name) = (Duration::from_secs(seconds), (failures, wanted));
            assert!(turn.is_due(begun + due), "{name:?}");
            assert!(
                !turn.is_due(begun + due - Duration::from_millis(1)),
                "{name:?}"
            );
        }
        let mut turn = Turn::default();
        assert!(turn.is_due(begun), "a new address at once");
        turn.wanted = true;
        turn.took_place(begun, false);
        assert_eq!((turn.failures, turn.wanted), (1, true));
        turn.took_place(begun, true);
        assert_eq!((turn.failures, turn.wanted), (0, false));
    }
}
