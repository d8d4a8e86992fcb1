//! Which secret of a door its senders use, since this process began: before an earlier one is ended, somebody has to
//! see that nobody uses it any more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tl_kernel::id::TenantId;
use tl_kernel::time::HOUR;

/// How often it is said of a secret that it is still used, µs.
const SAID: i64 = HOUR;

/// The messages that each secret verified.
#[derive(Debug, Default)]
pub struct Matched {
    uses: Mutex<BTreeMap<(TenantId, String, String), Uses>>,
}

/// What a secret verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// Messages.
    pub count: u64,
    /// The last of them, µs.
    pub last: i64,
    said: Option<i64>,
}

impl Matched {
    /// Counts a message. True where it is time to say again that an earlier secret is still used.
    pub fn count(&self, of: (TenantId, &str, &str), at: i64, earlier: bool) -> bool {
        let (tenant, endpoint, kid) = of;
        let mut all = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = all
            .entry((tenant, endpoint.to_owned(), kid.to_owned()))
            .or_insert(Uses {
                count: 0,
                last: at,
                said: None,
            });
        (uses.count, uses.last) = (uses.count + 1, at);
        let due = earlier && uses.said.is_none_or(|said| at - said >= SAID);
        if due {
            uses.said = Some(at);
        }
        due
    }

    /// What a secret verified; nothing where it verified no message yet.
    pub fn of(&self, of: (TenantId, &str, &str)) -> Option<Uses> {
        let (tenant, endpoint, kid) = of;
        let all = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(tenant, endpoint.to_owned(), kid.to_owned()))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_secret_is_named_once_an_hour() {
        let matched = Matched::default();
        let at = |kid| (TenantId(1), "door", kid);
        let table = [
            ("new", 0, false, false),
            ("old", 1, true, true),
            ("old", 2, true, false),
            ("old", SAID, true, false),
            ("old", SAID + 1, true, true),
        ];
        for (kid, now, earlier, said) in table {
            assert_eq!(matched.count(at(kid), now, earlier), said, "{kid} at {now}");
        }
        let old = matched.of(at("old")).unwrap();
        assert_eq!((old.count, old.last), (4, SAID + 1));
        assert_eq!(matched.of((TenantId(2), "door", "old")), None);
    }
}
