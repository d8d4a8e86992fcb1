//! A PostgreSQL server of the tests' own: one for each process of tests, reached through a socket in its directory, or
//! one for a single test that ends or changes it. It is gone with the process in whatever way that ends.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Starts the server with the words after its directory. A line of input ends it as an accident would and starts it
/// again; the end of the input stops it, and its files are removed.
const KEEPER: &str = "\
dir=$1; shift; run() { \"$@\" >>\"$dir/log\" 2>&1 & }; tell() { kill \"-$1\" \"$(head -n 1 \"$dir/data/postmaster.pid\")\"; }; \
run \"$@\"; while read -r _; do tell QUIT; wait; run \"$@\"; done; tell INT; wait; rm -rf \"$dir\"";

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server of one test's own is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own<'a> {
    /// Settings, as `name=value`.
    pub settings: &'a [&'a str],
    /// Files of its data directory, name and text: they replace its own, and nobody else may read them.
    pub files: &'a [(&'a str, &'a str)],
}

/// A running server, whose owner is the account `tl` without a password.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
    /// It reads from a pipe that ends with this value.
    keeper: Mutex<Child>,
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
        let start = || Some(start(installed()?, &Own::default(), None));
        SERVER.get_or_init(start).as_ref()
    }

    /// A server of one test's own, which listens on a port of the loopback interface too. `None` as above.
    ///
    /// # Panics
    /// As above.
    pub fn of_one_test(own: &Own<'_>) -> Option<Server> {
        let programs = installed()?;
        // Nobody takes it in the moment between, on the machines that tests run on.
        Some(start(programs, own, Some(crate::free_port())))
    }

    /// Ends the server at once, as an accident of its machine would, and starts it again. Returns when it answers.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn crash(&self) {
        let started = "SELECT pg_postmaster_start_time()";
        let before = self.sql("postgres", started).expect("it runs");
        let mut keeper = self.keeper.lock().expect("nobody panics here");
        let input = keeper.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("it listens");
        let is_back = || self.sql("postgres", started).is_ok_and(|now| now != before);
        wait_until("the server does not come back", is_back);
    }

    /// The port of a server of one test's own.
    pub fn port(&self) -> u16 {
        self.port
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
        self.dir.join(format!(".s.PGSQL.{}", self.port))
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
            .args(["-U", "tl", "-Atqc", sql, "-p"])
            .arg(self.port.to_string())
            .arg("-h")
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut keeper) = self.keeper.lock() {
            drop(keeper.stdin.take());
            // What it leaves behind is said by nobody: a test is over.
            let _ = keeper.wait();
        }
    }
}

/// The server's programs. `None`, said aloud, where there are none.
fn installed() -> Option<PathBuf> {
    let programs = programs();
    if programs.is_none() {
        crate::lacks(
            "POSTGRES",
            "everything on PostgreSQL, which is not installed",
        );
    }
    programs
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
    if crate::is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(dir.join(name));
        command
    } else {
        Command::new(dir.join(name))
    }
}

/// Makes a directory with an empty installation.
fn make(programs: &Path, files: &[(&str, &str)]) -> PathBuf {
    let dir = tempfile::tempdir().expect("a directory").keep();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("open to the server");
    let data = dir.join("data");
    let options = "-U tl -A trust -E UTF8 --locale=C --no-sync";
    let made = program(programs, "initdb")
        .arg("-D")
        .arg(&data)
        .args(options.split(' '))
        .output()
        .expect("initdb starts");
    let words = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {words}");
    let owner = fs::metadata(&data).expect("it is there");
    for (name, text) in files {
        let file = data.join(name);
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("closed to others");
        chown(&file, Some(owner.uid()), Some(owner.gid())).expect("the server's own");
    }
    dir
}

fn start(programs: PathBuf, own: &Own<'_>, tcp: Option<u16>) -> Server {
    let dir = make(&programs, own.files);
    let port = tcp.unwrap_or(5432);
    let listen = tcp.map_or("", |_| "127.0.0.1");
    let server = program(&programs, "postgres");
    let mut keeper = Command::new("sh");
    keeper
        .args(["-c", KEEPER, "sh"])
        .arg(&dir)
        .arg(server.get_program())
        .args(server.get_args())
        .arg("-D")
        .arg(dir.join("data"))
        .arg("-k")
        .arg(&dir);
    let settings = [
        &format!("port={port}"),
        &format!("listen_addresses={listen}"),
        "fsync=off",
        "autovacuum=off",
        "max_connections=90",
    ];
    for setting in settings.iter().chain(own.settings) {
        keeper.args(["-c", setting]);
    }
    // It outlives a test by a moment; nobody is to wait for what it might say.
    keeper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let keeper = keeper.spawn().expect("a shell");
    let server = Server {
        programs,
        dir,
        port,
        keeper: Mutex::new(keeper),
    };
    let answers = || server.sql("postgres", "SELECT 1").is_ok();
    wait_until("the server does not answer", answers);
    server
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
    }
}
