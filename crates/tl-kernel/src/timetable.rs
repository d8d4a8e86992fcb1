//! Timetables: at which instants something happens that no message brings. Five fields of the local calendar and the
//! zone that they are read in, already taken apart; the text is read by the language crate.
//!
//! Clocks that are put forward or back are settled here, once for everybody. A timetable of *every hour* follows the
//! time that passes: nothing is left out or made up for. Any other speaks of the hands of the clock: a time that is
//! skipped happens at the moment of the jump, and a time that comes twice happens the first time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use crate::time::MINUTE;

/// The 24 hours of a day, as bits of `hours`.
pub const EVERY_HOUR: u32 = (1 << 24) - 1;
/// The 31 days of a month, as bits 1 to 31 of `days`.
pub const EVERY_DAY: u32 = !1;
/// The days of a week, as bits of `weekdays`, Sunday being the first.
pub const EVERY_WEEKDAY: u8 = 0x7f;
/// Days that are looked through for an instant: 29 February comes after eight years at the latest, and as a given weekday
/// after forty.
const HORIZON_DAYS: u32 = 41 * 366;

/// When something happens: the minutes whose local time matches all five fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// Minutes of the hour, bits 0 to 59.
    pub minutes: u64,
    /// Hours of the day, bits 0 to 23.
    pub hours: u32,
    /// Days of the month, bits 1 to 31.
    pub days: u32,
    /// The last day of the month too, whichever it is.
    pub last_day: bool,
    /// Months of the year, bits 1 to 12.
    pub months: u16,
    /// Days of the week, bits 0 (Sunday) to 6.
    pub weekdays: u8,
    /// The n-th of a weekday in its month: pairs of weekday (0 = Sunday) and n, from 1 to 5.
    pub nth: Vec<(u8, u8)>,
    /// Both the days of the month and those of the week are restricted: either is enough, as cron has always read it.
    pub either: bool,
    /// IANA name of the zone whose clock is meant.
    pub zone: String,
}

impl Timetable {
    /// The first instant after another one, µs; `None` where the zone is unknown, where the fields name a day that
    /// does not exist, or beyond the calendar. An instant is the first µs of its minute.
    pub fn next_after(&self, us: i64) -> Option<i64> {
        let (zone, from) = self.on_calendar(us)?;
        // A day earlier: where clocks go back over midnight, what happens next may bear the date of yesterday.
        let mut date = from.date().yesterday().ok()?;
        let mut best: Option<i64> = None;
        for _ in 0..HORIZON_DAYS {
            let found = self.of_day(&zone, date).into_iter().filter(|at| *at > us);
            let found = found.min();
            // For the same reason the day after the first find is looked at as well.
            match best {
                Some(best) => return Some(found.map_or(best, |f| f.min(best))),
                None => best = found,
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The instants after one and up to another (inclusive), in their order; where there are more than `most`, the
    /// latest ones.
    pub fn between(&self, after: i64, until: i64, most: usize) -> Vec<i64> {
        let mut out = Vec::new();
        let (Some((zone, last)), Some((_, first))) =
            (self.on_calendar(until), self.on_calendar(after))
        else {
            return out;
        };
        // Backwards, with a day more at both ends, as above.
        let mut date = last.date().tomorrow().ok();
        let mut enough = false;
        while let Some(day) = date.filter(|day| day.tomorrow().is_ok_and(|d| d >= first.date())) {
            let of_day = self.of_day(&zone, day);
            out.extend(of_day.into_iter().filter(|at| *at > after && *at <= until));
            if enough {
                break;
            }
            enough = out.len() >= most;
            date = day.yesterday().ok();
        }
        out.sort_unstable();
        out.dedup();
        out.split_off(out.len().saturating_sub(most))
    }

    fn on_calendar(&self, us: i64) -> Option<(TimeZone, DateTime)> {
        let zone = TimeZoneDatabase::bundled().get(&self.zone).ok()?;
        let at = zone.to_datetime(Timestamp::from_microsecond(us).ok()?);
        Some((zone, at))
    }

    /// The civil date of an instant in the timetable's zone, as `2026-11-23`; empty for an unknown zone.
    pub fn local_date(&self, us: i64) -> String {
        self.local(us)
            .map_or_else(String::new, |(_, at)| at.date().to_string())
    }

    /// An instant as the timetable's clock shows it: `Mon 2026-11-23 06:00 +01`; empty for an unknown zone.
    pub fn local_text(&self, us: i64) -> String {
        let Some((offset, at)) = self.local(us) else {
            return String::new();
        };
        let day = match at.date().weekday() {
            Weekday::Monday => "Mon",
            Weekday::Tuesday => "Tue",
            Weekday::Wednesday => "Wed",
            Weekday::Thursday => "Thu",
            Weekday::Friday => "Fri",
            Weekday::Saturday => "Sat",
            Weekday::Sunday => "Sun",
        };
        let (date, hour, minute) = (at.date(), at.hour(), at.minute());
        format!("{day} {date} {hour:02}:{minute:02} {offset}")
    }

    fn local(&self, us: i64) -> Option<(Offset, DateTime)> {
        let (zone, at) = self.on_calendar(us)?;
        Some((zone.to_offset(Timestamp::from_microsecond(us).ok()?), at))
    }

    fn has_day(&self, date: Date) -> bool {
        if self.months & (1 << date.month()) == 0 {
            return false;
        }
        let last = self.last_day && date.day() == date.days_in_month();
        let by_date = self.days & (1 << date.day()) != 0 || last;
        let weekday = date.weekday().to_sunday_zero_offset();
        let nth = (date.day() - 1) / 7 + 1;
        let is_nth =
            |(day, n): &(u8, u8)| (*day, *n) == (weekday.cast_unsigned(), nth.cast_unsigned());
        let by_week = self.weekdays & (1 << weekday) != 0 || self.nth.iter().any(is_nth);
        match self.either {
            true => by_date || by_week,
            false => by_date && by_week,
        }
    }

    /// The instants of a local day, in the order of its clock.
    fn of_day(&self, zone: &TimeZone, date: Date) -> Vec<i64> {
        let mut out = Vec::new();
        if !self.has_day(date) {
            return out;
        }
        let follows_time = self.hours == EVERY_HOUR;
        for hour in (0..24).filter(|h| self.hours & (1 << h) != 0) {
            for minute in (0..60).filter(|m| self.minutes & (1 << m) != 0) {
                let at = date.at(hour, minute, 0, 0);
                let with = |offset: Offset| offset.to_timestamp(at).ok();
                let (one, other) = match zone.to_ambiguous_timestamp(at).offset() {
                    AmbiguousOffset::Unambiguous { offset } => (with(offset), None),
                    AmbiguousOffset::Gap { .. } if follows_time => (None, None),
                    // Read with the later offset it lies before the jump, which is the next thing that happens.
                    AmbiguousOffset::Gap { after, .. } => {
                        let jump = with(after).and_then(|at| zone.following(at).next());
                        (jump.map(|t| t.timestamp()), None)
                    }
                    AmbiguousOffset::Fold { before, after } => {
                        (with(before), with(after).filter(|_| follows_time))
                    }
                };
                out.extend(one.into_iter().chain(other).map(Timestamp::as_microsecond));
            }
        }
        out
    }
}

/// Whether the bundled data base of zones has a name.
pub fn is_zone(name: &str) -> bool {
    TimeZoneDatabase::bundled().get(name).is_ok()
}

/// The names of all zones, in the order of the alphabet.
pub fn zones() -> Vec<String> {
    let mut all: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .collect();
    all.sort();
    all
}

/// The shortest time between two instants, µs: what is due for longer has been missed.
pub const SHORTEST: i64 = MINUTE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY, HOUR, SECOND, parse_rfc3339, rfc3339};

    /// Every day at these hours and minutes.
    fn daily(hours: u32, minutes: u64, zone: &str) -> Timetable {
        Timetable {
            minutes,
            hours,
            days: EVERY_DAY,
            last_day: false,
            months: 0x1ffe,
            weekdays: EVERY_WEEKDAY,
            nth: Vec::new(),
            either: false,
            zone: zone.into(),
        }
    }

    fn at(text: &str) -> i64 {
        parse_rfc3339(text).expect("an instant")
    }

    /// The instants after one, in short.
    fn after(t: &Timetable, from: &str, n: usize) -> Vec<String> {
        let mut at = at(from);
        let mut out = Vec::new();
        for _ in 0..n {
            at = t.next_after(at).expect("another one");
            out.push(t.local_text(at)[4..].to_owned());
        }
        out
    }

    const BERLIN: &str = "Europe/Berlin";

    #[test]
    fn clocks_go_forward_and_back() {
        let two = 1 << 2;
        // Hours, minutes, from, and what comes then. In Berlin clocks jump from 2 to 3 on 29 March 2026, and back from
        // 3 to 2 on 25 October.
        #[rustfmt::skip]
        let table: [(&str, u32, u64, &str, &[&str]); 7] = [
            ("once a day, in the gap: at the jump", two, 1 << 30, "2026-03-27T23:00:00Z",
             &["2026-03-28 02:30 +01", "2026-03-29 03:00 +02", "2026-03-30 02:30 +02"]),
            ("several in the gap: once", two, 1 | 1 << 20 | 1 << 40, "2026-03-29T00:00:00Z",
             &["2026-03-29 03:00 +02", "2026-03-30 02:00 +02", "2026-03-30 02:20 +02"]),
            ("in the gap and right after it: once", two | 1 << 3, 1, "2026-03-29T00:00:00Z",
             &["2026-03-29 03:00 +02", "2026-03-30 02:00 +02"]),
            ("every hour follows time", EVERY_HOUR, 1 << 30, "2026-03-28T23:45:00Z",
             &["2026-03-29 01:30 +01", "2026-03-29 03:30 +02", "2026-03-29 04:30 +02"]),
            ("once a day, in the hour that comes twice: the first time", two, 1 << 30, "2026-10-24T00:00:00Z",
             &["2026-10-24 02:30 +02", "2026-10-25 02:30 +02", "2026-10-26 02:30 +01"]),
            ("right after it", 1 << 3, 1, "2026-10-24T22:00:00Z",
             &["2026-10-25 03:00 +01"]),
            ("every hour follows time", EVERY_HOUR, 1 << 30, "2026-10-24T23:45:00Z",
             &["2026-10-25 02:30 +02", "2026-10-25 02:30 +01", "2026-10-25 03:30 +01"]),
        ];
        for (name, hours, minutes, from, want) in table {
            let t = daily(hours, minutes, BERLIN);
            assert_eq!(after(&t, from, want.len()), want, "{name}");
        }
    }

    #[test]
    fn every_instant_is_later_than_the_one_before_and_none_is_left_out() {
        // Zones with jumps at midnight, by half an hour, by a whole day, and by minutes long ago.
        let zones = [
            (BERLIN, "2026-03-27T00:00:00Z"),
            (BERLIN, "2026-10-23T00:00:00Z"),
            ("America/Havana", "2026-03-06T00:00:00Z"),
            ("America/Havana", "2026-10-30T00:00:00Z"),
            ("America/Sao_Paulo", "2018-11-02T00:00:00Z"),
            ("America/Sao_Paulo", "2018-02-16T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
            ("Pacific/Apia", "2011-12-28T00:00:00Z"),
            ("UTC", "2026-06-29T00:00:00Z"),
        ];
        // Hours and minutes: sparse and dense.
        let fields = [
            (EVERY_HOUR, 1 | 1 << 15 | 1 << 45),
            (1 | 1 << 2 | 1 << 23, 1 | 1 << 30),
            (1 << 1, 1 << 59),
        ];
        for (zone, from) in zones {
            for (hours, minutes) in fields {
                let t = daily(hours, minutes, zone);
                let (from, until) = (at(from), at(from) + 4 * DAY);
                let mut got = Vec::new();
                let mut last = from;
                while let Some(next) = t.next_after(last).filter(|n| *n <= until) {
                    assert!(next > last, "{zone}");
                    got.push(next);
                    last = next;
                }
                assert_eq!(
                    got,
                    by_minutes(&t, from, until),
                    "{zone} from {}",
                    rfc3339(from)
                );
                assert_eq!(got, t.between(from, until, usize::MAX), "{zone}");
                // Asked from anywhere between two of them, the answer is the same.
                for pair in got.windows(2) {
                    let between = pair[0] + (pair[1] - pair[0]) / 2;
                    assert_eq!(t.next_after(between), Some(pair[1]), "{zone}");
                    assert_eq!(t.next_after(pair[1] - 1), Some(pair[1]), "{zone}");
                }
            }
        }
    }

    /// The same, by another way: minute by minute as time passes, looking at the clock.
    fn by_minutes(t: &Timetable, from: i64, until: i64) -> Vec<i64> {
        let names =
            |at: DateTime| t.hours & (1 << at.hour()) != 0 && t.minutes & (1 << at.minute()) != 0;
        let follows_time = t.hours == EVERY_HOUR;
        let mut out = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        // What was shown before the first minute counts as seen.
        let mut us = from - 2 * DAY;
        let mut before = t.local(us - MINUTE).expect("a zone").1;
        while us <= until {
            let shown = t.local(us).expect("a zone").1;
            let expected = before.saturating_add(jiff::SignedDuration::from_secs(60));
            let mut fires = names(shown) && (seen.insert(shown) || follows_time);
            // The clock has jumped forward: what it skipped happens now.
            let mut skipped = expected;
            while skipped < shown {
                fires |= names(skipped) && !follows_time;
                skipped = skipped.saturating_add(jiff::SignedDuration::from_secs(60));
            }
            if fires && us > from {
                out.push(us);
            }
            before = shown;
            us += MINUTE;
        }
        out
    }

    #[test]
    fn days_of_the_month_and_of_the_week() {
        let noon = || daily(1 << 12, 1, "UTC");
        let first_three = |t: Timetable| after(&t, "2026-01-01T13:00:00Z", 3);
        #[rustfmt::skip]
        let table = [
            ("the 31st", Timetable { days: 1 << 31, ..noon() },
             ["2026-01-31", "2026-03-31", "2026-05-31"]),
            ("the last day", Timetable { days: 0, last_day: true, ..noon() },
             ["2026-01-31", "2026-02-28", "2026-03-31"]),
            ("Mondays", Timetable { weekdays: 1 << 1, ..noon() },
             ["2026-01-05", "2026-01-12", "2026-01-19"]),
            ("the first Monday", Timetable { weekdays: 0, nth: vec![(1, 1)], ..noon() },
             ["2026-01-05", "2026-02-02", "2026-03-02"]),
            ("the fifth Friday", Timetable { weekdays: 0, nth: vec![(5, 5)], ..noon() },
             ["2026-01-30", "2026-05-29", "2026-07-31"]),
            ("the 13th or a Sunday", Timetable { days: 1 << 13, weekdays: 1, either: true, ..noon() },
             ["2026-01-04", "2026-01-11", "2026-01-13"]),
            ("29 February", Timetable { days: 1 << 29, months: 1 << 2, ..noon() },
             ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ];
        for (name, t, want) in table {
            let want: Vec<String> = want.iter().map(|d| format!("{d} 12:00 +00")).collect();
            assert_eq!(first_three(t), want, "{name}");
        }
        let never = Timetable {
            days: 1 << 30,
            months: 1 << 2,
            ..noon()
        };
        assert_eq!(never.next_after(0), None, "30 February");
        let nowhere = daily(1, 1, "Mars/Olympus");
        assert_eq!(
            (nowhere.next_after(0), nowhere.local_date(0)),
            (None, String::new())
        );
    }

    #[test]
    fn the_latest_of_several_are_found() {
        let start = at("2026-11-23T10:00:00Z");
        let hourly = daily(EVERY_HOUR, 1, "UTC");
        let hours = |list: &[i64]| list.iter().map(|h| start + h * HOUR).collect::<Vec<_>>();
        // After, until, at most, and the hours from the start on.
        let table: [(i64, i64, usize, &[i64]); 7] = [
            (start, start, 9, &[]),
            (start, start + HOUR - 1, 9, &[]),
            (start - 1, start, 9, &[0]),
            (start, start + HOUR, 9, &[1]),
            (start, start + 3 * HOUR + SECOND, 9, &[1, 2, 3]),
            (start - 1_000 * DAY, start, 2, &[-1, 0]),
            (start, start + 1_000 * HOUR, 1, &[1_000]),
        ];
        for (after, until, most, want) in table {
            assert_eq!(hourly.between(after, until, most), hours(want));
        }
        let yearly = Timetable {
            months: 1 << 2,
            days: 1 << 28,
            ..daily(1 << 12, 1, BERLIN)
        };
        let eve = at("2026-02-28T11:00:00Z");
        assert_eq!(yearly.between(eve - 400 * DAY, eve + 300 * DAY, 1), [eve]);
        assert_eq!(hourly.local_date(start + 14 * HOUR), "2026-11-24");
        assert!(is_zone(BERLIN) && !is_zone("Mars/Olympus"));
        assert!(zones().iter().any(|z| z == BERLIN));
    }
}
