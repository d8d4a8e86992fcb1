//! Telephone numbers in text.

use crate::lists::has_word;

use super::{Context, Found, Span};
use tl_kernel::contact::normalise_phone;

const LONGEST: usize = 40;
/// How far back a word such as "Tel." may stand.
const CUE_REACH: usize = 24;

/// Words that announce a telephone number.
const CUES: &str = "tel phone fon mobil mobile cell call fax ph t m p whatsapp handy tél téléphone teléfono \
    telefono móvil portable reach anrufen telefon telephone telefoon telefax puhelin sms text ring \
    dial hotline o direct durchwahl direkt";

/// Words that announce some other number.
const OTHER_NUMBERS: &str = "order invoice ref reference id case ticket iban vat account konto rechnung bestellung \
    kundennummer auftrag commande facture factura pedido tracking serial po ean isbn bic ust siret \
    siren customer policy contract nr no bestellnummer rechnungsnummer hrb article artikel sku \
    parcel shipment ssn card karte";

/// Every telephone number in a text, as E.164.
///
/// Numbers without a calling code need `context.country`; a bare run of digits also needs a word such as "Tel." before
/// it or the national trunk digit. An extension is left out of value and span.
pub fn phones(text: &str, context: &Context) -> Vec<Found<String>> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut before = None;
    while let Some(c) = text[at..].chars().next() {
        let next = at + c.len_utf8();
        let begins = (c == '+' || c == '(' || c.is_ascii_digit()) && may_precede(before);
        let spans = if begins {
            candidates(text, at)
        } else {
            Vec::new()
        };
        match spans
            .into_iter()
            .find_map(|span| judge(text, span, context))
        {
            Some(found) => {
                at = found.span.end;
                before = text[..at].chars().next_back();
                out.push(found);
            }
            None => {
                before = Some(c);
                at = next;
            }
        }
    }
    out
}

fn may_precede(before: Option<char>) -> bool {
    before.is_none_or(|c| !c.is_alphanumeric() && !".,-/_@#$€£=&%+(".contains(c))
}

/// The stretches of digits and separators that begin here and may be one number: all of it, and, where " / " divides
/// it, the part before.
fn candidates(text: &str, start: usize) -> Vec<Span> {
    let mut end = start;
    let mut separators = 0;
    let mut ends = Vec::new();
    for (i, c) in text[start..].char_indices() {
        match c {
            '0'..='9' => {
                separators = 0;
                end = start + i + 1;
            }
            '+' if i == 0 || text[start..].starts_with("(+") && i == 1 => {}
            ' ' | '\u{a0}' | '\u{202f}' | '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2013}' => {
                if c == '/' && text[end..].starts_with(" / ") {
                    ends.push(end);
                }
                separators += 1;
            }
            _ => break,
        }
        if i > LONGEST || separators > 3 {
            break;
        }
    }
    ends.insert(0, end);
    ends.into_iter()
        .map(|end| Span { start, end })
        .filter(|span| span.end > start && is_closed(text, *span))
        .collect()
}

/// Brackets are paired, and nothing follows that belongs to another kind of number.
fn is_closed(text: &str, span: Span) -> bool {
    let written = &text[span.start..span.end];
    let mut rest = text[span.end..].chars();
    let clear = match rest.next() {
        None => true,
        Some(c) if c.is_alphabetic() => c == 'x' && rest.next().is_some_and(|d| d.is_ascii_digit()),
        Some(',' | '.' | ':') => !rest.next().is_some_and(|d| d.is_ascii_digit()),
        Some(c) => !"@%€$£°_".contains(c),
    };
    clear && written.matches('(').count() == written.matches(')').count()
}

fn judge(text: &str, span: Span, context: &Context) -> Option<Found<String>> {
    let written = &text[span.start..span.end];
    let digits = written.bytes().filter(u8::is_ascii_digit).count();
    let most = if written.starts_with("00") { 17 } else { 15 };
    if !(7..=most).contains(&digits) {
        return None;
    }
    let international = written.starts_with('+') || written.starts_with("(+");
    if !international && looks_like_another_kind(written) {
        return None;
    }
    let value = normalise_phone(written, context.country.as_deref())?;
    let cue = cue_before(&text[..span.start]);
    if cue == Some(false) && !international {
        return None;
    }
    let confidence = match (international, cue) {
        (true, Some(true)) => 0.98,
        (true, _) => 0.95,
        (false, Some(true)) => 0.93,
        (false, _) if written.starts_with("00") => 0.88,
        (false, _) if written.bytes().all(|b| b.is_ascii_digit()) => {
            if !written.starts_with('0') {
                return None;
            }
            0.65
        }
        (false, _) => 0.78,
    };
    Some(Found {
        value,
        span,
        confidence,
    })
}

/// Dates, addresses of machines, and amounts in groups of three.
fn looks_like_another_kind(written: &str) -> bool {
    let parts =
        |separator: char| -> Vec<usize> { written.split(separator).map(str::len).collect() };
    let all_digits = |separator: char| {
        written
            .chars()
            .all(|c| c.is_ascii_digit() || c == separator)
    };
    let date = ['.', '-', '/'].into_iter().any(|s| {
        all_digits(s) && matches!(parts(s)[..], [1..=2, 1..=2, 2 | 4] | [4, 1..=2, 1..=2])
    });
    let machine = all_digits('.')
        && matches!(parts('.')[..], [1..=3, 1..=3, 1..=3, 1..=3])
        && written.len() < 16;
    let amount = |s: char| {
        all_digits(s) && parts(s).len() > 1 && !written.starts_with('0') && parts(s)[0] <= 3 && {
            let rest = &parts(s)[1..];
            rest.iter().all(|n| *n == 3)
        }
    };
    let years =
        all_digits('-') && matches!(parts('-')[..], [4, 4]) && written.starts_with(['1', '2']);
    date || machine || amount('.') || years
}

/// Whether a word shortly before on the line announces a telephone number (true) or another number (false).
fn cue_before(text: &str) -> Option<bool> {
    let mut from = text.len().saturating_sub(CUE_REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let line = text[from..].rsplit(['\n', ';', '|']).next().unwrap_or("");
    let near = line.to_lowercase();
    if near.trim_end().ends_with('#') {
        return Some(false);
    }
    let mut words = near
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty() && !w.bytes().all(|b| b.is_ascii_digit()));
    words
        .rfind(|w| has_word(CUES, w) || has_word(OTHER_NUMBERS, w))
        .map(|w| has_word(CUES, w))
}
