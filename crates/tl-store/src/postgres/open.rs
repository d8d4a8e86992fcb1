//! Opening: migrations as the owner, everything else as a role that owns nothing, and a proof that one tenant's
//! payload does not show to another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::address::Address;
use super::ddl::{GUARDED, OWN, ROLE, SHARED};
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
        let address = Address::parse(url)?;
        let place = address.place();
        let sorry = |e: tokio_postgres::Error| address.sorry(&e);
        let mut owner = Link::open(&address, Purpose::Migrate).map_err(sorry)?;
        judge_age(&mut owner, &place)?;
        let steps = migrate::migrations(Dialect::Postgres);
        match options.node {
            Some(_) => migrate_all(&mut owner, &place, &steps)?,
            None => require(&mut owner, &place, &steps)?,
        }
        drop(owner);
        let mut link = Link::open(&address, Purpose::Write).map_err(sorry)?;
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
        let address = Address::parse(url)?;
        let link = Link::open(&address, Purpose::Read).map_err(|e| address.sorry(&e))?;
        Ok(Postgres {
            link: RefCell::new(link),
            inside: Cell::new(false),
            node: None,
            gates: BTreeSet::new(),
        })
    }

    /// The settings of the connection, for another one.
    pub(crate) fn address(&self) -> Address {
        self.link.borrow().address().clone()
    }
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
        if done > 0 && steps.iter().any(|s| s.version > done) {
            end_nodes(link).map_err(sorry)?;
        }
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

/// What nodes of an earlier release are told is not what they believe once a step has changed the tables, or what shows of
/// them. Nothing of theirs is accepted any more, so that they end; and nobody goes on before the leases have run out
/// under which they may still send.
fn end_nodes(link: &mut Link) -> Result<(), tokio_postgres::Error> {
    let sql = "UPDATE node SET epoch = epoch + 1; \
               SELECT pg_sleep(CAST(GREATEST(0, MAX(lease_until) / 1000000.0 \
               - EXTRACT(EPOCH FROM clock_timestamp())) AS DOUBLE PRECISION)) FROM node";
    run(link, sql)
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

/// What stands open to another tenant, each as names of tables or roles, or NULL where nothing does.
fn openings() -> [(&'static str, String); 4] {
    let guarded: Vec<String> = GUARDED
        .iter()
        .map(|(t, _)| format!("'{}'", t.name))
        .collect();
    let guarded = guarded.join(", ");
    let (shared, table, whose) = SHARED;
    let ours = "relnamespace = current_schema()::regnamespace";
    let names = |name: &str, from: &str| {
        format!("(SELECT string_agg(DISTINCT CAST({name} AS TEXT), ', ') FROM {from})")
    };
    [
        (
            "row-level security is off for",
            names(
                "relname",
                &format!(
                    "pg_class WHERE {ours} AND relname IN ({guarded}) AND NOT (relrowsecurity AND relforcerowsecurity)"
                ),
            ),
        ),
        (
            // A member can become what it is a member of; a superuser is one of all roles.
            "the role that the product works as may bypass row-level security as",
            names(
                "rolname",
                "pg_roles WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER')",
            ),
        ),
        (
            "the role that the product works as owns, and could open,",
            names(
                "relname",
                &format!(
                    "pg_class WHERE {ours} AND relkind IN ('r', 'p') AND pg_has_role(current_user, relowner, 'MEMBER')"
                ),
            ),
        ),
        (
            // What the policy of all says is proved with a row of one table.
            "a policy is not ours on",
            names(
                "tablename",
                &format!(
                    "pg_policies p WHERE schemaname = current_schema() AND tablename IN ({guarded}) \
                     AND permissive = 'PERMISSIVE' AND NOT (policyname = '{OWN}' AND with_check IS NULL \
                     AND COALESCE(qual = (SELECT qual FROM pg_policies o WHERE o.schemaname = p.schemaname \
                     AND o.tablename = 'effect_body' AND o.policyname = '{OWN}'), FALSE)) \
                     AND NOT (policyname = '{shared}' AND tablename = '{table}' AND cmd = 'SELECT' AND qual = '{whose}')"
                ),
            ),
        ),
    ]
}

/// Looks for what stands open, writes a row of one tenant, looks at it as another one, and takes it back.
fn prove_isolation(link: &mut Link, place: &str) -> Result<(), OpenError> {
    let openings = openings();
    let looks = format!(
        "SELECT {}",
        openings.each_ref().map(|o| o.1.as_str()).join(", ")
    );
    let own = format!("SELECT set_config('tl.tenants', '{NOBODY}', true)");
    let insert = format!("INSERT INTO effect_body (ord, tenant, args) VALUES (-1, {NOBODY}, '')");
    let look = format!("SELECT COUNT(*) FROM effect_body WHERE ord = -1 AND tenant = {NOBODY}");
    let answers = link.say(&[
        plain(&looks),
        Say::Plain("BEGIN"),
        plain(&own),
        plain(&insert),
        Say::Plain("SET LOCAL tl.tenants = '0'"),
        plain(&look),
        Say::Plain("ROLLBACK"),
    ]);
    let answers = answers.map_err(|e| sorry(place, &e))?;
    let found = (0..openings.len()).map(|i| answers[0][0].get::<_, Option<String>>(i));
    let mut why: Vec<String> = openings
        .iter()
        .zip(found)
        .filter_map(|((what, _), names)| Some(format!("{what} {}", names?)))
        .collect();
    if answers[5][0].get::<_, i64>(0) > 0 {
        why.push("a row of one tenant shows to another".into());
    }
    if why.is_empty() {
        return Ok(());
    }
    Err(OpenError::Exposed {
        path: place.to_owned(),
        why: why.join("; "),
    })
}

/// Transaction ids start again in a restored copy; new positions must come after all that are there.
fn lift_positions(link: &mut Link) -> Result<(), tokio_postgres::Error> {
    let [all_tenants, lift] = lift_sql();
    link.say(&[
        Say::Plain("BEGIN"),
        plain(&all_tenants),
        plain(&lift),
        Say::Plain("COMMIT"),
    ])?;
    Ok(())
}

/// Names all tenants, because guarded tables have positions too; and lifts what new positions begin at.
pub(crate) fn lift_sql() -> [String; 2] {
    let newest: Vec<String> = TABLES
        .iter()
        .filter(|t| t.all()[0].0 == "ord")
        .map(|t| format!("(SELECT MAX(ord) FROM {})", t.name))
        .collect();
    let names = "SELECT set_config('tl.tenants', (SELECT string_agg(CAST(tenant AS TEXT), ',') FROM tenant), true)";
    let lift = format!(
        "UPDATE position_base SET base = w.wanted FROM (SELECT (GREATEST({}) >> {ROWS_BITS}) + 1 \
         - CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) AS wanted) w WHERE base < w.wanted",
        newest.join(", ")
    );
    [names.to_owned(), lift]
}

/// The oldest server that will do.
const OLDEST: u32 = 15;

/// Refuses a server that is too old for what the product says to it.
fn judge_age(link: &mut Link, place: &str) -> Result<(), OpenError> {
    let sql = "SELECT CAST(current_setting('server_version_num') AS BIGINT)";
    let answers = link.say(&[plain(sql)]).map_err(|e| sorry(place, &e))?;
    match too_old(answers[0][0].get(0)) {
        None => Ok(()),
        Some(found) => Err(OpenError::OldServer {
            path: place.to_owned(),
            found,
            needed: OLDEST,
        }),
    }
}

/// The name of a version that is too old, from the server's number for it: 150006 is 15.6, and before the tenth 90624
/// was 9.6.24.
fn too_old(number: i64) -> Option<String> {
    let (first, rest) = (number / 10_000, number % 10_000);
    if first >= i64::from(OLDEST) {
        return None;
    }
    Some(match first {
        10.. => format!("{first}.{rest}"),
        _ => format!("{first}.{}.{}", rest / 100, rest % 100),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_trial::postgres::Server;

    /// A database of each earlier step is brought up to date with what it holds, and that is guarded then.
    #[test]
    fn a_database_of_an_earlier_step_is_guarded() {
        let Some(server) = Server::of_this_process() else {
            return;
        };
        let steps = migrate::migrations(Dialect::Postgres);
        let known = steps.len() as u32;
        let guest = Options {
            node: None,
            ..Options::default()
        };
        for found in 1..known {
            let name = server.new_name();
            let sql = |sql: &str| server.sql(&name, sql).unwrap();
            let made = server.sql("postgres", &format!("CREATE DATABASE {name}"));
            made.unwrap();
            let url = format!("postgres://tl@/{name}?host={}", server.sockets().display());
            let address = Address::parse(&url).unwrap();
            let mut link = Link::open(&address, Purpose::Migrate).unwrap();
            migrate_all(&mut link, "here", &steps[..found as usize]).unwrap();
            sql("INSERT INTO record VALUES (1, 7, 'lead', 'ann@example.com', 1, 'ops', 1, NULL)");
            sql("INSERT INTO attempt VALUES (7, 'c', 1, 1, 1, 1, 'answered', 400, '', 'of ann')");
            sql("INSERT INTO switch VALUES (7, 'tenant', 'hold', 'ops', 'ann asked', 1)");
            // A node of that release is at work: it is fenced, and its lease has run out.
            let now = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
            sql(&format!(
                "INSERT INTO node (id, epoch, lease_until, last_group) VALUES (3, 7, {now} + 300000, 0)"
            ));
            let refused = Postgres::open(&url, &guest).unwrap_err();
            assert_eq!(refused, OpenError::Older { found, known });
            Postgres::open(&url, &Options::default()).unwrap();
            let node = format!("SELECT epoch, lease_until <= {now} FROM node WHERE id = 3");
            assert_eq!(sql(&node), "8|t", "from {found}");
            for table in ["record", "attempt", "switch"] {
                let seen = |by: u32| {
                    let who = format!("SET ROLE {ROLE}; SET tl.tenants = '{by}'");
                    sql(&format!("{who}; SELECT COUNT(*) FROM {table}"))
                };
                assert_eq!([seen(7), seen(8)], ["1", "0"], "{table} from {found}");
            }
        }
    }

    #[test]
    fn an_old_server_is_told_by_its_number() {
        for (number, found) in [
            (80_400, Some("8.4.0")),
            (90_624, Some("9.6.24")),
            (100_023, Some("10.23")),
            (140_000, Some("14.0")),
            (140_019, Some("14.19")),
            (149_999, Some("14.9999")),
            (150_000, None),
            (150_006, None),
            (180_001, None),
        ] {
            assert_eq!(too_old(number).as_deref(), found, "{number}");
        }
        let refused = OpenError::OldServer {
            path: "db/tl".into(),
            found: "14.19".into(),
            needed: OLDEST,
        };
        let words = refused.to_string();
        assert!(
            words.starts_with("TL0624 db/tl: PostgreSQL 14.19 "),
            "{words}"
        );
    }
}
