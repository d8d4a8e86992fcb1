//! The local text model and the statistics of trust: a trainable text classifier with calibrated confidence, recognisers
//! for addresses, numbers, amounts and dates, and the parts of a plain-text mail.
//!
//! Everything here is a pure function of its arguments: no clock, no randomness, no files, no network. The same input
//! gives the same output, down to the last bit, on every machine.

#![warn(missing_docs)]

pub mod calibrate;
pub mod classify;
pub mod eval;
mod features;
mod lists;
mod mail_cut;
pub mod mail_text;
mod mail_words;
mod meaning;
mod numeric;
pub mod recognise;
pub mod signature;
mod train;
pub mod trust;
