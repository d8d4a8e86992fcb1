//! How fast one tenant and one door may be used: a bucket of tokens per name, in engine time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tl_kernel::id::TenantId;

use crate::limits::MAX_COUNTED;
use crate::state::Rate;

/// The buckets. A bucket is one number: the instant at which it will be full again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    full_at: Mutex<BTreeMap<(TenantId, String), i64>>,
}

impl Pace {
    /// Takes a token, or says how long it takes until there is one, µs. An empty name is the tenant as a whole.
    pub(crate) fn take(
        &self,
        tenant: TenantId,
        name: &str,
        rate: Rate,
        now: i64,
    ) -> Result<(), i64> {
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_COUNTED {
            all.retain(|_, full_at| *full_at > now);
        }
        let interval = 1_000_000 / i64::from(rate.per_second.max(1));
        let depth = interval * i64::from(rate.burst.max(1));
        let full_at = all.entry((tenant, name.to_owned())).or_insert(now);
        let next = now.max(*full_at) + interval;
        if next - now > depth {
            return Err(next - now - depth);
        }
        *full_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_then_one_per_interval() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let pace = Pace::default();
        let t = TenantId(1);
        let table = [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(100_000)),
            (40_000, Err(60_000)),
            (100_000, Ok(())),
            (100_000, Err(100_000)),
            (10_000_000, Ok(())),
        ];
        for (now, want) in table {
            assert_eq!(pace.take(t, "a", rate, now), want, "at {now}");
        }
        assert_eq!(
            pace.take(t, "b", rate, 0),
            Ok(()),
            "another door has its own"
        );
        assert_eq!(
            pace.take(TenantId(2), "a", rate, 0),
            Ok(()),
            "another tenant too"
        );
    }
}
