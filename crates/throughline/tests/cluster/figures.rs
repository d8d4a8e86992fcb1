//! How often things are done here, and what is told of what was measured.

use serde_json::{Value as Json, json};

/// A number from the environment, else the one for long runs or for usual ones.
pub fn times(name: &str, (usual, long): (u64, u64)) -> u64 {
    let given = std::env::var(name).ok();
    let other = tl_trial::size(usual, long);
    given.and_then(|n| n.parse().ok()).unwrap_or(other)
}

/// The value below which a share of them lies; 0 where there is none.
pub fn at(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// How far they go.
pub fn spread(values: &[u64]) -> Json {
    json!({
        "n": values.len(), "min": at(values, 0.0), "median": at(values, 0.5), "p99": at(values, 0.99),
        "max": at(values, 1.0),
    })
}
