//! A count over the last so many seconds.

use tl_kernel::time::SECOND;

/// What was counted in the last `N` seconds, in steps of a second: the present one and the `N - 1` before it.
#[derive(Debug, Clone)]
pub(super) struct Window<const N: usize> {
    counts: [u32; N],
    total: u32,
    /// The newest second that was looked at.
    newest: i64,
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Window {
            counts: [0; N],
            total: 0,
            newest: i64::MIN / SECOND,
        }
    }
}

impl<const N: usize> Window<N> {
    /// Counts one at an instant, µs.
    pub(super) fn add(&mut self, now: i64) {
        self.forget_before(now);
        self.counts[place::<N>(self.newest)] += 1;
        self.total += 1;
    }

    /// How many there were in the last `N` seconds.
    pub(super) fn total(&mut self, now: i64) -> u32 {
        self.forget_before(now);
        self.total
    }

    /// When the oldest that counts will count no more, µs; `now` where nothing counts.
    pub(super) fn eases(&mut self, now: i64) -> i64 {
        self.forget_before(now);
        let seconds = N as i64;
        (self.newest - seconds + 1..=self.newest)
            .find(|second| self.counts[place::<N>(*second)] > 0)
            .map_or(now, |second| (second + seconds) * SECOND)
    }

    /// Time stands still where the clock was set back.
    fn forget_before(&mut self, now: i64) {
        let second = now.div_euclid(SECOND);
        let past = second.saturating_sub(self.newest);
        if past <= 0 {
            return;
        }
        if past >= N as i64 {
            self.counts = [0; N];
            self.total = 0;
        } else {
            for gone in self.newest + 1..=second {
                let count = &mut self.counts[place::<N>(gone)];
                self.total -= *count;
                *count = 0;
            }
        }
        self.newest = second;
    }
}

fn place<const N: usize>(second: i64) -> usize {
    second.rem_euclid(N as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_seconds_count() {
        // Instant in ms, how many are counted there, and what the total of five seconds is then.
        let table = [
            (0, 2, 2),
            (999, 1, 3),
            (1_000, 1, 4),
            (4_999, 0, 4),
            (5_000, 0, 1),
            (4_000, 1, 2), // set back: counted in the newest second
            (6_000, 0, 1),
            (9_999, 0, 1),
            (10_000, 0, 0),
            (1_000_000, 3, 3),
        ];
        let mut window = Window::<5>::default();
        for (ms, count, total) in table {
            for _ in 0..count {
                window.add(ms * 1_000);
            }
            assert_eq!(window.total(ms * 1_000), total, "at {ms} ms");
        }
    }

    #[test]
    fn it_says_when_it_eases() {
        let mut window = Window::<5>::default();
        assert_eq!(window.eases(7 * SECOND), 7 * SECOND);
        window.add(7 * SECOND + 1);
        window.add(9 * SECOND);
        assert_eq!(window.eases(9 * SECOND), 12 * SECOND);
        assert_eq!(window.eases(12 * SECOND), 14 * SECOND);
        assert_eq!(window.total(14 * SECOND), 0);
    }
}
