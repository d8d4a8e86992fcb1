//! Lists for people: cases, effects, tasks. Each page costs its own length, whatever the size of the tables: lists
//! over several tenants or states are merged from the first rows of each.

use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, TaskId, TenantId};

use super::ledger::{EFFECT, Found};
use super::{Answer, CASE, Reader, case_row};
use crate::contract::{CaseFilter, CaseRow, EffectFilter, EffectRow, TaskFilter, TaskRow};
use crate::keys::NEVER;
use crate::value::{Val, vals};

/// Rows of a page when the question does not say.
const PAGE: u32 = 50;

fn page(limit: u32) -> u32 {
    if limit == 0 { PAGE } else { limit }
}

/// Adds a condition to a text and its value to the parameters.
fn and<'v>(text: &mut String, params: &mut Vec<Val<'v>>, is: (&str, Val<'v>)) {
    params.push(is.1);
    text.push_str(&format!(" AND {} = ?{}", is.0, params.len()));
}

/// All tenants.
pub(super) const TENANTS: &str = "SELECT tenant FROM tenant ORDER BY tenant";

/// Sorts after every id.
const LAST: [u8; 16] = [0xff; 16];

/// Open cases in a state: tenant, state, the case that they come before, how many. The state stands in the order as well,
/// else SQLite walks over all cases, newest first, instead of the index over the open ones.
pub(super) fn open_cases_sql(more: &str) -> String {
    format!(
        "{CASE} WHERE tenant = ?1 AND closed = 0 AND state >= ?2 AND (state, case_id) < (?2, ?3){more} \
         ORDER BY state DESC, case_id DESC LIMIT ?4"
    )
}

impl Reader {
    /// Cases, newest first.
    pub fn cases(&self, filter: &CaseFilter) -> Answer<Vec<CaseRow>> {
        let limit = page(filter.limit);
        let mut all = Vec::new();
        for tenant in self.tenants_of(filter.tenant)? {
            if filter.closed == Some(false) {
                let states = match filter.state {
                    Some(state) => vec![state],
                    None => self.states_in_use(tenant)?,
                };
                for state in states {
                    all.extend(self.open_cases(tenant, state, filter)?);
                }
            } else {
                let rows = match filter.state {
                    Some(state)
                        if filter.closed.is_none() && self.all_open_in(tenant, state)? =>
                    {
                        self.open_cases(tenant, state, filter)?
                    }
                    _ => self.any_cases(tenant, filter)?,
                };
                all.extend(rows);
            }
        }
        all.sort_by(|a, b| (b.case, a.tenant).cmp(&(a.case, b.tenant)));
        all.truncate(limit as usize);
        Ok(all)
    }

    /// Whether no case in a state is closed: then the index over the open ones answers for it, however many others there are.
    fn all_open_in(&self, tenant: TenantId, state: u16) -> Answer<bool> {
        let sql = "SELECT CASE WHEN (SELECT COUNT(*) FROM case_head WHERE tenant = ?1 AND state = ?2 AND closed = 0) = \
                   COALESCE((SELECT SUM(n) FROM counter WHERE tenant = ?1 AND what = 1 AND state = ?2), 0) \
                   THEN 1 ELSE 0 END";
        let same: Vec<i64> = self.rows(sql, &vals![tenant.0, state], |r| r.get(0))?;
        Ok(same == [1])
    }

    fn open_cases(
        &self,
        tenant: TenantId,
        state: u16,
        filter: &CaseFilter,
    ) -> Answer<Vec<CaseRow>> {
        let before = filter.before.map_or(LAST, |c| c.0);
        let mut params = vals![tenant.0, state, before, page(filter.limit)].to_vec();
        let mut more = String::new();
        if let Some(workflow) = &filter.workflow {
            and(&mut more, &mut params, ("workflow", workflow.into()));
        }
        self.rows(&open_cases_sql(&more), &params, case_row)
    }

    fn any_cases(&self, tenant: TenantId, filter: &CaseFilter) -> Answer<Vec<CaseRow>> {
        let closed = match filter.closed {
            Some(true) => "AND closed = 1",
            _ => "",
        };
        let before = filter.before.map_or(LAST, |c| c.0);
        let mut params = vals![tenant.0, before, page(filter.limit)].to_vec();
        let mut more = String::new();
        if let Some(state) = filter.state {
            and(&mut more, &mut params, ("state", state.into()));
        }
        if let Some(workflow) = &filter.workflow {
            and(&mut more, &mut params, ("workflow", workflow.into()));
        }
        let sql = format!(
            "{CASE} WHERE tenant = ?1 AND case_id < ?2 {closed}{more} ORDER BY case_id DESC LIMIT ?3"
        );
        self.rows(&sql, &params, case_row)
    }

    fn states_in_use(&self, tenant: TenantId) -> Answer<Vec<u16>> {
        let sql = "SELECT state FROM counter WHERE tenant = ?1 AND what = 1 GROUP BY state HAVING SUM(n) > 0 ORDER BY state";
        self.rows(sql, &vals![tenant.0], |r| r.get(0))
    }

    fn tenants_of(&self, one: Option<TenantId>) -> Answer<Vec<TenantId>> {
        match one {
            Some(tenant) => Ok(vec![tenant]),
            None => self.rows(TENANTS, &[], |r| r.get(0).map(TenantId)),
        }
    }

    /// Effects, newest case first.
    pub fn effects(&self, filter: &EffectFilter) -> Answer<Vec<EffectRow>> {
        let limit = page(filter.limit);
        let mut all = Vec::new();
        for tenant in self.tenants_of(filter.tenant)? {
            if filter.states.is_empty() {
                all.extend(self.effects_where("1 = 1", tenant, filter)?);
            }
            let mut states = filter.states.clone();
            states.sort_unstable();
            states.dedup();
            for state in states {
                // The number stands in the text, so that the index over effects in this state is found.
                let condition = format!("e.state = {}", state as i64);
                all.extend(self.effects_where(&condition, tenant, filter)?);
            }
        }
        all.sort_by(|Found { row: a, .. }, Found { row: b, .. }| {
            (b.effect, a.tenant).cmp(&(a.effect, b.tenant))
        });
        all.truncate(limit as usize);
        self.with_args(all)
    }

    fn effects_where(
        &self,
        condition: &str,
        tenant: TenantId,
        filter: &EffectFilter,
    ) -> Answer<Vec<Found>> {
        let mut params = vals![tenant.0, page(filter.limit)].to_vec();
        let mut which = String::new();
        if let Some(case) = filter.case {
            and(&mut which, &mut params, ("e.case_id", case.0.into()));
        }
        let sql = format!(
            "{EFFECT} WHERE e.tenant = ?1 {which} AND {condition} ORDER BY e.case_id DESC, e.n DESC LIMIT ?2"
        );
        self.rows(&sql, &params, Found::read)
    }

    /// Tasks: open ones, what is due first at the top; with `closed`, closed ones too, after the open ones.
    pub fn tasks(&self, filter: &TaskFilter) -> Answer<Vec<TaskRow>> {
        let limit = page(filter.limit);
        let mut all = Vec::new();
        for tenant in self.tenants_of(filter.tenant)? {
            let owners = match filter.owners.is_empty() {
                true => vec![None],
                false => filter.owners.iter().map(Some).collect(),
            };
            for owner in owners {
                all.extend(self.tasks_where("closed_at IS NULL", (tenant, owner), filter)?);
                if filter.closed {
                    all.extend(self.tasks_where(
                        "closed_at IS NOT NULL",
                        (tenant, owner),
                        filter,
                    )?);
                }
            }
        }
        all.sort_by_key(|t| (t.closed.is_some(), t.due.unwrap_or(NEVER), t.task, t.tenant));
        all.dedup_by_key(|t| (t.tenant, t.task));
        all.truncate(limit as usize);
        Ok(all)
    }

    fn tasks_where(
        &self,
        condition: &str,
        whose: (TenantId, Option<&String>),
        filter: &TaskFilter,
    ) -> Answer<Vec<TaskRow>> {
        let mut params = vals![whose.0.0, page(filter.limit)].to_vec();
        let mut which = String::new();
        if let Some(owner) = whose.1 {
            and(&mut which, &mut params, ("owner", owner.into()));
        }
        if let Some(case) = filter.case {
            and(&mut which, &mut params, ("case_id", case.0.into()));
        }
        let sql = format!(
            "SELECT tenant, case_id, n, kind, owner, reason, due, effect, opened_at, closed_at, decision, \
             (SELECT c.correlation FROM case_head c WHERE c.tenant = task.tenant AND c.case_id = task.case_id) \
             FROM task WHERE tenant = ?1 {which} AND {condition} ORDER BY due, case_id, n LIMIT ?2"
        );
        self.rows(&sql, &params, |r| {
            let due: i64 = r.get(6)?;
            let closed_at: Option<i64> = r.get(9)?;
            let decision: String = r.get(10)?;
            let correlation: Option<String> = r.get(11)?;
            Ok(TaskRow {
                tenant: TenantId(r.get(0)?),
                task: TaskId {
                    case: CaseId(r.get(1)?),
                    n: r.get(2)?,
                },
                correlation: correlation.unwrap_or_default(),
                kind: r.get(3)?,
                owner: r.get(4)?,
                reason: r.get(5)?,
                due: (due != NEVER).then_some(due),
                effect: r.get(7)?,
                opened_at: r.get(8)?,
                closed: closed_at.map(|at| (at, decision)),
            })
        })
    }
}

/// The states of effects that are not settled.
pub(super) const UNSETTLED: [EffectState; 5] = [
    EffectState::Planned,
    EffectState::Ready,
    EffectState::Dispatching,
    EffectState::AwaitingCallback,
    EffectState::Uncertain,
];
