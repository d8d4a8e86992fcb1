//! The console as people meet it: a real server, real HTTP, and where there is one a real browser.

#[path = "../cli/bench.rs"]
#[allow(dead_code, reason = "this suite uses a part of the bench")]
mod bench;
mod browser;
mod forms;
mod http;
mod journeys;
mod roles;
mod shots;
mod world;
