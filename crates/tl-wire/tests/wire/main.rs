//! Tests of the wire formats, from outside the crate.

mod content_type;
mod form;
mod jwt;
mod mail;
mod mail_automatic;
mod mail_hostile;
mod mutations;
mod presets;
mod prng;
mod signature;
mod sms;
mod vendors;
