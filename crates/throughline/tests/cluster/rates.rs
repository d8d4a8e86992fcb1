//! The rate of a vendor is one for all nodes.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, PATIENCE, deliver};

/// What the vendor allows in a second.
const RATE: u32 = 10;
const LEADS: u64 = 80;
/// So many leave sooner than the rate says: the burst, and what a node sends before it has counted the other.
const SLACK: u64 = 20;

const CONNECTOR: &str = r#"
connector: slow
title: A vendor with a rate
rate: { per_second: 10, burst: 2 }
auth: { open: { kind: none } }
actions:
  lead.save:
    class: E1
    same_again: true
    arguments:
      key: { required: true, control: record }
    fields: { doc: what is known of the lead }
    request: { method: PUT, path: "/leads/${args.key}", json: "${fields}" }
"#;

const EFFECT: &str = r#"
side_effects:
  crm:
    use: slow.lead.save
    connection: crm
    with: { key: record.email }
    map: { email: record.email, size: record.size }
"#;

#[test]
fn two_nodes_together_keep_to_the_rate_of_a_vendor() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let workflow = std::fs::read_to_string(cluster.path().join("workflows/lead/workflow.yaml"));
    let workflow = workflow.unwrap();
    let (before, _) = workflow.split_once("\nside_effects:").unwrap();
    cluster.write("workflows/lead/workflow.yaml", &format!("{before}{EFFECT}"));
    cluster.write("connectors/slow.yaml", CONNECTOR);
    let connection = format!(
        "connections:\n  crm: {{ kind: slow, base_url: \"{}\" }}\n",
        cluster.crm.base_url()
    );
    cluster.write("connections.yaml", &connection);
    let secret = cluster.secret();
    cluster.share_key("n2");
    let nodes = [cluster.node("n1", &[]), cluster.node("n2", &[])];
    for node in &nodes {
        node.until_ready_says(200);
    }
    let begun = Instant::now();
    for lead in 0..LEADS {
        deliver(nodes[lead as usize % 2].address, &secret, lead);
    }
    while (cluster.crm.written() as u64) < LEADS {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        std::thread::yield_now();
    }
    let took = begun.elapsed();
    cluster.until_closed(LEADS);
    cluster.each_written_once(LEADS);
    let least = Duration::from_secs(LEADS - SLACK) / RATE;
    eprintln!("{LEADS} writes by two nodes at {RATE} a second took {took:?}, at least {least:?}");
    assert!(took >= least, "faster than the vendor allows: {took:?}");
}
