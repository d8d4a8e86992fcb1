//! A project, its server with the link for the first account, and messages that need people.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::Value;

use crate::bench::Bench;
use crate::browser::Browser;
use crate::http::Visitor;

/// The password of everybody here.
pub const PASSWORD: &str = "four plain words here";

/// A server that runs.
pub struct World {
    pub bench: Bench,
    pub url: String,
    /// The link that makes the first account; empty once there is one.
    pub link: String,
    secret: String,
    sent: Cell<u32>,
    child: Child,
    _out: BufReader<ChildStdout>,
}

impl World {
    /// A project with the small workflow, without any account.
    pub fn new() -> World {
        World::over(Bench::project(), "default/web")
    }

    /// A server over a project that is there; `door`: whose secret signs messages.
    pub fn over(bench: Bench, door: &str) -> World {
        let secret = match door {
            "" => String::new(),
            door => bench.secret(door),
        };
        let mut child = bench
            .command(&["serve", "--listen", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            let mut err = String::new();
            let _ = child.stderr.take().unwrap().read_to_string(&mut err);
            panic!("{e}: {line}{err}")
        });
        World {
            bench,
            url: said["listening"].as_str().unwrap().to_owned(),
            link: said["first_sign_in"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            secret,
            sent: Cell::new(0),
            child,
            _out: out,
        }
    }

    /// The address of a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A message through the door; its case.
    pub fn send(&self, email: &str, message: &str) -> String {
        self.send_lead(&[("email", email), ("message", message)])
    }

    /// A message of these parts through the door; its case.
    pub fn send_lead(&self, parts: &[(&str, &str)]) -> String {
        let body: std::collections::BTreeMap<_, _> = parts.iter().copied().collect();
        let body = serde_json::to_string(&body).unwrap();
        self.bench.write("m.json", &body);
        let to = self.at("/hooks/default/web");
        let n = self.sent.get() + 1;
        self.sent.set(n);
        let key = format!("message-{n}");
        let answer = self.bench.json(&[
            "send",
            "m.json",
            "--to",
            &to,
            "--secret",
            &self.secret,
            "--key",
            &key,
        ]);
        answer["answer"]["case_id"].as_str().unwrap().to_owned()
    }

    /// Waits until so many tasks are open.
    pub fn tasks(&self, n: usize) -> Value {
        let there = |t: &Value| t.as_array().is_some_and(|t| t.len() == n);
        self.bench
            .until(&["task", "list"], &format!("{n} tasks"), there)
    }

    /// Makes the first account over HTTP.
    pub fn owner(&self) -> Visitor {
        let mut ana = Visitor::new();
        let form = [
            ("name", "ana"),
            ("shown", "Ana Horvat"),
            ("password", PASSWORD),
        ];
        let begun = ana.post(&self.link, &form);
        assert_eq!(begun.to(), "/");
        ana
    }

    /// Makes the first account in a browser.
    pub fn sign_up(&self, browser: &Browser) {
        browser.open(&self.link);
        browser.fill("[name=shown]", "Ana Horvat");
        browser.fill("[name=name]", "ana");
        browser.fill("[name=password]", PASSWORD);
        browser.key("Enter");
        browser.until("location.pathname === '/health'");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
