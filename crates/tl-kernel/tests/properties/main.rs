//! Properties of `decide` and `fold` over random histories, and exhaustive tables of the decision's gates.
#![allow(
    clippy::disallowed_methods,
    reason = "one test starts itself again as a second process"
)]

mod again;
mod anew;
mod answers;
mod closing;
mod drive;
mod evaluation;
mod gates;
mod goal;
mod golden;
mod history;
mod legality;
mod reasons;
mod required;
mod rng;
mod tampering;
mod tasks;
mod world;
