//! Where a life ends by itself: before or after a send, and before or after a commit, by what its unit is for.

use std::collections::BTreeMap;

use tl_engine::tap::Point;
use tl_kernel::effect::EffectState;
use tl_kernel::journal::Entry;
use tl_store::contract::{Row, Unit};

use crate::dice::Dice;
use crate::world::{End, Life};

/// What a unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A message is accepted, joined, or known already.
    Admission,
    /// A person has decided something, or given a command.
    Decision,
    /// An attempt becomes durable before its first byte, or the version that it is based on.
    Dispatch,
    /// What an attempt has come to, or that it waits.
    Outcome,
    /// Something was due.
    Timer,
    /// Leaves and checkpoints of the follower.
    Audit,
    /// Switches, deployments, refusals.
    Control,
}

impl Use {
    /// Reads it off the unit.
    pub fn of(unit: &Unit) -> Use {
        let has = |what: fn(&Row) -> bool| unit.rows.iter().any(what);
        let fired = |entry: &Entry| matches!(entry, Entry::TimerEnded { fired: true, .. });
        if !unit.control.is_empty() {
            Use::Control
        } else if has(is_admission) {
            Use::Admission
        } else if has(is_dispatch) {
            Use::Dispatch
        } else if has(|r| matches!(r, Row::Effect(_) | Row::Attempt(_))) {
            Use::Outcome
        } else if unit.turns.is_empty() {
            Use::Audit
        } else if unit.turns.iter().flat_map(|t| t.entries.iter()).any(fired) {
            Use::Timer
        } else {
            Use::Decision
        }
    }
}

fn is_admission(row: &Row) -> bool {
    matches!(
        row,
        Row::Event { .. } | Row::Variant { .. } | Row::EventJoined { .. }
    )
}

fn is_dispatch(row: &Row) -> bool {
    matches!(row, Row::Effect(c) if c.to == EffectState::Dispatching)
}

/// Every place by name, as the report counts them: sends, then commits by what they are for.
pub const PLACES: [&str; 16] = [
    "before_send",
    "after_send",
    "before_admission",
    "after_admission",
    "before_decision",
    "after_decision",
    "before_dispatch",
    "after_dispatch",
    "before_outcome",
    "after_outcome",
    "before_timer",
    "after_timer",
    "before_audit",
    "after_audit",
    "before_control",
    "after_control",
];

/// The name of a place. A port without a unit is one of a send.
pub fn place(point: Point, unit: Option<&Unit>) -> &'static str {
    let of_unit = unit.map_or(0, |u| 1 + Use::of(u) as usize);
    let after = matches!(point, Point::AfterSend | Point::AfterCommit);
    PLACES[2 * of_unit + usize::from(after)]
}

/// So many other places are passed at most before another crash is drawn: what was waited for may never come in this
/// run.
const PATIENCE: u64 = 200;

/// What a crash waits for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// A port, whatever is committed there: what is common is met often.
    Port(Point),
    /// One place: what is rare is met as well.
    Place(&'static str),
}

/// The crashes of a run.
#[derive(Debug)]
pub(crate) struct Crashes {
    dice: Dice,
    /// Crashes that this run still has.
    left: u32,
    wanted: Wanted,
    /// How often it is passed before the next one.
    passes: u64,
    patience: u64,
    /// Crashes by place.
    pub(crate) hit: BTreeMap<&'static str, u64>,
    /// Lives that have ended and are not cleared away yet.
    pub(crate) ended: Vec<(Life, End)>,
}

impl Crashes {
    /// The crashes of a seed.
    pub(crate) fn new(seed: u64) -> Crashes {
        let mut dice = Dice::new(seed, "crashes");
        let mut crashes = Crashes {
            left: dice.below(9) as u32,
            dice,
            wanted: Wanted::Port(Point::BeforeCommit),
            passes: 0,
            patience: PATIENCE,
            hit: BTreeMap::new(),
            ended: Vec::new(),
        };
        crashes.draw();
        crashes
    }

    fn draw(&mut self) {
        let ports = [
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeSend,
            Point::AfterSend,
        ];
        // Some come so soon that recovery itself is interrupted.
        let soon = *self.dice.pick(&[8, 60, 60]);
        (self.wanted, self.passes) = match self.dice.chance(500) {
            true => (Wanted::Port(*self.dice.pick(&ports)), self.dice.below(soon)),
            false => {
                let at = self.dice.below(PLACES.len() as u64) as usize;
                (Wanted::Place(PLACES[at]), self.dice.below(4))
            }
        };
        self.patience = PATIENCE;
    }

    /// Whether somebody who passes a place now dies there. Counted when they do.
    pub(crate) fn comes(&mut self, point: Point, place: &'static str) -> bool {
        if self.left == 0 {
            return false;
        }
        let meant = match self.wanted {
            Wanted::Port(port) => port == point,
            Wanted::Place(wanted) => wanted == place,
        };
        if meant && self.passes == 0 {
            self.left -= 1;
            *self.hit.entry(place).or_default() += 1;
            self.draw();
            return true;
        }
        match meant {
            true => self.passes -= 1,
            false => self.patience -= 1,
        }
        if self.patience == 0 {
            self.draw();
        }
        false
    }
}
