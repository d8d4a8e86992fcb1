//! Instants and durations: µs since the Unix epoch, and the texts people write and read for them.

use jiff::Timestamp;

/// One second in µs.
pub const SECOND: i64 = 1_000_000;
/// One minute in µs.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in µs.
pub const HOUR: i64 = 60 * MINUTE;
/// One day of 24 hours in µs.
pub const DAY: i64 = 24 * HOUR;
/// The longest text read as an instant, bytes: all its parts with a zone's name in brackets.
const LONGEST_INSTANT: usize = 100;

/// The instant as RFC 3339 text in UTC with µs, or the raw number where it lies outside the calendar.
pub fn rfc3339(us: i64) -> String {
    match Timestamp::from_microsecond(us) {
        Ok(t) => format!("{t:.6}"),
        Err(_) => us.to_string(),
    }
}

/// Parses RFC 3339 text with a zone offset; `None` where it is no instant.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let text = text.trim();
    // What is longer is no instant, and the error of the parser would hold a copy of it.
    (text.len() <= LONGEST_INSTANT)
        .then(|| text.parse::<Timestamp>().ok())
        .flatten()
        .map(|t| t.as_microsecond())
}

/// Parses a duration such as `30s`, `15m`, `4h`, `2d` or a sum of those (`1h30m`). `None` for anything else,
/// zero and overflow included.
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut total: i64 = 0;
    let mut number: Option<i64> = None;
    for c in text.trim().chars() {
        if let Some(digit) = c.to_digit(10) {
            let before = number.unwrap_or(0).checked_mul(10)?;
            number = Some(before.checked_add(i64::from(digit))?);
            continue;
        }
        let unit = match c {
            's' => SECOND,
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            'w' => 7 * DAY,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && total > 0).then_some(total)
}

/// A duration as people write it: the two largest units that are not zero.
pub fn duration_text(us: i64) -> String {
    if us < 0 {
        return format!("-{}", duration_text(us.saturating_neg()));
    }
    if us < SECOND {
        return format!("{}ms", us / 1000);
    }
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")];
    let mut rest = us;
    let mut out = String::new();
    let mut shown = 0;
    for (size, name) in units {
        let n = rest / size;
        if n > 0 && shown < 2 {
            out.push_str(&format!("{n}{name}"));
            shown += 1;
        } else if shown > 0 {
            break;
        }
        rest -= n * size;
    }
    out
}

/// Minutes since local midnight of an instant in an IANA zone, from the bundled time-zone data.
/// `None` for an unknown zone.
pub fn minute_of_day(us: i64, zone: &str) -> Option<i32> {
    let tz = jiff::tz::TimeZoneDatabase::bundled().get(zone).ok()?;
    let t = Timestamp::from_microsecond(us).ok()?.to_zoned(tz);
    Some(i32::from(t.hour()) * 60 + i32::from(t.minute()))
}

/// The civil date `(year, month, day)` of an instant in UTC.
pub fn civil_date(us: i64) -> (i16, i8, i8) {
    let t = Timestamp::from_microsecond(us)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC);
    (t.year(), t.month(), t.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        let table = [
            ("30s", Some(30 * SECOND), "30s"),
            ("15m", Some(15 * MINUTE), "15m"),
            ("1h30m", Some(HOUR + 30 * MINUTE), "1h30m"),
            ("2d", Some(2 * DAY), "2d"),
            ("1w", Some(7 * DAY), "7d"),
            ("90", None, ""),
            ("0s", None, ""),
            ("m", None, ""),
            ("5y", None, ""),
            ("99999999999999999d", None, ""),
        ];
        for (text, want, shown) in table {
            assert_eq!(parse_duration(text), want, "{text}");
            if let Some(us) = want {
                assert_eq!(duration_text(us), shown);
            }
        }
    }

    #[test]
    fn instants_read_back() {
        let us = parse_rfc3339("2026-11-22T16:40:00.123456Z").unwrap();
        assert_eq!(rfc3339(us), "2026-11-22T16:40:00.123456Z");
        assert_eq!(
            minute_of_day(us, "Europe/Berlin"),
            Some(17 * 60 + 40),
            "winter time"
        );
        assert_eq!(minute_of_day(us, "Mars/Olympus"), None);
        assert_eq!(parse_rfc3339("2026-11-22"), None);
    }
}
