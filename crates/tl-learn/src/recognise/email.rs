//! E-mail addresses in text.

use super::{Found, Span};
use tl_kernel::contact::{is_local_char, normalise_email};

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

/// Every e-mail address in a text, in lower case.
pub fn emails(text: &str) -> Vec<Found<String>> {
    let mut out: Vec<Found<String>> = Vec::new();
    for (at, _) in text.match_indices('@') {
        let span = Span {
            start: local_start(text, at),
            end: domain_end(text, at + 1),
        };
        if out.last().is_some_and(|last| last.span.end > span.start) {
            continue;
        }
        if let Some(value) = normalise_email(&text[span.start..span.end]) {
            let confidence = if value.is_ascii() { 0.98 } else { 0.8 };
            out.push(Found {
                value,
                span,
                confidence,
            });
        }
    }
    out
}

/// Of the characters an address may hold, prose uses quotes, slashes and the like around it; those end it here.
fn is_likely_local(c: char) -> bool {
    is_local_char(c) && !"'`!#$%*/=?^{|}~".contains(c)
}

fn local_start(text: &str, at: usize) -> usize {
    let mut start = at;
    for (i, c) in text[..at].char_indices().rev() {
        if !is_likely_local(c) || at - i > LONGEST_LOCAL {
            break;
        }
        start = i;
    }
    let skipped = text[start..at].len() - text[start..at].trim_start_matches(['.', '-', '&']).len();
    start + skipped
}

fn domain_end(text: &str, from: usize) -> usize {
    let mut end = from;
    for (i, c) in text[from..].char_indices() {
        if !(c.is_alphanumeric() || c == '.' || c == '-') || i > LONGEST_DOMAIN {
            break;
        }
        end = from + i + c.len_utf8();
    }
    from + text[from..end].trim_end_matches(['.', '-']).len()
}
