//! The loops that move cases on: the desk where every input is decided and committed, the worker that sends
//! effects and asks models, the follower that places audit leaves.

pub mod admit;
mod again;
pub mod ask;
pub mod beside;
mod called;
pub mod clock;
pub mod consent;
mod deliver;
pub mod desk;
pub mod follower;
pub mod host;
mod lanes;
mod local;
mod node;
pub mod outward;
pub mod schedules;
mod send;
pub mod shares;
pub mod tap;
pub mod telemetry;
pub mod tenant;
pub mod worker;
