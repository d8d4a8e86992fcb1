//! Nodes that die, and nodes that are dead only to the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::cluster::{Cluster, deliver};

/// Sends leads from several senders until so many are taken; `at` is called once when half of them are.
fn load(to: std::net::SocketAddr, secret: &str, leads: u64, at: impl FnOnce() + Send) {
    let (next, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let lead = next.fetch_add(1, Ordering::Relaxed);
                    if lead >= leads {
                        return;
                    }
                    deliver(to, secret, lead);
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while taken.load(Ordering::Relaxed) < leads / 2 {
            thread::yield_now();
        }
        at();
    });
}

#[test]
fn a_worker_that_dies_loses_nothing_and_doubles_nothing() {
    const LEADS: u64 = 160;
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    cluster.share_key("n3");
    let doors = cluster.node("n1", &["--role", "ingress"]);
    let dies = cluster.node("n2", &["--role", "worker"]);
    let lives = cluster.node("n3", &["--role", "worker"]);
    load(doors.address, &secret, LEADS, || dies.signal("KILL"));
    assert_eq!(dies.wait(), -1);
    cluster.until_closed(LEADS);
    cluster.each_written_once(LEADS);
    cluster.audit_is_whole();
    assert_eq!((lives.stop(), doors.stop()), (0, 0));
}

#[test]
fn a_node_that_stood_still_past_its_lease_is_fenced() {
    const LEADS: u64 = 80;
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let lives = cluster.node("n1", &[]);
    let zombie = cluster.node("n2", &[]);
    assert_eq!(cluster.live().len(), 2);
    // Both send while one of them is stopped in the middle of it.
    load(lives.address, &secret, LEADS, || zombie.signal("STOP"));
    cluster.until_taken_over();
    cluster.until_closed(LEADS);
    cluster.each_written_once(LEADS);
    // Its epoch was raised, so that whatever it still holds in its hands counts for nothing.
    zombie.signal("CONT");
    assert_eq!(zombie.wait(), 5, "{}", cluster.logs());
    assert!(cluster.logs().contains("TL0606"), "{}", cluster.logs());
    cluster.each_written_once(LEADS);
    cluster.audit_is_whole();

    // Started again it is a node like any other.
    let again = cluster.node("n2", &[]);
    deliver(again.address, &secret, LEADS);
    cluster.until_closed(LEADS + 1);
    assert_eq!((again.stop(), lives.stop()), (0, 0));
}
