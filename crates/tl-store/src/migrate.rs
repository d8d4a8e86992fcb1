//! Forward migrations: numbered steps, each applied once, in one transaction, with a checksum.
//!
//! A step is never edited after its release: a database knows the checksums of its steps, and a program that
//! carries another text refuses it. There is no way back; a backup is.

use std::path::Path;

use rusqlite::{Connection, params};
use tl_kernel::digest::{Digest, sha256};

use crate::error::OpenError;
use crate::postgres::ddl;
use crate::schema::{Dialect, NEWEST_SUPPRESSED, TABLES, first_extras, lines};
use crate::sqlite;
use crate::sqlite::dialect::open_error;

/// One step.
pub(crate) struct Migration {
    pub(crate) version: u32,
    pub(crate) sql: String,
}

/// The newest step. Both engines have the same numbers; a step may change one of them alone.
const NEWEST: u32 = 4;

/// All steps of this release, oldest first, in the words of an engine.
pub(crate) fn migrations(dialect: Dialect) -> Vec<Migration> {
    (1..=NEWEST)
        .map(|version| {
            let mut sql: String = TABLES
                .iter()
                .filter(|t| t.since == version)
                .map(|t| t.create(dialect))
                .collect();
            if version == 1 {
                sql.push_str(&first_extras());
            }
            match (version, dialect) {
                (1, Dialect::Sqlite) => sql.push_str(sqlite::FIRST_EXTRAS),
                (1, Dialect::Postgres) => sql.push_str(&ddl::first_extras()),
                (2, Dialect::Postgres) => sql.push_str(&ddl::second_extras()),
                (3, _) => sql.push_str(&lines()),
                (4, _) => {
                    sql.push_str(NEWEST_SUPPRESSED);
                    if dialect == Dialect::Postgres {
                        sql.push_str(&ddl::fourth_extras());
                    }
                }
                _ => {}
            }
            Migration { version, sql }
        })
        .collect()
}

impl Migration {
    /// What the database remembers of the step.
    pub(crate) fn checksum(&self) -> Digest {
        sha256(&[self.sql.as_bytes()])
    }
}

/// Brings the database up to the last of the steps.
pub(crate) fn migrate(
    conn: &mut Connection,
    path: &Path,
    steps: &[Migration],
) -> Result<(), OpenError> {
    let classify = |e: rusqlite::Error| open_error(path, &e);
    let tx = conn
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(classify)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, checksum BLOB NOT NULL)",
    )
    .map_err(classify)?;
    let done = applied(&tx, path, steps)?;
    for step in steps.iter().filter(|s| s.version > done) {
        tx.execute_batch(&step.sql).map_err(classify)?;
        tx.execute(
            "INSERT INTO migration (version, checksum) VALUES (?1, ?2)",
            params![step.version, step.checksum()],
        )
        .map_err(classify)?;
        tracing::info!(
            version = step.version,
            "the database was brought up to date"
        );
    }
    tx.commit().map_err(classify)
}

/// Checks that the database is exactly at the last of the steps, without changing it.
pub(crate) fn require(
    conn: &Connection,
    path: &Path,
    steps: &[Migration],
) -> Result<(), OpenError> {
    let known = steps.last().map_or(0, |s| s.version);
    let there: bool = conn
        .query_row(
            "SELECT COUNT(*) > 0 FROM sqlite_schema WHERE name = 'migration'",
            [],
            |r| r.get(0),
        )
        .map_err(|e| open_error(path, &e))?;
    let found = if there {
        applied(conn, path, steps)?
    } else {
        0
    };
    if found < known {
        return Err(OpenError::Older { found, known });
    }
    Ok(())
}

/// The last step that was applied; refuses steps that are unknown or were different.
fn applied(conn: &Connection, path: &Path, steps: &[Migration]) -> Result<u32, OpenError> {
    let rows = || -> rusqlite::Result<Vec<(u32, Vec<u8>)>> {
        conn.prepare("SELECT version, checksum FROM migration ORDER BY version")?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect()
    };
    judge(&rows().map_err(|e| open_error(path, &e))?, steps)
}

/// The last of the steps that a database knows; refuses steps that are unknown or were different.
pub(crate) fn judge(rows: &[(u32, Vec<u8>)], steps: &[Migration]) -> Result<u32, OpenError> {
    let known = steps.last().map_or(0, |s| s.version);
    let found = rows.last().map_or(0, |r| r.0);
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, checksum) in rows {
        let same = steps
            .iter()
            .any(|s| s.version == *version && s.checksum().as_slice() == checksum);
        if !same {
            return Err(OpenError::Edited { version: *version });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::dialect::{Access, Sizes, connect};
    use tl_kernel::digest::hex;

    fn step(version: u32, sql: &str) -> Migration {
        Migration {
            version,
            sql: sql.to_owned(),
        }
    }

    fn tables(conn: &Connection) -> Vec<String> {
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
            .unwrap()
    }

    /// Released steps never change. A new step adds a line here.
    #[test]
    fn released_steps_are_frozen() {
        for (dialect, frozen) in [
            (
                Dialect::Sqlite,
                [
                    "d73cf2254032dbfc",
                    "e3b0c44298fc1c14",
                    "f084692e29d22926",
                    "3b194ec699458269",
                ],
            ),
            (
                Dialect::Postgres,
                [
                    "510258e105e67350",
                    "b36aafc9d83605eb",
                    "f084692e29d22926",
                    "aacfff1eb0e2fd59",
                ],
            ),
        ] {
            let sums: Vec<String> = migrations(dialect)
                .iter()
                .map(|m| hex(&m.checksum())[..16].to_owned())
                .collect();
            assert_eq!(sums, frozen, "{dialect:?}");
        }
    }

    #[test]
    fn steps_are_applied_once_and_in_order() {
        let mut conn = Connection::open_in_memory().unwrap();
        let path = Path::new("x");
        let one = [step(1, "CREATE TABLE a (x)")];
        let two = [step(1, "CREATE TABLE a (x)"), step(2, "CREATE TABLE b (x)")];
        migrate(&mut conn, path, &one).unwrap();
        assert_eq!(
            require(&conn, path, &two),
            Err(OpenError::Older { found: 1, known: 2 })
        );
        migrate(&mut conn, path, &two).unwrap();
        migrate(&mut conn, path, &two).unwrap();
        assert_eq!(require(&conn, path, &two), Ok(()));
        assert_eq!(tables(&conn), ["a", "b", "migration"]);
        assert_eq!(
            migrate(&mut conn, path, &one),
            Err(OpenError::Newer { found: 2, known: 1 })
        );
        let edited = [step(1, "CREATE TABLE a (y)"), step(2, "CREATE TABLE b (x)")];
        assert_eq!(
            migrate(&mut conn, path, &edited),
            Err(OpenError::Edited { version: 1 })
        );
    }

    /// Each table is made by a step that there is.
    #[test]
    fn no_table_is_left_out() {
        assert!(TABLES.iter().all(|t| t.since <= NEWEST));
    }

    /// A file that an earlier step alone has made is brought up to date by whoever may, and refused by a guest.
    #[test]
    fn a_guest_does_not_migrate() {
        use crate::{Backend, Options};

        let known = NEWEST;
        let steps = migrations(Dialect::Sqlite);
        for found in 0..known {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("tl.db");
            let sizes = Sizes {
                cache_kib: 100,
                checkpoint_pages: 100,
            };
            let mut conn = connect(&path, Access::Create, None, sizes).unwrap();
            migrate(&mut conn, &path, &steps[..found as usize]).unwrap();
            drop(conn);
            let guest = Options {
                node: None,
                ..Options::default()
            };
            let refused = Backend::open(&path, &guest).unwrap_err();
            assert_eq!(refused, OpenError::Older { found, known });
            let backend = Backend::open(&path, &Options::default()).unwrap();
            assert_eq!(backend.integrity().unwrap(), "ok");
            assert!(Backend::open(&path, &guest).is_ok());
        }
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        let bad = [
            step(1, "CREATE TABLE a (x)"),
            step(2, "CREATE TABLE b (x); CREATE TABLE a (x)"),
        ];
        assert!(migrate(&mut conn, Path::new("x"), &bad).is_err());
        assert_eq!(tables(&conn), Vec::<String>::new());
    }
}
