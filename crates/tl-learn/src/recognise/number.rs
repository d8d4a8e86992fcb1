//! Written numbers: which mark divides thousands and which begins the decimals, and words such as "Mio." or "k".

use rust_decimal::Decimal;

use super::lex::{Gap, Kind, Tokens};

/// Digits in one number; more are an identifier.
const MOST_DIGITS: usize = 15;
const MOST_GROUPS: usize = 8;

/// The decimal mark a country uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Point,
    Comma,
    Unknown,
}

/// A number read from tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) value: Decimal,
    /// The token after it.
    pub(crate) next: usize,
    /// "1.234" or "1,234": the mark may divide thousands or begin decimals.
    pub(crate) reading: Reading,
}

/// How sure the meaning of a lone mark before three digits is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Clear,
    /// Read as thousands; `value` is the whole number. The country's habit agrees, or is not known.
    Thousands,
    /// Read as thousands against the country's habit.
    ThousandsAgainstHabit,
}

pub(crate) fn mark_of(country: &str) -> Mark {
    const POINT: &[&str] = &[
        "US", "CA", "GB", "IE", "AU", "NZ", "IN", "CN", "JP", "KR", "SG", "HK", "TW", "TH", "MX",
        "PH", "MY", "IL", "PK", "NG", "KE", "EG", "AE", "CH", "LI", "MT",
    ];
    match country {
        "" => Mark::Unknown,
        country if POINT.contains(&country) => Mark::Point,
        _ => Mark::Comma,
    }
}

/// Reads the number that begins at a token.
pub(crate) fn read_number(tokens: &Tokens<'_>, at: usize, mark: Mark) -> Option<Number> {
    let first = tokens.digits(at)?;
    let mut groups: Vec<(char, &str)> = Vec::new();
    let mut next = at + 1;
    while let Some((divider, digits, after)) = next_group(tokens, next, first, &groups) {
        groups.push((divider, digits));
        next = after;
        if groups.len() > MOST_GROUPS {
            return None;
        }
    }
    let (written, reading) = interpret(first, &groups, mark)?;
    let value = written.parse::<Decimal>().ok()?;
    (written.len() <= MOST_DIGITS + 1).then_some(Number {
        value,
        next,
        reading,
    })
}

fn next_group<'t>(
    tokens: &Tokens<'t>,
    at: usize,
    first: &str,
    groups: &[(char, &str)],
) -> Option<(char, &'t str, usize)> {
    let token = tokens.get(at)?;
    if token.gap == Gap::Nothing && token.is_symbol(".,'’") && tokens.touches(at + 1) {
        let digits = tokens.digits(at + 1)?;
        return Some((token.text.chars().next()?, digits, at + 2));
    }
    // "1 250 000": only groups of three, and only while no other mark was seen.
    let spaced = token.kind == Kind::Digits
        && token.gap == Gap::Space
        && token.text.len() == 3
        && first.len() <= 3
        && first != "0"
        && groups.iter().all(|(divider, _)| *divider == ' ');
    spaced.then_some((' ', token.text, at + 1))
}

/// The number in plain notation, or nothing when the marks fit no notation (dates, versions, addresses).
fn interpret(first: &str, groups: &[(char, &str)], mark: Mark) -> Option<(String, Reading)> {
    let Some(((last_divider, last), before)) = groups.split_last() else {
        return Some((first.to_owned(), Reading::Clear));
    };
    let whole = |groups: &[(char, &str)]| -> String {
        let mut out = first.to_owned();
        for (_, digits) in groups {
            out.push_str(digits);
        }
        out
    };
    let may_be_decimal = matches!(last_divider, '.' | ',');
    if before.is_empty() && may_be_decimal {
        if last.len() == 3 && first.len() <= 3 && !first.starts_with('0') {
            let against = match mark {
                Mark::Point => *last_divider == '.',
                Mark::Comma => *last_divider == ',',
                Mark::Unknown => false,
            };
            let reading = if against {
                Reading::ThousandsAgainstHabit
            } else {
                Reading::Thousands
            };
            return Some((whole(groups), reading));
        }
        return Some((format!("{first}.{last}"), Reading::Clear));
    }
    let divider = groups[0].0;
    if divider == *last_divider {
        let fits = before.iter().all(|(d, _)| *d == divider) && are_thousands(first, groups);
        return fits.then(|| (whole(groups), Reading::Clear));
    }
    let fits =
        may_be_decimal && before.iter().all(|(d, _)| *d == divider) && are_thousands(first, before);
    fits.then(|| (format!("{}.{last}", whole(before)), Reading::Clear))
}

/// Groups of three after one to three digits; or, as in India, groups of two and a last one of three.
fn are_thousands(first: &str, groups: &[(char, &str)]) -> bool {
    let Some(((_, last), before)) = groups.split_last() else {
        return true;
    };
    let by_three = first.len() <= 3 && groups.iter().all(|(_, digits)| digits.len() == 3);
    let by_two = first.len() <= 2
        && last.len() == 3
        && before.iter().all(|(d, g)| *d == ',' && g.len() == 2);
    by_three || by_two
}

/// A factor written after a number ("k", "Mio.", "million"): its power of ten, and the token after it.
pub(crate) fn factor(tokens: &Tokens<'_>, at: usize) -> Option<(u32, usize)> {
    let token = tokens.get(at)?;
    if token.kind != Kind::Word || token.gap > Gap::Space {
        return None;
    }
    let touching = token.gap == Gap::Nothing;
    let power = match tokens.word(at) {
        "k" if touching => 3,
        "m" if touching => 6,
        "b" if touching => 9,
        "tsd" | "thousand" | "tausend" | "mille" => 3,
        "mil" if !touching => 3,
        "mn" | "mio" | "mill" | "million" | "millions" | "millionen" | "millones" | "millón" => 6,
        "bn" | "mrd" | "billion" | "billions" | "milliarde" | "milliarden" | "milliard"
        | "milliards" => 9,
        "lakh" | "lakhs" => 5,
        "crore" | "crores" => 7,
        _ => return None,
    };
    let abbreviated = matches!(tokens.word(at), "tsd" | "mio" | "mill" | "mrd");
    let dot = abbreviated && tokens.touches(at + 1) && tokens.is_symbol(at + 1, ".");
    Some((power, at + 1 + usize::from(dot)))
}

/// `value * 10^power`, without a trailing zero fraction unless `power` is zero.
pub(crate) fn scaled(value: Decimal, power: i32) -> Option<Decimal> {
    let factor = Decimal::from(10u64.checked_pow(power.unsigned_abs())?);
    match power {
        0 => Some(value),
        1.. => value.checked_mul(factor).map(|v| v.normalize()),
        _ => value.checked_div(factor),
    }
}
