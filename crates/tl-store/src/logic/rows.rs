//! Applies the rows that carry data: events, evidence, messages, records, saved answers, leaves.

use tl_kernel::id::TenantId;
use tl_kernel::turn::StoredEvent;

use super::check::received;
use super::counters::What;
use super::view::{Held, Holder, Numbered, Payload};
use super::{Out, short_keys};
use crate::contract::{Attempt, Guard, OutboxMessage, RecordWrite, Row, Unit};
use crate::keys::{Joined, ShortKey};
use crate::value::{Val, vals};
use crate::writes::W;

impl<'a> Out<'_, 'a> {
    /// Applies a row. Changes of effects were applied with the turns, in the order that `check` walked.
    pub(super) fn row(&mut self, unit: &'a Unit, row: &'a Row) {
        let tenant = unit.tenant;
        match row {
            Row::Event {
                event,
                keys,
                expires,
            } => {
                let ord = self.event(tenant, event);
                let keys = short_keys(&event.endpoint, keys);
                self.take_keys((tenant, event.received_at), &keys, (ord, *expires));
            }
            Row::Variant { event, body, at } => {
                let Some(ord) = self.view.events.get(&(tenant, *event)).copied() else {
                    return;
                };
                self.counters.seen(tenant, What::Duplicate);
                self.change_event((tenant, ord), vals![1_i64, Val::Null, Val::Null]);
                if let Some(body) = body {
                    let row = vals![tenant.0, ord, body, *at];
                    self.changes.at(W::Variant).push(row);
                }
            }
            Row::EventJoined { event, case } => {
                let Some(ord) = self.view.events.get(&(tenant, *event)).copied() else {
                    return;
                };
                let (how, other) = match event.0 == case.0 {
                    true => (Joined::Opened, None),
                    false => (Joined::Attached, Some(&case.0)),
                };
                self.change_event((tenant, ord), vals![0_i64, how as i64, other]);
            }
            Row::EventApart { event } => {
                if let Some(ord) = self.view.events.get(&(tenant, *event)).copied() {
                    let apart = vals![0_i64, Joined::Apart as i64, Val::Null];
                    self.change_event((tenant, ord), apart);
                }
            }
            Row::Effect(_) => {}
            Row::Attempt(done) => self.attempt(tenant, done),
            Row::Outbox(message) => self.outbox(tenant, message),
            Row::Record(write) => self.record(tenant, write),
            Row::People(people) => self.people(tenant, people),
            Row::Idempotent { .. } => self.idempotent(tenant, row),
            Row::Placed { .. } | Row::Checkpoint(_) | Row::Cursor { .. } => self.audit(tenant, row),
            Row::Sweep {
                part,
                now,
                slots_before,
            } => {
                let t = tenant.0;
                // The last part has no upper end among one-byte keys: 17 bytes are longer than any key.
                let to = part.checked_add(1).map_or(vec![0xff; 17], |p| vec![p]);
                let keys = vals![t, [*part], to, *now];
                self.changes.at(W::SweepKeys).push(keys);
                self.changes.at(W::SweepAnswers).push(vals![t, *now]);
                let slots = vals![t, *slots_before];
                self.changes.at(W::SweepSlots).push(slots);
            }
            config => self.config(tenant, config),
        }
    }

    fn event(&mut self, tenant: TenantId, event: &'a StoredEvent) -> i64 {
        let (joined, case) = match &event.case {
            None => (Joined::Pending, None),
            Some(case) if case.0 == event.id.0 => (Joined::Opened, None),
            Some(case) => (Joined::Attached, Some(&case.0)),
        };
        let ord = self.view.next.take(Numbered::Event);
        let row = vals![
            ord,
            tenant.0,
            &event.id.0,
            &event.endpoint,
            event.received_at,
            &event.kid,
            &event.key_source,
            joined as i64,
            case,
            0_i64,
        ];
        self.changes.at(W::Event).push(row);
        let body = vals![ord, tenant.0, event.content_type.as_bytes(), &event.payload];
        self.changes.at(W::EventBody).push(body);
        self.counters.seen(tenant, What::Event);
        self.view.events.insert((tenant, event.id), ord);
        let holder = Holder {
            id: event.id,
            payload: Payload::Brought(&event.payload),
        };
        self.view.holders.insert(ord, holder);
        ord
    }

    /// Duplicates to be added, how it was joined, and to which case.
    fn change_event(&mut self, (tenant, ord): (TenantId, i64), set: [Val<'a>; 3]) {
        let batch = self.changes.at(W::EventSet);
        match batch.find(&vals![ord, tenant.0]) {
            Some(row) => {
                let [more, joined, case] = set;
                let sum = batch.get(row, 2).and_then(Val::int).unwrap_or(0);
                let more = more.int().unwrap_or(0);
                batch.fill(row, [Val::Int(sum + more), joined, case]);
            }
            None => {
                let [more, joined, case] = set;
                batch.push([Val::Int(ord), tenant.0.into(), more, joined, case]);
            }
        }
    }

    /// Takes keys that are free or whose life has ended.
    fn take_keys(&mut self, at: (TenantId, i64), keys: &[ShortKey], holder: (i64, i64)) {
        let (tenant, now) = at;
        let (event, expires) = holder;
        for key in keys {
            if self.view.held(tenant, *key, now).is_some() {
                continue;
            }
            let before = self.view.dedupe.get(&(tenant, *key)).copied();
            let image = vals![tenant.0, *key, event, expires];
            let writes = (W::DedupeSet, W::Dedupe);
            let row = self.changes.put(before.map(|b| b.row), writes, image);
            let held = Held {
                event,
                expires,
                row: Some(row),
            };
            self.view.dedupe.insert((tenant, *key), held);
        }
    }

    /// After a duplicate: the keys of the unit that are still free lead to the event that was found.
    pub(super) fn alias_free_keys(&mut self, unit: &Unit, event: i64) {
        let life = unit.rows.iter().find_map(|row| match row {
            Row::Event { expires, .. } => Some(*expires),
            _ => None,
        });
        // Without an event of its own the unit brings no life time for a key.
        let Some(expires) = life else { return };
        for guard in &unit.guards {
            if let Guard::KeysFree { endpoint, keys } = guard {
                let keys = short_keys(endpoint, keys);
                self.take_keys((unit.tenant, received(unit)), &keys, (event, expires));
            }
        }
    }

    fn attempt(&mut self, tenant: TenantId, done: &'a Attempt) {
        let row = vals![
            tenant.0,
            &done.effect.case.0,
            done.effect.n,
            done.n,
            done.at,
            done.took,
            &done.knowledge,
            done.status,
            &done.code,
            done.detail.as_bytes(),
        ];
        self.changes.at(W::Attempt).push(row);
    }

    fn outbox(&mut self, tenant: TenantId, message: &'a OutboxMessage) {
        let ord = self.view.next.take(Numbered::Outbox);
        let row = vals![
            ord,
            tenant.0,
            &message.effect.case.0,
            message.effect.n,
            message.at,
            &message.channel,
        ];
        self.changes.at(W::Outbox).push(row);
        let body = vals![
            ord,
            tenant.0,
            message.to.as_bytes(),
            message.subject.as_bytes(),
            message.text.as_bytes(),
        ];
        self.changes.at(W::OutboxBody).push(body);
    }

    fn record(&mut self, tenant: TenantId, write: &'a RecordWrite) {
        let ord = self.view.next.take(Numbered::Record);
        let row = vals![
            ord,
            tenant.0,
            &write.kind,
            write.id.as_bytes(),
            write.version.cast_signed(),
            &write.by,
            write.at,
            write.key.as_ref(),
        ];
        self.changes.at(W::Record).push(row);
        let body = vals![ord, tenant.0, &write.body, &write.provenance];
        self.changes.at(W::RecordBody).push(body);
        let key = (tenant, write.kind.clone(), write.id.as_bytes().to_vec());
        self.view.records.insert(key, write.version);
    }

    fn idempotent(&mut self, tenant: TenantId, row: &'a Row) {
        let Row::Idempotent {
            principal,
            key,
            fingerprint,
            status,
            body,
            expires,
        } = row
        else {
            return;
        };
        let ord = self.view.next.take(Numbered::Idempotent);
        let used = (tenant, principal.clone(), key.as_bytes().to_vec());
        self.view.answers.insert(used);
        let row = vals![
            ord,
            tenant.0,
            principal,
            key.as_bytes(),
            fingerprint,
            *status,
            *expires,
            body,
        ];
        self.changes.at(W::Idempotent).push(row);
    }

    fn audit(&mut self, tenant: TenantId, row: &'a Row) {
        match row {
            Row::Placed {
                pos,
                leaves,
                after,
                frontier,
            } => {
                let size = pos + leaves.len() as u64;
                let ord = self.view.next.take(Numbered::Placed);
                let run = vals![ord, tenant.0, pos.cast_signed(), leaves.concat()];
                self.changes.at(W::Placed).push(run);
                let tree = vals![tenant.0, size.cast_signed(), after.cast_signed(), frontier];
                self.changes.at(W::Tree).put(1, tree);
                self.view.trees.insert(tenant, size);
            }
            Row::Checkpoint(c) => {
                let row = vals![tenant.0, c.size.cast_signed(), &c.root, &c.sig, c.at];
                self.changes.at(W::Checkpoint).push(row);
            }
            Row::Cursor { name, value } => {
                let now = self
                    .view
                    .cursors
                    .entry((tenant, name.clone()))
                    .or_insert(i64::MIN);
                if *now < *value {
                    *now = *value;
                    let row = vals![tenant.0, name, *value];
                    self.changes.at(W::Cursor).put(2, row);
                }
            }
            _ => {}
        }
    }

    /// Takes the uses of limits that the unit's guards name.
    pub(super) fn take_slots(&mut self, unit: &'a Unit) {
        for guard in &unit.guards {
            if let Guard::Slot {
                action,
                subject,
                window,
                n,
            } = guard
            {
                let slot = (unit.tenant, *window, action.clone(), *subject, *n);
                self.view.slots.insert(slot);
                let row = vals![unit.tenant.0, *window, action, subject, *n];
                self.changes.at(W::Slot).push(row);
            }
        }
    }
}
