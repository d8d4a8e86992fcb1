//! What the installation leans on becomes slow and is not gone: a vendor, a name, a model, the database of another node.
//! Nobody else waits for it: while it hangs, other messages are acknowledged as before, and their cases closed.

use std::any::Any;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tl_connect::fake::Crm;
use tl_connect::fake::crm::{Fault, On};
use tl_connect::fake::model::{Model, Say};
use tl_trial::process::Process;
use tokio::runtime::Runtime;

use super::cable::{Cable, Passes};
use super::cluster::{Cluster, Node, PATIENCE, deliver, send};
use super::figures::at;
use super::wire::{self, Answer};

/// Messages that are measured without what hangs, and as many beside it.
const LEADS: u64 = 100;
/// Messages whose work hangs.
const STUCK: u64 = 40;
/// Longer than the vendor and the model take while anybody looks.
const HANGS: Duration = Duration::from_secs(30);
/// What a statement takes longer on the slow way to the database.
const LATER: Duration = Duration::from_millis(500);
/// Messages to the node that has the slow way.
const FAR: u64 = 4;
/// Within this every message has an answer, whatever the database does.
const ANSWER: Duration = Duration::from_secs(6);
/// What the machine may add to an acknowledgement by itself, µs: less than anything that hangs here.
const SLACK: u64 = 300_000;

/// What hangs.
struct Slow {
    /// The connection that leads there.
    connection: String,
    /// In place of `ai_step: none` in the workflow that leans on it.
    ai_step: &'static str,
    /// How many requests it has got.
    asked: Box<dyn Fn() -> u64>,
    /// What stands before the program's name.
    before: Vec<String>,
    _lives: Box<dyn Any>,
}

/// A vendor that takes half a minute over everything.
fn vendor(_: &Cluster) -> Option<Slow> {
    let runtime = Runtime::new().unwrap();
    let crm = runtime.block_on(Crm::start(([127, 0, 0, 1], 0).into()));
    let crm = Arc::new(crm.unwrap());
    crm.script(On::All, Fault::Delay(HANGS), u32::MAX);
    let asked = Arc::clone(&crm);
    Some(Slow {
        connection: format!(
            "{{ kind: rest, base_url: \"{}\", auth: none }}",
            crm.base_url()
        ),
        ai_step: "ai_step: none",
        asked: Box::new(move || asked.asked() as u64),
        before: Vec::new(),
        _lives: Box::new(runtime),
    })
}

/// A model that says nothing.
fn model(_: &Cluster) -> Option<Slow> {
    let runtime = Runtime::new().unwrap();
    let model = Model::start(([127, 0, 0, 1], 0).into(), [Say::Silence(HANGS)]);
    let model = Arc::new(runtime.block_on(model).unwrap());
    let asked = Arc::clone(&model);
    let url = model.base_url();
    Some(Slow {
        connection: format!("{{ kind: openai, base_url: \"{url}\", auth: none, model: small }}"),
        ai_step: "ai_step: { model: slow, timeout: 30s, modes: [classify], classify: { field: intent } }",
        asked: Box::new(move || asked.requests().len() as u64),
        before: Vec::new(),
        _lives: Box::new(runtime),
    })
}

/// A name whose server takes the question and does not answer. The program asks the resolver of the system, which reads
/// one file: it gets another one to read, where this machine lets us.
fn name(cluster: &Cluster) -> Option<Slow> {
    let file = cluster.path().join("resolv.conf");
    let nobody = "nameserver 127.77.0.1\noptions timeout:5 attempts:2\n";
    fs::write(&file, nobody).unwrap();
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let before = ["unshare", "-rm", "sh", "-c", mount, file.to_str().unwrap()];
    let can = Command::new(before[0])
        .args(&before[1..])
        .arg("true")
        .output();
    let (Ok(socket), true) = (
        UdpSocket::bind("127.77.0.1:53"),
        can.is_ok_and(|o| o.status.success()),
    ) else {
        tl_trial::left_out("a name that resolves slowly: it takes the rights to mount a file");
        return None;
    };
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        while socket.recv_from(&mut [0; 512]).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    Some(Slow {
        connection: "{ kind: rest, base_url: \"http://crm.slow.test:9\", auth: none }".into(),
        ai_step: "ai_step: none",
        asked: Box::new(move || asked.load(Ordering::Relaxed)),
        before: before.map(str::to_owned).into(),
        _lives: Box::new(()),
    })
}

/// A second workflow with a door of its own, that leans on what hangs.
fn lean_on(cluster: &Cluster, slow: &Slow) {
    let lead = cluster.path().join("workflows/lead/workflow.yaml");
    let lead = fs::read_to_string(lead).unwrap();
    let stuck = [
        ("id: lead", "id: stuck"),
        ("    web:\n", "    stuck:\n"),
        ("      map: {", "      text: event.body.email\n      map: {"),
        (
            "    size:  { type: int }",
            "    size:  { type: int }\n    intent: { type: enum, values: [buy, ask], from: ai }",
        ),
        ("connection: crm", "connection: slow"),
        ("ai_step: none", slow.ai_step),
    ];
    let stuck = stuck.iter().fold(lead, |text, (from, to)| {
        assert!(text.contains(from), "{from} in {text}");
        text.replace(from, to)
    });
    cluster.write("workflows/stuck/workflow.yaml", &stuck);
    let connections = format!(
        "connections:\n  crm: {{ kind: rest, base_url: \"{}\", auth: none }}\n  slow: {}\n",
        cluster.crm.base_url(),
        slow.connection
    );
    cluster.write("connections.yaml", &connections);
    cluster.change("[\"crm\"]", "[\"crm\", \"slow\"]");
}

/// Starts the node with these words before the program's name.
fn start(cluster: &Cluster, before: &[String]) -> Node {
    let serve = cluster.command("n1", &["serve", "--listen", "127.0.0.1:0"]);
    let words: Vec<_> = before.iter().map(Into::into).collect();
    let all = words.into_iter().chain([serve.get_program().to_owned()]);
    let mut all = all.chain(serve.get_args().map(ToOwned::to_owned));
    let mut command = Command::new(all.next().unwrap());
    command.args(all).current_dir(cluster.path());
    for (name, value) in serve.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let log = fs::File::create(cluster.path().join("n1.log")).unwrap();
    let begun = Process::start(command.stderr(log));
    Node::of(begun).unwrap_or_else(|| panic!("it did not start\n{}", cluster.logs()))
}

/// Sends leads one after the other: how long each took to be acknowledged, µs.
fn acknowledged((to, secret): (SocketAddr, &str), leads: Range<u64>) -> Vec<u64> {
    let mut took = Vec::new();
    for lead in leads {
        let begun = Instant::now();
        let answer = send(to, secret, lead).unwrap();
        assert!((200..300).contains(&answer.status), "{lead}: {answer:?}");
        took.push(begun.elapsed().as_micros() as u64);
    }
    took
}

/// Sends a lead and gives the answer, which never takes longer than an answer may.
fn told(to: SocketAddr, secret: &str, lead: u64) -> Answer {
    let begun = Instant::now();
    let answer = send(to, secret, lead).unwrap();
    let took = begun.elapsed();
    assert!(took < ANSWER, "{lead}: {answer:?} after {took:?}");
    answer
}

fn until(cluster: &Cluster, what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}\n{}", cluster.logs());
        thread::yield_now();
    }
}

/// Fails where the acknowledgements beside what hangs took longer than a fifth more, but for what a machine adds.
fn compare(name: &str, alone: &[u64], beside: &[u64]) {
    let (usual, now) = (at(alone, 0.99), at(beside, 0.99));
    println!(
        "acknowledged beside {name}: p99 {} ms, alone {} ms (n = {} each)",
        now as f64 / 1e3,
        usual as f64 / 1e3,
        beside.len()
    );
    assert!(
        now <= usual + usual / 5 + SLACK,
        "{name}: {usual} µs, then {now} µs"
    );
}

fn nobody_waits_for(name: &str, make: fn(&Cluster) -> Option<Slow>) {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    cluster.keeps_a_file();
    let Some(slow) = make(&cluster) else {
        return;
    };
    lean_on(&cluster, &slow);
    let secret = cluster.secret();
    let other = cluster.json(&["endpoint", "rotate", "stuck"]);
    let other = other["secret"].as_str().unwrap();
    let node = start(&cluster, &slow.before);
    let alone = acknowledged((node.address, &secret), 0..LEADS);
    cluster.until_closed(LEADS);
    for n in 0..STUCK {
        let body = format!("{{\"email\":\"stuck{n}@example.com\",\"size\":20}}");
        let request = wire::message_to("stuck", other, (&format!("stuck-{n}"), &body));
        let answer = wire::parse(&wire::exchange(node.address, &request).unwrap()).unwrap();
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
    until(&cluster, "nobody asks what hangs", || (slow.asked)() > 0);
    let begun = Instant::now();
    let beside = acknowledged((node.address, &secret), LEADS..2 * LEADS);
    // All of them, and nothing of what hangs.
    cluster.until_closed_of(2 * LEADS, 2 * LEADS + STUCK);
    let took = begun.elapsed();
    assert!(took < HANGS, "{name}: it was waited for: {took:?}");
    cluster.each_written_once(2 * LEADS);
    compare(name, &alone, &beside);
}

#[test]
fn nobody_waits_for_a_vendor_that_takes_half_a_minute() {
    nobody_waits_for("a vendor that takes 30 s", vendor);
}

#[test]
fn nobody_waits_for_a_name_that_nobody_resolves() {
    nobody_waits_for("a name that takes 5 s", name);
}

#[test]
fn nobody_waits_for_a_model_that_stalls() {
    nobody_waits_for("a model that stalls", model);
}

#[test]
fn nobody_waits_for_a_node_whose_way_to_the_database_is_slow() {
    let Some(cluster) = Cluster::new() else {
        return;
    };
    // A statement takes longer, and so does what a node says to keep its number.
    cluster.change("lease = \"5s\"", "lease = \"30s\"");
    let secret = cluster.secret();
    cluster.share_key("n2");
    let cable = Cable::to(cluster.database.socket());
    let url = cluster.database.url_over(cable.sockets());
    let node = cluster.node("n1", &[]);
    let far = cluster.node_with("n2", &[], &[("THROUGHLINE_STORE", &url)]);
    far.until_ready_says(200);
    let alone = acknowledged((node.address, &secret), 0..LEADS);
    cable.now(Passes::Late(LATER));
    let (late, beside) = thread::scope(|scope| {
        let ask = |lead| told(far.address, &secret, lead);
        let late = scope.spawn(move || (2 * LEADS..2 * LEADS + FAR).map(ask).collect::<Vec<_>>());
        let beside = acknowledged((node.address, &secret), LEADS..2 * LEADS);
        (late.join().unwrap(), beside)
    });
    // There nobody is kept waiting without a word: it is taken late, or refused with a time.
    let taken = late.iter().filter(|a| a.status < 300).count() as u64;
    for answer in &late {
        let refused = answer.status == 503 && answer.retry_after.is_some();
        assert!(answer.status < 300 || refused, "{answer:?}");
    }
    println!("there {taken} of {FAR} were taken, and the others refused with a time");
    compare("a node whose statements take 500 ms more", &alone, &beside);
    cable.now(Passes::AtOnce);
    (2 * LEADS..2 * LEADS + FAR).for_each(|lead| deliver(far.address, &secret, lead));
    cluster.until_closed(2 * LEADS + FAR);
    cluster.each_written_once(2 * LEADS + FAR);
}
