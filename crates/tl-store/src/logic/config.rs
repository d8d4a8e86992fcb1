//! Rows that change what the gate reads: switches, flags, bundles, secrets, keys; and tenants.

use std::collections::btree_map::Keys;

use tl_kernel::id::TenantId;

use super::check::holds;
use super::view::{Numbered, View};
use super::{Out, Stop, fault};
use crate::contract::{Refused, Row};
use crate::value::vals;
use crate::writes::W;

/// What a row implies about what is there.
pub(super) fn check(view: &View<'_>, tenant: TenantId, row: &Row) -> Result<(), Stop> {
    match row {
        Row::Deploy { number, .. } => {
            let next = next(tenant, view.bundles.keys());
            holds(next == *number, Refused::NumberTaken { next })
        }
        Row::Rollback { workflow, number } => {
            let there = view.bundles.get(&(tenant, *number)) == Some(workflow);
            exists(there, "bundle")
        }
        Row::Tenant { name, .. } => {
            let next = view.tenants.keys().next_back().map_or(1, |t| t + 1);
            holds(next == tenant.0, Refused::NumberTaken { next })?;
            let taken = view.tenants.values().any(|n| n == name);
            holds(!taken, Refused::NameTaken)
        }
        Row::Secret { endpoint, kid, .. } => {
            let key = (tenant, endpoint.clone(), kid.clone());
            holds(!view.secrets.contains_key(&key), Refused::NameTaken)
        }
        Row::SecretEnds { endpoint, kid, .. } => {
            let key = (tenant, endpoint.clone(), kid.clone());
            exists(view.secrets.contains_key(&key), "secret")
        }
        Row::ApiKey { kid, .. } => {
            let key = (tenant, kid.clone());
            holds(!view.api_keys.contains_key(&key), Refused::NameTaken)
        }
        Row::ApiKeyEnds { kid, .. } => {
            let key = (tenant, kid.clone());
            exists(view.api_keys.contains_key(&key), "api key")
        }
        _ => Ok(()),
    }
}

/// The number after the tenant's last one.
fn next(tenant: TenantId, numbers: Keys<'_, (TenantId, u32), String>) -> u32 {
    let own = numbers.filter(|(t, _)| *t == tenant);
    own.map(|(_, n)| n + 1).max().unwrap_or(1)
}

fn exists(there: bool, what: &str) -> Result<(), Stop> {
    match there {
        true => Ok(()),
        false => Err(fault(format!("the {what} does not exist"))),
    }
}

impl<'a> Out<'_, 'a> {
    /// Applies a row that belongs to the set-up.
    pub(super) fn config(&mut self, tenant: TenantId, row: &'a Row) {
        let t = tenant.0;
        match row {
            Row::Tenant { name, at } => {
                self.changes.at(W::Tenant).push(vals![t, name, *at]);
                self.view.tenants.insert(t, name.clone());
                return;
            }
            Row::Switch {
                scope,
                mode,
                by,
                reason,
                at,
            } => {
                let key = vals![t, scope];
                match mode {
                    Some(mode) => {
                        let row = vals![t, scope, mode, by, reason.as_bytes(), *at];
                        self.changes.at(W::Switch).put(2, row);
                        self.changes.at(W::SwitchOff).drop(&key);
                    }
                    None => {
                        self.changes.at(W::Switch).drop(&key);
                        self.changes.at(W::SwitchOff).put(2, key);
                    }
                }
            }
            Row::Flag { name, value } => {
                let key = vals![t, name];
                match value {
                    Some(value) => {
                        self.changes.at(W::Flag).put(2, vals![t, name, *value]);
                        self.changes.at(W::FlagOff).drop(&key);
                    }
                    None => {
                        self.changes.at(W::Flag).drop(&key);
                        self.changes.at(W::FlagOff).put(2, key);
                    }
                }
            }
            Row::Suppressed(_) | Row::Unsuppressed { .. } => self.suppression(tenant, row),
            Row::EndpointDisabled { endpoint, disabled } => {
                let (on, off) = match disabled {
                    true => (W::Disabled, W::DisabledOff),
                    false => (W::DisabledOff, W::Disabled),
                };
                self.changes.at(on).put(2, vals![t, endpoint]);
                self.changes.at(off).drop(&vals![t, endpoint]);
            }
            Row::Deploy { .. } => self.deploy(tenant, row),
            Row::Rollback { workflow, number } => {
                let row = vals![t, workflow, *number];
                self.changes.at(W::Current).put(2, row);
            }
            keys => self.key_row(tenant, keys),
        }
        self.raise(tenant);
    }

    fn suppression(&mut self, tenant: TenantId, row: &'a Row) {
        let t = tenant.0;
        match row {
            Row::Suppressed(s) => {
                let address = s.address.as_bytes();
                let reason = s.reason.as_bytes();
                let row = vals![
                    t, &s.subject, s.by_owner, &s.channel, address, &s.by, reason, s.at
                ];
                self.changes.at(W::Suppression).put(3, row);
                let key = vals![t, &s.subject, s.by_owner];
                self.changes.at(W::SuppressionOff).drop(&key);
            }
            Row::Unsuppressed { subject, by_owner } => {
                let key = vals![t, subject, *by_owner];
                self.changes.at(W::Suppression).drop(&key);
                self.changes.at(W::SuppressionOff).put(3, key);
            }
            _ => {}
        }
    }

    /// Raises the epoch of a tenant's gate row.
    fn raise(&mut self, tenant: TenantId) {
        let epoch = self.view.gate(tenant) + 1;
        self.view.gates.insert(tenant, epoch);
        let row = vals![tenant.0, epoch.cast_signed()];
        self.changes.at(W::Gate).put(1, row);
    }

    /// A bundle with its files, current from now on.
    fn deploy(&mut self, tenant: TenantId, row: &'a Row) {
        let Row::Deploy {
            number,
            workflow,
            version,
            digest,
            files,
            at,
        } = row
        else {
            return;
        };
        let t = tenant.0;
        let ord = self.view.next.take(Numbered::Bundle);
        let bundle = vals![ord, t, *number, workflow, version.as_bytes(), digest, *at];
        self.changes.at(W::Bundle).push(bundle);
        self.changes.at(W::BundleFiles).push(vals![ord, t, files]);
        let current = vals![t, workflow, *number];
        self.changes.at(W::Current).put(2, current);
        self.view
            .bundles
            .insert((tenant, *number), workflow.clone());
    }

    fn key_row(&mut self, tenant: TenantId, row: &'a Row) {
        let t = tenant.0;
        match row {
            Row::Secret {
                endpoint,
                kid,
                sealed,
                not_before,
                not_after,
                by,
            } => {
                let row = vals![t, endpoint, kid, sealed, *not_before, *not_after, by];
                self.changes.at(W::Secret).push(row);
                let key = (tenant, endpoint.clone(), kid.clone());
                self.view.secrets.insert(key, *not_after);
            }
            Row::SecretEnds {
                endpoint,
                kid,
                not_after,
            } => {
                let key = (tenant, endpoint.clone(), kid.clone());
                let now = self.view.secrets.entry(key).or_insert(None);
                if sooner(*not_after, now) {
                    let row = vals![t, endpoint, kid, *not_after];
                    self.changes.at(W::SecretSet).put(3, row);
                }
            }
            Row::ApiKey {
                kid,
                hash,
                scopes,
                expires,
                by,
                at,
            } => {
                let row = vals![t, kid, hash, scopes, *expires, by, *at];
                self.changes.at(W::ApiKey).push(row);
                self.view.api_keys.insert((tenant, kid.clone()), *expires);
            }
            Row::ApiKeyEnds { kid, at } => {
                let now = self
                    .view
                    .api_keys
                    .entry((tenant, kid.clone()))
                    .or_insert(None);
                if sooner(*at, now) {
                    self.changes.at(W::ApiKeySet).put(2, vals![t, kid, *at]);
                }
            }
            _ => {}
        }
    }
}

/// Brings an end forward; false when it is not later than that already.
fn sooner(end: i64, now: &mut Option<i64>) -> bool {
    if now.is_some_and(|now| now <= end) {
        return false;
    }
    *now = Some(end);
    true
}
