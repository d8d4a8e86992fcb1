//! Questions about what was set up: tenants, the gate's view, bundles.

use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;

use super::{Answer, Reader, outside};
use crate::contract::{ApiKeyRow, BundleRow, GateRows, SecretRow, Suppression, SwitchRow};
use crate::value::{Fields, vals};

/// Names of tenants.
pub(super) const TENANTS: &str = "SELECT tenant, name FROM tenant WHERE tenant > 0 ORDER BY tenant";

impl Reader {
    /// All tenants but the reserved one, by number.
    pub fn tenants(&self) -> Answer<Vec<(TenantId, String)>> {
        self.rows(TENANTS, &[], |r| Ok((TenantId(r.get(0)?), r.get(1)?)))
    }

    /// What the gate of a tenant consists of, the installation's switches and flags first. One consistent view.
    pub fn gate(&self, tenant: TenantId) -> Answer<GateRows> {
        self.at_once(tenant, || self.gate_rows(tenant))
    }

    fn gate_rows(&self, tenant: TenantId) -> Answer<GateRows> {
        let system = TenantId::SYSTEM;
        let mut rows = GateRows {
            tenant_epoch: self.epoch_of(tenant)?,
            installation_epoch: self.epoch_of(system)?,
            switches: self.switches(system)?,
            flags: self.flags(system)?,
            ..GateRows::default()
        };
        if tenant != system {
            rows.switches.extend(self.switches(tenant)?);
            rows.flags.extend(self.flags(tenant)?);
        }
        rows.secrets = self.secrets(tenant)?;
        let sql = "SELECT endpoint FROM endpoint_disabled WHERE tenant = ?1 ORDER BY endpoint";
        rows.disabled = self.rows(sql, &vals![tenant.0], |r| r.get(0))?;
        rows.api_keys = self.api_keys(tenant)?;
        let sql = "SELECT 1 FROM suppression WHERE tenant = ?1 LIMIT 1";
        let one = self.row(sql, &vals![tenant.0], |r| r.get::<i64>(0))?;
        rows.suppresses = one.is_some();
        let sql = "SELECT workflow, number FROM current_bundle WHERE tenant = ?1 ORDER BY workflow";
        rows.current = self.rows(sql, &vals![tenant.0], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows)
    }

    fn epoch_of(&self, tenant: TenantId) -> Answer<u64> {
        let sql = "SELECT epoch FROM gate WHERE tenant = ?1";
        Ok(self.row(sql, &vals![tenant.0], |r| r.get(0))?.unwrap_or(0))
    }

    fn switches(&self, tenant: TenantId) -> Answer<Vec<SwitchRow>> {
        let sql =
            "SELECT scope, mode, by_whom, reason, at FROM switch WHERE tenant = ?1 ORDER BY scope";
        self.rows(sql, &vals![tenant.0], |r| {
            Ok(SwitchRow {
                tenant,
                scope: r.get(0)?,
                mode: r.get(1)?,
                by: r.get(2)?,
                reason: outside(r, 3)?,
                at: r.get(4)?,
            })
        })
    }

    /// The suppressions of an address, by its keyed digest.
    pub fn suppressed(&self, tenant: TenantId, subject: &Digest) -> Answer<Vec<Suppression>> {
        let sql = format!("{SUPPRESSION} WHERE tenant = ?1 AND subject = ?2");
        self.rows_of(tenant, (&sql, &vals![tenant.0, subject]), suppression)
    }

    /// Suppressions, newest first.
    pub fn suppressions(&self, tenant: TenantId, limit: u32) -> Answer<Vec<Suppression>> {
        let sql =
            format!("{SUPPRESSION} WHERE tenant = ?1 ORDER BY at DESC, subject, by_owner LIMIT ?2");
        self.rows_of(tenant, (&sql, &vals![tenant.0, limit]), suppression)
    }

    fn flags(&self, tenant: TenantId) -> Answer<Vec<(String, bool, bool)>> {
        let installation = tenant == TenantId::SYSTEM;
        let sql = "SELECT name, value FROM flag WHERE tenant = ?1 ORDER BY name";
        self.rows(sql, &vals![tenant.0], |r| {
            Ok((r.get(0)?, r.get(1)?, installation))
        })
    }

    fn secrets(&self, tenant: TenantId) -> Answer<Vec<SecretRow>> {
        let sql = "SELECT endpoint, kid, sealed, not_before, not_after FROM secret WHERE tenant = ?1 \
                   ORDER BY endpoint, kid";
        self.rows(sql, &vals![tenant.0], |r| {
            Ok(SecretRow {
                endpoint: r.get(0)?,
                kid: r.get(1)?,
                sealed: r.get(2)?,
                not_before: r.get(3)?,
                not_after: r.get(4)?,
            })
        })
    }

    fn api_keys(&self, tenant: TenantId) -> Answer<Vec<ApiKeyRow>> {
        let sql = "SELECT kid, hash, scopes, expires FROM api_key WHERE tenant = ?1 ORDER BY kid";
        self.rows(sql, &vals![tenant.0], |r| {
            Ok(ApiKeyRow {
                kid: r.get(0)?,
                hash: r.get(1)?,
                scopes: r.get(2)?,
                expires: r.get(3)?,
            })
        })
    }

    /// A deployed bundle with its files.
    pub fn bundle(&self, tenant: TenantId, number: u32) -> Answer<Option<BundleRow>> {
        let sql = format!(
            "SELECT {BUNDLE}, f.files FROM bundle b {IS_CURRENT} JOIN bundle_files f ON f.ord = b.ord AND f.tenant = b.tenant \
             WHERE b.tenant = ?1 AND b.number = ?2"
        );
        let mut found = self.rows_of(tenant, (&sql, &vals![tenant.0, number]), |r| {
            Ok(BundleRow {
                files: r.get(6)?,
                ..bundle_row(r)?
            })
        })?;
        Ok(found.pop())
    }

    /// All bundles of a tenant, newest first, without files.
    pub fn bundles(&self, tenant: TenantId) -> Answer<Vec<BundleRow>> {
        let sql = format!(
            "SELECT {BUNDLE} FROM bundle b {IS_CURRENT} WHERE b.tenant = ?1 ORDER BY b.number DESC"
        );
        self.rows(&sql, &vals![tenant.0], bundle_row)
    }
}

const SUPPRESSION: &str =
    "SELECT subject, by_owner, channel, address, by_whom, reason, at FROM suppression";

fn suppression(r: &Fields<'_>) -> Answer<Suppression> {
    Ok(Suppression {
        subject: r.get(0)?,
        by_owner: r.get(1)?,
        channel: r.get(2)?,
        address: outside(r, 3)?,
        by: r.get(4)?,
        reason: outside(r, 5)?,
        at: r.get(6)?,
    })
}

const BUNDLE: &str =
    "b.number, b.workflow, b.version, b.digest, b.at, CASE WHEN c.number IS NULL THEN 0 ELSE 1 END";
const IS_CURRENT: &str = "LEFT JOIN current_bundle c ON c.tenant = b.tenant AND c.workflow = b.workflow AND c.number = b.number";

fn bundle_row(r: &Fields<'_>) -> Answer<BundleRow> {
    Ok(BundleRow {
        number: r.get(0)?,
        workflow: r.get(1)?,
        version: outside(r, 2)?,
        digest: r.get(3)?,
        files: Vec::new(),
        at: r.get(4)?,
        current: r.get(5)?,
    })
}
