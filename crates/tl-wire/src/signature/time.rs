//! Times of sending, read strictly: one time has one notation, so that no digit can be moved to or from a
//! neighbour in the signed string.

use super::recipe::Unit;

const DAY_S: i64 = 86_400;

impl Unit {
    /// Microseconds since 1970 of a written time.
    pub(super) fn read(self, text: &str) -> Option<i64> {
        match self {
            Unit::Seconds => Some(digits(text)?.saturating_mul(1_000_000)),
            Unit::Millis => Some(digits(text)?.saturating_mul(1_000)),
            Unit::Rfc3339 => rfc3339(text),
        }
    }

    /// A time of whole seconds as it is written; `None` before 1970 and after the year 9999.
    pub(super) fn write(self, seconds: i64) -> Option<String> {
        let text = match self {
            Unit::Seconds => seconds.to_string(),
            Unit::Millis => seconds.checked_mul(1_000)?.to_string(),
            Unit::Rfc3339 => {
                let (days, rest) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
                let (y, m, d) = civil(days)?;
                let (h, min, s) = (rest / 3_600, rest / 60 % 60, rest % 60);
                format!("{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}Z")
            }
        };
        self.read(&text).map(|_| text)
    }
}

/// Digits only, no sign, no leading zero.
fn digits(text: &str) -> Option<i64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0')
        && !text.is_empty();
    if canonical { text.parse().ok() } else { None }
}

/// `YYYY-MM-DDTHH:MM:SSZ`, whole seconds in UTC.
fn rfc3339(text: &str) -> Option<i64> {
    let b = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = b.len() == shape.len()
        && b.iter().zip(shape).all(|(byte, want)| match want {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_length(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    valid.then(|| {
        let days = days_before(year, month) + day - 1;
        (days * DAY_S + hour * 3_600 + minute * 60 + second) * 1_000_000
    })
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let leaps = |y: i64| y / 4 - y / 100 + y / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|m| month_length(year, m)).sum::<i64>()
}

/// Year, month and day of a number of days after 1970.
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    if !(0..=days_before(9999, 12) + 30).contains(&days) {
        return None;
    }
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1) <= days {
        month += 1;
    }
    Some((year, month, days - days_before(year, month) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_in_one_notation() {
        let table = [
            (Unit::Seconds, "1700000000", Some(1_700_000_000_000_000)),
            (Unit::Millis, "1700000000123", Some(1_700_000_000_123_000)),
            (Unit::Rfc3339, "1970-01-01T00:00:00Z", Some(0)),
            (
                Unit::Rfc3339,
                "2023-11-14T22:13:20Z",
                Some(1_700_000_000_000_000),
            ),
            (
                Unit::Rfc3339,
                "2024-02-29T00:00:00Z",
                Some(1_709_164_800_000_000),
            ),
            (
                Unit::Rfc3339,
                "9999-12-31T23:59:59Z",
                Some(253_402_300_799_000_000),
            ),
            (Unit::Rfc3339, "2023-02-29T00:00:00Z", None),
            (Unit::Rfc3339, "2100-02-29T00:00:00Z", None),
            (Unit::Rfc3339, "2023-13-01T00:00:00Z", None),
            (Unit::Rfc3339, "2023-11-14T24:00:00Z", None),
            (Unit::Rfc3339, "2023-11-14T22:13:60Z", None),
            (Unit::Rfc3339, "2023-11-14T22:13:20z", None),
            (Unit::Rfc3339, "2023-11-14 22:13:20Z", None),
            (Unit::Rfc3339, "2023-11-14T22:13:20.0Z", None),
            (Unit::Rfc3339, "2023-11-14T22:13:20+00:00", None),
            (Unit::Rfc3339, "", None),
            (Unit::Millis, "٣", None),
            (Unit::Seconds, "01", None),
        ];
        for (unit, text, want) in table {
            assert_eq!(unit.read(text), want, "{unit:?} {text}");
        }
        let mut seconds = 1;
        while seconds < 253_402_300_799 {
            for unit in [Unit::Rfc3339, Unit::Millis] {
                let text = unit.write(seconds).unwrap_or_default();
                assert_eq!(unit.read(&text), Some(seconds * 1_000_000), "{text}");
            }
            seconds += 40_000_003;
        }
        for outside in [-1, 253_402_300_800, i64::MAX] {
            assert_eq!(Unit::Rfc3339.write(outside), None, "{outside}");
        }
    }
}
