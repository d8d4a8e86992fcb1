//! Nodes that die, and nodes that are dead only to the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tl_connect::fake::crm::{Fault, On};

use super::cluster::{Cluster, PATIENCE, deliver};

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

/// More than retries are allowed in a minute, and none of it waits for its turn: that a node died says nothing of the CRM.
#[test]
fn all_that_a_worker_had_on_its_way_goes_on_once_it_is_taken_over() {
    const LEADS: u64 = 80;
    const LEASE: Duration = Duration::from_secs(2);
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let settings = "lease = \"2s\"\nslots = 200";
    cluster.change("lease = \"5s\"", settings);
    // Nothing that the first worker asks for is answered.
    let never = Fault::Delay(PATIENCE * 10);
    cluster.crm.script(On::All, never, LEADS as u32);
    let secret = cluster.secret();
    cluster.share_key("n2");
    cluster.share_key("n3");
    let doors = cluster.node("n1", &["--role", "ingress"]);
    load(doors.address, &secret, LEADS, || ());
    // It finds all of it waiting, and begins it at once.
    let dies = cluster.node("n2", &["--role", "worker"]);
    let begun = Instant::now();
    while u64::from(cluster.crm.busy()) < LEADS {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        thread::yield_now();
    }
    let lives = cluster.node("n3", &["--role", "worker"]);
    let died = Instant::now();
    dies.kill();
    cluster.until_closed(LEADS);
    let took = died.elapsed();
    println!(
        "{LEADS} effects that a dead node had on its way were done after {took:?}, with a lease of {LEASE:?}"
    );
    assert!(
        took < Duration::from_secs(30),
        "{took:?}\n{}",
        cluster.logs()
    );
    cluster.each_written_once(LEADS);
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
