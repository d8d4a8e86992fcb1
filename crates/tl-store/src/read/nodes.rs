//! Questions about several nodes: who there is, and whose gate has moved.

use std::collections::BTreeMap;

use tl_kernel::id::TenantId;

use super::{Answer, Reader};
use crate::contract::NodeRow;

/// The epochs of all gates.
pub(super) const GATES: &str = "SELECT tenant, epoch FROM gate";

impl Reader {
    /// The epoch of every gate that ever moved, by tenant; the installation's stands under the reserved tenant.
    pub fn gates(&self) -> Answer<BTreeMap<TenantId, u64>> {
        let rows = self.rows(GATES, &[], |r| Ok((TenantId(r.get(0)?), r.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Every node that was ever registered, by number.
    pub fn nodes(&self) -> Answer<Vec<NodeRow>> {
        self.rows(
            "SELECT id, epoch, lease_until FROM node ORDER BY id",
            &[],
            |r| {
                Ok(NodeRow {
                    id: r.get(0)?,
                    epoch: r.get(1)?,
                    lease_until: r.get(2)?,
                })
            },
        )
    }
}
