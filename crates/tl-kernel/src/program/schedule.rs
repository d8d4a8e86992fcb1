//! Timetables of a workflow: each brings a message at its instants, which goes through the endpoint of its name.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::limits::MAX_CATCH_UP;
use crate::payload::object_to_json;
use crate::timetable::{SHORTEST, Timetable};
use crate::value::Value;

/// One timetable. `Program::endpoints` has an endpoint of the same name and the channel `schedule`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name, which is its endpoint's.
    pub name: String,
    /// The five fields as they stand in the file, for people.
    pub cron: String,
    /// The same, taken apart, with the zone.
    pub table: Timetable,
    /// What is made up for after nobody was there.
    pub catch_up: CatchUp,
    /// What every message of it says beside its name, its instant and its date.
    pub data: BTreeMap<String, Value>,
}

/// What becomes of instants at which no node was there (`schedules.*.catch_up`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them runs.
    Latest,
    /// They all run in their order, the last [`MAX_CATCH_UP`] of them.
    All,
}

impl CatchUp {
    /// The word used in files and explanations.
    pub fn word(self) -> &'static str {
        match self {
            CatchUp::None => "none",
            CatchUp::Latest => "latest",
            CatchUp::All => "all",
        }
    }
}

/// Stands in the place of the key that verified a message, and of the rule that gave its dedupe key, where a timetable
/// brought it.
pub const TIMETABLE: &str = "timetable";

/// What a message of a timetable says of itself in its body; `data` cannot say anything else.
pub const SAID: [&str; 3] = ["schedule", "instant", "date"];

impl Schedule {
    /// The instants that run now, in their order, where every one up to `last` has been dealt with and somebody has been
    /// there since `there`. What came less than a minute before that was not missed either. Times are µs.
    pub fn due(&self, last: i64, there: i64, now: i64) -> Vec<i64> {
        match self.catch_up {
            CatchUp::None => {
                let from = last.max(there.min(now) - SHORTEST);
                self.table.between(from, now, MAX_CATCH_UP)
            }
            CatchUp::Latest => self.table.between(last, now, 1),
            CatchUp::All => self.table.between(last, now, MAX_CATCH_UP),
        }
    }

    /// The last instant (µs) that is left out because nobody was there before `there` and nothing is made up for, where
    /// every one up to `last` has been dealt with.
    pub fn left_out(&self, last: i64, there: i64) -> Option<i64> {
        let missed = match self.catch_up {
            CatchUp::None => self.table.between(last, there - SHORTEST, 1),
            CatchUp::Latest | CatchUp::All => Vec::new(),
        };
        missed.last().copied()
    }

    /// The body of the message of an instant (µs), as JSON text.
    pub fn body(&self, instant: i64) -> String {
        let at = Timestamp::from_microsecond(instant)
            .map_or_else(|_| instant.to_string(), |t| t.to_string());
        let date = self.table.local_date(instant);
        let said = [self.name.clone(), at, date].map(Value::Text);
        let mut body = self.data.clone();
        body.extend(SAID.map(str::to_owned).into_iter().zip(said));
        object_to_json(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY, HOUR, MINUTE, SECOND, parse_rfc3339};
    use crate::timetable::{EVERY_DAY, EVERY_HOUR, EVERY_WEEKDAY};

    fn hourly(catch_up: CatchUp) -> Schedule {
        Schedule {
            name: "nightly".into(),
            cron: "0 * * * *".into(),
            table: Timetable {
                minutes: 1,
                hours: EVERY_HOUR,
                days: EVERY_DAY,
                last_day: false,
                months: 0x1ffe,
                weekdays: EVERY_WEEKDAY,
                nth: Vec::new(),
                either: false,
                zone: "Europe/Berlin".into(),
            },
            catch_up,
            data: BTreeMap::from([("kind".to_owned(), Value::text("report"))]),
        }
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_the_file_says() {
        let start = parse_rfc3339("2026-11-23T10:00:00Z").expect("an instant");
        let most = MAX_CATCH_UP as i64;
        type Hours = &'static [i64];
        let table: [(i64, i64, Hours, Hours, Hours); 9] = [
            // Since the last one; for how long somebody has been there; hours that run under `none`, `latest` and `all`.
            (HOUR - 1, 0, &[], &[], &[]),
            (HOUR, 0, &[1], &[1], &[1]),
            (HOUR + MINUTE - SECOND, 0, &[1], &[1], &[1]),
            (HOUR + MINUTE, 0, &[], &[1], &[1]),
            (3 * HOUR + SECOND, 0, &[3], &[3], &[1, 2, 3]),
            // Somebody was there and had too much else to do.
            (HOUR + 5 * MINUTE, 4 * MINUTE, &[], &[1], &[1]),
            (HOUR + 5 * MINUTE, 4 * MINUTE + SECOND, &[1], &[1], &[1]),
            (3 * HOUR + SECOND, HOUR, &[2, 3], &[3], &[1, 2, 3]),
            (3 * HOUR + SECOND, 9 * HOUR, &[1, 2, 3], &[3], &[1, 2, 3]),
        ];
        for (later, been, none, latest, all) in table {
            let now = start + later;
            let left_out = hourly(CatchUp::None).left_out(start, now - been);
            let skipped = all.iter().filter(|h| !none.contains(h)).max();
            assert_eq!(left_out, skipped.map(|h| start + h * HOUR), "{later} µs");
            for (catch_up, want) in [
                (CatchUp::None, none),
                (CatchUp::Latest, latest),
                (CatchUp::All, all),
            ] {
                let want: Vec<i64> = want.iter().map(|h| start + h * HOUR).collect();
                let got = hourly(catch_up).due(start, now - been, now);
                assert_eq!(got, want, "{} after {later} µs", catch_up.word());
            }
        }
        let year = hourly(CatchUp::All).due(start, start + 365 * DAY, start + 365 * DAY);
        let first = start + 365 * DAY - (most - 1) * HOUR;
        assert_eq!(
            (year.len() as i64, year[0]),
            (most, first),
            "the last of many"
        );
    }

    #[test]
    fn a_message_says_which_instant_it_is() {
        let late = parse_rfc3339("2026-11-23T23:00:00Z").expect("an instant");
        let want = r#"{"date":"2026-11-24","instant":"2026-11-23T23:00:00Z","kind":"report","schedule":"nightly"}"#;
        assert_eq!(hourly(CatchUp::None).body(late), want);
    }
}
