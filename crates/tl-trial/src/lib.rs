//! What tests of several crates share. It is a dependency of tests alone; nothing of it is in a build of the product.

pub mod postgres;
pub mod process;
pub mod snapshot;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

/// The variable that asks for long sizes.
const LONG: &str = "TL_LONG";

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

/// Whether a test may be as long as it likes; where not, that is said once, with how to ask for it.
pub fn long() -> bool {
    let long = std::env::var(LONG).is_ok_and(|v| v == "1");
    if !long {
        left_out(
            "the long sizes of some tests: they run at their ordinary ones; TL_LONG=1 runs them all",
        );
    }
    long
}

/// One of two sizes: the ordinary one, or with `TL_LONG=1` the long one.
pub fn size<T>(ordinary: T, long: T) -> T {
    if self::long() { long } else { ordinary }
}

/// Says that something is not tested because the machine lacks a thing; fails instead where `TL_REQUIRE_<THING>=1` says
/// that it must be there.
///
/// # Panics
/// When the thing is required.
pub fn lacks(thing: &str, what: &str) {
    let required = std::env::var(format!("TL_REQUIRE_{thing}")).is_ok_and(|v| v == "1");
    assert!(
        !required,
        "TL_REQUIRE_{thing}=1, and it is not there: {what}"
    );
    left_out(what);
}

/// Whether the tests run as root, as which some servers refuse to run and others have to be started.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// A port of the loopback that nobody has now.
///
/// # Panics
/// When the machine has none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    listener.expect("a free port").port()
}
