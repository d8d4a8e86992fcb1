//! The doors as their senders see them: a real server on a real socket over the real store, and requests that
//! are written byte by byte.

mod cases;
mod connections;
mod dedupe;
mod documents;
mod forms;
mod idempotency;
mod mail;
mod malformed;
mod order;
mod overload;
mod people;
mod probes;
mod records;
mod senders;
mod status;
mod support;
mod vendors;
