//! A connection with a runtime of its own: many statements travel in one flush, and answers come in their order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use tokio_postgres::{Client, Error, Row, Statement};

use super::address::{Address, is_about_encryption};
use super::ddl::ROLE;
use crate::backend::{Blame, Failure};
use crate::error::StoreError;
use crate::schema::Kind;
use crate::tenancy;
use crate::value::{Cell, Val};
use crate::writes::Batch;

/// A server that does not answer the connection attempt within this is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection over which nothing is acknowledged for so long is lost, unless the address says otherwise.
const SILENCE: Duration = Duration::from_secs(10);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Migrations: as the role that connected, which owns the tables.
    Migrate,
    /// Groups of units.
    Write,
    /// Questions.
    Read,
}

/// A connection. It is used by one thread and opened again when it was lost.
pub(crate) struct Link {
    runtime: Runtime,
    address: Address,
    purpose: Purpose,
    client: Option<Client>,
    prepared: HashMap<String, Statement>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// One statement of a flush.
pub(crate) enum Say<'a> {
    /// A text without parameters whose answer is not needed.
    Plain(&'static str),
    /// A statement with its parameters.
    Ask(Cow<'a, str>, Vec<Param<'a>>),
}

/// A parameter: one value, or a column of many rows.
#[derive(Debug)]
pub(crate) enum Param<'a> {
    One(&'a Val<'a>),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Param<'a> {
    /// The values of a scalar statement.
    pub(crate) fn all(values: &'a [Val<'a>]) -> Vec<Param<'a>> {
        let all = values.iter();
        all.map(Param::One).collect()
    }

    /// A batch, turned from rows into columns.
    pub(crate) fn columns(kinds: &[Kind], batch: &'a Batch<'a>) -> Vec<Param<'a>> {
        Param::turned(kinds, || batch.rows())
    }

    /// The same for keys.
    pub(crate) fn turned<I>(kinds: &[Kind], rows: impl Fn() -> I) -> Vec<Param<'a>>
    where
        I: Iterator<Item = &'a [Val<'a>]>,
    {
        let column = |(i, kind): (usize, &Kind)| match kind {
            Kind::Int => Param::Ints(rows().map(|row| row[i].int()).collect()),
            Kind::Text => Param::Texts(rows().map(|row| row[i].text()).collect()),
            Kind::Bytes => Param::Bytes(rows().map(|row| row[i].bytes()).collect()),
        };
        kinds.iter().enumerate().map(column).collect()
    }

    fn ty(&self) -> Type {
        match self {
            Param::One(v) => match v {
                // The server finds out from where it stands.
                Val::Null => Type::UNKNOWN,
                Val::Int(_) => Type::INT8,
                Val::Text(_) => Type::TEXT,
                Val::Bytes(_) => Type::BYTEA,
            },
            Param::Ints(_) => Type::INT8_ARRAY,
            Param::Texts(_) => Type::TEXT_ARRAY,
            Param::Bytes(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Param::One(v) => match v {
                Val::Null => Ok(IsNull::Yes),
                Val::Int(n) => n.to_sql(ty, out),
                Val::Text(t) => t.as_ref().to_sql(ty, out),
                Val::Bytes(b) => b.as_ref().to_sql(ty, out),
            },
            Param::Ints(all) => all.to_sql(ty, out),
            Param::Texts(all) => all.to_sql(ty, out),
            Param::Bytes(all) => all.to_sql(ty, out),
        }
    }

    /// Types are given when a statement is prepared.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of a row.
pub(crate) fn cell(row: &Row, column: usize) -> Option<Cell<'_>> {
    let ty = row.columns().get(column)?.type_();
    Some(match *ty {
        Type::INT8 => row.try_get::<_, Option<i64>>(column).ok()?.into(),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(column)
            .ok()?
            .map(i64::from)
            .into(),
        Type::TEXT => row
            .try_get::<_, Option<&str>>(column)
            .ok()?
            .map_or(Cell::Null, Cell::Text),
        Type::BYTEA => row
            .try_get::<_, Option<&[u8]>>(column)
            .ok()?
            .map_or(Cell::Null, Cell::Bytes),
        _ => return None,
    })
}

impl From<Option<i64>> for Cell<'_> {
    fn from(n: Option<i64>) -> Self {
        n.map_or(Cell::Null, Cell::Int)
    }
}

type Answers<'f> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + 'f>>;

/// Polls all in their order, so that they are sent in that order without waiting for answers, until all are done.
async fn in_order(mut all: Vec<Answers<'_>>) -> Vec<Result<Vec<Row>, Error>> {
    let mut done: Vec<Option<Result<Vec<Row>, Error>>> = all.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(answer) => *done = Some(answer),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

impl Link {
    /// Connects. Not from within a runtime.
    pub(crate) fn open(address: &Address, purpose: Purpose) -> Result<Link, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap_or_else(|e| unreachable!("a runtime without threads needs nothing: {e}"));
        let mut address = address.clone();
        let config = address.config();
        config.application_name("throughline");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        let mut link = Link {
            runtime,
            address,
            purpose,
            client: None,
            prepared: HashMap::new(),
        };
        link.connect()?;
        Ok(link)
    }

    /// The settings of the connection, for another one.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Connects again.
    pub(crate) fn connect(&mut self) -> Result<(), Error> {
        self.client = None;
        self.prepared.clear();
        let (address, purpose) = (&self.address, self.purpose);
        let client = self.runtime.block_on(async move {
            let (client, connection) = address.connect().await?;
            // It runs whenever an answer is waited for; its end shows in the answers.
            tokio::spawn(connection);
            client.batch_execute(&greeting(purpose)).await?;
            Ok::<_, Error>(client)
        })?;
        self.client = Some(client);
        Ok(())
    }

    /// Sends all of it in one flush, after whatever had to be prepared, and waits for the answers. A connection that was
    /// lost is not replaced here: what is said may belong to a transaction that went with it.
    pub(crate) fn say(&mut self, words: &[Say<'_>]) -> Result<Vec<Vec<Row>>, Error> {
        if self.client.is_none() {
            self.connect()?;
        }
        let Some(client) = &self.client else {
            unreachable!("connected above");
        };
        let prepared = &mut self.prepared;
        let answers = self.runtime.block_on(async move {
            for word in words {
                if let Say::Ask(sql, params) = word
                    && !prepared.contains_key(sql.as_ref())
                {
                    tenancy::watch(sql);
                    let types: Vec<Type> = params.iter().map(Param::ty).collect();
                    let text = dollars(sql);
                    let statement = client.prepare_typed(&text, &types).await?;
                    prepared.insert(sql.clone().into_owned(), statement);
                }
            }
            let prepared = &*prepared;
            let all = words
                .iter()
                .map(|word| answer(client, prepared, word))
                .collect();
            Ok::<_, Error>(in_order(all).await)
        })?;
        // The first error is the cause of those that follow.
        answers.into_iter().collect()
    }

    /// Ends a transaction that failed, if the connection still stands.
    pub(crate) fn roll_back(&mut self) {
        if let Some(client) = &self.client
            && !client.is_closed()
            && let Err(error) = self.runtime.block_on(client.batch_execute("ROLLBACK"))
        {
            tracing::warn!(%error, "a group was not rolled back; its connection is given up");
            self.client = None;
        }
    }

    /// The client and the runtime, for what is no statement.
    pub(crate) fn parts(&mut self) -> Option<(&Runtime, &mut Client)> {
        Some((&self.runtime, self.client.as_mut()?))
    }
}

fn answer<'f>(
    client: &'f Client,
    prepared: &'f HashMap<String, Statement>,
    word: &'f Say<'f>,
) -> Answers<'f> {
    match word {
        Say::Plain(sql) => Box::pin(async move {
            client.batch_execute(sql).await?;
            Ok(Vec::new())
        }),
        Say::Ask(sql, params) => Box::pin(async move {
            let params: Vec<&(dyn ToSql + Sync)> =
                params.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
            client.query(&prepared[sql.as_ref()], &params).await
        }),
    }
}

/// Parameters as PostgreSQL writes them.
fn dollars(sql: &str) -> String {
    sql.replace('?', "$")
}

/// What a new connection is told.
fn greeting(purpose: Purpose) -> String {
    let role = format!("SET ROLE {ROLE};");
    match purpose {
        Purpose::Migrate => String::new(),
        // Look-ups and writes go by key; a plan made while a table was small must not outlive that. A process that
        // stops between two statements does not hold its locks for ever.
        Purpose::Write => format!(
            "{role} SET plan_cache_mode = force_generic_plan; SET enable_hashjoin = off; SET enable_mergejoin = off; \
             SET enable_seqscan = off; SET jit = off; SET idle_in_transaction_session_timeout = '3s';"
        ),
        Purpose::Read => format!("{role} SET default_transaction_read_only = on; SET jit = off;"),
    }
}

/// What an error means for the group that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody else was faster, or waited for us: what is there now is to be read again.
    Again,
    /// The connection is gone.
    Lost,
    /// Something in the group cannot be stored.
    Unit,
    /// The server cannot store anything.
    Machine,
}

/// Sorts an error.
pub(crate) fn trouble(error: &Error) -> Trouble {
    let Some(code) = error.code() else {
        // Nothing can be said before there is a connection.
        if is_about_encryption(error) {
            return Trouble::Machine;
        }
        // Without a code it is either the connection or a value that cannot be sent.
        let sent = std::error::Error::source(error).is_none_or(|e| e.is::<std::io::Error>());
        return if error.is_closed() || sent {
            Trouble::Lost
        } else {
            Trouble::Unit
        };
    };
    let again = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    let lost = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    match code.code().get(..2) {
        _ if again.contains(code) => Trouble::Again,
        _ if lost.contains(code) => Trouble::Lost,
        Some("08") => Trouble::Lost,
        // Data, integrity, and limits of the program.
        Some("22" | "23" | "54") => Trouble::Unit,
        _ => Trouble::Machine,
    }
}

/// The kind of an error, without values.
pub(crate) fn kind(error: &Error) -> String {
    match error.code() {
        Some(code) => format!("SQLSTATE {}", code.code()),
        None if error.is_closed() => "the connection is closed".into(),
        None if is_about_encryption(error) => "the connection cannot be encrypted".into(),
        None => "the connection failed".into(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            blame: match trouble(&error) {
                Trouble::Unit | Trouble::Again => Blame::Unit,
                Trouble::Machine | Trouble::Lost => Blame::Machine,
            },
            why: kind(&error),
            words: words(&error),
        }
    }
}

/// An error with what it comes from.
pub(crate) fn words(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        StoreError::Unavailable { why: kind(&error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_the_other_way() {
        assert_eq!(dollars("a = ?1 AND b = ?12"), "a = $1 AND b = $12");
    }
}
