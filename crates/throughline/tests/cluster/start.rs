//! Starting: many at once, the wrong way, and what may never be printed.

use std::collections::BTreeSet;
use std::fs;

use super::cluster::{Cluster, Node, deliver};
use super::postgres::PASSWORD;
use super::wire;

#[test]
fn nodes_that_start_together_on_a_new_database_agree() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    // The key is drawn once and copied; nothing else is prepared.
    let key = "07".repeat(32);
    let names = ["n1", "n2", "n3", "n4"];
    for name in names {
        cluster.write(&format!("{name}/installation.key"), &key);
    }
    let beginning: Vec<_> = names.iter().map(|n| cluster.begin(n, &[], &[])).collect();
    let nodes: Vec<Node> = beginning
        .into_iter()
        .map(|b| Node::of(b).unwrap_or_else(|| panic!("{}", cluster.logs())))
        .collect();
    let live: BTreeSet<u64> = cluster.live().into_iter().collect();
    assert_eq!(live.len(), names.len());
    let versions = cluster.json(&["versions"]);
    assert_eq!(versions.as_array().unwrap().len(), 1, "{versions:#}");
    let tenants = cluster.json(&["tenant", "list"]);
    assert_eq!(tenants.as_array().unwrap().len(), 1, "{tenants:#}");

    let secret = cluster.secret();
    for (lead, node) in (0..).zip(&nodes) {
        deliver(node.address, &secret, lead);
    }
    cluster.until_closed(names.len() as u64);
    cluster.each_written_once(names.len() as u64);
    cluster.audit_is_whole();
    // A node that ends gives its number back at once.
    for node in nodes {
        assert_eq!(node.stop(), 0);
    }
    // Only the command that asks is there.
    assert_eq!(cluster.live().len(), 1);
}

#[test]
fn each_role_does_its_own() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let secret = cluster.secret();
    cluster.share_key("n2");
    let doors = cluster.node("n1", &["--role", "ingress"]);
    deliver(doors.address, &secret, 1);
    // Nobody sends.
    let waits = |l: &serde_json::Value| l.as_array().unwrap().len() == 1;
    cluster.until(&["effect", "list", "--state", "ready"], "it waits", waits);
    assert!(cluster.crm.requests().is_empty());
    let worker = cluster.node("n2", &["--role", "worker"]);
    cluster.until_closed(1);
    let get = |node: &Node, path: &str| wire::get(node.address, path).unwrap().status;
    assert_eq!(
        (get(&worker, "/readyz"), get(&worker, "/metrics")),
        (200, 200)
    );
    assert_eq!(
        (get(&worker, "/v1/cases"), get(&doors, "/v1/cases")),
        (404, 401)
    );
    let to_worker = super::cluster::send(worker.address, &secret, 2).unwrap();
    assert_eq!(to_worker.status, 404);
    let status = cluster.json(&["status"]);
    assert_eq!(
        (&status["role"], &status["store"][0]),
        (&"ingress".into(), &"postgres".into())
    );
}

#[test]
fn what_is_wrong_is_said_and_the_password_never() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    let all = |output: std::process::Output| {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains(PASSWORD), "{text}");
        (output.status.code().unwrap_or(-1), text)
    };
    let config = all(cluster.run(&["config"]));
    assert!(config.1.contains("postgres://tl:***@/"), "{}", config.1);
    let migrated = all(cluster.run(&["migrate"]));
    assert_eq!(migrated.0, 0, "{}", migrated.1);
    assert!(migrated.1.contains("up to date"), "{}", migrated.1);
    assert_eq!(all(cluster.run(&["status"])).0, 0);

    // A node without the installation's key, and one with another.
    let (code, words) = all(cluster.command("n2", &["serve"]).output().unwrap());
    assert_eq!(code, 4, "{words}");
    assert!(
        words.contains("TL0631") && words.contains("another node"),
        "{words}"
    );
    cluster.write("n2/installation.key", &"09".repeat(32));
    let (code, words) = all(cluster.command("n2", &["serve"]).output().unwrap());
    assert_eq!(code, 4, "{words}");
    assert!(words.contains("TL0632"), "{words}");

    let nowhere = format!("postgres://tl:{PASSWORD}@/tl?host=/nowhere");
    let table = [
        (vec!["serve", "--store", &nowhere], 4, "TL0618"),
        (
            vec!["serve", "--store", "other.db", "--role", "worker"],
            2,
            "TL0623",
        ),
    ];
    for (args, code, part) in table {
        let (was, words) = all(cluster.run(&args));
        assert_eq!(was, code, "{args:?}: {words}");
        assert!(words.contains(part), "{args:?}: {words}");
    }
    assert!(!cluster.path().join("other.db").exists());

    // What a node logs.
    let node = cluster.node("n1", &[]);
    assert_eq!(node.stop(), 0);
    let log = fs::read_to_string(cluster.path().join("n1.log")).unwrap();
    assert!(log.contains("serving") && !log.contains(PASSWORD), "{log}");
}
