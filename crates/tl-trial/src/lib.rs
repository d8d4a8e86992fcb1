//! What tests of several crates share. It is a dependency of tests alone; nothing of it is in a build of the product.

pub mod postgres;
pub mod snapshot;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Mutex;

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Says aloud, once in a process, what is not tested on this machine and what it lacks. The runner of the tests keeps
/// what a passing test prints with the macros to itself; this it lets through.
///
/// # Panics
/// When another test panicked while it said something.
pub fn left_out(what: &str) {
    if SAID.lock().expect("nobody panics here").insert(what.into()) {
        // Where nobody can hear it there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}");
    }
}
