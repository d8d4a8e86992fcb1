//! By what a repeated message is recognised. The first rule that applies counts and is recorded:
//!
//! 1. `signed_id`: a delivery id that the signature covers: in a header, or where a vendor's table says in the body;
//! 2. `header_and_body`: a header that it does not cover, together with the signed bytes: two keys, either match
//!    is a duplicate, so that a captured body cannot come again under a fresh header;
//! 3. `pointer`: what the workflow names in the signed body; the Message-ID of a mail;
//! 4. `api_key`: the Idempotency-Key of an authenticated caller, in the caller's own scope;
//! 5. `weak`: the bytes alone.
//!
//! The natural keys of a record are no rule here: a second message about the same thing joins its case.
//!
//! Where a workflow asks for the header, it is missing and nothing else names the message, the request is refused:
//! the bytes alone would decide, and the sender meant them not to.

use tl_kernel::digest::{Digest, keyed, sha256};
use tl_kernel::expr::{Found as Name, Scope};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::program::Idempotency;
use tl_kernel::value::{Label, Value};

use super::{Found, Message, Sender};
use crate::headers;
use crate::limits::{KEEP_FOR_EVER, MAX_DELIVERY_ID, WEAK_KEEP};
use crate::problem::Problem;

/// The keys of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The strongest first.
    pub(crate) keys: Vec<Digest>,
    /// Which rule gave the strongest.
    pub(crate) source: &'static str,
    /// How long they live, µs.
    pub(crate) keep: i64,
}

struct EventScope<'a>(&'a Value, &'a Found);

impl Scope for EventScope<'_> {
    fn lookup<'s>(&'s self, names: &[String]) -> Name<'s> {
        let (value, label) = match names.split_first() {
            Some((root, rest)) if root == "event" => (self.0.at(rest), Label::Untrusted),
            Some((root, rest)) if root == "settings" => {
                let settings = &self.1.door().program.settings;
                let first = rest
                    .split_first()
                    .and_then(|(name, inner)| settings.get(name)?.at(inner));
                (first, Label::Config)
            }
            _ => (None, Label::Config),
        };
        match value {
            Some(v) => Name::borrowed(v, label),
            None => Name::absent(label),
        }
    }
}

/// The keys of a verified message; refused where it lacks the header that its door asks for.
pub(crate) fn keys(
    found: &Found,
    sender: &Sender,
    (message, event): (&Message, &Value),
    header: Option<&str>,
) -> Result<Keys, Problem> {
    let key = |word: &str, material: &[u8]| {
        let parts: [&[u8]; 4] = [b"dedupe", found.name.as_bytes(), word.as_bytes(), material];
        keyed(&found.view.key, &parts)
    };
    let body = || key("body", &message.payload);
    let keys = |source, keys| Keys {
        keys,
        source,
        keep: match sender.timeless {
            true => KEEP_FOR_EVER,
            false => DEDUPE_KEEP,
        },
    };
    let idempotency = &found.endpoint().idempotency;
    let covered = sender
        .delivery
        .as_ref()
        .filter(|d| d.covered)
        .map(|d| &d.value);
    let inside = message
        .signed_id
        .as_ref()
        .filter(|_| sender.principal.is_none());
    let by_vendor = sender.preset.is_some();
    if let Some(id) = covered.or(inside) {
        let mut all = vec![key("signed_id", id.as_bytes())];
        // A vendor may sign an id of the sending beside that of the event; a second sending of it is known by the
        // latter.
        if let Some(event) = inside.filter(|event| by_vendor && *event != id) {
            all.push(key("signed_id", event.as_bytes()));
        }
        return Ok(keys("signed_id", all));
    }
    // A vendor's own header is the rule where the owner has made none.
    if by_vendor && let Some(text) = pointer(found, (message, event)) {
        return Ok(keys("pointer", vec![key("pointer", text.as_bytes())]));
    }
    if sender.principal.is_none() {
        let uncovered = sender.delivery.as_ref().map(|d| d.value.as_str());
        let declared = header.filter(|_| *idempotency == Idempotency::Header && !by_vendor);
        if let Some(id) = uncovered.or(declared) {
            let both = vec![key("header", id.as_bytes()), body()];
            return Ok(keys("header_and_body", both));
        }
    }
    if let Some(text) = pointer(found, (message, event)) {
        return Ok(keys("pointer", vec![key("pointer", text.as_bytes())]));
    }
    if let (Some(principal), Some(header)) = (&sender.principal, header) {
        return Ok(keys("api_key", vec![api_command(found, principal, header)]));
    }
    // No vendor sends a header of ours.
    if *idempotency == Idempotency::Header && !by_vendor {
        return Err(headers::key_missing());
    }
    Ok(Keys {
        keys: vec![body()],
        source: "weak",
        keep: WEAK_KEEP,
    })
}

/// The key of a caller's own Idempotency-Key.
pub(crate) fn api_command(found: &Found, principal: &str, key: &str) -> Digest {
    let parts: [&[u8]; 5] = [
        b"dedupe",
        found.name.as_bytes(),
        b"api_key",
        principal.as_bytes(),
        key.as_bytes(),
    ];
    keyed(&found.view.key, &parts)
}

/// What the workflow points at in the body, or the id that names a mail. A long one is as good by its hash.
fn pointer(found: &Found, (message, event): (&Message, &Value)) -> Option<String> {
    let declared = match &found.endpoint().idempotency {
        Idempotency::Pointer(template) => template
            .render(&EventScope(event, found))
            .ok()
            .filter(|r| r.absent.is_empty() && !r.text.trim().is_empty())
            .map(|r| r.text),
        _ => None,
    };
    let text = declared.or_else(|| message.pointer.clone())?;
    if text.len() > MAX_DELIVERY_ID {
        return Some(tl_kernel::digest::hex(&sha256(&[text.as_bytes()])));
    }
    Some(text)
}
