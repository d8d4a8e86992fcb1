//! A directory with a project, the binary run in it, and a server that ends with the test.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test says so.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A workflow that writes to the built-in store by itself and asks before it answers.
pub const WORKFLOW: &str = "\
workflow: { id: lead, version: \"1\" }
record:
  type: lead
  natural_key: \"${record.email}\"
  fields:
    email: { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
ingress:
  gateway: { auth: hmac_signature, idempotency: header_idempotency_key }
  channels:
    web:
      channel: webhook
      map: { email: event.body.email, message: event.body.message }
      text: event.body.message
decision:
  branches:
    - condition: record.message == 'please write'
      action: [crm_upsert, reply]
    - default: human_queue
side_effects:
  messaging:
    reply: { channel: email, via: outbox, to: record.email, subject: \"Hello\", template: templates/reply.md }
policy:
  crm_upsert: auto
  reply: { approve: operators }
";

/// A project in a directory of its own.
pub struct Bench {
    dir: TempDir,
}

/// What a command answered.
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Bench {
    /// A directory without anything.
    pub fn empty() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A project with the small workflow.
    pub fn project() -> Bench {
        let bench = Bench::empty();
        bench.write("workflows/lead/workflow.yaml", WORKFLOW);
        bench.write(
            "workflows/lead/templates/reply.md",
            "You wrote: ${record.message}\n",
        );
        bench
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        command
            .current_dir(self.path())
            .args(args)
            .env("USER", "tester")
            .env("COLUMNS", "100");
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("THROUGHLINE_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args).output().unwrap())
    }

    /// Runs a command that succeeds, and reads its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let answer = self.run(&args);
        assert_eq!(answer.code, 0, "{args:?}: {}", answer.err);
        serde_json::from_str(&answer.out)
            .unwrap_or_else(|e| panic!("{args:?}: {e}: {}", answer.out))
    }

    /// Runs a command until its JSON satisfies a condition.
    pub fn until(&self, args: &[&str], what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let value = self.json(args);
            if done(&value) {
                return value;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{what} did not come about: {value:#}"
            );
        }
    }

    /// Starts a server on a free port and waits for its address.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same, with these variables in its environment.
    pub fn serve_with(&self, variables: &[(&str, &str)]) -> Server {
        let mut child = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let output = child.wait_with_output().unwrap();
            panic!(
                "the server did not start: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        Server {
            url: url.to_owned(),
            child,
            _out: out,
        }
    }

    /// The secret of a new rotation.
    pub fn secret(&self, endpoint: &str) -> String {
        self.json(&["endpoint", "rotate", endpoint])["secret"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

impl Answer {
    pub fn of(output: Output) -> Answer {
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the exit code is this one and the text holds these parts.
    pub fn expect(&self, code: i32, parts: &[&str]) -> &Answer {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for part in parts {
            assert!(all.contains(part), "`{part}` in\n{all}");
        }
        self
    }
}

/// A server that runs until it is stopped or dropped.
pub struct Server {
    pub url: String,
    child: Child,
    _out: BufReader<ChildStdout>,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Asks it to stop and waits for the end.
    pub fn stop(self) -> i32 {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end; -1 where a signal ended it.
    pub fn wait(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares with a file beside the tests; `THROUGHLINE_BLESS=1` writes it.
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/golden")
        .join(name);
    if std::env::var("THROUGHLINE_BLESS").is_ok() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, want,
        "{name} differs; THROUGHLINE_BLESS=1 takes the new text over"
    );
}
