//! The one written form of an e-mail address. It uses nothing else of this crate.

/// The address in lower case without surrounding blanks, if its syntax is right: one `@`, a local part of 1 to 64
/// bytes without stray dots, and a domain of at least two labels. Letters beyond ASCII are kept as they are. A display
/// name, a quoted local part or an address literal is not accepted.
pub fn normalise_email(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() > 254 {
        return None;
    }
    let (local, domain) = text.split_once('@')?;
    (is_local_part(local) && is_domain(domain)).then(|| text.to_lowercase())
}

/// Whether a character may stand in the part before the `@`.
pub fn is_local_char(c: char) -> bool {
    c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c)
}

fn is_local_part(local: &str) -> bool {
    (1..=64).contains(&local.len())
        && local.chars().all(is_local_char)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match domain.rsplit_once('.') {
        Some((_, last)) => {
            domain.split('.').all(label_is_right)
                && last.chars().count() >= 2
                && (last.chars().all(char::is_alphabetic)
                    || last.to_lowercase().starts_with("xn--"))
        }
        None => false,
    }
}
