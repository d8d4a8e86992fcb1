//! The SQLite engine behind the contract: synchronous, one connection, one transaction per group of units.
//!
//! ```text
//! commit(units)
//!   BEGIN IMMEDIATE ─► refresh (did another process write?) ─► per unit: check ─► apply ─► counters ─► COMMIT
//!                                                              └ refused: nothing of it is written
//! ```
//! `check` evaluates every guard before the first write of a unit, so no savepoint is needed. What fails in spite
//! of it makes the group roll back and run again in halves, until the faulty unit is alone.

mod apply;
mod check;
mod config;
mod counters;
mod effects;
mod gate;
mod journal;
mod keys;
mod ledger;
mod lists;
mod read;
mod rows;
mod settings;
mod stats;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rusqlite::Connection;

use crate::contract::{CommitAnswer, Committed, Query, Refused, Reply, Unit};
use crate::dialect::{self, Access, Sizes};
use crate::error::{OpenError, StoreError};
use crate::migrate;

use counters::Counters;
use gate::GateCache;

pub(crate) use effects::{serial_busy_sql, withdraw_sql};
pub use read::Reader;
pub(crate) use rows::take_key_sql;

/// A checkpoint copies pages from file to file; it needs no cache to speak of.
const CHECKPOINTER_CACHE_KIB: u32 = 64;

/// How a backend is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Node id of a process that sends effects: opening raises its epoch, which fences the process before it.
    /// `None` for a guest that writes beside a running server (the kill command); it neither migrates nor fences.
    pub node: Option<u32>,
    /// Page cache of the writing connection, KiB.
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
}

impl Default for Options {
    fn default() -> Options {
        Options {
            node: Some(1),
            writer_cache_kib: 32 * 1024,
            reader_cache_kib: 4 * 1024,
            readers: 2,
            checkpoint_pages: 16_384,
            group: 256,
            vfs: None,
        }
    }
}

impl Options {
    fn sizes(&self, cache_kib: u32) -> Sizes {
        Sizes {
            cache_kib,
            checkpoint_pages: self.checkpoint_pages,
        }
    }
}

/// The store on one SQLite file. Not shared between threads; `Store` is the façade that is.
#[derive(Debug)]
pub struct Backend {
    reader: Reader,
    gate: GateCache,
    epoch: u64,
    groups: u64,
    faults: u64,
}

/// Why a unit was not applied.
pub(crate) enum Stop {
    /// By a guard: the answer of the unit.
    Refused(Refused),
    /// By the database: the group rolls back.
    Fault(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(e: rusqlite::Error) -> Stop {
        Stop::Fault(e)
    }
}

impl From<Refused> for Stop {
    fn from(r: Refused) -> Stop {
        Stop::Refused(r)
    }
}

impl Backend {
    /// Opens the file, creating and migrating it as the options say.
    pub fn open(path: &Path, options: &Options) -> Result<Backend, OpenError> {
        let vfs = options.vfs.as_deref();
        let access = match options.node {
            Some(_) => Access::Create,
            None => Access::Write,
        };
        let mut conn =
            dialect::connect(path, access, vfs, options.sizes(options.writer_cache_kib))?;
        let steps = migrate::migrations();
        match options.node {
            Some(_) => migrate::migrate(&mut conn, path, &steps)?,
            None => migrate::require(&conn, path, &steps)?,
        }
        let epoch = match options.node {
            Some(node) => raise_epoch(&conn, node).map_err(|e| dialect::open_error(path, &e))?,
            None => 0,
        };
        Ok(Backend {
            reader: Reader::new(conn),
            gate: GateCache::default(),
            epoch,
            groups: 0,
            faults: 0,
        })
    }

    /// Opens a further connection that reads alone. The file must have been opened for writing before.
    pub fn open_reader(path: &Path, options: &Options) -> Result<Reader, OpenError> {
        let vfs = options.vfs.as_deref();
        let conn = dialect::connect(
            path,
            Access::Read,
            vfs,
            options.sizes(options.reader_cache_kib),
        )?;
        Ok(Reader::new(conn))
    }

    /// A connection for a thread that does nothing but checkpoints.
    pub(crate) fn open_checkpointer(
        path: &Path,
        options: &Options,
    ) -> Result<Connection, OpenError> {
        dialect::connect(
            path,
            Access::Write,
            options.vfs.as_deref(),
            options.sizes(CHECKPOINTER_CACHE_KIB),
        )
    }

    /// How often this node was started; 0 for a guest.
    pub fn epoch(&self) -> u64 {
        self.epoch
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

    /// Moves the write-ahead log into the database file.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(dialect::checkpoint(self.conn())?)
    }

    /// Leaves checkpoints to the caller, who watches the length of the write-ahead log (pages) that is returned.
    pub(crate) fn watch_log(&mut self) -> rusqlite::Result<Arc<AtomicU64>> {
        dialect::watch_log(self.reader.conn_mut())
    }

    /// Moves what can be moved of the write-ahead log into the database without waiting for anybody.
    pub(crate) fn checkpoint_part(&self) -> rusqlite::Result<()> {
        dialect::checkpoint_part(self.conn())
    }

    /// The database's own verdict on its structure: `ok`, or what is wrong.
    pub fn integrity(&self) -> Result<String, StoreError> {
        Ok(dialect::integrity(self.conn())?)
    }

    fn conn(&self) -> &Connection {
        self.reader.conn()
    }

    fn commit_slice(&mut self, units: &[Unit], answers: &mut Vec<CommitAnswer>) {
        if units.is_empty() {
            return;
        }
        let error = match self.transact(units) {
            Ok(some) => return answers.extend(some),
            Err(error) => error,
        };
        self.roll_back();
        if !dialect::blames_the_unit(&error) {
            tracing::error!(%error, units = units.len(), "TL0602 a group could not be committed");
            let why = dialect::error_kind(&error);
            answers.extend(
                units
                    .iter()
                    .map(|_| Err(Refused::Unavailable { why: why.clone() })),
            );
        } else if units.len() == 1 {
            let why = dialect::error_kind(&error);
            answers.push(Err(self.faulty(why, &error.to_string())));
        } else {
            let (first, second) = units.split_at(units.len() / 2);
            self.commit_slice(first, answers);
            self.commit_slice(second, answers);
        }
    }

    fn transact(&mut self, units: &[Unit]) -> rusqlite::Result<Vec<CommitAnswer>> {
        self.conn().prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.gate.refresh(self.reader.conn())?;
        let mut counters = Counters::default();
        let group = self.groups + 1;
        let mut answers = Vec::with_capacity(units.len());
        for unit in units {
            answers.push(match self.one(unit, &mut counters) {
                Ok(()) => Ok(Committed { group }),
                Err(Stop::Refused(why)) => Err(why),
                Err(Stop::Fault(error)) => return Err(error),
            });
        }
        counters.flush(self.conn())?;
        self.conn().prepare_cached("COMMIT")?.execute([])?;
        self.groups = group;
        Ok(answers)
    }

    fn one(&mut self, unit: &Unit, counters: &mut Counters) -> Result<(), Stop> {
        let conn = self.reader.conn();
        match check::check(conn, &self.gate, unit) {
            Ok(seen) => Ok(apply::apply(conn, &mut self.gate, counters, seen)?),
            Err(Stop::Refused(Refused::Duplicate { event, payload })) => {
                rows::alias_free_keys(conn, unit, event)?;
                Err(Refused::Duplicate { event, payload }.into())
            }
            Err(Stop::Refused(Refused::Faulty { why, .. })) => {
                let words = "the unit contradicts the contract";
                Err(self.faulty(why, words).into())
            }
            Err(other) => Err(other),
        }
    }

    /// Numbers a fault, so that the answer can be found in the log.
    fn faulty(&mut self, why: String, words: &str) -> Refused {
        self.faults += 1;
        let id = self.epoch * 1_000_000 + self.faults;
        tracing::error!(id, why, words, "TL0601 a unit cannot be stored");
        Refused::Faulty { id, why }
    }

    fn roll_back(&mut self) {
        if !self.conn().is_autocommit()
            && let Err(error) = self.conn().execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "TL0602 a group could not be rolled back");
        }
        // What the units of the group raised is void.
        self.gate.forget();
    }
}

fn raise_epoch(conn: &Connection, node: u32) -> rusqlite::Result<u64> {
    conn.query_row(
        "INSERT INTO node (id, epoch) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET epoch = node.epoch + 1 \
         RETURNING epoch",
        [node],
        |r| r.get::<_, i64>(0),
    )
    .map(|e| e.unsigned_abs())
}
