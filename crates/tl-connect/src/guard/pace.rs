//! How often a vendor may be asked: a bucket that fills with time. What finds it empty waits for its own place.

use tl_kernel::connector::Rate;
use tl_kernel::time::SECOND;

/// The bucket. Without a rate everything goes.
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Option<Rate>,
    /// Nodes that ask the same vendor; each keeps to its part.
    nodes: u32,
    /// When the bucket is full again, µs.
    full_at: i64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            rate: None,
            nodes: 1,
            full_at: 0,
        }
    }
}

impl Pace {
    /// The rate that the connector's file states.
    pub fn set(&mut self, rate: Option<Rate>) {
        self.rate = rate;
    }

    /// So many nodes share the rate from now on.
    pub fn shared_by(&mut self, nodes: u32) {
        self.nodes = nodes.max(1);
    }

    /// Until when a request waits, µs; `None`: it may go.
    pub fn wait(&self, now: i64) -> Option<i64> {
        let rate = self.rate?;
        let burst = (rate.burst / self.nodes).max(1);
        let room = i64::from(burst - 1) * self.spacing(rate);
        let earliest = self.full_at.saturating_sub(room);
        (now < earliest).then_some(earliest)
    }

    /// A request goes.
    pub fn goes(&mut self, now: i64) {
        if let Some(rate) = self.rate {
            self.full_at = self.full_at.max(now).saturating_add(self.spacing(rate));
        }
    }

    /// Time between two requests of this node in the long run, µs.
    fn spacing(&self, rate: Rate) -> i64 {
        SECOND * 1_000 * i64::from(self.nodes) / i64::from(rate.per_second_milli.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_one_by_one() {
        let mut pace = Pace::default();
        pace.goes(0);
        assert_eq!(pace.wait(0), None, "nothing is stated");
        pace.set(Some(Rate {
            per_second_milli: 2_000,
            burst: 3,
        }));
        for n in 0..3 {
            assert_eq!(pace.wait(0), None, "{n}");
            pace.goes(0);
        }
        assert_eq!(pace.wait(0), Some(SECOND / 2));
        assert_eq!(pace.wait(SECOND / 2), None);
        pace.goes(SECOND / 2);
        assert_eq!(pace.wait(SECOND / 2), Some(SECOND));
        // After a pause the whole burst is there again.
        for n in 0..3 {
            assert_eq!(pace.wait(9 * SECOND), None, "{n}");
            pace.goes(9 * SECOND);
        }
        assert!(pace.wait(9 * SECOND).is_some());
    }

    /// Requests that all nodes together send in ten seconds when each sends whenever it may.
    #[test]
    fn nodes_together_keep_to_the_rate() {
        let rate = |per_second: u32, burst| Rate {
            per_second_milli: per_second * 1_000,
            burst,
        };
        let table = [
            // One more than in the long run: the first of each node goes at once.
            (rate(10, 1), 1, 101),
            (rate(10, 1), 2, 102),
            (rate(10, 1), 5, 105),
            (rate(10, 6), 1, 106),
            (rate(10, 6), 2, 106),
            (rate(10, 6), 3, 105),
            // Every node has a burst of one at least.
            (rate(10, 2), 4, 104),
        ];
        for (rate, nodes, wanted) in table {
            let mut went = 0;
            for _ in 0..nodes {
                let mut pace = Pace::default();
                pace.set(Some(rate));
                pace.shared_by(nodes);
                let mut now = 0;
                while now <= 10 * SECOND {
                    match pace.wait(now) {
                        Some(until) => now = until,
                        None => {
                            pace.goes(now);
                            went += 1;
                        }
                    }
                }
            }
            assert_eq!(went, wanted, "{rate:?} over {nodes}");
        }
    }

    #[test]
    fn a_node_that_joins_halves_what_is_left() {
        let mut pace = Pace::default();
        pace.set(Some(Rate {
            per_second_milli: 1_000,
            burst: 1,
        }));
        pace.goes(0);
        assert_eq!(pace.wait(0), Some(SECOND));
        pace.shared_by(2);
        pace.goes(SECOND);
        assert_eq!(pace.wait(SECOND), Some(3 * SECOND));
        pace.shared_by(0);
        pace.goes(3 * SECOND);
        assert_eq!(pace.wait(3 * SECOND), Some(4 * SECOND));
    }
}
