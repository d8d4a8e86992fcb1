//! One database behind the contract, without threads: what is committed here, and what a failed group means.
//!
//! An engine applies a whole group or nothing. What fails in spite of all checks makes the group run again in
//! halves, until the faulty unit is alone; it is refused, and its neighbours are committed.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::contract::{CommitAnswer, Committed, Query, Refused, Reply, Unit};
use crate::error::{OpenError, StoreError};
use crate::node::Node;
use crate::postgres::Postgres;
use crate::read::Reader;
use crate::shared::Shared;
use crate::sqlite::{Sqlite, dialect};

/// How a backend is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Node id of a process that sends effects: opening raises its epoch, which fences the process before it. 0 takes
    /// the next free number. `None` for a guest that writes beside a running server (the kill command); it neither
    /// migrates nor fences.
    pub node: Option<u32>,
    /// Page cache of the writing connection, KiB. Not the larger the better: a commit that splits pages in the middle
    /// of a table walks over the whole cache, and commits that are alone feel it most.
    pub writer_cache_kib: u32,
    /// Page cache of each reading connection, KiB.
    pub reader_cache_kib: u32,
    /// Reading connections, at least 1.
    pub readers: u32,
    /// Length of the write-ahead log, in pages of 4 KiB, at which it is moved into the database. Fewer, larger moves
    /// cost less, because a page that changed many times is moved once.
    pub checkpoint_pages: u32,
    /// Units that share one transaction, at most.
    pub group: usize,
    /// Name of a registered SQLite file layer, for tests on a lying disk.
    pub vfs: Option<String>,
    /// How long a node may write after it last told the database that it lives. A SQLite file that is not shared has
    /// one node, whose lease does not end.
    pub lease: Duration,
    /// Several nodes of this process share a SQLite file, in a simulation. Each is opened inline, and its lease is
    /// kept by whoever opened it, with `Store::keep_lease`.
    pub shared: Option<Shared>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            node: Some(1),
            writer_cache_kib: 16 * 1024,
            reader_cache_kib: 4 * 1024,
            readers: 2,
            checkpoint_pages: 16_384,
            group: 256,
            vfs: None,
            lease: Duration::from_secs(10),
            shared: None,
        }
    }
}

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database, as an address `postgres://…`.
    Postgres(String),
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Location {
        Location::File(path.to_owned())
    }
}

impl FromStr for Location {
    type Err = std::convert::Infallible;

    /// An address of a server, or else the path of a file.
    fn from_str(text: &str) -> Result<Location, Self::Err> {
        let server = text.starts_with("postgres://") || text.starts_with("postgresql://");
        Ok(match server {
            true => Location::Postgres(text.to_owned()),
            false => Location::File(PathBuf::from(text)),
        })
    }
}

/// An address may hold a password.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::File(path) => write!(f, "Location({})", path.display()),
            Location::Postgres(_) => write!(f, "Location(postgres)"),
        }
    }
}

/// A node's right to write, as the database sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// False once another process has raised the node's epoch: this one must not send anything any more.
    pub held: bool,
    /// What was left of it when the database answered. To be counted from the moment of the question: how long the
    /// answer took on its way is not known.
    pub left: Duration,
    /// The database's clock when it answered, µs; `None` where there is no other clock than this machine's.
    pub database_time: Option<i64>,
}

impl Lease {
    /// Of a node that nobody can take over.
    pub(crate) fn endless() -> Lease {
        Lease {
            held: true,
            left: Duration::MAX,
            database_time: None,
        }
    }
}

/// The store on one connection. Not shared between threads; `Store` is the façade that is.
#[derive(Debug)]
pub struct Backend {
    reader: Reader,
    groups: u64,
    faults: u64,
}

impl Backend {
    /// Opens the file, creating and migrating it as the options say.
    pub fn open(path: &Path, options: &Options) -> Result<Backend, OpenError> {
        Backend::open_at(&Location::from(path), options)
    }

    /// Opens the database, creating and migrating it as the options say.
    pub fn open_at(location: &Location, options: &Options) -> Result<Backend, OpenError> {
        let source = match location {
            Location::File(path) => Source::Sqlite(Sqlite::open(path, options)?),
            Location::Postgres(url) => Source::Postgres(apart(|| Postgres::open(url, options))?),
        };
        Ok(Backend {
            reader: Reader::new(source),
            groups: 0,
            faults: 0,
        })
    }

    /// Opens a further connection that reads alone. The database must have been opened for writing before.
    pub fn open_reader(location: &Location, options: &Options) -> Result<Reader, OpenError> {
        let source = match location {
            Location::File(path) => Source::Sqlite(Sqlite::open_reader(path, options)?),
            Location::Postgres(url) => Source::Postgres(apart(|| Postgres::open_reader(url))?),
        };
        Ok(Reader::new(source))
    }

    /// The node's number; 0 for a guest.
    pub fn node(&self) -> u32 {
        self.registered().map_or(0, |n| n.id)
    }

    /// How often this node was started; 0 for a guest.
    pub fn epoch(&self) -> u64 {
        self.registered().map_or(0, |n| n.epoch)
    }

    fn registered(&self) -> Option<&Node> {
        match &self.reader.source {
            Source::Sqlite(s) => s.node(),
            Source::Postgres(p) => p.node(),
        }
    }

    /// Whether other nodes may use the database at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.reader.source {
            Source::Sqlite(s) => s.is_shared(),
            Source::Postgres(_) => true,
        }
    }

    /// Groups made durable since the store was opened.
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// The connection's reading half, with one function per question.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Answers a question from what is committed.
    pub fn query(&self, query: Query) -> Result<Reply, StoreError> {
        self.reader.query(query)
    }

    /// Applies the units in one transaction and makes them durable. Answers come in the order of the units.
    pub fn commit(&mut self, units: Vec<Unit>) -> Vec<CommitAnswer> {
        let mut answers = Vec::with_capacity(units.len());
        self.commit_slice(&units, &mut answers);
        answers
    }

    /// Moves the write-ahead log into the database file, where there is one.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        match &self.reader.source {
            Source::Sqlite(s) => Ok(dialect::checkpoint(s.conn())?),
            Source::Postgres(_) => Ok(()),
        }
    }

    /// The database's own verdict on its structure: `ok`, or what is wrong.
    pub fn integrity(&self) -> Result<String, StoreError> {
        match &self.reader.source {
            Source::Sqlite(s) => Ok(dialect::integrity(s.conn())?),
            // The server checks its own files; what can be asked of it is that heads and bodies belong together.
            Source::Postgres(_) => self.reader.coherence(),
        }
    }

    /// The SQLite connection, for what only that engine needs.
    pub(crate) fn sqlite(&mut self) -> Option<&mut Sqlite> {
        match &mut self.reader.source {
            Source::Sqlite(s) => Some(s),
            Source::Postgres(_) => None,
        }
    }

    /// The PostgreSQL connection, for what only that engine needs.
    pub(crate) fn postgres(&self) -> Option<&Postgres> {
        match &self.reader.source {
            Source::Sqlite(_) => None,
            Source::Postgres(p) => Some(p),
        }
    }

    /// Extends the node's lease. A node that lapsed and that nobody took over holds it again.
    pub fn heartbeat(&mut self) -> Result<Lease, StoreError> {
        match &mut self.reader.source {
            Source::Sqlite(s) => s.heartbeat(),
            Source::Postgres(p) => p.heartbeat(),
        }
    }

    /// Takes over from other nodes whose lease has lapsed: raises their epochs, so that their attempts become stale, and
    /// names them, each once.
    pub fn lapse_others(&mut self) -> Result<Vec<u32>, StoreError> {
        match &mut self.reader.source {
            Source::Sqlite(s) => s.lapse_others(),
            Source::Postgres(p) => p.lapse_others(),
        }
    }

    /// Gives the node's lease back: others need not wait for its end.
    pub(crate) fn release(&mut self) {
        let released = match &mut self.reader.source {
            Source::Sqlite(s) => s.release(),
            Source::Postgres(p) => p.release(),
        };
        if let Err(error) = released {
            tracing::warn!(%error, "the lease was not given back; it ends by itself");
        }
    }

    fn commit_slice(&mut self, units: &[Unit], answers: &mut Vec<CommitAnswer>) {
        if units.is_empty() {
            return;
        }
        let done = match &mut self.reader.source {
            Source::Sqlite(s) => s.transact(units),
            Source::Postgres(p) => p.transact(units),
        };
        match done {
            Ok(some) => {
                self.groups += 1;
                let group = self.groups;
                for answer in some {
                    answers.push(match answer {
                        Ok(()) => Ok(Committed { group }),
                        Err(Refused::Faulty { why, .. }) => {
                            Err(self.faulty(why, "the unit contradicts the contract"))
                        }
                        Err(other) => Err(other),
                    });
                }
            }
            Err(failure) if failure.blame == Blame::Machine => {
                let (error, units) = (failure.words, units.len());
                tracing::error!(error, units, "TL0602 a group could not be committed");
                let refused = Refused::Unavailable { why: failure.why };
                answers.extend(std::iter::repeat_n(Err(refused), units));
            }
            Err(failure) if units.len() == 1 => {
                answers.push(Err(self.faulty(failure.why, &failure.words)));
            }
            Err(_) => {
                let (first, second) = units.split_at(units.len() / 2);
                self.commit_slice(first, answers);
                self.commit_slice(second, answers);
            }
        }
    }

    /// Numbers a fault, so that the answer can be found in the log.
    fn faulty(&mut self, why: String, words: &str) -> Refused {
        self.faults += 1;
        let id = self.epoch() * 1_000_000 + self.faults;
        tracing::error!(id, why, words, "TL0601 a unit cannot be stored");
        Refused::Faulty { id, why }
    }
}

/// A connection to one of the engines.
#[derive(Debug)]
pub(crate) enum Source {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Runs it on a thread of its own, because the caller may be inside a runtime.
pub(crate) fn apart<T: Send>(
    work: impl FnOnce() -> Result<T, OpenError> + Send,
) -> Result<T, OpenError> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Why a group was not applied.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) blame: Blame,
    /// Kind of fault, without values.
    pub(crate) why: String,
    /// The database's own words, for the log.
    pub(crate) words: String,
}

/// Whose fault a failed group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Of one of its units: the group runs again in halves.
    Unit,
    /// Of nobody in the group: nothing can be made durable now.
    Machine,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let blame = match error {
            StoreError::Damaged { .. } => Blame::Unit,
            StoreError::Unavailable { .. } | StoreError::Closed => Blame::Machine,
        };
        Failure {
            blame,
            why: error.to_string(),
            words: error.to_string(),
        }
    }
}
