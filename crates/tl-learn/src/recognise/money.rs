//! Amounts of money in text.

use rust_decimal::Decimal;

use crate::lists::has_word;

use super::lex::{Gap, Kind, Tokens};
use super::number::{Mark, Number, Reading, factor, mark_of, read_number, scaled};
use super::{Context, Found, Span};

/// An amount with its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// Exact amount in units of the currency (euros, not cents).
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
}

/// A currency mark next to a number.
#[derive(Debug, Clone, Copy)]
struct Marked {
    code: &'static str,
    sure: f64,
    /// First token of the mark (before a number) or the token after it (after a number).
    edge: usize,
    /// "TEUR": thousands of euros.
    power: u32,
}

const CODES: &str = "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW \
    KZT MAD MXN MYR NGN NOK NZD PEN PHP PKR PLN QAR RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD \
    VND ZAR";

/// Codes that people also write in lower case; the others would be taken for words.
const LOWER_CODES: &str = "eur usd gbp chf sek nok dkk pln czk huf cad aud";

/// Every amount with a currency in a text.
///
/// Reads symbols, ISO codes and common words before or after the number, both ways of marking thousands and decimals,
/// factors ("1.5k", "2 Mio."), and ranges ("€10-20k" gives two amounts). A number without a currency is not money.
/// "$" and "kr" mean the currency of `context.country` when that country has one of that name.
pub fn money(text: &str, context: &Context) -> Vec<Found<Money>> {
    let tokens = Tokens::new(text);
    let reader = Reader {
        mark: mark_of(&context.country_code()),
        country: context.country_code(),
        tokens: &tokens,
    };
    let mut out = Vec::new();
    // The first token that no earlier amount has used.
    let mut free = 0;
    let mut at = 0;
    while at < tokens.list.len() {
        match reader.amounts_at(at, free) {
            Some((found, next)) => {
                out.extend(found);
                free = next;
                at = next;
            }
            None => at += 1,
        }
    }
    out
}

struct Reader<'a, 't> {
    tokens: &'a Tokens<'t>,
    mark: Mark,
    country: String,
}

impl Reader<'_, '_> {
    /// The amount, or both ends of a range, whose number begins at a token; and the token after it.
    fn amounts_at(&self, at: usize, free: usize) -> Option<(Vec<Found<Money>>, usize)> {
        let tokens = self.tokens;
        if !self.begins_number(at) {
            return None;
        }
        let first = read_number(tokens, at, self.mark)?;
        let own_factor = factor(tokens, first.next);
        let first_end = own_factor.map_or(first.next, |(_, next)| next);
        let before = self.before(at, free);
        if let Some((found, next)) =
            self.range(at, (first, own_factor.map(|f| f.0), first_end), before)
        {
            return Some((found, next));
        }
        let power = own_factor.map_or(0, |(power, _)| power);
        let end = self.skip_dash(first_end);
        let after = self.after(end, before);
        let mark = match (before, after) {
            (Some(before), Some(after))
                if before.code == after.code || is_dollar_detail(before, after) =>
            {
                after
            }
            (Some(before), _) => before,
            (None, Some(after)) => after,
            (None, None) => return None,
        };
        let (start, end) = match (before, after) {
            (Some(b), Some(a)) if mark.edge == a.edge => (b.edge, a.edge),
            (Some(b), _) => (b.edge, end),
            (None, _) => (at, mark.edge),
        };
        let found = self.found(first, mark, power, (start, end))?;
        Some((vec![found], end))
    }

    /// Not in the middle of a word, a version or a longer run of marks.
    fn begins_number(&self, at: usize) -> bool {
        let tokens = self.tokens;
        let digits = tokens.digits(at).is_some();
        let joined = tokens.touches(at)
            && at > 0
            && (tokens.get(at - 1).is_some_and(|t| t.kind == Kind::Digits)
                || tokens.is_symbol(at - 1, ".,'/:_")
                    && at > 1
                    && tokens.touches(at - 1)
                    && tokens.get(at - 2).is_some_and(|t| t.kind == Kind::Digits));
        digits && !joined
    }

    /// "10-20k EUR", "€10 to €20", "zwischen 5 und 10 Euro": both ends, with the currency and the factor shared.
    fn range(
        &self,
        at: usize,
        first: (Number, Option<u32>, usize),
        before: Option<Marked>,
    ) -> Option<(Vec<Found<Money>>, usize)> {
        let tokens = self.tokens;
        let (number, own_power, end) = first;
        let dash =
            tokens.is_symbol(end, "-–—") && tokens.get(end).is_some_and(|t| t.gap <= Gap::Space);
        let word = matches!(
            tokens.word(end),
            "to" | "bis" | "à" | "till" | "and" | "und" | "et"
        );
        let second_at = end + 1;
        let beside = tokens.get(second_at).is_some_and(|t| t.gap <= Gap::Space);
        if !(dash || word && before.is_none()) || !beside {
            return None;
        }
        let second = read_number(tokens, second_at, self.mark)?;
        let second_factor = factor(tokens, second.next);
        let second_end = self.skip_dash(second_factor.map_or(second.next, |(_, next)| next));
        let after = self.after(second_end, before);
        let mark = before.or(after)?;
        let power = second_factor.map_or(0, |(power, _)| power);
        let shared = own_power.unwrap_or(if number.value < second.value {
            power
        } else {
            0
        });
        let last = after.map_or(second_end, |a| a.edge);
        let low = self.found(number, mark, shared, (before.map_or(at, |b| b.edge), end))?;
        let high = self.found(second, mark, power, (second_at, last))?;
        Some((vec![low, high], last))
    }

    fn found(
        &self,
        number: Number,
        mark: Marked,
        power: u32,
        place: (usize, usize),
    ) -> Option<Found<Money>> {
        let amount = scaled(number.value, power + mark.power)?;
        let doubt = match number.reading {
            Reading::Clear => 1.0,
            Reading::Thousands => 0.97,
            Reading::ThousandsAgainstHabit => 0.75,
        };
        let start = self.with_sign(place.0);
        let tokens = &self.tokens.list;
        Some(Found {
            value: Money {
                amount: if start < place.0 { -amount } else { amount },
                currency: mark.code.to_owned(),
            },
            span: Span {
                start: tokens[start].start,
                end: tokens[place.1 - 1].end,
            },
            confidence: mark.sure * doubt,
        })
    }

    /// One token earlier when a minus sign stands directly before, itself after a blank.
    fn with_sign(&self, first: usize) -> usize {
        let tokens = self.tokens;
        let sign = first > 0
            && tokens.touches(first)
            && tokens.is_symbol(first - 1, "-−")
            && !tokens.touches(first - 1);
        if sign { first - 1 } else { first }
    }

    /// ",-" and ".–" after a round amount.
    fn skip_dash(&self, at: usize) -> usize {
        let tokens = self.tokens;
        let dash = |i: usize| tokens.touches(i) && tokens.is_symbol(i, "-–—");
        if tokens.touches(at) && tokens.is_symbol(at, ".,") && dash(at + 1) {
            at + 2 + usize::from(dash(at + 2))
        } else {
            at
        }
    }

    fn before(&self, number: usize, free: usize) -> Option<Marked> {
        let tokens = self.tokens;
        let gap = tokens.get(number)?.gap;
        let mut at = number.checked_sub(1)?;
        // "€-5": the sign inside.
        if at < free || gap > Gap::Space {
            return None;
        }
        if tokens.is_symbol(at, ".") && tokens.touches(at) && at > free {
            // "Fr. 20": the dot belongs to the abbreviation.
            if !matches!(tokens.word(at - 1), "fr" | "sfr" | "kr" | "rs" | "eur") {
                return None;
            }
            at -= 1;
        }
        let token = tokens.get(at)?;
        let marked = |code, sure, edge| Marked {
            code,
            sure,
            edge,
            power: 0,
        };
        if token.text == "$" {
            let country = (at > free && tokens.touches(at)).then(|| tokens.word(at - 1));
            let (code, sure, edge) = match country.and_then(dollar_prefix) {
                Some(code) => (code, 0.97, at - 1),
                None => (self.dollar(), 0.92, at),
            };
            return Some(marked(code, sure, edge));
        }
        if let Some(code) = symbol(token.text) {
            // "T€ 250"
            let thousands = at > free && tokens.touches(at) && tokens.word(at - 1) == "t";
            return Some(Marked {
                power: if thousands { 3 } else { 0 },
                ..marked(code, 0.97, at - usize::from(thousands))
            });
        }
        if tokens.touches(number) && at > free && tokens.touches(at) {
            return None;
        }
        self.word_mark(at, false).map(|(code, sure, power)| Marked {
            code,
            sure,
            edge: at,
            power,
        })
    }

    fn after(&self, at: usize, before: Option<Marked>) -> Option<Marked> {
        let tokens = self.tokens;
        let token = tokens.get(at)?;
        if token.gap > Gap::Space {
            return None;
        }
        // In "$500 USD" the code belongs to the amount before it, in "EUR 5 USD 6" to the one after it.
        let next_is_number = tokens.digits(at + 1).is_some()
            && tokens.get(at + 1).is_some_and(|t| t.gap <= Gap::Space);
        if before.is_some() && next_is_number {
            return None;
        }
        let marked = |code, sure, edge, power| Marked {
            code,
            sure,
            edge,
            power,
        };
        if token.text == "$" {
            return (!next_is_number).then(|| marked(self.dollar(), 0.88, at + 1, 0));
        }
        if let Some(code) = symbol(token.text) {
            let sure = if tokens.touches(at + 1) && next_is_number {
                0.6
            } else {
                0.97
            };
            return Some(marked(code, sure, at + 1, 0));
        }
        if tokens.word(at) == "t" && tokens.touches(at + 1) && tokens.is_symbol(at + 1, "€") {
            return Some(marked("EUR", 0.95, at + 2, 3));
        }
        let name_of_two = match (tokens.word(at), tokens.word(at + 1)) {
            ("us" | "american", "dollar" | "dollars") => Some("USD"),
            ("canadian", "dollar" | "dollars") => Some("CAD"),
            ("australian", "dollar" | "dollars") => Some("AUD"),
            ("swiss", "franc" | "francs") | ("schweizer", "franken") | ("francs", "suisses") => {
                Some("CHF")
            }
            ("pounds", "sterling") | ("british", "pounds") => Some("GBP"),
            ("swedish", "kronor" | "crowns") => Some("SEK"),
            ("norwegian", "kroner" | "crowns") => Some("NOK"),
            ("danish", "kroner" | "crowns") => Some("DKK"),
            _ => None,
        };
        if let Some(code) = name_of_two {
            return Some(marked(code, 0.97, at + 2, 0));
        }
        let (code, sure, power) = self.word_mark(at, true)?;
        let dot = code != "EUR"
            && tokens.word(at) == "kr"
            && tokens.touches(at + 1)
            && tokens.is_symbol(at + 1, ".");
        Some(marked(code, sure, at + 1 + usize::from(dot), power))
    }

    /// A code or name of a currency.
    fn word_mark(&self, at: usize, after: bool) -> Option<(&'static str, f64, u32)> {
        let text = self.tokens.get(at)?.text;
        let lower = self.tokens.word(at);
        if let Some(code) = code_of(text, lower) {
            return Some((code, 0.97, 0));
        }
        let thousands = match lower {
            "teur" => Some("EUR"),
            "tchf" => Some("CHF"),
            "tusd" | "kusd" => Some("USD"),
            "keur" => Some("EUR"),
            _ => None,
        };
        if let Some(code) = thousands {
            return Some((code, 0.95, 3));
        }
        if lower == "kr" {
            let (code, sure) = self.crown();
            return Some((code, sure, 0));
        }
        let either = match lower {
            "euro" => Some(("EUR", 0.96)),
            "fr" | "sfr" => Some(("CHF", 0.85)),
            "rs" => Some(("INR", 0.85)),
            "zł" | "zl" => Some(("PLN", 0.95)),
            "kč" => Some(("CZK", 0.95)),
            _ => None,
        };
        let (code, sure) = either.or_else(|| if after { self.name_after(lower) } else { None })?;
        Some((code, sure, 0))
    }

    fn name_after(&self, lower: &str) -> Option<(&'static str, f64)> {
        Some(match lower {
            "euros" => ("EUR", 0.96),
            "dollar" | "dollars" | "dólares" | "bucks" => (self.dollar(), 0.9),
            "pounds" | "pound" | "pfund" | "quid" | "libras" => ("GBP", 0.7),
            "franken" => ("CHF", 0.95),
            "franc" | "francs" => ("CHF", 0.8),
            "kronor" => ("SEK", 0.95),
            "kroner" => match self.country.as_str() {
                "DK" => ("DKK", 0.95),
                "NO" => ("NOK", 0.95),
                _ => ("NOK", 0.6),
            },
            "yen" => ("JPY", 0.95),
            "yuan" | "renminbi" => ("CNY", 0.95),
            "rupees" | "rupee" => ("INR", 0.85),
            "zloty" | "złoty" | "złotych" => ("PLN", 0.95),
            "forint" => ("HUF", 0.95),
            "ft" if self.country == "HU" => ("HUF", 0.9),
            _ => return None,
        })
    }

    fn dollar(&self) -> &'static str {
        match self.country.as_str() {
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

    fn crown(&self) -> (&'static str, f64) {
        match self.country.as_str() {
            "SE" => ("SEK", 0.95),
            "NO" => ("NOK", 0.95),
            "DK" => ("DKK", 0.95),
            "IS" => ("ISK", 0.95),
            _ => ("SEK", 0.55),
        }
    }
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

fn is_dollar_detail(before: Marked, after: Marked) -> bool {
    before.code.ends_with('D')
        && matches!(
            after.code,
            "USD" | "CAD" | "AUD" | "NZD" | "SGD" | "HKD" | "TWD" | "MXN"
        )
}

fn dollar_prefix(word: &str) -> Option<&'static str> {
    Some(match word {
        "us" => "USD",
        "c" | "ca" => "CAD",
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

fn symbol(text: &str) -> Option<&'static str> {
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
        _ => return None,
    })
}
