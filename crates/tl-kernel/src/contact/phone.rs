//! The one written form of a telephone number (E.164) and the country table behind it. It uses nothing else
//! of this crate.

/// The digit dialled before a national number inside the country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trunk {
    /// There is none.
    None,
    /// Always written; a number without it lacks its area code.
    Always(&'static str),
    /// May be left out, because every national number can be told from its length.
    Often(&'static str),
}

use Trunk::{Always, Often};

/// How numbers are written in one country.
#[derive(Debug, Clone, Copy)]
struct Plan {
    country: &'static str,
    calling_code: &'static str,
    trunk: Trunk,
    shortest: usize,
    longest: usize,
}

const fn plan(
    country: &'static str,
    calling_code: &'static str,
    trunk: Trunk,
    length: (usize, usize),
) -> Plan {
    Plan {
        country,
        calling_code,
        trunk,
        shortest: length.0,
        longest: length.1,
    }
}

/// In ascending order of country. Lengths are those of the national number without the trunk digit.
const PLANS: &[Plan] = &[
    plan("AE", "971", Always("0"), (8, 9)),
    plan("AR", "54", Often("0"), (10, 11)),
    plan("AT", "43", Always("0"), (6, 13)),
    plan("AU", "61", Often("0"), (9, 9)),
    plan("BE", "32", Always("0"), (8, 9)),
    plan("BG", "359", Always("0"), (7, 9)),
    plan("BR", "55", Often("0"), (10, 11)),
    plan("CA", "1", Often("1"), (10, 10)),
    plan("CH", "41", Often("0"), (9, 9)),
    plan("CL", "56", Trunk::None, (9, 9)),
    plan("CN", "86", Often("0"), (9, 11)),
    plan("CO", "57", Trunk::None, (10, 10)),
    plan("CY", "357", Trunk::None, (8, 8)),
    plan("CZ", "420", Trunk::None, (9, 9)),
    plan("DE", "49", Always("0"), (6, 12)),
    plan("DK", "45", Trunk::None, (8, 8)),
    plan("EE", "372", Trunk::None, (7, 8)),
    plan("EG", "20", Always("0"), (8, 10)),
    plan("ES", "34", Trunk::None, (9, 9)),
    plan("FI", "358", Always("0"), (5, 11)),
    plan("FR", "33", Often("0"), (9, 9)),
    plan("GB", "44", Always("0"), (9, 10)),
    plan("GR", "30", Trunk::None, (10, 10)),
    plan("HK", "852", Trunk::None, (8, 8)),
    plan("HR", "385", Always("0"), (8, 9)),
    plan("HU", "36", Always("06"), (8, 9)),
    plan("ID", "62", Always("0"), (8, 12)),
    plan("IE", "353", Always("0"), (7, 9)),
    plan("IL", "972", Always("0"), (8, 9)),
    plan("IN", "91", Often("0"), (10, 10)),
    plan("IS", "354", Trunk::None, (7, 9)),
    plan("IT", "39", Trunk::None, (6, 11)),
    plan("JP", "81", Always("0"), (9, 10)),
    plan("KE", "254", Often("0"), (9, 9)),
    plan("KR", "82", Always("0"), (8, 10)),
    plan("LI", "423", Trunk::None, (7, 9)),
    plan("LT", "370", Often("0"), (8, 8)),
    plan("LU", "352", Trunk::None, (6, 11)),
    plan("LV", "371", Trunk::None, (8, 8)),
    plan("MA", "212", Often("0"), (9, 9)),
    plan("MT", "356", Trunk::None, (8, 8)),
    plan("MX", "52", Trunk::None, (10, 10)),
    plan("MY", "60", Always("0"), (8, 10)),
    plan("NG", "234", Always("0"), (8, 10)),
    plan("NL", "31", Often("0"), (9, 9)),
    plan("NO", "47", Trunk::None, (8, 8)),
    plan("NZ", "64", Always("0"), (8, 10)),
    plan("PE", "51", Always("0"), (8, 9)),
    plan("PH", "63", Always("0"), (8, 10)),
    plan("PK", "92", Always("0"), (9, 10)),
    plan("PL", "48", Trunk::None, (9, 9)),
    plan("PT", "351", Trunk::None, (9, 9)),
    plan("RO", "40", Often("0"), (9, 9)),
    plan("RS", "381", Always("0"), (8, 9)),
    plan("RU", "7", Often("8"), (10, 10)),
    plan("SA", "966", Always("0"), (8, 9)),
    plan("SE", "46", Always("0"), (6, 10)),
    plan("SG", "65", Trunk::None, (8, 8)),
    plan("SI", "386", Often("0"), (8, 8)),
    plan("SK", "421", Often("0"), (9, 9)),
    plan("TH", "66", Always("0"), (8, 9)),
    plan("TR", "90", Often("0"), (10, 10)),
    plan("TW", "886", Always("0"), (8, 9)),
    plan("UA", "380", Often("0"), (9, 9)),
    plan("US", "1", Often("1"), (10, 10)),
    plan("VN", "84", Always("0"), (9, 10)),
    plan("ZA", "27", Often("0"), (9, 9)),
];

/// Calling codes in use, as ranges; none is the beginning of another.
const CALLING_CODES: &[(u16, u16)] = &[
    (1, 1),
    (7, 7),
    (20, 20),
    (27, 27),
    (30, 34),
    (36, 36),
    (39, 41),
    (43, 49),
    (51, 58),
    (60, 66),
    (81, 82),
    (84, 84),
    (86, 86),
    (90, 95),
    (98, 98),
    (211, 213),
    (216, 216),
    (218, 218),
    (220, 269),
    (290, 291),
    (297, 299),
    (350, 359),
    (370, 378),
    (380, 383),
    (385, 387),
    (389, 389),
    (420, 421),
    (423, 423),
    (500, 509),
    (590, 599),
    (670, 670),
    (672, 683),
    (685, 692),
    (800, 800),
    (808, 808),
    (850, 850),
    (852, 853),
    (855, 856),
    (870, 870),
    (878, 878),
    (880, 883),
    (886, 886),
    (888, 888),
    (960, 968),
    (970, 977),
    (979, 979),
    (992, 996),
    (998, 998),
];

/// E.164 form (`+` and digits) of a telephone number written by a person.
///
/// Understands `+` and `00` (`011` in North America) before a calling code, the national trunk digit, `(0)`, the usual
/// separators, a `tel:` prefix, and leaves an extension out. `country` (ISO 3166 alpha-2) is needed for numbers without
/// a calling code. Gives nothing when the length does not fit the country or anything else is in the text.
pub fn normalise_phone(text: &str, country: Option<&str>) -> Option<String> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let (digits, international) = digits_of(without_extension(text))?;
    let home = country.and_then(plan_of);
    if international {
        return from_calling_code(&digits);
    }
    if let Some(rest) = digits.strip_prefix("00") {
        return from_calling_code(rest);
    }
    let home = home?;
    if let Some(rest) = digits.strip_prefix("011")
        && home.calling_code == "1"
    {
        return from_calling_code(rest);
    }
    national(home, &digits)
}

fn plan_of(country: &str) -> Option<&'static Plan> {
    let country = country.trim().to_ascii_uppercase();
    PLANS
        .binary_search_by(|p| p.country.cmp(&country))
        .ok()
        .map(|at| &PLANS[at])
}

/// The digits, and whether a `+` leads them.
fn digits_of(text: &str) -> Option<(String, bool)> {
    let mut digits = String::new();
    let mut plus = false;
    let text = text.replace("(0)", " ");
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            c if c.is_whitespace() => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some((digits, plus))
}

/// Cuts "ext. 12", "x12", "Durchwahl 12" and the like off the end.
fn without_extension(text: &str) -> &str {
    let body = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if body.len() == text.len() {
        return text;
    }
    let body = body.trim_end();
    let lower = body.to_ascii_lowercase();
    for mark in [
        "extension",
        "durchwahl",
        "ext.",
        "ext",
        "dw.",
        "dw",
        "x",
        "#",
        ";ext=",
    ] {
        if lower.ends_with(mark) && lower.len() > mark.len() {
            return body[..body.len() - mark.len()].trim_end_matches([' ', ',', ';']);
        }
    }
    text
}

fn from_calling_code(digits: &str) -> Option<String> {
    let code = (1..=3)
        .filter_map(|n| digits.get(..n))
        .find(|code| is_calling_code(code))?;
    let mut rest = &digits[code.len()..];
    let plans = || PLANS.iter().filter(|p| p.calling_code == code);
    if plans().any(|p| matches!(p.trunk, Always("0") | Often("0"))) {
        // "+49 0171 …": the trunk digit kept by mistake.
        rest = rest.strip_prefix('0').unwrap_or(rest);
    }
    let fits = if plans().next().is_some() {
        plans().any(|p| fits(p, rest))
    } else {
        (4..=12).contains(&rest.len())
    };
    (fits && code.len() + rest.len() <= 15).then(|| format!("+{code}{rest}"))
}

fn is_calling_code(code: &str) -> bool {
    let leading_zero = code.starts_with('0');
    !leading_zero
        && code.parse::<u16>().is_ok_and(|code| {
            CALLING_CODES
                .iter()
                .any(|(low, high)| (*low..=*high).contains(&code))
        })
}

fn national(plan: &Plan, digits: &str) -> Option<String> {
    let rest = match plan.trunk {
        Trunk::None => digits,
        Always(trunk) => digits.strip_prefix(trunk)?,
        Often(trunk) => match digits.strip_prefix(trunk) {
            Some(rest) if fits(plan, rest) => rest,
            _ => digits,
        },
    };
    fits(plan, rest).then(|| format!("+{}{rest}", plan.calling_code))
}

fn fits(plan: &Plan, national: &str) -> bool {
    let bytes = national.as_bytes();
    let leads = match (plan.calling_code, bytes.first()) {
        (_, None) => false,
        // Neither an area nor an exchange begins with 0 or 1.
        ("1", Some(first)) => *first >= b'2' && bytes.get(3).is_some_and(|b| *b >= b'2'),
        ("39", _) => true,
        (_, Some(first)) => *first != b'0',
    };
    leads && (plan.shortest..=plan.longest).contains(&national.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(PLANS.is_sorted_by(|a, b| a.country < b.country));
        assert!(CALLING_CODES.is_sorted_by(|a, b| a.1 < b.0));
        for plan in PLANS {
            assert!(is_calling_code(plan.calling_code), "{}", plan.country);
            assert!(plan.shortest <= plan.longest && plan.longest + plan.calling_code.len() <= 15);
        }
    }
}
