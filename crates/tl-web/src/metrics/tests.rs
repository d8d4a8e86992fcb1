//! The series against the page that lists them, and what a workflow is called in them.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::{Class, EffectState};

use super::*;

const PAGE: &str = include_str!("../../../../docs/reference/metrics.md");
const TENANT: TenantId = TenantId(1);

/// One of everything that the store counts.
fn stats() -> Stats {
    Stats {
        cases: vec![
            (TENANT, "loud".into(), 3, 7),
            (TENANT, "loud".into(), 5, 1),
            (TENANT, "unknown".into(), 5, 1),
            (TENANT, "quiet".into(), 3, 1),
        ],
        cases_oldest: vec![(TENANT, "loud".into(), 5, 9_000_000)],
        effects_open: vec![(TENANT, "ack".into(), EffectState::Ready, 2, 3_000_000)],
        effects: vec![(Class::E1, EffectState::Succeeded, 4)],
        tasks: vec![(TENANT, "review".into(), 1, 1_000_000)],
        ..Stats::default()
    }
}

fn text() -> String {
    let metrics = Metrics::default();
    metrics.name_by(|tenant, workflow| {
        let named = Named {
            queue: "inbound".into(),
            states: ["a", "b", "c", "d", "e", "parked"]
                .map(str::to_owned)
                .into(),
            own_series: workflow == "loud",
        };
        (tenant == TENANT && workflow != "unknown").then_some(named)
    });
    metrics.answered("/metrics", 200, Duration::ZERO);
    metrics.ingested(None, "not_found");
    metrics.text(Some(&stats()), Writer::default())
}

#[test]
fn cases_are_counted_by_queue_and_named_state() {
    let text = text();
    let series =
        |labels: &str, n: u64| format!("throughline_cases{{tenant=\"1\",workflow={labels}}} {n}\n");
    for line in [
        series("\"loud\",queue=\"inbound\",state=\"needs_human\"", 7),
        series("\"loud\",queue=\"inbound\",state=\"parked\"", 1),
        series("\"unknown\",queue=\"\",state=\"5\"", 1),
        "throughline_cases_oldest_seconds{tenant=\"1\",workflow=\"loud\",queue=\"inbound\",state=\"parked\"} 9.0\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(!text.contains("quiet"), "{text}");
}

/// Rows below a heading: name → labels.
fn documented(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let part = PAGE.split(heading).nth(1).expect("the heading");
    let words = |cell: &str| {
        let between = cell.split('`').skip(1).step_by(2);
        between.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let rows = part.split("\n## ").next().unwrap_or_default().lines();
    rows.filter_map(|l| {
        let cells: Vec<&str> = l.split('|').collect();
        let name = words(cells.get(1)?).into_iter().next()?;
        Some((name, words(cells.get(3)?)))
    })
    .collect()
}

/// Family → labels of its series.
fn scraped(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            let ending = if kind == "counter" { "_total" } else { "" };
            family = format!("{name}{ending}");
            found.insert(family.clone(), BTreeSet::new());
        } else if let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            // A route has braces of its own; a label's name stands before `="`.
            let names = rest.split("=\"").map(|part| {
                let start = part.rfind([',', '{']).map_or(0, |at| at + 1);
                part[start..].to_owned()
            });
            let mut names: Vec<String> = names.collect();
            names.pop();
            let labels = names.into_iter().filter(|n| n != "le");
            found.entry(family.clone()).or_default().extend(labels);
        }
    }
    found
}

#[test]
fn every_series_is_documented_with_its_labels() {
    let found = scraped(&text());
    let sources = [include_str!("../metrics.rs"), include_str!("store.rs")];
    let registered: usize = sources
        .iter()
        .map(|s| s.matches("registry.register(").count())
        .sum();
    assert_eq!(
        found.len(),
        registered,
        "every registered family has a series here"
    );
    assert_eq!(
        found,
        documented("## Doors and store"),
        "left: the registry; right: docs/reference/metrics.md"
    );
}
