//! What a process has used, read from `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// Ticks per second of the times in `/proc`: 100 on every Linux that shows them to programs.
const TICKS: f64 = 100.0;

/// Seconds of processor time, in user code and in the kernel, since the process began; 0 where it is gone.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.ok().and_then(|s| cpu_of(&s)).unwrap_or(0.0)
}

/// The times are the 12th and 13th field behind the name, and a name may hold spaces and brackets.
fn cpu_of(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Seconds of processor time by name of the thread.
pub fn cpu_by_thread(pid: u32) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return out;
    };
    for task in tasks.flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        *out.entry(name.trim().to_owned()).or_default() += cpu_of(&stat).unwrap_or(0.0);
    }
    out
}

/// The process's share of the machine's memory (PSS), MiB; 0 where it is gone.
pub fn memory_mib(pid: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    pss_of(&rollup).unwrap_or(0.0) / 1024.0
}

fn pss_of(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|l| l.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// What a process had used at a moment.
#[derive(Debug)]
pub struct Used {
    cpu: f64,
    threads: BTreeMap<String, f64>,
}

impl Used {
    /// What the process has used until now; nothing where there is none.
    pub fn now(pid: Option<u32>) -> Used {
        let Some(pid) = pid else {
            return Used {
                cpu: 0.0,
                threads: BTreeMap::new(),
            };
        };
        Used {
            cpu: cpu_seconds(pid),
            threads: cpu_by_thread(pid),
        }
    }

    /// Milliseconds for each case since then: of the process, and by name of the thread.
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
        assert!(memory_mib(std::process::id()) > 0.0);
        assert!(!cpu_by_thread(std::process::id()).is_empty());
    }
}
