//! Many runs side by side.

use std::sync::Mutex;
use std::time::Duration;

use crate::report::Sum;
use crate::run::{Outcome, Plan, run};

/// As many runs at the same time as there are cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Processor time of the calling thread so far; none where the system does not say.
fn processor_time() -> Duration {
    let read = || {
        let text = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        // After the name, which may hold anything: the state, and as the 12th and 13th the time in user and system
        // mode, in hundredths of a second.
        let mut fields = text.rsplit_once(") ")?.1.split(' ').skip(11);
        let mut hundredths = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis(10 * (hundredths()? + hundredths()?)))
    };
    read().unwrap_or_default()
}

/// Makes the runs that `next` hands out, so many at a time, until it hands out nothing more. `next` sees what is done
/// so far; `seen` is shown each outcome.
pub fn many(
    jobs: usize,
    next: impl Fn(&Sum) -> Option<Plan> + Sync,
    seen: impl Fn(&Outcome) + Sync,
) -> Sum {
    let sum = Mutex::new(Sum::default());
    let locked = || sum.lock().unwrap_or_else(|e| e.into_inner());
    let work = || {
        loop {
            let Some(plan) = next(&locked()) else {
                locked().processor += processor_time();
                return;
            };
            let outcome = run(&plan);
            match outcome {
                Ok(outcome) => {
                    seen(&outcome);
                    locked().add(&outcome);
                }
                Err(e) => locked().errors.push((plan.seed, format!("{e:#}"))),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
    sum.into_inner().unwrap_or_else(|e| e.into_inner())
}
