//! A node that only takes messages in: that nobody works them off, it learns from the database alone.

use std::time::Instant;

use super::cluster::{Cluster, PATIENCE, deliver, send};
use super::wire;

#[test]
fn a_node_that_only_takes_messages_refuses_when_nobody_works_them_off() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let doors = cluster.node("n1", &["--role", "ingress"]);
    doors.until_ready_says(200);
    deliver(doors.address, &secret, 0);
    // Its write waits, and nobody is there to do it. Sent again it is known, until nothing is looked at any more.
    let begun = Instant::now();
    let refused = loop {
        let again = send(doors.address, &secret, 0).unwrap();
        if again.status != 200 {
            break again;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        std::thread::yield_now();
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    let wait = refused.retry_after.expect("a time");
    assert!((5..=60).contains(&wait), "{wait}");
    let metrics = wire::get(doors.address, "/metrics").unwrap().text;
    assert!(metrics.contains("outcome=\"backlog\""), "{metrics}");
    assert_eq!(send(doors.address, &secret, 1).unwrap().status, 503);
    assert_eq!(cluster.crm.written(), 0);

    let worker = cluster.node("n2", &["--role", "worker"]);
    deliver(doors.address, &secret, 1);
    cluster.until_closed(2);
    cluster.each_written_once(2);
    cluster.audit_is_whole();
    assert_eq!((doors.stop(), worker.stop()), (0, 0));
}
