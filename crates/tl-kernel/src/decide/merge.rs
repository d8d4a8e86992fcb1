//! A conflicting write: three-way merge with what a person changed meanwhile.

use std::collections::BTreeMap;

use super::Deciding;
use super::plan::Replacement;
use crate::coerce::coerce;
use crate::effect::EffectState;
use crate::journal::Entry;
use crate::limits::MAX_CONFLICTS;
use crate::value::{Label, Source, Value};

impl Deciding<'_> {
    /// After a 412: keeps what the other side changed, takes it over into the record, and plans the write
    /// again on the version just read. After `MAX_CONFLICTS` rounds a person decides.
    pub(super) fn resolve_conflict(&mut self, n: u32) {
        let Some(effect) = self.case.effects.get(&n).cloned() else {
            return;
        };
        let round = self.case.conflicts.get(&effect.name).copied().unwrap_or(0) + 1;
        let seen = self.case.seen.get(&effect.name).cloned();
        let (Some(seen), true) = (seen, round <= MAX_CONFLICTS) else {
            self.entry(Entry::Conflict { n, round, kept: 0 });
            return self.exception("conflict", n);
        };
        let ours = effect.args.as_ref().and_then(|a| a.at(&["body"])).cloned();
        let base = self.last_written(&effect.name);
        let keep = theirs(seen.values.as_ref(), ours.as_ref(), base.as_ref());
        self.entry(Entry::Conflict {
            n,
            round,
            kept: keep.len() as u32,
        });
        self.take_over(&keep, &seen.version);
        let replacement = Replacement {
            n,
            base: seen.version,
            keep,
        };
        if matches!(
            self.plan_effect(effect.action, Some(replacement)),
            None | Some(EffectState::Cancelled)
        ) {
            self.exception("arguments", n);
        }
    }

    /// The properties of the last write that is known to have happened: what a person's edit is told from.
    fn last_written(&self, action: &str) -> Option<Value> {
        let mut done = self.case.effects.values().rev();
        let last = done.find(|e| e.name == action && e.state == EffectState::Succeeded)?;
        last.args.as_ref()?.at(&["body"]).cloned()
    }

    /// Values the other side holds become the record's where a property has the name of a field.
    fn take_over(&mut self, keep: &BTreeMap<String, Value>, version: &str) {
        for (name, value) in keep {
            let Some(def) = self.world.record.field(name) else {
                continue;
            };
            if let Ok(Some(value)) = coerce(value, &def.ty, None) {
                let source = Source::Crm(version.to_owned());
                self.set_field(name, value, Label::Crm, source);
            }
        }
    }
}

/// Properties that the other side changed: they differ from what we would write and from what we wrote last.
/// Without an earlier write every value of theirs that differs counts. Empty where either side is no record.
pub fn theirs(
    values: Option<&Value>,
    ours: Option<&Value>,
    base: Option<&Value>,
) -> BTreeMap<String, Value> {
    let (Some(Value::Record(theirs)), Some(Value::Record(ours))) = (values, ours) else {
        return BTreeMap::new();
    };
    let same = |a: &Value, b: &Value| a.to_string() == b.to_string();
    ours.iter()
        .filter_map(|(name, our)| {
            let written = base.and_then(|b| b.at(&[name.as_str()]));
            let their = theirs.get(name)?;
            let changed =
                !their.is_blank() && !same(their, our) && !written.is_some_and(|w| same(their, w));
            changed.then(|| (name.clone(), their.clone()))
        })
        .collect()
}
