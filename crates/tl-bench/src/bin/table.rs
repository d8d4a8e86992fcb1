//! Reads the lines of a run of scripts/bench and prints the product beside the bound. Ends with an error where an
//! acknowledged lead was lost or written twice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Value;
use tl_bench::{out_of, rounded};

const SUBJECTS: [&str; 2] = ["product", "bound"];

/// Figures of the table: what it is, the phase, where the value is in its lines.
const FIGURES: &[(&str, &str, &str)] = &[
    ("cases/s, 64 connections", "closed", "/cases_per_s"),
    ("accepted/s, 64 connections", "closed", "/accepted_per_s"),
    ("reply p50, 64 connections, ms", "closed", "/reply_ms/p50"),
    ("reply p99, 64 connections, ms", "closed", "/reply_ms/p99"),
    (
        "CPU per case, 64 connections, ms",
        "closed",
        "/cpu_ms_per_case",
    ),
    (
        "acknowledged and not yet in the CRM when sending ended",
        "closed",
        "/backlog",
    ),
    ("refused (429, 503), 64 connections", "closed", "refused"),
    ("reply p50 at 200/s, ms", "open", "/reply_ms/p50"),
    ("reply p99 at 200/s, ms", "open", "/reply_ms/p99"),
    ("end to end p50 at 200/s, ms", "open", "/e2e_ms/p50"),
    ("end to end p99 at 200/s, ms", "open", "/e2e_ms/p99"),
    ("CPU per case at 200/s, ms", "open", "/cpu_ms_per_case"),
    (
        "writes per case, each lead sent twice",
        "twice",
        "writes_per_case",
    ),
    ("syncs per case that is alone", "points", "/syncs_per_case"),
    ("store bytes per closed case", "size", "bytes_per_case"),
    ("memory idle, MiB", "warm", "/idle_mib"),
    ("memory under load, MiB", "closed", "/peak_mib"),
    ("start to ready, empty store, ms", "start", "/ready_ms"),
    ("kill -9: kill to ready, ms", "restart", "/ready_ms"),
    ("kill -9: acknowledged and lost", "kill", "/lost"),
    ("kill -9: written again with another key", "kill", "/extra"),
    ("kill -9: sent again with the same key", "kill", "/repeats"),
];

/// Figures that count something: how often it could have been. None of them is told without that, because none of ten
/// and none of ten thousand say different things.
const COUNTED: [(&str, &str); 5] = [
    ("/lost", "/acknowledged_leads"),
    ("/backlog", "/acknowledged_leads"),
    ("/extra", "/cases"),
    ("/repeats", "/cases"),
    ("refused", "answered"),
];

/// Prints the figures of a run as Markdown.
#[derive(Debug, Parser)]
struct Args {
    /// The lines of the run
    results: PathBuf,
}

struct Results(Vec<Value>);

impl Results {
    fn of<'a>(&'a self, subject: &'a str, phase: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0
            .iter()
            .filter(move |l| l["subject"] == subject && l["phase"] == phase)
    }

    fn values(&self, subject: &str, (phase, at): (&str, &str)) -> Vec<f64> {
        let value = |line: &Value| match at {
            "writes_per_case" => Some(1.0 + line["extra"].as_f64()? / line["cases"].as_f64()?),
            "refused" => {
                let of = |status: &str| line["answers"][status].as_f64().unwrap_or(0.0);
                Some(of("429") + of("503"))
            }
            "answered" => {
                let answers = line["answers"].as_object()?.values();
                Some(answers.filter_map(Value::as_f64).sum())
            }
            "bytes_per_case" => {
                Some((line["after"].as_f64()? - line["before"].as_f64()?) / self.cases_until(line))
            }
            pointer => line.pointer(pointer)?.as_f64(),
        };
        self.of(subject, phase).filter_map(value).collect()
    }

    /// A figure as it is shown: what is counted with how often it could have been, over all its lines.
    fn cell(&self, subject: &str, (phase, at): (&str, &str), values: &[f64]) -> String {
        match COUNTED.iter().find(|(what, _)| *what == at) {
            Some((_, of)) if !values.is_empty() => {
                let tries: f64 = self.values(subject, (phase, of)).iter().sum();
                out_of(values.iter().sum::<f64>() as u64, tries as u64)
            }
            _ => shown(values),
        }
    }

    /// Cases that the subject of a line had closed before it.
    fn cases_until(&self, line: &Value) -> f64 {
        let before = self.0.iter().take_while(|l| *l != line);
        before
            .filter(|l| l["subject"] == line["subject"])
            .filter_map(|l| l["cases"].as_f64())
            .sum()
    }

    /// What a run must never show.
    fn faults(&self) -> Vec<String> {
        let mut out = Vec::new();
        for line in &self.0 {
            for what in ["lost", "extra", "strange"] {
                if line[what].as_u64().is_some_and(|n| n > 0) {
                    out.push(format!(
                        "{} {}: {} {what}",
                        line["subject"], line["phase"], line[what]
                    ));
                }
            }
        }
        out
    }

    /// Milliseconds of processor time for each case by thread, the greatest first.
    fn threads(&self, subject: &str) -> Vec<(String, f64)> {
        let mut by_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for line in self.of(subject, "closed") {
            for (name, ms) in line["threads_ms_per_case"]
                .as_object()
                .into_iter()
                .flatten()
            {
                by_name.entry(name).or_default().extend(ms.as_f64());
            }
        }
        let mut out: Vec<(String, f64)> = by_name
            .into_iter()
            .filter_map(|(n, v)| Some((n.to_owned(), median(v)?)))
            .collect();
        out.sort_by(|a, b| b.1.total_cmp(&a.1));
        out
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().checked_sub(1)? / 2)?,
        values.get(values.len() / 2)?,
    );
    Some((low + high) / 2.0)
}

/// The median, and how far the values went where there were several.
fn shown(values: &[f64]) -> String {
    let Some(middle) = median(values.to_vec()) else {
        return "–".into();
    };
    let digits = |v: f64| {
        if v.abs() >= 1000.0 {
            format!("{v:.0}")
        } else {
            rounded(v).to_string()
        }
    };
    let (low, high) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
    if low == high {
        digits(middle)
    } else {
        format!("{} ({}–{})", digits(middle), digits(low), digits(high))
    }
}

fn table(results: &Results) -> String {
    let mut out =
        String::from("| Figure | Product | Bound | Product / bound |\n| --- | --- | --- | --- |\n");
    for (name, phase, at) in FIGURES {
        let [product, bound] = SUBJECTS.map(|s| results.values(s, (phase, at)));
        if product.is_empty() && bound.is_empty() {
            continue;
        }
        let ratio = match (median(product.clone()), median(bound.clone())) {
            (Some(p), Some(b)) if b > 0.0 => format!("{:.2}", p / b),
            _ => "–".into(),
        };
        let [product, bound] = [("product", product), ("bound", bound)]
            .map(|(subject, values)| results.cell(subject, (phase, at), &values));
        out += &format!("| {name} | {product} | {bound} | {ratio} |\n");
    }
    out +=
        "\n| Thread | Product, CPU ms per case | Bound, CPU ms per case |\n| --- | --- | --- |\n";
    for (at, subject) in SUBJECTS.into_iter().enumerate() {
        for (name, ms) in results.threads(subject) {
            let cells = if at == 0 {
                format!("{ms:.3} | –")
            } else {
                format!("– | {ms:.3}")
            };
            out += &format!("| {name} | {cells} |\n");
        }
    }
    out
}

fn main() -> Result<()> {
    let path = Args::parse().results;
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>();
    let results = Results(lines.with_context(|| path.display().to_string())?);
    print!("{}", table(&results));
    let faults = results.faults();
    if !faults.is_empty() {
        bail!("the run is not valid:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn results() -> Results {
        Results(vec![
            json!({ "subject": "product", "phase": "closed", "cases": 100, "cases_per_s": 10, "extra": 0,
                "threads_ms_per_case": { "writer": 0.5 } }),
            json!({ "subject": "product", "phase": "closed", "cases": 300, "cases_per_s": 30, "extra": 0,
                "backlog": 0, "acknowledged_leads": 300, "answers": { "202": 300, "503": 3 } }),
            json!({ "subject": "bound", "phase": "closed", "cases": 100, "cases_per_s": 40, "extra": 0 }),
            json!({ "subject": "product", "phase": "size", "before": 1000, "after": 801_000 }),
            json!({ "subject": "product", "phase": "twice", "cases": 10, "extra": 0 }),
            json!({ "subject": "product", "phase": "kill", "cases": 210, "extra": 0, "lost": 0, "repeats": 3,
                "acknowledged_leads": 200 }),
        ])
    }

    #[test]
    fn figures_stand_side_by_side() {
        let text = table(&results());
        let lines = [
            "| cases/s, 64 connections | 20 (10–30) | 40 | 0.50 |",
            "| store bytes per closed case | 2000 | – | – |",
            "| writes per case, each lead sent twice | 1 | – | – |",
            "| kill -9: acknowledged and lost | 0 of 200 (≤ 1.5 % at 95 %) | – | – |",
            "| kill -9: written again with another key | 0 of 210 (≤ 1.4 % at 95 %) | – | – |",
            "| kill -9: sent again with the same key | 3 of 210 | – | – |",
            "| acknowledged and not yet in the CRM when sending ended | 0 of 300 (≤ 0.99 % at 95 %) | – | – |",
            "| refused (429, 503), 64 connections | 3 of 303 |",
            "| writer | 0.500 | – |",
        ];
        for line in lines {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn a_lost_or_doubled_lead_is_a_fault() {
        assert_eq!(results().faults(), Vec::<String>::new());
        for what in ["lost", "extra", "strange"] {
            let mut broken = results();
            broken.0[4][what] = json!(1);
            assert_eq!(
                broken.faults(),
                [format!("\"product\" \"twice\": 1 {what}")]
            );
        }
    }
}
