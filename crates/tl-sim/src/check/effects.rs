//! What reached the outside: as often as the class promises, and honestly recorded.

use std::collections::BTreeMap;

use tl_engine::telemetry::traceparent;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::EffectId;
use tl_kernel::journal::Entry;
use tl_kernel::limits::MAX_ATTEMPTS;
use tl_kernel::program::OnUnknown;
use tl_kernel::turn::EffectKind;
use tl_kernel::value::Value;
use tl_store::contract::EffectRow;

use super::Evidence;
use super::evidence::CaseFile;
use crate::vendor::Applied;

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

/// Which effect each attempt's name belongs to.
pub(super) fn senders(e: &Evidence) -> BTreeMap<String, (&CaseFile, &EffectRow)> {
    let mut out = BTreeMap::new();
    for (c, row) in e.effects().filter(|(_, r)| r.kind == EffectKind::Effect) {
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
    let program = e.programs.get(&(row.tenant, row.definition));
    let action = program.and_then(|p| p.actions.iter().find(|a| a.name == row.action));
    action.map_or(OnUnknown::Hold, |a| a.on_unknown)
}

/// Each effect reached its vendor as often as its class allows, and nothing reached a vendor without one.
pub(super) fn i6_effect_count(e: &Evidence) -> Vec<String> {
    let (by_effect, mut out) = applied_by_effect(e);
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
        let excused =
            is_dry_run(&row.code) || known("assumed") || row.class == Class::E2 && known("look_up");
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

/// No effect was tried more often than the limits allow.
pub(super) fn i19_bounded_retries(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (c, row) in e.effects() {
        // A person who sends it again gives it one more.
        let most = MAX_ATTEMPTS as usize + sent_again(c, row.effect.n);
        if row.attempt as usize > most {
            out.push(format!("{} was tried {} times", row.effect, row.attempt));
        }
    }
    out
}
