//! `throughline.toml`: what the installation's owner sets. Every key has a default and an environment variable;
//! a key nobody knows is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use toml::Value;

use crate::app::DEFAULT_TENANT;
use crate::failure::Failure;
use crate::mail_folder::MailFolder;
use crate::mailbox::Mailbox;
use crate::place::{self, Place};
use crate::role::Role;
use crate::text::nearest;

/// Name of the file in the project directory.
pub const FILE: &str = "throughline.toml";

/// Name of the database in the data directory, unless another place is set.
const DATABASE: &str = "throughline.db";
/// A lease that is shorter would lapse by chance.
const LEAST_LEASE: Duration = Duration::from_secs(1);
/// So long would a node that died keep what it had begun.
const MOST_LEASE: Duration = Duration::from_secs(300);
/// A load balancer looks in time.
const NOTICE: Duration = Duration::from_secs(5);
/// What is on its way still has to end within the time that a stop may take.
const MOST_NOTICE: Duration = Duration::from_secs(10);

/// More than any volume has, MiB.
const MOST_RESERVE: i64 = 1_000_000_000;

/// A key: its name, its default, and what it is for.
struct Key {
    name: &'static str,
    default: Default,
    help: &'static str,
}

enum Default {
    Text(&'static str),
    Number(i64),
    List,
}

const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        default: Default::Text("data"),
        help: "where the database, the installation's key and the lock lie",
    },
    Key {
        name: "store",
        default: Default::Text(""),
        help: "the database: a file, or postgres://USER@HOST/NAME for several nodes; throughline.db in data_dir when empty",
    },
    Key {
        name: "store_password_file",
        default: Default::Text(""),
        help: "a file with the password of a PostgreSQL database",
    },
    Key {
        name: "role",
        default: Default::Text("all"),
        help: "what this node is for: all, ingress, worker or console; other than all needs PostgreSQL",
    },
    Key {
        name: "lease",
        default: Default::Text("10s"),
        help: "how long a node that the database does not hear of may go on; on PostgreSQL alone",
    },
    Key {
        name: "drain_notice",
        default: Default::Text(""),
        help: "how long a node that stops says so on /readyz before it closes its doors; 5s on PostgreSQL, else 0s, when empty",
    },
    Key {
        name: "listen",
        default: Default::Text("127.0.0.1:8480"),
        help: "address and port of the doors",
    },
    Key {
        name: "public_url",
        default: Default::Text(""),
        help: "the address under which senders reach the doors",
    },
    Key {
        name: "allow_private_connections",
        default: Default::List,
        help: "connections that may reach private addresses and plain http",
    },
    Key {
        name: "mail_folders",
        default: Default::List,
        help: "folders whose mail is taken: ENDPOINT=FOLDER or TENANT/ENDPOINT=FOLDER; a maildir, or a folder of .eml files",
    },
    Key {
        name: "mailboxes",
        default: Default::List,
        help: "mailboxes whose new mail is taken over IMAP: ENDPOINT=imaps://USER@HOST/FOLDER?…, with where its password is",
    },
    Key {
        name: "slots",
        default: Default::Number(128),
        help: "effects that may be on their way at once, of one connection of a tenant at most half as many",
    },
    Key {
        name: "rate",
        default: Default::Number(1_000),
        help: "messages per second that one door takes; a tenant takes twice as many over all its doors",
    },
    Key {
        name: "disk_reserve",
        default: Default::Number(256),
        help: "MiB on the volume of data_dir that stay free: below that no message is taken; 0 for none",
    },
    Key {
        name: "log_format",
        default: Default::Text("json"),
        help: "json or text",
    },
    Key {
        name: "log_level",
        default: Default::Text("info"),
        help: "error, warn, info, debug, or a filter such as info,tl_engine=debug",
    },
    Key {
        name: "checkpoint_file",
        default: Default::Text("data/checkpoints.txt"),
        help: "where signed audit checkpoints are written outside the database; empty for nowhere",
    },
    Key {
        name: "otlp_endpoint",
        default: Default::Text(""),
        help: "address of an OpenTelemetry receiver (OTLP over HTTP), such as http://127.0.0.1:4318; empty for none",
    },
];

/// The effective settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The project directory.
    pub dir: PathBuf,
    /// Absolute or below the project directory.
    pub data_dir: PathBuf,
    /// The database.
    pub store: Place,
    /// What this node is for.
    pub role: Role,
    /// How long a node that the database does not hear of may go on.
    pub lease: Duration,
    /// How long a node that stops says so before it closes its doors.
    pub drain_notice: Duration,
    /// Address and port.
    pub listen: String,
    /// The address under which senders reach the doors.
    pub public_url: Option<String>,
    /// Connections that may reach private addresses.
    pub allow_private: Vec<String>,
    /// Folders whose mail is taken.
    pub mail_folders: Vec<MailFolder>,
    /// Mailboxes whose mail is taken.
    pub mailboxes: Vec<Mailbox>,
    /// Effects on their way at once.
    pub slots: usize,
    /// Messages per second that one door takes.
    pub rate: u32,
    /// Bytes that stay free on the volume of the data directory.
    pub disk_reserve: u64,
    /// JSON log lines; else text.
    pub log_json: bool,
    /// Filter of the log.
    pub log_level: String,
    /// File of the checkpoints.
    pub checkpoint_file: Option<PathBuf>,
    /// Base address of the receiver of traces.
    pub otlp_endpoint: Option<String>,
    /// Every key with its value and where it came from.
    pub origins: Vec<Setting>,
}

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// `default`, the file, the environment variable, or the command line.
    pub from: String,
    /// What it is for.
    pub help: &'static str,
}

impl Config {
    /// The settings of a project directory: default, then file, then environment.
    pub fn load(dir: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Config, Failure> {
        Config::load_with(dir, env, &[])
    }

    /// The same, and over all of it what was typed: keys with their texts.
    pub fn load_with(
        dir: &Path,
        env: impl Fn(&str) -> Option<String>,
        typed: &[(&str, String)],
    ) -> Result<Config, Failure> {
        let mut raw = Raw::new();
        for k in KEYS {
            let value = match k.default {
                Default::Text(t) => Value::String(t.into()),
                Default::Number(n) => Value::Integer(n),
                Default::List => Value::Array(Vec::new()),
            };
            raw.insert(k.name, (value, "default".into()));
        }
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => from_file(&path, &text, &mut raw)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(Failure::unreachable(format!(
                    "TL0620 cannot read {}: {e}",
                    path.display()
                )));
            }
        }
        for k in KEYS {
            let name = format!("THROUGHLINE_{}", k.name.to_uppercase());
            if let Some(text) = env(&name) {
                raw.insert(k.name, (from_text(k, &text, &name)?, name));
            }
        }
        for k in KEYS {
            if let Some((_, text)) = typed.iter().find(|(name, _)| *name == k.name) {
                let from = "the command line";
                raw.insert(k.name, (from_text(k, text, from)?, from.into()));
            }
        }
        let origins = origins(&raw);
        let text = |key: &str| match &raw[key].0 {
            Value::String(s) => s.clone(),
            _ => String::new(),
        };
        let below = |text: String| (!text.is_empty()).then(|| dir.join(text));
        let data_dir = below(text("data_dir"))
            .ok_or_else(|| wrong("data_dir", "a directory", &raw["data_dir"].1))?;
        let nodes = nodes(&raw, dir, &data_dir)?;
        let config = Config {
            dir: dir.to_owned(),
            data_dir,
            store: nodes.store,
            role: nodes.role,
            lease: nodes.lease,
            drain_notice: nodes.drain_notice,
            listen: text("listen"),
            public_url: Some(text("public_url")).filter(|t| !t.is_empty()),
            allow_private: match &raw["allow_private_connections"].0 {
                Value::Array(items) => items
                    .iter()
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect(),
                _ => Vec::new(),
            },
            mail_folders: mail_folders(&raw, dir)?,
            mailboxes: mailboxes(&raw)?,
            rate: match raw["rate"].0 {
                Value::Integer(n @ 1..=1_000_000) => n as u32,
                _ => return Err(wrong("rate", "a number from 1 to 1000000", &raw["rate"].1)),
            },
            slots: match raw["slots"].0 {
                Value::Integer(n) if (1..=10_000).contains(&n) => n as usize,
                _ => return Err(wrong("slots", "a number from 1 to 10000", &raw["slots"].1)),
            },
            disk_reserve: match raw["disk_reserve"].0 {
                Value::Integer(mib @ 0..=MOST_RESERVE) => mib as u64 * 1024 * 1024,
                _ => {
                    let want = "a number of MiB from 0 to 1000000000";
                    return Err(wrong("disk_reserve", want, &raw["disk_reserve"].1));
                }
            },
            log_json: match text("log_format").as_str() {
                "json" => true,
                "text" => false,
                _ => return Err(wrong("log_format", "json or text", &raw["log_format"].1)),
            },
            log_level: text("log_level"),
            checkpoint_file: below(text("checkpoint_file")),
            otlp_endpoint: Some(text("otlp_endpoint")).filter(|t| !t.is_empty()),
            origins,
        };
        Ok(config)
    }

    /// From where mail of a tenant is fetched: tenant, endpoint, place.
    pub fn fetched_by<'c>(
        &'c self,
        tenant: &'c str,
    ) -> impl Iterator<Item = (&'c str, &'c str, String)> {
        let folders = self.mail_folders.iter();
        let folders = folders.map(|f| (f.tenant.as_str(), f.endpoint.as_str(), f.place()));
        let boxes = self.mailboxes.iter();
        let boxes = boxes.map(|m| (m.tenant.as_str(), m.endpoint.as_str(), m.place()));
        folders.chain(boxes).filter(move |(of, _, _)| *of == tenant)
    }

    /// The address from the command line.
    pub fn listen_at(&mut self, listen: String) {
        for s in &mut self.origins {
            if s.key == "listen" {
                (s.value, s.from) = (listen.clone(), "the command line".into());
            }
        }
        self.listen = listen;
    }
}

/// Values by key, each with where it came from.
type Raw = BTreeMap<&'static str, (Value, String)>;

/// What several nodes need to know.
struct Nodes {
    store: Place,
    role: Role,
    lease: Duration,
    drain_notice: Duration,
}

fn nodes(raw: &Raw, dir: &Path, data_dir: &Path) -> Result<Nodes, Failure> {
    let text = |key: &str| raw[key].0.as_str().unwrap_or_default().to_owned();
    let wrong = |key: &str, want: &str| wrong(key, want, &raw[key].1);
    let mut store = match text("store").as_str() {
        "" => Place::File(data_dir.join(DATABASE)),
        given => Place::of(given, dir),
    };
    let file = text("store_password_file");
    if !file.is_empty() {
        store = store.with_password(&password(&dir.join(file))?);
    }
    let role = Role::parse(&text("role"))
        .ok_or_else(|| wrong("role", "all, ingress, worker or console"))?;
    if role != Role::All && !store.is_shared() {
        let want = "all, unless `store` is a PostgreSQL database";
        return Err(wrong("role", want));
    }
    let lease = time(&text("lease"))
        .filter(|t| (LEAST_LEASE..=MOST_LEASE).contains(t))
        .ok_or_else(|| wrong("lease", "a time from 1s to 5m"))?;
    let drain_notice = match text("drain_notice").as_str() {
        "" if store.is_shared() => NOTICE,
        "" => Duration::ZERO,
        given => time(given)
            .filter(|t| *t <= MOST_NOTICE)
            .ok_or_else(|| wrong("drain_notice", "a time from 0s to 10s"))?,
    };
    Ok(Nodes {
        store,
        role,
        lease,
        drain_notice,
    })
}

/// The folders whose mail is taken. A folder is read for one door.
fn mail_folders(raw: &Raw, dir: &Path) -> Result<Vec<MailFolder>, Failure> {
    const WANT: &str =
        "a list of \"ENDPOINT=FOLDER\" or \"TENANT/ENDPOINT=FOLDER\", each folder once";
    let (value, from) = &raw["mail_folders"];
    let mut out: Vec<MailFolder> = Vec::new();
    for item in value.as_array().into_iter().flatten() {
        let text = item.as_str().unwrap_or_default();
        match MailFolder::parse(text, DEFAULT_TENANT, dir) {
            Some(f) if out.iter().all(|o| o.path != f.path) => out.push(f),
            _ => return Err(wrong("mail_folders", WANT, from)),
        }
    }
    Ok(out)
}

/// The mailboxes whose mail is taken.
fn mailboxes(raw: &Raw) -> Result<Vec<Mailbox>, Failure> {
    const WANT: &str = "a list of \"ENDPOINT=imaps://USER@HOST/FOLDER?secret=file:PATH\", with secret=env:NAME for a \
                        variable, and imap:// only for this machine";
    let (value, from) = &raw["mailboxes"];
    let items = value.as_array().into_iter().flatten();
    let one = |item: &Value| Mailbox::parse(item.as_str().unwrap_or_default(), DEFAULT_TENANT);
    items
        .map(|item| one(item).ok_or_else(|| wrong("mailboxes", WANT, from)))
        .collect()
}

/// A time as it is written; nothing at all is `0s`.
fn time(text: &str) -> Option<Duration> {
    let micros = match text {
        "0" | "0s" => 0,
        text => tl_kernel::time::parse_duration(text)?,
    };
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// The first line of a file that holds a password.
fn password(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        let shown = path.display();
        Failure::unreachable(format!(
            "TL0620 cannot read {shown}, the store_password_file: {e}"
        ))
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn origins(raw: &Raw) -> Vec<Setting> {
    KEYS.iter()
        .map(|k| {
            let (value, from) = &raw[k.name];
            let value = match value {
                // A value that holds a password is not for the eye.
                Value::String(s) if place::is_address(s) => place::shown(s),
                Value::String(s) => s.clone(),
                Value::Array(items) => {
                    let names: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    names.join(", ")
                }
                Value::Integer(n) => n.to_string(),
                _ => String::new(),
            };
            Setting {
                key: k.name,
                value,
                from: from.clone(),
                help: k.help,
            }
        })
        .collect()
}

fn from_file(path: &Path, text: &str, raw: &mut Raw) -> Result<(), Failure> {
    let shown = path.display();
    let parsed: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        Failure::usage(format!("TL0621 {shown} is not TOML:\n{e}"))
    })?;
    for (key, value) in parsed {
        let line = text
            .lines()
            .position(|l| l.trim_start().trim_start_matches('[').starts_with(&key));
        let place = format!("{shown}:{}", line.map_or(1, |l| l + 1));
        let Some(known) = KEYS.iter().find(|k| k.name == key) else {
            let names = KEYS.iter().map(|k| k.name);
            let hint = match nearest(&key, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("these keys exist: {}", names.collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::usage(format!(
                "TL0622 {place}: unknown key `{key}`; {hint}"
            )));
        };
        let fits = match (&known.default, &value) {
            (Default::Text(_), Value::String(_)) | (Default::Number(_), Value::Integer(_)) => true,
            (Default::List, Value::Array(items)) => items.iter().all(Value::is_str),
            _ => false,
        };
        if !fits {
            return Err(wrong(known.name, kind(known), &place));
        }
        raw.insert(known.name, (value, place));
    }
    Ok(())
}

fn from_text(key: &Key, text: &str, name: &str) -> Result<Value, Failure> {
    match key.default {
        Default::Text(_) => Ok(Value::String(text.to_owned())),
        Default::Number(_) => text
            .trim()
            .parse()
            .map(Value::Integer)
            .map_err(|_| wrong(key.name, kind(key), name)),
        Default::List => {
            let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
            Ok(Value::Array(
                names.map(|n| Value::String(n.to_owned())).collect(),
            ))
        }
    }
}

fn kind(key: &Key) -> &'static str {
    match key.default {
        Default::Text(_) => "text in quotes",
        Default::Number(_) => "a whole number",
        Default::List => "a list of names in quotes",
    }
}

fn wrong(key: &str, want: &str, place: &str) -> Failure {
    Failure::usage(format!("TL0623 {place}: `{key}` must be {want}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), file).unwrap();
        Config::load(dir.path(), |name| {
            env.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn file_beats_default_and_environment_beats_file() {
        let c = load(
            "listen = \"0.0.0.0:80\"\nslots = 3\n",
            &[("THROUGHLINE_SLOTS", "7")],
        )
        .unwrap();
        assert_eq!((c.listen.as_str(), c.slots), ("0.0.0.0:80", 7));
        let from = |key: &str| {
            c.origins
                .iter()
                .find(|s| s.key == key)
                .unwrap()
                .from
                .clone()
        };
        assert!(
            from("listen").ends_with("throughline.toml:1"),
            "{}",
            from("listen")
        );
        assert_eq!(from("slots"), "THROUGHLINE_SLOTS");
        assert_eq!(from("log_level"), "default");
        let c = load("", &[("THROUGHLINE_ALLOW_PRIVATE_CONNECTIONS", "crm, erp")]).unwrap();
        assert_eq!(c.allow_private, ["crm", "erp"]);
    }

    #[test]
    fn the_store_is_a_file_or_a_server_and_shows_no_password() {
        let c = load("", &[]).unwrap();
        assert!(!c.store.is_shared() && c.store.shown().ends_with("data/throughline.db"));
        assert_eq!(c.drain_notice, Duration::ZERO);
        let file = "store = \"postgres://tl:secret@db/tl\"\nrole = \"worker\"\nlease = \"2s\"\n";
        let c = load(file, &[]).unwrap();
        assert_eq!(
            (c.role, c.lease.as_secs(), c.drain_notice.as_secs()),
            (Role::Worker, 2, 5)
        );
        assert!(c.store.is_shared());
        assert!(!format!("{c:?}").contains("secret"), "{c:?}");
        let c = load(
            file,
            &[("THROUGHLINE_STORE_PASSWORD_FILE", "throughline.toml")],
        );
        assert!(c.unwrap().store.is_shared());
        let missing = load(file, &[("THROUGHLINE_STORE_PASSWORD_FILE", "nowhere")]).unwrap_err();
        assert_eq!(
            (missing.code.as_str(), missing.kind.exit_code()),
            ("TL0620", 4)
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let table = [
            ("lisen = \"x\"", "did you mean `listen`?"),
            ("[zzzzzzzzz]\nx = 1", "these keys exist: data_dir"),
            ("slots = \"x\"", "`slots` must be a whole number"),
            ("slots = 0", "`slots` must be a number from 1"),
            ("disk_reserve = -1", "a number of MiB from 0"),
            ("log_format = \"xml\"", "json or text"),
            ("allow_private_connections = [1]", "a list of names"),
            ("mail_folders = [\"mail\"]", "ENDPOINT=FOLDER"),
            (
                "mailboxes = [\"mail=imap://u@mx.example/INBOX?secret=env:P\"]",
                "only for this machine",
            ),
            ("mail_folders = [\"a=in\", \"b=in\"]", "each folder once"),
            ("listen = ", "is not TOML"),
            ("role = \"master\"", "all, ingress, worker or console"),
            (
                "role = \"worker\"",
                "unless `store` is a PostgreSQL database",
            ),
            ("lease = \"0s\"", "a time from 1s to 5m"),
            ("drain_notice = \"1h\"", "a time from 0s to 10s"),
        ];
        for (file, want) in table {
            let e = load(file, &[]).unwrap_err();
            assert_eq!(e.kind.exit_code(), 2, "{file}");
            assert!(e.message.contains(want), "{file}: {}", e.message);
        }
    }

    #[test]
    fn the_page_has_every_setting_and_no_other() {
        const PAGE: &str = include_str!("../../../docs/reference/config.md");
        let rows = PAGE
            .lines()
            .filter(|l| l.contains("`THROUGHLINE_") && l.starts_with("| `"));
        let told: Vec<Vec<&str>> = rows
            .map(|l| l.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        let names: Vec<String> = KEYS.iter().map(|k| format!("`{}`", k.name)).collect();
        let mut on_page: Vec<&str> = told.iter().map(|row| row[0]).collect();
        on_page.sort_unstable();
        let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(on_page, known, "left: the page; right: the settings");
        for row in &told {
            let key = KEYS.iter().find(|k| row[0] == format!("`{}`", k.name));
            let key = key.expect("it is known");
            let variable = format!("`THROUGHLINE_{}`", key.name.to_uppercase());
            assert!(row[1].starts_with(&variable), "{row:?}");
            // What is empty by default is said in words.
            let default = match key.default {
                Default::Text(text) if !text.is_empty() => Some(format!("`{text}`")),
                Default::Number(n) => Some(format!("`{n}`")),
                Default::Text(_) | Default::List => None,
            };
            if let Some(default) = default {
                assert_eq!(row[2], default, "{row:?}");
            }
            assert!(row[3].len() > 20, "{row:?}");
        }
        let further = ["DIR", "TENANT"].map(|n| format!("`THROUGHLINE_{n}`"));
        for word in further {
            assert!(PAGE.contains(&word), "the page lacks {word}");
        }
    }
}
