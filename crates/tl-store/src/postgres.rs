//! The PostgreSQL engine: a group takes two round trips.
//!
//! ```text
//! 1  BEGIN · tenants for row-level security · fence (the node's row) · position · gate rows · all look-ups
//! 2  one statement per table and kind of change (rows as arrays, out of UNNEST) · COMMIT
//! ```
//! At READ COMMITTED, rows that the group may change are read `FOR UPDATE` in key order, gate rows `FOR SHARE`: a
//! switch waits for groups in flight, and no dispatch commits after it that did not see it. What two nodes insert at
//! the same moment meets in a unique index; the loser rolls back, reads the winner and decides again.
//!
//! The node's row is the fence, the heartbeat, and the answer to a COMMIT whose answer was lost: nobody else writes
//! `last_group`, so after reconnecting it says whether the group is there.
//!
//! Rows are numbered by transaction id and position within the transaction. A reader that stops below the oldest
//! running transaction therefore sees every turn, in one order, and none appears before it later.

mod address;
pub(crate) mod ddl;
pub(crate) mod link;
mod node;
mod open;
mod tls;
mod wake;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::LazyLock;

use tokio_postgres::{Error, Row};

use crate::backend::{Blame, Failure};
use crate::contract::{Refused, Unit};
use crate::error::StoreError;
use crate::logic::looks::{L, LOOKS};
use crate::logic::{self, Needs, Ords, Outcome, View};
use crate::node::Node;
use crate::schema::{Dialect, Kind};
use crate::value::{Fields, Val};
use crate::writes::WRITES;
use link::{Link, Param, Say, Trouble, kind, trouble, words};
use tl_kernel::id::TenantId;

pub(crate) use open::lift_sql;
pub(crate) use wake::{Bells, Waker};

/// A group that lost a race reads what won and decides again, so often at most; then it runs in halves.
const TRIES: u32 = 5;
/// Rows that one transaction may number in a table, as bits of a position.
const ROWS_BITS: u32 = 20;

/// Tenants whose payload the transaction may touch.
const SCOPE: &str = "SELECT set_config('tl.tenants', ?1, true)";
/// The transaction's place in the order of commits.
const POSITION: &str =
    "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) + base FROM position_base";
/// Condition of the turns before which none can appear any more: all transactions that could are over.
pub(crate) const SETTLED: &str = "AND ord < (SELECT (CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT) \
    + base) << 20 FROM position_base)";
/// A gate row must be there to be locked.
const GATE_ROWS: &str = "INSERT INTO gate (tenant, epoch) SELECT t, 0 FROM UNNEST(?1::bigint[]) t ORDER BY t \
    ON CONFLICT DO NOTHING";

static LOOK_UPS: LazyLock<Vec<(String, Vec<Kind>)>> = LazyLock::new(|| {
    let all = LOOKS.iter();
    all.map(|(_, look)| (look.sql(Dialect::Postgres), look.kinds()))
        .collect()
});
static TEXTS: LazyLock<Vec<(String, Vec<Kind>)>> = LazyLock::new(|| {
    let all = WRITES.iter();
    all.map(|w| (w.sql(Dialect::Postgres), w.kinds())).collect()
});

/// A connection and who uses it.
#[derive(Debug)]
pub(crate) struct Postgres {
    link: RefCell<Link>,
    /// A transaction is open that several questions share.
    inside: Cell<bool>,
    /// `None` for readers and guests.
    node: Option<Node>,
    /// Tenants whose gate rows are known to be there.
    gates: BTreeSet<i64>,
}

/// Why a group stopped.
enum Stopped {
    /// It was not the group's fault; it may run again.
    Again(Error),
    /// The connection was lost before COMMIT was sent.
    Lost(Error),
    /// The connection was lost with COMMIT on its way: the answers hold if it arrived.
    Unsure(Vec<Result<(), Refused>>, Error),
    /// The node's lease has lapsed.
    Fenced,
    /// For good.
    Failed(Failure),
}

impl Stopped {
    fn before_commit(error: Error) -> Stopped {
        match trouble(&error) {
            Trouble::Again => Stopped::Again(error),
            Trouble::Lost => Stopped::Lost(error),
            Trouble::Unit | Trouble::Machine => Stopped::Failed(error.into()),
        }
    }
}

impl Postgres {
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Decides the units and makes what passed durable, in one transaction.
    pub(crate) fn transact(&mut self, units: &[Unit]) -> Result<Vec<Result<(), Refused>>, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let stopped = match self.try_transact(units) {
                Ok(answers) => return Ok(answers),
                Err(stopped) => stopped,
            };
            match stopped {
                Stopped::Failed(failure) => {
                    self.link.get_mut().roll_back();
                    return Err(failure);
                }
                Stopped::Fenced => {
                    self.link.get_mut().roll_back();
                    return Ok(units.iter().map(|_| Err(Refused::Fenced)).collect());
                }
                Stopped::Again(error) => {
                    self.link.get_mut().roll_back();
                    if tries == TRIES {
                        return Err(error.into());
                    }
                }
                Stopped::Lost(error) => self.again_after(error, tries)?,
                Stopped::Unsure(answers, error) => {
                    self.again_after(error, tries)?;
                    if self.is_committed()? {
                        return Ok(answers);
                    }
                }
            }
        }
    }

    /// Connects again after a connection was lost.
    fn again_after(&mut self, error: Error, tries: u32) -> Result<(), Failure> {
        tracing::warn!(
            error = words(&error),
            tries,
            "the connection to the database was lost"
        );
        if tries == TRIES {
            return Err(error.into());
        }
        self.gates.clear();
        Ok(self.link.get_mut().connect()?)
    }

    /// Whether the group whose COMMIT got no answer is there. Waits until the server has finished with it.
    fn is_committed(&mut self) -> Result<bool, Failure> {
        let unknown = |why: &str| Failure {
            blame: Blame::Machine,
            why: why.into(),
            words: "the connection was lost while the group was committed".into(),
        };
        let Some(node) = &self.node else {
            return Err(unknown("whether the unit was committed is not known"));
        };
        let sql = "SELECT epoch, last_group FROM node WHERE id = ?1 FOR UPDATE";
        let id = [Val::from(node.id)];
        let link = self.link.get_mut();
        let answers = link.say(&[Say::Ask(sql.into(), Param::all(&id))])?;
        let row = answers.first().and_then(|rows| rows.first());
        let row = row.ok_or_else(|| unknown("the node is not registered"))?;
        let (epoch, last): (i64, i64) = (row.get(0), row.get(1));
        if epoch.unsigned_abs() != node.epoch {
            return Err(unknown("the node was taken over meanwhile"));
        }
        Ok(last == node.tried)
    }

    fn try_transact(&mut self, units: &[Unit]) -> Result<Vec<Result<(), Refused>>, Stopped> {
        if let Some(node) = &mut self.node {
            node.tried += 1;
        }
        let view = self.begin(units)?;
        let node = self.node.as_ref().map_or(0, |n| n.id);
        let Outcome { answers, changes } = logic::decide(view, units, node);
        let mut flush: Vec<Say<'_>> = changes
            .written()
            .map(|(write, batch)| {
                let (sql, kinds) = &TEXTS[write];
                Say::Ask(Cow::Borrowed(sql), Param::columns(kinds, batch))
            })
            .collect();
        flush.push(Say::Plain("COMMIT"));
        match self.link.get_mut().say(&flush) {
            Ok(_) => Ok(answers),
            Err(error) if trouble(&error) == Trouble::Lost => Err(Stopped::Unsure(answers, error)),
            Err(error) => Err(Stopped::before_commit(error)),
        }
    }

    /// The first round trip: everything that the group must know, under locks.
    fn begin<'a>(&mut self, units: &'a [Unit]) -> Result<View<'a>, Stopped> {
        let mut needs = logic::needs(units);
        needs.blind();
        let tenants = units.iter().map(|u| u.tenant);
        let scope = [scope(tenants.chain([TenantId::SYSTEM]))];
        let fence = self.node.as_ref().map(|n| n.fence(Dialect::Postgres));
        let gates: BTreeSet<i64> = needs.gates().collect();
        let new_gates: Vec<_> = gates.difference(&self.gates).map(|t| Some(*t)).collect();

        let mut flush = vec![
            Say::Plain("BEGIN"),
            Say::Ask(SCOPE.into(), Param::all(&scope)),
        ];
        if let Some((sql, params)) = &fence {
            flush.push(Say::Ask((*sql).into(), Param::all(params)));
        }
        flush.push(Say::Ask(POSITION.into(), Vec::new()));
        if !new_gates.is_empty() {
            flush.push(Say::Ask(GATE_ROWS.into(), vec![Param::Ints(new_gates)]));
        }
        let (asked, looks) = look_ups(&needs);
        flush.extend(looks);
        let said = self.link.get_mut().say(&flush);
        let mut answers = said.map_err(Stopped::before_commit)?;

        let found = answers.split_off(answers.len() - asked.len());
        let mut heads = answers.into_iter().skip(2);
        if fence.is_some() && heads.next().is_none_or(|rows| rows.is_empty()) {
            return Err(Stopped::Fenced);
        }
        let position = heads.next().and_then(|rows| rows.first().map(|r| r.get(0)));
        let position: i64 = position.unwrap_or(0);
        let mut view = View {
            next: Ords::from(position << ROWS_BITS),
            ..View::default()
        };
        for (look, rows) in asked.into_iter().zip(&found) {
            for row in rows {
                let read = view.absorb(look, &Fields::Postgres(row));
                read.map_err(|e| Stopped::Failed(e.into()))?;
            }
        }
        self.gates.extend(gates);
        Ok(view)
    }
}

/// The look-ups of a group, each with all its keys.
fn look_ups<'n>(needs: &'n Needs<'n>) -> (Vec<L>, Vec<Say<'n>>) {
    needs
        .all()
        .map(|(look, keys)| {
            let (sql, kinds) = &LOOK_UPS[look as usize];
            let params = Param::turned(kinds, || keys.iter().map(Vec::as_slice));
            (look, Say::Ask(Cow::Borrowed(sql), params))
        })
        .unzip()
}

/// Tenants as the policies read them.
fn scope<'v>(tenants: impl Iterator<Item = TenantId>) -> Val<'v> {
    let all: BTreeSet<u32> = tenants.map(|t| t.0).collect();
    let all: Vec<String> = all.iter().map(u32::to_string).collect();
    Val::from(all.join(","))
}

/// Questions.
impl Postgres {
    /// Hands each row of a statement over tables without payload to `read`; within `at_once`, of all tables.
    pub(crate) fn ask(
        &self,
        sql: &str,
        params: &[Val<'_>],
        mut read: impl FnMut(&Fields<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows = self.said(|| vec![Say::Ask(sql.into(), Param::all(params))])?;
        for row in rows.iter().flatten() {
            read(&Fields::Postgres(row))?;
        }
        Ok(())
    }

    /// Runs a statement once per key in one transaction that may see the payload of the keys' tenants. One answer
    /// per key.
    pub(crate) fn each(
        &self,
        sql: &str,
        keys: &[(TenantId, Vec<Val<'_>>)],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let scope = [scope(keys.iter().map(|k| k.0))];
        let mut answers = self.said(|| {
            let mut flush = vec![
                Say::Plain("BEGIN"),
                Say::Ask(SCOPE.into(), Param::all(&scope)),
            ];
            let asks = keys.iter();
            flush.extend(asks.map(|(_, key)| Say::Ask(sql.into(), Param::all(key))));
            flush.push(Say::Plain("COMMIT"));
            flush
        })?;
        answers.truncate(keys.len() + 2);
        answers.drain(..2.min(answers.len()));
        Ok(answers)
    }

    /// Runs several questions on one snapshot.
    pub(crate) fn at_once<T>(
        &self,
        tenant: TenantId,
        ask: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let scope = [scope([tenant].into_iter())];
        self.said(|| {
            vec![
                Say::Plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
                Say::Ask(SCOPE.into(), Param::all(&scope)),
            ]
        })?;
        self.inside.set(true);
        let answer = ask();
        self.inside.set(false);
        self.link.borrow_mut().roll_back();
        answer
    }

    /// Says it; once more on a new connection when the old one was lost, because questions change nothing.
    fn said<'w>(&self, words: impl Fn() -> Vec<Say<'w>>) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut link = self.link.borrow_mut();
        match link.say(&words()) {
            Ok(answers) => Ok(answers),
            Err(error) if trouble(&error) == Trouble::Lost && !self.inside.get() => {
                link.connect()?;
                Ok(link.say(&words())?)
            }
            Err(error) => {
                if !self.inside.get() {
                    link.roll_back();
                }
                tracing::warn!(error = self::words(&error), "a question got no answer");
                Err(StoreError::Unavailable { why: kind(&error) })
            }
        }
    }
}
