//! A PostgreSQL server of the tests' own: one for each process of tests, reached through a socket in its directory,
//! gone with the process in whatever way that ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Starts the server with the words after its directory, waits for the end of its input, then stops the server and
/// removes its files.
const KEEPER: &str = "\
dir=$1; shift; \"$@\" -D \"$dir/data\" -k \"$dir\" -c listen_addresses= -c fsync=off -c autovacuum=off \
-c max_connections=90 >\"$dir/log\" 2>&1 & read -r _; kill -INT \"$(head -n 1 \"$dir/data/postmaster.pid\")\"; \
wait; rm -rf \"$dir\"";

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, whose owner is the account `tl` without a password.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    dir: PathBuf,
    /// It reads from a pipe that ends with this process.
    _keeper: Child,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// The server of this process, started by whoever asks first. `None`, said aloud, where PostgreSQL is not
    /// installed.
    ///
    /// # Panics
    /// When it does not start, or is not installed although `TL_REQUIRE_POSTGRES=1` says that it must be.
    pub fn of_this_process() -> Option<&'static Server> {
        let server = SERVER.get_or_init(|| programs().map(start)).as_ref();
        if server.is_none() {
            let required = std::env::var("TL_REQUIRE_POSTGRES").is_ok_and(|v| v == "1");
            assert!(!required, "PostgreSQL is required and not installed");
            crate::left_out("everything on PostgreSQL, which is not installed");
        }
        server
    }

    /// A name that no database of the server has.
    pub fn new_name(&self) -> String {
        format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed))
    }

    /// The directory of its socket.
    pub fn sockets(&self) -> &Path {
        &self.dir
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    /// Runs a statement in a database, as the owner: the rows as text, or what the server says against it.
    ///
    /// # Errors
    /// The server's words.
    ///
    /// # Panics
    /// When `psql` cannot be started.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-U", "tl", "-Atqc", sql, "-h"])
            .arg(&self.dir)
            .arg(database)
            .output()
            .expect("psql starts");
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(words(&output.stdout)),
            false => Err(words(&output.stderr)),
        }
    }
}

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
fn program(dir: &Path, name: &str) -> Command {
    if fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(dir.join(name));
        command
    } else {
        Command::new(dir.join(name))
    }
}

fn start(programs: PathBuf) -> Server {
    let dir = tempfile::tempdir().expect("a directory").keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("open to the server");
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
    let made = program(&programs, "initdb")
        .arg("-D")
        .arg(dir.join("data"))
        .args(options)
        .output()
        .expect("initdb starts");
    let words = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {words}");
    let server = program(&programs, "postgres");
    let keeper = Command::new("sh")
        .args(["-c", KEEPER, "sh"])
        .arg(&dir)
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let server = Server {
        programs,
        dir,
        _keeper: keeper,
    };
    let begun = Instant::now();
    while server.sql("postgres", "SELECT 1").is_err() {
        assert!(begun.elapsed() < PATIENCE, "the server does not answer");
    }
    server
}
