//! The numbers that dispatching units are checked against, held in memory by the one writer.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use tl_kernel::id::TenantId;

use crate::dialect;

/// Gate epochs of tenants and epochs of nodes. Read again when another connection has committed.
#[derive(Debug, Default)]
pub(super) struct GateCache {
    version: Option<i64>,
    gates: BTreeMap<TenantId, u64>,
    nodes: BTreeMap<u32, u64>,
}

impl GateCache {
    /// Brings the numbers up to date. Call it inside the transaction, where nobody else can commit.
    pub(super) fn refresh(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let version = dialect::data_version(conn)?;
        if self.version == Some(version) {
            return Ok(());
        }
        self.gates = conn
            .prepare_cached("SELECT tenant, epoch FROM gate")?
            .query_map([], |r| {
                Ok((TenantId(r.get(0)?), r.get::<_, i64>(1)?.unsigned_abs()))
            })?
            .collect::<rusqlite::Result<_>>()?;
        self.nodes = conn
            .prepare_cached("SELECT id, epoch FROM node")?
            .query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?.unsigned_abs())))?
            .collect::<rusqlite::Result<_>>()?;
        self.version = Some(version);
        Ok(())
    }

    /// What is held may not be what is committed.
    pub(super) fn forget(&mut self) {
        self.version = None;
    }

    /// Epoch of a gate row; 0 when it was never raised.
    pub(super) fn gate(&self, tenant: TenantId) -> u64 {
        self.gates.get(&tenant).copied().unwrap_or(0)
    }

    /// Epoch of a node; `None` when it never started.
    pub(super) fn node(&self, node: u32) -> Option<u64> {
        self.nodes.get(&node).copied()
    }

    /// Raises the epoch of a tenant's gate row.
    pub(super) fn raise(&mut self, conn: &Connection, tenant: TenantId) -> rusqlite::Result<()> {
        let epoch = self.gate(tenant) + 1;
        conn.prepare_cached(
            "INSERT INTO gate (tenant, epoch) VALUES (?1, ?2) ON CONFLICT (tenant) DO UPDATE SET epoch = \
             excluded.epoch",
        )?
        .execute(params![tenant.0, epoch.cast_signed()])?;
        self.gates.insert(tenant, epoch);
        Ok(())
    }
}
