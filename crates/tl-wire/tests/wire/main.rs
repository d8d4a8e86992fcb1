//! Tests of the wire formats, from outside the crate.

mod content_type;
mod form;
mod jwt;
mod mail;
mod mail_hostile;
mod mutations;
mod prng;
mod signature;
mod sms;
