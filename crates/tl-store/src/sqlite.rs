//! The SQLite engine: synchronous, one connection, one transaction per group of units.
//!
//! Look-ups cost no round trip here, so they run one key at a time and in two stages: what the first answers lead
//! to is asked for what was found alone.

pub(crate) mod dialect;

use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use rusqlite::Connection;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use crate::backend::{Blame, Failure, Options};
use crate::contract::{Refused, Unit};
use crate::error::{OpenError, StoreError};
use crate::keys::NEVER;
use crate::logic::looks::LOOKS;
use crate::logic::{self, Numbered, Outcome, View};
use crate::migrate;
use crate::schema::Dialect;
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
    let mut stmt = conn.prepare_cached(sql)?;
    for params in all {
        bind(&mut stmt, params)?;
        let mut rows = stmt.raw_query();
        while let Some(row) = rows.next()? {
            read(&Fields::Sqlite(row))?;
        }
    }
    Ok(())
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
    node: u32,
    epoch: u64,
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
        let steps = migrate::migrations(Dialect::Sqlite);
        match options.node {
            Some(_) => migrate::migrate(&mut conn, path, &steps)?,
            None => migrate::require(&conn, path, &steps)?,
        }
        let (node, epoch) = match options.node {
            Some(node) => {
                raise_epoch(&mut conn, node).map_err(|e| dialect::open_error(path, &e))?
            }
            None => (0, 0),
        };
        Ok(Sqlite { conn, node, epoch })
    }

    /// Opens a further connection that reads alone. The file must have been opened for writing before.
    pub(crate) fn open_reader(path: &Path, options: &Options) -> Result<Sqlite, OpenError> {
        let sizes = sizes(options, options.reader_cache_kib);
        let conn = dialect::connect(path, Access::Read, options.vfs.as_deref(), sizes)?;
        Ok(Sqlite {
            conn,
            node: 0,
            epoch: 0,
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

    pub(crate) fn node(&self) -> u32 {
        self.node
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
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
        if done.is_err()
            && !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "TL0602 a group could not be rolled back");
        }
        done
    }

    fn try_transact(&mut self, units: &[Unit]) -> Result<Vec<Result<(), Refused>>, Failure> {
        let run = |sql: &str| self.conn.prepare_cached(sql)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        let view = self.view(units)?;
        let Outcome { answers, changes } = logic::decide(view, units, self.node);
        self.write(&changes)?;
        run("COMMIT")?;
        Ok(answers)
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
            let sql = match table {
                Numbered::Turn => "SELECT COALESCE(MAX(ord), 0) + 1 FROM turn",
                Numbered::Event => "SELECT COALESCE(MAX(ord), 0) + 1 FROM event",
                Numbered::Effect => "SELECT COALESCE(MAX(ord), 0) + 1 FROM effect",
                Numbered::Record => "SELECT COALESCE(MAX(ord), 0) + 1 FROM record",
                Numbered::Outbox => "SELECT COALESCE(MAX(ord), 0) + 1 FROM outbox",
                Numbered::Idempotent => "SELECT COALESCE(MAX(ord), 0) + 1 FROM idempotent",
                Numbered::Bundle => "SELECT COALESCE(MAX(ord), 0) + 1 FROM bundle",
                Numbered::Placed => "SELECT COALESCE(MAX(ord), 0) + 1 FROM placed",
            };
            ask(&self.conn, sql, &[], |r| {
                *view.next.of(table) = r.get(0)?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn write(&self, changes: &Changes<'_>) -> rusqlite::Result<()> {
        for (write, batch) in changes.written() {
            let mut stmt = self.conn.prepare_cached(&TEXTS[write])?;
            for row in batch.rows() {
                bind(&mut stmt, row)?;
                stmt.raw_execute()?;
            }
        }
        Ok(())
    }
}

fn sizes(options: &Options, cache_kib: u32) -> Sizes {
    Sizes {
        cache_kib,
        checkpoint_pages: options.checkpoint_pages,
    }
}

/// Starts a node: the number that was asked for, or the next free one for 0. Nobody takes over a node of a file, so
/// its lease does not end.
fn raise_epoch(conn: &mut Connection, node: u32) -> rusqlite::Result<(u32, u64)> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let node = match node {
        0 => tx.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM node", [], |r| {
            r.get(0)
        })?,
        given => given,
    };
    let epoch: i64 = tx.query_row(
        "INSERT INTO node (id, epoch, lease_until, last_group) VALUES (?1, 1, ?2, 0) \
         ON CONFLICT (id) DO UPDATE SET epoch = node.epoch + 1 RETURNING epoch",
        [i64::from(node), NEVER],
        |r| r.get(0),
    )?;
    tx.commit()?;
    Ok((node, epoch.unsigned_abs()))
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
