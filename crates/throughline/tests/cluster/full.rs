//! A disk that is full: files of the real program may not grow any more. It says so before anything is lost, and with
//! room again it goes on.

use std::fs::File;
use std::process::Command;

use tl_trial::process::Process;

use super::cluster::{Cluster, Node, deliver, send};

/// Lets no file grow beyond 1.5 MiB: the write-ahead log is there long before a checkpoint would make room.
const NARROW: &str = "trap '' XFSZ; ulimit -f 3072; exec \"$@\"";

/// Starts the program where files cannot grow.
fn narrow(cluster: &Cluster) -> Node {
    let plain = cluster.command("n1", &["serve", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", NARROW, "sh"])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(cluster.path())
        .stderr(File::create(cluster.path().join("n1.log")).unwrap());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Node::of(Process::start(&mut command)).unwrap_or_else(|| panic!("{}", cluster.logs()))
}

#[test]
fn a_full_disk_refuses_messages_and_loses_none() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.keeps_a_file();
    let secret = cluster.secret();
    let node = narrow(&cluster);
    let mut taken = 0;
    let refused = loop {
        let answer = send(node.address, &secret, taken).unwrap();
        if answer.status >= 300 {
            break answer;
        }
        taken += 1;
        assert!(taken < 5_000, "the disk is not full");
    };
    assert_eq!(refused.status, 503, "{refused:?}\n{}", cluster.logs());
    assert!(taken > 10, "{taken} taken before the disk was full");
    // What is there can still be looked at.
    let status = cluster.json(&["status"]);
    assert!(status["events"].as_u64() >= Some(taken), "{status:#}");
    node.kill();

    let node = cluster.node("n1", &[]);
    let more = taken + 10;
    for lead in 0..more {
        deliver(node.address, &secret, lead);
    }
    cluster.until_closed(more);
    cluster.each_written_once(more);
    cluster.audit_is_whole();
    assert_eq!(node.stop(), 0);
}
