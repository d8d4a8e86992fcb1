//! Honest stand-ins for the systems on the other side, for the demonstration, for trying a workflow out and for tests.
//!
//! They speak real HTTP on a real socket and misbehave the way real systems do: on demand, and exactly as told. What
//! they applied is in a ledger, so that "sent once" can be counted and does not have to be believed.

pub mod crm;
pub mod http;
pub mod model;

pub use crm::Crm;
pub use model::Model;
