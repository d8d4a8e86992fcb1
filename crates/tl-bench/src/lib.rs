//! What the programs of the benchmark share. Nothing of the product is used here: what measures must not depend on
//! what is measured.

pub mod crm;
pub mod http;
pub mod lead;
pub mod load;
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

/// Jain's index of how evenly something is spread: 1 where each has as much, 1/n where one of n has all.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|s| *s as f64).sum();
    let squares: f64 = shares.iter().map(|s| (*s as f64).powi(2)).sum();
    match squares {
        0.0 => 1.0,
        squares => sum * sum / (shares.len() as f64 * squares),
    }
}

/// Two digits behind the point are enough for every figure.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// What was not seen once in so many independent tries is rarer than this, with a confidence of 95 %.
pub fn upper_bound(tries: u64) -> f64 {
    match tries {
        0 => 1.0,
        tries => 1.0 - 0.05_f64.powf(1.0 / tries as f64),
    }
}

/// So many of so many; where there are none, with what that says at 95 %.
pub fn out_of(count: u64, tries: u64) -> String {
    if count > 0 || tries == 0 {
        return format!("{count} of {tries}");
    }
    let percent = upper_bound(tries) * 100.0;
    // Two digits that say something.
    let digits = (1.0 - percent.log10().floor()).max(0.0) as usize;
    format!("0 of {tries} (≤ {percent:.digits$} % at 95 %)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_told_with_its_bound() {
        let table = [
            (0, 89_125, "0 of 89125 (≤ 0.0034 % at 95 %)"),
            (0, 200, "0 of 200 (≤ 1.5 % at 95 %)"),
            (0, 20, "0 of 20 (≤ 14 % at 95 %)"),
            (0, 1, "0 of 1 (≤ 95 % at 95 %)"),
            (0, 0, "0 of 0"),
            (2, 200, "2 of 200"),
        ];
        for (count, tries, want) in table {
            assert_eq!(out_of(count, tries), want);
        }
    }

    #[test]
    fn what_is_spread_evenly_has_an_index_of_one() {
        let table: [(&[u64], f64); 5] = [
            (&[], 1.0),
            (&[0, 0], 1.0),
            (&[7, 7, 7], 1.0),
            (&[9, 0, 0], 1.0 / 3.0),
            (&[2, 4], 0.9),
        ];
        for (shares, want) in table {
            assert!((jain(shares) - want).abs() < 1e-9, "{shares:?}");
        }
    }

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
