//! One case explained: everything that is known about it, read together.

use std::collections::{BTreeMap, BTreeSet};

use tl_engine::outward::Connections;
use tl_engine::tenant::Tenant;
use tl_kernel::case::fold;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Body, Entry, Head, open};
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectFilter, EffectRow, TaskFilter};

use super::Ctx;
use super::views::Reply;
use crate::explain::{Material, SwitchChange, build, stopped_by};
use crate::failure::Failure;

/// Rows that are looked through at most.
const MANY: u32 = 10_000;

impl Ctx<'_> {
    /// Everything that is known about a case.
    pub(super) async fn material(&self, id: CaseId) -> Result<Material, Failure> {
        let view = self.view().await?;
        let store = self.app.desk.store();
        let journal = store.journal(view.id, id).await?;
        if journal.is_empty() {
            return Err(Failure::not_found(format!(
                "TL0703 there is no {id} in tenant `{}`. `throughline case list` shows cases",
                view.name
            )));
        }
        let mut case = fold(view.id, id, &journal).map_err(|e| Failure::refused(e.to_string()))?;
        let filter = TaskFilter {
            tenant: Some(view.id),
            case: Some(id),
            closed: true,
            limit: MANY,
            ..TaskFilter::default()
        };
        // A task that was handed on has its owner in the ledger alone.
        for row in store.tasks(filter).await? {
            if let Some(task) = case.tasks.get_mut(&row.task.n) {
                task.owner = row.owner;
            }
        }
        let turns = journal.iter().map(open).collect::<Result<Vec<_>, _>>();
        let turns = turns.map_err(|e| Failure::refused(e.to_string()))?;
        let filter = EffectFilter {
            tenant: Some(view.id),
            case: Some(id),
            limit: MANY,
            ..EffectFilter::default()
        };
        let mut effects = store.effects(filter).await?;
        effects.sort_by_key(|r| r.effect);
        let mut attempts = BTreeMap::new();
        for row in &effects {
            attempts.insert(row.effect.n, store.attempts(view.id, row.effect).await?);
        }
        let mut duplicates = BTreeMap::new();
        for event in &case.events {
            duplicates.insert(event.id, store.duplicates(view.id, event.id).await?);
        }
        let switches = store.gate(view.id).await?.switches;
        Ok(Material {
            tenant: view.name.clone(),
            bundle: self.app.desk.bundle(view.id, case.definition).await?,
            connections: self.unusable(&view, &effects),
            history: self.switch_history(&view, &turns, &effects).await?,
            also_held: self.also_held(&view, &effects).await?,
            switches,
            case,
            turns,
            effects,
            attempts,
            duplicates,
            now: self.now(),
        })
    }

    /// What was done with the switches that stopped something of a case; nothing is read where none did.
    async fn switch_history(
        &self,
        view: &Tenant,
        turns: &[(Head, Option<Body>)],
        effects: &[EffectRow],
    ) -> Result<Vec<SwitchChange>, Failure> {
        let asks = turns.iter().flat_map(|(h, _)| &h.entries);
        let asks = asks.filter_map(|e| match e {
            Entry::AskFailed { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        let held = effects.iter().flat_map(|e| [e.hold.as_str(), &e.code]);
        let scopes: BTreeSet<&str> = asks.chain(held).filter_map(stopped_by).collect();
        if scopes.is_empty() {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        for tenant in [TenantId::SYSTEM, view.id] {
            let stream = self
                .app
                .desk
                .store()
                .journal(tenant, CaseId::CONTROL)
                .await?;
            for sealed in &stream {
                let (head, _) = open(sealed).map_err(|e| Failure::refused(e.to_string()))?;
                for entry in &head.entries {
                    let Entry::Control {
                        action,
                        object,
                        detail,
                    } = entry
                    else {
                        continue;
                    };
                    if scopes.contains(object.as_str()) && action.starts_with("kill.") {
                        let set = action == "kill.set";
                        // What was set says its mode first.
                        let why = detail.split_once(": ").filter(|_| set);
                        out.push(SwitchChange {
                            scope: object.clone(),
                            set,
                            by: head.actor.text(),
                            at: head.at,
                            why: why.map_or(detail.as_str(), |(_, why)| why).to_owned(),
                        });
                    }
                }
            }
        }
        Ok(out)
    }

    /// How many effects of other cases wait for the switch that this one waits for.
    async fn also_held(&self, view: &Tenant, effects: &[EffectRow]) -> Result<u32, Failure> {
        let held = effects
            .iter()
            .find(|e| e.state == EffectState::Ready && e.hold.starts_with("kill:"));
        let Some(held) = held else {
            return Ok(0);
        };
        let filter = EffectFilter {
            tenant: Some(view.id),
            states: vec![EffectState::Ready],
            limit: MANY,
            ..EffectFilter::default()
        };
        let rows = self.app.desk.store().effects(filter).await?;
        let other = rows
            .iter()
            .filter(|r| r.hold == held.hold && r.effect.case != held.effect.case);
        Ok(other.count() as u32)
    }

    /// Connections of effects that cannot be used, with what is missing.
    pub(super) fn unusable(
        &self,
        view: &Tenant,
        effects: &[EffectRow],
    ) -> BTreeMap<String, String> {
        let named = effects
            .iter()
            .filter(|e| !e.state.is_settled() && !e.connection.is_empty());
        let declared = |e: &&EffectRow| e.kind == EffectKind::Effect && e.class != Class::E0;
        named
            .filter(declared)
            .filter_map(|e| {
                let why = self
                    .app
                    .connections
                    .find(view, &e.workflow, &e.connection)
                    .err()?;
                Some((e.connection.clone(), why))
            })
            .collect()
    }

    pub(super) async fn explain(&self, id: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id = self.case_id(&view, id).await?;
        let material = self.material(id).await?;
        Ok(Reply::Explanation(Box::new(build(&material))))
    }
}
