//! What tests of several crates share. It is a dependency of tests alone; nothing of it is in a build of the product.

pub mod postgres;
pub mod snapshot;
