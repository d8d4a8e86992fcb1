//! The engine with the real store on disk and an honest CRM on a real socket.

mod calls;
mod clock;
mod clocks;
mod complete;
mod consent;
mod control;
mod crash;
mod flows;
mod follow_up;
mod goal;
mod guard;
mod histories;
mod lead;
mod models;
mod pending;
mod races;
mod schedules;
mod shares;
mod telemetry;
mod world;
