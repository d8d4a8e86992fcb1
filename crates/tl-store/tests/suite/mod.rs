//! The suite: checks that know an engine only through `World`.

pub mod admission;
pub mod build;
pub mod differential;
pub mod facade;
pub mod groups;
pub mod guards;
pub mod leases;
pub mod ledger;
pub mod lists;
pub mod nodes;
pub mod people;
pub mod postgres;
pub mod rows;
pub mod settings;
pub mod sqlite;
pub mod tenancy;
pub mod tls;
pub mod unsure;
pub mod wire;

use tl_store::{CommitAnswer, Query, Refused, Reply, Unit};

/// A named check. Each gets a database of its own.
pub type Check = (&'static str, fn(&mut dyn World));

/// One database under test.
pub trait World {
    /// Commits units in one group.
    fn commit(&mut self, units: Vec<Unit>) -> Vec<CommitAnswer>;
    /// Asks.
    fn query(&self, query: Query) -> Reply;
    /// The process dies without closing anything and starts again.
    fn crash(&mut self);
    /// Another process, which sends no effects, commits one unit.
    fn guest(&mut self, unit: Unit) -> CommitAnswer;
    /// The epoch of the node.
    fn epoch(&self) -> u64;
    /// The database's own verdict on its structure.
    fn integrity(&self) -> String;
}

impl dyn World + '_ {
    /// Commits one unit.
    pub fn one(&mut self, unit: Unit) -> CommitAnswer {
        self.commit(vec![unit]).remove(0)
    }

    /// Commits one unit that must pass.
    pub fn ok(&mut self, unit: Unit) {
        if let Err(refused) = self.one(unit) {
            panic!("refused: {refused}");
        }
    }

    /// Commits one unit that must be refused.
    pub fn refused(&mut self, unit: Unit) -> Refused {
        match self.one(unit) {
            Ok(_) => panic!("the unit was committed"),
            Err(refused) => refused,
        }
    }

    /// Commits a group and tells which of its units passed.
    pub fn passed(&mut self, units: Vec<Unit>) -> Vec<bool> {
        self.commit(units).iter().map(Result::is_ok).collect()
    }
}

/// Asks, and takes the answer of the one kind that belongs to the question.
#[macro_export]
macro_rules! ask {
    ($world:expr, $query:expr, $kind:ident) => {
        match $world.query($query) {
            tl_store::Reply::$kind(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
}
