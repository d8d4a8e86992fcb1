//! The durable store: data in, data out. One contract; embedded SQLite behind it.

mod backend;
pub mod contract;
mod dialect;
mod error;
mod migrate;
mod schema;
mod statements;
mod store;

pub use backend::{Backend, Options, Reader};
pub use contract::*;
pub use error::{OpenError, StoreError};
pub use store::Store;
