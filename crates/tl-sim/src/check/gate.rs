//! What was let through: by a node that held its epoch, under no switch, with the approval that it needed, to a
//! recipient that nobody from outside chose.

use std::collections::BTreeMap;

use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{EffectId, TenantId};
use tl_kernel::journal::{Actor, Entry, Fact, Planned, open};
use tl_kernel::policy::Verdict;
use tl_kernel::program::ActionKind;
use tl_kernel::turn::{EffectKind, EffectWrite};
use tl_kernel::value::{Source, Value};
use tl_store::contract::{EffectChange, EffectRow, Row};

use super::Evidence;
use super::evidence::CaseFile;
use crate::people::Shown;
use crate::world::Seen;

/// Effects that a committed unit let through, with the claim it made for them.
fn let_through(seen: &Seen) -> Vec<(EffectId, Option<(u32, u64)>)> {
    let born = seen.unit.turns.iter().flat_map(|t| {
        t.effects.iter().filter_map(|w| match w {
            EffectWrite::Plan(p) => {
                let effect = EffectId {
                    case: t.case,
                    n: p.n,
                };
                p.born.map(|b| (effect, Some((b.node, b.epoch))))
            }
            _ => None,
        })
    });
    let sent = seen.unit.rows.iter().filter_map(|row| match row {
        Row::Effect(c) if is_let_through(c) => {
            Some((c.effect, c.claim.map(|(node, epoch, _)| (node, epoch))))
        }
        _ => None,
    });
    born.chain(sent).collect()
}

fn is_let_through(c: &EffectChange) -> bool {
    // In our own database an effect is let through and done in one unit.
    let at_once = c.to == EffectState::Succeeded && c.attempt > c.from.1;
    c.from.0 == EffectState::Ready && (c.to == EffectState::Dispatching || at_once)
}

/// Units that the store committed, in order.
fn committed(e: &Evidence) -> impl Iterator<Item = &Seen> {
    e.witness.iter().filter(|s| s.answer.is_ok())
}

/// No attempt and no outcome is committed by a node that was started again since.
pub(super) fn i10_fencing(e: &Evidence) -> Vec<String> {
    let mut current: BTreeMap<u32, u64> = BTreeMap::new();
    let mut out = Vec::new();
    for seen in committed(e) {
        let life = seen.life;
        let epoch = current.entry(life.node).or_insert(life.epoch);
        let changes = seen.unit.rows.iter().any(|r| matches!(r, Row::Effect(_)));
        if life.epoch < *epoch && changes {
            out.push(format!(
                "node {} commits with epoch {} after {epoch}",
                life.node, life.epoch
            ));
        }
        *epoch = (*epoch).max(life.epoch);
        for (effect, claim) in let_through(seen) {
            if claim.is_some_and(|c| c != (life.node, life.epoch)) {
                out.push(format!(
                    "{effect} is claimed as {claim:?} by node {}",
                    life.node
                ));
            }
        }
    }
    out
}

/// Whether a switch's scope covers an effect: the words of the gate, read a second time.
fn covers(scope: &str, row: &EffectRow) -> bool {
    let ask = row.kind == EffectKind::Ask;
    match scope.split_once(':') {
        Some(("workflow", id)) => id == row.workflow,
        Some(("action", name)) => !ask && name == row.action,
        Some(("connection", name)) => !ask && name == row.connection,
        Some(("model", name)) => ask && name == row.action,
        _ => true,
    }
}

/// Between the commit that sets a switch and the commit that clears it, nothing in its scope is let through.
pub(super) fn i11_kill(e: &Evidence) -> Vec<String> {
    let rows: BTreeMap<EffectId, &EffectRow> = e.effects().map(|(_, r)| (r.effect, r)).collect();
    let mut set: BTreeMap<(TenantId, String), i64> = BTreeMap::new();
    let mut out = Vec::new();
    for seen in &e.witness {
        if seen.answer.is_err() {
            // A switch whose clearing could not be made durable may be cleared all the same.
            for row in &seen.unit.rows {
                if let Row::Switch {
                    scope, mode: None, ..
                } = row
                {
                    set.remove(&(seen.unit.tenant, scope.clone()));
                }
            }
            continue;
        }
        for (effect, _) in let_through(seen) {
            let Some(row) = rows.get(&effect) else {
                continue;
            };
            let mut stops = set.iter().filter(|((tenant, scope), _)| {
                (*tenant == TenantId::SYSTEM || *tenant == row.tenant) && covers(scope, row)
            });
            if let Some(((_, scope), since)) = stops.next() {
                let late = seen.at - since;
                out.push(format!(
                    "{effect} was let through {late} µs after the switch `{scope}`"
                ));
            }
        }
        for row in &seen.unit.rows {
            if let Row::Switch { scope, mode, .. } = row {
                let key = (seen.unit.tenant, scope.clone());
                match mode {
                    Some(_) => set.insert(key, seen.at),
                    None => set.remove(&key),
                };
            }
        }
    }
    out
}

/// What needed an approval was approved by a person, once, as exactly what was sent, before it was sent. The journal's
/// word is not taken for what the person saw: they say it themselves.
pub(super) fn i12_consent(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    let first_through = first_through(e);
    let told = told(e);
    for c in &e.cases {
        let entries = c.heads.iter().flat_map(|h| &h.entries);
        let planned = entries.filter_map(|entry| match entry {
            Entry::Planned(p) if p.verdict == Verdict::Approve => Some(p),
            _ => None,
        });
        for p in planned {
            let (case, n) = (c.row.case, p.n);
            let effect = EffectId { case, n };
            let approvals = approvals(c, n);
            if approvals.len() > 1 {
                out.push(format!("{effect} was approved {} times", approvals.len()));
            }
            let Some(through) = first_through.get(&effect) else {
                continue;
            };
            let right = approvals.iter().any(|(leaf, by, digest)| {
                let at = told.get(leaf).copied();
                *digest == p.digest
                    && at.is_none_or(|at| at <= *through)
                    && saw(e, c, (p, by, digest, at))
            });
            if !right {
                out.push(format!(
                    "{effect} was let through without an approval of what was sent"
                ));
            }
        }
        out.extend(sent_is_shown(c));
        out.extend(digests_differ(c));
    }
    out.extend(expired_is_not_sent(e));
    out
}

/// When a desk was told that a turn is committed, by its leaf. Nodes have clocks of their own; the witness has one.
fn told(e: &Evidence) -> BTreeMap<Digest, i64> {
    let turns = committed(e).flat_map(|s| s.unit.turns.iter().map(|t| (t.sealed.leaf, s.at)));
    turns.collect()
}

/// The approvals of an effect as its journal has them: the turn's leaf, whose it was, and of what.
fn approvals(c: &CaseFile, effect: u32) -> Vec<(Digest, &Actor, Digest)> {
    let turns = c.journal.iter().zip(&c.heads);
    turns
        .filter_map(|(sealed, head)| {
            head.entries.iter().find_map(|entry| match entry {
                Entry::Approved { n, digest } if *n == effect => {
                    Some((sealed.leaf, &head.actor, *digest))
                }
                _ => None,
            })
        })
        .collect()
}

/// Whether a person had exactly what the ledger sends before their eyes when they said yes, by then; or what it
/// replaces, and let it say what it says in their own words, and nothing else of it is different.
fn saw(
    e: &Evidence,
    c: &CaseFile,
    (p, by, digest, at): (&Planned, &Actor, &Digest, Option<i64>),
) -> bool {
    let case = c.row.case;
    let row = c.effects.get(&p.n);
    let args: Option<Value> = row.and_then(|r| minicbor::decode(&r.args).ok());
    let before = p.replaces.and_then(|n| c.effects.get(&n));
    let is_it = |s: &Shown| match &s.words {
        None => (s.about, &s.digest) == (EffectId { case, n: p.n }, digest) && s.args == args,
        Some(words) => before.is_some_and(|old| {
            (s.about, s.digest) == (old.effect, old.digest)
                && old.state == EffectState::Cancelled
                && s.args.as_ref().map(|shown| in_words(shown, words)) == args
        }),
    };
    let by_then = |s: &&Shown| at.is_none_or(|at| s.at <= at);
    let of_theirs = e.shown.iter().filter(|s| s.by == *by).filter(by_then);
    by.is_person() && of_theirs.into_iter().any(is_it)
}

fn in_words(shown: &Value, words: &str) -> Value {
    let mut said = shown.clone();
    if let Value::Record(parts) = &mut said {
        parts.insert("text".into(), Value::text(words));
    }
    said
}

/// An approval is of a digest: what differs has another one.
fn digests_differ(c: &CaseFile) -> Vec<String> {
    let mut out = Vec::new();
    let mut known: BTreeMap<&[u8], &EffectRow> = BTreeMap::new();
    for row in c.effects.values() {
        let first = *known.entry(&row.digest).or_insert(row);
        let what = |r: &EffectRow| (r.action.clone(), r.connection.clone(), r.args.clone());
        if what(first) != what(row) {
            out.push(format!(
                "{} and {} differ and have one digest",
                first.effect, row.effect
            ));
        }
    }
    out
}

/// Nothing is let through after it has become too late for it.
fn expired_is_not_sent(e: &Evidence) -> Vec<String> {
    let mut until: BTreeMap<EffectId, i64> = BTreeMap::new();
    let mut out = Vec::new();
    for seen in &e.witness {
        for turn in &seen.unit.turns {
            for write in &turn.effects {
                if let EffectWrite::Plan(p) = write {
                    let (case, n) = (turn.case, p.n);
                    until.insert(EffectId { case, n }, p.valid_until);
                }
            }
        }
        if seen.answer.is_err() {
            continue;
        }
        for row in &seen.unit.rows {
            // When the gate was asked, not when the commit was through.
            let Row::Effect(c) = row else { continue };
            let late = until.get(&c.effect).is_some_and(|until| c.at > *until);
            if late && is_let_through(c) {
                out.push(format!("{} was let through when it had expired", c.effect));
            }
        }
    }
    out
}

fn first_through(e: &Evidence) -> BTreeMap<EffectId, i64> {
    let mut out = BTreeMap::new();
    for seen in committed(e) {
        for (effect, _) in let_through(seen) {
            out.entry(effect).or_insert(seen.at);
        }
    }
    out
}

/// The arguments in the ledger are those that the turn recorded.
fn sent_is_shown(c: &CaseFile) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(case) = &c.case else { return out };
    for (n, effect) in &case.effects {
        let row = c.effects.get(n);
        let sent: Option<Value> = row.and_then(|r| minicbor::decode(&r.args).ok());
        if row.is_some_and(|r| r.digest != effect.digest) || sent != effect.args {
            out.push(format!(
                "effect {n} of {} is not what was shown",
                c.row.case
            ));
        }
    }
    out
}

/// A message goes to an address that came with the case's own verified message, and then by a declared check or an
/// approval, or to one from a person.
pub(super) fn i13_taint(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for c in &e.cases {
        let (mut allowed, mut ours): (Vec<String>, Vec<String>) = Default::default();
        for turn in &c.journal {
            let body = open(turn).ok().and_then(|(_, body)| body);
            for fact in body.into_iter().flat_map(|b| b.facts) {
                if let Fact::Set(name, field) = fact
                    && name == "email"
                    && matches!(field.source, Source::Event(_) | Source::Person)
                {
                    let address = field.value.to_string();
                    if field.source == Source::Person {
                        ours.push(address.clone());
                    }
                    allowed.push(address);
                }
            }
        }
        let asked = |n: u32| {
            let mut entries = c.heads.iter().flat_map(|h| &h.entries);
            entries.any(|entry| {
                matches!(entry, Entry::Planned(p) if p.n == n && p.verdict == Verdict::Approve)
            })
        };
        for message in c.outbox.iter().filter(|m| m.channel == "email") {
            if !allowed.contains(&message.to) {
                out.push(format!(
                    "{} went to an address nobody vouched for",
                    message.effect
                ));
            }
            let row = c.effects.get(&message.effect.n);
            let kind = row.and_then(|r| e.action(r)).map(|a| &a.kind);
            let checked = matches!(kind, Some(ActionKind::Message(m)) if m.check.is_some());
            if !checked && !ours.contains(&message.to) && !asked(message.effect.n) {
                out.push(format!(
                    "{} went to an address from outside, unchecked and unasked",
                    message.effect
                ));
            }
        }
        let local = c
            .effects
            .values()
            .filter(|r| r.class == Class::E2 && r.workflow == "read");
        for row in local {
            let path = super::effects::argument(row, "path").unwrap_or_default();
            let plain = path.replace("%40", "@");
            if !allowed.iter().any(|a| plain.ends_with(&format!("/{a}"))) {
                out.push(format!("{} writes to {path}", row.effect));
            }
        }
    }
    out
}
