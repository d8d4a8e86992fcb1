//! Doors of vendors: whose secret it is, and what is entered at the vendor.

use tl_kernel::program::{Auth, Endpoint};
use tl_wire::signature::{Maker, Preset, Secret, SecretForm, preset};

use crate::failure::Failure;
use crate::keys::{door_key, fresh_secret};

/// The row of a door's vendor.
pub fn row(e: &Endpoint) -> Option<&'static Preset> {
    let named = e.auth.iter().find_map(Auth::preset)?;
    preset(named.word)
}

/// Whether the vendor signs the address, so that the public one has to be set.
pub fn signs_address(auth: &Auth) -> bool {
    auth.preset().is_some_and(|p| p.signs_url)
}

/// The secret of a door: the one that the vendor made, or a fresh one.
pub(super) fn secret_text(e: &Endpoint, given: Option<&str>) -> Result<String, Failure> {
    let row = row(e);
    match given.map(str::trim) {
        Some(text) => match door_key(&e.auth, text, "new", (0, None)) {
            Ok(_) => Ok(text.to_owned()),
            Err(why) => Err(Failure::usage(format!(
                "`{}` cannot take it: {why}",
                e.name
            ))),
        },
        None => match row.filter(|r| r.maker == Maker::Vendor) {
            Some(row) => Err(Failure::usage(format!(
                "the secret of `{}` is made by {}. Write what it shows into a file and pass --secret-file FILE",
                e.name, row.title
            ))),
            None => fresh_secret(
                row.is_some_and(|r| r.secret == SecretForm::Whsec)
                    || e.auth.contains(&Auth::StandardWebhooks),
            ),
        },
    }
}

/// What is entered at the vendor beside address and secret.
pub(super) fn verify_token(e: &Endpoint, secret: &str) -> Option<String> {
    let row = row(e)?;
    let key: Secret = row.secret("token", secret, (0, None)).ok()?;
    let token = row.verify_token(&key)?;
    Some(format!("verify token to enter at {}: {token}", row.title))
}
