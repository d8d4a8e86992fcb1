//! The connector tests: real sockets on loopback, one table per promise.

mod classify;
mod hygiene;
mod imap;
mod model;
mod rest;
mod smtp;
mod ssrf;
mod support;
mod tls;
mod transport;
