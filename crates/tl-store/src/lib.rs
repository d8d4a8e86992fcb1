//! The durable store: data in, data out. One contract, one logic; two engines behind it.

#![warn(missing_docs)]

mod backend;
pub mod contract;
mod error;
mod keys;
mod logic;
mod migrate;
mod node;
mod packed;
mod postgres;
mod read;
mod schema;
mod shared;
mod sqlite;
mod store;
mod tenancy;
mod value;
mod writes;

pub use backend::{Backend, Lease, Location, Options};
pub use contract::*;
pub use error::{OpenError, StoreError};
pub use read::Reader;
pub use shared::{Shared, Surroundings, Way};
pub use store::Store;
