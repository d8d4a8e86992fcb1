//! Normal forms of the addresses that identify a person: e-mail and E.164 phone numbers.

/// The e-mail address trimmed and lower-cased, or `None` where the text is no single address.
pub fn email(text: &str) -> Option<String> {
    let t = text.trim();
    let (local, domain) = t.rsplit_once('@')?;
    let ok_local = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local
            .chars()
            .all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    let ok_domain = domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(|part| {
            !part.is_empty()
                && part.len() <= 63
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    (ok_local && ok_domain).then(|| t.to_lowercase())
}

/// The number in E.164, or `None` where the text is no phone number. `country` (ISO 3166 alpha-2) gives
/// the calling code to a number that names none.
pub fn phone(text: &str, country: Option<&str>) -> Option<String> {
    crate::phone::normalise_phone(text, country)
}
