//! Stopping: a switch that every node obeys, and a node that can hear of none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tl_bench::out_of;
use tl_connect::fake::crm::{Fault, On};

use super::cable::{Cable, Passes};
use super::cluster::{Cluster, PATIENCE, deliver, send};
use super::figures::{at, spread, times};

/// How long after a switch nothing more may be on its way, on a machine where much else runs.
const BOUND: Duration = Duration::from_secs(10);
/// How long after the command has answered the last request may arrive, ms.
const LAST: u64 = 1_000;

/// What waits.
const READY: [&str; 6] = ["effect", "list", "--state", "ready", "--limit", "10000"];

fn held(effects: &Json) -> usize {
    let all = effects.as_array().unwrap();
    all.iter().filter(|e| e["state"] == "ready").count()
}

#[test]
fn a_switch_stops_every_node() {
    let rounds = times("TL_SWITCHES", (10, 200));
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
    // Messages so far, and how many there may be: a backlog that grows from round to round would close the doors.
    let (next, most, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let more = |n| most.store(next.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    let (mut from_order, mut from_answer) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if next.load(Ordering::Relaxed) >= most.load(Ordering::Relaxed) {
                    thread::yield_now();
                    continue;
                }
                deliver(doors.address, &secret, next.fetch_add(1, Ordering::Relaxed));
            }
        });
        let seen = || cluster.crm.asked();
        for _ in 0..rounds {
            let (before, begun) = (seen(), Instant::now());
            more(60);
            while seen() < before + 5 {
                assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
                thread::yield_now();
            }
            // The switch is committed somewhere between these two.
            let ordered = Instant::now();
            cluster.json(&["kill", "set", "everything", "--reason", "drill"]);
            let answered = Instant::now();
            // Nothing is on its way any more, and more and more waits: from here on nothing may arrive.
            cluster.until(
                &["effect", "list", "--state", "dispatching"],
                "quiet",
                |l| l.as_array().unwrap().is_empty(),
            );
            assert!(answered.elapsed() < BOUND, "{:?}", answered.elapsed());
            let quiet = seen();
            let waiting = held(&cluster.json(&READY));
            more(20);
            cluster.until(&READY, "more waits", |l| held(l) > waiting + 2);
            assert_eq!(seen(), quiet, "a request left after the switch");
            let last = cluster.crm.last_asked().unwrap();
            let since = |begun| last.saturating_duration_since(begun).as_millis() as u64;
            from_order.push(since(ordered));
            from_answer.push(since(answered));
            cluster.json(&["kill", "clear", "everything", "--reason", "drill"]);
            cluster.until(&READY, "what waited is done", |l| held(l) < 20);
        }
        done.store(true, Ordering::Relaxed);
    });
    println!(
        "switches of three nodes (TL_SWITCHES={rounds}): a request left after one was in force: {}; the last request, ms: \
         from the order on {}, from the answer on {}",
        out_of(0, rounds),
        spread(&from_order),
        spread(&from_answer)
    );
    assert!(at(&from_answer, 0.99) < LAST, "{from_answer:?}");
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

#[test]
fn a_node_that_is_cut_off_stops_by_its_own_clock_and_goes_on_when_nobody_took_over() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    let cable = Cable::to(cluster.database.socket());
    let url = cluster.database.url_over(cable.sockets());
    let node = cluster.node_with("n1", &[], &[("THROUGHLINE_STORE", &url)]);
    deliver(node.address, &secret, 1);
    node.until_ready_says(200);
    cable.now(Passes::Nothing);
    node.until_ready_says(503);
    cable.now(Passes::AtOnce);
    node.until_ready_says(200);
    deliver(node.address, &secret, 2);
    cluster.until_closed(2);
    cluster.each_written_once(2);
}

#[test]
fn a_node_that_is_cut_off_sends_nothing_after_its_lease_and_obeys_the_switch_it_missed() {
    const LEASE: Duration = Duration::from_secs(8);
    const LEADS: u64 = 40;
    let Some(cluster) = Cluster::new() else {
        return;
    };
    // So slow that most of the work waits when the wire is cut.
    cluster.change("lease = \"5s\"", "lease = \"8s\"\nslots = 4");
    let slow = Fault::Delay(Duration::from_millis(200));
    cluster.crm.script(On::All, slow, u32::MAX);
    let secret = cluster.secret();
    let cable = Cable::to(cluster.database.socket());
    let url = cluster.database.url_over(cable.sockets());
    let node = cluster.node_with("n1", &[], &[("THROUGHLINE_STORE", &url)]);
    (0..LEADS).for_each(|lead| deliver(node.address, &secret, lead));
    let begun = Instant::now();
    while cluster.crm.written() < 4 {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        thread::yield_now();
    }
    cable.now(Passes::Nothing);
    let cut = Instant::now();
    // Set where the database can be reached, and before anybody may take the node's number: it cannot hear of it.
    cluster.share_key("n2");
    let set = ["kill", "set", "everything", "--reason", "drill", "--json"];
    assert!(
        cluster
            .command("n2", &set)
            .output()
            .unwrap()
            .status
            .success()
    );
    // A transaction that the cut has left open is ended by the server after three seconds.
    assert!(cut.elapsed() < LEASE, "the machine is too busy for this");
    node.until_ready_says(503);
    while cut.elapsed() < LEASE {
        thread::yield_now();
    }
    let (asked, written) = (cluster.crm.asked(), cluster.crm.written());
    assert!(written < LEADS as usize, "nothing waited: {written}");
    while cut.elapsed() < LEASE * 2 {
        thread::yield_now();
    }
    assert_eq!(cluster.crm.asked(), asked, "it was sent without a lease");
    // With the database it hears of the switch as well.
    cable.now(Passes::AtOnce);
    node.until_ready_says(200);
    let back = Instant::now();
    while back.elapsed() < LEASE / 2 {
        thread::yield_now();
    }
    let later = cluster.crm.asked() - asked;
    assert!(
        later <= 12,
        "{later} requests although a switch is set; only what was on its way is looked at again\n{}",
        cluster.logs()
    );
    cluster.json(&["kill", "clear", "everything", "--reason", "drill"]);
    cluster.until_closed(LEADS);
    cluster.each_written_once(LEADS);
}

#[test]
fn a_node_that_is_cut_off_and_taken_over_ends() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let cable = Cable::to(cluster.database.socket());
    let url = cluster.database.url_over(cable.sockets());
    let lives = cluster.node("n1", &[]);
    let cut_off = cluster.node_with("n2", &[], &[("THROUGHLINE_STORE", &url)]);
    deliver(cut_off.address, &secret, 1);
    cable.now(Passes::Nothing);
    cluster.until_taken_over();
    cut_off.until_ready_says(503);
    cable.now(Passes::AtOnce);
    assert_eq!(cut_off.wait(), 5, "{}", cluster.logs());
    deliver(lives.address, &secret, 2);
    cluster.until_closed(2);
    cluster.each_written_once(2);
}
