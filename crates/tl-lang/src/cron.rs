//! The five fields of a timetable as text, as cron has always had them, read into a [`Timetable`].

use tl_kernel::timetable::{EVERY_DAY, EVERY_WEEKDAY, Timetable};

use crate::suggest::{listed, nearest};

/// What is wrong with the text of a timetable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    /// Where in the text, bytes.
    pub(crate) at: (usize, usize),
    pub(crate) message: String,
    pub(crate) why: String,
    /// The whole text as it may have been meant.
    pub(crate) instead: Option<String>,
}

/// One of the five fields.
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// The names of its values, beginning with that of `first`.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    field("minute", (0, 59), &[]),
    field("hour", (0, 23), &[]),
    field("day of the month", (1, 31), &[]),
    field(
        "month",
        (1, 12),
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    // Both 0 and 7 are Sunday.
    field(
        "day of the week",
        (0, 7),
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];
const DAY: usize = 2;
const WEEKDAY: usize = 4;
const ORDER: &str = "a timetable has five fields: minute, hour, day of the month, month, day of the week; each is `*`, \
     a value, a range such as `9-17`, a list of those, or one of them with a step such as `*/15`";

const fn field(
    name: &'static str,
    (first, last): (u8, u8),
    words: &'static [&'static str],
) -> Field {
    Field {
        name,
        first,
        last,
        words,
    }
}

/// Names of whole timetables that some programs know.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What a field allows.
#[derive(Default)]
struct Set {
    bits: u64,
    /// It does not begin with `*`.
    restricted: bool,
    last_day: bool,
    nth: Vec<(u8, u8)>,
}

/// Reads a timetable in a zone.
pub(crate) fn parse(text: &str, zone: &str) -> Result<Timetable, Bad> {
    let parts = parts(text)?;
    let mut sets = Vec::with_capacity(FIELDS.len());
    for (n, part) in parts.iter().enumerate() {
        sets.push(set(n, text, *part)?);
    }
    let Ok([minutes, hours, days, months, weekdays]) = <[Set; 5]>::try_from(sets) else {
        return Err(whole(text, String::new()));
    };
    let table = Timetable {
        minutes: minutes.bits,
        hours: hours.bits as u32,
        days: match days.restricted {
            true => days.bits as u32,
            false => EVERY_DAY & days.bits as u32,
        },
        last_day: days.last_day,
        months: months.bits as u16,
        // The seventh day is the one of number 0.
        weekdays: ((weekdays.bits | weekdays.bits >> 7) as u8) & EVERY_WEEKDAY,
        nth: weekdays.nth,
        either: days.restricted && weekdays.restricted,
        zone: zone.to_owned(),
    };
    if tl_kernel::timetable::is_zone(zone) && table.next_after(0).is_none() {
        let (start, end) = parts[DAY];
        return Err(Bad {
            at: (start, end),
            message: format!("`{text}` never happens"),
            why: "no such day of the month comes in these months; `L` is the last day of any month"
                .into(),
            instead: Some(format!("{}L{}", &text[..start], &text[end..])),
        });
    }
    Ok(table)
}

fn whole(text: &str, message: String) -> Bad {
    Bad {
        at: (0, text.len()),
        message,
        why: ORDER.into(),
        instead: None,
    }
}

/// The places of the five fields.
fn parts(text: &str) -> Result<Vec<(usize, usize)>, Bad> {
    if text.trim_start().starts_with('@') {
        let name = text.trim().to_lowercase();
        let known = NICKNAMES.iter().find(|(n, _)| *n == name);
        return Err(Bad {
            instead: known.map(|(_, fields)| (*fields).to_owned()),
            ..whole(text, format!("`{}` is no timetable", text.trim()))
        });
    }
    let mut out = Vec::new();
    let mut start = None;
    for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_whitespace(), start) {
            (false, None) => start = Some(i),
            (true, Some(from)) => {
                out.push((from, i));
                start = None;
            }
            _ => {}
        }
    }
    if out.len() == FIELDS.len() {
        return Ok(out);
    }
    let words: Vec<&str> = out.iter().map(|(a, b)| &text[*a..*b]).collect();
    let (message, instead) = match words.len() {
        6 => (
            "six fields: a timetable has no seconds and happens once a minute at most".to_owned(),
            Some(words[1..].join(" ")),
        ),
        7 => (
            "seven fields: a timetable has neither seconds nor years".to_owned(),
            Some(words[1..6].join(" ")),
        ),
        n => {
            let filled = words.iter().copied().chain(["*"; 5]).take(5);
            let instead = (1..5)
                .contains(&n)
                .then(|| filled.collect::<Vec<_>>().join(" "));
            (
                format!("`{text}` has {n} of the five fields of a timetable"),
                instead,
            )
        }
    };
    Err(Bad {
        instead,
        ..whole(text, message)
    })
}

/// Reads one field.
fn set(n: usize, text: &str, (start, end): (usize, usize)) -> Result<Set, Bad> {
    let mut out = Set {
        restricted: !text[start..end].starts_with('*'),
        ..Set::default()
    };
    let mut from = start;
    for item in text[start..end].split(',') {
        let to = from + item.len();
        if let Err((message, instead)) = add(n, item, &mut out) {
            return Err(Bad {
                at: (from, to),
                message,
                why: why(&FIELDS[n]),
                instead: instead.map(|i| format!("{}{i}{}", &text[..from], &text[to..])),
            });
        }
        from = to + 1;
    }
    Ok(out)
}

fn why(field: &Field) -> String {
    let words = match field.words {
        [] => String::new(),
        words => format!(", or {}", listed(words.iter().copied())),
    };
    let (name, first, last) = (field.name, field.first, field.last);
    format!("the {name} goes from {first} to {last}{words}")
}

/// What is wrong with an item, and what may have been meant.
type Odd = (String, Option<String>);

/// Adds an item of a list to what its field allows.
fn add(n: usize, item: &str, out: &mut Set) -> Result<(), Odd> {
    let field = &FIELDS[n];
    if n == DAY && item.eq_ignore_ascii_case("l") {
        out.last_day = true;
        return Ok(());
    }
    let part = |text: &str| {
        let of_item = |(message, near): Odd| {
            let near = near.map(|near| item.replacen(text, &near, 1));
            (message, near)
        };
        value(field, text).map_err(of_item)
    };
    if n == WEEKDAY
        && let Some((day, nth)) = item.split_once('#')
    {
        let nth = nth.parse::<u8>().ok().filter(|nth| (1..=5).contains(nth));
        let nth = nth.ok_or_else(|| {
            let message = format!("`{item}`: the number after `#` goes from 1 to 5");
            (message, Some(format!("{day}#1")))
        })?;
        out.nth.push((part(day)? % 7, nth));
        return Ok(());
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let steps = match step.map(str::parse::<u8>) {
        None => 1,
        Some(Ok(step)) if (1..=field.last).contains(&step) => step,
        Some(_) => {
            let message = format!("`{item}`: a step is a number from 1 to {}", field.last);
            return Err((message, Some(range.to_owned())));
        }
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (field.first, field.last),
        Some((a, b)) => (part(a)?, part(b)?),
        // From there to the end, where there is a step.
        None if step.is_some() => (part(range)?, field.last),
        None => {
            let one = part(range)?;
            (one, one)
        }
    };
    if first <= last {
        let all = (first..=last).step_by(usize::from(steps));
        out.bits |= all.fold(0, |bits, v| bits | 1 << v);
        return Ok(());
    }
    // A week has no end: `sat-sun` and `fri-mon` are what they say.
    if n == WEEKDAY && step.is_none() {
        out.bits |= (first..=last + 7).fold(0, |bits, v| bits | 1 << (v % 7));
        return Ok(());
    }
    let (a, b) = range.split_once('-').unwrap_or((range, range));
    let step = step.map_or_else(String::new, |s| format!("/{s}"));
    Err((
        format!("`{item}` ends before it begins"),
        Some(format!("{b}-{a}{step}")),
    ))
}

/// Reads one value of a field.
fn value(field: &Field, text: &str) -> Result<u8, Odd> {
    let lower = text.to_lowercase();
    if let Some(i) = field.words.iter().position(|w| *w == lower) {
        return Ok(field.first + i as u8);
    }
    let (first, last) = (field.first, field.last);
    match text.parse::<u32>() {
        Ok(v) if (u32::from(first)..=u32::from(last)).contains(&v) => Ok(v as u8),
        Ok(v) => {
            let near = v.clamp(u32::from(first), u32::from(last));
            Err((
                format!("`{text}` is no {}", field.name),
                Some(near.to_string()),
            ))
        }
        Err(_) => {
            // Whole names are known by their beginnings.
            let short = lower.get(..3).filter(|s| field.words.contains(s));
            let near = short.or_else(|| nearest(&lower, field.words.iter().copied()));
            let any = (text == "?").then_some("*");
            Err((
                format!("`{text}` is no {}", field.name),
                near.or(any).map(str::to_owned),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::time::parse_rfc3339;

    /// The first instants of a timetable of UTC in 2026, in short.
    fn first(text: &str, n: usize) -> Vec<String> {
        let table = parse(text, "UTC").unwrap_or_else(|b| panic!("{text}: {b:?}"));
        let mut at = parse_rfc3339("2025-12-31T23:59:59Z").expect("an instant");
        let mut out = Vec::new();
        for _ in 0..n {
            at = table.next_after(at).expect("another one");
            out.push(table.local_text(at)[9..20].to_owned());
        }
        out
    }

    #[test]
    fn timetables_read() {
        #[rustfmt::skip]
        let table: [(&str, &[&str]); 14] = [
            ("0 6 * * mon-fri", &["01-01 06:00", "01-02 06:00", "01-05 06:00"]),
            ("0 6 * * MON-FRI", &["01-01 06:00", "01-02 06:00", "01-05 06:00"]),
            ("  5,7   0 * * *  ", &["01-01 00:05", "01-01 00:07", "01-02 00:05"]),
            ("*/20 23 * * *", &["01-01 23:00", "01-01 23:20", "01-01 23:40", "01-02 23:00"]),
            ("10-20/5 0 1 * *", &["01-01 00:10", "01-01 00:15", "01-01 00:20", "02-01 00:10"]),
            ("50/5 0 1 * *", &["01-01 00:50", "01-01 00:55", "02-01 00:50"]),
            ("0 0 * * sat-sun", &["01-03 00:00", "01-04 00:00", "01-10 00:00"]),
            ("0 0 * * fri-mon", &["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-05 00:00", "01-09 00:00"]),
            ("0 0 * * 7", &["01-04 00:00", "01-11 00:00"]),
            ("0 0 * * 5-7", &["01-02 00:00", "01-03 00:00", "01-04 00:00", "01-09 00:00"]),
            ("0 0 13 * fri", &["01-02 00:00", "01-09 00:00", "01-13 00:00"]),
            ("0 0 */10 feb-mar *", &["02-01 00:00", "02-11 00:00", "02-21 00:00", "03-01 00:00"]),
            ("0 0 15,L * *", &["01-15 00:00", "01-31 00:00", "02-15 00:00", "02-28 00:00"]),
            ("0 9 * * mon#1,fri#2", &["01-05 09:00", "01-09 09:00", "02-02 09:00"]),
        ];
        for (text, want) in table {
            assert_eq!(first(text, want.len()), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_timetable_says_where_and_what_was_meant() {
        // The text, what is underlined, and what it is mended to; empty: only its author knows.
        #[rustfmt::skip]
        let table = [
            ("* * * * * *", "* * * * * *", "* * * * *"),
            ("0 0 6 * * mon 2027", "0 0 6 * * mon 2027", "0 6 * * mon"),
            ("0 6", "0 6", "0 6 * * *"),
            ("", "", ""),
            ("@daily", "@daily", "0 0 * * *"),
            ("@reboot", "@reboot", ""),
            ("60 6 * * *", "60", "59 6 * * *"),
            ("0 24 * * *", "24", "0 23 * * *"),
            ("0 0 0 * *", "0", "0 0 1 * *"),
            ("0 0 * 13 *", "13", "0 0 * 12 *"),
            ("0 0 * * 8", "8", "0 0 * * 7"),
            ("0 0 * january *", "january", "0 0 * jan *"),
            ("0 0 * * mondy", "mondy", "0 0 * * mon"),
            ("0 0 * * mo-fri", "mo-fri", "0 0 * * mon-fri"),
            ("0 0 ? * mon", "?", "0 0 * * mon"),
            ("*/0 * * * *", "*/0", "* * * * *"),
            ("*/99 * * * *", "*/99", "* * * * *"),
            ("0 17-9 * * *", "17-9", "0 9-17 * * *"),
            ("0 6,x * * *", "x", ""),
            ("0 6, * * *", "", ""),
            ("0 0 * * mon#6", "mon#6", "0 0 * * mon#1"),
            ("0 0 30 2 *", "30", "0 0 L 2 *"),
            ("0 0 31 apr,jun *", "31", "0 0 L apr,jun *"),
            ("-1 0 * * *", "-1", ""),
            ("99999999999 0 * * *", "99999999999", ""),
            ("\u{fc}\u{fc} 0 * * *", "\u{fc}\u{fc}", ""),
        ];
        for (text, underlined, mended) in table {
            let bad = parse(text, "UTC").expect_err(text);
            assert_eq!(&text[bad.at.0..bad.at.1], underlined, "{text}");
            assert_eq!(
                bad.instead.unwrap_or_default(),
                mended,
                "{text}: {}",
                bad.message
            );
            if !mended.is_empty() {
                assert!(parse(mended, "UTC").is_ok(), "{mended}");
            }
        }
    }
}
