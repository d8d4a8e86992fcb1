//! Bytes in, typed messages out, and back: webhook signatures, bearer tokens, forms, mail, SMS.
//!
//! Everything here is a pure function of its arguments. The caller brings the time, the secrets
//! and the complete bytes; nothing here reads a clock, a file or a socket. All input is hostile
//! until a function of this crate has said otherwise, so every parser has limits and none panics.

pub mod content_type;
pub mod form;
pub mod imap;
pub mod jwt;
pub mod mail;
pub mod signature;
pub mod sms;
pub mod text;
