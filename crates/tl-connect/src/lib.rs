//! Everything that opens an outbound socket: the HTTP client, the REST connector, model connections, key sets.
//!
//! Nothing here knows a database or a case: an executor hands an attempt in and gets back what is known about it.
//! Whether that means success, another try or a person is decided by [`classify::classify`], a pure function.

pub mod address;
pub mod backoff;
pub mod call;
pub mod classify;
pub mod client;
pub mod exchange;
pub mod fake;
pub mod guard;
pub mod imap;
pub mod json;
pub mod keysets;
pub mod knowledge;
pub mod login;
pub mod model;
pub mod reconcile;
pub mod rest;
pub mod smtp;
