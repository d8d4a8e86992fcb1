//! Statements about nodes on PostgreSQL.

use tokio_postgres::Error;

use super::Postgres;
use super::link::{Link, Param, Say, Trouble, trouble};
use crate::backend::Lease;
use crate::error::StoreError;
use crate::node::Floor;
use crate::schema::Dialect;
use crate::value::Val;

impl Floor for Link {
    type Error = Error;
    const DIALECT: Dialect = Dialect::Postgres;

    fn say(&mut self, sql: &str, params: &[Val<'_>]) -> Result<Vec<Vec<i64>>, Error> {
        let answers = Link::say(self, &[Say::Ask(sql.into(), Param::all(params))])?;
        let rows = answers.iter().flatten();
        Ok(rows
            .map(|row| (0..row.len()).map(|i| row.get(i)).collect())
            .collect())
    }
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
        twice(self.link.get_mut(), |link| node.release(link))
    }

    /// Takes over from other nodes whose lease has lapsed.
    pub(crate) fn lapse_others(&mut self) -> Result<Vec<u32>, StoreError> {
        let Some(node) = &self.node else {
            return Ok(Vec::new());
        };
        twice(self.link.get_mut(), |link| node.lapse_others(link))
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
