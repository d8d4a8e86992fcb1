//! Two nodes that read one folder of mail.

use std::fs;
use std::time::{Duration, Instant};

use super::cluster::Cluster;

const WORKFLOW: &str = "\
workflow: { id: lead, version: \"1\" }
record:
  type: lead
  fields:
    email: { type: email, required: true, use: control }
ingress:
  channels:
    mail: { channel: email }
decision: { branches: [{ default: human_queue }] }
";
/// Mails in the folder.
const MAILS: u64 = 60;
/// How long the nodes may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn each_mail_of_a_folder_that_two_nodes_read_is_taken_once_though_one_is_killed() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.write("workflows/lead/workflow.yaml", WORKFLOW);
    for part in ["new", "cur"] {
        fs::create_dir_all(cluster.path().join("in").join(part)).unwrap();
    }
    let lies = |part: &str| {
        fs::read_dir(cluster.path().join("in").join(part))
            .unwrap()
            .count()
    };
    for n in 0..MAILS {
        let text =
            format!("From: lead{n}@example.com\r\nMessage-ID: <m{n}@example.com>\r\n\r\nHello\r\n");
        cluster.write(&format!("in/new/{n}.host"), &text);
    }
    let reads = [("THROUGHLINE_MAIL_FOLDERS", "mail=in")];
    let first = cluster.node_with("n1", &[], &reads);
    cluster.share_key("n2");
    let second = cluster.node_with("n2", &[], &reads);
    let begun = Instant::now();
    while lies("cur") == 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        std::thread::yield_now();
    }
    second.signal("KILL");
    while lies("new") > 0 {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.logs());
        std::thread::yield_now();
    }
    let status = cluster.json(&["status"]);
    assert_eq!(status["events"].as_u64(), Some(MAILS), "{status:#}");
    let cases = status["cases"].as_array().unwrap();
    let all: u64 = cases.iter().filter_map(|c| c[2].as_u64()).sum();
    assert_eq!((all, lies("cur") as u64), (MAILS, MAILS));
    assert_eq!(first.stop(), 0);
}
