//! The SQLite engine: synchronous, one connection, one transaction per group of units.
//!
//! Look-ups cost no round trip here, so they run one key at a time and in two stages: what the first answers lead
//! to is asked for what was found alone.

pub(crate) mod dialect;

use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use crate::backend::{Blame, Failure, Lease, Options};
use crate::contract::{Refused, Unit};
use crate::error::{OpenError, StoreError};
use crate::logic::looks::LOOKS;
use crate::logic::{self, Numbered, Outcome, View};
use crate::migrate;
use crate::node::{self, Floor, Node};
use crate::schema::Dialect;
use crate::shared::Shared;
use crate::tenancy;
use crate::value::{Cell, Fields, Val};
use crate::writes::{Changes, WRITES};
use dialect::{Access, Sizes};

/// A checkpoint copies pages from file to file; it needs no cache to speak of.
const CHECKPOINTER_CACHE_KIB: u32 = 64;

/// What the first migration adds for SQLite alone: the journal refuses changes from whoever holds the file.
pub(crate) const FIRST_EXTRAS: &str = "\
CREATE TRIGGER turn_no_update BEFORE UPDATE ON turn BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER turn_no_delete BEFORE DELETE ON turn BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER turn_body_no_update BEFORE UPDATE ON turn_body
  BEGIN SELECT RAISE(ABORT, 'a body is erased or kept, never changed'); END;
";

static LOOK_UPS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = LOOKS.iter();
    all.map(|(_, look)| look.sql(Dialect::Sqlite)).collect()
});
static TEXTS: LazyLock<Vec<String>> =
    LazyLock::new(|| WRITES.iter().map(|w| w.sql(Dialect::Sqlite)).collect());

impl ToSql for Val<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Val::Null => ValueRef::Null,
            Val::Int(n) => ValueRef::Integer(*n),
            Val::Text(text) => ValueRef::Text(text.as_bytes()),
            Val::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A column of a row.
pub(crate) fn cell<'r>(row: &'r rusqlite::Row<'r>, column: usize) -> Option<Cell<'r>> {
    match row.get_ref(column).ok()? {
        ValueRef::Null => Some(Cell::Null),
        ValueRef::Integer(n) => Some(Cell::Int(n)),
        ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Cell::Text),
        ValueRef::Blob(bytes) => Some(Cell::Bytes(bytes)),
        ValueRef::Real(_) => None,
    }
}

/// Hands each row of a statement to `read`.
pub(crate) fn ask(
    conn: &Connection,
    sql: &str,
    params: &[Val<'_>],
    read: impl FnMut(&Fields<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    ask_each(conn, sql, std::iter::once(params), read)
}

/// As `ask`, once per list of parameters.
fn ask_each<'p>(
    conn: &Connection,
    sql: &str,
    all: impl Iterator<Item = &'p [Val<'p>]>,
    mut read: impl FnMut(&Fields<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut stmt = prepare(conn, sql)?;
    for params in all {
        bind(&mut stmt, params)?;
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next()? {
            read(&Fields::Sqlite(row))?;
        }
    }
    Ok(())
}

/// The way of every statement to the database, but for those of migrations.
fn prepare<'c>(conn: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    tenancy::watch(sql);
    conn.prepare_cached(sql)
}

fn bind(stmt: &mut rusqlite::Statement<'_>, params: &[Val<'_>]) -> rusqlite::Result<()> {
    for (i, value) in (1..).zip(params) {
        stmt.raw_bind_parameter(i, value)?;
    }
    Ok(())
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Sqlite {
    conn: Connection,
    /// `None` for readers and guests.
    node: Option<Node>,
    /// Absent where the file has one node.
    shared: Option<Shared>,
}

/// What is said about nodes on a connection, and when.
struct Said<'c> {
    conn: &'c Connection,
    now: i64,
}

impl Floor for Said<'_> {
    type Error = rusqlite::Error;
    const DIALECT: Dialect = Dialect::Sqlite;

    fn say(&mut self, sql: &str, params: &[Val<'_>]) -> rusqlite::Result<Vec<Vec<i64>>> {
        let mut all = params.to_vec();
        all.resize(node::PARAMS, Val::Null);
        all.push(Val::Int(self.now));
        let mut stmt = prepare(self.conn, sql)?;
        let wanted = stmt.parameter_count();
        bind(&mut stmt, &all[..wanted])?;
        let columns = stmt.column_count();
        let mut rows = stmt.raw_query();
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            let row: rusqlite::Result<Vec<i64>> = (0..columns).map(|i| row.get(i)).collect();
            out.push(row?);
        }
        Ok(out)
    }
}

impl Sqlite {
    /// Opens the file, creating and migrating it as the options say.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Sqlite, OpenError> {
        let access = match options.node {
            Some(_) => Access::Create,
            None => Access::Write,
        };
        let sizes = sizes(options, options.writer_cache_kib);
        let mut conn = dialect::connect(path, access, options.vfs.as_deref(), sizes)?;
        let shared = options.shared.clone();
        let steps = migrate::migrations(Dialect::Sqlite);
        match options.node {
            Some(_) => migrate::migrate(&mut conn, path, &steps)?,
            None => migrate::require(&conn, path, &steps)?,
        }
        let mut sqlite = Sqlite {
            conn,
            node: None,
            shared,
        };
        if let Some(asked) = options.node {
            let lease = match sqlite.shared {
                Some(_) => options.lease,
                None => Duration::MAX,
            };
            let node = Node::register(&mut sqlite.floor(), asked, lease);
            sqlite.node = Some(node.map_err(|e| dialect::open_error(path, &e))?);
        }
        Ok(sqlite)
    }

    /// Where one node has the file to itself time stands still, so that no lease ends.
    fn floor(&self) -> Said<'_> {
        let clock = self.shared.as_ref();
        Said {
            conn: &self.conn,
            now: clock.map_or(0, |s| s.0.database_clock()),
        }
    }

    /// Opens a further connection that reads alone. The file must have been opened for writing before.
    pub(crate) fn open_reader(path: &Path, options: &Options) -> Result<Sqlite, OpenError> {
        let sizes = sizes(options, options.reader_cache_kib);
        let conn = dialect::connect(path, Access::Read, options.vfs.as_deref(), sizes)?;
        Ok(Sqlite {
            conn,
            node: None,
            shared: None,
        })
    }

    /// A connection for a thread that does nothing but checkpoints.
    pub(crate) fn open_checkpointer(
        path: &Path,
        options: &Options,
    ) -> Result<Connection, OpenError> {
        let sizes = sizes(options, CHECKPOINTER_CACHE_KIB);
        dialect::connect(path, Access::Write, options.vfs.as_deref(), sizes)
    }

    pub(crate) fn conn(&self) -> &Connection {
        &self.conn
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Whether other nodes may use the file at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The node, where it has a lease that ends.
    fn leased(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| self.is_shared())
    }

    /// Extends the node's lease.
    pub(crate) fn heartbeat(&self) -> Result<Lease, StoreError> {
        match self.leased() {
            Some(node) => Ok(node.beat(&mut self.floor())?),
            None => Ok(Lease::endless()),
        }
    }

    /// Gives the lease back: for everybody else it has lapsed.
    pub(crate) fn release(&self) -> Result<(), StoreError> {
        match self.leased() {
            Some(node) => Ok(node.release(&mut self.floor())?),
            None => Ok(()),
        }
    }

    /// Takes over from other nodes whose lease has lapsed.
    pub(crate) fn lapse_others(&self) -> Result<Vec<u32>, StoreError> {
        match self.leased() {
            Some(node) => Ok(node.lapse_others(&mut self.floor())?),
            None => Ok(Vec::new()),
        }
    }

    /// Leaves checkpoints to the caller, who watches the length of the write-ahead log (pages) that is returned.
    pub(crate) fn watch_log(&mut self) -> rusqlite::Result<Arc<AtomicU64>> {
        dialect::watch_log(&mut self.conn)
    }

    /// Moves what can be moved of the write-ahead log into the database without waiting for anybody.
    pub(crate) fn checkpoint_part(&self) -> rusqlite::Result<()> {
        dialect::checkpoint_part(&self.conn)
    }

    /// Decides the units and makes what passed durable, in one transaction.
    pub(crate) fn transact(&mut self, units: &[Unit]) -> Result<Vec<Result<(), Refused>>, Failure> {
        let done = self.try_transact(units);
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "TL0602 a group could not be rolled back");
        }
        done
    }

    fn try_transact(&mut self, units: &[Unit]) -> Result<Vec<Result<(), Refused>>, Failure> {
        self.run("BEGIN IMMEDIATE")?;
        if let Some(node) = &mut self.node {
            node.tried += 1;
        }
        if !self.passes_fence()? {
            // The transaction ends without a commit.
            return Ok(units.iter().map(|_| Err(Refused::Fenced)).collect());
        }
        let view = self.view(units)?;
        let node = self.node.as_ref().map_or(0, |n| n.id);
        let Outcome { answers, changes } = logic::decide(view, units, node);
        self.write(&changes)?;
        self.run("COMMIT")?;
        Ok(answers)
    }

    fn run(&self, sql: &str) -> rusqlite::Result<usize> {
        prepare(&self.conn, sql)?.execute([])
    }

    fn passes_fence(&self) -> rusqlite::Result<bool> {
        let Some(node) = self.leased() else {
            return Ok(true);
        };
        let (sql, params) = node.fence(Dialect::Sqlite);
        Ok(!self.floor().say(sql, &params)?.is_empty())
    }

    fn view<'a>(&self, units: &'a [Unit]) -> Result<View<'a>, StoreError> {
        let mut view = View::default();
        let needs = logic::needs(units);
        self.look(&needs, &mut view)?;
        let second = needs.second(&view);
        self.look(&second, &mut view)?;
        self.number(units, &mut view)?;
        Ok(view)
    }

    fn look(&self, needs: &logic::Needs<'_>, view: &mut View<'_>) -> Result<(), StoreError> {
        for (look, keys) in needs.all() {
            let keys = keys.iter().map(Vec::as_slice);
            ask_each(&self.conn, &LOOK_UPS[look as usize], keys, |r| {
                view.absorb(look, r)
            })?;
        }
        Ok(())
    }

    /// Nobody else numbers rows while the transaction lasts. The greatest number is found at the end of a table.
    fn number(&self, units: &[Unit], view: &mut View<'_>) -> Result<(), StoreError> {
        for table in logic::numbered(units) {
            ask(&self.conn, number_sql(table), &[], |r| {
                *view.next.of(table) = r.get(0)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn write(&self, changes: &Changes<'_>) -> rusqlite::Result<()> {
        for (write, batch) in changes.written() {
            let mut stmt = prepare(&self.conn, &TEXTS[write])?;
            for row in batch.rows() {
                bind(&mut stmt, row)?;
                stmt.raw_execute()?;
            }
        }
        Ok(())
    }
}

/// The next number of a table.
pub(crate) fn number_sql(table: Numbered) -> &'static str {
    match table {
        Numbered::Turn => "SELECT COALESCE(MAX(ord), 0) + 1 FROM turn",
        Numbered::Event => "SELECT COALESCE(MAX(ord), 0) + 1 FROM event",
        Numbered::Effect => "SELECT COALESCE(MAX(ord), 0) + 1 FROM effect",
        Numbered::Record => "SELECT COALESCE(MAX(ord), 0) + 1 FROM record",
        Numbered::Outbox => "SELECT COALESCE(MAX(ord), 0) + 1 FROM outbox",
        Numbered::Idempotent => "SELECT COALESCE(MAX(ord), 0) + 1 FROM idempotent",
        Numbered::Bundle => "SELECT COALESCE(MAX(ord), 0) + 1 FROM bundle",
        Numbered::Placed => "SELECT COALESCE(MAX(ord), 0) + 1 FROM placed",
    }
}

fn sizes(options: &Options, cache_kib: u32) -> Sizes {
    Sizes {
        cache_kib,
        checkpoint_pages: options.checkpoint_pages,
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure {
            blame: match dialect::blames_the_unit(&error) {
                true => Blame::Unit,
                false => Blame::Machine,
            },
            why: dialect::error_kind(&error),
            words: error.to_string(),
        }
    }
}
