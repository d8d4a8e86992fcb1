//! What a group of units may do and what it writes: one logic for all engines, without a database.
//!
//! ```text
//! needs(units) ─► the engine reads these keys into a View ─► per unit: check ─► apply ─► Changes ─► the engine
//!                                                                       └ refused: nothing of it is written
//! ```
//! `check` reads the view alone and evaluates every guard before anything of a unit is applied, so no savepoint is
//! needed. `apply` changes the view too: the next unit of the group sees what the ones before it did.

mod check;
mod config;
mod counters;
mod effects;
mod journal;
pub(crate) mod looks;
mod needs;
mod people;
mod rows;
mod view;

pub(crate) use effects::state;
pub(crate) use needs::{Needs, needs, numbered};
pub(crate) use view::{Numbered, Ords, View};

pub(crate) use counters::What;

use crate::contract::{Refused, Unit};
use crate::keys::ShortKey;
use crate::writes::Changes;
use counters::Counters;

/// What became of a group's units, and what is to be written for those that passed.
pub(crate) struct Outcome<'a> {
    /// Per unit: passed, or why not.
    pub(crate) answers: Vec<Result<(), Refused>>,
    pub(crate) changes: Changes<'a>,
}

/// Takes the units in order through check and apply. `node` counts for itself.
pub(crate) fn decide<'a>(mut view: View<'a>, units: &'a [Unit], node: u32) -> Outcome<'a> {
    let mut changes = Changes::new();
    let mut counters = Counters::default();
    let answers = units
        .iter()
        .map(|unit| {
            let mut out = Out {
                view: &mut view,
                changes: &mut changes,
                counters: &mut counters,
            };
            out.unit(unit)
        })
        .collect();
    effects::flush(&view, &mut changes);
    counters.flush(&mut changes, node);
    Outcome { answers, changes }
}

/// Why a unit is not applied.
pub(crate) enum Stop {
    /// The answer of the unit.
    Refused(Refused),
    /// A dedupe key leads to an event: its `ord` and the answer.
    Duplicate(i64, Refused),
}

impl From<Refused> for Stop {
    fn from(r: Refused) -> Stop {
        Stop::Refused(r)
    }
}

/// The unit contradicts the contract.
fn fault(why: impl Into<String>) -> Stop {
    let why = why.into();
    Stop::Refused(Refused::Faulty { id: 0, why })
}

/// Where a unit's changes go.
struct Out<'g, 'a> {
    view: &'g mut View<'a>,
    changes: &'g mut Changes<'a>,
    counters: &'g mut Counters,
}

impl<'a> Out<'_, 'a> {
    fn unit(&mut self, unit: &'a Unit) -> Result<(), Refused> {
        match check::check(self.view, unit) {
            Ok(()) => {}
            Err(Stop::Refused(why)) => return Err(why),
            Err(Stop::Duplicate(event, why)) => {
                self.alias_free_keys(unit, event);
                return Err(why);
            }
        }
        self.turns(unit);
        self.effects(unit);
        self.take_slots(unit);
        for row in &unit.rows {
            self.row(unit, row);
        }
        Ok(())
    }
}

/// The keys of a guard or row in the form in which they stand in the index.
fn short_keys(scope: &str, keys: &[tl_kernel::digest::Digest]) -> Vec<ShortKey> {
    keys.iter()
        .map(|k| crate::keys::short_key(scope, k))
        .collect()
}
