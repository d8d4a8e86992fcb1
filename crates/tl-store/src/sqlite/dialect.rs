//! What is SQLite's own: how it is opened and how its errors are read.

use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::OpenError;

/// Marks a file as one of ours (`TLst`).
const APPLICATION_ID: i64 = 0x544c_7374;
/// Earlier versions of SQLite can lose a commit when a checkpoint meets a writer at the wrong moment.
const OLDEST_LIBRARY: i32 = 3_051_003;
/// The write lock is held by another process only while the kill command commits.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Nothing that a unit carries is larger, bytes. What is, is a fault of the unit.
const LARGEST_VALUE: i32 = 64 << 20;
/// More than the number of statement texts in this crate.
const CACHED_STATEMENTS: usize = 192;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads and writes; creates the file.
    Create,
    /// Reads and writes a file that is there.
    Write,
    /// Reads alone.
    Read,
}

/// What a connection may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Page cache, KiB.
    pub(crate) cache_kib: u32,
    /// Length of the write-ahead log at which a commit runs a checkpoint, pages.
    pub(crate) checkpoint_pages: u32,
}

/// Opens the file and sets the connection up. The file is marked as ours when it is new.
pub(crate) fn connect(
    path: &Path,
    access: Access,
    vfs: Option<&str>,
    size: Sizes,
) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < OLDEST_LIBRARY {
        return Err(OpenError::Library {
            found: rusqlite::version().to_owned(),
        });
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if access == Access::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let conn = match vfs {
        Some(name) => Connection::open_with_flags_and_vfs(path, flags, name),
        None => Connection::open_with_flags(path, flags),
    };
    let classify = |e: rusqlite::Error| open_error(path, &e);
    let conn = conn.map_err(classify)?;
    set_up(&conn, access, size).map_err(classify)?;
    if access != Access::Read {
        // Before anything else is written: a file that is not ours stays as it is.
        mark(&conn, path, access)?;
        make_durable(&conn, size).map_err(classify)?;
    }
    Ok(conn)
}

fn set_up(conn: &Connection, access: Access, size: Sizes) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, LARGEST_VALUE)?;
    // A statement keeps its plan whatever is bound: else each new value compiles it again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cache_size", -i64::from(size.cache_kib))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "query_only", access == Access::Read)
}

/// Every acknowledged commit survives a power cut; grouped, that costs less than a tenth.
fn make_durable(conn: &Connection, size: Sizes) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "wal_autocheckpoint", size.checkpoint_pages)
}

/// Puts the length of the write-ahead log, in pages, where others can see it after each commit, and ends the
/// automatic checkpoints of the connection: whoever watches the length runs them.
pub(crate) fn watch_log(conn: &mut Connection) -> rusqlite::Result<Arc<AtomicU64>> {
    let pages = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&pages);
    conn.wal_hook(Some(move |_: &mut Wal, length: c_int| {
        seen.store(u64::from(length.unsigned_abs()), Ordering::Relaxed);
        Ok(())
    }))?;
    Ok(pages)
}

fn mark(conn: &Connection, path: &Path, access: Access) -> Result<(), OpenError> {
    let number = |sql: &str| -> Result<i64, OpenError> {
        conn.query_row(sql, [], |r| r.get(0))
            .map_err(|e| open_error(path, &e))
    };
    if number("PRAGMA application_id")? == APPLICATION_ID {
        return Ok(());
    }
    if access != Access::Create || number("SELECT COUNT(*) FROM sqlite_schema")? > 0 {
        return Err(OpenError::NotOurs {
            path: path.display().to_string(),
        });
    }
    conn.pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(|e| open_error(path, &e))
}

/// Size of the database in bytes, the write-ahead log not counted.
pub(crate) fn size(conn: &Connection) -> rusqlite::Result<u64> {
    let number = |sql: &str| -> rusqlite::Result<i64> { conn.query_row(sql, [], |r| r.get(0)) };
    let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Moves what can be moved of the write-ahead log into the database without making anybody wait.
pub(crate) fn checkpoint_part(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Moves the write-ahead log into the database and empties it. Readers may make it stop short; that is no error.
pub(crate) fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// The database's own verdict on its structure: `ok`, or what is wrong.
pub(crate) fn integrity(conn: &Connection) -> rusqlite::Result<String> {
    conn.query_row("PRAGMA integrity_check", [], |r| r.get(0))
}

/// Whether an error says something about the rows (true) or about the machine (false).
pub(crate) fn blames_the_unit(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(e, _) => matches!(
            e.code,
            ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
        ),
        _ => true,
    }
}

/// The kind of an error, without values.
pub(crate) fn error_kind(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(e, _) => format!("{:?}", e.code),
        rusqlite::Error::ToSqlConversionFailure(_) => "a value out of range".into(),
        _ => "an unexpected answer of the database".into(),
    }
}

/// What an error while opening means for the person who starts the program.
pub(crate) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.display().to_string();
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Unwritable { path, why }
        }
        Some(ErrorCode::NotADatabase) => OpenError::NotOurs { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Busy { path },
        _ => OpenError::Database { path, why },
    }
}
