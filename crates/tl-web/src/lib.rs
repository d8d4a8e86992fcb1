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
mod echoes;
mod forms;
mod guard;
mod headers;
mod ingest;
mod pace;
mod security;
mod server;
mod state;

pub use answer::accepted_body;
pub use api::{doors, router, write_mark};
pub use forms::{Control, FilledIn, Form, Kind, NotTaken, SignedIn};
pub use ingest::{Carried, Carrier, Importer, schema_fault, signature_scheme, stored_event};
pub use server::serve;
pub use state::{AppState, Rate, WebConfig};
