//! Every key of the workflow file does something that a person can see. Each row of the tables below holds a key,
//! the file without it and with it (or with one value and another), what happens, and what a person then sees in
//! both installations. A key without a row fails by name; a key that does not exist, or whose feature comes later,
//! is refused by name.

mod acts;
mod bench;
mod refused;
mod rows;
mod seen;

use std::collections::BTreeSet;

use acts::{Act, project};
use bench::Bench;

/// One key, tried.
#[derive(Debug, Clone)]
pub struct Try {
    /// Its path; `*` stands for a name or a position.
    pub key: String,
    /// The file without the key, or with one value: what takes the place of the shortest file's keys.
    pub one: String,
    /// The file with it, or with another value.
    pub other: String,
    /// What happens in both.
    pub acts: Vec<Act>,
    /// What is seen in the first alone; empty: nothing more than in the second.
    pub in_one: &'static str,
    /// What is seen in the second alone; empty: nothing more than in the first.
    pub in_other: &'static str,
}

/// What a person sees after the acts, in an installation with this file.
async fn look(part: &str, acts: &[Act]) -> String {
    let mut bench = match Bench::new(&project(part)).await {
        Ok(bench) => bench,
        Err(findings) => return findings,
    };
    for act in acts {
        act.happen(&mut bench).await;
    }
    seen::seen(&bench).await
}

/// Why a row does not hold, if it does not.
async fn fault(t: &Try) -> Option<String> {
    let (one, other) = (look(&t.one, &t.acts).await, look(&t.other, &t.acts).await);
    let table = [
        ("first", &one, t.in_one, t.in_other),
        ("second", &other, t.in_other, t.in_one),
    ];
    let mut faults = Vec::new();
    for (which, page, shows, hides) in table {
        let to_be_refused = shows.starts_with("TL") || shows == "refused";
        if page.starts_with("refused") && !to_be_refused {
            faults.push(format!("the {which} is refused:\n{page}"));
        }
        if !page.contains(shows) {
            faults.push(format!("the {which} does not show `{shows}`:\n{page}"));
        }
        if !hides.is_empty() && page.contains(hides) {
            faults.push(format!("the {which} shows `{hides}` as well:\n{page}"));
        }
    }
    (!faults.is_empty()).then(|| format!("== {}\n{}", t.key, faults.join("\n")))
}

/// Tries every key below some of the top-level keys.
fn try_all(tops: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let below = |t: &Try| tops.contains(&t.key.split('.').next().unwrap_or_default());
    let faults: Vec<String> = rows::all()
        .iter()
        .filter(|t| below(t))
        .filter_map(|t| runtime.block_on(fault(t)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn the_head_and_the_record() {
    try_all(&["language", "workflow", "record", "settings"]);
}

#[test]
fn the_doors() {
    try_all(&["ingress"]);
}

#[test]
fn the_timetables() {
    try_all(&["schedules"]);
}

#[test]
fn the_states() {
    try_all(&["queue", "states", "transitions", "observability"]);
}

#[test]
fn the_worker() {
    try_all(&["worker"]);
}

#[test]
fn the_decision_and_the_policy() {
    try_all(&["decision", "policy", "tasks"]);
}

#[test]
fn the_side_effects() {
    try_all(&["side_effects"]);
}

/// The keys of the workflow file as the schema for editors has them.
fn keys_of_the_schema() -> BTreeSet<String> {
    fn below(path: &str, schema: &serde_json::Value, out: &mut BTreeSet<String>) {
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            let here = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            out.insert(here.clone());
            below(&here, of, out);
        }
        for part in schema["anyOf"].as_array().into_iter().flatten() {
            below(path, part, out);
        }
        for many in ["items", "additionalProperties"] {
            if schema[many].is_object() {
                below(&format!("{path}.*"), &schema[many], out);
            }
        }
    }
    let mut out = BTreeSet::new();
    below("", &tl_lang::json_schema(), &mut out);
    out
}

#[test]
fn every_key_of_the_schema_has_its_row() {
    let keys = keys_of_the_schema();
    let known: BTreeSet<String> = tl_lang::key_paths().into_iter().collect();
    assert_eq!(keys, known, "the schema and the loader know the same keys");
    let tried: BTreeSet<String> = rows::all().into_iter().map(|t| t.key).collect();
    let missing: Vec<&String> = keys.difference(&tried).collect();
    assert!(
        missing.is_empty(),
        "no row shows what these do: {missing:?}"
    );
    let strange: Vec<&String> = tried.difference(&keys).collect();
    assert!(strange.is_empty(), "these are no keys: {strange:?}");
}
