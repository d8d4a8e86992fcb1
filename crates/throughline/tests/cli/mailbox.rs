//! Mail out of a mailbox: the real binary and a real Dovecot, with TLS, on ports of this test's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::bench::{Bench, PATIENCE, Server};

/// Support by mail.
pub(super) const WORKFLOW: &str = "\
workflow: { id: support, version: \"1\" }
record:
  type: ticket
  fields:
    email:   { type: email, required: true, use: control }
    message: { type: text, untrusted: true }
ingress:
  channels:
    mail: { channel: email, max_body: 64KiB }
decision: { branches: [{ default: human_queue }] }
";

/// A mail server with one mailbox.
struct Dovecot {
    bench: Bench,
    port: u16,
    child: Child,
}

/// The program, where it is installed.
fn program() -> Option<PathBuf> {
    let places = ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"];
    let found = places.iter().map(PathBuf::from).find(|p| p.exists());
    if found.is_none() {
        tl_trial::lacks("DOVECOT", "mailboxes over IMAP: dovecot is not installed");
    }
    found
}

fn run(command: &str, args: &[&str], within: &Path) {
    let status = Command::new(command)
        .args(args)
        .current_dir(within)
        .stderr(Stdio::null())
        .status();
    assert!(status.expect(command).success(), "{command} {args:?}");
}

fn output(command: &str, args: &[&str]) -> String {
    let output = Command::new(command).args(args).output().expect(command);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Dovecot {
    /// A server with a certificate for `localhost`, if the program is here.
    fn start() -> Option<Dovecot> {
        let program = program()?;
        let bench = Bench::empty();
        let dir = bench.path().to_owned();
        // Its processes change to other accounts, which have to come by here.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        run(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
            &dir,
        );
        let root = tl_trial::is_root();
        let (user, group) = match root {
            true => ("nobody".to_owned(), "nogroup".to_owned()),
            false => (output("id", &["-un"]), output("id", &["-gn"])),
        };
        for part in ["new", "cur", "tmp"] {
            std::fs::create_dir_all(dir.join("mail").join(part)).unwrap();
        }
        if root {
            run("chown", &["-R", &format!("{user}:{group}"), "mail"], &dir);
        }
        let port = tl_trial::free_port();
        let d = dir.display();
        let own = match root {
            true => String::new(),
            false => format!(
                "default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {group}\n"
            ),
        };
        bench.write(
            "dovecot.conf",
            &format!(
                "base_dir = {d}/run\nlog_path = {d}/log\nprotocols = imap\nlisten = 127.0.0.1\n\
                 ssl = required\nssl_cert = <{d}/cert.pem\nssl_key = <{d}/key.pem\n\
                 mail_location = maildir:{d}/mail\nauth_mechanisms = plain\nfirst_valid_uid = 1\n{own}\
                 passdb {{\n driver = static\n args = password=pw\n}}\n\
                 userdb {{\n driver = static\n args = uid={user} gid={group} home={d}/mail\n}}\n\
                 service anvil {{\n chroot =\n}}\nservice imap-login {{\n chroot =\n\
                 inet_listener imap {{\n port = 0\n}}\n inet_listener imaps {{\n port = {port}\n ssl = yes\n}}\n}}\n"
            ),
        );
        let child = Command::new(program)
            .args(["-F", "-c"])
            .arg(dir.join("dovecot.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let dovecot = Dovecot { bench, port, child };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not start: {}",
                dovecot.log()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Some(dovecot)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path().join("log")).unwrap_or_default()
    }

    /// Puts a mail into the mailbox, as a delivery does.
    fn deliver(&self, name: &str, text: &str) {
        self.deliver_earlier(name, text, Duration::ZERO);
    }

    /// The same, so long ago.
    fn deliver_earlier(&self, name: &str, text: &str, ago: Duration) {
        let held = self.bench.write(&format!("mail/tmp/{name}"), text);
        let file = std::fs::File::options().write(true).open(&held).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
        std::fs::set_permissions(&held, std::fs::Permissions::from_mode(0o666)).unwrap();
        std::fs::rename(held, self.bench.path().join("mail/new").join(name)).unwrap();
    }

    /// The folder gets another UIDVALIDITY, as after a restore.
    fn forget(&self) {
        for entry in std::fs::read_dir(self.bench.path().join("mail")).unwrap() {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("dovecot")
            {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// A project that reads the mailbox.
    fn project(&self, password: &str) -> Bench {
        let bench = Bench::empty();
        bench.write("workflows/support/workflow.yaml", WORKFLOW);
        bench.write("secrets/imap", password);
        let url = format!(
            "mail=imaps://help%40acme.example@localhost:{}/INBOX?secret=file:secrets/imap",
            self.port
        );
        bench.write(
            "throughline.toml",
            &format!("mailboxes = [\"{url}\"]\nlog_format = \"text\"\n"),
        );
        bench
    }

    /// A server that trusts the certificate.
    fn serve(&self, bench: &Bench) -> Server {
        let certificate = self.bench.path().join("cert.pem");
        bench.serve_with(&[("SSL_CERT_FILE", certificate.to_str().unwrap())])
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its processes end with the first one.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn mail(id: &str, more: &str) -> String {
    format!(
        "From: Ada <ada@example.com>\r\nTo: help@acme.example\r\nSubject: Seats\r\nMessage-ID: <{id}@example.com>\r\n\r\n\
         We need ten seats. {more}\r\n"
    )
}

/// Waits until there are so many cases.
fn until_cases(bench: &Bench, dovecot: &Dovecot, n: usize) {
    let begun = Instant::now();
    loop {
        let cases = bench.json(&["case", "list"]);
        let held = cases.as_array().map_or(0, Vec::len);
        if held == n {
            return;
        }
        let status = bench.run(&["status"]).out;
        assert!(held < n, "{held} cases: {cases:#}");
        assert!(
            begun.elapsed() < PATIENCE,
            "{held} cases, not {n}: {status}\n{}",
            dovecot.log()
        );
    }
}

fn until_status(bench: &Bench, part: &str) {
    let begun = Instant::now();
    loop {
        let status = bench.run(&["status"]).out;
        if status.contains(part) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "`{part}` in {status}");
    }
}

#[test]
fn new_mail_of_a_mailbox_becomes_a_case_once() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let hour = Duration::from_secs(3_600);
    dovecot.deliver_earlier("1", &mail("before", ""), hour);
    let bench = dovecot.project("pw\n");
    let server = dovecot.serve(&bench);
    // It has begun where the mailbox ended: the server was asked, and nothing was taken.
    let begun = Instant::now();
    while !dovecot.log().contains("Login: user=<help@acme.example>") {
        assert!(begun.elapsed() < PATIENCE, "{}", dovecot.log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // The first contact is over when the position is kept; what is delivered meanwhile may belong to either side.
    let mut n = 0;
    let begun = Instant::now();
    while bench
        .json(&["case", "list"])
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        n += 1;
        dovecot.deliver(&format!("2.{n}"), &mail("first", ""));
        assert!(begun.elapsed() < PATIENCE, "{}", dovecot.log());
        std::thread::park_timeout(Duration::from_millis(500));
    }
    until_cases(&bench, &dovecot, 1);

    // The server is told of more at once, takes what it may, and says what it may not.
    dovecot.deliver("3", &mail("second", ""));
    until_cases(&bench, &dovecot, 2);
    dovecot.deliver("4", &mail("large", &"x".repeat(80 * 1024)));
    until_status(&bench, "1 mail was refused by `mail`");
    until_status(&bench, "it is larger than 65536 bytes");

    // What comes while it is stopped is taken at the next start, and nothing twice.
    assert_eq!(server.stop(), 0);
    dovecot.deliver("5", &mail("third", ""));
    let server = dovecot.serve(&bench);
    until_cases(&bench, &dovecot, 3);
    assert_eq!(server.stop(), 0);

    // Other numbers for the same mails: what is known is known, and what the first contact passed over stays out.
    dovecot.forget();
    dovecot.deliver("6", &mail("fourth", ""));
    let server = dovecot.serve(&bench);
    until_cases(&bench, &dovecot, 4);
    assert_eq!(server.stop(), 0);
    let duplicates = |v: &Value| v["duplicates"].as_u64().unwrap_or(0) > 0;
    let server = dovecot.serve(&bench);
    bench.until(&["status"], "what was known", duplicates);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_mailbox_says_why_it_is_not_read() {
    let Some(dovecot) = Dovecot::start() else {
        return;
    };
    let bench = dovecot.project("wrong");
    let server = dovecot.serve(&bench);
    until_status(&bench, "the server refused to log in");
    assert_eq!(server.stop(), 0);
    // A certificate that nobody vouches for.
    let server = bench.serve();
    until_status(&bench, "no encrypted connection");
    assert_eq!(server.stop(), 0);
}
