//! Questions about people: accounts and sessions; and what has waited longest for them.

use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;

use super::{Answer, Reader, outside};
use crate::contract::{AccountRow, SessionRow};
use crate::value::{Fields, vals};

const ACCOUNT: &str = "SELECT name, shown, role, password, by_whom, at FROM account";

impl Reader {
    /// Accounts of a tenant: the one of a name, or all of them by name.
    pub fn accounts(&self, tenant: TenantId, name: Option<&str>) -> Answer<Vec<AccountRow>> {
        match name {
            Some(name) => {
                let sql = format!("{ACCOUNT} WHERE tenant = ?1 AND name = ?2");
                self.rows_of(tenant, (&sql, &vals![tenant.0, name]), account)
            }
            None => {
                let sql = format!("{ACCOUNT} WHERE tenant = ?1 ORDER BY name");
                self.rows_of(tenant, (&sql, &vals![tenant.0]), account)
            }
        }
    }

    /// The session of a token's digest, ended or not.
    pub fn session(&self, tenant: TenantId, token: &Digest) -> Answer<Option<SessionRow>> {
        let sql = "SELECT token, account, begun, seen, ends FROM session WHERE tenant = ?1 AND token = ?2";
        let found = self.rows_of(tenant, (sql, &vals![tenant.0, token]), |r| {
            Ok(SessionRow {
                token: r.get(0)?,
                account: r.get(1)?,
                begun: r.get(2)?,
                seen: r.get(3)?,
                ends: r.get(4)?,
            })
        })?;
        Ok(found.into_iter().next())
    }

    /// State and instant (µs) at which the oldest open case of a workflow was opened, for each state with one. Ids of
    /// cases sort by time, so each costs one step into the index over open cases where a tenant has one workflow.
    pub fn oldest_open(&self, tenant: TenantId, workflow: &str) -> Answer<Vec<(u16, i64)>> {
        let sql = "SELECT state FROM counter WHERE tenant = ?1 AND what = 1 AND name = ?2 \
                   GROUP BY state HAVING SUM(n) > 0 ORDER BY state";
        let states: Vec<u16> = self.rows(sql, &vals![tenant.0, workflow], |r| r.get(0))?;
        let mut out = Vec::new();
        for state in states {
            let sql = "SELECT opened_at FROM case_head WHERE tenant = ?1 AND state = ?2 AND workflow = ?3 \
                       AND closed = 0 ORDER BY case_id LIMIT 1";
            let key = vals![tenant.0, state, workflow];
            out.extend(self.row(sql, &key, |r| r.get(0))?.map(|at| (state, at)));
        }
        Ok(out)
    }
}

fn account(r: &Fields<'_>) -> Answer<AccountRow> {
    Ok(AccountRow {
        name: r.get(0)?,
        shown: outside(r, 1)?,
        role: r.get(2)?,
        password: outside(r, 3)?,
        by: r.get(4)?,
        at: r.get(5)?,
    })
}
