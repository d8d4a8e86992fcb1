//! What processes have used, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// Ticks per second of the times in `/proc`: 100 on every Linux that shows them to programs.
const TICKS: f64 = 100.0;

/// Seconds of processor time, in user code and in the kernel, since the processes began; one that is gone counts as 0.
pub fn cpu_seconds(pids: &[u32]) -> f64 {
    let stats = pids
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    stats.filter_map(|s| cpu_of(&s)).sum()
}

/// The times are the 12th and 13th field behind the name, and a name may hold spaces and brackets.
fn cpu_of(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Seconds of processor time by name of the thread.
pub fn cpu_by_thread(pids: &[u32]) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    let tasks = pids
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
    for task in tasks.flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        *out.entry(name.trim().to_owned()).or_default() += cpu_of(&stat).unwrap_or(0.0);
    }
    out
}

/// The processes' share of the machine's memory (PSS), MiB; one that is gone counts as 0.
pub fn memory_mib(pids: &[u32]) -> f64 {
    let rollups = pids
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
    rollups.filter_map(|r| pss_of(&r)).sum::<f64>() / 1024.0
}

fn pss_of(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|l| l.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// What processes had used at a moment.
#[derive(Debug)]
pub struct Used {
    cpu: f64,
    threads: BTreeMap<String, f64>,
}

impl Used {
    /// What the processes have used until now.
    pub fn now(pids: &[u32]) -> Used {
        Used {
            cpu: cpu_seconds(pids),
            threads: cpu_by_thread(pids),
        }
    }

    /// Milliseconds for each case since then: of the processes, and by name of the thread.
    pub fn since(&self, before: &Used, cases: u64) -> (f64, BTreeMap<String, f64>) {
        let each = |seconds: f64| (seconds * 1e6 / cases.max(1) as f64).round() / 1000.0;
        let earlier = |name: &String| before.threads.get(name).copied().unwrap_or(0.0);
        let threads = self
            .threads
            .iter()
            .map(|(name, s)| (name.clone(), each(s - earlier(name))));
        (
            each(self.cpu - before.cpu),
            threads.filter(|(_, ms)| *ms > 0.0).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 1000 1 1";
        assert_eq!(cpu_of(stat), Some(1.75));
        assert_eq!(cpu_of("42 gone"), None);
        assert_eq!(
            pss_of("Rss:  900 kB\nPss:        512 kB\nPss_Anon: 100 kB\n"),
            Some(512.0)
        );
        assert!(memory_mib(&[std::process::id()]) > 0.0);
        assert!(!cpu_by_thread(&[std::process::id()]).is_empty());
    }
}
