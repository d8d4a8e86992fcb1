//! The faults: every kind by name, how likely it is in a run, and how often it fired.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dice::Dice;

/// Every kind of fault. A run of many seeds in which one of them hardly ever fired fails: it would prove nothing
/// about that fault.
pub const KINDS: &[&str] = &[
    // The way to a vendor and back.
    "net_refused",
    "net_dns",
    "net_slow",
    "net_reset_before",
    "net_reset_after",
    "net_closed_after",
    "net_silence_after",
    "net_cut_answer",
    "net_late_apply",
    // The vendor.
    "http_429",
    "http_500_before",
    "http_500_after",
    "http_502_after",
    "http_503_retry_after",
    "vendor_error_in_200",
    "vendor_edited_first",
    // The model.
    "model_garbage",
    "model_refusal",
    "model_wrong_shape",
    "model_throttled",
    "model_unsure",
    // Whoever sends messages.
    "answer_lost",
    "duplicate_later",
    "duplicate_at_once",
    // People.
    "stale_approval",
    "set_aside",
    "two_deciders",
    "switch_set",
    "version_deployed",
    "version_rolled_back",
    // The machine.
    "slow_commit",
    "node_pause",
    "time_jump",
    "crash_anywhere",
    // The disk.
    "power_with_crash",
    "power_cut_in_write",
    "power_lost",
    "disk_full",
    "sync_failed",
    "write_failed",
    "read_failed",
];

/// Kinds of faults that befall nodes which share a database, or which are asked to stop.
pub const NODE_KINDS: &[&str] = &[
    // A node and its machine.
    "crash_beside_others",
    "machine_sleep",
    "clock_set",
    "node_stop",
    "rolling_restart",
    // Its way to the database.
    "db_cut",
    "db_slow",
    "db_answer_lost",
    "notice_lost",
    // What comes of it.
    "lease_lapsed",
    "zombie_fenced",
    "switch_met_elsewhere",
];

/// Faults of the disk that are only armed; they are counted under another name when they come about.
const ARMED: &[&str] = &[
    "arm_disk_full",
    "arm_sync_failed",
    "arm_write_failed",
    "arm_read_failed",
    "arm_power_cut",
];

/// What a run's faults come from: its own dice and a rate per kind that the seed chose.
#[derive(Debug)]
pub struct Faults {
    on: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    dice: Dice,
    /// Chances in a thousand, by kind; a kind that is not there does not happen in this run.
    rates: BTreeMap<&'static str, u64>,
    fired: BTreeMap<&'static str, u64>,
}

/// What is seldom asked about needs another chance than what is asked about at every step.
fn rate(kind: &str, drawn: u64) -> u64 {
    match kind {
        "power_with_crash" => 600 + drawn,
        "stale_approval" => drawn * 9,
        "set_aside" => 400 + drawn * 9,
        "time_jump" | "node_pause" => drawn * 5,
        // Nodes that are never there do nothing.
        "machine_sleep" | "db_cut" => 20 + drawn / 2,
        "node_stop" | "clock_set" => 20 + drawn / 4,
        "rolling_restart" => 10 + drawn / 8,
        // Asked about at each call of the store.
        "db_slow" => 1 + drawn / 8,
        "db_answer_lost" => 1 + drawn / 16,
        "version_deployed" => drawn * 6,
        "version_rolled_back" => drawn * 40,
        "two_deciders" | "switch_set" | "crash_anywhere" | "vendor_edited_first" => drawn * 3,
        _ if kind.starts_with("model_") || kind.starts_with("arm_") => drawn * 5,
        _ => drawn,
    }
}

impl Faults {
    /// The faults of a seed. Each kind is in half of the runs, and where it is, its rate is drawn: runs with few
    /// faults reach far, runs with many reach odd places.
    pub fn new(seed: u64) -> Faults {
        let mut dice = Dice::new(seed, "faults");
        let mut rates = BTreeMap::new();
        let harsh = *dice.pick(&[15, 40, 40, 90, 200]);
        for kind in KINDS.iter().chain(ARMED) {
            if dice.chance(500) {
                rates.insert(*kind, rate(kind, 1 + dice.below(harsh)));
            }
        }
        let mut dice_of_nodes = Dice::new(seed, "faults of nodes");
        for kind in NODE_KINDS {
            if dice_of_nodes.chance(500) {
                rates.insert(*kind, rate(kind, 1 + dice_of_nodes.below(harsh)));
            }
        }
        Faults {
            on: AtomicBool::new(true),
            inner: Mutex::new(Inner {
                dice,
                rates,
                fired: BTreeMap::new(),
            }),
        }
    }

    /// These kinds happen most of the times that they can.
    pub fn often(&self, kinds: &[&'static str]) {
        let rates = kinds.iter().map(|kind| (*kind, 900));
        self.inner().rates.extend(rates);
    }

    /// Whether a fault of this kind happens now. Counted when it does.
    pub fn fires(&self, kind: &'static str) -> bool {
        let mut inner = self.inner();
        let rate = inner.rates.get(kind).copied().unwrap_or(0);
        let fires = rate > 0 && self.are_on() && inner.dice.chance(rate);
        if fires {
            *inner.fired.entry(kind).or_default() += 1;
        }
        fires
    }

    /// The first of these kinds that happens now.
    pub fn one_of(&self, kinds: &[&'static str]) -> Option<&'static str> {
        kinds.iter().copied().find(|kind| self.fires(kind))
    }

    /// Counts a fault that something else decided on.
    pub fn count(&self, kind: &'static str) {
        *self.inner().fired.entry(kind).or_default() += 1;
    }

    /// A number for a fault's size.
    pub fn size(&self, from: i64, to: i64) -> i64 {
        self.inner().dice.between(from, to)
    }

    /// No fault happens from now on.
    pub fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    /// Whether faults still happen.
    pub fn are_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// How often each kind fired.
    pub fn fired(&self) -> BTreeMap<&'static str, u64> {
        self.inner().fired.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
