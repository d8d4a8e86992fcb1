//! Web addresses in text.

use linkify::{LinkFinder, LinkKind};

use crate::lists::has_word;

use super::{Found, Span};

/// Endings under which a name without `http://` or `www.` is taken for an address; "report.pdf" is none.
const ENDINGS: &str = "com net org io de at ch fr es it nl be lu se no dk fi uk ie eu pl cz pt us ca au nz jp cn in br \
    mx info biz co ai app dev cloud shop online tech gov edu";

/// Every `http` or `https` address in a text. An address without a scheme gets `https://` in front; its span covers
/// what is written.
pub fn urls(text: &str) -> Vec<Found<String>> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]).url_must_have_scheme(false);
    finder
        .links(text)
        .filter_map(|link| {
            let written = link.as_str();
            let lower = written.to_ascii_lowercase();
            let (value, confidence) =
                if lower.starts_with("http://") || lower.starts_with("https://") {
                    (written.to_owned(), 0.98)
                } else if lower.contains("://") {
                    return None;
                } else if lower.starts_with("www.") {
                    (format!("https://{written}"), 0.95)
                } else if has_known_ending(written) && !text[..link.start()].ends_with('@') {
                    (format!("https://{written}"), 0.75)
                } else {
                    return None;
                };
            Some(Found {
                value,
                span: Span {
                    start: link.start(),
                    end: link.end(),
                },
                confidence,
            })
        })
        .collect()
}

/// The ending has to be in lower case: "done.In" is a missing blank.
fn has_known_ending(written: &str) -> bool {
    let host = written.split(['/', '?', '#', ':']).next().unwrap_or("");
    host.rsplit_once('.')
        .is_some_and(|(_, ending)| has_word(ENDINGS, ending))
}
