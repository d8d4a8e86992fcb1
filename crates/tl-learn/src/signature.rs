//! Who signed: name, job title, company and ways to reach the person, read from the lines of a signature.

use serde::{Deserialize, Serialize};

use crate::lists::{has_word, phrases};
use crate::mail_words::{CLOSINGS, DEVICE_LINES, THANKS, TITLE_WORDS};
use crate::recognise::{Context, Found, Span, companies, emails, has_legal_form, phones, urls};

/// Lines of a signature that are read.
const MOST_LINES: usize = 40;

/// Domains at which anybody may have an address; they name no company.
const PUBLIC_DOMAINS: &str = "gmail googlemail yahoo ymail hotmail outlook live msn icloud me mac aol gmx web t-online \
    freenet proton protonmail pm mail orange wanadoo free laposte sfr libero virgilio telia bluewin \
    yandex zoho fastmail hey posteo mailbox example";

/// Second-level parts of domains such as "acme.co.uk".
const SECOND_LEVEL: &str = "co com org net ac gov or";

/// What a signature says about its author; spans are bytes of the signature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SignatureFields {
    /// First and last name.
    pub name: Option<Found<String>>,
    /// Job title or department.
    pub title: Option<Found<String>>,
    /// Company: by its legal form, by a line that matches the mail domain, or, with a low confidence, by that domain
    /// alone.
    pub company: Option<Found<String>>,
    /// First telephone number that is not a fax, as E.164.
    pub phone: Option<Found<String>>,
    /// First e-mail address.
    pub email: Option<Found<String>>,
    /// First web address.
    pub url: Option<Found<String>>,
}

/// A piece of a line between separators such as "|".
#[derive(Debug, Clone, Copy)]
struct Piece<'t> {
    text: &'t str,
    start: usize,
    line: usize,
}

/// Reads the fields of a signature as [`crate::mail_text::zones`] cuts it out (a closing above the name does not
/// matter).
pub fn signature_fields(signature: &str, context: &Context) -> SignatureFields {
    let pieces = pieces_of(signature);
    let email = emails(signature).into_iter().next();
    let phone = phones(signature, context)
        .into_iter()
        .find(|found| !is_fax(&signature[..found.span.start]));
    let at_domain = |found: &Found<String>| {
        let within = |outer: &Found<String>| {
            outer.span.start <= found.span.start && found.span.end <= outer.span.end
        };
        email.as_ref().is_some_and(within)
    };
    let url = urls(signature).into_iter().find(|found| !at_domain(found));
    let company = company(signature, &pieces, email.as_ref());
    let taken = |piece: &&Piece<'_>| {
        let overlaps = |found: &Found<String>| {
            found.confidence > 0.5
                && found.span.start < piece.start + piece.text.len()
                && piece.start < found.span.end
        };
        company.as_ref().is_some_and(overlaps)
    };
    let title = pieces
        .iter()
        .find(|p| !taken(p) && is_title(p.text))
        .map(|p| p.found(0.85));
    let name = pieces
        .iter()
        .take(8)
        .filter(|p| !taken(p))
        .find(|p| is_name(p.text) && !is_title(p.text))
        .map(|p| {
            let known = email
                .as_ref()
                .is_some_and(|e| shares_a_word(p.text, &e.value));
            p.found(if known { 0.95 } else { 0.8 })
        });
    SignatureFields {
        name,
        title,
        company,
        phone,
        email,
        url,
    }
}

impl Piece<'_> {
    fn found(&self, confidence: f64) -> Found<String> {
        Found {
            value: self.text.to_owned(),
            span: Span {
                start: self.start,
                end: self.start + self.text.len(),
            },
            confidence,
        }
    }
}

fn pieces_of(signature: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut start = 0;
    for (number, line) in signature.split_inclusive('\n').enumerate().take(MOST_LINES) {
        let mut from = 0;
        for separator in [" | ", "|", " • ", " · ", " – ", " - ", " / ", ", ", "\t"] {
            if line.contains(separator) {
                for part in line.split(separator) {
                    push_piece(&mut out, part, start + from, number);
                    from += part.len() + separator.len();
                }
                break;
            }
        }
        if from == 0 {
            push_piece(&mut out, line, start, number);
        }
        start += line.len();
    }
    out
}

fn push_piece<'t>(out: &mut Vec<Piece<'t>>, part: &'t str, start: usize, line: usize) {
    let around = |c: char| c.is_whitespace() || "*_,;-–|•".contains(c);
    let text = part.trim_start_matches(around);
    let start = start + (part.len() - text.len());
    let text = text.trim_end_matches(around);
    let lower = text.to_lowercase();
    let closes = phrases(CLOSINGS).chain(phrases(THANKS)).any(|c| c == lower);
    if !text.is_empty()
        && !closes
        && !phrases(DEVICE_LINES).any(|d| lower.starts_with(d.trim_end()))
    {
        out.push(Piece { text, start, line });
    }
}

fn is_fax(before: &str) -> bool {
    let line = before
        .rsplit(['\n', '|', ','])
        .next()
        .unwrap_or("")
        .to_lowercase();
    let label = line.trim_end_matches([' ', ':', '.', '(', '+']);
    label.ends_with("fax") || label.ends_with("telefax") || label == "f"
}

/// Two to four words that begin with a capital and hold nothing but letters.
fn is_name(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let small = [
        "von", "van", "de", "der", "den", "da", "di", "du", "del", "la", "le", "zu", "el", "bin",
        "af", "av",
    ];
    let academic = |w: &str| {
        matches!(
            w,
            "Dr."
                | "Prof."
                | "Mag."
                | "Ing."
                | "Dipl.-Ing."
                | "Mr."
                | "Ms."
                | "Mrs."
                | "Dr"
                | "Prof"
        )
    };
    let letters = |w: &str| {
        w.chars().all(|c| c.is_alphabetic() || "-'’.".contains(c))
            && w.chars().next().is_some_and(char::is_uppercase)
    };
    let initial = |w: &str| w.chars().filter(|c| c.is_alphabetic()).count() == 1;
    let full = words
        .iter()
        .filter(|w| letters(w) && !initial(w) && !academic(w))
        .count();
    let all_fit = words
        .iter()
        .all(|w| letters(w) || small.contains(w) || academic(w));
    let shouting = text
        .chars()
        .filter(|c| c.is_alphabetic())
        .all(char::is_uppercase);
    (2..=5).contains(&words.len())
        && all_fit
        && full >= 2
        && !(shouting && words.len() > 3)
        && !words
            .iter()
            .any(|w| w.len() > 2 && w.ends_with('.') && !academic(w))
        && !has_legal_form(text)
}

fn is_title(text: &str) -> bool {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    let plain = !text.contains(['@', ':']) && !text.contains("www.");
    plain
        && words.len() <= 9
        && words.iter().any(|w| has_word(TITLE_WORDS, w))
        && !has_legal_form(text)
}

/// Whether a part of the address before the `@` is also a word of the name.
fn shares_a_word(name: &str, email: &str) -> bool {
    let local = plain_letters(email.split('@').next().unwrap_or(""));
    name.split_whitespace()
        .map(plain_letters)
        .any(|word| word.len() > 2 && local.contains(&word))
}

/// Lower case without accents, blanks and marks: "Müller" and "mueller" meet as "muller" and "mueller".
fn plain_letters(text: &str) -> String {
    let plain = |c: char| match c {
        'ä' | 'á' | 'à' | 'â' | 'å' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'ö' | 'ó' | 'ô' | 'ø' => 'o',
        'ü' | 'ú' | 'ù' | 'û' => 'u',
        'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ç' => 'c',
        c => c,
    };
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .map(plain)
        .collect()
}

fn company(
    signature: &str,
    pieces: &[Piece<'_>],
    email: Option<&Found<String>>,
) -> Option<Found<String>> {
    if let Some(found) = companies(signature).into_iter().next() {
        return Some(found);
    }
    let span = email?.span;
    let (local, domain) = signature[span.start..span.end].rsplit_once('@')?;
    let name = domain_name(domain)?;
    let same = |p: &&Piece<'_>| {
        let letters = plain_letters(p.text);
        let person = p.line == 0 && is_name(p.text);
        !p.text.contains(['@', '.'])
            && !person
            && letters.len() > 2
            && letters == plain_letters(name)
    };
    if let Some(piece) = pieces.iter().find(same) {
        return Some(piece.found(0.85));
    }
    // Only the domain is left: where it stands in the address, without its ending.
    let start = span.start + local.len() + 1 + domain.find(name)?;
    Some(Found {
        value: name.to_owned(),
        span: Span {
            start,
            end: start + name.len(),
        },
        confidence: 0.4,
    })
}

/// The part of a domain that its owner chose; nothing for domains at which anybody may have an address.
fn domain_name(domain: &str) -> Option<&str> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut at = labels.len().checked_sub(2)?;
    if at > 0 && has_word(SECOND_LEVEL, labels[at]) {
        at -= 1;
    }
    let name = labels[at];
    (!has_word(PUBLIC_DOMAINS, &name.to_lowercase())).then_some(name)
}

/// Whether a few lines at the end of a mail are a signature though no closing says so: a name on top and below it a
/// telephone number, an address, a web address, a company or a title; a company on top and two of these; or a first
/// name and nothing but such lines.
pub(crate) fn looks_like_signature(lines: &[&str]) -> bool {
    let Some((first, rest)) = lines.split_first() else {
        return false;
    };
    let top = first.split([',', '|']).next().unwrap_or("").trim();
    let named = is_name(top);
    if lines.iter().any(|l| l.chars().count() > 90)
        || !(named || is_first_name(top) || has_legal_form(first))
    {
        return false;
    }
    let below = rest.join("\n");
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    if is_first_name(top) {
        let reaches = |l: &&str| l.contains('@') || digits(l) >= 4 && l.chars().count() <= 30;
        return !rest.is_empty() && rest.iter().all(reaches);
    }
    let signs = [
        !emails(&below).is_empty(),
        !urls(&below).is_empty(),
        !companies(&below).is_empty(),
        digits(&below) >= 7,
        rest.iter().any(|l| is_title(l.trim())),
    ];
    signs.iter().filter(|s| **s).count() >= if named { 1 } else { 2 }
}

fn is_first_name(text: &str) -> bool {
    let upper = text.chars().filter(|c| c.is_uppercase()).count();
    text.chars().count() <= 14
        && text.starts_with(char::is_uppercase)
        && upper == 1
        && text.chars().all(char::is_alphabetic)
}

/// Who sent a mail, as far as its header says.
pub(crate) struct Sender {
    /// Words of the name and of the address before the `@`, without accents.
    words: Vec<String>,
    initials: String,
}

impl Sender {
    pub(crate) fn new(header: &str) -> Sender {
        let local = header.split('@').next().unwrap_or("");
        let words: Vec<String> = local
            .split(|c: char| !c.is_alphanumeric())
            .map(plain_letters)
            .filter(|w| w.len() > 1)
            .take(12)
            .collect();
        Sender {
            initials: words.iter().filter_map(|w| w.chars().next()).collect(),
            words,
        }
    }

    /// Whether a line is this person's name, first name, or initials, with at most a greeting mark around it.
    pub(crate) fn signs(&self, line: &str) -> bool {
        let line = line.trim_matches(|c: char| !c.is_alphanumeric());
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || c == '.')
            .filter(|w| !w.is_empty())
            .collect();
        if self.words.is_empty() || words.is_empty() || words.len() > 4 {
            return false;
        }
        let capital = words
            .iter()
            .all(|w| w.starts_with(|c: char| c.is_uppercase()));
        let own = |w: &&str| {
            let plain = plain_letters(w);
            let within = |s: &String| plain.len() > 2 && s.len() > 5 && s.contains(&plain);
            self.words.iter().any(|s| *s == plain || within(s))
        };
        let initials = words.len() == 1
            && (2..=3).contains(&line.len())
            && line.chars().all(char::is_uppercase)
            && self.initials.contains(&line.to_lowercase());
        initials || (capital || words.len() == 1) && words.iter().any(own)
    }
}
