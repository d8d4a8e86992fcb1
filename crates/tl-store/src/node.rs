//! Nodes: who may write, until when, and who takes over. One set of statements for both engines.
//!
//! A lease runs by the clock of the database, read inside the statement. On PostgreSQL that is the server's. A SQLite
//! file has no clock: nodes that share one are given it, and a node that has its file to itself holds a lease that
//! does not end, by a clock that stands still.

use std::sync::LazyLock;
use std::time::Duration;

use crate::backend::Lease;
use crate::schema::Dialect;
use crate::value::{Val, vals};

/// Where a statement about nodes is said. Its answers are whole numbers.
pub(crate) trait Floor {
    /// Why it got no answer.
    type Error;
    /// The dialect that is understood here.
    const DIALECT: Dialect;

    /// Says one statement and hands over its rows.
    fn say(&mut self, sql: &str, params: &[Val<'_>]) -> Result<Vec<Vec<i64>>, Self::Error>;
}

/// How many parameters the statements have. On SQLite the time is bound behind them.
pub(crate) const PARAMS: usize = 4;

/// When the lease of a node ends that has given it back; that of one that was taken over ends at 0.
const GIVEN_BACK: i64 = 1;

/// The database's clock, µs.
fn now(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "?5",
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }
}

/// A node with a group on its way, which passed the fence before, is left for the next time. On SQLite nobody writes
/// at the same time.
fn unless_locked(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    }
}

/// The first statement of every group. Nothing is changed when the lease has lapsed or another process has raised
/// the epoch.
static FENCE: LazyLock<[String; 2]> = LazyLock::new(|| {
    [Dialect::Sqlite, Dialect::Postgres].map(|dialect| {
        format!(
            "UPDATE node SET last_group = ?3, \
             lease_until = CASE WHEN lease_until > w.now + ?4 THEN lease_until ELSE w.now + ?4 END \
             FROM (SELECT {} AS now) w WHERE id = ?1 AND epoch = ?2 AND lease_until > w.now RETURNING id",
            now(dialect)
        )
    })
});

/// A registered node, as its process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: u32,
    pub(crate) epoch: u64,
    /// Number of the last group that was tried. No two tries share one, because of some it is never learned whether
    /// they are there.
    pub(crate) tried: i64,
    /// How long a lease lasts, µs.
    lease: i64,
}

impl Node {
    /// Registers the node: the number that was asked for, or for 0 one that was given back or taken over, or the next
    /// one. A lease that has only lapsed is left to its node, which may come back, and to the workers: what starts here
    /// may be a command that wants one commit. Of two that look for a free number at once, one looks again.
    pub(crate) fn register<F: Floor>(
        floor: &mut F,
        asked: u32,
        lease: Duration,
    ) -> Result<Node, F::Error> {
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
        let now = now(F::DIALECT);
        let only_free = match asked {
            0 => format!("WHERE node.lease_until <= {GIVEN_BACK}"),
            _ => String::new(),
        };
        let sql = format!(
            "INSERT INTO node (id, epoch, lease_until, last_group) VALUES (?1, 1, {now} + ?2, 0) \
             ON CONFLICT (id) DO UPDATE SET epoch = node.epoch + 1, lease_until = excluded.lease_until {only_free} \
             RETURNING epoch, last_group"
        );
        loop {
            let id = match asked {
                0 => free(floor)?,
                given => given,
            };
            let rows = floor.say(&sql, &vals![id, lease])?;
            if let Some([epoch, last_group]) = rows.first().map(Vec::as_slice) {
                return Ok(Node {
                    id,
                    epoch: epoch.unsigned_abs(),
                    tried: *last_group,
                    lease,
                });
            }
        }
    }

    /// How long a lease lasts.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_micros(self.lease.unsigned_abs())
    }

    /// The fence of the group that is tried now. It answers with a row where the group may go on.
    pub(crate) fn fence(&self, dialect: Dialect) -> (&'static str, [Val<'static>; PARAMS]) {
        let epoch = self.epoch.cast_signed();
        (
            &FENCE[dialect as usize],
            vals![self.id, epoch, self.tried, self.lease],
        )
    }

    /// Extends the lease, also of a node that lapsed and that nobody took over.
    pub(crate) fn beat<F: Floor>(&self, floor: &mut F) -> Result<Lease, F::Error> {
        let now = now(F::DIALECT);
        let sql = format!(
            "UPDATE node SET lease_until = CASE WHEN lease_until > {now} + ?3 THEN lease_until ELSE {now} + ?3 END \
             WHERE id = ?1 AND epoch = ?2 RETURNING lease_until - {now}, {now}"
        );
        let rows = floor.say(&sql, &vals![self.id, self.epoch.cast_signed(), self.lease])?;
        let row = rows.first();
        let left = row.map_or(0, |r| r[0]);
        Ok(Lease {
            held: row.is_some(),
            left: Duration::from_micros(u64::try_from(left).unwrap_or(0)),
            database_time: row.map(|r| r[1]),
        })
    }

    /// Gives the lease back: for everybody else it has lapsed.
    pub(crate) fn release<F: Floor>(&self, floor: &mut F) -> Result<(), F::Error> {
        let sql =
            format!("UPDATE node SET lease_until = {GIVEN_BACK} WHERE id = ?1 AND epoch = ?2");
        floor.say(&sql, &vals![self.id, self.epoch.cast_signed()])?;
        Ok(())
    }

    /// Raises the epochs of other nodes whose lease has lapsed, once each. Their attempts become stale. A node that
    /// was cut off for longer than its lease finds its own lapsed too; that one is for its next beat.
    pub(crate) fn lapse_others<F: Floor>(&self, floor: &mut F) -> Result<Vec<u32>, F::Error> {
        let (now, unless_locked) = (now(F::DIALECT), unless_locked(F::DIALECT));
        let sql = format!(
            "UPDATE node SET epoch = epoch + 1, lease_until = 0 WHERE id IN (SELECT id FROM node \
             WHERE id <> ?1 AND lease_until > 0 AND lease_until < {now} {unless_locked}) RETURNING id"
        );
        let rows = floor.say(&sql, &vals![self.id])?;
        let ids = rows.iter().filter_map(|row| u32::try_from(row[0]).ok());
        let mut ids: Vec<u32> = ids.collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

/// A number that nobody holds, or the one after the last.
fn free<F: Floor>(floor: &mut F) -> Result<u32, F::Error> {
    let sql = format!(
        "SELECT COALESCE((SELECT MIN(id) FROM node WHERE lease_until <= {GIVEN_BACK}), \
         (SELECT COALESCE(MAX(id), 0) + 1 FROM node))"
    );
    let rows = floor.say(&sql, &[])?;
    let id = rows.first().map_or(1, |row| row[0]);
    Ok(u32::try_from(id).unwrap_or(u32::MAX))
}
