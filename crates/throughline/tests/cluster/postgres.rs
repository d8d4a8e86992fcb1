//! A PostgreSQL server of the test's own, reached through a socket in its directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Starts the server with the words after its directory, waits for the end of its input, then stops the server and
/// removes its files: it ends with the test in whatever way that ends.
const KEEPER: &str = "\
dir=$1; shift; \"$@\" -D \"$dir/data\" -k \"$dir\" -c listen_addresses= -c fsync=off -c autovacuum=off \
-c max_connections=90 >\"$dir/log\" 2>&1 & read -r _; kill -INT \"$(head -n 1 \"$dir/data/postmaster.pid\")\"; \
wait; rm -rf \"$dir\"";

struct Server {
    bin: PathBuf,
    dir: PathBuf,
    _keeper: Child,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

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

/// A program of the server; as the account `postgres` when we are root, because it refuses to run as root.
fn program(bin: &Path, name: &str) -> Command {
    if fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(bin.join(name));
        command
    } else {
        Command::new(bin.join(name))
    }
}

fn start(bin: PathBuf) -> Server {
    let dir = tempfile::tempdir().unwrap().keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let options = [
        "-U",
        "tl",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ];
    let made = program(&bin, "initdb")
        .arg("-D")
        .arg(dir.join("data"))
        .args(options)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {words}");
    let server = program(&bin, "postgres");
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .arg(&dir)
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let server = Server {
        bin,
        dir,
        _keeper: keeper,
    };
    let begun = Instant::now();
    while server.sql("postgres", "SELECT 1").is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no server");
    }
    server
}

impl Server {
    fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-U", "tl", "-Atqc", sql, "-h"])
            .arg(&self.dir)
            .arg(database)
            .output()
            .unwrap();
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(words(&output.stdout)),
            false => Err(words(&output.stderr)),
        }
    }
}

/// A new database.
pub struct Database {
    name: String,
    server: &'static Server,
}

impl Database {
    /// `None`, said aloud, where PostgreSQL is not installed; with `TL_REQUIRE_POSTGRES=1` that is a failure.
    pub fn fresh() -> Option<Database> {
        let server = SERVER.get_or_init(|| programs().map(start)).as_ref();
        let Some(server) = server else {
            let required = std::env::var("TL_REQUIRE_POSTGRES").is_ok_and(|v| v == "1");
            assert!(!required, "PostgreSQL is required and not installed");
            eprintln!("LEFT OUT: PostgreSQL is not installed, so this was not tested");
            return None;
        };
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server
            .sql("postgres", &format!("CREATE DATABASE {name}"))
            .unwrap();
        Some(Database { name, server })
    }

    /// Its address, with a password that nobody asks for and nobody may see.
    pub fn url(&self) -> String {
        self.url_over(&self.server.dir)
    }

    /// The same over another directory with a socket in it.
    pub fn url_over(&self, sockets: &Path) -> String {
        format!(
            "postgres://tl:{PASSWORD}@/{}?host={}",
            self.name,
            sockets.display()
        )
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.server.dir.join(".s.PGSQL.5432")
    }
}

/// Stands in every address.
pub const PASSWORD: &str = "sesame-open";
