//! PostgreSQL as a `World`: a server of the tests' own, a database per world.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tl_store::{Backend, CommitAnswer, Location, Options, Query, Reply, Unit};
use tl_trial::postgres::Server;

use super::World;

/// A connection that speaks SQL directly, as the owner.
pub struct Sql {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

fn client(url: &str) -> Sql {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    });
    Sql { runtime, client }
}

fn in_words(error: tokio_postgres::Error) -> String {
    let said = error.as_db_error().map(|e| e.message().to_owned());
    said.unwrap_or(error.to_string())
}

impl Sql {
    pub fn run(&self, sql: &str) -> Result<(), String> {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.map_err(in_words)
    }

    /// The first column of the first row.
    pub fn number(&self, sql: &str) -> i64 {
        self.counted(sql).unwrap()
    }

    /// As `number`, or what the server says against it.
    pub fn counted(&self, sql: &str) -> Result<i64, String> {
        let row = self.runtime.block_on(self.client.query_one(sql, &[]));
        row.map(|row| row.get(0)).map_err(in_words)
    }

    /// The columns of all rows, which are text.
    pub fn table(&self, sql: &str) -> Vec<Vec<String>> {
        let rows = self.runtime.block_on(self.client.query(sql, &[])).unwrap();
        let row = |r: &tokio_postgres::Row| (0..r.len()).map(|i| r.get(i)).collect();
        rows.iter().map(row).collect()
    }
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A new database. While it is held, no other test writes to the server: the order of commits is one for all of its
/// databases.
pub struct Database {
    pub url: String,
    _alone: MutexGuard<'static, ()>,
}

impl Database {
    /// `None`, said aloud, where PostgreSQL is not installed.
    pub fn fresh() -> Option<Database> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let server = Server::of_this_process()?;
        let url = |name: &str| {
            let sockets = server.sockets().display();
            format!("postgres://tl@/{name}?host={sockets}")
        };
        let name = server.new_name();
        let admin = client(&url("postgres"));
        if admin.run("CREATE DATABASE made").is_ok() {
            let made: Location = url("made").parse().unwrap();
            drop(Backend::open_at(&made, &Options::default()).unwrap());
            // Nobody has been a node of a new database.
            client(&url("made")).run("DELETE FROM node").unwrap();
        }
        let copy = format!("CREATE DATABASE {name} TEMPLATE made");
        while let Err(words) = admin.run(&copy) {
            // The connection that made it may take a moment to go.
            assert!(words.contains("being accessed"), "{words}");
        }
        Some(Database {
            url: url(&name),
            _alone: alone,
        })
    }

    pub fn location(&self) -> Location {
        self.url.parse().unwrap()
    }

    pub fn sql(&self) -> Sql {
        client(&self.url)
    }

    pub fn open(&self, options: &Options) -> Backend {
        Backend::open_at(&self.location(), options).unwrap()
    }

    /// Opens it as a node.
    pub fn node(&self, node: u32) -> Backend {
        self.open(&Options {
            node: Some(node),
            ..Options::default()
        })
    }
}

impl Database {
    /// Directory of the server's socket.
    pub fn sockets(&self) -> PathBuf {
        let (_, sockets) = self.url.split_once("host=").unwrap();
        PathBuf::from(sockets)
    }
}

pub struct Postgres {
    database: Database,
    backend: Backend,
}

impl Postgres {
    pub fn fresh() -> Option<Postgres> {
        let database = Database::fresh()?;
        let backend = database.node(1);
        Some(Postgres { database, backend })
    }
}

impl World for Postgres {
    fn commit(&mut self, units: Vec<Unit>) -> Vec<CommitAnswer> {
        self.backend.commit(units)
    }

    fn query(&self, query: Query) -> Reply {
        self.backend.query(query).unwrap()
    }

    fn crash(&mut self) {
        self.backend = self.database.node(1);
    }

    fn guest(&mut self, unit: Unit) -> CommitAnswer {
        let mut guest = self.database.open(&Options {
            node: None,
            ..Options::default()
        });
        guest.commit(vec![unit]).remove(0)
    }

    fn epoch(&self) -> u64 {
        self.backend.epoch()
    }

    fn integrity(&self) -> String {
        self.backend.integrity().unwrap()
    }
}
