//! The ports where a crash matters: before and after every commit and every send. A test installs a tap that
//! stops the engine there; the product runs without one.

use tl_store::contract::{CommitAnswer, Unit};

/// A place where the process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// A unit is ready to be committed.
    BeforeCommit,
    /// A unit is durable; nobody has been told.
    AfterCommit,
    /// An attempt is durable; no byte has left.
    BeforeSend,
    /// The vendor has answered; nothing of it is recorded.
    AfterSend,
}

/// The engine was stopped at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped at a port")]
pub struct Stopped;

/// Decides at each port whether the process goes on.
pub trait Tap: Send + Sync + 'static {
    /// Called at every port, in order.
    fn at(&self, point: Point) -> Result<(), Stopped>;

    /// Called at the two ports of a commit. Whoever does not care which unit it is sees the port alone.
    fn at_commit(&self, point: Point, _unit: &Unit) -> Result<(), Stopped> {
        self.at(point)
    }

    /// Shown every unit of the desk with the store's answer, before anybody else knows of it.
    fn answered(&self, _unit: &Unit, _answer: &CommitAnswer) {}
}
