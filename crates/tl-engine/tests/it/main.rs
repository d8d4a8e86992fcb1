//! The engine with the real store on disk and an honest CRM on a real socket.

mod calls;
mod complete;
mod control;
mod crash;
mod flows;
mod goal;
mod guard;
mod histories;
mod models;
mod races;
mod telemetry;
mod world;
