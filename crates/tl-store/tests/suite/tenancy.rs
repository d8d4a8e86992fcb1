//! Row-level security of PostgreSQL: every guarded table against every way to come to it, and what stops a start.

use tl_kernel::id::TenantId;
use tl_store::{Attempt, Backend, Guard, Location, OpenError, Options, RecordWrite, Row, Unit};
use tl_trial::postgres::{Own, Server};

use super::build::*;
use super::postgres::{Database, Sql};

macro_rules! database {
    () => {
        match Database::fresh() {
            Some(database) => database,
            None => return,
        }
    };
}

/// The tables that are guarded, by name. That all that must be are is proved by each start.
fn guarded(owner: &Sql) -> Vec<String> {
    let sql = "SELECT CAST(relname AS TEXT) FROM pg_class WHERE relrowsecurity AND relforcerowsecurity \
               AND relnamespace = current_schema()::regnamespace ORDER BY relname";
    owner.table(sql).concat()
}

/// A statement that adds a row of a tenant, with something in each column.
fn insert(owner: &Sql, table: &str, tenant: u32) -> String {
    let sql = format!(
        "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
    );
    let columns = owner.table(&sql);
    let (names, values): (Vec<_>, Vec<_>) = columns
        .iter()
        .map(|column| match [column[0].as_str(), column[1].as_str()] {
            ["tenant", _] => ("tenant", tenant.to_string()),
            ["ord", _] => ("ord", format!("{}", 1_000 + tenant)),
            [name, "bigint"] => (name, "1".to_owned()),
            [name, "text"] => (name, "'x'".to_owned()),
            [name, _] => (name, "'\\x01'".to_owned()),
        })
        .unzip();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("INSERT INTO {table} ({names}) VALUES ({values})")
}

/// How many rows a change touches.
fn touched(sql: &Sql, change: &str) -> Result<i64, String> {
    sql.counted(&format!(
        "WITH changed AS ({change} RETURNING 1) SELECT COUNT(*) FROM changed"
    ))
}

/// Each table that is guarded × each setting that is not the row's tenant × each verb; and with the right setting the
/// same statements do something.
#[test]
fn no_row_of_another_tenant_is_read_or_written() {
    let database = database!();
    let owner = database.sql();
    let tables = guarded(&owner);
    assert!(tables.len() >= 14, "{tables:?}");
    let mut tried = 0;
    for table in &tables {
        let theirs = insert(&owner, table, 1);
        owner.run(&theirs).unwrap();
        let again = insert(&owner, table, 2);
        let update = format!("UPDATE {table} SET tenant = tenant WHERE tenant = 1");
        let delete = format!("DELETE FROM {table} WHERE tenant = 1");
        let select = format!("SELECT COUNT(*) FROM {table} WHERE tenant = 1");
        let fixed = table == "turn_body";
        for setting in [None, Some(""), Some("2"), Some("0"), Some("11,2")] {
            let sql = database.sql();
            sql.run("SET ROLE throughline").unwrap();
            if let Some(tenants) = setting {
                sql.run(&format!("SET tl.tenants = '{tenants}'")).unwrap();
            }
            let place = format!("{table} with {setting:?}");
            assert_eq!(sql.counted(&select), Ok(0), "{place}");
            let added = sql.run(&theirs).unwrap_err();
            assert!(added.contains("row-level security"), "{place}: {added}");
            // The journal's bodies refuse changes whoever asks.
            let changed = touched(&sql, &update);
            assert_eq!(changed.is_err(), fixed, "{place}: {changed:?}");
            assert_eq!(changed.unwrap_or(0), 0, "{place}");
            assert_eq!(touched(&sql, &delete), Ok(0), "{place}");
            tried += 4;
        }
        let sql = database.sql();
        sql.run("SET ROLE throughline; SET tl.tenants = '1'")
            .unwrap();
        assert_eq!(sql.counted(&select), Ok(1), "{table}");
        assert!(sql.run(&again).is_err(), "{table}: a row of tenant 2");
        if !fixed {
            assert_eq!(touched(&sql, &update), Ok(1), "{table}");
            let away = format!("UPDATE {table} SET tenant = 2 WHERE tenant = 1");
            assert!(touched(&sql, &away).is_err(), "{table}: given away");
        }
        assert_eq!(touched(&sql, &delete), Ok(1), "{table}");
        sql.run(&theirs).unwrap();
        tried += 6;
    }
    println!("{} tables, {tried} statements", tables.len());
}

/// A switch of the installation holds for every tenant, which reads it and cannot touch it.
#[test]
fn switches_of_the_installation_are_read_by_all() {
    let database = database!();
    let owner = database.sql();
    owner.run(&insert(&owner, "switch", 0)).unwrap();
    let sql = database.sql();
    sql.run("SET ROLE throughline; SET tl.tenants = '1'")
        .unwrap();
    assert_eq!(sql.counted("SELECT COUNT(*) FROM switch"), Ok(1));
    assert_eq!(touched(&sql, "DELETE FROM switch"), Ok(0));
    assert_eq!(touched(&sql, "UPDATE switch SET mode = 'x'"), Ok(0));
    assert!(sql.run(&insert(&owner, "switch", 0)).is_err());
}

/// What the product itself asks, of another tenant than the rows': as if there were none.
#[test]
fn what_another_tenant_asks_finds_nothing() {
    let database = database!();
    let mut backend = database.node(1);
    let answers = backend.commit(vec![of_record("a@example.com"), evidence()]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let reader = backend.reader();
    for (tenant, there) in [(T1, 1), (T2, 0), (TenantId::SYSTEM, 0)] {
        let found = reader.record(tenant, "lead", "a@example.com").unwrap();
        assert_eq!(found.iter().len(), there);
        let history = reader.record_history(tenant, "lead", "a@example.com");
        assert_eq!(history.unwrap().len(), there);
        assert_eq!(
            reader.attempts(tenant, effect_id(1, 1)).unwrap().len(),
            there
        );
    }
}

fn of_record(id: &str) -> Unit {
    let guard = Guard::RecordAt {
        kind: "lead".into(),
        id: id.into(),
        version: 0,
    };
    Unit {
        guards: vec![guard],
        rows: vec![Row::Record(RecordWrite {
            kind: "lead".into(),
            id: id.into(),
            version: 1,
            body: b"{}".to_vec(),
            provenance: b"{}".to_vec(),
            by: "engine".into(),
            at: 1,
            key: None,
        })],
        ..unit()
    }
}

fn evidence() -> Unit {
    Unit {
        rows: vec![Row::Attempt(Attempt {
            effect: effect_id(1, 1),
            n: 1,
            at: 1,
            took: 1,
            knowledge: "answered".into(),
            status: 400,
            code: "http_400".into(),
            detail: "a@example.com is on the list".into(),
        })],
        ..unit()
    }
}

/// What may read every row, or could let itself: the program does not start, and does once it is put right.
#[test]
fn a_start_is_refused_where_tenants_are_not_kept_apart() {
    let Some(server) = Server::of_one_test(&Own::default()) else {
        return;
    };
    server.sql("postgres", "CREATE DATABASE tl").unwrap();
    let url = format!(
        "postgres://tl@/tl?host={}&port={}",
        server.sockets().display(),
        server.port()
    );
    let location: Location = url.parse().unwrap();
    let open = || Backend::open_at(&location, &Options::default());
    drop(open().unwrap());
    server.sql("tl", "CREATE ROLE clerk").unwrap();
    let table = [
        (
            "ALTER ROLE throughline BYPASSRLS",
            "ALTER ROLE throughline NOBYPASSRLS",
            "bypass row-level security as throughline",
        ),
        (
            "ALTER ROLE throughline SUPERUSER",
            "ALTER ROLE throughline NOSUPERUSER",
            "bypass row-level security as",
        ),
        (
            "GRANT tl TO throughline",
            "REVOKE tl FROM throughline",
            "bypass row-level security as tl",
        ),
        (
            "ALTER ROLE clerk BYPASSRLS; GRANT clerk TO throughline",
            "REVOKE clerk FROM throughline; ALTER ROLE clerk NOBYPASSRLS",
            "bypass row-level security as clerk",
        ),
        (
            "ALTER TABLE record OWNER TO throughline",
            "ALTER TABLE record OWNER TO tl; GRANT SELECT, INSERT, UPDATE, DELETE ON record TO throughline",
            "owns, and could open, record",
        ),
        (
            "ALTER TABLE turn OWNER TO clerk; GRANT clerk TO throughline",
            "REVOKE clerk FROM throughline; ALTER TABLE turn OWNER TO tl",
            "owns, and could open, turn",
        ),
        (
            "ALTER TABLE record DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE record ENABLE ROW LEVEL SECURITY",
            "is off for record",
        ),
        (
            "ALTER TABLE secret NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE secret FORCE ROW LEVEL SECURITY",
            "is off for secret",
        ),
        (
            "CREATE POLICY all_of_it ON attempt USING (TRUE)",
            "DROP POLICY all_of_it ON attempt",
            "not ours on attempt",
        ),
        (
            "ALTER POLICY own_tenant ON effect_body USING (TRUE)",
            "ALTER POLICY own_tenant ON effect_body USING \
          (tenant = ANY ((SELECT string_to_array(current_setting('tl.tenants', true), ','))::bigint[]))",
            "a row of one tenant shows to another",
        ),
    ];
    for (harm, cure, words) in table {
        server.sql("tl", harm).unwrap();
        let refused = open().unwrap_err();
        server.sql("tl", cure).unwrap();
        let is_it = matches!(&refused, OpenError::Exposed { why, .. } if why.contains(words));
        assert!(is_it, "{harm}: {refused}");
        assert!(refused.to_string().starts_with("TL0609 "), "{refused}");
        assert!(open().is_ok(), "{cure}");
    }
    println!("{} ways to come to all tenants were refused", table.len());
}

/// Positions of guarded tables count too when a restored copy goes on.
#[test]
fn positions_of_guarded_tables_go_on_in_a_restored_copy() {
    let database = database!();
    let mut backend = database.node(1);
    let name = Row::Tenant {
        name: "acme".into(),
        at: 1,
    };
    let named = Unit {
        rows: vec![name],
        ..unit()
    };
    let answers = backend.commit(vec![named, of_record("a")]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let owner = database.sql();
    owner
        .run("UPDATE record SET ord = ord + (1::bigint << 40); UPDATE record_body SET ord = ord + (1::bigint << 40)")
        .unwrap();
    let mut backend = database.node(1);
    assert!(backend.commit(vec![of_record("b")])[0].is_ok());
    assert_eq!(
        owner.number("SELECT COUNT(*) FROM record WHERE ord > (1::bigint << 40)"),
        2
    );
}
