//! The token of a page that was shown: when, for which door, and the key of the one message that may come from it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tl_kernel::digest::{hex, keyed};
use tl_kernel::id::EventId;

use crate::ingest::Found;

/// A page that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// When, µs.
    pub(crate) at: i64,
    /// The key of its message.
    pub(crate) key: String,
}

/// The token of a page that is shown now. The request's id names it.
pub(crate) fn issue(found: &Found, now: i64, request: EventId) -> String {
    let key = hex(&request.0);
    format!("{now}.{key}.{}", mac(found, now, &key))
}

/// Reads a token; `None` where this door has not issued it.
pub(crate) fn read(found: &Found, token: &str) -> Option<Shown> {
    let mut parts = token.split('.');
    let (at, key, given) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let time: i64 = at.parse().ok()?;
    let right = mac(found, time, key);
    let equal = verify_slices_are_equal(right.as_bytes(), given.as_bytes()).is_ok();
    // Another spelling of the same number would be another token.
    (equal && time.to_string() == at).then(|| Shown {
        at: time,
        key: key.to_owned(),
    })
}

fn mac(found: &Found, at: i64, key: &str) -> String {
    let parts: [&[u8]; 4] = [
        b"form",
        found.name.as_bytes(),
        &at.to_be_bytes(),
        key.as_bytes(),
    ];
    hex(&keyed(&found.view.key, &parts))
}
