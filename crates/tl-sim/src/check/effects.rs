//! What reached the outside: as often as the class promises, and honestly recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tl_engine::telemetry::traceparent;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::{EffectId, TenantId};
use tl_kernel::journal::Entry;
use tl_kernel::limits::MAX_ATTEMPTS;
use tl_kernel::program::OnUnknown;
use tl_kernel::time::{MINUTE, SECOND};
use tl_kernel::turn::EffectWrite;
use tl_kernel::value::Value;
use tl_store::contract::{EffectRow, Guard, OutboxMessage, Row};

use super::Evidence;
use super::evidence::CaseFile;
use crate::exec::Group;
use crate::vendor::Applied;
use crate::world::Seen;

/// The names that the attempts of an effect have at a vendor.
pub fn traces_of(row: &EffectRow) -> Vec<String> {
    let mut row = row.clone();
    let begun = row.attempt;
    let name = |n| {
        row.attempt = n;
        traceparent(&row)
    };
    (0..=begun).map(name).collect()
}

/// An argument of an effect as text.
pub(super) fn argument(row: &EffectRow, name: &str) -> Option<String> {
    let args: Value = minicbor::decode(&row.args).ok()?;
    args.at(&[name]).map(Value::to_string)
}

/// Which effect or question each attempt's name belongs to.
pub(super) fn senders(e: &Evidence) -> BTreeMap<String, (&CaseFile, &EffectRow)> {
    let mut out = BTreeMap::new();
    for (c, row) in e.effects() {
        out.extend(traces_of(row).into_iter().map(|t| (t, (c, row))));
    }
    out
}

/// What vendors applied, by effect.
fn applied_by_effect(e: &Evidence) -> (BTreeMap<EffectId, Vec<&Applied>>, Vec<String>) {
    let senders = senders(e);
    let mut by_effect: BTreeMap<EffectId, Vec<&Applied>> = BTreeMap::new();
    let mut strangers = Vec::new();
    for a in &e.applied {
        match senders.get(&a.trace) {
            Some((_, row)) => by_effect.entry(row.effect).or_default().push(a),
            None => strangers.push(format!("{} {} belongs to no effect", a.connection, a.path)),
        }
    }
    (by_effect, strangers)
}

/// Entries of a case's journal about one effect.
fn entries(c: &CaseFile, n: u32) -> impl Iterator<Item = (&str, EffectState, &str)> {
    c.heads
        .iter()
        .flat_map(|h| &h.entries)
        .filter_map(move |entry| match entry {
            Entry::Settled {
                n: of,
                state,
                evidence,
                code,
                ..
            } if *of == n => Some((evidence.as_str(), *state, code.as_str())),
            _ => None,
        })
}

/// How often a person said "it did not happen, send it again".
fn sent_again(c: &CaseFile, n: u32) -> usize {
    entries(c, n)
        .filter(|(evidence, state, _)| *evidence == "person" && *state == EffectState::Ready)
        .count()
}

fn on_unknown(e: &Evidence, row: &EffectRow) -> OnUnknown {
    e.action(row).map_or(OnUnknown::Hold, |a| a.on_unknown)
}

/// Each effect reached its vendor as often as its class allows, and nothing reached a vendor without one.
pub(super) fn i6_effect_count(e: &Evidence) -> Vec<String> {
    let (by_effect, mut out) = applied_by_effect(e);
    out.extend(e.cases.iter().flat_map(said_twice));
    out.extend(limits_hold(e));
    for (c, row) in e.effects() {
        let times = by_effect.get(&row.effect).map_or(0, Vec::len);
        let allowed = match row.class {
            Class::E4 if on_unknown(e, row) == OnUnknown::Resend => usize::MAX,
            Class::E4 => 1 + sent_again(c, row.effect.n),
            Class::E5 => usize::MAX,
            _ => 1,
        };
        if times > allowed {
            out.push(format!(
                "{} of class {} was applied {times} times",
                row.effect,
                row.class.word()
            ));
        }
        if row.class == Class::E0 {
            let mails = c.outbox.iter().filter(|m| m.effect == row.effect).count();
            let record = argument(row, "key")
                .and_then(|key| e.records.get(&(row.tenant, key)))
                .map_or(0, |versions| {
                    versions.iter().filter(|v| v.key == Some(row.key)).count()
                });
            let wanted = usize::from(row.state == EffectState::Succeeded && !is_dry_run(&row.code));
            if mails + record != wanted {
                out.push(format!(
                    "{} is {} and left {mails} messages and {record} versions",
                    row.effect,
                    row.state.word()
                ));
            }
        }
    }
    out
}

/// The same words to the same address, planned again after they were said.
fn said_twice(c: &CaseFile) -> Vec<String> {
    let mut said = BTreeMap::new();
    let mut known_before: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for entry in c.heads.iter().flat_map(|h| &h.entries) {
        match entry {
            Entry::Planned(p) => drop(known_before.insert(p.n, known.clone())),
            Entry::Settled { n, state, .. } if *state == EffectState::Succeeded => {
                known.insert(*n);
            }
            _ => {}
        }
    }
    let mut outbox: Vec<&OutboxMessage> = c.outbox.iter().collect();
    outbox.sort_by_key(|m| m.effect.n);
    let mut out = Vec::new();
    for m in outbox {
        let action = c.effects.get(&m.effect.n).map(|row| &row.action);
        let words = (action, &m.channel, &m.to, &m.subject, &m.text);
        let Some(before) = said.insert(words, m.effect.n) else {
            continue;
        };
        let knew = known_before.get(&m.effect.n);
        if knew.is_some_and(|k| k.contains(&before)) {
            out.push(format!("{} says what effect {before} said", m.effect));
        }
    }
    out
}

/// Every use of a limit is taken once, and no more of them than there are.
fn limits_hold(e: &Evidence) -> Vec<String> {
    let mut taken: BTreeMap<_, u32> = BTreeMap::new();
    for seen in e.witness.iter().filter(|s| s.answer.is_ok()) {
        for guard in &seen.unit.guards {
            if let Guard::Slot {
                action,
                subject,
                window,
                ..
            } = guard
            {
                let what = (seen.unit.tenant, action, subject, window);
                *taken.entry(what).or_default() += 1;
            }
        }
    }
    let mut out = Vec::new();
    for ((tenant, action, _, window), times) in taken {
        let mut programs = e.programs.iter().filter(|((of, _), _)| *of == tenant);
        let limit = programs.find_map(|(_, p)| p.policy.line(action)?.limit);
        if limit.is_none_or(|l| times > l.count) {
            out.push(format!(
                "{action} was let through {times} times in the window from {window}"
            ));
        }
    }
    out
}

/// Whether a write of somebody's holds what this effect was to write: then a look at the record may take it for ours.
fn is_there(e: &Evidence, row: &EffectRow) -> bool {
    let args: Option<Value> = minicbor::decode(&row.args).ok();
    let Some(Value::Record(wanted)) = args.as_ref().and_then(|a| a.at(&["body"])) else {
        return false;
    };
    let path = argument(row, "path");
    let holds = |body: &Json| {
        let mut wanted = wanted.iter().filter(|(_, v)| !v.is_blank());
        wanted.all(|(name, v)| {
            let there = match &body[name.as_str()] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            there == v.to_string()
        })
    };
    e.applied
        .iter()
        .filter(|a| a.connection == row.connection && Some(&a.path) == path.as_ref())
        .any(|a| serde_json::from_str(&a.body).is_ok_and(|body| holds(&body)))
}

/// What the ledger says of an effect is what the vendor did.
pub(super) fn i8_honest_outcome(e: &Evidence) -> Vec<String> {
    let (by_effect, _) = applied_by_effect(e);
    let mut out = Vec::new();
    let outward = |row: &EffectRow| !matches!(row.class, Class::E0 | Class::E5);
    for (c, row) in e.effects().filter(|(_, r)| outward(r)) {
        let applied = by_effect.contains_key(&row.effect);
        let denied = matches!(
            row.state,
            EffectState::Failed | EffectState::Cancelled | EffectState::Expired | EffectState::Dead
        );
        let known = |how: &str| entries(c, row.effect.n).any(|(evidence, ..)| evidence == how);
        // A conditional write is settled by what the record holds, whoever put it there.
        let excused = is_dry_run(&row.code)
            || known("assumed")
            || row.class == Class::E2 && known("look_up") && is_there(e, row);
        if applied && denied {
            out.push(format!(
                "{} ({}) was applied and is recorded as {} ({})",
                row.effect,
                row.class.word(),
                row.state.word(),
                row.code
            ));
        }
        if !applied && row.state == EffectState::Succeeded && !excused {
            out.push(format!(
                "{} ({}) is recorded as succeeded and was never applied",
                row.effect,
                row.class.word()
            ));
        }
    }
    out
}

/// No write to a system with versions that was not based on the version it replaced.
pub(super) fn i9_no_lost_update(e: &Evidence) -> Vec<String> {
    e.applied
        .iter()
        .filter(|a| a.connection.starts_with("crm"))
        .filter(|a| match &a.before {
            Some(before) => a.if_match.as_ref() != Some(before),
            None => !a.create,
        })
        .map(|a| {
            format!(
                "{} {} replaced {:?} with {:?}",
                a.connection, a.path, a.before, a.if_match
            )
        })
        .collect()
}

/// What the retry budget looks at, less what two clocks may differ and a commit may take, µs.
const BUDGET_SPAN: i64 = 50 * SECOND;
/// Retries in it that are never refused, and those that were let go before the span and committed in it.
const BUDGET_FLOOR: usize = 60 + 8;

/// A connection of a tenant, as one life of a node sees it.
type Lane<'e> = (TenantId, &'e str, Group);

/// When first attempts were made, and when others were, µs, by connection.
fn tries(e: &Evidence) -> BTreeMap<Lane<'_>, (Vec<i64>, Vec<i64>)> {
    let rows: BTreeMap<EffectId, &EffectRow> = e.effects().map(|(_, r)| (r.effect, r)).collect();
    let mut out: BTreeMap<Lane<'_>, (Vec<i64>, Vec<i64>)> = BTreeMap::new();
    for seen in e.witness.iter().filter(|s| s.answer.is_ok()) {
        for (effect, attempt) in begun(seen) {
            let Some(row) = rows.get(&effect).filter(|r| !r.connection.is_empty()) else {
                continue;
            };
            let lane = (row.tenant, row.connection.as_str(), seen.life.group);
            let (firsts, retries) = out.entry(lane).or_default();
            match attempt {
                0 | 1 => firsts.push(seen.at),
                _ => retries.push(seen.at),
            }
        }
    }
    out
}

/// How many of these times are in a span before an instant.
fn within(times: &[i64], until: i64, span: i64) -> usize {
    let to = times.partition_point(|t| *t <= until);
    to - times[..to].partition_point(|t| *t <= until - span)
}

/// The most repetitions of a connection within the span of the budget's check.
pub fn most_retries(e: &Evidence) -> usize {
    let lanes = tries(e);
    let spans = lanes.values().flat_map(|(_, retries)| {
        let ends = retries.iter();
        ends.map(|at| within(retries, *at, BUDGET_SPAN))
    });
    spans.max().unwrap_or(0)
}

/// A node repeats no more attempts at a connection of a tenant than a tenth of the first ones, or one a second.
fn budgets_hold(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (lane, (firsts, retries)) in tries(e) {
        let over = retries.iter().find(|at| {
            let allowed = within(&firsts, **at, 2 * MINUTE) / 10;
            within(&retries, **at, BUDGET_SPAN) > allowed.max(BUDGET_FLOOR)
        });
        if let Some(at) = over {
            let many = within(&retries, *at, BUDGET_SPAN);
            out.push(format!(
                "{many} retries of {lane:?} within {BUDGET_SPAN} µs"
            ));
        }
    }
    out
}

/// The attempts that a unit begins, with their numbers.
fn begun(seen: &Seen) -> Vec<(EffectId, u32)> {
    let born = seen.unit.turns.iter().flat_map(|t| {
        t.effects.iter().filter_map(|w| match w {
            EffectWrite::Plan(p) if p.born.is_some() => {
                let (case, n) = (t.case, p.n);
                Some((EffectId { case, n }, 1))
            }
            _ => None,
        })
    });
    let sent = seen.unit.rows.iter().filter_map(|row| match row {
        Row::Effect(c) if c.attempt > c.from.1 => Some((c.effect, c.attempt)),
        _ => None,
    });
    born.chain(sent).collect()
}

/// No effect was tried more often than the limits allow, and no connection is flooded with repeats.
pub(super) fn i19_bounded_retries(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (c, row) in e.effects() {
        // A person who sends it again gives it one more.
        let most = MAX_ATTEMPTS as usize + sent_again(c, row.effect.n);
        if row.attempt as usize > most {
            out.push(format!("{} was tried {} times", row.effect, row.attempt));
        }
        let attempts = c.attempts.get(&row.effect.n).map_or(&[][..], Vec::as_slice);
        let crashed = attempts.iter().filter(|a| a.code == "crashed").count();
        if crashed > row.crashes as usize {
            out.push(format!(
                "{} crashed {crashed} times, {} are counted",
                row.effect, row.crashes
            ));
        }
    }
    out.extend(budgets_hold(e));
    out
}
