//! Applies turns and what is derived from them: the case's row, its tasks, timers and natural keys.

use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::Sealed;
use tl_kernel::turn::{TaskWrite, Turn};

use super::Out;
use super::view::{CaseNow, Numbered};
use crate::contract::Unit;
use crate::keys::{NEVER, short_key, timer_number};
use crate::packed::pack;
use crate::value::{Val, vals};
use crate::writes::W;

impl<'a> Out<'_, 'a> {
    /// Applies the unit's turns, those of the control stream included.
    pub(super) fn turns(&mut self, unit: &'a Unit) {
        for turn in &unit.turns {
            self.append((turn.tenant, &turn.case, turn.sealed.seq), &turn.sealed);
            self.case_head(turn);
            self.tasks(turn);
            self.timers(turn);
            for key in &turn.natural_keys {
                let key = short_key(&turn.head.workflow, key);
                // A key that another case holds stays with it.
                if let std::collections::btree_map::Entry::Vacant(free) =
                    self.view.natural.entry((turn.tenant, key))
                {
                    free.insert(turn.case);
                    let row = vals![turn.tenant.0, key, &turn.case.0];
                    self.changes.at(W::NaturalKey).push(row);
                }
            }
        }
        for sealed in &unit.control {
            // The control stream has no expected numbers; its turns are numbered here to keep their order.
            let length = self.view.control.entry(unit.tenant).or_insert(0);
            *length += 1;
            let seq = *length;
            self.append((unit.tenant, &CaseId::CONTROL, seq), sealed);
        }
    }

    fn append(&mut self, at: (TenantId, &'a CaseId, u32), sealed: &'a Sealed) {
        let (tenant, case, seq) = at;
        let ord = self.view.next.take(Numbered::Turn);
        let row = vals![ord, tenant.0, &case.0, seq, &sealed.head];
        self.changes.at(W::Turn).push(row);
        if let Some(body) = &sealed.body {
            let row = vals![ord, tenant.0, pack(body)];
            self.changes.at(W::TurnBody).push(row);
        }
        self.counters.turn(tenant);
    }

    fn case_head(&mut self, turn: &'a Turn) {
        let head = &turn.head;
        let image: [Val<'a>; 15] = vals![
            turn.tenant.0,
            &turn.case.0,
            turn.sealed.seq,
            head.state,
            &head.owner,
            head.definition,
            head.opened_at,
            head.updated_at,
            head.due,
            head.closed,
            head.open_tasks,
            head.open_effects,
            &head.reason,
            &head.correlation,
            &head.workflow,
        ];
        let key = (turn.tenant, turn.case);
        let before = self.view.cases.get(&key).copied();
        let writes = (W::CaseSet, W::CaseHead);
        let row = self.changes.put(before.map(|b| b.row), writes, image);
        let now = CaseNow {
            seq: turn.sealed.seq,
            state: head.state,
            row: Some(row),
        };
        self.view.cases.insert(key, now);
        let moved = (before.map(|b| b.state), head.state);
        self.counters.case(turn.tenant, &head.workflow, moved);
    }

    fn tasks(&mut self, turn: &'a Turn) {
        let (tenant, case, at) = (turn.tenant.0, &turn.case.0, turn.head.updated_at);
        for write in &turn.tasks {
            match write {
                TaskWrite::Open {
                    n,
                    kind,
                    owner,
                    reason,
                    due,
                    effect,
                } => {
                    let due = due.unwrap_or(NEVER);
                    let row = vals![
                        tenant,
                        case,
                        *n,
                        kind,
                        owner,
                        reason,
                        due,
                        *effect,
                        at,
                        Val::Null,
                        "",
                    ];
                    self.changes.at(W::Task).push(row);
                }
                TaskWrite::Close { n, decision } => {
                    let set = vals![Val::Null, at, decision];
                    self.task(vals![tenant, case, *n], set);
                }
                TaskWrite::Assign { n, owner } => {
                    let set = vals![owner, Val::Null, Val::Null];
                    self.task(vals![tenant, case, *n], set);
                }
            }
        }
    }

    /// Changes a task's owner, end and decision, as far as they are given.
    fn task(&mut self, key: [Val<'a>; 3], set: [Val<'a>; 3]) {
        let batch = self.changes.at(W::TaskSet);
        // Two changes of one task in a group become one: a row is changed once by a statement.
        match batch.find(&key) {
            Some(row) => batch.fill(row, set),
            None => {
                let ([a, b, c], [d, e, f]) = (key, set);
                batch.push([a, b, c, d, e, f]);
            }
        }
    }

    fn timers(&mut self, turn: &'a Turn) {
        let (tenant, case) = (turn.tenant.0, &turn.case.0);
        for n in &turn.timers_cancelled {
            let row = vals![tenant, case, *n];
            self.changes.at(W::TimerOff).push(row);
        }
        for timer in &turn.timers {
            // A timer that the same turn sets and removes was never set.
            if turn.timers_cancelled.contains(&timer.n) {
                continue;
            }
            let row = vals![tenant, case, timer.n, timer_number(timer.kind), timer.due];
            self.changes.at(W::Timer).push(row);
        }
    }
}
