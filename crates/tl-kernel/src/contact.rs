//! Normal forms of the addresses that identify a person: e-mail and E.164 phone numbers. Doors, rules and the
//! recognisers of texts all use these, so that one person has one address however it was written.

mod consent;
mod email;
mod phone;

pub use consent::{Consent, Wish, object, subject};
pub use email::{is_local_char, normalise_email};
pub use phone::normalise_phone;
