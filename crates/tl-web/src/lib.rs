//! HTTP in: the doors through which messages come, the JSON API, the record store, health and metrics.
//!
//! Nothing here decides what a message causes and nothing opens a socket outwards: what the doors need from
//! the rest of the product they ask of [`intake::Intake`], what they read and write themselves they ask of the
//! store.

pub mod apikey;
pub mod intake;
pub mod limits;
pub mod metrics;
pub mod problem;

mod answer;
mod api;
mod bearer;
mod guard;
mod headers;
mod ingest;
mod pace;
mod security;
mod server;
mod state;

pub use answer::accepted_body;
pub use api::{router, write_mark};
pub use ingest::{schema_fault, signature_scheme, stored_event};
pub use server::serve;
pub use state::{AppState, Rate, WebConfig};
