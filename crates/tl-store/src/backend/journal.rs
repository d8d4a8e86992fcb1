//! Writes turns and what is derived from them: the case's row, its tasks, timers and natural keys.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::Sealed;
use tl_kernel::turn::{TaskWrite, Turn};

use super::check::CaseNow;
use super::counters::Counters;
use super::keys::{NEVER, short_key, timer_number};
use crate::contract::Unit;
use crate::schema::{CASE_HEAD, NATURAL_KEY, TASK, TIMER, TURN, TURN_BODY};
use crate::statements::SQL;

/// Writes the unit's turns, those of the control stream included.
pub(super) fn apply(
    conn: &Connection,
    counters: &mut Counters,
    unit: &Unit,
    mut cases: BTreeMap<CaseId, CaseNow>,
) -> rusqlite::Result<()> {
    for turn in &unit.turns {
        append(
            conn,
            (turn.tenant, turn.case, turn.sealed.seq),
            &turn.sealed,
        )?;
        case_head(conn, turn)?;
        let before = cases.insert(
            turn.case,
            CaseNow {
                seq: turn.sealed.seq,
                state: turn.head.state,
            },
        );
        counters.case(
            turn.tenant,
            &turn.head.workflow,
            (before.map(|b| b.state), turn.head.state),
        );
        tasks(conn, turn)?;
        timers(conn, turn)?;
        for key in &turn.natural_keys {
            conn.prepare_cached(SQL.insert_new(&NATURAL_KEY))?
                .execute(params![
                    turn.tenant.0,
                    short_key(&turn.head.workflow, key),
                    turn.case.0
                ])?;
        }
    }
    for sealed in &unit.control {
        let seq = next_control(conn, unit.tenant)?;
        append(conn, (unit.tenant, CaseId::CONTROL, seq), sealed)?;
    }
    Ok(())
}

fn append(conn: &Connection, at: (TenantId, CaseId, u32), sealed: &Sealed) -> rusqlite::Result<()> {
    let (tenant, case, seq) = at;
    conn.prepare_cached(SQL.insert(&TURN))?
        .execute(params![tenant.0, case.0, seq, sealed.head])?;
    if let Some(body) = &sealed.body {
        let ord = conn.last_insert_rowid();
        conn.prepare_cached(SQL.insert(&TURN_BODY))?
            .execute(params![ord, tenant.0, body])?;
    }
    Ok(())
}

/// The control stream has no expected numbers; its turns are numbered here to keep their order.
fn next_control(conn: &Connection, tenant: TenantId) -> rusqlite::Result<u32> {
    conn.prepare_cached(
        "SELECT COALESCE(MAX(seq), 0) + 1 FROM turn WHERE tenant = ?1 AND case_id = ?2",
    )?
    .query_row(params![tenant.0, CaseId::CONTROL.0], |r| r.get(0))
}

fn case_head(conn: &Connection, turn: &Turn) -> rusqlite::Result<()> {
    let head = &turn.head;
    let row = params![
        turn.tenant.0,
        turn.case.0,
        turn.sealed.seq,
        head.state,
        head.owner,
        head.definition,
        head.opened_at,
        head.updated_at,
        head.due,
        head.closed,
        head.open_tasks,
        head.open_effects,
        head.reason,
        head.correlation,
        head.workflow,
    ];
    if turn.sealed.seq == 1 {
        conn.prepare_cached(SQL.insert(&CASE_HEAD))?.execute(row)?;
        return Ok(());
    }
    conn.prepare_cached(
        "UPDATE case_head SET seq = ?3, state = ?4, owner = ?5, definition = ?6, opened_at = ?7, updated_at = ?8, \
         due = ?9, closed = ?10, open_tasks = ?11, open_effects = ?12, reason = ?13, correlation = ?14, \
         workflow = ?15 WHERE tenant = ?1 AND case_id = ?2",
    )?
    .execute(row)?;
    Ok(())
}

fn tasks(conn: &Connection, turn: &Turn) -> rusqlite::Result<()> {
    let (tenant, case, at) = (turn.tenant.0, turn.case.0, turn.head.updated_at);
    for write in &turn.tasks {
        match write {
            TaskWrite::Open {
                n,
                kind,
                owner,
                reason,
                due,
                effect,
            } => {
                conn.prepare_cached(SQL.insert(&TASK))?.execute(params![
                    tenant,
                    case,
                    n,
                    kind,
                    owner,
                    reason,
                    due.unwrap_or(NEVER),
                    effect,
                    at,
                    None::<i64>,
                    "",
                ])?;
            }
            TaskWrite::Close { n, decision } => {
                conn.prepare_cached(
                    "UPDATE task SET closed_at = ?4, decision = ?5 WHERE tenant = ?1 AND case_id = ?2 AND n = ?3",
                )?
                .execute(params![tenant, case, n, at, decision])?;
            }
            TaskWrite::Assign { n, owner } => {
                conn.prepare_cached(
                    "UPDATE task SET owner = ?4 WHERE tenant = ?1 AND case_id = ?2 AND n = ?3",
                )?
                .execute(params![tenant, case, n, owner])?;
            }
        }
    }
    Ok(())
}

fn timers(conn: &Connection, turn: &Turn) -> rusqlite::Result<()> {
    let (tenant, case) = (turn.tenant.0, turn.case.0);
    for n in &turn.timers_cancelled {
        conn.prepare_cached("DELETE FROM timer WHERE tenant = ?1 AND case_id = ?2 AND n = ?3")?
            .execute(params![tenant, case, n])?;
    }
    for timer in &turn.timers {
        // A timer that the same turn sets and removes was never set.
        if turn.timers_cancelled.contains(&timer.n) {
            continue;
        }
        conn.prepare_cached(SQL.insert(&TIMER))?.execute(params![
            tenant,
            case,
            timer.n,
            timer_number(timer.kind),
            timer.due
        ])?;
    }
    Ok(())
}
