//! The marks of currencies: symbols, codes and names.

use crate::lists::has_word;

const CODES: &str = "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW \
    KZT MAD MXN MYR NGN NOK NZD PEN PHP PKR PLN QAR RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD \
    VND ZAR";

/// Codes that people also write in lower case; the others would be taken for words.
const LOWER_CODES: &str = "rmb eur usd gbp chf sek nok dkk pln czk huf cad aud";

/// Countries that pay in euros.
const EURO_COUNTRIES: &str = "AT BE CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK";

/// What a name or code of a currency says: ISO code, how sure that is, and the power of ten it multiplies by
/// ("TEUR": 3, "cents": -2).
pub(super) type Named = (&'static str, f64, i32);

/// A code or name that may stand before or after a number.
pub(super) fn named(text: &str, lower: &str, country: &str) -> Option<Named> {
    if let Some(code) = code_of(text, lower) {
        return Some((code, 0.97, 0));
    }
    Some(match lower {
        "teur" | "keur" => ("EUR", 0.95, 3),
        "tchf" | "kchf" => ("CHF", 0.95, 3),
        "tusd" | "kusd" => ("USD", 0.95, 3),
        "euro" => ("EUR", 0.96, 0),
        "kr" => crown(country),
        "fr" | "sfr" => ("CHF", 0.85, 0),
        "rs" => ("INR", 0.85, 0),
        "zł" | "zl" => ("PLN", 0.95, 0),
        "kč" => ("CZK", 0.95, 0),
        _ => return None,
    })
}

/// A name that only stands after a number.
pub(super) fn named_after(lower: &str, country: &str) -> Option<Named> {
    Some(match lower {
        "euros" => ("EUR", 0.96, 0),
        "dollar" | "dollars" | "dólares" | "bucks" => (dollar(country), 0.9, 0),
        "cent" | "cents" if has_word(EURO_COUNTRIES, country) => ("EUR", 0.85, -2),
        "cent" | "cents" => (dollar(country), 0.7, -2),
        "pence" => ("GBP", 0.9, -2),
        "pounds" | "pound" | "pfund" | "quid" | "libras" => ("GBP", 0.7, 0),
        "franken" => ("CHF", 0.95, 0),
        "rappen" => ("CHF", 0.95, -2),
        "franc" | "francs" => ("CHF", 0.8, 0),
        "kronor" => ("SEK", 0.95, 0),
        "kroner" if country == "DK" => ("DKK", 0.95, 0),
        "kroner" => ("NOK", if country == "NO" { 0.95 } else { 0.6 }, 0),
        "yen" => ("JPY", 0.95, 0),
        "yuan" | "renminbi" | "元" => ("CNY", 0.95, 0),
        "rupees" | "rupee" => ("INR", 0.85, 0),
        "zloty" | "złoty" | "złotych" => ("PLN", 0.95, 0),
        "forint" => ("HUF", 0.95, 0),
        "lira" | "liras" => ("TRY", 0.85, 0),
        "ft" if country == "HU" => ("HUF", 0.9, 0),
        _ => return None,
    })
}

/// A name of two words after a number.
pub(super) fn named_by_two(first: &str, second: &str) -> Option<&'static str> {
    Some(match (first, second) {
        ("us" | "american", "dollar" | "dollars") => "USD",
        ("canadian", "dollar" | "dollars") => "CAD",
        ("australian", "dollar" | "dollars") => "AUD",
        ("swiss", "franc" | "francs") | ("schweizer", "franken") | ("francs", "suisses") => "CHF",
        ("pounds" | "pound", "sterling") | ("british", "pounds") => "GBP",
        ("swedish", "kronor" | "crowns") => "SEK",
        ("norwegian", "kroner" | "crowns") => "NOK",
        ("danish", "kroner" | "crowns") => "DKK",
        ("chinese", "yuan") => "CNY",
        ("turkish", "lira" | "liras") => "TRY",
        _ => return None,
    })
}

/// The currency with this code.
fn code_of(text: &str, lower: &str) -> Option<&'static str> {
    let written_low = has_word(LOWER_CODES, lower);
    if text.len() != 3 || !(written_low || text.bytes().all(|b| b.is_ascii_uppercase())) {
        return None;
    }
    let code = CODES.split(' ').find(|c| c.eq_ignore_ascii_case(lower))?;
    Some(if code == "RMB" { "CNY" } else { code })
}

/// What "$" means in a country.
pub(super) fn dollar(country: &str) -> &'static str {
    match country {
        "CA" => "CAD",
        "AU" => "AUD",
        "NZ" => "NZD",
        "SG" => "SGD",
        "HK" => "HKD",
        "TW" => "TWD",
        "MX" => "MXN",
        "AR" => "ARS",
        "CL" => "CLP",
        "CO" => "COP",
        _ => "USD",
    }
}

fn crown(country: &str) -> Named {
    match country {
        "SE" => ("SEK", 0.95, 0),
        "NO" => ("NOK", 0.95, 0),
        "DK" => ("DKK", 0.95, 0),
        "IS" => ("ISK", 0.95, 0),
        _ => ("SEK", 0.55, 0),
    }
}

/// The currency of letters before "$". With a blank between only those count that are no word or initial ("give us
/// $5", "a $5 fee").
pub(super) fn dollar_prefix(word: &str, touching: bool) -> Option<&'static str> {
    Some(match word {
        "us" | "usd" if touching => "USD",
        "c" | "ca" => "CAD",
        "a" | "s" | "r" if !touching => return None,
        "a" | "au" => "AUD",
        "nz" => "NZD",
        "s" | "sg" => "SGD",
        "hk" => "HKD",
        "nt" => "TWD",
        "mx" => "MXN",
        "r" => "BRL",
        _ => return None,
    })
}

/// The currency a symbol stands for, other than "$".
pub(super) fn symbol(text: &str) -> Option<&'static str> {
    Some(match text {
        "€" => "EUR",
        "£" => "GBP",
        "¥" | "￥" => "JPY",
        "₹" => "INR",
        "₽" => "RUB",
        "₺" => "TRY",
        "₩" => "KRW",
        "₪" => "ILS",
        "฿" => "THB",
        "₫" => "VND",
        "₴" => "UAH",
        "₱" => "PHP",
        "₦" => "NGN",
        "₡" => "CRC",
        "₾" => "GEL",
        "₸" => "KZT",
        "₼" => "AZN",
        _ => return None,
    })
}
