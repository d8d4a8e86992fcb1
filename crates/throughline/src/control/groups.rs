//! What was given up or may have happened, by what it came to grief at: one cause is mended once, and what it held up is
//! sent again together.

use std::collections::BTreeMap;

use tl_engine::outward::Connections as _;
use tl_engine::tenant::Tenant;
use tl_kernel::digest::{hex, sha256};
use tl_kernel::effect::EffectState;
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectFilter, EffectRow};

use super::Ctx;
use super::effects::effect_id;
use super::views::{GroupLine, GroupSheet, Outcomes, Reply};
use crate::explain::code_words;
use crate::failure::Failure;
use crate::text::At;

/// Effects that are looked through, the newest first.
const MANY: u32 = 10_000;
/// Hexadecimal digits of a fingerprint.
const DIGITS: usize = 8;
/// Cases that are looked into for what has happened in them already.
const LOOKED_INTO: usize = 100;

/// Effects that came to grief at the same: workflow, action, connection, code, and whether they may have happened.
pub(crate) struct Group {
    /// Names the group, as long as it has the same cause.
    pub fingerprint: String,
    /// The newest first; never empty.
    pub rows: Vec<EffectRow>,
}

/// The groups of effects, the largest first. Questions to models are left out: the case is decided anew instead.
pub(crate) fn groups(rows: Vec<EffectRow>) -> Vec<Group> {
    let mut all: BTreeMap<String, Vec<EffectRow>> = BTreeMap::new();
    for row in rows.into_iter().filter(|r| r.kind == EffectKind::Effect) {
        all.entry(fingerprint(&row)).or_default().push(row);
    }
    let group = |(fingerprint, rows)| Group { fingerprint, rows };
    let mut groups: Vec<Group> = all.into_iter().map(group).collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.rows.len()));
    groups
}

fn fingerprint(row: &EffectRow) -> String {
    let unknown: &[u8] = match row.state {
        EffectState::Uncertain => b"uncertain",
        _ => b"",
    };
    let end: &[u8] = &[0];
    let parts = [
        row.workflow.as_bytes(),
        row.action.as_bytes(),
        row.connection.as_bytes(),
        unknown,
        row.code.as_bytes(),
    ];
    let parts: Vec<&[u8]> = parts.iter().flat_map(|p| [*p, end]).collect();
    let mut name = hex(&sha256(&parts));
    name.truncate(DIGITS);
    name
}

impl Ctx<'_> {
    /// All groups.
    async fn grouped(&self, view: &Tenant) -> Result<Vec<Group>, Failure> {
        let states = vec![
            EffectState::Uncertain,
            EffectState::Failed,
            EffectState::Dead,
        ];
        let filter = EffectFilter {
            tenant: Some(view.id),
            states,
            limit: MANY,
            ..EffectFilter::default()
        };
        Ok(groups(self.app.desk.store().effects(filter).await?))
    }

    /// One group by its fingerprint, or the beginning of it.
    pub(super) async fn group(&self, view: &Tenant, name: &str) -> Result<Group, Failure> {
        let name = name.trim().to_ascii_lowercase();
        let mut all = self.grouped(view).await?;
        all.retain(|g| !name.is_empty() && g.fingerprint.starts_with(&name));
        match (all.pop(), all.is_empty()) {
            (Some(group), true) => Ok(group),
            (Some(_), false) => Err(Failure::usage(format!(
                "`{name}` begins more than one fingerprint: `throughline dead groups` shows them"
            ))),
            (None, _) => Err(Failure::not_found(format!(
                "nothing has the fingerprint `{name}`: it may have been sent again meanwhile. `throughline dead groups` \
                 shows what there is"
            ))),
        }
    }

    pub(super) async fn group_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let all = self.grouped(&view).await?;
        let now = self.now();
        Ok(Reply::Groups(all.iter().map(|g| line(g, now)).collect()))
    }

    /// What sending a group again would do: which effects, what holds them, and what their cases have done already.
    pub(super) async fn group_show(&self, name: &str, limit: u32) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let group = self.group(&view, name).await?;
        let now = self.now();
        let first = &group.rows[0];
        let on_time = group.rows.iter().filter(|r| r.valid_until > now);
        // The oldest first: they have waited longest.
        let mut sends: Vec<&EffectRow> = on_time.collect();
        sends.sort_by_key(|r| (r.planned_at, r.effect));
        sends.truncate(limit as usize);
        let scopes = [
            "everything".to_owned(),
            "tenant".to_owned(),
            format!("workflow:{}", first.workflow),
            format!("action:{}", first.action),
            format!("connection:{}", first.connection),
        ];
        let switches = self.app.desk.store().gate(view.id).await?.switches;
        let switch = switches.into_iter().find(|s| scopes.contains(&s.scope));
        let connection_fault = match first.connection.as_str() {
            "" => None,
            name => {
                let found = self.app.connections.find(&view, &first.workflow, name);
                found.err()
            }
        };
        let mut done: BTreeMap<(String, String), u32> = BTreeMap::new();
        for row in sends.iter().take(LOOKED_INTO) {
            let filter = EffectFilter {
                tenant: Some(view.id),
                case: Some(row.effect.case),
                limit: 1_000,
                ..EffectFilter::default()
            };
            let all = self.app.desk.store().effects(filter).await?;
            let happened = [EffectState::Succeeded, EffectState::Uncertain];
            let others = all.iter().filter(|r| {
                r.kind == EffectKind::Effect
                    && r.effect != row.effect
                    && happened.contains(&r.state)
            });
            for other in others {
                let what = (other.action.clone(), other.state.word().to_owned());
                *done.entry(what).or_default() += 1;
            }
        }
        Ok(Reply::Group(Box::new(GroupSheet {
            group: line(&group, now),
            looked_into: sends.len().min(LOOKED_INTO) as u32,
            sends: sends.iter().map(|r| r.effect.to_string()).collect(),
            switch: switch.map(|s| s.scope),
            connection_fault,
            done: done.into_iter().map(|((a, s), n)| (a, s, n)).collect(),
        })))
    }

    /// What became of effects that were sent again for a reason.
    pub(super) async fn outcomes(&self, ids: &[String], reason: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let reason = self.reason(reason)?;
        let mut out = Outcomes::default();
        for id in ids {
            let id = effect_id(id)?;
            let Some(row) = self.app.desk.store().effect(view.id, id).await? else {
                continue;
            };
            // The code is the reason until an attempt has ended.
            let tried = !row.code.is_empty() && row.code != reason;
            match row.state {
                EffectState::Succeeded => out.done += 1,
                EffectState::Ready if tried => out.failing += 1,
                EffectState::Planned
                | EffectState::Ready
                | EffectState::Dispatching
                | EffectState::AwaitingCallback => out.waiting.push(id.to_string()),
                _ => out.failing += 1,
            }
            if out.code.is_empty() && tried && row.state != EffectState::Succeeded {
                out.code = row.code;
            }
        }
        Ok(Reply::Outcomes(out))
    }
}

fn line(group: &Group, now: i64) -> GroupLine {
    let (rows, first) = (&group.rows, &group.rows[0]);
    let late = rows.iter().filter(|r| r.valid_until <= now).count();
    GroupLine {
        group: group.fingerprint.clone(),
        effects: rows.len() as u32,
        late: late as u32,
        uncertain: first.state == EffectState::Uncertain,
        workflow: first.workflow.clone(),
        action: first.action.clone(),
        connection: first.connection.clone(),
        class: first.class.word().to_owned(),
        code: first.code.clone(),
        words: code_words(&first.code),
        oldest: At(rows.iter().map(|r| r.planned_at).min().unwrap_or(now)),
        newest: At(rows.iter().map(|r| r.updated_at).max().unwrap_or(now)),
    }
}
