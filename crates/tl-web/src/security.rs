//! The security log: who was turned away where and why, without the message, and never more lines than a
//! person can read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::TenantId;

use crate::limits::{MAX_COUNTED, SECURITY_LINES, SECURITY_WINDOW};

/// Counts the lines per door.
#[derive(Debug, Default)]
pub(crate) struct SecurityLog {
    seen: Mutex<BTreeMap<(TenantId, String), (i64, u32)>>,
}

impl SecurityLog {
    /// Writes a line unless the door has had its share of this minute.
    pub(crate) fn refused(
        &self,
        (tenant, door): (TenantId, &str),
        reason: &str,
        body: &[u8],
        now: i64,
    ) {
        if self.has_room(tenant, door, now) {
            let body_sha256 = hex(&sha256(&[body]));
            tracing::warn!(target: "security", tenant = tenant.0, door, reason, body_sha256, "refused");
        }
    }

    fn has_room(&self, tenant: TenantId, door: &str, now: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_COUNTED {
            seen.retain(|_, (start, _)| now - *start < SECURITY_WINDOW);
        }
        let entry = seen.entry((tenant, door.to_owned())).or_insert((now, 0));
        if now - entry.0 >= SECURITY_WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
        entry.1 <= SECURITY_LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_has_so_many_lines_per_minute() {
        let log = SecurityLog::default();
        let lines = |door, now| {
            (0..20)
                .filter(|_| log.has_room(TenantId(1), door, now))
                .count()
        };
        assert_eq!(lines("a", 0), SECURITY_LINES as usize);
        assert_eq!(lines("a", SECURITY_WINDOW - 1), 0);
        assert_eq!(lines("b", 0), SECURITY_LINES as usize);
        assert_eq!(lines("a", SECURITY_WINDOW), SECURITY_LINES as usize);
    }
}
