//! A message: from its body to the fields of the record, opening a case or joining one.

use std::collections::BTreeMap;

use super::{Admitted, Deciding, Facts, No};
use crate::coerce::coerce;
use crate::digest::{Digest, keyed};
use crate::expr::{Found, Scope};
use crate::follow_up;
use crate::journal::{Actor, Entry, Fact};
use crate::limits::{MAX_CORRELATION, MAX_EVENTS, MAX_LISTED_KEYS};
use crate::program::{Auth, Endpoint, FieldFrom, OnAutomatic, OnMatch, Program, canonical};
use crate::value::{Field, Label, Record, Source, Value};

/// What the door calls a mail that a program sent by itself and that is no message of a person: `event.automatic`.
/// Mailing lists and notices of other systems are none of these; rules may close them.
const NOTED: &[&str] = &["bounce", "auto_reply", "loop"];

/// In place of a part that was left out: the message was noted, and nothing was done for it.
pub const NOTHING_DONE: &str = "*";

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

/// The word of an automatic mail that its door only notes.
fn unattended<'e>(endpoint: &Endpoint, event: &'e Value) -> Option<&'e str> {
    let word = event.at(&["automatic"]).and_then(Value::as_text)?;
    let noted = endpoint.automatic == OnAutomatic::Note && NOTED.contains(&word);
    noted.then_some(word)
}

/// Keyed digests of the record's natural keys; a key with an absent part is left out. A key that is one expression and
/// whose value is a list gives a digest for each text in it. Each comes with its position in the file.
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
    let digest = |text: &str| {
        let parts: [&[u8]; 3] = [b"natural", world.id.as_bytes(), text.as_bytes()];
        keyed(tenant_key, &parts)
    };
    for (i, key) in world.record.natural_keys.iter().enumerate() {
        let value = key.single().and_then(|expr| expr.eval(&scope).ok()?.value);
        if let Some(Value::List(items)) = &value {
            let texts = items.iter().filter_map(Value::as_text);
            let texts = texts.filter(|t| !t.trim().is_empty()).take(MAX_LISTED_KEYS);
            out.extend(texts.map(|text| (i as u8, digest(text))));
        } else if let Ok(text) = key.render(&scope)
            && text.absent.is_empty()
            && !text.text.trim().is_empty()
        {
            out.push((i as u8, digest(&text.text)));
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

/// What a message by a one-time link names as the key that verified it.
pub fn link_kid(ask: u32) -> String {
    format!("link-{ask}")
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
        self.link_counts(endpoint, &e.kid)?;
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
        // The text of a document is read once: what was decided by it stays with the case, and is erased with it.
        if world.reads_event_later() || event.at(&["documents"]).is_some() {
            self.fact(Fact::Message(event.clone()));
        }
        if let Some(word) = unattended(endpoint, event) {
            let (record, _) = map_event(world, endpoint, event, n);
            self.note_automatic(word, (event, record), first);
            return Ok(());
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

    /// A mail that no person wrote is only attached: it is answered by nothing and asks for nothing. One that belongs to
    /// no case has a case of its own, which shows what came and ends here. Its fields make no keys: the sender's next
    /// mail, a person's, shall not join it.
    fn note_automatic(&mut self, word: &str, (event, record): (&Value, Record), first: bool) {
        self.entry(Entry::LeftOut {
            part: NOTHING_DONE.into(),
            why: format!("was sent by a program and by no person ({word})"),
        });
        let nothing = Record::new();
        self.claim(natural_key_digests(
            self.world,
            &nothing,
            event,
            self.facts.tenant_key,
        ));
        if first {
            self.merge_event(record, true);
            self.stamp("received_at");
            if !self.move_to(canonical::CLOSED, word) {
                self.stuck("no_edge");
            }
        }
    }

    /// A one-time link counts while its case waits for the answer to the message that it stood in. It opens no case.
    fn link_counts(&self, endpoint: &Endpoint, kid: &str) -> Result<(), No> {
        if !endpoint.auth.contains(&Auth::Link) {
            return Ok(());
        }
        match follow_up::waits_for(self.world, &self.case) {
            Some((ask, _)) if link_kid(ask) == kid => Ok(()),
            _ => Err(No::new(
                follow_up::OVER,
                "event",
                "the case does not wait for what this link asks for".into(),
            )),
        }
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
    /// replace what came from messages where the workflow says `update`. Whoever has not proven who it is replaces
    /// only what others like it have said.
    fn merge_event(&mut self, record: Record, first: bool) -> bool {
        let update = self.world.record.on_match == OnMatch::Update;
        let n = u32::try_from(self.case.events.len()).unwrap_or(u32::MAX);
        let proven = self.sender_is_proven(n);
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
                    let may_replace = match old.source {
                        Source::Event(old) => update && (proven || !self.sender_is_proven(old)),
                        _ => false,
                    };
                    old.value.is_blank() || may_replace
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
        self.claim(keys);
    }

    fn claim(&mut self, keys: Vec<(u8, Digest)>) {
        for (_, key) in keys {
            if !self.case.keys.contains(&key) {
                self.fact(Fact::Key(key));
                self.keys.push(key);
            }
        }
    }
}
