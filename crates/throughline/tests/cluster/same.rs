//! One line of the settings takes an installation from a file to a server: the same story, told on both.

use std::collections::BTreeMap;

use super::cluster::{Cluster, deliver, send};

/// What stands at the end of the story.
fn story(cluster: &Cluster) -> BTreeMap<&'static str, String> {
    let secret = cluster.secret();
    let node = cluster.node("n1", &[]);
    for lead in 0..5 {
        deliver(node.address, &secret, lead);
    }
    // The same message again is the same event.
    let again = send(node.address, &secret, 3).unwrap();
    assert!((200..300).contains(&again.status), "{again:?}");
    cluster.until_closed(5);
    cluster.each_written_once(5);
    cluster.json(&["kill", "set", "action:crm_upsert", "--reason", "drill"]);
    deliver(node.address, &secret, 5);
    let waits = |l: &serde_json::Value| l.as_array().unwrap().len() == 1;
    cluster.until(&["effect", "list", "--state", "ready"], "it waits", waits);
    cluster.json(&["kill", "clear", "action:crm_upsert", "--reason", "drill"]);
    cluster.until_closed(6);
    assert_eq!(node.stop(), 0);
    cluster.audit_is_whole();

    let status = cluster.json(&["status"]);
    let cases = cluster.json(&["case", "list"]);
    let states = cases
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["state"].to_string());
    let mut told = BTreeMap::new();
    told.insert("states", states.collect::<Vec<_>>().join(" "));
    for what in [
        "events",
        "duplicates",
        "turns",
        "leaves",
        "timers",
        "cases",
        "effects",
    ] {
        told.insert(what, status[what].to_string());
    }
    told
}

#[test]
fn one_line_takes_an_installation_from_a_file_to_a_server() {
    let (Some(server), Some(file)) = (Cluster::new(), Cluster::new()) else {
        return;
    };
    file.keeps_a_file();
    assert_eq!(story(&file), story(&server));
    assert!(file.path().join("n1/throughline.db").exists());
    assert!(!server.path().join("n1/throughline.db").exists());
}
