//! The security log: who was turned away where and why, without the message, and never more lines than a
//! person can read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::{EventId, TenantId};

use crate::guard::request_name;
use crate::headers;
use crate::limits::{MAX_COUNTED, SECURITY_LINES, SECURITY_WINDOW};

/// A request that was turned away.
pub(crate) struct Refused<'a> {
    /// The word for why.
    pub(crate) reason: &'static str,
    /// Its id, which its answer carries.
    pub(crate) id: EventId,
    /// Its head, where it is still here: its sender may have given it an id.
    pub(crate) headers: Option<&'a HeaderMap>,
    /// What was read of it.
    pub(crate) body: &'a [u8],
}

impl<'a> Refused<'a> {
    /// One that was turned away for its head alone.
    pub(crate) fn of(headers: &'a HeaderMap, id: EventId, reason: &'static str) -> Refused<'a> {
        Refused {
            reason,
            id,
            headers: Some(headers),
            body: b"",
        }
    }
}

/// Counts the lines per door.
#[derive(Debug, Default)]
pub(crate) struct SecurityLog {
    seen: Mutex<BTreeMap<(TenantId, String), (i64, u32)>>,
}

impl SecurityLog {
    /// Writes a line unless the door has had its share of this minute.
    pub(crate) fn refused(&self, at: (TenantId, &str), refused: Refused<'_>, now: i64) {
        let (tenant, door) = at;
        if self.has_room(tenant, door, now) {
            let body_sha256 = hex(&sha256(&[refused.body]));
            tracing::warn!(
                target: "security",
                tenant = tenant.0,
                door,
                reason = refused.reason,
                request_id = request_name(refused.id),
                sender_request_id = refused.headers.and_then(headers::sender_request_id),
                body_sha256,
                "refused"
            );
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
