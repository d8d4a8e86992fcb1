//! Opening: migrations as the owner, everything else as a role that owns nothing, and a proof that one tenant's
//! payload does not show to another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use tokio_postgres::Config;

use super::ddl::{GUARDED, ROLE};
use super::link::{Link, Param, Purpose, Say, words};
use super::{Postgres, ROWS_BITS};
use crate::backend::Options;
use crate::error::OpenError;
use crate::migrate::{self, Migration};
use crate::node::Node;
use crate::schema::{Dialect, TABLES};
use crate::value::vals;

/// A tenant that does not exist, for the proof.
const NOBODY: i64 = i32::MAX as i64;

impl Postgres {
    /// Opens the database for writing, migrating it and registering the node as the options say.
    pub(crate) fn open(url: &str, options: &Options) -> Result<Postgres, OpenError> {
        let config = parse(url)?;
        let place = place(&config);
        let sorry = |e: tokio_postgres::Error| sorry(&place, &e);
        let mut owner = Link::open(&config, Purpose::Migrate).map_err(sorry)?;
        let steps = migrate::migrations(Dialect::Postgres);
        match options.node {
            Some(_) => migrate_all(&mut owner, &place, &steps)?,
            None => require(&mut owner, &place, &steps)?,
        }
        drop(owner);
        let mut link = Link::open(&config, Purpose::Write).map_err(sorry)?;
        let node = match options.node {
            Some(asked) => {
                prove_isolation(&mut link, &place)?;
                lift_positions(&mut link).map_err(sorry)?;
                Some(Node::register(&mut link, asked, options.lease).map_err(sorry)?)
            }
            None => None,
        };
        Ok(Postgres {
            link: RefCell::new(link),
            inside: Cell::new(false),
            node,
            gates: BTreeSet::new(),
        })
    }

    /// Opens a further connection that reads alone.
    pub(crate) fn open_reader(url: &str) -> Result<Postgres, OpenError> {
        let config = parse(url)?;
        let link = Link::open(&config, Purpose::Read).map_err(|e| sorry(&place(&config), &e))?;
        Ok(Postgres {
            link: RefCell::new(link),
            inside: Cell::new(false),
            node: None,
            gates: BTreeSet::new(),
        })
    }

    /// The settings of the connection, for another one.
    pub(crate) fn config(&self) -> Config {
        self.link.borrow().config().clone()
    }
}

fn parse(url: &str) -> Result<Config, OpenError> {
    url.parse().map_err(|e: tokio_postgres::Error| {
        let why = words(&e);
        let path = "the database address".into();
        OpenError::Server { path, why }
    })
}

/// The database as it is named to people: without the password.
fn place(config: &Config) -> String {
    let name = config.get_dbname().unwrap_or("postgres");
    format!("PostgreSQL database {name}")
}

fn sorry(place: &str, error: &tokio_postgres::Error) -> OpenError {
    OpenError::Server {
        path: place.to_owned(),
        why: words(error),
    }
}

fn plain(sql: &str) -> Say<'_> {
    Say::Ask(sql.into(), Vec::new())
}

/// Runs a text of several statements.
fn run(link: &mut Link, sql: &str) -> Result<(), tokio_postgres::Error> {
    match link.parts() {
        Some((runtime, client)) => runtime.block_on(client.batch_execute(sql)),
        None => link.connect(),
    }
}

/// Brings the database up to the last of the steps, in one transaction, one process at a time.
fn migrate_all(link: &mut Link, place: &str, steps: &[Migration]) -> Result<(), OpenError> {
    let sorry = |e: tokio_postgres::Error| sorry(place, &e);
    ensure_role(link, place)?;
    // One question: another process may create the first table between two.
    let sql = "SELECT COUNT(*) > 0 AND COUNT(*) FILTER (WHERE tablename = 'migration') = 0 \
               FROM pg_tables WHERE schemaname = current_schema()";
    let somebody_elses: bool = link.say(&[plain(sql)]).map_err(sorry)?[0][0].get(0);
    if somebody_elses {
        let path = place.to_owned();
        return Err(OpenError::NotOurs { path });
    }
    // Two processes may start at once: the second finds the table of the first, or waits for it.
    let create = "CREATE TABLE IF NOT EXISTS migration (version BIGINT PRIMARY KEY, checksum BYTEA NOT NULL)";
    run(link, create)
        .or_else(|_| run(link, create))
        .map_err(sorry)?;
    run(link, "BEGIN; LOCK TABLE migration IN EXCLUSIVE MODE").map_err(sorry)?;
    let done = applied(link, place, steps);
    let brought = done.and_then(|done| {
        for step in steps.iter().filter(|s| s.version > done) {
            run(link, &step.sql).map_err(sorry)?;
            let sql = "INSERT INTO migration (version, checksum) VALUES (?1, ?2)";
            let row = vals![step.version, step.checksum()];
            link.say(&[Say::Ask(sql.into(), Param::all(&row))])
                .map_err(sorry)?;
            tracing::info!(
                version = step.version,
                "the database was brought up to date"
            );
        }
        run(link, "COMMIT").map_err(sorry)
    });
    if brought.is_err() {
        link.roll_back();
    }
    brought
}

/// Checks that the database is exactly at the last of the steps, without changing it.
fn require(link: &mut Link, place: &str, steps: &[Migration]) -> Result<(), OpenError> {
    let known = steps.last().map_or(0, |s| s.version);
    let found = match has_migrations(link).map_err(|e| sorry(place, &e))? {
        true => applied(link, place, steps)?,
        false => 0,
    };
    if found < known {
        return Err(OpenError::Older { found, known });
    }
    Ok(())
}

fn has_migrations(link: &mut Link) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'migration'";
    let found: i64 = link.say(&[plain(sql)])?[0][0].get(0);
    Ok(found > 0)
}

fn applied(link: &mut Link, place: &str, steps: &[Migration]) -> Result<u32, OpenError> {
    let sql = "SELECT version, checksum FROM migration ORDER BY version";
    let answers = link.say(&[plain(sql)]).map_err(|e| sorry(place, &e))?;
    let rows: Vec<(u32, Vec<u8>)> = answers
        .iter()
        .flatten()
        .map(|row| {
            let version: i64 = row.get(0);
            (u32::try_from(version).unwrap_or(u32::MAX), row.get(1))
        })
        .collect();
    migrate::judge(&rows, steps)
}

/// The role as which the product works. Whoever connects must be allowed to take it.
fn ensure_role(link: &mut Link, place: &str) -> Result<(), OpenError> {
    let sql = format!(
        "DO $$ BEGIN
           IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}') THEN
             BEGIN CREATE ROLE {ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
           END IF;
           IF NOT pg_has_role(current_user, '{ROLE}', 'MEMBER') THEN
             EXECUTE format('GRANT {ROLE} TO %I', current_user);
           END IF;
         END $$"
    );
    run(link, &sql).map_err(|e| OpenError::Role {
        path: place.to_owned(),
        why: words(&e),
    })
}

/// Writes a row of one tenant, looks at it as another one, and takes it back. Superusers and owners would see it.
fn prove_isolation(link: &mut Link, place: &str) -> Result<(), OpenError> {
    let guarded: Vec<String> = GUARDED.iter().map(|t| format!("'{}'", t.name)).collect();
    let open = format!(
        "SELECT COUNT(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname IN ({}) \
         AND NOT (relrowsecurity AND relforcerowsecurity)",
        guarded.join(", ")
    );
    let own = format!("SELECT set_config('tl.tenants', '{NOBODY}', true)");
    let insert = format!("INSERT INTO effect_body (ord, tenant, args) VALUES (-1, {NOBODY}, '')");
    let answers = link.say(&[
        plain(&open),
        Say::Plain("BEGIN"),
        plain(&own),
        plain(&insert),
        Say::Plain("SET LOCAL tl.tenants = '0'"),
        plain("SELECT COUNT(*) FROM effect_body WHERE ord = -1"),
        Say::Plain("ROLLBACK"),
    ]);
    let answers = answers.map_err(|e| sorry(place, &e))?;
    let (unguarded, seen): (i64, i64) = (answers[0][0].get(0), answers[5][0].get(0));
    if unguarded > 0 || seen > 0 {
        let path = place.to_owned();
        return Err(OpenError::Exposed { path });
    }
    Ok(())
}

/// Transaction ids start again in a restored copy; new positions must come after all that are there.
fn lift_positions(link: &mut Link) -> Result<(), tokio_postgres::Error> {
    let newest: Vec<String> = TABLES
        .iter()
        .filter(|t| t.all()[0].0 == "ord")
        .map(|t| format!("(SELECT MAX(ord) FROM {})", t.name))
        .collect();
    let sql = format!(
        "UPDATE position_base SET base = w.wanted FROM (SELECT (GREATEST({}) >> {ROWS_BITS}) + 1 \
         - CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) AS wanted) w WHERE base < w.wanted",
        newest.join(", ")
    );
    link.say(&[plain(&sql)])?;
    Ok(())
}
