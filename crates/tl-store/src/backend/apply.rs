//! Writes a unit that `check` has let pass.

use rusqlite::Connection;

use super::check::Seen;
use super::counters::Counters;
use super::gate::GateCache;
use super::{config, effects, journal, rows};

/// Writes everything the unit brings.
pub(super) fn apply(
    conn: &Connection,
    gate: &mut GateCache,
    counters: &mut Counters,
    seen: Seen<'_>,
) -> rusqlite::Result<()> {
    let unit = seen.unit;
    journal::apply(conn, counters, unit, seen.cases)?;
    effects::apply(conn, counters, unit, seen.effects)?;
    rows::take_slots(conn, unit)?;
    for row in &unit.rows {
        if !rows::apply(conn, counters, unit, row)? && config::apply(conn, unit.tenant, row)? {
            gate.raise(conn, unit.tenant)?;
        }
    }
    Ok(())
}
