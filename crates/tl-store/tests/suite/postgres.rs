//! PostgreSQL as a `World`: a server of the tests' own, a database per world.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tl_store::{Backend, CommitAnswer, Location, Options, Query, Reply, Unit};

use super::World;

/// A running server. It stops, and its files go, when this process ends in whatever way: its keeper reads from a
/// pipe that ends with us.
struct Server {
    sockets: PathBuf,
    _keeper: Child,
}

/// Starts the server with the words after its directory, waits for the end of its input, then stops the server and
/// removes its files.
const KEEPER: &str = "\
dir=$1; shift; \"$@\" -D \"$dir/data\" -k \"$dir\" -c listen_addresses= -c fsync=off -c autovacuum=off \
-c max_connections=60 >\"$dir/log\" 2>&1 & read -r _; kill -INT \"$(head -n 1 \"$dir/data/postmaster.pid\")\"; \
wait; rm -rf \"$dir\"";

/// Directory of the server's programs, the newest first.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .filter_map(|v| Some(v.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).find(|dir| dir.join("initdb").exists()));
    found.pop().or(on_path)
}

/// A command; as the account `postgres` when we are root, because the server refuses to run as root.
fn command(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|m| {
        use std::os::unix::fs::MetadataExt;
        m.uid() == 0
    });
    if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn start(bin: &Path) -> Server {
    let dir = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let made = command(&bin.join("initdb"))
        .arg("-D")
        .arg(dir.join("data"))
        .args([
            "-U",
            "tl",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {words}");
    let server = command(&bin.join("postgres"));
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .arg(&dir)
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let server = Server {
        sockets: dir,
        _keeper: keeper,
    };
    let begun = Instant::now();
    while client(&server.url("postgres")).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no server");
        thread::yield_now();
    }
    server
}

impl Server {
    fn url(&self, database: &str) -> String {
        let sockets = self.sockets.display();
        format!("postgres://tl@/{database}?host={sockets}")
    }
}

/// A connection that speaks SQL directly, as the owner.
pub struct Sql {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

fn client(url: &str) -> Option<Sql> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .ok()?;
        tokio::spawn(connection);
        Some(client)
    })?;
    Some(Sql { runtime, client })
}

impl Sql {
    pub fn run(&self, sql: &str) -> Result<(), String> {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.map_err(|e| {
            e.as_db_error()
                .map_or(e.to_string(), |e| e.message().to_owned())
        })
    }

    /// The first column of the first row.
    pub fn number(&self, sql: &str) -> i64 {
        let row = self.runtime.block_on(self.client.query_one(sql, &[]));
        row.unwrap().get(0)
    }
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A new database. While it is held, no other test writes to the server: the order of commits is one for all of its
/// databases.
pub struct Database {
    pub url: String,
    _alone: MutexGuard<'static, ()>,
}

impl Database {
    /// `None`, said aloud, where PostgreSQL is not installed; with `TL_REQUIRE_POSTGRES=1` that is a failure.
    pub fn fresh() -> Option<Database> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let server = SERVER.get_or_init(|| programs().map(|bin| start(&bin)));
        let Some(server) = server else {
            let required = std::env::var("TL_REQUIRE_POSTGRES").is_ok_and(|v| v == "1");
            assert!(!required, "PostgreSQL is required and not installed");
            eprintln!("LEFT OUT: PostgreSQL is not installed, so this was not tested against it");
            return None;
        };
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let admin = client(&server.url("postgres")).unwrap();
        if admin.run("CREATE DATABASE made").is_ok() {
            let made: Location = server.url("made").parse().unwrap();
            drop(Backend::open_at(&made, &Options::default()).unwrap());
            // Nobody has been a node of a new database.
            let sql = client(&server.url("made")).unwrap();
            sql.run("DELETE FROM node").unwrap();
        }
        let copy = format!("CREATE DATABASE {name} TEMPLATE made");
        while let Err(words) = admin.run(&copy) {
            // The connection that made it may take a moment to go.
            assert!(words.contains("being accessed"), "{words}");
        }
        Some(Database {
            url: server.url(&name),
            _alone: alone,
        })
    }

    pub fn location(&self) -> Location {
        self.url.parse().unwrap()
    }

    pub fn sql(&self) -> Sql {
        client(&self.url).unwrap()
    }

    pub fn open(&self, options: &Options) -> Backend {
        Backend::open_at(&self.location(), options).unwrap()
    }

    /// Opens it as a node.
    pub fn node(&self, node: u32) -> Backend {
        self.open(&Options {
            node: Some(node),
            ..Options::default()
        })
    }
}

impl Database {
    /// Directory of the server's socket.
    pub fn sockets(&self) -> PathBuf {
        let (_, sockets) = self.url.split_once("host=").unwrap();
        PathBuf::from(sockets)
    }
}

pub struct Postgres {
    database: Database,
    backend: Backend,
}

impl Postgres {
    pub fn fresh() -> Option<Postgres> {
        let database = Database::fresh()?;
        let backend = database.node(1);
        Some(Postgres { database, backend })
    }
}

impl World for Postgres {
    fn commit(&mut self, units: Vec<Unit>) -> Vec<CommitAnswer> {
        self.backend.commit(units)
    }

    fn query(&self, query: Query) -> Reply {
        self.backend.query(query).unwrap()
    }

    fn crash(&mut self) {
        self.backend = self.database.node(1);
    }

    fn guest(&mut self, unit: Unit) -> CommitAnswer {
        let mut guest = self.database.open(&Options {
            node: None,
            ..Options::default()
        });
        guest.commit(vec![unit]).remove(0)
    }

    fn epoch(&self) -> u64 {
        self.backend.epoch()
    }

    fn integrity(&self) -> String {
        self.backend.integrity().unwrap()
    }
}
