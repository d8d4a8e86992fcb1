//! Amounts of money in text.

use rust_decimal::Decimal;

use super::currency::{dollar, dollar_prefix, named, named_after, named_by_two, symbol};
use super::date_words::number_word;
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
    power: i32,
}

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
        let first = self.number(at)?;
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
                if before.power == after.power
                    && (before.code == after.code || is_dollar_detail(before, after)) =>
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
        let mut found = self.found(first, mark, power, (start, end))?;
        let end = self.add_cents(&mut found, end);
        Some((vec![found], end))
    }

    /// "3 dollars and 50 cents" is one amount. Gives the token after it.
    fn add_cents(&self, found: &mut Found<Money>, end: usize) -> usize {
        let tokens = self.tokens;
        let number_at = end + usize::from(matches!(tokens.word(end), "and" | "und" | "et"));
        let cents = self
            .number(number_at)
            .filter(|n| n.value < Decimal::ONE_HUNDRED);
        let Some((number, word)) = cents.map(|n| (n, tokens.word(n.next))) else {
            return end;
        };
        let near = [number_at, number.next]
            .iter()
            .all(|i| tokens.get(*i).is_some_and(|t| t.gap <= Gap::Space));
        if !near || !found.value.amount.is_integer() || !is_cents(word) {
            return end;
        }
        found.value.amount += number.value / Decimal::ONE_HUNDRED;
        found.span.end = tokens.list[number.next].end;
        number.next + 1
    }

    /// A number in digits, or a word such as "five" before a factor or a currency.
    fn number(&self, at: usize) -> Option<Number> {
        if self.begins_number(at) {
            return read_number(self.tokens, at, self.mark);
        }
        let word = self.tokens.word(at);
        // "forty-five" is neither five nor forty.
        let compound = self.tokens.touches(at) || self.tokens.touches(at + 1);
        let value = number_word(word).filter(|n| !compound && (*n > 1 || word == "one"))?;
        Some(Number {
            value: Decimal::from(value),
            next: at + 1,
            reading: Reading::Clear,
        })
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
        let second = self.number(second_at)?;
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
        let amount = scaled(number.value, power as i32 + mark.power)?;
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
            let letters = at > free && token.gap <= Gap::Space;
            let prefix = letters.then(|| dollar_prefix(tokens.word(at - 1), tokens.touches(at)));
            return Some(match prefix.flatten() {
                Some(code) => marked(code, 0.97, at - 1),
                None => marked(dollar(&self.country), 0.92, at),
            });
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
        let (code, sure, power) = named(token.text, tokens.word(at), &self.country)?;
        Some(Marked {
            power,
            ..marked(code, sure, at)
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
            // "10 $ 30 $": after the number, as after the next one.
            let again = tokens.is_symbol(at + 2, "$") || is_cents(tokens.word(at + 2));
            return (!next_is_number || again)
                .then(|| marked(dollar(&self.country), 0.88, at + 1, 0));
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
        if let Some(code) = named_by_two(tokens.word(at), tokens.word(at + 1)) {
            return Some(marked(code, 0.97, at + 2, 0));
        }
        let lower = tokens.word(at);
        let (code, sure, power) = named(token.text, lower, &self.country)
            .or_else(|| named_after(lower, &self.country))?;
        let dot = lower == "kr" && tokens.touches(at + 1) && tokens.is_symbol(at + 1, ".");
        Some(marked(code, sure, at + 1 + usize::from(dot), power))
    }
}

fn is_cents(word: &str) -> bool {
    matches!(word, "cent" | "cents" | "pence" | "rappen")
}

fn is_dollar_detail(before: Marked, after: Marked) -> bool {
    before.code.ends_with('D')
        && matches!(
            after.code,
            "USD" | "CAD" | "AUD" | "NZD" | "SGD" | "HKD" | "TWD" | "MXN"
        )
}
