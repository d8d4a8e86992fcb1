//! A project whose system of record runs on loopback, a server over it, and the screen that a person reads.

use serde_json::Value as Json;
use tl_connect::fake::Crm;
use tokio::runtime::Runtime;

use super::bench::{Answer, Bench, Server};

/// A lead that is written to the CRM where it is big, and seen by a person where it is not.
const WORKFLOW: &str = r#"
workflow: { id: lead, version: "1" }
record:
  type: lead
  natural_key: "mail:${record.email}"
  on_match: update
  fields:
    email:   { type: email, required: true, use: control }
    name:    { type: string }
    size:    { type: int }
    message: { type: text, untrusted: true }
    region:  { type: enum, values: [north, south], from: rules }
    contact: { type: string, from: rules }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web:
      channel: webhook
      map: { email: event.body.email, name: event.body.name, size: event.body.size, message: event.body.message }
      text: event.body.message
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
    map: { email: record.email, name: record.name, size: record.size }
"#;

/// Where the CRM keeps the lead of `message`.
pub const LEAD: &str = "/leads/ada%40example.com";

/// Commands that change something, so that a turn must tell of them.
const CHANGES: [&[&str]; 5] = [
    &["case"],
    &["task", "decide"],
    &["effect", "resolve"],
    &["dead", "redrive"],
    &["kill"],
];

/// A running installation.
pub struct Scene {
    pub bench: Bench,
    pub crm: Crm,
    server: Option<Server>,
    secret: String,
    /// The CRM lives as long as this.
    _runtime: Runtime,
}

/// What a scene is made from: changes to the workflow, and further files of the project.
#[derive(Default)]
pub struct Plan<'a> {
    pub changes: &'a [(&'a str, &'a str)],
    pub files: &'a [(&'a str, &'a str)],
}

impl Scene {
    pub fn new(plan: Plan<'_>) -> Scene {
        let bench = Bench::empty();
        let mut workflow = WORKFLOW.to_owned();
        for (from, to) in plan.changes {
            assert!(workflow.contains(from), "{from}");
            workflow = workflow.replace(from, to);
        }
        bench.write("workflows/lead/workflow.yaml", &workflow);
        for (name, text) in plan.files {
            bench.write(name, text);
        }
        let runtime = Runtime::new().unwrap();
        let crm = runtime
            .block_on(Crm::start(([127, 0, 0, 1], 0).into()))
            .unwrap();
        let connection = format!(
            "connections:\n  crm: {{ kind: rest, base_url: \"{}\", auth: none }}\n",
            crm.base_url()
        );
        bench.write("connections.yaml", &connection);
        bench.write(
            "throughline.toml",
            "allow_private_connections = [\"crm\"]\n",
        );
        let secret = bench.secret("default/web");
        let server = Some(bench.serve());
        Scene {
            bench,
            crm,
            _runtime: runtime,
            server,
            secret,
        }
    }

    /// Sends a message and returns what the door answered.
    pub fn send(&self, key: &str, body: &str) -> Json {
        self.bench.write("m.json", body);
        let server = self.server.as_ref().expect("a server");
        let to = format!("{}/hooks/default/web", server.url);
        let args = [
            "send",
            "m.json",
            "--to",
            &to,
            "--secret",
            &self.secret,
            "--key",
            key,
        ];
        self.bench.json(&args)["answer"].clone()
    }

    /// Sends a message and returns the case that it opened or joined.
    pub fn case(&self, key: &str, body: &str) -> String {
        self.send(key, body)["case_id"].as_str().unwrap().to_owned()
    }

    /// Sets a switch.
    pub fn kill(&self, scope: &str, mode: &str, reason: &str) {
        self.bench
            .run(&["kill", "set", scope, "--mode", mode, "--reason", reason])
            .expect(0, &[]);
    }

    pub fn explain(&self, id: &str) -> Screen {
        let answer = self.bench.run(&["explain", id]);
        answer.expect(0, &[]);
        Screen { text: answer.out }
    }

    /// Waits for an effect of a case to be in a state.
    pub fn until_effect(&self, case: &str, action: &str, state: &str) {
        let is = |e: &Json| e["action"] == action && e["state"] == state;
        let what = format!("`{action}` {state}");
        self.bench
            .until(&["effect", "list", "--case", case], &what, |l| {
                l.as_array().unwrap().iter().any(is)
            });
    }

    pub fn until_state(&self, case: &str, state: &str) {
        self.bench
            .until(&["case", "show", case], state, |c| c["state"] == state);
    }

    /// Waits until so many things have happened to a case.
    pub fn until_turns(&self, case: &str, turns: u64) {
        let enough = |c: &Json| c["turns"].as_u64() >= Some(turns);
        self.bench
            .until(&["case", "show", case], "its turns", enough);
    }

    /// The line of the workflow file that holds a text.
    pub fn line_of(&self, text: &str) -> usize {
        let file = std::fs::read_to_string(self.bench.path().join("workflows/lead/workflow.yaml"))
            .unwrap();
        file.lines().position(|l| l.contains(text)).unwrap() + 1
    }

    /// Runs the first command on a screen that holds a part, as it is printed and with a reason of one's own.
    pub fn follow(&self, screen: &Screen, part: &str) -> Answer {
        self.follow_with(screen, part, "")
    }

    /// The same, with a value for the one that the command asks for.
    pub fn follow_with(&self, screen: &Screen, part: &str, value: &str) -> Answer {
        let printed = screen.command(part);
        let command = printed.replace("REASON", "drill").replace("VALUE", value);
        if printed != command {
            let words: Vec<&str> = printed.split_whitespace().collect();
            let answer = self.bench.run(&words[1..]);
            assert_ne!(
                answer.code, 0,
                "`{printed}` says nothing about why, and was taken"
            );
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        let before = self.operators();
        let answer = self.bench.run(&words[1..]);
        let changes = CHANGES.iter().any(|c| words[1..].starts_with(c));
        if changes && answer.code == 0 {
            assert!(self.operators() > before, "no turn tells of `{command}`");
        }
        answer
    }

    /// Turns in the audit that a person at the machine made.
    fn operators(&self) -> usize {
        let answer = self.bench.run(&["audit", "export"]);
        answer.expect(0, &[]);
        answer.out.matches("operator_cli").count()
    }

    /// Ends the server as a service manager would.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            assert_eq!(server.stop(), 0);
        }
    }

    /// Starts it again.
    pub fn start(&mut self) {
        self.server = Some(self.bench.serve());
    }
}

/// What `explain` prints.
pub struct Screen {
    text: String,
}

impl Screen {
    /// Fails unless the screen holds all of these.
    pub fn names(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "`{part}` on\n{}", self.text);
        }
    }

    /// Fails unless the situation, before the first command, holds all of these.
    pub fn says_up(&self, parts: &[&str]) {
        let up = self.text.split("\nnext ").next().unwrap();
        for part in parts {
            assert!(
                up.contains(part),
                "`{part}` before the first command of\n{}",
                self.text
            );
        }
    }

    /// Fails if the screen holds one of these.
    pub fn leaves_out(&self, parts: &[&str]) {
        for part in parts {
            assert!(!self.text.contains(part), "`{part}` on\n{}", self.text);
        }
    }

    /// The first command of the screen: what is done before everything else.
    pub fn first(&self) -> &str {
        self.command("throughline ")
    }

    /// The first command that holds a part.
    fn command(&self, part: &str) -> &str {
        let before = self.text.split("\ntimeline\n").next().unwrap();
        let mut all = before
            .lines()
            .map(str::trim)
            .filter(|l| l.starts_with("throughline "));
        all.find(|c| c.contains(part))
            .unwrap_or_else(|| panic!("no command with `{part}` on\n{}", self.text))
    }
}
