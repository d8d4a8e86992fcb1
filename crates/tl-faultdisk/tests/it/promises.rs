//! The disk is as bad as it should be: SQLite keeps on it what its manual promises for each setting, and no more.

use std::ffi::c_int;

use rusqlite::{Connection, OpenFlags};
use tl_faultdisk::{Dice, FaultDisk};

use crate::world::{PATH, seeds};

fn connect(vfs: &str, (journal, synchronous): (&str, &str)) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let conn = Connection::open_with_flags_and_vfs(PATH, flags, vfs)?;
    conn.pragma_update(None, "journal_mode", journal)?;
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "wal_autocheckpoint", 8)?;
    conn.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, filling BLOB)")?;
    Ok(conn)
}

/// What a power cut left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Whole,
    /// An acknowledged row is not there.
    Lost,
    /// The database is not one any more.
    Broken,
}

fn look(vfs: &str, settings: (&str, &str), acknowledged: i64) -> rusqlite::Result<Outcome> {
    let conn = connect(vfs, settings)?;
    let verdict: String = conn.query_row("PRAGMA integrity_check", [], |r| r.get(0))?;
    let (rows, last): (i64, i64) =
        conn.query_row("SELECT count(*), coalesce(max(n), 0) FROM t", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?;
    Ok(match () {
        () if verdict != "ok" || rows != last => Outcome::Broken,
        () if last < acknowledged => Outcome::Lost,
        () => Outcome::Whole,
    })
}

fn run(seed: u64, settings: (&str, &str)) -> Outcome {
    let disk = FaultDisk::new(seed);
    let vfs = format!("promise-{settings:?}-{seed}");
    disk.register(&vfs);
    let mut dice = Dice::new(seed);
    drop(connect(&vfs, settings).unwrap());
    disk.cut_power(1 + dice.below(120));
    let mut acknowledged = 0;
    if let Ok(conn) = connect(&vfs, settings) {
        for n in 1..=12 {
            let size = dice.below(12_000) as i64;
            let insert = "INSERT INTO t VALUES (?1, randomblob(?2))";
            match conn.execute(insert, [n, size]) {
                Ok(_) => acknowledged = n,
                Err(_) => break,
            }
        }
        disk.crash();
    }
    disk.crash();
    look(&vfs, settings, acknowledged).unwrap_or(Outcome::Broken)
}

#[test]
fn sqlite_keeps_what_it_promises_and_no_more() {
    // Journal, sync, whether rows may be lost, whether the database may break. What may happen must happen.
    let table = [
        ("WAL", "FULL", false, false),
        ("WAL", "NORMAL", true, false),
        ("WAL", "OFF", true, true),
        ("DELETE", "EXTRA", false, false),
        // The removal of the journal is the commit, and only EXTRA syncs it.
        ("DELETE", "FULL", true, false),
        ("DELETE", "OFF", true, true),
    ];
    for (journal, synchronous, loses, breaks) in table {
        let outcomes = seeds(300, |seed| run(seed, (journal, synchronous)));
        let of = |what: Outcome| outcomes.iter().filter(|o| **o == what).count();
        let (lost, broken) = (of(Outcome::Lost), of(Outcome::Broken));
        println!(
            "{journal} {synchronous}: {lost} of {} lose rows, {broken} break",
            outcomes.len()
        );
        assert_eq!(
            (lost > 0, broken > 0),
            (loses, breaks),
            "{journal} {synchronous}"
        );
    }
}

#[test]
fn two_connections_share_a_database() {
    for journal in ["WAL", "DELETE"] {
        let disk = FaultDisk::new(1);
        let vfs = format!("two-{journal}");
        disk.register(&vfs);
        let one = connect(&vfs, (journal, "FULL")).unwrap();
        let two = connect(&vfs, (journal, "FULL")).unwrap();
        one.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1, x'')")
            .unwrap();
        let refused = two
            .execute("INSERT INTO t VALUES (2, x'')", [])
            .unwrap_err();
        assert_eq!(
            refused.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy)
        );
        let rows = |conn: &Connection| -> i64 {
            conn.query_row("SELECT count(*) FROM t", [], |r| r.get(0))
                .unwrap()
        };
        assert_eq!(
            (rows(&one), rows(&two)),
            (1, 0),
            "{journal}: not committed yet"
        );
        one.execute_batch("COMMIT").unwrap();
        two.execute("INSERT INTO t VALUES (2, x'')", []).unwrap();
        assert_eq!((rows(&one), rows(&two)), (2, 2), "{journal}");
    }
}

/// A reader keeps what it saw while others write and checkpoint.
#[test]
fn threads_read_and_write_at_the_same_time() {
    let disk = FaultDisk::new(2);
    disk.register("threads");
    let settings = ("WAL", "FULL");
    drop(connect("threads", settings).unwrap());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let conn = connect("threads", settings).unwrap();
            conn.pragma_update(None, "wal_autocheckpoint", 2).unwrap();
            for n in 1..=200 {
                conn.execute("INSERT INTO t VALUES (?1, zeroblob(3000))", [n])
                    .unwrap();
            }
        });
        let conn = connect("threads", settings).unwrap();
        let mut seen = 0;
        while seen < 200 {
            let sql = "SELECT count(*), coalesce(max(n), 0) FROM t";
            let (rows, last): (c_int, c_int) = conn
                .query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))
                .unwrap();
            assert!(rows == last && rows >= seen);
            seen = rows;
            if writer.is_finished() && rows < 200 {
                break;
            }
        }
        writer.join().unwrap();
    });
    assert_eq!(look("threads", settings, 200), Ok(Outcome::Whole));
}

#[test]
fn what_was_open_before_a_crash_is_dead() {
    let disk = FaultDisk::new(3);
    disk.register("dead");
    let settings = ("WAL", "FULL");
    let before = connect("dead", settings).unwrap();
    before.execute("INSERT INTO t VALUES (1, x'')", []).unwrap();
    disk.crash();
    let after = connect("dead", settings).unwrap();
    assert!(before.execute("INSERT INTO t VALUES (2, x'')", []).is_err());
    after
        .execute("INSERT INTO t VALUES (2, x'aa')", [])
        .unwrap();
    drop(before);
    after.execute("INSERT INTO t VALUES (3, x'')", []).unwrap();
    drop(after);
    assert_eq!(look("dead", settings, 3), Ok(Outcome::Whole));
}

#[test]
fn a_disk_that_is_gone_cannot_be_opened() {
    let disk = FaultDisk::new(4);
    disk.register("gone");
    let settings = ("WAL", "FULL");
    let open = connect("gone", settings).unwrap();
    drop(disk);
    open.execute("INSERT INTO t VALUES (1, x'')", []).unwrap();
    assert!(connect("gone", settings).is_err());
    drop(open);
    FaultDisk::new(4).register("gone");
}
