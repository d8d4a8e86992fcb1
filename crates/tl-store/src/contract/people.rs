//! People who may sign in, and the sessions in which they have.

use tl_kernel::digest::Digest;

/// A change of accounts or sessions. None of them raises the gate's epoch.
#[derive(Debug, Clone)]
pub enum People {
    /// An account: added, or replaced by name.
    Account(AccountRow),
    /// A session: begun, or seen again.
    Session(SessionRow),
    /// A session ends.
    SessionEnds {
        /// Digest of its token.
        token: Digest,
    },
    /// All sessions of an account end: its role or its password changed.
    SessionsEnd {
        /// Name of the account.
        account: String,
    },
    /// Drops the sessions that are over.
    SessionsOver {
        /// Engine time, µs.
        now: i64,
    },
}

/// A person who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Name, unique within the tenant: what the journal calls the person.
    pub name: String,
    /// Name as people write it.
    pub shown: String,
    /// What the person may do, as a word; the store does not judge it.
    pub role: String,
    /// Hash of the password with its parameters and salt, as a PHC string. Empty: nobody signs in with it.
    pub password: String,
    /// Who made or changed it.
    pub by: String,
    /// When, µs.
    pub at: i64,
}

impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountRow({}, {})", self.name, self.role)
    }
}

/// A session of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Digest of the token that the browser holds.
    pub token: Digest,
    /// Whose.
    pub account: String,
    /// Signed in, µs.
    pub begun: i64,
    /// Last seen, to within minutes, µs.
    pub seen: i64,
    /// Over at this instant whatever happens, µs.
    pub ends: i64,
}
