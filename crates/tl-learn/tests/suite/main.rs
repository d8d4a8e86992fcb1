//! Tests of the public face of the crate: tables in which a new case is one line.

mod addresses;
mod calibration;
mod classifier;
mod dates;
mod eval;
mod hostile;
mod mail;
mod money;
mod quantities;
mod random;
mod trust;

use tl_learn::recognise::{Context, Found};

/// A Wednesday.
const TODAY: (i16, i8, i8) = (2026, 3, 11);

fn context(country: &str) -> Context {
    Context {
        country: (!country.is_empty()).then(|| country.to_owned()),
        today: TODAY,
    }
}

/// One row of a table: country, text, and what must be found as "written=value", joined by "; ".
type Row = (&'static str, &'static str, &'static str);

/// Compares every row and reports all that differ at once.
fn check<T>(
    rows: &[Row],
    find: impl Fn(&str, &Context) -> Vec<Found<T>>,
    show: impl Fn(&T) -> String,
) {
    let mut wrong = Vec::new();
    for (country, text, expected) in rows {
        let found: Vec<String> = find(text, &context(country))
            .iter()
            .map(|f| {
                assert!(f.confidence > 0.0 && f.confidence <= 1.0, "{text}");
                format!("{}={}", &text[f.span.start..f.span.end], show(&f.value))
            })
            .collect();
        let found = found.join("; ");
        if found != *expected {
            wrong.push(format!(
                "[{country}] {text}\n  expected {expected}\n  found    {found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}
