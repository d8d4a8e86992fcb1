//! Mail through a real mail server into a folder: it is delivered, answered, and returned as undeliverable.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::bench::{Bench, PATIENCE};
use super::mail::project;

/// The account of Debian that owns nothing: mail is delivered in its name.
const NOBODY: &str = "65534";
/// The parts of the server that take, deliver and return mail.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
";

/// A mail server of this test's own, for `acme.example`, in which `help` and `ada` have a maildir each and nobody else has
/// anything.
struct Postfix {
    bench: Bench,
    port: u16,
    child: Child,
}

/// The program, where it is installed and may be started: it changes to accounts of its own.
fn program() -> Option<PathBuf> {
    let found = Some(PathBuf::from("/usr/sbin/postfix")).filter(|p| p.exists());
    if found.is_none() {
        tl_trial::lacks(
            "POSTFIX",
            "mail through a real mail server: postfix is not installed",
        );
        return None;
    }
    let root = tl_trial::is_root();
    if !root {
        tl_trial::left_out("mail through a real mail server: postfix has to be started by root");
    }
    found.filter(|_| root)
}

fn give(path: &Path, owner: &str) {
    let status = Command::new("chown").arg(owner).arg(path).status();
    assert!(status.expect("chown").success());
}

impl Postfix {
    fn start() -> Option<Postfix> {
        let program = program()?;
        let bench = Bench::empty();
        let dir = bench.path().to_owned();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        for (part, owner) in [("queue", "root"), ("data", "postfix"), ("mail", NOBODY)] {
            fs::create_dir(dir.join(part)).unwrap();
            give(&dir.join(part), owner);
        }
        let port = tl_trial::free_port();
        let d = dir.display();
        bench.write(
            "etc/main.cf",
            &format!(
                "compatibility_level = 3.6\nqueue_directory = {d}/queue\ndata_directory = {d}/data\n\
                 maillog_file = {d}/log\nmaillog_file_prefixes = {d}\n\
                 inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
                 myhostname = mail.acme.example\nmydestination =\nmynetworks = 127.0.0.0/8\n\
                 virtual_mailbox_domains = acme.example\nvirtual_mailbox_base = {d}/mail\n\
                 virtual_mailbox_maps = inline:{{ {{ help@acme.example = help/ }} {{ ada@acme.example = ada/ }} }}\n\
                 virtual_uid_maps = static:{NOBODY}\nvirtual_gid_maps = static:{NOBODY}\nvirtual_minimum_uid = 1\n\
                 smtpd_reject_unlisted_recipient = no\n"
            ),
        );
        let door = format!("127.0.0.1:{port} inet n - n - - smtpd\n");
        bench.write("etc/master.cf", &(door + SERVICES));
        let child = Command::new(program)
            .arg("-c")
            .arg(dir.join("etc"))
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postfix = Postfix { bench, port, child };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{}", postfix.log());
            std::thread::yield_now();
        }
        Some(postfix)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.bench.path().join("log")).unwrap_or_default()
    }

    /// The folder of `help`.
    fn folder(&self) -> PathBuf {
        self.bench.path().join("mail/help")
    }

    /// The mails that have arrived for `ada`.
    fn for_ada(&self) -> Vec<String> {
        let all = fs::read_dir(self.bench.path().join("mail/ada/new"));
        let all = all.into_iter().flatten().flatten();
        all.map(|file| fs::read_to_string(file.path()).unwrap())
            .collect()
    }

    /// Hands a mail in, as a mail program does.
    fn take(&self, from: &str, to: &str, mail: &str) {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut says = |line: &str, wanted: &str| {
            (&stream).write_all(line.as_bytes()).unwrap();
            loop {
                let mut answer = String::new();
                answers.read_line(&mut answer).unwrap();
                assert!(answer.starts_with(wanted), "{line}: {answer}{}", self.log());
                if answer.as_bytes()[3] == b' ' {
                    break;
                }
            }
        };
        says("", "220");
        says("EHLO test.example\r\n", "250");
        says(&format!("MAIL FROM:<{from}>\r\n"), "250");
        says(&format!("RCPT TO:<{to}>\r\n"), "250");
        says("DATA\r\n", "354");
        says(&format!("{mail}\r\n.\r\n"), "250");
        says("QUIT\r\n", "221");
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let etc = self.bench.path().join("etc");
        let _ = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(etc)
            .arg("stop")
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

fn mail(from: &str, to: &str, (id, answers): (&str, &str)) -> String {
    let answers = match answers {
        "" => String::new(),
        id => format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n"),
    };
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: Seats\r\nMessage-ID: <{id}>\r\n{answers}\r\nWe need ten seats.\r\n"
    )
}

#[test]
fn what_a_mail_server_delivers_and_returns_finds_its_case() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let (help, gone) = ("help@acme.example", "gone@acme.example");
    let bench = project(&format!("\"mail={}\"", postfix.folder().display()));
    // The folder is made with the first mail.
    postfix.take(
        "ada@example.com",
        help,
        &mail("ada@example.com", help, ("1@example.com", "")),
    );
    let server = bench.serve();
    let cases = |n: usize| {
        let what = format!("{n} cases; {}", postfix.log());
        bench.until(&["case", "list"], &what, |all| {
            all.as_array().is_some_and(|all| all.len() == n)
        })
    };
    let first = cases(1)[0]["case"].as_str().unwrap().to_owned();

    // Somebody answers her by hand, and the address is gone: the report belongs to the case of her mail.
    postfix.take(
        help,
        gone,
        &mail(help, gone, ("2@acme.example", "1@example.com")),
    );
    let shown = |v: &Value| v.to_string().contains("bounce");
    bench.until(&["explain", &first], "the bounce in its case", shown);
    // One that answers nothing we know has a case of its own, which is closed at once.
    postfix.take(help, gone, &mail(help, gone, ("3@acme.example", "")));
    let all = cases(2);
    let newest = &all[0];
    assert_eq!(
        (&newest["state"], &newest["reason"]),
        (&"closed".into(), &"bounce".into()),
        "{all:#}"
    );
    // Her next mail joins her case; the same mail once more does nothing.
    let next = mail("ada@example.com", help, ("4@example.com", "1@example.com"));
    postfix.take("ada@example.com", help, &next);
    postfix.take("ada@example.com", help, &next);
    let twice = |v: &Value| v["duplicates"] == 1;
    bench.until(&["status"], "the repeated mail", twice);
    cases(2);
    // Nothing is left, and nothing was refused.
    let held = |part: &str| fs::read_dir(postfix.folder().join(part)).map_or(0, Iterator::count);
    assert_eq!((held("new"), held("cur"), held("refused")), (0, 5, 0));
    assert_eq!(server.stop(), 0);
}

const ANSWERS: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  natural_key: \"${event.thread}\"
  fields:
    email: { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
ingress: { channels: { mail: { channel: email } } }
decision: { branches: [ { condition: has(record.email), action: ack }, { default: human_queue } ] }
policy: { ack: { approve: operators } }
side_effects:
  messaging:
    ack:
      channel: email
      to: record.email
      subject: \"Ihre Plätze\"
      template: templates/ack.md
      via: post
      with: { from: \"'Acme <help@acme.example>'\", in_reply_to: event.message_id }
";

/// Approves what waits, as it is shown.
fn approve(bench: &Bench) {
    let waits = |all: &Value| all.as_array().is_some_and(|all| !all.is_empty());
    let tasks = bench.until(&["task", "list"], "an approval", waits);
    let task = tasks[0]["task"].as_str().unwrap();
    let digest = bench.json(&["task", "show", task])["sends"]["digest"].clone();
    let digest = digest.as_str().unwrap();
    let args = [
        "task", "decide", task, "approve", "--reason", "fine", "--digest", digest,
    ];
    bench.run(&args).expect(0, &["is decided"]);
}

#[test]
fn an_answer_goes_out_by_the_mail_server_and_what_comes_back_finds_its_case() {
    let Some(postfix) = Postfix::start() else {
        return;
    };
    let (help, ada, gone) = ("help@acme.example", "ada@acme.example", "gone@acme.example");
    let bench = project(&format!("\"mail={}\"", postfix.folder().display()));
    bench.write("workflows/support/workflow.yaml", ANSWERS);
    bench.write(
        "workflows/support/templates/ack.md",
        "Zehn Plätze.\n.\nGrüße\n",
    );
    let port = postfix.port;
    bench.write(
        "connections.yaml",
        &format!(
            "connections: {{ post: {{ kind: smtp, auth: none, base_url: 'smtp://127.0.0.1:{port}' }} }}\n"
        ),
    );
    let config = bench.path().join("throughline.toml");
    let config = fs::read_to_string(config).unwrap();
    bench.write(
        "throughline.toml",
        &format!("{config}allow_private_connections = [\"post\"]\n"),
    );
    postfix.take(ada, help, &mail(ada, help, ("1@acme.example", "")));
    let server = bench.serve();
    bench
        .run(&["connection", "check", "post"])
        .expect(0, &["ok", "it is there, and took the credential"]);
    approve(&bench);
    let sent = |all: &Value| all[0]["state"] == "succeeded";
    let effects = bench.until(&["effect", "list"], "the mail", sent);
    let effect = effects[0]["effect"].as_str().unwrap().to_owned();
    let case = bench.json(&["case", "list"])[0]["case"]
        .as_str()
        .unwrap()
        .to_owned();
    bench
        .run(&["effect", "show", &effect])
        .expect(0, &["queued as"]);

    // She gets it as an answer to hers, once.
    let begun = Instant::now();
    while postfix.for_ada().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{}", postfix.log());
        std::thread::yield_now();
    }
    let [got] = <[String; 1]>::try_from(postfix.for_ada()).unwrap();
    let id = format!("{effect}@acme.example");
    for line in [
        "Return-Path: <help@acme.example>".to_owned(),
        "In-Reply-To: <1@acme.example>".to_owned(),
        format!("Message-ID: <{id}>"),
        "Subject: Ihre =?utf-8?b?".to_owned(),
    ] {
        assert!(got.contains(&line), "{line}\n{got}");
    }
    assert!(!got.contains("Delivered-To: gone"), "{got}");

    // Her answer names our mail alone, and joins her case.
    postfix.take(ada, help, &mail(ada, help, ("2@acme.example", &id)));
    let joined = |v: &Value| v.to_string().contains("message 2 through `mail`");
    bench.until(&["explain", &case], "her answer in her case", joined);
    approve(&bench);
    let none = |all: &Value| all.as_array().is_some_and(Vec::is_empty);
    bench.until(&["task", "list"], "nothing to decide", none);

    // Nobody is at the second sender's address: the server takes the mail and returns it.
    postfix.take(gone, help, &mail(gone, help, ("3@acme.example", "")));
    approve(&bench);
    let both = |all: &Value| all.as_array().is_some_and(|all| all.len() == 2);
    let cases = bench.until(&["case", "list"], "two cases", both);
    let second = cases[0]["case"].as_str().unwrap();
    let returned = |v: &Value| v.to_string().contains("bounce");
    bench.until(&["explain", second], "the bounce in its case", returned);
    assert_eq!(bench.json(&["case", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(server.stop(), 0);
}
