//! Asked to stop, with work on its way: it finishes that and ends with 0, no sender sees an error, and nothing is left in
//! doubt. Asked twice, or killed before it has ended: the next start finds everything.

use std::thread;
use std::time::{Duration, Instant};

use tl_bench::out_of;
use tl_connect::fake::crm::{Fault, On};

use super::balance::Balancer;
use super::cluster::{Cluster, PATIENCE, Traffic, deliver};
use super::figures::{at, spread, times};

/// How long a stop may take.
const GRACE: Duration = Duration::from_secs(25);
/// How long the CRM takes over a write, so that a stop meets some of them.
const WRITE: Duration = Duration::from_millis(50);
/// Messages between two stops.
const BETWEEN: u64 = 24;

/// Attempts of which nobody knows what became.
fn in_doubt(cluster: &Cluster) -> u64 {
    let sql = "SELECT count(*) FROM attempt WHERE knowledge = 'unknown'";
    cluster.database.number(sql)
}

#[test]
fn stops_under_load_leave_nothing_in_doubt_and_show_to_no_client() {
    let drains = times("TL_DRAINS", (10, 250));
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let writes = Fault::Delay(WRITE);
    cluster.crm.script(On::Writes, writes, u32::MAX);
    let secret = cluster.secret();
    cluster.share_key("n2");
    let mut nodes = vec![
        ("n1", cluster.node("n1", &[])),
        ("n2", cluster.node("n2", &[])),
    ];
    let balancer = Balancer::start();
    balancer.over(&[nodes[0].1.address, nodes[1].1.address]);
    nodes.iter().for_each(|(_, n)| n.until_ready_says(200));
    deliver(balancer.address, &secret, 0);

    let traffic = Traffic::from(1);
    // The end must not take for ever.
    let room = |lead| lead <= cluster.crm.written() as u64 + 200;
    let (mut took, mut on_their_way) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| traffic.send((balancer.address, &secret), room));
        }
        for _ in 0..drains {
            // Both work before one of them goes.
            traffic.wait_for(BETWEEN);
            let (name, stopping) = nodes.remove(0);
            on_their_way.push(cluster.crm.busy().into());
            let begun = Instant::now();
            assert_eq!(stopping.stop(), 0, "{}", cluster.logs());
            assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
            took.push(begun.elapsed().as_millis() as u64);
            let node = cluster.node(name, &[]);
            node.until_ready_says(200);
            nodes.push((name, node));
            let all: Vec<_> = nodes.iter().map(|(_, n)| n.address).collect();
            balancer.over(&all);
        }
        traffic.end();
    });
    let (leads, errors) = traffic.outcome();
    let doubts = in_doubt(&cluster);
    println!(
        "stops under load (TL_DRAINS={drains}): messages with an error: {}; effects in doubt: {}; a stop took {} ms and \
         met {} effects",
        out_of(errors.len() as u64, leads),
        out_of(doubts, leads),
        spread(&took),
        spread(&on_their_way)
    );
    assert!(errors.is_empty(), "{errors:#?}\n{}", cluster.logs());
    assert!(at(&on_their_way, 0.5) > 0, "the stops met nothing");
    // At most one in a thousand.
    assert!(doubts * 1_000 <= leads, "{doubts} of {leads}");
    cluster.until_closed(leads);
    cluster.each_written_once(leads);
    cluster.audit_is_whole();
    println!(
        "stops that lost or doubled something: {}",
        out_of(0, drains)
    );
}

/// A stop that waits for a CRM which takes a write and never answers is ended by a signal; the next start.
fn cut_short(cluster: &Cluster, signal: &str, code: i32) {
    const LEADS: u64 = 8;
    let never = Fault::SilenceAfterApplying;
    cluster.crm.script(On::Writes, never, 3);
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    (0..LEADS).for_each(|lead| deliver(node.address, &secret, lead));
    let begun = Instant::now();
    while cluster.crm.busy() != 3 || cluster.crm.written() < LEADS as usize {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        thread::yield_now();
    }
    node.signal("TERM");
    let told = Instant::now();
    node.until_ready_says(503);
    // It would go on waiting.
    while told.elapsed() < Duration::from_secs(2) {
        thread::yield_now();
    }
    node.until_ready_says(503);
    let again = Instant::now();
    node.signal(signal);
    assert_eq!(node.wait(), code, "{}", cluster.logs());
    assert!(again.elapsed() < Duration::from_secs(3), "{signal}");
    let said = cluster.logs().contains("a second signal came");
    assert_eq!(said, code >= 0, "{}", cluster.logs());
    let node = cluster.node("n1", &[]);
    cluster.until_closed(LEADS);
    cluster.each_written_once(LEADS);
    cluster.audit_is_whole();
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_stop_that_is_cut_short_loses_nothing() {
    for (signal, code) in [("TERM", 1), ("INT", 1), ("KILL", -1)] {
        let (Some(file), Some(server)) = (Cluster::new(), Cluster::new()) else {
            return;
        };
        file.keeps_a_file();
        thread::scope(|scope| {
            for cluster in [&file, &server] {
                scope.spawn(move || cut_short(cluster, signal, code));
            }
        });
    }
}

#[test]
#[ignore = "waits as long as a stop may take; part of the long tests"]
fn a_vendor_that_never_answers_keeps_no_stop_from_its_end() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let never = Fault::SilenceAfterApplying;
    cluster.crm.script(On::Writes, never, u32::MAX);
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    (0..5).for_each(|lead| deliver(node.address, &secret, lead));
    let begun = Instant::now();
    while cluster.crm.busy() < 5 {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        thread::yield_now();
    }
    let begun = Instant::now();
    assert_eq!(node.stop(), 0, "{}", cluster.logs());
    let took = begun.elapsed();
    println!("a stop with five requests that nobody answers took {took:?}");
    assert!(took < GRACE, "{took:?}");
    cluster.crm.heal();
    let node = cluster.node("n1", &[]);
    cluster.until_closed(5);
    cluster.each_written_once(5);
    assert_eq!(node.stop(), 0);
}
