//! The installation at a glance, and one case explained.

use std::collections::BTreeMap;

use tl_connect::guard::Why;
use tl_engine::outward::Connections;
use tl_engine::tenant::Tenant;
use tl_kernel::case::fold;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::CaseId;
use tl_kernel::journal::open;
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectFilter, EffectRow};

use super::Ctx;
use super::lists::{switch_line, version_line};
use super::views::{Next, Reply, StatusSheet};
use crate::app::Mode;
use crate::explain::{Material, code_words, goal_words};
use crate::failure::Failure;
use crate::text::{At, count};

/// Ready effects that are looked through at most.
const MANY: u32 = 10_000;
/// Timers may fire so late before somebody should look, µs.
const LATE: i64 = 60_000_000;

impl Ctx<'_> {
    pub(super) async fn status(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let store = self.app.desk.store();
        let now = self.now();
        let stats = store.stats(now).await?;
        let gate = store.gate(view.id).await?;
        let bundles = store.bundles(view.id).await?;
        let mine = |t: tl_kernel::id::TenantId| t == view.id;
        let mut cases: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (_, workflow, state, count) in stats.cases.iter().filter(|c| mine(c.0)) {
            let current = view.current.get(workflow);
            let name = current.map_or_else(
                || format!("state {state}"),
                |(_, b)| b.program.state_name(*state).to_owned(),
            );
            *cases.entry((workflow.clone(), name)).or_default() += count;
        }
        let seconds = |us: i64| us / 1_000_000;
        let mut sheet = StatusSheet {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            serving_since: (self.app.mode == Mode::Serving).then_some(At(self.app.opened_at)),
            listen: self.app.listen(),
            workflows: bundles
                .iter()
                .filter(|b| b.current)
                .map(version_line)
                .collect(),
            goals: goals(&view),
            switches: gate.switches.iter().map(switch_line).collect(),
            cases: cases.into_iter().map(|((w, s), n)| (w, s, n)).collect(),
            tasks: stats
                .tasks
                .iter()
                .filter(|t| mine(t.0))
                .map(|t| (t.1.clone(), t.2, seconds(t.3)))
                .collect(),
            effects: stats
                .effects_open
                .iter()
                .filter(|e| mine(e.0))
                .map(|e| (e.1.clone(), e.2.word().to_owned(), e.3, seconds(e.4)))
                .collect(),
            events: stats.events,
            duplicates: stats.duplicates,
            timers: stats.timers.0,
            timers_late_s: seconds(stats.timers.1.max(0)),
            turns: stats.turns,
            leaves: stats.leaves,
            database_bytes: stats.bytes,
            next: Vec::new(),
        };
        sheet.next = self.status_next(&sheet, stats.timers.1);
        let stopped = self.stopped(&view).await?;
        sheet.next.splice(0..0, stopped);
        Ok(Reply::Status(Box::new(sheet)))
    }

    /// Connections before which effects wait for more than their own next attempt.
    async fn stopped(&self, view: &Tenant) -> Result<Vec<Next>, Failure> {
        let filter = EffectFilter {
            tenant: Some(view.id),
            states: vec![EffectState::Ready],
            limit: MANY,
            ..EffectFilter::default()
        };
        let ready = self.app.desk.store().effects(filter).await?;
        let stops = |hold: &str| {
            let why = Why::ALL.into_iter().find(|w| w.word() == hold);
            hold == "connection" || why.is_some_and(|w| w != Why::RetryBudget)
        };
        let mut waiting: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for row in ready.iter().filter(|r| stops(&r.hold)) {
            *waiting.entry((&row.connection, &row.hold)).or_default() += 1;
        }
        let line = |((connection, hold), n)| Next {
            why: format!(
                "the connection `{connection}` is stopped and {n} wait: {}",
                code_words(hold)
            ),
            command: "throughline effect list --state ready".into(),
        };
        Ok(waiting.into_iter().map(line).collect())
    }

    fn status_next(&self, s: &StatusSheet, late: i64) -> Vec<Next> {
        let mut out = Vec::new();
        let mut add = |why: String, command: &str| {
            out.push(Next {
                why,
                command: command.to_owned(),
            })
        };
        for w in &s.switches {
            add(
                format!("the switch `{}` is set ({}): {}", w.scope, w.mode, w.reason),
                "throughline kill list",
            );
        }
        if s.effects.iter().any(|e| e.1 == "uncertain") {
            add(
                "some effects may or may not have happened".into(),
                "throughline effect list --state uncertain",
            );
        }
        if s.workflows.is_empty() {
            add("no workflow is deployed".into(), "throughline deploy");
        }
        if self.app.mode != Mode::Serving {
            add(
                "no server runs: messages are not taken and nothing is sent".into(),
                "throughline serve",
            );
        } else if late > LATE {
            add(
                "timers fire late: the engine does not keep up".into(),
                "throughline effect list --state ready",
            );
        }
        let waiting: u64 = s.tasks.iter().map(|t| t.1).sum();
        if waiting > 0 {
            add(
                format!("waiting for people: {}", count(waiting, "task")),
                "throughline task list",
            );
        }
        out
    }

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
        let case = fold(view.id, id, &journal).map_err(|e| Failure::refused(e.to_string()))?;
        let turns = journal.iter().map(open).collect::<Result<Vec<_>, _>>();
        let turns = turns.map_err(|e| Failure::refused(e.to_string()))?;
        let filter = EffectFilter {
            tenant: Some(view.id),
            case: Some(id),
            limit: 10_000,
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
        Ok(Material {
            tenant: view.name.clone(),
            bundle: self.app.desk.bundle(view.id, case.definition).await?,
            connections: self.unusable(&view, &effects),
            switches: store.gate(view.id).await?.switches,
            case,
            turns,
            effects,
            attempts,
            duplicates,
            now: self.now(),
        })
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
        Ok(Reply::Explanation(Box::new(crate::explain::build(
            &material,
        ))))
    }
}

/// What the goals of the current versions ask for.
fn goals(view: &Tenant) -> Vec<(String, String)> {
    let current = view.current.iter();
    current
        .filter_map(|(workflow, (_, b))| {
            let goal = b.program.goal.as_ref()?;
            Some((workflow.clone(), goal_words(&b.program, goal)))
        })
        .collect()
}
