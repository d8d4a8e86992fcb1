//! The installation at a glance.

use std::collections::BTreeMap;

use tl_connect::guard::Why;
use tl_engine::outward::Connections;
use tl_engine::schedules::{Standing, standing};
use tl_engine::tenant::Tenant;
use tl_kernel::effect::EffectState;
use tl_kernel::time::{SECOND, duration_text};
use tl_store::contract::{EffectFilter, EffectRow};

use super::Ctx;
use super::deploy::is_same;
use super::doors::endpoint_line;
use super::lists::{switch_line, version_line};
use super::views::{EndpointLine, Next, Reply, ScheduleLine, SecretLine, StatusSheet};
use crate::app::{DEFAULT_TENANT, Mode};
use crate::explain::{code_words, goal_words};
use crate::failure::Failure;
use crate::text::{At, count};

/// Ready effects that are looked through at most.
const MANY: u32 = 10_000;
/// Where what waits is seen.
const LOOK: &str = "throughline effect list --state ready";
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
        let nodes = store.nodes().await?;
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
            store: (
                self.app.config.store.kind().to_owned(),
                self.app.config.store.shown(),
            ),
            role: self.app.config.role.word().to_owned(),
            node: store.node(),
            nodes: nodes
                .iter()
                .filter(|n| n.lease_until > now)
                .map(|n| n.id)
                .collect(),
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
            schedules: self.schedule_lines(&view).await?,
            next: Vec::new(),
        };
        sheet.next = self.status_next(&sheet, stats.timers.1);
        sheet.next.extend(self.closed_doors(&view));
        sheet.next.extend(self.earlier_secrets(&view));
        sheet.next.extend(self.mail_places(&view));
        sheet.next.extend(self.not_in_force(&view).await?);
        let stopped = self.stopped(&view).await?;
        sheet.next.splice(0..0, stopped);
        sheet.next.splice(0..0, self.clock_next());
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
                "the connection `{connection}` is stopped and {}: {}",
                waiting_words(n),
                code_words(hold)
            ),
            command: LOOK.into(),
        };
        let mut out: Vec<Next> = waiting.into_iter().map(line).collect();
        out.extend(self.failing(view, &ready).await?);
        out.extend(self.not_set_up(view));
        Ok(out)
    }

    /// Connections that nothing stops and yet nothing gets through: what waits there is between two attempts.
    async fn failing(&self, view: &Tenant, ready: &[EffectRow]) -> Result<Vec<Next>, Failure> {
        let mut failing: BTreeMap<&str, (u32, &EffectRow)> = BTreeMap::new();
        let repeats = |r: &&EffectRow| {
            let again = matches!(r.hold.as_str(), "retry" | "retry_budget");
            again && !r.code.is_empty() && !r.connection.is_empty()
        };
        for row in ready.iter().filter(repeats) {
            let (n, oldest) = failing.entry(&row.connection).or_insert((0, row));
            *n += 1;
            if row.planned_at < oldest.planned_at {
                *oldest = row;
            }
        }
        let mut out = Vec::new();
        for (connection, (n, oldest)) in failing {
            let attempts = self
                .app
                .desk
                .store()
                .attempts(view.id, oldest.effect)
                .await?;
            let since = attempts.iter().map(|a| a.at).min();
            let since = since.unwrap_or(oldest.planned_at);
            out.push(Next {
                why: format!(
                    "the connection `{connection}` has been failing for {} and {}: {}",
                    duration_text((self.now() - since).max(0) / SECOND * SECOND),
                    waiting_words(n),
                    code_words(&oldest.code)
                ),
                command: LOOK.into(),
            });
        }
        Ok(out)
    }

    /// Connections of the current versions that cannot be used as they are, before a case meets it.
    /// The environment of a command has not the secrets of the server's, so only a server can tell.
    fn not_set_up(&self, view: &Tenant) -> Vec<Next> {
        let mut out = BTreeMap::new();
        if self.app.mode != Mode::Serving {
            return Vec::new();
        }
        for (workflow, (_, bundle)) in &view.current {
            for c in tl_lang::connections(&bundle.project).0 {
                if let Err(why) = self.app.connections.find(view, workflow, &c.name) {
                    out.insert(c.name, why);
                }
            }
        }
        let line = |why| Next {
            why,
            command: "throughline config".into(),
        };
        out.into_values().map(line).collect()
    }

    /// Workflows of which the project's files hold something else than what is in force: edited, or rolled back.
    async fn not_in_force(&self, view: &Tenant) -> Result<Vec<Next>, Failure> {
        // Other tenants may have been deployed from other directories.
        if view.name != DEFAULT_TENANT {
            return Ok(Vec::new());
        }
        let Ok(project) = crate::project::read(&self.app.config.dir) else {
            return Ok(Vec::new());
        };
        let mut out = Vec::new();
        for id in project.workflows() {
            let Some((number, _)) = view.current.get(&id) else {
                continue;
            };
            if !is_same(&self.app.desk, (view, *number), &project, &id).await? {
                out.push(Next {
                    why: format!(
                        "the files of `{id}` differ from number {number}, which is in force; what a deploy would change \
                         shows"
                    ),
                    command: "throughline deploy".into(),
                });
            }
        }
        Ok(out)
    }

    /// Every door of the current versions.
    fn door_lines(&self, view: &Tenant) -> Vec<EndpointLine> {
        let doors = view.current.values().flat_map(|(_, b)| {
            let program = &b.program;
            program
                .doors()
                .map(move |e| endpoint_line(self.app, view, program, e))
        });
        doors.collect()
    }

    /// Secrets that have a successor and are still used: their senders would be shut out when they end.
    fn earlier_secrets(&self, view: &Tenant) -> Vec<Next> {
        let mut out = Vec::new();
        for door in self.door_lines(view) {
            let used = |s: &&SecretLine| s.active && s.earlier && s.matched_at.is_some();
            out.extend(door.secrets.iter().filter(used).map(|s| Next {
                why: format!(
                    "senders of `{}` still sign with the earlier secret {} ({} since this node was started)",
                    door.endpoint,
                    s.kid,
                    count(s.matched, "message")
                ),
                command: "throughline endpoint list".into(),
            }));
        }
        out
    }

    /// The timetables of the current versions.
    async fn schedule_lines(&self, view: &Tenant) -> Result<Vec<ScheduleLine>, Failure> {
        let all = standing(&self.app.desk, view).await?;
        let line = |s: Standing| ScheduleLine {
            closed: view.rows.disabled.contains(&s.schedule.name) || view.ingest_killed(),
            workflow: s.workflow,
            cron: s.schedule.cron,
            timezone: s.schedule.table.zone.clone(),
            last: s.ran.map(At),
            next: s.next.map(At),
            next_local: s
                .next
                .map_or_else(String::new, |at| s.schedule.table.local_text(at)),
            schedule: s.schedule.name,
        };
        Ok(all.into_iter().map(line).collect())
    }

    /// Folders and mailboxes whose mail cannot be taken, or some of whose mail was refused.
    fn mail_places(&self, view: &Tenant) -> Vec<Next> {
        let mut out = Vec::new();
        for (_, endpoint, place) in self.app.config.fetched_by(&view.name) {
            let health = self.app.places.of(&place);
            let mut add = |why| {
                out.push(Next {
                    why,
                    command: "throughline config".into(),
                })
            };
            if let Some(trouble) = health.trouble {
                add(format!(
                    "the mail of `{endpoint}` in {place} is not read: {trouble}"
                ));
            }
            if health.refused > 0 {
                let were = match health.refused {
                    1 => "1 mail was".to_owned(),
                    n => format!("{n} mails were"),
                };
                let last = health.last;
                add(format!(
                    "{were} refused by `{endpoint}` since this node was started: {last}"
                ));
            }
        }
        out
    }

    /// Said while no door at all is open for want of a secret.
    fn closed_doors(&self, view: &Tenant) -> Option<Next> {
        let doors = self.door_lines(view);
        let fetched = |d: &EndpointLine| {
            let mut places = self.app.config.fetched_by(&view.name);
            places.any(|(_, endpoint, _)| endpoint == d.endpoint)
        };
        if doors.iter().any(|d| d.open || fetched(d)) {
            return None;
        }
        let (_, command) = doors
            .iter()
            .find_map(|d| d.closed_because.split_once(": throughline endpoint rotate"))?;
        Some(Next {
            why: format!(
                "{} closed, so no message can come in; open the one that you need",
                match doors.len() {
                    1 => "the only door is".to_owned(),
                    n => format!("all {n} doors are"),
                }
            ),
            command: format!("throughline endpoint rotate{command}"),
        })
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
}

/// So many wait.
fn waiting_words(n: u32) -> String {
    match n {
        1 => "1 effect waits".into(),
        n => format!("{n} effects wait"),
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
