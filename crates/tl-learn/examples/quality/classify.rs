//! The classifier on a set of messages with their labels: `text,label` rows, the right label last.

use std::time::{Duration, Instant};

use tl_learn::classify::{Classifier, Example, TrainOptions};
use tl_learn::eval::{Answer, report};

use super::{read, share};

pub fn run(train: &str, test: &str, out_of_scope: Option<&str>) {
    let (train, test) = (rows(&read(train)), rows(&read(test)));
    let begun = Instant::now();
    let model =
        Classifier::train(&train, &TrainOptions::default()).expect("examples that can be learnt");
    println!(
        "examples {}, labels {}, trained in {:.2?}",
        train.len(),
        model.labels().len(),
        begun.elapsed()
    );
    let bytes = model.to_bytes();
    println!(
        "temperature {:.3}, weight of meaning {}, {} bytes",
        model.temperature(),
        model.meaning(),
        bytes.len()
    );

    let mut times = Vec::with_capacity(test.len());
    let mut said = Vec::with_capacity(test.len());
    for row in &test {
        let begun = Instant::now();
        said.push(model.predict(&row.text));
        times.push(begun.elapsed());
    }
    let answers: Vec<Answer> = test
        .iter()
        .zip(&said)
        .map(|(row, said)| Answer {
            truth: row.label.clone(),
            said: Some(said.label.clone()),
            confidence: said.confidence,
        })
        .collect();
    let found = report(&answers);
    let right = answers.iter().filter(|a| a.right()).count();
    println!(
        "right {}, macro F1 {:.3}",
        share(right, answers.len()),
        found.macro_f1
    );
    println!("ECE {:.4}, Brier {:.4}", found.ece, found.brier);
    for row in &found.coverage {
        println!(
            "coverage at {:.0} % errors {:.3}, promised at 95 % {:.3}",
            100.0 * row.max_error,
            row.wished.value,
            row.certified.value
        );
    }
    println!(
        "predict p50 {:.3?}, p99 {:.3?}",
        part(&mut times, 0.5),
        part(&mut times, 0.99)
    );
    if let Some(path) = out_of_scope {
        strangers(
            &model,
            &said
                .iter()
                .map(|s| (s.confidence, s.familiarity))
                .collect::<Vec<_>>(),
            path,
        );
    }
}

/// How well messages of no label are told from the others.
fn strangers(model: &Classifier, own: &[(f64, f64)], path: &str) {
    let other: Vec<(f64, f64)> = rows(&read(path))
        .iter()
        .map(|r| model.predict(&r.text))
        .map(|s| (s.confidence, s.familiarity))
        .collect();
    let by = |what: &str, score: fn(&(f64, f64)) -> f64| {
        let own: Vec<f64> = own.iter().map(score).collect();
        let other: Vec<f64> = other.iter().map(score).collect();
        println!(
            "out of scope by {what}: AUROC {:.4}, false alarms at 95 % found {:.3}",
            area(&own, &other),
            false_alarms(&own, &other)
        );
    };
    by("confidence", |s| s.0);
    by("familiarity", |s| s.1);
    let strange = |all: &[(f64, f64)]| all.iter().filter(|s| s.1 < model.least_familiar()).count();
    println!(
        "taken for strange: out of scope {}, in scope {}",
        share(strange(&other), other.len()),
        share(strange(own), own.len())
    );
}

/// Chance that a message in scope scores higher than one out of scope.
fn area(own: &[f64], other: &[f64]) -> f64 {
    let mut sorted = own.to_vec();
    sorted.sort_by(f64::total_cmp);
    let higher: f64 = other
        .iter()
        .map(|o| {
            let below = sorted.partition_point(|s| s < o);
            let equal = sorted.partition_point(|s| s <= o) - below;
            (sorted.len() - below - equal) as f64 + 0.5 * equal as f64
        })
        .sum();
    higher / (own.len() * other.len()) as f64
}

/// Share of out-of-scope messages above the score that 95 % of the messages in scope reach.
fn false_alarms(own: &[f64], other: &[f64]) -> f64 {
    let mut sorted = own.to_vec();
    sorted.sort_by(f64::total_cmp);
    let edge = sorted[sorted.len() / 20];
    other.iter().filter(|o| **o >= edge).count() as f64 / other.len() as f64
}

fn part(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share) as usize]
}

/// `text,label` rows with a head; the text may be quoted.
fn rows(text: &str) -> Vec<Example> {
    let mut out = Vec::new();
    let mut row = String::new();
    for line in text.lines().skip(1) {
        row.push_str(line);
        // A row goes on while a quote is open.
        if row.matches('"').count() % 2 == 1 {
            row.push('\n');
            continue;
        }
        if let Some((text, label)) = row.rsplit_once(',') {
            let text = text
                .trim()
                .strip_prefix('"')
                .and_then(|t| t.strip_suffix('"'))
                .unwrap_or(text);
            out.push(Example {
                text: text.replace("\"\"", "\""),
                label: label.trim().to_owned(),
            });
        }
        row.clear();
    }
    out
}
