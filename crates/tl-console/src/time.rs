//! Times as people say them.

use maud::{Markup, html};
use tl_kernel::time::{DAY, HOUR, MINUTE, SECOND, rfc3339};

/// A duration as people say it: its two largest parts, `2 h 10 min`.
pub(crate) fn lasting(us: i64) -> String {
    let us = us.abs();
    let parts = match us {
        ..SECOND => return format!("{} ms", us / 1_000),
        SECOND..MINUTE => return format!("{} s", us / SECOND),
        MINUTE..HOUR => [(us / MINUTE, "min"), (0, "")],
        HOUR..DAY => [(us / HOUR, "h"), (us % HOUR / MINUTE, "min")],
        DAY.. => [(us / DAY, "d"), (us % DAY / HOUR, "h")],
    };
    let shown = parts.iter().filter(|(n, _)| *n > 0);
    let words: Vec<String> = shown.map(|(n, unit)| format!("{n} {unit}")).collect();
    words.join(" ")
}

/// An instant as an exact, machine-readable time whose text the browser puts into the reader's zone.
pub(crate) fn instant(at: i64) -> Markup {
    let exact = rfc3339(at);
    html! { time datetime=(exact) data-at { (clock(at)) } }
}

/// How long ago, with the exact time on it.
pub(crate) fn ago(at: i64, now: i64) -> Markup {
    let text = match now - at {
        ..MINUTE => "just now".to_owned(),
        past => format!("{} ago", lasting(past)),
    };
    html! { time datetime=(rfc3339(at)) title=(clock(at)) { (text) } }
}

/// How old something is, to the minute.
pub(crate) fn age(since: i64, now: i64) -> String {
    match now - since {
        ..MINUTE => "new".to_owned(),
        past => lasting(past),
    }
}

/// `2026-11-22 16:40 UTC`.
pub(crate) fn clock(at: i64) -> String {
    let text = rfc3339(at);
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => text,
    }
}

/// A due time in words: `23 min left`, `late by 2 h`.
pub(crate) fn due(due: i64, now: i64) -> String {
    match due - now {
        left @ MINUTE.. => format!("{} left", lasting(left)),
        0..MINUTE => "less than a minute left".to_owned(),
        late if late > -MINUTE => "just late".to_owned(),
        late => format!("late by {}", lasting(late)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said() {
        let table = [
            (900, "0 ms"),
            (42 * SECOND, "42 s"),
            (23 * MINUTE + 59 * SECOND, "23 min"),
            (2 * HOUR + 10 * MINUTE, "2 h 10 min"),
            (2 * HOUR, "2 h"),
            (3 * DAY + 4 * HOUR + MINUTE, "3 d 4 h"),
        ];
        for (us, said) in table {
            assert_eq!(lasting(us), said);
        }
    }

    #[test]
    fn due_times_are_said() {
        let table = [
            (23 * MINUTE, "23 min left"),
            (10 * SECOND, "less than a minute left"),
            (-10 * SECOND, "just late"),
            (-2 * HOUR, "late by 2 h"),
        ];
        for (left, said) in table {
            assert_eq!(due(left, 0), said);
        }
    }
}
