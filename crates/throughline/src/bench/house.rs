//! The installation that is measured: a project in a temporary directory, its server as a child process, its CRM.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use serde_json::Value as Json;
use tl_bench::http::ask;

use super::Options;
use crate::config::Config;
use crate::keys;

const CONNECTIONS: &str = include_str!("../../../../examples/golden_path/connections.yaml");
const SETTINGS: &str = include_str!("../../../../examples/golden_path/throughline.toml");
const LEADS: &str = include_str!("../../../../examples/golden_path/workflows/leads/workflow.yaml");
/// Where the example's project has its CRM and its doors.
const CRM: &str = "127.0.0.1:9900";
const DOORS: &str = "127.0.0.1:8090";

/// What `timers` opens: a case that waits for a person until its clock runs out.
const WAITING: &str = r#"workflow: { id: waiting, version: "1.0.0" }
record:
  type: message
  natural_key: "${record.external_id}"
  on_match: join
  fields: { external_id: { type: string, required: true, use: control } }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels: { waiting: { channel: webhook, map: { external_id: event.body.external_id } } }
worker: { ai_step: none }
states: { needs_human: { sla: SLA } }
decision: { branches: [{ default: human_queue }] }
"#;
/// Clocks that are set, a second, while the cases are opened, and that run out as quickly.
pub const CLOCKS_PER_SECOND: u64 = 1_000;
/// Between the last case and the first clock that runs out the server is killed and started again.
const BETWEEN: u64 = 15;

/// An installation.
#[derive(Debug)]
pub struct House {
    dir: tempfile::TempDir,
    store: Option<String>,
    /// Where its CRM listens.
    pub crm: String,
    nodes: Vec<Node>,
    /// Variables of its servers: settings of a phase.
    variables: Vec<(&'static str, String)>,
    /// It was started before, so that what is in the database is ours.
    started: bool,
}

/// A server of it.
#[derive(Debug)]
struct Node {
    /// Where its doors are; port 0 until it was started once.
    doors: String,
    server: Option<Child>,
}

/// How long a waiting case waits, seconds: until all of them are open, and the server was started again.
pub fn sla(clocks: u64) -> u64 {
    clocks / CLOCKS_PER_SECOND + BETWEEN
}

impl House {
    /// Makes the project, and starts its CRM.
    pub fn build(options: &Options) -> anyhow::Result<House> {
        let dir = tempfile::Builder::new()
            .prefix("throughline-bench-")
            .tempdir()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let crm = listener.local_addr()?.to_string();
        std::thread::spawn(move || tl_bench::crm::run(listener, Duration::ZERO));
        let sla = format!("{}s", sla(options.timers));
        for (name, text) in [
            ("connections.yaml", CONNECTIONS.replace(CRM, &crm)),
            ("throughline.toml", SETTINGS.replace(DOORS, "127.0.0.1:0")),
            ("workflows/leads/workflow.yaml", LEADS.to_owned()),
            (
                "workflows/waiting/workflow.yaml",
                WAITING.replace("SLA", &sla),
            ),
        ] {
            let path = dir.path().join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, text)?;
        }
        Ok(House {
            dir,
            store: options.store.clone(),
            crm,
            nodes: (0..options.nodes).map(|_| Node::new()).collect(),
            variables: Vec::new(),
            started: false,
        })
    }

    /// Its settings.
    pub fn config(&self) -> anyhow::Result<Config> {
        let typed: Vec<(&str, String)> = self.store.iter().map(|s| ("store", s.clone())).collect();
        Config::load_with(self.dir.path(), |_| None, &typed).map_err(|e| anyhow!("{e}"))
    }

    /// Ends the server in order, so that its log is written back, and starts it again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.start().map(drop)
    }

    /// The same with other settings, until they are set again: variables and their values.
    pub fn restart_with(&mut self, variables: &[(&'static str, u64)]) -> anyhow::Result<()> {
        let text = |(name, value): &(&'static str, u64)| (*name, value.to_string());
        self.variables = variables.iter().map(text).collect();
        self.restart()
    }

    /// The servers' memory, MiB.
    pub fn memory(&self) -> f64 {
        tl_bench::process::memory_mib(&self.pids())
    }

    /// The servers' processes.
    pub fn pids(&self) -> Vec<u32> {
        let servers = self.nodes.iter().filter_map(|n| n.server.as_ref());
        servers.map(Child::id).collect()
    }

    /// Where the doors of each node are.
    pub fn doors(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|n| n.doors.clone())
    }

    /// Starts the servers one after the other, and says how long the first one took until it was ready, ms.
    pub fn start(&mut self) -> anyhow::Result<f64> {
        let mut first = None;
        for nth in 0..self.nodes.len() {
            if nth > 0 {
                self.share_key(nth)?;
            }
            let begun = Instant::now();
            self.start_node(nth)?;
            first.get_or_insert(begun.elapsed());
        }
        let cases = self.metric("throughline_events_stored")?;
        let fresh = self.started || cases == 0.0;
        ensure!(
            fresh,
            "the database holds {cases} messages; name an empty one with --store"
        );
        self.started = true;
        Ok(first.unwrap_or_default().as_secs_f64() * 1e3)
    }

    fn start_node(&mut self, nth: usize) -> anyhow::Result<()> {
        let doors = &self.nodes[nth].doors;
        let mut serve = self.command_of(nth, &["--json", "serve", "--listen", doors]);
        let mut child = serve.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("the server has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let node = &mut self.nodes[nth];
        node.server = Some(child);
        let said: Json = serde_json::from_str(&line).context("the server did not start")?;
        let url = said["listening"].as_str().context("no address")?;
        node.doors = url.trim_start_matches("http://").to_owned();
        self.get(nth, "/readyz")?;
        Ok(())
    }

    /// Gives a node the installation's key, as an operator copies it.
    fn share_key(&self, nth: usize) -> anyhow::Result<()> {
        let data = self.data_dir(nth);
        std::fs::create_dir_all(&data)?;
        let first = self.config()?.data_dir;
        std::fs::copy(first.join(keys::FILE), data.join(keys::FILE))?;
        Ok(())
    }

    /// Stops the servers in order.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let stopping: Vec<Child> = self.running().collect();
        for server in &stopping {
            let told = Command::new("kill").arg(server.id().to_string()).status()?;
            ensure!(told.success(), "the server cannot be told to stop");
        }
        for mut server in stopping {
            let ended = server.wait()?;
            ensure!(ended.success(), "the server ended with {ended}");
        }
        Ok(())
    }

    /// Kills the servers as a power cut would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut killed: Vec<Child> = self.running().collect();
        for server in &mut killed {
            server.kill()?;
        }
        for mut server in killed {
            server.wait()?;
        }
        Ok(())
    }

    /// The servers that run; whoever takes them ends them.
    fn running(&mut self) -> impl Iterator<Item = Child> {
        self.nodes.iter_mut().filter_map(|n| n.server.take())
    }

    /// A new secret of an endpoint; the one before it ends, because no load runs beside another.
    pub fn secret(&self, endpoint: &str) -> anyhow::Result<String> {
        let out = self
            .command(&["--json", "endpoint", "rotate", endpoint, "--overlap", "0s"])
            .output()?;
        let said: Json = serde_json::from_slice(&out.stdout)
            .with_context(|| String::from_utf8_lossy(&out.stderr).into_owned())?;
        let secret = said["secret"].as_str().context("no secret")?;
        Ok(secret.to_owned())
    }

    /// A series that shows what is in the database: of the first server, because all of them show the same.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        self.metric_of(0, name)
    }

    /// A series that each server counts for itself: of all of them.
    pub fn counted(&self, name: &str) -> anyhow::Result<f64> {
        let of = |nth| self.metric_of(nth, name);
        (0..self.nodes.len()).map(of).sum()
    }

    fn metric_of(&self, nth: usize, name: &str) -> anyhow::Result<f64> {
        let text = self.get(nth, "/metrics")?;
        let value = text
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let value = value.with_context(|| format!("the server counts no {name}"))?;
        Ok(value.parse()?)
    }

    /// How long the CRM takes for an answer from now on.
    pub fn delay_crm(&self, delay: Duration) -> anyhow::Result<()> {
        let path = format!("/delay/{}", delay.as_millis());
        block_on(ask(&self.crm, "POST", &path))?;
        Ok(())
    }

    fn get(&self, nth: usize, path: &str) -> anyhow::Result<String> {
        block_on(ask(&self.nodes[nth].doors, "GET", path))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(0, arguments)
    }

    /// A command of a node: the first one has its data where it is when nobody says anything.
    fn command_of(&self, nth: usize, arguments: &[&str]) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| "throughline".into());
        let mut command = Command::new(program);
        command.arg("--dir").arg(self.dir.path()).args(arguments);
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("THROUGHLINE_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(n, v)| (n, v)));
        if let Some(store) = &self.store {
            command.env("THROUGHLINE_STORE", store);
        }
        if nth > 0 {
            command.env("THROUGHLINE_DATA_DIR", self.data_dir(nth));
        }
        command
    }

    /// Where a further node has its data.
    fn data_dir(&self, nth: usize) -> PathBuf {
        self.dir.path().join(format!("node{}", nth + 1))
    }
}

impl Node {
    fn new() -> Node {
        Node {
            doors: "127.0.0.1:0".into(),
            server: None,
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Nothing is left to tell it to: the directory goes as well.
        let _ = self.kill();
    }
}

/// Lets a load go on for a while.
pub fn pass(time: Duration) -> anyhow::Result<()> {
    block_on(async {
        tokio::time::sleep(time).await;
        anyhow::Ok(())
    })
}

/// Runs a few requests on this thread.
pub fn block_on<T, E>(work: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: Into<anyhow::Error>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work).map_err(Into::into)
}
