//! The engine with the real store on disk and an honest CRM on a real socket.

mod crash;
mod flows;
mod telemetry;
mod world;
