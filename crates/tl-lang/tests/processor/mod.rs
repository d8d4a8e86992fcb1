//! Time on a processor: what a test took itself, whatever else the machine does.

use std::time::Duration;

/// How long this thread has been on a processor. The kernel counts it up when a thread steps aside.
pub fn time() -> Duration {
    std::thread::yield_now();
    let counted =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    let nanos = counted
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds"))
}
