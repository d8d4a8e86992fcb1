//! Dates in text, absolute and relative.

use jiff::civil::Date;

use super::date_words::{Meaning, meaning};
use super::lex::{Gap, Kind, Tokens};
use super::{Context, Found, Span};

/// Which of day and month comes first where only numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    DayFirst,
    MonthFirst,
    Unknown,
}

/// Every date in a text.
///
/// Numeric forms follow the habit of `context.country` where they can be read two ways; without a country the day is
/// taken first, with a low confidence. A date without a year is the one nearest to `context.today`. Weekdays and
/// relative words count from `context.today` ("next Friday" is the Friday of next week, "last Friday" the latest one
/// gone by, a bare "Friday" the one to come); they are not found when `today` is no valid date.
pub fn dates(text: &str, context: &Context) -> Vec<Found<Date>> {
    let tokens = Tokens::new(text);
    let (year, month, day) = context.today;
    let country = context.country_code();
    let reader = Reader {
        order: order_of(&country),
        french: matches!(country.as_str(), "FR" | "BE" | "LU" | "CA" | "MA"),
        today: Date::new(year, month, day).ok(),
        tokens: &tokens,
    };
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.list.len() {
        let Some(hit) = reader.explicit(at).or_else(|| reader.spoken(at)) else {
            at += 1;
            continue;
        };
        out.push(Found {
            value: hit.date,
            span: Span {
                start: tokens.list[at].start,
                end: tokens.list[hit.next - 1].end,
            },
            confidence: hit.sure,
        });
        at = hit.next;
    }
    out
}

fn order_of(country: &str) -> Order {
    match country {
        "" => Order::Unknown,
        "US" | "PH" => Order::MonthFirst,
        _ => Order::DayFirst,
    }
}

/// A date, the token after it, and how sure its reading is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) date: Date,
    pub(super) next: usize,
    pub(super) sure: f64,
}

pub(super) struct Reader<'a, 't> {
    pub(super) tokens: &'a Tokens<'t>,
    pub(super) today: Option<Date>,
    order: Order,
    pub(super) french: bool,
}

impl Reader<'_, '_> {
    /// A date with its day and month written out or in numbers.
    pub(super) fn explicit(&self, at: usize) -> Option<Hit> {
        self.numeric(at)
            .or_else(|| self.day_month(at))
            .or_else(|| self.month_day(at))
    }

    pub(super) fn near(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.gap < Gap::Paragraph)
    }

    /// A number of at most this many digits.
    pub(super) fn number(&self, at: usize, most_digits: usize) -> Option<i32> {
        let digits = self.tokens.digits(at)?;
        (digits.len() <= most_digits)
            .then(|| digits.parse().ok())
            .flatten()
    }

    /// Not glued to something before it.
    fn stands_free(&self, at: usize) -> bool {
        let tokens = self.tokens;
        !tokens.touches(at)
            || !(tokens.get(at - 1).is_some_and(|t| t.kind != Kind::Symbol)
                || tokens.is_symbol(at - 1, ".-/_@#$€£+="))
    }

    // ---- numbers only

    fn numeric(&self, at: usize) -> Option<Hit> {
        let tokens = self.tokens;
        let first = tokens.digits(at)?;
        let mark = tokens.get(at + 1)?;
        if first.len() > 4
            || !mark.is_symbol("./-")
            || !tokens.touches(at + 1)
            || !self.stands_free(at)
        {
            return None;
        }
        let dotted = mark.text == ".";
        let follows = |i: usize| {
            tokens.touches(i) || dotted && tokens.get(i).is_some_and(|t| t.gap == Gap::Space)
        };
        let second = tokens
            .digits(at + 2)
            .filter(|d| d.len() <= 2 && follows(at + 2))?;
        let same_mark =
            tokens.touches(at + 3) && tokens.get(at + 3).is_some_and(|t| t.text == mark.text);
        let third = tokens
            .digits(at + 4)
            .filter(|_| same_mark && follows(at + 4));
        let number = |digits: &str| digits.parse::<i32>().ok();
        let (a, b) = (number(first)?, number(second)?);
        let Some(third) = third.filter(|_| self.ends_free(at + 5)) else {
            let dotted = dotted && same_mark && !tokens.touches(at + 4) && self.ends_free(at + 4);
            let slashed = mark.text == "/" && self.ends_free(at + 3) && self.is_announced(at);
            return match (first.len() <= 2, dotted, slashed) {
                (true, true, _) => self.without_year(b, a, at + 4, 0.8),
                (true, _, true) => self.slashed_without_year((a, b), at + 3),
                _ => None,
            };
        };
        let c = number(third)?;
        if first.len() == 4 && third.len() <= 2 {
            return hit((a, b, c), at + 5, 0.98);
        }
        if first.len() > 2 {
            return None;
        }
        let (year, sure) = match third.len() {
            4 => (c, 1.0),
            2 => (if c < 70 { 2000 + c } else { 1900 + c }, 0.88),
            _ => return None,
        };
        if dotted {
            return hit((year, b, a), at + 5, 0.97 * sure);
        }
        self.by_habit((a, b), year, at + 5, sure)
    }

    /// "3/4/2026": the country decides; a number above 12 decides against it.
    fn by_habit(&self, numbers: (i32, i32), year: i32, next: usize, sure: f64) -> Option<Hit> {
        let (a, b) = numbers;
        let day_first = hit((year, b, a), next, sure);
        let month_first = hit((year, a, b), next, sure);
        let (found, prior) = match (self.order, day_first, month_first) {
            (_, Some(only), None) | (_, None, Some(only)) => (only, 0.93),
            (Order::MonthFirst, _, month_first) => (month_first?, 0.93),
            (Order::DayFirst, day_first, _) => (day_first?, 0.93),
            (Order::Unknown, day_first, _) => (day_first?, if a == b { 0.93 } else { 0.55 }),
        };
        Some(Hit {
            sure: prior * sure,
            ..found
        })
    }

    /// A word before it that a date follows: "by 3/4" rather than "3/4 of them".
    fn is_announced(&self, at: usize) -> bool {
        let word = self.tokens.word_before(at);
        matches!(
            word,
            "on" | "by"
                | "until"
                | "till"
                | "before"
                | "due"
                | "am"
                | "bis"
                | "vom"
                | "ab"
                | "le"
                | "du"
                | "el"
        )
    }

    fn slashed_without_year(&self, numbers: (i32, i32), next: usize) -> Option<Hit> {
        let (a, b) = numbers;
        let month_first = self.order == Order::MonthFirst && a <= 12 || b > 12;
        let (month, day) = if month_first { (a, b) } else { (b, a) };
        let sure = if self.order == Order::Unknown && a <= 12 && b <= 12 {
            0.45
        } else {
            0.7
        };
        self.without_year(month, day, next, sure)
    }

    /// Nothing glued to the end that would make it a longer number; the "T" of a time may follow.
    fn ends_free(&self, at: usize) -> bool {
        let tokens = self.tokens;
        if !tokens.touches(at) {
            return true;
        }
        match tokens.get(at).map(|t| t.kind) {
            Some(Kind::Word) => tokens.word(at) == "t",
            Some(Kind::Digits) => false,
            _ => {
                !(tokens.is_symbol(at, ".-/")
                    && tokens.touches(at + 1)
                    && tokens.digits(at + 1).is_some())
            }
        }
    }

    // ---- month names

    /// "12 March 2026", "12. März", "1er mars", "12 de marzo de 2026", "12-Mar-2026".
    fn day_month(&self, at: usize) -> Option<Hit> {
        let day = self.number(at, 2)?;
        if !self.stands_free(at) {
            return None;
        }
        let mut next = self.after_ordinal(at + 1);
        let hyphen = self.tokens.touches(next) && self.tokens.is_symbol(next, "-/");
        next += usize::from(hyphen);
        if matches!(self.tokens.word(next), "of" | "de" | "d") {
            next += 1;
            next += usize::from(self.tokens.is_symbol(next, "'’"));
        }
        let Some(Meaning::Month(month)) = meaning(self.tokens.word(next)) else {
            return None;
        };
        if !self.near(next) {
            return None;
        }
        self.with_year(month, day, next + 1)
    }

    /// "March 12, 2026", "Mar 12th".
    fn month_day(&self, at: usize) -> Option<Hit> {
        let word = self.tokens.word(at);
        let Some(Meaning::Month(month)) = meaning(word) else {
            return None;
        };
        // "may" and "march" are also verbs; a month is written with a capital.
        if matches!(word, "may" | "march" | "mar") && !self.tokens.get(at)?.text.starts_with('M') {
            return None;
        }
        let mut next = at + 1;
        // "Mar. 12", "Mar-12", "Mar/12"
        next += usize::from(self.tokens.is_symbol(next, ".-/") && self.tokens.touches(next));
        next += usize::from(self.tokens.word(next) == "the");
        let day = self.number(next, 2)?;
        let decimal = self.tokens.is_symbol(next + 1, ".:")
            && self.tokens.touches(next + 1)
            && self.tokens.touches(next + 2);
        if !self.near(next) || decimal {
            return None;
        }
        self.with_year(month, day, self.after_ordinal(next + 1))
    }

    pub(super) fn after_ordinal(&self, at: usize) -> usize {
        let touching = self.tokens.touches(at);
        let word = matches!(self.tokens.word(at), "st" | "nd" | "rd" | "th" | "er" | "e");
        usize::from(touching && (word || self.tokens.is_symbol(at, ".º°ª"))) + at
    }

    /// The year after day and month, if there is one.
    fn with_year(&self, month: i8, day: i32, at: usize) -> Option<Hit> {
        let mut next = at;
        if self.tokens.is_symbol(next, ".,-/") && self.tokens.touches(next) {
            next += 1;
        }
        if self.tokens.is_symbol(next, ",") {
            next += 1;
        }
        if matches!(self.tokens.word(next), "of" | "de" | "del") {
            next += 1;
        }
        let year = self
            .number(next, 4)
            .filter(|y| (1800..2300).contains(y) && self.near(next));
        match year {
            Some(year) => hit((year, i32::from(month), day), next + 1, 0.97),
            None => {
                let dot = self.tokens.touches(at)
                    && self.tokens.is_symbol(at, ".")
                    && self.tokens.word(at - 1).len() <= 4;
                let next = if dot && self.tokens.word(at - 1) != "may" {
                    at + 1
                } else {
                    at
                };
                // A full stop after the month ends the sentence rather than the date.
                let next = if self.tokens.get(next).is_none_or(|t| t.gap >= Gap::Line) {
                    at
                } else {
                    next
                };
                self.without_year(i32::from(month), day, next, 0.85)
            }
        }
    }

    /// The date with this month and day that is nearest to today.
    pub(super) fn without_year(&self, month: i32, day: i32, next: usize, sure: f64) -> Option<Hit> {
        let today = self.today?;
        let year = i32::from(today.year());
        let distance = |hit: &Hit| days_between(today, hit.date).abs();
        [year - 1, year, year + 1]
            .into_iter()
            .filter_map(|y| hit((y, month, day), next, sure))
            .min_by_key(distance)
    }
}

pub(super) fn hit(date: (i32, i32, i32), next: usize, sure: f64) -> Option<Hit> {
    let (year, month, day) = date;
    let date = Date::new(
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    )
    .ok()?;
    (1800..2300)
        .contains(&year)
        .then_some(Hit { date, next, sure })
}

fn days_between(from: Date, to: Date) -> i32 {
    from.duration_until(to).as_hours() as i32 / 24
}
