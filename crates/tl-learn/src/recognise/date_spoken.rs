//! Dates said in words that count from today: weekdays, "tomorrow", "in 3 days", "end of the month".

use jiff::civil::Date;
use jiff::{Span as Time, ToSpan};

use super::date::{Hit, Reader, hit};
use super::date_words::{Meaning, Unit, meaning, number_word, ordinal_word, unit};

impl Reader<'_, '_> {
    /// A date said in words that count from today.
    pub(super) fn spoken(&self, at: usize) -> Option<Hit> {
        self.weekday(at)
            .or_else(|| self.weekday_of_week(at))
            .or_else(|| self.nth_weekday(at))
            .or_else(|| self.day_of_month(at))
            .or_else(|| self.shift(at))
            .or_else(|| self.offset(at))
            .or_else(|| self.month_end(at))
    }

    fn weekday(&self, at: usize) -> Option<Hit> {
        let today = self.today;
        match meaning(self.tokens.word(at))? {
            Meaning::Weekday(day) => self
                .date_after_weekday(at + 1)
                .or_else(|| self.weekday_and_day(day, at + 1, today?))
                .or_else(|| self.weekday_then_which(day, at + 1, today?))
                .or_else(|| {
                    // "the second Monday" without a month is not the coming one.
                    if ordinal_word(self.tokens.word_before(at)).is_some() {
                        return None;
                    }
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

    /// "Friday the 22nd": the nearest month in which that day is such a weekday.
    fn weekday_and_day(&self, weekday: i8, at: usize, today: Date) -> Option<Hit> {
        let number_at = at + usize::from(self.tokens.word(at) == "the");
        let day = self.number(number_at, 2).filter(|_| self.near(number_at))?;
        let next = self.after_ordinal(number_at + 1);
        if number_at == at || next == number_at + 1 {
            return None;
        }
        let months = (-6..=6).filter_map(|ahead| in_month(today, ahead, day));
        months
            .filter(|date| date.weekday().to_monday_zero_offset() == weekday)
            .min_by_key(|date| (*date - today).get_days().abs())
            .map(|date| Hit {
                date,
                next,
                sure: 0.85,
            })
    }

    /// "next week Sunday", "next week on Friday".
    fn weekday_of_week(&self, at: usize) -> Option<Hit> {
        let which = match (self.tokens.word(at), self.tokens.word(at + 1)) {
            ("next", "week") | ("nächste", "woche") => 1,
            ("this", "week") | ("diese", "woche") => 0,
            _ => return None,
        };
        let day_at = at + 2 + usize::from(matches!(self.tokens.word(at + 2), "on" | "am"));
        let Some(Meaning::Weekday(day)) = meaning(self.tokens.word(day_at)) else {
            return None;
        };
        let date = of_week(self.today?, day, which).filter(|_| self.near(day_at))?;
        Some(Hit {
            date,
            next: day_at + 1,
            sure: 0.85,
        })
    }

    /// "the second Monday of next month", "first Friday in July".
    fn nth_weekday(&self, at: usize) -> Option<Hit> {
        let nth = ordinal_word(self.tokens.word(at))?;
        let Some(Meaning::Weekday(day)) = meaning(self.tokens.word(at + 1)) else {
            return None;
        };
        if !self.near(at + 1) || !matches!(self.tokens.word(at + 2), "of" | "in") {
            return None;
        }
        let today = self.today?;
        let (first, next) = self.month_at(at + 3).or_else(|| {
            let Some(Meaning::Month(month)) = meaning(self.tokens.word(at + 3)) else {
                return None;
            };
            let year = self.number(at + 4, 4).filter(|y| *y > 1800);
            let this_year = i32::from(today.year());
            let passed = month < today.month();
            let date = hit(
                (
                    year.unwrap_or(this_year + i32::from(passed)),
                    i32::from(month),
                    1,
                ),
                0,
                1.0,
            )?
            .date;
            Some((date, at + 4 + usize::from(year.is_some())))
        })?;
        let ahead = (day - first.weekday().to_monday_zero_offset()).rem_euclid(7) + 7 * (nth - 1);
        let date =
            shifted(first, i32::from(ahead), Unit::Day).filter(|d| d.month() == first.month())?;
        Some(Hit {
            date,
            next,
            sure: 0.85,
        })
    }

    /// "the 20th of next month".
    fn day_of_month(&self, at: usize) -> Option<Hit> {
        let day = self.number(at, 2)?;
        let of = self.after_ordinal(at + 1);
        if of == at + 1 || !matches!(self.tokens.word(of), "of") {
            return None;
        }
        let (first, next) = self.month_at(of + 1)?;
        let date = in_month(first, 0, day)?;
        Some(Hit {
            date,
            next,
            sure: 0.88,
        })
    }

    /// The first day of "next month", "this month" or "the last month", and the token after it.
    fn month_at(&self, at: usize) -> Option<(Date, usize)> {
        let at = at + usize::from(self.tokens.word(at) == "the");
        let ahead = match (self.tokens.word(at), self.tokens.word(at + 1)) {
            ("next", "month") => 1,
            ("this", "month") => 0,
            ("last" | "previous", "month") => -1,
            _ => return None,
        };
        Some((in_month(self.today?, ahead, 1)?, at + 2))
    }

    /// "lundi prochain", "lunes que viene", "Montag nächster Woche", "Monday next week".
    fn weekday_then_which(&self, day: i8, at: usize, today: Date) -> Option<Hit> {
        let (which, next) = match (self.tokens.word(at), self.tokens.word(at + 1)) {
            ("prochain", _) | ("próximo", _) => (1, at + 1),
            ("dernier", _) | ("pasado", _) => (-1, at + 1),
            ("que", "viene") => (1, at + 2),
            ("next", "week") | ("nächster", "woche") | ("kommender", "woche") => (1, at + 2),
            ("this", "week") | ("dieser", "woche") => (0, at + 2),
            ("of", "next") if self.tokens.word(at + 2) == "week" => (1, at + 3),
            ("of", "this") if self.tokens.word(at + 2) == "week" => (0, at + 3),
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

    /// "in 3 days", "vor zwei Wochen", "il y a 3 jours", "2 weeks ago", "1 month and 3 days ago".
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
        let (spans, mut next) = self.time_spans(at + lead)?;
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
        let mut date = today;
        for (count, unit) in &spans {
            date = shifted(date, sign * count, *unit)?;
        }
        let exact = spans
            .iter()
            .all(|(_, unit)| matches!(unit, Unit::Day | Unit::Week));
        let sure = if exact { 0.88 } else { 0.78 };
        Some(Hit { date, next, sure })
    }

    /// Up to three counts with their units ("2 years, 1 month and 3 days"), and the token after them.
    fn time_spans(&self, at: usize) -> Option<(Vec<(i32, Unit)>, usize)> {
        let mut spans = Vec::new();
        let mut next = at;
        while spans.len() < 3 {
            let joined = !spans.is_empty()
                && (self.tokens.is_symbol(next, ",")
                    || matches!(self.tokens.word(next), "and" | "und" | "et" | "y"));
            let count_at = next + usize::from(joined);
            let count = self
                .number(count_at, 3)
                .or_else(|| number_word(self.tokens.word(count_at)));
            let unit = unit(self.tokens.word(count_at + 1));
            let (Some(count), Some(unit)) = (count, unit) else {
                break;
            };
            if !self.near(count_at + 1) || count_at > at && !self.near(count_at) {
                break;
            }
            spans.push((count, unit));
            next = count_at + 2;
        }
        (!spans.is_empty()).then_some((spans, next))
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

/// A day of the month that lies so many months ahead of a date.
fn in_month(from: Date, ahead: i32, day: i32) -> Option<Date> {
    let month = shifted(from.first_of_month(), ahead, Unit::Month)?;
    Date::new(month.year(), month.month(), i8::try_from(day).ok()?).ok()
}
