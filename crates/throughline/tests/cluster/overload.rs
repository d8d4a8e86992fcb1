//! More than can be done: the doors say so and when to come again, and what they took is done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tl_connect::fake::crm::{Fault, On};

use super::cluster::{Cluster, PATIENCE, deliver, send};
use super::figures::{at, spread};

/// One at a time, and so long for each: at most twenty a second.
const WRITE: Duration = Duration::from_millis(50);
/// More than can be done in the ten seconds after which the doors close, and not so much more that it takes for ever.
const AHEAD: u64 = 260;
/// Refusals, until it is enough.
const REFUSALS: usize = 60;
/// From the end of the load until messages are taken again.
const RECOVERY: Duration = Duration::from_secs(60);

#[test]
fn too_much_is_refused_with_a_time_and_what_was_taken_is_done() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.keeps_a_file();
    cluster.change("lease = \"5s\"", "slots = 1");
    cluster
        .crm
        .script(On::Writes, Fault::Delay(WRITE), u32::MAX);
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    let (next, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    let refused = Mutex::new(Vec::new());
    let answers = Mutex::new(Vec::new());
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(begun.elapsed() < PATIENCE, "nothing was refused");
                    if taken.load(Ordering::Relaxed) > cluster.crm.written() as u64 + AHEAD {
                        thread::yield_now();
                        continue;
                    }
                    let lead = next.fetch_add(1, Ordering::Relaxed);
                    let sent = Instant::now();
                    let answer = send(node.address, &secret, lead).unwrap();
                    if (200..300).contains(&answer.status) {
                        taken.fetch_add(1, Ordering::Relaxed);
                        let took = sent.elapsed().as_millis() as u64;
                        answers.lock().unwrap().push(took);
                        continue;
                    }
                    let mut refused = refused.lock().unwrap();
                    refused.push((lead, answer));
                    over.fetch_or(refused.len() >= REFUSALS, Ordering::Relaxed);
                }
            });
        }
    });
    let refused = refused.into_inner().unwrap();
    for (lead, answer) in &refused {
        assert_eq!(answer.status, 503, "{lead}: {answer:?}");
        let wait = answer.retry_after;
        assert!(
            wait.is_some_and(|s| (5..=60).contains(&s)),
            "{lead}: {answer:?}"
        );
    }
    // The refused ones come again.
    let ended = Instant::now();
    deliver(node.address, &secret, refused[0].0);
    let back = ended.elapsed();
    for (lead, _) in &refused[1..] {
        deliver(node.address, &secret, *lead);
    }
    let leads = next.load(Ordering::Relaxed);
    cluster.until_closed(leads);
    cluster.each_written_once(leads);
    cluster.audit_is_whole();
    let answers = answers.into_inner().unwrap();
    println!(
        "{} taken in {} ms each, {} refused with a time, taken again after {back:?}; {leads} done",
        answers.len(),
        spread(&answers),
        refused.len()
    );
    assert!(back < RECOVERY, "{back:?}");
    assert!(at(&answers, 0.5) < 500, "{answers:?}");
    assert_eq!(node.stop(), 0);
}
