//! An installation of several nodes: one project, one database, one CRM, a data directory per node.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tl_connect::fake::Crm;
use tl_trial::process::Process;
use tokio::runtime::Runtime;

use super::postgres::Database;
use super::wire::{self, Answer};

/// How long anything may take before the test says so.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A lead that is written to the CRM with its version.
const WORKFLOW: &str = r#"
workflow: { id: lead, version: "1" }
record:
  type: lead
  natural_key: "mail:${record.email}"
  fields:
    email: { type: email, required: true, use: control }
    size:  { type: int }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web:
      channel: webhook
      map: { email: event.body.email, size: event.body.size }
worker:
  ai_step: none
decision:
  branches:
    - { condition: "record.size >= 10", action: crm_upsert, reason: big }
    - default: human_queue
policy:
  crm_upsert: auto
side_effects:
  crm:
    api: rest
    connection: crm
    method: PUT
    path: "/leads/${record.email}"
    optimistic_lock: If-Match
    idempotency_header: idempotency-key
    map: { email: record.email, size: record.size }
"#;

/// The installation.
pub struct Cluster {
    pub database: Database,
    pub crm: Crm,
    dir: TempDir,
    /// The CRM lives as long as this.
    _runtime: Runtime,
}

impl Cluster {
    /// A project over a fresh database; `None` without PostgreSQL.
    pub fn new() -> Option<Cluster> {
        Database::fresh().map(Cluster::over)
    }

    /// A project over this database.
    pub fn over(database: Database) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let crm = Crm::start(([127, 0, 0, 1], 0).into());
        let crm = runtime.block_on(crm).unwrap();
        let cluster = Cluster {
            database,
            crm,
            dir,
            _runtime: runtime,
        };
        cluster.write("workflows/lead/workflow.yaml", WORKFLOW);
        let connection = format!(
            "connections:\n  crm: {{ kind: rest, base_url: \"{}\", auth: none }}\n",
            cluster.crm.base_url()
        );
        cluster.write("connections.yaml", &connection);
        let settings = format!(
            "store = \"{}\"\nallow_private_connections = [\"crm\"]\nlease = \"5s\"\ndrain_notice = \"1s\"\n\
             log_format = \"text\"\n",
            cluster.database.url()
        );
        cluster.write("throughline.toml", &settings);
        cluster
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Puts something else in the place of a setting.
    pub fn change(&self, setting: &str, to: &str) {
        let settings = fs::read_to_string(self.path().join("throughline.toml")).unwrap();
        assert!(settings.contains(setting), "{settings}");
        self.write("throughline.toml", &settings.replace(setting, to));
    }

    /// Leaves the store where it is when nobody says anything: in a file.
    pub fn keeps_a_file(&self) {
        self.change(&format!("store = \"{}\"\n", self.database.url()), "");
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A command of the node that has this data directory.
    pub fn command(&self, data: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("THROUGHLINE_")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.path())
            .args(args)
            .env("USER", "tester")
            .env("COLUMNS", "100")
            .env("THROUGHLINE_DATA_DIR", data);
        command
    }

    /// Runs a command of the first node to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command("n1", args).output().unwrap()
    }

    /// Runs a command that succeeds, and reads its JSON.
    pub fn json(&self, args: &[&str]) -> Json {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.run(&args);
        let text = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {words}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{args:?}: {e}: {text}"))
    }

    /// Runs a command until its JSON satisfies a condition.
    pub fn until(&self, args: &[&str], what: &str, done: impl Fn(&Json) -> bool) -> Json {
        let begun = Instant::now();
        loop {
            let value = self.json(args);
            if done(&value) {
                return value;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} did not come about: {value:#}\n{}",
                self.logs()
            );
        }
    }

    /// A new secret of the door.
    pub fn secret(&self) -> String {
        let made = self.json(&["endpoint", "rotate", "web"]);
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Gives a node the installation's key, as an operator copies it.
    pub fn share_key(&self, data: &str) {
        let of = |data: &str| self.path().join(data).join("installation.key");
        fs::create_dir_all(self.path().join(data)).unwrap();
        fs::copy(of("n1"), of(data)).unwrap();
    }

    /// Starts a node that has its data directory's name, and waits for its address.
    pub fn node(&self, name: &str, args: &[&str]) -> Node {
        self.node_with(name, args, &[])
    }

    /// The same with further variables.
    pub fn node_with(&self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Node {
        let begun = self.begin(name, args, env);
        Node::of(begun).unwrap_or_else(|| panic!("{name} did not start\n{}", self.logs()))
    }

    /// Starts a node without waiting.
    pub fn begin(&self, name: &str, args: &[&str], env: &[(&str, &str)]) -> Process {
        let log = File::options();
        let log = { log }
            .create(true)
            .append(true)
            .open(self.path().join(format!("{name}.log")))
            .unwrap();
        let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let mut command = self.command(name, &args);
        command.envs(env.iter().copied());
        Process::start(command.stderr(log))
    }

    /// What the nodes have logged.
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for name in ["n1", "n2", "n3", "n4", "n5"] {
            if let Ok(text) = fs::read_to_string(self.path().join(format!("{name}.log"))) {
                let lines: Vec<&str> = text.lines().rev().take(60).collect();
                for line in lines.iter().rev() {
                    all.push_str(&format!("{name}: {line}\n"));
                }
            }
        }
        all
    }

    /// Numbers of the nodes that live, as the database has it.
    pub fn live(&self) -> Vec<u64> {
        let status = self.json(&["status"]);
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().filter_map(Json::as_u64).collect()
    }

    /// Waits until the first node has taken over from another one.
    pub fn until_taken_over(&self) {
        let begun = Instant::now();
        let log = self.path().join("n1.log");
        while !fs::read_to_string(&log).unwrap().contains("is taken over") {
            assert!(
                begun.elapsed() < PATIENCE,
                "nobody took over\n{}",
                self.logs()
            );
            std::thread::yield_now();
        }
    }

    /// How many cases are closed, and how many there are.
    pub fn closed(&self) -> (u64, u64) {
        Cluster::closed_in(&self.json(&["status"]))
    }

    fn closed_in(status: &Json) -> (u64, u64) {
        let cases = status["cases"].as_array().unwrap();
        let of = |c: &Json| c[2].as_u64().unwrap_or(0);
        let closed = cases.iter().filter(|c| c[1] == "closed");
        (closed.map(of).sum(), cases.iter().map(of).sum())
    }

    /// Waits until so many cases are closed, and no other is there.
    pub fn until_closed(&self, wanted: u64) {
        self.until_closed_of(wanted, wanted);
    }

    /// Waits until so many cases are closed of so many that are there.
    pub fn until_closed_of(&self, wanted: u64, all: u64) {
        self.until(&["status"], "the cases are closed", |status| {
            Cluster::closed_in(status) == (wanted, all)
        });
    }

    /// Fails unless the CRM has applied exactly one write for each of these leads.
    pub fn each_written_once(&self, leads: u64) {
        let mut writes: BTreeMap<String, u32> = BTreeMap::new();
        for applied in self.crm.ledger() {
            *writes.entry(applied.path).or_default() += 1;
        }
        let doubled: Vec<_> = writes.iter().filter(|(_, n)| **n != 1).collect();
        assert!(doubled.is_empty(), "written more than once: {doubled:?}");
        assert_eq!(writes.len() as u64, leads, "leads in the CRM");
    }

    /// Fails unless the audit is whole: exported and verified as an auditor would.
    pub fn audit_is_whole(&self) {
        self.until(&["status"], "the leaves are placed", |s| {
            s["turns"] == s["leaves"]
        });
        let export = self.path().join("audit.jsonl");
        let export = export.to_str().unwrap();
        for args in [
            ["audit", "export", "-o", export].as_slice(),
            &["audit", "verify", export],
        ] {
            let output = self.run(args);
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{args:?}: {words}");
        }
    }
}

/// Sends the message of a lead.
pub fn send(to: SocketAddr, secret: &str, lead: u64) -> std::io::Result<Answer> {
    let body = json!({ "email": format!("lead{lead}@example.com"), "size": 20 }).to_string();
    let request = wire::message(secret, &format!("key-{lead}"), &body);
    wire::parse(&wire::exchange(to, &request)?)
}

/// Leads that are sent one after the other until somebody says that it is enough, and the answers that are none.
pub struct Traffic {
    next: AtomicU64,
    done: AtomicBool,
    errors: Mutex<Vec<String>>,
}

impl Traffic {
    /// From this lead on.
    pub fn from(lead: u64) -> Traffic {
        Traffic {
            next: AtomicU64::new(lead),
            done: AtomicBool::new(false),
            errors: Mutex::default(),
        }
    }

    /// One sender: goes on to the next lead as soon as it may after the last.
    pub fn send(&self, (to, secret): (SocketAddr, &str), may_go_on: impl Fn(u64) -> bool) {
        while !self.done.load(Ordering::Relaxed) {
            let lead = self.next.fetch_add(1, Ordering::Relaxed);
            match send(to, secret, lead) {
                Ok(a) if (200..300).contains(&a.status) => {}
                other => self
                    .errors
                    .lock()
                    .unwrap()
                    .push(format!("{lead}: {other:?}")),
            }
            while !may_go_on(lead) {
                thread::yield_now();
            }
        }
    }

    /// Waits until so many more have begun.
    pub fn wait_for(&self, more: u64) {
        let before = self.next.load(Ordering::Relaxed);
        while self.next.load(Ordering::Relaxed) < before + more {
            thread::yield_now();
        }
    }

    /// Each sender ends after what it is sending.
    pub fn end(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// The lead after the last, and what went wrong.
    pub fn outcome(self) -> (u64, Vec<String>) {
        (self.next.into_inner(), self.errors.into_inner().unwrap())
    }
}

/// Sends it until it is taken: what a sender does.
pub fn deliver(to: SocketAddr, secret: &str, lead: u64) {
    let begun = Instant::now();
    loop {
        let answer = send(to, secret, lead);
        if answer
            .as_ref()
            .is_ok_and(|a| (200..300).contains(&a.status))
        {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "lead {lead} was not taken: {answer:?}"
        );
        std::thread::yield_now();
    }
}

/// A node that runs until it is stopped or dropped.
pub struct Node {
    pub address: SocketAddr,
    process: Process,
}

impl Node {
    /// A node that was begun, once it has its address; `None` where it has ended before.
    pub fn of(mut process: Process) -> Option<Node> {
        let url = process.ready("listening on ")?;
        let address = wire::host(&url);
        Some(Node { address, process })
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Ends it as `kill -9` does.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Asks it to stop and waits for the end.
    pub fn stop(self) -> i32 {
        self.process.stop()
    }

    /// Waits for its end; -1 where a signal ended it.
    pub fn wait(self) -> i32 {
        self.process.wait()
    }

    /// Waits until `/readyz` answers with a status.
    pub fn until_ready_says(&self, status: u16) {
        let begun = Instant::now();
        loop {
            let answer = wire::get(self.address, "/readyz");
            if answer.as_ref().is_ok_and(|a| a.status == status) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{answer:?} instead of {status}");
        }
    }
}
