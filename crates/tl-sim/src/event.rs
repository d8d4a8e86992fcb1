//! Messages as a door hands them on: verified, parsed, with their keys.

use std::collections::BTreeMap;

use tl_engine::admit::Message;
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::id::{EventId, TenantId};
use tl_kernel::payload::parse_json;
use tl_kernel::time::DAY;
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::Value;

use crate::dice::Dice;
use crate::workload::Letter;

/// The dedupe key of a letter.
pub fn key_of(letter: &Letter) -> Digest {
    keyed(b"delivery", &[letter.id.as_bytes()])
}

/// The event that an accepted message is to expressions.
fn event(endpoint: &str, id: EventId, received_at: i64, payload: &[u8]) -> Option<Value> {
    let body = parse_json(payload).ok()?;
    let parts = [
        ("id", Value::text(id.to_string())),
        ("source", Value::text(endpoint)),
        ("endpoint", Value::text(endpoint)),
        ("channel", Value::text("api")),
        ("received_at", Value::Time(received_at)),
        ("body", body),
    ];
    let parts: BTreeMap<String, Value> =
        parts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
    Some(Value::Record(parts))
}

/// The same for a message that is in the store.
pub fn event_of(endpoint: &str, stored: &StoredEvent) -> Option<Value> {
    event(endpoint, stored.id, stored.received_at, &stored.payload)
}

/// One try to deliver a letter at an instant, with the id that the door draws for it.
pub fn message(letter: &Letter, now: i64, dice: &mut Dice) -> Option<Message> {
    let mut id = [0u8; 16];
    id[..6].copy_from_slice(&((now / 1000) as u64).to_be_bytes()[2..]);
    id[6..14].copy_from_slice(&dice.bits().to_be_bytes());
    id[14..].copy_from_slice(&(letter.n as u16).to_be_bytes());
    let id = EventId(id);
    let mut keys = vec![key_of(letter)];
    // Some tries carry a further key, by which the letter is known as well.
    if dice.chance(300) {
        keys.push(keyed(b"body", &[letter.body.as_bytes()]));
    }
    let seed = keyed(b"seed", &[&dice.bits().to_be_bytes()]);
    Some(Message {
        tenant: TenantId(letter.tenant),
        workflow: letter.flow.id.into(),
        endpoint: letter.flow.endpoint.into(),
        event: event(letter.flow.endpoint, id, now, letter.body.as_bytes())?,
        id,
        seed: std::array::from_fn(|i| seed[i]),
        keys,
        key_source: "signed_id".into(),
        expires: now + 90 * DAY,
        kid: "k1".into(),
        received_at: now,
        content_type: "application/json".into(),
        payload: letter.body.as_bytes().to_vec(),
        answer: None,
        pending: false,
    })
}
