//! Stopping: a switch that every node obeys, and a node that can hear of none.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::cluster::{Cluster, deliver, send};

/// How long after a switch the last request may arrive, on a machine where much else runs.
const BOUND: Duration = Duration::from_secs(10);

/// What waits.
const READY: [&str; 6] = ["effect", "list", "--state", "ready", "--limit", "10000"];

fn held(effects: &Json) -> usize {
    let all = effects.as_array().unwrap();
    all.iter().filter(|e| e["state"] == "ready").count()
}

#[test]
fn a_switch_stops_every_node() {
    const ROUNDS: usize = 8;
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    cluster.share_key("n3");
    let doors = cluster.node("n1", &["--role", "ingress"]);
    let workers = [
        cluster.node("n2", &["--role", "worker"]),
        cluster.node("n3", &["--role", "worker"]),
    ];
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut took = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                deliver(doors.address, &secret, next.fetch_add(1, Ordering::Relaxed));
            }
        });
        let seen = || cluster.crm.requests().len();
        for _ in 0..ROUNDS {
            let before = seen();
            while seen() < before + 5 {
                thread::yield_now();
            }
            cluster.json(&["kill", "set", "everything", "--reason", "drill"]);
            let set = Instant::now();
            // Nothing is on its way any more, and more and more waits: from here on nothing may arrive.
            cluster.until(
                &["effect", "list", "--state", "dispatching"],
                "quiet",
                |l| l.as_array().unwrap().is_empty(),
            );
            took.push(set.elapsed());
            let quiet = seen();
            let waiting = held(&cluster.json(&READY));
            cluster.until(&READY, "more waits", |l| held(l) > waiting + 2);
            assert_eq!(seen(), quiet, "a request left after the switch");
            cluster.json(&["kill", "clear", "everything", "--reason", "drill"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    took.sort();
    eprintln!(
        "until nothing was on its way: median {:?}, longest {:?} of {ROUNDS}",
        took[ROUNDS / 2],
        took[ROUNDS - 1]
    );
    assert!(took[ROUNDS - 1] < BOUND, "{took:?}");
    let leads = next.load(Ordering::Relaxed);
    cluster.until_closed(leads);
    cluster.each_written_once(leads);
    drop(workers);
}

#[test]
fn a_switch_for_messages_closes_the_doors_of_every_node() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let (one, two) = (cluster.node("n1", &[]), cluster.node("n2", &[]));
    deliver(two.address, &secret, 1);
    for (command, closed) in [("set", true), ("clear", false)] {
        cluster.json(&["kill", command, "ingest", "--reason", "drill"]);
        let begun = Instant::now();
        for node in [&one, &two] {
            while send(node.address, &secret, 1).is_ok_and(|a| a.status < 300) == closed {
                assert!(begun.elapsed() < BOUND, "{command} did not come about");
            }
        }
        eprintln!("ingest {command}: {:?} over both nodes", begun.elapsed());
    }
}

/// Whether a wire is cut, and how to wait until it is mended.
type Cut = Arc<(Mutex<bool>, Condvar)>;

/// Passes bytes on between nodes and the server, until it is cut.
struct Wire {
    dir: TempDir,
    cut: Cut,
}

impl Wire {
    fn to(server: PathBuf) -> Wire {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let cut = Cut::default();
        let is_cut = Arc::clone(&cut);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&server) else {
                    return;
                };
                let ends = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (from, to) in ends {
                    let cut = Arc::clone(&is_cut);
                    thread::spawn(move || carry(from, to, &cut));
                }
            }
        });
        Wire { dir, cut }
    }

    fn is_cut(&self, cut: bool) {
        *self.cut.0.lock().unwrap() = cut;
        self.cut.1.notify_all();
    }
}

/// While it is cut nothing arrives, and nobody is told.
fn carry(mut from: UnixStream, mut to: UnixStream, (is_cut, mended): &(Mutex<bool>, Condvar)) {
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        drop(
            mended
                .wait_while(is_cut.lock().unwrap(), |cut| *cut)
                .unwrap(),
        );
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    // The other end has gone.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_node_that_is_cut_off_stops_by_its_own_clock_and_goes_on_when_nobody_took_over() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    let wire = Wire::to(cluster.database.socket());
    let url = cluster.database.url_over(wire.dir.path());
    let node = cluster.node_with("n1", &[], &[("THROUGHLINE_STORE", &url)]);
    deliver(node.address, &secret, 1);
    node.until_ready_says(200);
    wire.is_cut(true);
    node.until_ready_says(503);
    wire.is_cut(false);
    node.until_ready_says(200);
    deliver(node.address, &secret, 2);
    cluster.until_closed(2);
    cluster.each_written_once(2);
}

#[test]
fn a_node_that_is_cut_off_and_taken_over_ends() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let wire = Wire::to(cluster.database.socket());
    let url = cluster.database.url_over(wire.dir.path());
    let lives = cluster.node("n1", &[]);
    let cut_off = cluster.node_with("n2", &[], &[("THROUGHLINE_STORE", &url)]);
    deliver(cut_off.address, &secret, 1);
    wire.is_cut(true);
    cluster.until_taken_over();
    cut_off.until_ready_says(503);
    wire.is_cut(false);
    assert_eq!(cut_off.wait(), 5, "{}", cluster.logs());
    deliver(lives.address, &secret, 2);
    cluster.until_closed(2);
    cluster.each_written_once(2);
}
