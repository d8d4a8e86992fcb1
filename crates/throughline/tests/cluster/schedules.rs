//! Timetables on real nodes. Nobody waits for minutes: the database is made to hold what it would hold if all nodes had
//! been down for three hours.

use std::fs;

use super::cluster::{Cluster, Node};

const FILE: &str = "workflows/lead/workflow.yaml";
const EVERY_MINUTE: &str = "schedules: { tick: { cron: '* * * * *', catch_up: all } }\n";
const BACK: &str =
    "UPDATE cursor SET value = value - 10800000000 WHERE name = 'schedule:lead:tick' RETURNING 1";
/// What is made up for at most.
const MOST: u64 = 100;

#[test]
fn nodes_that_come_back_together_make_up_for_each_instant_once() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let text = fs::read_to_string(cluster.path().join(FILE)).unwrap();
    cluster.write(FILE, &(text + EVERY_MINUTE));
    cluster.json(&["deploy", "--yes"]);
    assert_eq!(
        cluster.database.number(BACK),
        1,
        "it began when it was deployed"
    );
    let names = ["n1", "n2", "n3"];
    names[1..].iter().for_each(|name| cluster.share_key(name));
    let begun = names.map(|name| cluster.begin(name, &[], &[]));
    let mut nodes: Vec<Node> = begun.into_iter().filter_map(Node::of).collect();
    assert_eq!(nodes.len(), 3, "{}", cluster.logs());
    // One ends as by an accident, and comes back.
    let killed = nodes.remove(1);
    killed.signal("KILL");
    assert_eq!(killed.wait(), -1);
    nodes.push(cluster.node("n2", &[]));
    let all = |s: &serde_json::Value| s["events"].as_u64() >= Some(MOST);
    let status = cluster.until(&["status"], "they are made up for", all);
    assert!(status["events"].as_u64() < Some(MOST + 5), "{status:#}");
    let twice = "SELECT count(*) - count(DISTINCT payload) FROM event_body";
    assert_eq!(cluster.database.number(twice), 0, "messages of one instant");
    assert_eq!(status["duplicates"], 0);
    assert!(status["schedules"][0]["last"].is_string(), "{status:#}");
    for node in nodes {
        assert_eq!(node.stop(), 0);
    }
    cluster.audit_is_whole();
}
