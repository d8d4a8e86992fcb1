//! What came in: nothing acknowledged is lost, nothing is taken twice, nothing comes from nowhere.

use std::collections::BTreeMap;

use tl_kernel::id::{EventId, TenantId};
use tl_kernel::turn::StoredEvent;

use super::Evidence;
use crate::people::TENANTS;
use crate::workload::canary;

/// Every event of the database, with its tenant.
fn events(e: &Evidence) -> Vec<(TenantId, &StoredEvent)> {
    let taken = e
        .cases
        .iter()
        .flat_map(|c| c.events.iter().map(|ev| (c.row.tenant, ev)));
    let pending = e.pending.iter().map(|(t, ev)| (*t, ev));
    taken.chain(pending).collect()
}

/// Every message whose sender saw a 2xx is in the database.
pub(super) fn i1_ack_durability(e: &Evidence) -> Vec<String> {
    let there: Vec<EventId> = events(e).iter().map(|(_, ev)| ev.id).collect();
    e.acked
        .iter()
        .filter(|(_, event)| !there.contains(event))
        .map(|(n, event)| format!("letter {n} was acknowledged as {event}, which is not there"))
        .collect()
}

/// One event per message, known by its key, in exactly one case.
pub(super) fn i2_single_admission(e: &Evidence) -> Vec<String> {
    let mut by_payload: BTreeMap<(TenantId, &[u8]), Vec<EventId>> = BTreeMap::new();
    for (tenant, event) in events(e) {
        by_payload
            .entry((tenant, &event.payload))
            .or_default()
            .push(event.id);
    }
    let mut out = Vec::new();
    for letter in e.letters.values() {
        let key = (TenantId(letter.tenant), letter.body.as_bytes());
        let found = by_payload.get(&key).map_or(&[][..], Vec::as_slice);
        match (found, e.known.get(&letter.n)) {
            ([], None) => {}
            ([one], Some(known)) if one == known => {}
            (found, known) => {
                let ids: Vec<String> = found.iter().map(EventId::to_string).collect();
                out.push(format!(
                    "letter {}: events {ids:?}, known by its key: {known:?}",
                    letter.n
                ));
            }
        }
    }
    for (tenant, event) in &e.pending {
        out.push(format!(
            "event {} of tenant {} has no case",
            event.id, tenant.0
        ));
    }
    for c in &e.cases {
        let wrong = c.events.iter().filter(|ev| ev.case != Some(c.row.case));
        out.extend(wrong.map(|ev| format!("{} is not in its case {}", ev.id, c.row.case)));
        let opens = c.events.iter().filter(|ev| ev.id.0 == c.row.case.0).count();
        if opens != 1 {
            out.push(format!("{} was opened by {opens} events", c.row.case));
        }
    }
    out
}

/// Every event is one that was sent, to that door of that tenant.
pub(super) fn i3_no_phantom(e: &Evidence) -> Vec<String> {
    let sent = |tenant: TenantId, event: &StoredEvent| {
        e.letters.values().any(|l| {
            l.tenant == tenant.0
                && l.flow.endpoint == event.endpoint
                && l.body.as_bytes() == event.payload
        })
    };
    events(e)
        .into_iter()
        .filter(|(tenant, event)| !sent(*tenant, event))
        .map(|(_, event)| format!("nobody sent {}", event.id))
        .collect()
}

/// Nothing of one tenant is found at another: not in its rows, not in what was sent for it, not in what a model was
/// asked for it.
pub(super) fn i14_tenancy(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    let mut look = |tenant: TenantId, what: String, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for other in TENANTS.iter().filter(|t| **t != tenant) {
            let mark = canary(other.0);
            if text.contains(&mark) {
                out.push(format!(
                    "{what} of tenant {} holds the mark of {}",
                    tenant.0, other.0
                ));
            }
        }
    };
    for c in &e.cases {
        let tenant = c.row.tenant;
        for event in &c.events {
            look(tenant, event.id.to_string(), &event.payload);
        }
        for turn in &c.journal {
            let what = format!("turn {} of {}", turn.seq, c.row.case);
            look(tenant, what, turn.body.as_deref().unwrap_or_default());
        }
        for row in c.effects.values() {
            look(tenant, row.effect.to_string(), &row.args);
        }
        for message in &c.outbox {
            look(
                tenant,
                format!("outbox of {}", message.effect),
                message.text.as_bytes(),
            );
        }
    }
    // What reached vendors, and what models were asked.
    let senders = super::effects::senders(e);
    let mut strangers = Vec::new();
    for request in &e.arrived {
        match senders.get(&request.trace) {
            Some((c, _)) => look(c.row.tenant, request.line.clone(), request.body.as_bytes()),
            None => strangers.push(format!("nobody knows whose `{}` was", request.line)),
        }
    }
    for ((tenant, id), versions) in &e.records {
        for v in versions {
            look(*tenant, format!("record {id}"), &v.body);
        }
    }
    out.extend(strangers);
    out
}
