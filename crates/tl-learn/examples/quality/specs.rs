//! The recognisers on a public conformance suite: cases with an input and everything that must be found in it.

use serde_json::Value;
use tl_learn::recognise::{Context, Found, dates, emails, money, phones, urls};

use super::{read, share};

pub fn run(dir: &str) {
    let base = Context {
        country: Some("US".into()),
        today: (2016, 11, 7),
    };
    let file = |name: &str| -> Vec<Value> {
        let text = read(format!("{dir}/{name}.json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    judge("e-mail", &file("Sequence/English/EmailModel"), |text, _| {
        spans(text, &emails(text))
    });
    judge("URL", &file("Sequence/English/URLModel"), |text, _| {
        spans(text, &urls(text))
    });
    judge(
        "phone (place only)",
        &file("Sequence/English/PhoneNumberModel"),
        |text, _| spans(text, &phones(text, &base)),
    );
    judge(
        "money",
        &file("NumberWithUnit/English/CurrencyModel"),
        |text, _| {
            money(text, &base)
                .iter()
                .map(|m| {
                    (
                        text[m.span.start..m.span.end].to_lowercase(),
                        m.value.amount.normalize().to_string(),
                    )
                })
                .collect()
        },
    );
    judge(
        "date",
        &file("DateTime/English/DateParser"),
        |text, case| {
            let context = Context {
                country: Some("US".into()),
                today: today(case),
            };
            dates(text, &context)
                .iter()
                .map(|d| {
                    (
                        text[d.span.start..d.span.end].to_lowercase(),
                        d.value.to_string(),
                    )
                })
                .collect()
        },
    );
}

/// The day a case is read on.
fn today(case: &Value) -> (i16, i8, i8) {
    let text = case["Context"]["ReferenceDateTime"]
        .as_str()
        .unwrap_or("2016-11-07");
    let mut parts = text[..10].split('-');
    let mut next = || {
        parts
            .next()
            .and_then(|p| p.parse::<i16>().ok())
            .unwrap_or(1)
    };
    (next(), next() as i8, next() as i8)
}

fn spans<T>(text: &str, found: &[Found<T>]) -> Vec<(String, String)> {
    found
        .iter()
        .map(|f| (text[f.span.start..f.span.end].to_lowercase(), String::new()))
        .collect()
}

/// What must be found: the text, and its value where the recogniser gives one.
fn expected(case: &Value) -> Vec<(String, Vec<String>)> {
    let results = case["Results"].as_array().into_iter().flatten();
    results
        .map(|r| {
            let text = r["Text"].as_str().unwrap_or_default().to_lowercase();
            let values = [
                &r["Resolution"]["value"],
                &r["Value"]["FutureResolution"]["date"],
                &r["Value"]["PastResolution"]["date"],
            ];
            let mut values: Vec<String> = values
                .iter()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect();
            // The suite counts in cents and pence, we in what a hundred of them make.
            let unit = r["Resolution"]["unit"].as_str().unwrap_or_default();
            let hundredths = ["Cent", "Pence", "Penny"].contains(&unit);
            if let Some(value) = values.first_mut().filter(|_| hundredths) {
                *value = (value.parse::<f64>().unwrap_or(f64::NAN) / 100.0).to_string();
            }
            (text, values)
        })
        .collect()
}

fn judge(name: &str, cases: &[Value], find: impl Fn(&str, &Value) -> Vec<(String, String)>) {
    let (mut full, mut places, mut total) = (0, 0, 0);
    let mut wrong = Vec::new();
    for case in cases {
        let unsupported = case["NotSupported"].as_str().unwrap_or_default();
        if unsupported.contains("dotnet") {
            continue;
        }
        let text = case["Input"].as_str().unwrap_or_default();
        let (found, expected) = (find(text, case), expected(case));
        let place = |f: &(String, String), e: &(String, Vec<String>)| f.0.trim() == e.0.trim();
        let value =
            |f: &(String, String), e: &(String, Vec<String>)| f.1.is_empty() || e.1.contains(&f.1);
        let same = found.len() == expected.len();
        let placed = same && found.iter().zip(&expected).all(|(f, e)| place(f, e));
        let right = placed && found.iter().zip(&expected).all(|(f, e)| value(f, e));
        total += 1;
        places += usize::from(placed);
        full += usize::from(right);
        if !right {
            wrong.push(format!(
                "  {text:?}\n    found {found:?}\n    expected {expected:?}"
            ));
        }
    }
    println!(
        "{name}: place {}, place and value {}",
        share(places, total),
        share(full, total)
    );
    if std::env::var_os("SHOW_WRONG").is_some() {
        for line in wrong {
            println!("{line}");
        }
    }
}
