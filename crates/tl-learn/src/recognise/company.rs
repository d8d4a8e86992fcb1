//! Companies named with their legal form.

use crate::lists::{has_word, phrases};

use super::lex::{Gap, Kind, Tokens};
use super::{Found, Span};

/// Words of a name before its legal form.
const LONGEST_NAME: usize = 7;

/// Legal forms; of two that fit at a place the longer one counts.
const FORMS: &str = "GmbH & Co. KGaA|GmbH & Co. KG|GmbH & Co KG|GmbH & Co. OHG|AG & Co. KG|AG & Co. KGaA|gGmbH|GmbH|\
    mbH|KGaA|OHG|PartG mbB|e.K.|e.V.|eG|Limited|Ltd.|Ltd|Pty Ltd|Pty. Ltd.|Pvt Ltd|Pvt. Ltd.|\
    Co., Ltd.|Incorporated|Inc.|Inc|L.L.C.|LLC|LLP|Corporation|Corp.|Corp|plc|PLC|A/S|ApS|Oyj|Oy|\
    Oy Ab|B.V.|BV|N.V.|S.A.S.|SAS|SARL|S.A.R.L.|S.à r.l.|Sàrl|EURL|S.A.|S.r.l.|S.R.L.|Srl|SRL|\
    S.p.A.|SpA|S.L.U.|S.L.|SLU|Lda.|Lda|Sp. z o.o.|sp. z o.o.|s.r.o.|a.s.|d.o.o.|Kft.|Kft|Zrt.|\
    Aktiebolag|Aktiengesellschaft|ANS|ASA";

/// Legal forms that are also words, initials or codes.
const DOUBTFUL: &str = "AG KG UG SE AB AS SA SL NV HB Co. Company Group";

/// Small words inside names.
const JOINING: &str = "und and et y e of de du des del di van von";

/// Capitalised words before a name that do not belong to it.
const BEFORE_NAMES: &str = "the our at from for with by dear die der das bei von für firma wir we la le chez société \
    company firm i this is client kunde customer an invoice order re fwd subject head director \
    manager vp president ceo cto cfo leiter geschäftsführer owner founder partner contact directeur \
    impressum copyright";

/// Every company that is named with its legal form ("Nordwind Logistik GmbH"), name and form as written.
pub fn companies(text: &str) -> Vec<Found<String>> {
    let tokens = Tokens::new(text);
    let mut out: Vec<Found<String>> = Vec::new();
    let mut at = 1;
    let mut free = 0;
    while at < tokens.list.len() {
        let found = form_at(text, &tokens, at).and_then(|(end, sure)| {
            let start = name_start(&tokens, at, free)?;
            certain(&tokens, (start, at), end, sure)
        });
        if let Some(mut found) = found {
            found.value = text[found.span.start..found.span.end].to_owned();
            while tokens.get(at).is_some_and(|t| t.start < found.span.end) {
                at += 1;
            }
            free = at;
            out.push(found);
        } else {
            at += 1;
        }
    }
    out
}

/// Whether a piece of text ends in a legal form.
pub(crate) fn has_legal_form(text: &str) -> bool {
    companies(text)
        .iter()
        .any(|c| c.span.end == text.trim_end().len())
}

/// The end of the legal form that begins at a token, and whether it is a clear one.
fn form_at(text: &str, tokens: &Tokens<'_>, at: usize) -> Option<(usize, bool)> {
    let token = tokens.get(at)?;
    if token.kind != Kind::Word
        || token.gap == Gap::Nothing && !tokens.is_symbol(at - 1, ",-")
        || token.gap > Gap::Space
    {
        return None;
    }
    let rest = &text[token.start..];
    let ends_well = |form: &&str| {
        rest.strip_prefix(form)
            .is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric() || c == '@'))
    };
    let longest =
        |forms: &mut dyn Iterator<Item = &'static str>| forms.filter(ends_well).map(str::len).max();
    if let Some(length) = longest(&mut phrases(FORMS)) {
        return Some((token.start + length, true));
    }
    longest(&mut DOUBTFUL.split(' ')).map(|length| (token.start + length, false))
}

/// The first token of the name that ends before a legal form.
fn name_start(tokens: &Tokens<'_>, form: usize, free: usize) -> Option<usize> {
    let mut first = None;
    let mut words = 0;
    let mut at = form;
    // The token after the one looked at must be on the same line.
    while at > free && tokens.get(at).is_some_and(|t| t.gap <= Gap::Space) && words < LONGEST_NAME {
        at -= 1;
        let token = tokens.get(at)?;
        let joins = token.is_symbol("&+-'’") || has_word(JOINING, tokens.word(at)) && words > 0;
        let comma = token.text == "," && at + 1 == form;
        let dot = token.text == "."
            && token.gap == Gap::Nothing
            && tokens.word(at.wrapping_sub(1)).len() <= 3;
        let capital = token
            .text
            .starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit());
        if capital {
            if has_word(BEFORE_NAMES, tokens.word(at)) {
                break;
            }
            first = Some(at);
            words += 1;
        } else if !(joins || comma || dot && words > 0) {
            break;
        }
    }
    first
}

fn certain(
    tokens: &Tokens<'_>,
    name: (usize, usize),
    end: usize,
    sure: bool,
) -> Option<Found<String>> {
    let (first, form) = name;
    let words = || {
        tokens.list[first..form]
            .iter()
            .filter(|t| t.kind == Kind::Word)
    };
    words().next()?;
    // In a line of capitals "AS" and "SA" are words like the others.
    if !sure && !words().any(|t| t.text.chars().any(char::is_lowercase)) {
        return None;
    }
    Some(Found {
        value: String::new(),
        span: Span {
            start: tokens.list[first].start,
            end,
        },
        confidence: if sure { 0.92 } else { 0.78 },
    })
}
