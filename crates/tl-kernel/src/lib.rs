//! The pure domain of Throughline.
//!
//! Nothing here reads a clock, draws a random number, opens a file or a socket: what comes in is in the
//! arguments, what goes out is in the result. `decide` says what one input causes, `fold` says what a case
//! is after it; both are functions and the journal is what passes between them.

#![warn(missing_docs)]

pub mod case;
pub mod coerce;
pub mod connector;
pub mod contact;
pub mod decide;
pub mod digest;
pub mod effect;
pub mod expr;
pub mod follow_up;
pub mod gate;
pub mod id;
pub mod journal;
pub mod limits;
pub mod payload;
pub mod policy;
pub mod program;
pub mod reason;
pub mod slot;
pub mod task;
pub mod time;
pub mod timetable;
pub mod turn;
pub mod value;
