//! Dates in text, absolute and relative.

use jiff::civil::Date;
use jiff::{Span as Time, ToSpan};

use super::date_words::{Meaning, Unit, meaning, number_word, unit};
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
struct Hit {
    date: Date,
    next: usize,
    sure: f64,
}

struct Reader<'a, 't> {
    tokens: &'a Tokens<'t>,
    today: Option<Date>,
    order: Order,
    french: bool,
}

impl Reader<'_, '_> {
    /// A date with its day and month written out or in numbers.
    fn explicit(&self, at: usize) -> Option<Hit> {
        self.numeric(at)
            .or_else(|| self.day_month(at))
            .or_else(|| self.month_day(at))
    }

    /// A date said in words that count from today.
    fn spoken(&self, at: usize) -> Option<Hit> {
        self.weekday(at)
            .or_else(|| self.shift(at))
            .or_else(|| self.offset(at))
            .or_else(|| self.month_end(at))
    }

    fn near(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|t| t.gap < Gap::Paragraph)
    }

    /// A number of at most this many digits.
    fn number(&self, at: usize, most_digits: usize) -> Option<i32> {
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
            let yearless = dotted && same_mark && first.len() <= 2 && !tokens.touches(at + 4);
            return (yearless && self.ends_free(at + 4))
                .then(|| self.without_year(b, a, at + 4, 0.8))
                .flatten();
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
        next += usize::from(self.tokens.is_symbol(next, ".") && self.tokens.touches(next));
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

    fn after_ordinal(&self, at: usize) -> usize {
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
    fn without_year(&self, month: i32, day: i32, next: usize, sure: f64) -> Option<Hit> {
        let today = self.today?;
        let year = i32::from(today.year());
        let distance = |hit: &Hit| days_between(today, hit.date).abs();
        [year - 1, year, year + 1]
            .into_iter()
            .filter_map(|y| hit((y, month, day), next, sure))
            .min_by_key(distance)
    }

    // ---- weekdays and relative words

    fn weekday(&self, at: usize) -> Option<Hit> {
        let today = self.today;
        match meaning(self.tokens.word(at))? {
            Meaning::Weekday(day) => self
                .date_after_weekday(at + 1)
                .or_else(|| self.weekday_then_which(day, at + 1, today?))
                .or_else(|| {
                    upcoming(today?, day).map(|date| Hit {
                        date,
                        next: at + 1,
                        sure: 0.7,
                    })
                }),
            Meaning::ShortWeekday(_) => {
                let dot = self.tokens.touches(at + 1) && self.tokens.is_symbol(at + 1, ".");
                self.date_after_weekday(at + 1 + usize::from(dot))
            }
            Meaning::Which(which) => {
                let Some(Meaning::Weekday(day)) = meaning(self.tokens.word(at + 1)) else {
                    return None;
                };
                let near = self.near(at + 1);
                let date = near.then(|| of_week(today?, day, which)).flatten()?;
                Some(Hit {
                    date,
                    next: at + 2,
                    sure: 0.85,
                })
            }
            _ => None,
        }
    }

    /// "Monday, 12 March": the date decides, the weekday only belongs to it.
    fn date_after_weekday(&self, at: usize) -> Option<Hit> {
        let mut next = at + usize::from(self.tokens.is_symbol(at, ","));
        if matches!(
            self.tokens.word(next),
            "the" | "den" | "dem" | "der" | "le" | "el"
        ) {
            next += 1;
        }
        self.near(next).then(|| self.explicit(next)).flatten()
    }

    /// "lundi prochain", "lunes que viene", "Montag nächster Woche", "Monday next week".
    fn weekday_then_which(&self, day: i8, at: usize, today: Date) -> Option<Hit> {
        let (which, next) = match (self.tokens.word(at), self.tokens.word(at + 1)) {
            ("prochain", _) | ("próximo", _) => (1, at + 1),
            ("dernier", _) | ("pasado", _) => (-1, at + 1),
            ("que", "viene") => (1, at + 2),
            ("next", "week") | ("nächster", "woche") | ("kommender", "woche") => (1, at + 2),
            ("this", "week") | ("dieser", "woche") => (0, at + 2),
            _ => return None,
        };
        // In the Romance languages "next Monday" is the first one to come.
        let romance = next == at + 1 || self.tokens.word(at) == "que";
        let date = match which {
            1 if romance => upcoming(today, day)?,
            which => of_week(today, day, which)?,
        };
        self.near(at).then_some(Hit {
            date,
            next,
            sure: 0.85,
        })
    }

    /// "tomorrow", "übermorgen", "après-demain", "the day after tomorrow".
    fn shift(&self, at: usize) -> Option<Hit> {
        let today = self.today?;
        let word = |i: usize| self.tokens.word(at + i);
        let hit = |days: i32, length: usize, sure: f64| {
            let date = shifted(today, days, Unit::Day)?;
            Some(Hit {
                date,
                next: at + length,
                sure,
            })
        };
        match (word(0), word(1), word(2)) {
            ("day", "after", "tomorrow") => return hit(2, 3, 0.93),
            ("day", "before", "yesterday") => return hit(-2, 3, 0.93),
            ("pasado", "mañana", _) => return hit(2, 2, 0.9),
            ("après", _, "demain") if self.tokens.is_symbol(at + 1, "-") => {
                return hit(2, 3, 0.93);
            }
            ("avant", _, "hier") if self.tokens.is_symbol(at + 1, "-") => return hit(-2, 3, 0.93),
            ("aujourd", _, "hui") if self.tokens.is_symbol(at + 1, "'’") => {
                return hit(0, 3, 0.93);
            }
            // In German "hier" means "here".
            ("hier", _, _) if self.french => return hit(-1, 1, 0.8),
            _ => {}
        }
        let Some(Meaning::Shift(days)) = meaning(word(0)) else {
            return None;
        };
        let before = self.tokens.word_before(at);
        let time_of_day = match word(0) {
            "morgen" => matches!(
                before,
                "guten" | "am" | "jeden" | "diesen" | "der" | "den" | "goede"
            ),
            "mañana" => matches!(before, "la" | "esta" | "cada"),
            _ => false,
        };
        if time_of_day {
            None
        } else {
            hit(days, 1, 0.92)
        }
    }

    /// "in 3 days", "vor zwei Wochen", "il y a 3 jours", "2 weeks ago".
    fn offset(&self, at: usize) -> Option<Hit> {
        let today = self.today?;
        let word = |i: usize| self.tokens.word(at + i);
        let (sign, lead) = match (word(0), word(1), word(2)) {
            ("il", "y", "a") => (-1, 3),
            ("dentro", "de", _) => (1, 2),
            ("in" | "dans" | "en", _, _) => (1, 1),
            ("vor" | "hace", _, _) => (-1, 1),
            _ => (0, 0),
        };
        let count_at = at + lead;
        let count = self
            .number(count_at, 3)
            .or_else(|| number_word(self.tokens.word(count_at)))?;
        let unit = unit(self.tokens.word(count_at + 1))?;
        if !self.near(count_at + 1) || lead > 0 && !self.near(count_at) {
            return None;
        }
        let mut next = count_at + 2;
        let sign = match (sign, self.tokens.word(next), self.tokens.word(next + 1)) {
            (0, "ago", _) => {
                next += 1;
                -1
            }
            (0, "from", "now" | "today") => {
                next += 2;
                1
            }
            (0, _, _) => return None,
            (sign, _, _) => sign,
        };
        let date = shifted(today, sign * count, unit)?;
        let sure = if matches!(unit, Unit::Day | Unit::Week) {
            0.88
        } else {
            0.78
        };
        Some(Hit { date, next, sure })
    }

    /// "end of the month", "Ende des Monats", "fin de mes", "year end".
    fn month_end(&self, at: usize) -> Option<Hit> {
        let word = |i: usize| self.tokens.word(at + i);
        let (unit_at, next) = match (word(0), word(1), word(2), word(3)) {
            ("end", "of", "the" | "this", _) => (at + 3, at + 4),
            ("end", "of", _, _) => (at + 2, at + 3),
            ("ende", "des" | "dieses", _, _) => (at + 2, at + 3),
            ("fin", "de" | "du", _, _) => (at + 2, at + 3),
            ("monatsende" | "jahresende", _, _, _) => (at, at + 1),
            _ => return None,
        };
        let today = self.today?;
        let year_end = || Date::new(today.year(), 12, 31).ok();
        let date = match self.tokens.word(unit_at) {
            "month" | "monats" | "mois" | "mes" | "monatsende" => today.last_of_month(),
            "year" | "jahres" | "année" | "año" | "jahresende" => year_end()?,
            _ => return None,
        };
        Some(Hit {
            date,
            next,
            sure: 0.75,
        })
    }
}

fn hit(date: (i32, i32, i32), next: usize, sure: f64) -> Option<Hit> {
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

fn shifted(today: Date, count: i32, unit: Unit) -> Option<Date> {
    let span: Time = match unit {
        Unit::Day => count.days(),
        Unit::Week => count.weeks(),
        Unit::Month => count.months(),
        Unit::Year => count.years(),
    };
    today.checked_add(span).ok()
}

/// The first day with this weekday (0 is Monday) after today.
fn upcoming(today: Date, day: i8) -> Option<Date> {
    let ahead = (day - today.weekday().to_monday_zero_offset() + 6).rem_euclid(7) + 1;
    shifted(today, i32::from(ahead), Unit::Day)
}

/// The weekday of this week (0) or the next (1), or the latest one gone by (-1).
fn of_week(today: Date, day: i8, which: i8) -> Option<Date> {
    let now = today.weekday().to_monday_zero_offset();
    let days = match which {
        -1 => -i32::from((now - day + 6).rem_euclid(7) + 1),
        which => i32::from(day - now) + 7 * i32::from(which),
    };
    shifted(today, days, Unit::Day)
}
