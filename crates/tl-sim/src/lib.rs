//! The seeded simulation. One seed makes a world: a clock, an order of everything, nodes with the real engine and
//! the real store, vendors, people, and what goes wrong. The same seed makes the same world again.
//!
//! ```text
//! dice ─► world ─► busy time (faults) ─► quiet time (none) ─► checks
//!           │ exec: one thread, one task at a time
//!           │ engine: desk, worker, follower, as they are, on the executor
//!           └ store: as it is
//! ```

pub mod check;
pub mod control;
pub mod crashes;
pub mod dice;
pub mod event;
pub mod exec;
pub mod faults;
pub mod hygiene;
pub mod machine;
pub mod many;
pub mod model;
pub mod nodes;
pub mod outside;
pub mod people;
pub mod releases;
pub mod report;
pub mod run;
pub mod trace;
pub mod vendor;
pub mod workload;
pub mod world;

/// A run is one thread that allocates all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
