//! Several nodes of one process on one SQLite file: what they stand on. For simulations, in which the same leases,
//! fences and take-overs that PostgreSQL knows run on a simulated disk, by a simulated clock.

use std::pin::Pin;
use std::sync::Arc;

/// What one node that shares a SQLite file stands on: the clocks it can read, and the way to the file.
pub trait Surroundings: Send + Sync {
    /// The clock of the database, µs since the Unix epoch: the same for all nodes. Leases run by it.
    fn database_clock(&self) -> i64;

    /// This node's clock that nobody sets, µs since some moment. It may stand still while the node's machine sleeps.
    fn steady_clock(&self) -> i64;

    /// This node's clock that somebody may set, µs since the Unix epoch.
    fn wall_clock(&self) -> i64;

    /// How the database is reached now; asked before each call that may wait, again after each wait.
    fn way(&self) -> Way;

    /// Whether the answer to a call that the database has carried out finds its way back.
    fn answers(&self) -> bool;
}

/// How a database is reached.
pub enum Way {
    /// At once.
    Open,
    /// Not before this has ended.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Not at all.
    Cut,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Way::Open => "Open",
            Way::Wait(_) => "Wait",
            Way::Cut => "Cut",
        })
    }
}

/// The surroundings of one node. Equal to itself alone.
#[derive(Clone)]
pub struct Shared(pub Arc<dyn Surroundings>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Shared) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shared {}
