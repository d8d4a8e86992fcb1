//! Rows that change what the gate reads: switches, flags, bundles, secrets, keys; and tenants.

use rusqlite::{Connection, params};
use tl_kernel::id::TenantId;

use super::Stop;
use super::check::holds;
use crate::contract::{Refused, Row};
use crate::schema::{
    API_KEY, BUNDLE, BUNDLE_FILES, CURRENT, DISABLED, FLAG, SECRET, SWITCH, TENANT,
};
use crate::statements::SQL;

/// What a row implies about what is there.
pub(super) fn check(conn: &Connection, tenant: TenantId, row: &Row) -> Result<(), Stop> {
    let there = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> rusqlite::Result<bool> {
        conn.prepare_cached(sql)?.exists(params)
    };
    let t = tenant.0;
    match row {
        Row::Deploy { number, .. } => {
            let next = next(
                conn,
                "SELECT COALESCE(MAX(number), 0) + 1 FROM bundle WHERE tenant = ?1",
                &[&t],
            )?;
            holds(next == *number, Refused::NumberTaken { next })
        }
        Row::Rollback { workflow, number } => {
            let sql = "SELECT 1 FROM bundle WHERE tenant = ?1 AND number = ?2 AND workflow = ?3";
            holds(there(sql, &[&t, number, workflow])?, missing("bundle"))
        }
        Row::Tenant { name, .. } => {
            let next = next(conn, "SELECT COALESCE(MAX(tenant), 0) + 1 FROM tenant", &[])?;
            holds(next == t, Refused::NumberTaken { next })?;
            let sql = "SELECT 1 FROM tenant WHERE name = ?1";
            holds(!there(sql, &[name])?, Refused::NameTaken)
        }
        Row::Secret { endpoint, kid, .. } => holds(
            !there(SECRET_THERE, &[&t, endpoint, kid])?,
            Refused::NameTaken,
        ),
        Row::SecretEnds { endpoint, kid, .. } => holds(
            there(SECRET_THERE, &[&t, endpoint, kid])?,
            missing("secret"),
        ),
        Row::ApiKey { kid, .. } => holds(!there(KEY_THERE, &[&t, kid])?, Refused::NameTaken),
        Row::ApiKeyEnds { kid, .. } => holds(there(KEY_THERE, &[&t, kid])?, missing("api key")),
        _ => Ok(()),
    }
}

const SECRET_THERE: &str = "SELECT 1 FROM secret WHERE tenant = ?1 AND endpoint = ?2 AND kid = ?3";
const KEY_THERE: &str = "SELECT 1 FROM api_key WHERE tenant = ?1 AND kid = ?2";

fn next(conn: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<u32> {
    conn.prepare_cached(sql)?.query_row(params, |r| r.get(0))
}

fn missing(what: &str) -> Refused {
    Refused::Faulty {
        id: 0,
        why: format!("the {what} does not exist"),
    }
}

/// Writes a row; true when it raises the gate's epoch.
pub(super) fn apply(conn: &Connection, tenant: TenantId, row: &Row) -> rusqlite::Result<bool> {
    let t = tenant.0;
    match row {
        Row::Switch {
            scope,
            mode,
            by,
            reason,
            at,
        } => match mode {
            Some(mode) => conn.prepare_cached(SQL.upsert(&SWITCH))?.execute(params![
                t,
                scope,
                mode,
                by,
                reason.as_bytes(),
                at
            ])?,
            None => conn
                .prepare_cached("DELETE FROM switch WHERE tenant = ?1 AND scope = ?2")?
                .execute(params![t, scope])?,
        },
        Row::Flag { name, value } => match value {
            Some(value) => conn
                .prepare_cached(SQL.upsert(&FLAG))?
                .execute(params![t, name, value])?,
            None => conn
                .prepare_cached("DELETE FROM flag WHERE tenant = ?1 AND name = ?2")?
                .execute(params![t, name])?,
        },
        Row::Deploy { .. } => deploy(conn, tenant, row)?,
        Row::Rollback { workflow, number } => make_current(conn, tenant, (workflow, *number))?,
        Row::Tenant { name, at } => {
            conn.prepare_cached(SQL.insert(&TENANT))?
                .execute(params![t, name, at])?;
            return Ok(false);
        }
        Row::EndpointDisabled {
            endpoint,
            disabled: true,
        } => conn
            .prepare_cached(SQL.insert_new(&DISABLED))?
            .execute(params![t, endpoint])?,
        Row::EndpointDisabled {
            endpoint,
            disabled: false,
        } => conn
            .prepare_cached("DELETE FROM endpoint_disabled WHERE tenant = ?1 AND endpoint = ?2")?
            .execute(params![t, endpoint])?,
        keys => return key_row(conn, tenant, keys),
    };
    Ok(true)
}

/// A bundle with its files, current from now on.
fn deploy(conn: &Connection, tenant: TenantId, row: &Row) -> rusqlite::Result<usize> {
    let Row::Deploy {
        number,
        workflow,
        version,
        digest,
        files,
        at,
    } = row
    else {
        return Ok(0);
    };
    let t = tenant.0;
    conn.prepare_cached(SQL.insert(&BUNDLE))?.execute(params![
        t,
        number,
        workflow,
        version.as_bytes(),
        digest,
        at
    ])?;
    let ord = conn.last_insert_rowid();
    conn.prepare_cached(SQL.insert(&BUNDLE_FILES))?
        .execute(params![ord, t, files])?;
    make_current(conn, tenant, (workflow, *number))
}

fn key_row(conn: &Connection, tenant: TenantId, row: &Row) -> rusqlite::Result<bool> {
    let t = tenant.0;
    match row {
        Row::Secret { endpoint, kid, sealed, not_before, not_after, by } => conn
            .prepare_cached(SQL.insert(&SECRET))?
            .execute(params![t, endpoint, kid, sealed, not_before, not_after, by])?,
        Row::SecretEnds { endpoint, kid, not_after } => conn
            .prepare_cached(
                "UPDATE secret SET not_after = ?4 WHERE tenant = ?1 AND endpoint = ?2 AND kid = ?3 \
                 AND (not_after IS NULL OR not_after > ?4)",
            )?
            .execute(params![t, endpoint, kid, not_after])?,
        Row::ApiKey { kid, hash, scopes, expires, by, at } => conn
            .prepare_cached(SQL.insert(&API_KEY))?
            .execute(params![t, kid, hash, scopes, expires, by, at])?,
        Row::ApiKeyEnds { kid, at } => conn
            .prepare_cached(
                "UPDATE api_key SET expires = ?3 WHERE tenant = ?1 AND kid = ?2 AND (expires IS NULL OR expires > ?3)",
            )?
            .execute(params![t, kid, at])?,
        _ => return Ok(false),
    };
    Ok(true)
}

fn make_current(
    conn: &Connection,
    tenant: TenantId,
    which: (&str, u32),
) -> rusqlite::Result<usize> {
    conn.prepare_cached(SQL.upsert(&CURRENT))?
        .execute(params![tenant.0, which.0, which.1])
}
