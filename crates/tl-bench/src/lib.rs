//! What the programs of the benchmark share. Nothing of the product is used here: what measures must not depend on
//! what is measured.

pub mod http;
pub mod lead;
pub mod process;

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock, nanoseconds: comparable between the processes of one machine.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| d.as_nanos() as u64)
}

/// The value below which the given share of the sorted values lies; 0 where there is none.
pub fn quantile(sorted: &[u64], share: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}

/// Two digits behind the point are enough for every figure.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let table: [(&[u64], f64, u64); 5] = [
            (&[], 0.5, 0),
            (&[7], 0.99, 7),
            (&[1, 2, 3], 0.5, 2),
            (&[1, 2, 3, 4, 5], 1.0, 5),
            (&[1, 2, 3, 4, 5], 0.0, 1),
        ];
        for (values, share, want) in table {
            assert_eq!(quantile(values, share), want, "{values:?} at {share}");
        }
    }
}
