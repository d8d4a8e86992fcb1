//! Nodes that are restarted one after the other while messages come in.

use std::thread;
use std::time::Instant;

use super::balance::Balancer;
use super::cluster::{Cluster, PATIENCE, Traffic, send};

#[test]
fn a_rolling_restart_under_load_shows_to_no_client() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let mut nodes = vec![cluster.node("n1", &[]), cluster.node("n2", &[])];
    let balancer = Balancer::start();
    balancer.over(&[nodes[0].address, nodes[1].address]);
    nodes.iter().for_each(|n| n.until_ready_says(200));
    let begun = Instant::now();
    while !send(balancer.address, &secret, 0).is_ok_and(|a| a.status < 300) {
        assert!(begun.elapsed() < PATIENCE, "the balancer found no node");
    }

    let traffic = Traffic::from(1);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| traffic.send((balancer.address, &secret), |_| true));
        }
        for i in 0..2 {
            let name = ["n1", "n2"][i];
            let stopping = nodes.remove(0);
            assert_eq!(stopping.stop(), 0, "{}", cluster.logs());
            let node = cluster.node(name, &[]);
            node.until_ready_says(200);
            nodes.push(node);
            let all: Vec<_> = nodes.iter().map(|n| n.address).collect();
            balancer.over(&all);
            // It works beside the other before that one goes.
            traffic.wait_for(20);
        }
        traffic.end();
    });
    let (leads, errors) = traffic.outcome();
    assert!(errors.is_empty(), "{errors:#?}\n{}", cluster.logs());
    cluster.until_closed(leads);
    cluster.each_written_once(leads);
    eprintln!("{leads} messages, two restarts, no error");
}
