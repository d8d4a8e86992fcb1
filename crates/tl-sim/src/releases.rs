//! Who brings out new versions of workflows while cases are under way, and goes back to earlier ones.

use std::sync::Arc;

use tl_engine::tenant::pack;
use tl_kernel::id::TenantId;
use tl_kernel::time::SECOND;
use tl_lang::bundle_digest;
use tl_store::contract::{BundleRow, Row, Unit};

use crate::control::control_turn;
use crate::dice::Dice;
use crate::exec::WORLD;
use crate::workload::{Flow, compiled, flows_of};
use crate::world::{Live, Shared};

/// Most changes in a run: each new version is compiled once more by every node.
const MOST: u32 = 6;

/// What is to become of a workflow.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// A new version of it.
    Deploy(Flow),
    /// An earlier version, by its number.
    Rollback(&'static str, u32),
}

/// Whoever deploys.
#[derive(Debug)]
pub struct Releases {
    /// What all share.
    pub shared: Arc<Shared>,
    /// The workflows of the run.
    pub flows: Vec<Flow>,
    /// The run's seed.
    pub seed: u64,
}

impl Releases {
    /// Begins their day.
    pub fn begin(self) {
        let exec = self.shared.exec.clone();
        exec.spawn(WORLD, self.work());
    }

    async fn work(self) {
        let mut dice = Dice::new(self.seed, "releases");
        for _ in 0..MOST {
            let Some((tenant, change)) = self.next(&mut dice).await else {
                return;
            };
            self.shared
                .note("release", format_args!("{} {change:?}", tenant.0));
            // They say it again until a node has done it.
            loop {
                if let Some(live) = self.shared.live(dice.bits())
                    && self.make(&live, tenant, change).await
                {
                    break;
                }
                self.shared.exec.sleep(SECOND).await;
            }
        }
    }

    /// The next change, once somebody wants one; `None` when the busy time is over.
    async fn next(&self, dice: &mut Dice) -> Option<(TenantId, Change)> {
        let faults = &self.shared.faults;
        loop {
            let pause = dice.between(SECOND, 8 * SECOND);
            self.shared.exec.sleep(pause).await;
            if !faults.are_on() {
                return None;
            }
            let tenant = TenantId(1 + u32::from(dice.chance(200)));
            let flow = *dice.pick(flows_of(tenant, &self.flows));
            if faults.fires("version_deployed") {
                return Some((tenant, Change::Deploy(flow)));
            }
            let Some(live) = self.shared.live(dice.bits()) else {
                continue;
            };
            let versions = self.versions(&live, tenant).await;
            let earlier = versions.iter().filter(|b| !b.current);
            let id_of =
                |b: &BundleRow| self.flows.iter().find(|f| f.id == b.workflow).map(|f| f.id);
            let earlier: Vec<_> = earlier
                .filter_map(|b| Some((id_of(b)?, b.number)))
                .collect();
            if !earlier.is_empty() && faults.fires("version_rolled_back") {
                let (id, number) = *dice.pick(&earlier);
                return Some((tenant, Change::Rollback(id, number)));
            }
        }
    }

    async fn versions(&self, live: &Live, tenant: TenantId) -> Vec<BundleRow> {
        let desk = live.desk.clone();
        let read = async move { desk.store().bundles(tenant).await.unwrap_or_default() };
        self.shared.call(live, read).await.unwrap_or_default()
    }

    async fn make(&self, live: &Live, tenant: TenantId, change: Change) -> bool {
        let at = self.shared.exec.now();
        let unit = match change {
            Change::Deploy(flow) => {
                let versions = self.versions(live, tenant).await;
                let Some(last) = versions.first().map(|b| b.number) else {
                    return false;
                };
                let Ok(unit) = deployment(tenant, flow, (last + 1, at)) else {
                    return false;
                };
                unit
            }
            Change::Rollback(id, number) => rollback(tenant, id, (number, at)),
        };
        let desk = live.desk.clone();
        let work = async move {
            let done = matches!(desk.commit(unit).await, Ok(Ok(_)));
            desk.forget_views();
            done
        };
        self.shared.call(live, work).await == Some(true)
    }
}

/// A version becomes the current one; its number is also what its author calls it.
pub fn deployment(tenant: TenantId, flow: Flow, (number, at): (u32, i64)) -> anyhow::Result<Unit> {
    let project = flow.project(number);
    compiled(&project, flow.id)?;
    let version = number.to_string();
    let mut unit = Unit::new(tenant);
    unit.control
        .push(control_turn(tenant, at, ("deploy", flow.id, &version)));
    unit.rows.push(Row::Deploy {
        number,
        workflow: flow.id.into(),
        version,
        digest: bundle_digest(&project, flow.id),
        files: pack(&project),
        at,
    });
    Ok(unit)
}

/// An earlier version becomes the current one again.
fn rollback(tenant: TenantId, workflow: &str, (number, at): (u32, i64)) -> Unit {
    let detail = number.to_string();
    let mut unit = Unit::new(tenant);
    unit.control
        .push(control_turn(tenant, at, ("rollback", workflow, &detail)));
    unit.rows.push(Row::Rollback {
        workflow: workflow.into(),
        number,
    });
    unit
}
