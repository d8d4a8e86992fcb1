//! Writes the rows that carry data: events, evidence, messages, records, saved answers, leaves.

use rusqlite::{Connection, params};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::turn::StoredEvent;

use super::check::received;
use super::counters::{Counters, What};
use super::keys::{Joined, short_key};
use crate::contract::{Attempt, Guard, OutboxMessage, RecordWrite, Row, Unit};
use crate::schema::{
    ATTEMPT, CHECKPOINT, DEDUPE, EVENT, EVENT_BODY, IDEMPOTENT, OUTBOX, OUTBOX_BODY, PLACED,
    RECORD, RECORD_BODY, SLOT, TREE, VARIANT,
};
use crate::statements::SQL;

/// Writes a row; false when it is none of these.
pub(super) fn apply(
    conn: &Connection,
    counters: &mut Counters,
    unit: &Unit,
    row: &Row,
) -> rusqlite::Result<bool> {
    let tenant = unit.tenant;
    match row {
        Row::Event {
            event,
            keys,
            expires,
        } => {
            counters.seen(tenant, What::Event);
            let ord = insert_event(conn, tenant, event)?;
            let scope = event.endpoint.as_str();
            let keys: Vec<_> = keys.iter().map(|k| short_key(scope, k)).collect();
            take_keys(conn, (tenant, event.received_at), &keys, (ord, *expires))?;
        }
        Row::Variant { event, body, at } => {
            counters.seen(tenant, What::Duplicate);
            variant(conn, tenant, (*event, *at), body.as_ref())?;
        }
        // Written with the turns, in the order that `check` walked.
        Row::Effect(_) => {}
        Row::Attempt(done) => attempt(conn, tenant, done)?,
        Row::Outbox(message) => outbox(conn, tenant, message)?,
        Row::Record(write) => record(conn, tenant, write)?,
        Row::Idempotent {
            principal,
            key,
            fingerprint,
            status,
            body,
            expires,
        } => {
            conn.prepare_cached(SQL.insert(&IDEMPOTENT))?
                .execute(params![
                    tenant.0,
                    principal,
                    key.as_bytes(),
                    fingerprint,
                    status,
                    expires,
                    body
                ])?;
        }
        Row::EventJoined { event, case } => joined(conn, tenant, (*event, *case))?,
        Row::Placed { .. } | Row::Checkpoint(_) | Row::Cursor { .. } => audit(conn, tenant, row)?,
        Row::Sweep {
            part,
            now,
            slots_before,
        } => {
            sweep(conn, tenant, (*part, *now))?;
            conn.prepare_cached("DELETE FROM slot WHERE tenant = ?1 AND begins < ?2")?
                .execute(params![tenant.0, slots_before])?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn insert_event(conn: &Connection, tenant: TenantId, event: &StoredEvent) -> rusqlite::Result<i64> {
    let joined = match event.case {
        None => Joined::Pending,
        Some(case) if case.0 == event.id.0 => Joined::Opened,
        Some(_) => Joined::Attached,
    };
    conn.prepare_cached(SQL.insert(&EVENT))?.execute(params![
        tenant.0,
        event.id.0,
        event.endpoint,
        event.received_at,
        event.kid,
        event.key_source,
        joined as i64,
        event
            .case
            .filter(|_| joined == Joined::Attached)
            .map(|c| c.0),
        0,
    ])?;
    let ord = conn.last_insert_rowid();
    conn.prepare_cached(SQL.insert(&EVENT_BODY))?
        .execute(params![
            ord,
            tenant.0,
            event.content_type.as_bytes(),
            event.payload
        ])?;
    Ok(ord)
}

/// Takes keys that are free or whose life has ended.
fn take_keys(
    conn: &Connection,
    at: (TenantId, i64),
    keys: &[[u8; 16]],
    holder: (i64, i64),
) -> rusqlite::Result<()> {
    let mut take = conn.prepare_cached(&SQL.take_key)?;
    for key in keys {
        take.execute(params![at.0.0, key, holder.0, holder.1, at.1])?;
    }
    Ok(())
}

/// The text that takes a dedupe key.
pub(crate) fn take_key_sql() -> String {
    format!(
        "{} ON CONFLICT (tenant, key) DO UPDATE SET event = excluded.event, expires = excluded.expires \
         WHERE dedupe.expires <= ?5",
        DEDUPE.insert()
    )
}

/// After a duplicate: the keys of the unit that are still free lead to the event that was found.
pub(super) fn alias_free_keys(
    conn: &Connection,
    unit: &Unit,
    event: EventId,
) -> rusqlite::Result<()> {
    let life = unit.rows.iter().find_map(|row| match row {
        Row::Event { expires, .. } => Some(*expires),
        _ => None,
    });
    // Without an event of its own the unit brings no life time for a key.
    let Some(expires) = life else { return Ok(()) };
    let ord = event_ord(conn, unit.tenant, event)?;
    for guard in &unit.guards {
        if let Guard::KeysFree { endpoint, keys } = guard {
            let keys: Vec<_> = keys.iter().map(|k| short_key(endpoint, k)).collect();
            take_keys(conn, (unit.tenant, received(unit)), &keys, (ord, expires))?;
        }
    }
    Ok(())
}

fn event_ord(conn: &Connection, tenant: TenantId, event: EventId) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT ord FROM event WHERE tenant = ?1 AND id = ?2")?
        .query_row(params![tenant.0, event.0], |r| r.get(0))
}

fn variant(
    conn: &Connection,
    tenant: TenantId,
    seen: (EventId, i64),
    body: Option<&[u8; 32]>,
) -> rusqlite::Result<()> {
    let ord = event_ord(conn, tenant, seen.0)?;
    conn.prepare_cached("UPDATE event SET duplicates = duplicates + 1 WHERE ord = ?1")?
        .execute([ord])?;
    if let Some(body) = body {
        conn.prepare_cached(SQL.insert_new(&VARIANT))?
            .execute(params![tenant.0, ord, body, seen.1])?;
    }
    Ok(())
}

fn joined(conn: &Connection, tenant: TenantId, pair: (EventId, CaseId)) -> rusqlite::Result<()> {
    let (event, case) = pair;
    let opened = event.0 == case.0;
    let how = if opened {
        Joined::Opened
    } else {
        Joined::Attached
    };
    conn.prepare_cached("UPDATE event SET joined = ?2, case_id = ?3 WHERE ord = ?1")?
        .execute(params![
            event_ord(conn, tenant, event)?,
            how as i64,
            (!opened).then_some(case.0)
        ])?;
    Ok(())
}

fn attempt(conn: &Connection, tenant: TenantId, done: &Attempt) -> rusqlite::Result<()> {
    // Evidence that is reported twice is kept once.
    conn.prepare_cached(SQL.insert_new(&ATTEMPT))?
        .execute(params![
            tenant.0,
            done.effect.case.0,
            done.effect.n,
            done.n,
            done.at,
            done.took,
            done.knowledge,
            done.status,
            done.code,
            done.detail.as_bytes()
        ])?;
    Ok(())
}

fn outbox(conn: &Connection, tenant: TenantId, message: &OutboxMessage) -> rusqlite::Result<()> {
    conn.prepare_cached(SQL.insert(&OUTBOX))?.execute(params![
        tenant.0,
        message.effect.case.0,
        message.effect.n,
        message.at,
        message.channel
    ])?;
    let ord = conn.last_insert_rowid();
    conn.prepare_cached(SQL.insert(&OUTBOX_BODY))?
        .execute(params![
            ord,
            tenant.0,
            message.to.as_bytes(),
            message.subject.as_bytes(),
            message.text.as_bytes()
        ])?;
    Ok(())
}

fn record(conn: &Connection, tenant: TenantId, write: &RecordWrite) -> rusqlite::Result<()> {
    conn.prepare_cached(SQL.insert(&RECORD))?.execute(params![
        tenant.0,
        write.kind,
        write.id.as_bytes(),
        write.version.cast_signed(),
        write.by,
        write.at,
        write.key
    ])?;
    let ord = conn.last_insert_rowid();
    conn.prepare_cached(SQL.insert(&RECORD_BODY))?
        .execute(params![ord, tenant.0, write.body, write.provenance])?;
    Ok(())
}

fn audit(conn: &Connection, tenant: TenantId, row: &Row) -> rusqlite::Result<()> {
    match row {
        Row::Placed {
            pos,
            leaves,
            after,
            frontier,
        } => {
            let size = (pos + leaves.len() as u64).cast_signed();
            conn.prepare_cached(SQL.insert(&PLACED))?.execute(params![
                tenant.0,
                pos.cast_signed(),
                leaves.concat()
            ])?;
            conn.prepare_cached(SQL.upsert(&TREE))?.execute(params![
                tenant.0,
                size,
                after.cast_signed(),
                frontier
            ])?;
        }
        Row::Checkpoint(c) => {
            // The same size is signed twice when the follower starts again; the first signature stands.
            conn.prepare_cached(SQL.insert_new(&CHECKPOINT))?
                .execute(params![tenant.0, c.size.cast_signed(), c.root, c.sig, c.at])?;
        }
        Row::Cursor { name, value } => {
            conn.prepare_cached(
                "INSERT INTO cursor (tenant, name, value) VALUES (?1, ?2, ?3) ON CONFLICT (tenant, name) \
                 DO UPDATE SET value = excluded.value WHERE cursor.value < excluded.value",
            )?
            .execute(params![tenant.0, name, value])?;
        }
        _ => {}
    }
    Ok(())
}

fn sweep(conn: &Connection, tenant: TenantId, pass: (u8, i64)) -> rusqlite::Result<()> {
    let (part, now) = pass;
    let from = [part];
    // The last part has no upper end among one-byte keys: 17 bytes are longer than any key.
    let to: Vec<u8> = part.checked_add(1).map_or(vec![0xff; 17], |p| vec![p]);
    conn.prepare_cached(
        "DELETE FROM dedupe WHERE tenant = ?1 AND key >= ?2 AND key < ?3 AND expires <= ?4",
    )?
    .execute(params![tenant.0, from, to, now])?;
    conn.prepare_cached("DELETE FROM idempotent WHERE tenant = ?1 AND expires <= ?2")?
        .execute(params![tenant.0, now])?;
    Ok(())
}

/// Takes the uses of limits that the unit's guards name.
pub(super) fn take_slots(conn: &Connection, unit: &Unit) -> rusqlite::Result<()> {
    for guard in &unit.guards {
        if let Guard::Slot {
            action,
            subject,
            window,
            n,
        } = guard
        {
            conn.prepare_cached(SQL.insert(&SLOT))?.execute(params![
                unit.tenant.0,
                window,
                action,
                subject,
                n
            ])?;
        }
    }
    Ok(())
}
