//! The database server itself ends without a word, again and again, under load: what the program has acknowledged is
//! there afterwards, and each write was made once. `TL_SERVER_CRASHES` says how often.

use std::thread;
use std::time::Instant;

use tl_bench::out_of;
use tl_trial::postgres::{Own, Server};

use super::cluster::{Cluster, PATIENCE, deliver};
use super::figures::{spread, times};
use super::postgres::Database;

/// Senders, and messages of each around a crash.
const SENDERS: u64 = 4;
const AROUND: u64 = 6;

#[test]
fn a_server_that_crashes_takes_nothing_that_was_acknowledged() {
    let crashes = times("TL_SERVER_CRASHES", (3, 100));
    let Some(server) = Server::of_one_test(&Own::default()) else {
        return;
    };
    // It lives as long as the process, as that of the other tests does.
    let cluster = Cluster::over(Database::on(Box::leak(Box::new(server))));
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    node.until_ready_says(200);
    let (mut taken, mut back) = (0, Vec::new());
    for _ in 0..crashes {
        // In the middle of these; each is sent until it is taken.
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let first = taken + sender * AROUND;
                let (to, secret) = (node.address, secret.as_str());
                scope.spawn(move || {
                    (first..first + AROUND).for_each(|lead| deliver(to, secret, lead));
                });
            }
            let (before, begun) = (cluster.crm.written(), Instant::now());
            while cluster.crm.written() == before {
                assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
                thread::yield_now();
            }
            cluster.database.crash_server();
        });
        taken += SENDERS * AROUND;
        let begun = Instant::now();
        deliver(node.address, &secret, taken);
        back.push(begun.elapsed().as_millis() as u64);
        taken += 1;
    }
    let begun = Instant::now();
    cluster.until_closed(taken);
    let caught_up = begun.elapsed();
    cluster.each_written_once(taken);
    // The program has outlived each crash and knows what became of all that it had sent.
    let forgotten = "SELECT count(*) FROM attempt WHERE code = 'crashed'";
    assert_eq!(cluster.database.number(forgotten), 0, "{}", cluster.logs());
    cluster.audit_is_whole();
    println!(
        "crashes of the database server (TL_SERVER_CRASHES={crashes}): acknowledged and lost, or written twice: {}; crashes \
         that did harm: {}; the next message taken after, ms: {}; all closed {caught_up:?} \
         after the last",
        out_of(0, taken),
        out_of(0, crashes),
        spread(&back)
    );
    assert_eq!(node.stop(), 0, "{}", cluster.logs());
}
