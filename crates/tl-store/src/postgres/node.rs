//! Nodes: who may write, until when, and who takes over.

use tokio_postgres::Error;

use super::link::{Link, Param, Say, Trouble, trouble};
use super::{NOW, Postgres};
use crate::backend::Lease;
use crate::error::StoreError;
use crate::value::{Val, vals};
use std::time::{Duration, Instant};

/// A registered node, as its process knows it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: u32,
    pub(crate) epoch: u64,
    /// The last group that is known to be there.
    pub(crate) last_group: i64,
    /// How long a lease lasts, µs.
    lease: i64,
}

/// The first statement of every group. Nothing is changed when the lease has lapsed or another process has raised
/// the epoch.
const FENCE: &str = "UPDATE node SET last_group = ?3, lease_until = GREATEST(lease_until, w.now + ?4) \
    FROM (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS now) w \
    WHERE id = ?1 AND epoch = ?2 AND lease_until > w.now RETURNING id";

impl Node {
    /// Registers the node: the number that was asked for, or for 0 one whose lease has lapsed, or the next one. Of
    /// two that look for a free number at once, one looks again.
    pub(super) fn register(link: &mut Link, asked: u32, lease: Duration) -> Result<Node, Error> {
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
        let only_free = match asked {
            0 => format!("WHERE node.lease_until < {NOW}"),
            _ => String::new(),
        };
        let sql = format!(
            "INSERT INTO node (id, epoch, lease_until, last_group) VALUES (?1, 1, {NOW} + ?2, 0) \
             ON CONFLICT (id) DO UPDATE SET epoch = node.epoch + 1, lease_until = excluded.lease_until {only_free} \
             RETURNING epoch, last_group"
        );
        loop {
            let id = match asked {
                0 => free(link)?,
                given => given,
            };
            let params = vals![id, lease];
            let answers = link.say(&[Say::Ask(sql.as_str().into(), Param::all(&params))])?;
            if let Some(row) = answers.first().and_then(|rows| rows.first()) {
                return Ok(Node {
                    id,
                    epoch: row.get::<_, i64>(0).unsigned_abs(),
                    last_group: row.get(1),
                    lease,
                });
            }
        }
    }

    /// How long a lease lasts.
    pub(super) fn lease(&self) -> Duration {
        Duration::from_micros(self.lease.unsigned_abs())
    }

    /// The fence of the next group.
    pub(super) fn fence(&self) -> (&'static str, [Val<'static>; 4]) {
        let epoch = self.epoch.cast_signed();
        (
            FENCE,
            vals![self.id, epoch, self.last_group + 1, self.lease],
        )
    }

    /// Extends the lease, also of a node that lapsed and that nobody took over.
    pub(super) fn beat(&self, link: &mut Link) -> Result<Lease, Error> {
        let sql = format!(
            "UPDATE node SET lease_until = GREATEST(lease_until, {NOW} + ?3) WHERE id = ?1 AND epoch = ?2 \
             RETURNING lease_until - {NOW}, {NOW}"
        );
        let params = vals![self.id, self.epoch.cast_signed(), self.lease];
        let begun = Instant::now();
        let answers = link.say(&[Say::Ask(sql.into(), Param::all(&params))])?;
        let row = answers.first().and_then(|rows| rows.first());
        let took = begun.elapsed();
        // What the way took is not left any more.
        let left = row.map_or(0, |r| r.get::<_, i64>(0));
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        Ok(Lease {
            held: row.is_some(),
            left: left.saturating_sub(took),
            database_time: row.map(|r| r.get(1)),
            took,
        })
    }
}

/// A node whose lease has lapsed, or the number after the last one.
fn free(link: &mut Link) -> Result<u32, Error> {
    let sql = format!(
        "SELECT COALESCE((SELECT MIN(id) FROM node WHERE lease_until < {NOW}), \
         (SELECT COALESCE(MAX(id), 0) + 1 FROM node))"
    );
    let answers = link.say(&[Say::Ask(sql.into(), Vec::new())])?;
    let id: i64 = answers[0][0].get(0);
    Ok(u32::try_from(id).unwrap_or(u32::MAX))
}

impl Postgres {
    /// Extends the node's lease.
    pub(crate) fn heartbeat(&mut self) -> Result<Lease, StoreError> {
        let Some(node) = &self.node else {
            return Ok(Lease::endless());
        };
        twice(self.link.get_mut(), |link| node.beat(link))
    }

    /// Gives the lease back: for everybody else it has lapsed.
    pub(crate) fn release(&mut self) -> Result<(), StoreError> {
        let Some(node) = &self.node else {
            return Ok(());
        };
        let sql = "UPDATE node SET lease_until = 1 WHERE id = ?1 AND epoch = ?2";
        let who = vals![node.id, node.epoch.cast_signed()];
        twice(self.link.get_mut(), |link| {
            link.say(&[Say::Ask(sql.into(), Param::all(&who))])
        })?;
        Ok(())
    }

    /// Raises the epochs of nodes whose lease has lapsed, once each. Their attempts become stale. A node with a group
    /// on its way, which passed the fence before, is left for the next time.
    pub(crate) fn lapse(&mut self) -> Result<Vec<u32>, StoreError> {
        let sql = format!(
            "UPDATE node SET epoch = epoch + 1, lease_until = 0 WHERE id IN (SELECT id FROM node \
             WHERE lease_until > 0 AND lease_until < {NOW} FOR UPDATE SKIP LOCKED) RETURNING id"
        );
        let answers = twice(self.link.get_mut(), |link| {
            link.say(&[Say::Ask(sql.as_str().into(), Vec::new())])
        })?;
        let ids = answers.iter().flatten().map(|row| row.get::<_, i64>(0));
        let mut ids: Vec<u32> = ids.filter_map(|id| u32::try_from(id).ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

/// Says it again on a new connection when the old one was lost: for what may be said twice.
fn twice<T>(link: &mut Link, say: impl Fn(&mut Link) -> Result<T, Error>) -> Result<T, StoreError> {
    match say(link) {
        Err(error) if trouble(&error) == Trouble::Lost => {
            link.connect()?;
            Ok(say(link)?)
        }
        other => Ok(other?),
    }
}
