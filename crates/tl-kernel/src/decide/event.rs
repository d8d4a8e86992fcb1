//! A message: from its body to the fields of the record, opening a case or joining one.

use std::collections::BTreeMap;

use super::{Admitted, Deciding, Facts, No};
use crate::coerce::coerce;
use crate::digest::{Digest, keyed};
use crate::expr::{Found, Scope};
use crate::journal::{Actor, Entry, Fact};
use crate::limits::{MAX_CORRELATION, MAX_EVENTS};
use crate::program::{Endpoint, FieldFrom, OnMatch, Program, canonical};
use crate::value::{Field, Label, Record, Source, Value};

/// The scope of a message alone, before there is a case.
struct EventScope<'a> {
    event: &'a Value,
    record: &'a Record,
    settings: &'a BTreeMap<String, Value>,
}

impl Scope for EventScope<'_> {
    fn lookup<'s>(&'s self, names: &[String]) -> Found<'s> {
        let Some((root, rest)) = names.split_first() else {
            return Found::absent(Label::Config);
        };
        let (value, label) = match root.as_str() {
            "event" => (self.event.at(rest), Label::Untrusted),
            "record" => match rest
                .split_first()
                .and_then(|(f, r)| Some((self.record.get(f)?, r)))
            {
                Some((f, r)) => (f.value.at(r), f.label),
                None => (None, Label::Config),
            },
            "settings" => (
                rest.split_first()
                    .and_then(|(name, r)| self.settings.get(name)?.at(r)),
                Label::Config,
            ),
            _ => (None, Label::Config),
        };
        match value {
            Some(v) => Found::borrowed(v, label),
            None => Found::absent(label),
        }
    }
}

/// A field that a message's mapping did not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// The field.
    pub field: String,
    /// What is wrong, without the value.
    pub why: String,
    /// The expression had no result; otherwise its value is none of the field's type.
    pub failed: bool,
}

/// The fields that a message's mapping gives, in their normal forms, and those it does not give although there is
/// something for them.
pub fn map_event(
    world: &Program,
    endpoint: &Endpoint,
    event: &Value,
    n: u32,
) -> (Record, Vec<Unmapped>) {
    let mut record = Record::new();
    let mut unmapped = Vec::new();
    let mut lost = |field: &String, why: String, failed: bool| {
        let field = field.clone();
        unmapped.push(Unmapped { field, why, failed });
    };
    // The country comes first: it tells how a local phone number is read.
    let mut map: Vec<_> = endpoint.map.iter().collect();
    map.sort_by_key(|(name, _)| name != "country");
    for (name, expr) in map {
        let Some(def) = world.record.field(name) else {
            continue;
        };
        let country = record
            .get("country")
            .and_then(|f: &Field| f.value.as_text())
            .map(str::to_owned);
        let scope = EventScope {
            event,
            record: &record,
            settings: &world.settings,
        };
        let got = match expr.eval(&scope) {
            Ok(got) => got,
            Err(e) => {
                lost(name, e.to_string(), true);
                continue;
            }
        };
        let Some(value) = got.value else { continue };
        match coerce(&value, &def.ty, country.as_deref()) {
            Ok(Some(value)) => {
                let field = Field {
                    value,
                    label: Label::Untrusted,
                    source: Source::Event(n),
                };
                record.insert(name.clone(), field);
            }
            Ok(None) => {}
            Err(mismatch) => lost(name, mismatch, false),
        }
    }
    (record, unmapped)
}

/// Keyed digests of the record's natural keys; a key with an absent part is left out. Each comes with its
/// position in the file.
pub fn natural_key_digests(
    world: &Program,
    record: &Record,
    event: &Value,
    tenant_key: &[u8],
) -> Vec<(u8, Digest)> {
    let scope = EventScope {
        event,
        record,
        settings: &world.settings,
    };
    let mut out = Vec::new();
    for (i, key) in world.record.natural_keys.iter().enumerate() {
        if let Ok(text) = key.render(&scope)
            && text.absent.is_empty()
            && !text.text.trim().is_empty()
        {
            let parts: [&[u8]; 3] = [b"natural", world.id.as_bytes(), text.text.as_bytes()];
            out.push((i as u8, keyed(tenant_key, &parts)));
        }
    }
    out
}

/// The correlation id that a message brings: the one its workflow takes from it, else the transport's.
/// Only printable ASCII without blanks survives, so that no personal text reaches log lines unseen.
fn correlation(
    world: &Program,
    event: &Value,
    settings: &BTreeMap<String, Value>,
) -> Option<String> {
    let fit = |t: &str| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        (!t.is_empty() && t.len() <= MAX_CORRELATION && t.chars().all(ok)).then(|| t.to_owned())
    };
    let record = Record::new();
    let scope = EventScope {
        event,
        record: &record,
        settings,
    };
    world
        .correlation
        .as_ref()
        .and_then(|t| t.render(&scope).ok())
        .and_then(|r| fit(&r.text))
        .or_else(|| {
            event
                .at(&["correlation_id"])
                .and_then(Value::as_text)
                .and_then(fit)
        })
}

impl Deciding<'_> {
    pub(super) fn on_event(&mut self, e: Admitted) -> Result<(), No> {
        let (world, facts): (_, &Facts<'_>) = (self.world, self.facts);
        let (Some(endpoint), Some(event)) = (world.endpoint(&e.endpoint), facts.event) else {
            return Err(No::new(
                "TL0711",
                "event",
                format!(
                    "endpoint `{}` is not in this version of the workflow",
                    e.endpoint
                ),
            ));
        };
        self.actor = Actor::Endpoint {
            name: e.endpoint.clone(),
            kid: e.kid.clone(),
        };
        let first = self.case.seq == 0;
        let mut own = correlation(world, event, &world.settings);
        if first {
            // A message that brings none lends its id.
            self.case.correlation = own.take().unwrap_or_else(|| e.id.to_string());
            self.open(&e);
        } else if self.case.events.len() >= MAX_EVENTS {
            return Err(No::new(
                "TL0712",
                "event",
                format!("the case already holds {MAX_EVENTS} messages"),
            ));
        }
        let n = self.case.events.len() as u32 + 1;
        self.entry(Entry::Event {
            n,
            id: e.id,
            endpoint: e.endpoint.clone(),
            key_source: e.key_source.clone(),
            matched_key: e.matched_key,
            correlation: own.filter(|c| *c != self.case.correlation),
        });
        if world.reads_event_later() {
            self.fact(Fact::Message(event.clone()));
        }
        let (record, unmapped) = map_event(world, endpoint, event, n);
        for Unmapped { field, why, failed } in unmapped {
            match failed {
                true => self.not_evaluated(format!("map {field}"), endpoint.line, why),
                false => self.entry(Entry::LeftOut { part: field, why }),
            }
        }
        let changed = self.merge_event(record, first);
        self.take_natural_keys(event);
        if first {
            self.stamp("received_at");
            self.triage_from_pending();
        } else {
            self.after_join(changed);
        }
        Ok(())
    }

    fn open(&mut self, e: &Admitted) {
        self.case.seed = e.seed;
        self.case.origin = e.origin;
        self.case.definition = self.facts.definition;
        self.entry(Entry::Opened);
        let pending = &self.world.states[usize::from(canonical::PENDING)];
        self.case.owner.clone_from(&pending.owner);
        self.goal_clock(canonical::PENDING);
    }

    /// Takes mapped fields over: all of them for the first message; later ones fill what is absent, or
    /// replace what came from messages where the workflow says `update`.
    fn merge_event(&mut self, record: Record, first: bool) -> bool {
        let update = self.world.record.on_match == OnMatch::Update;
        let mut changed = false;
        for (name, field) in record {
            let allowed = self
                .world
                .record
                .field(&name)
                .is_some_and(|d| d.from == FieldFrom::Event || first);
            let free = match self.case.record.get(&name) {
                None => true,
                Some(old) => {
                    old.value.is_blank() || (update && matches!(old.source, Source::Event(_)))
                }
            };
            if allowed && free {
                changed |= self.set_field(&name, field.value, field.label, field.source);
            }
        }
        if first && !self.case.record.contains_key("source") {
            let source = self.facts.event.and_then(|e| e.at(&["source"])).cloned();
            if let Some(source) = source {
                self.set_field("source", source, Label::Config, Source::Engine);
            }
        }
        changed
    }

    /// Natural keys that the record gives now and the case does not hold yet.
    pub(super) fn take_natural_keys(&mut self, event: &Value) {
        let keys = natural_key_digests(self.world, &self.case.record, event, self.facts.tenant_key);
        for (_, key) in keys {
            if !self.case.keys.contains(&key) {
                self.fact(Fact::Key(key));
                self.keys.push(key);
            }
        }
    }
}
