//! Whether a message that is tried has come before, and which case it would join. Reads only.

use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::case::Case;
use tl_kernel::decide::{map_event, natural_key_digests};
use tl_kernel::digest::sha256;
use tl_kernel::program::{Auth, OnMatch};
use tl_web::intake::Admission;

use super::super::Ctx;
use super::super::views::Repeat;
use crate::explain::key_words;
use crate::failure::Failure;
use crate::text::At;

impl Ctx<'_> {
    /// The stored message that this one repeats.
    pub(super) async fn repeats(
        &self,
        view: &Tenant,
        a: &Admission,
    ) -> Result<Option<Repeat>, Failure> {
        let store = self.app.desk.store();
        let known = store
            .known_event(view.id, a.endpoint.clone(), a.keys.clone(), self.now())
            .await?;
        let Some((event, payload)) = known else {
            return Ok(None);
        };
        let stored = store.event(view.id, event).await?;
        let stored = stored.map(|(_, stored)| stored);
        Ok(Some(Repeat {
            event: event.to_string(),
            case: stored
                .as_ref()
                .and_then(|s| s.case)
                .map(|case| case.to_string()),
            taken_at: stored.map(|s| At(s.received_at)),
            recognised_by: key_words(&a.key_source).to_owned(),
            same_bytes: payload == sha256(&[&a.payload]),
        }))
    }

    /// The case that the message would join, and the position of the natural key that says so.
    pub(super) async fn joins(
        &self,
        view: &Tenant,
        bundle: &Bundle,
        a: &Admission,
    ) -> Result<Option<(Case, u8)>, Failure> {
        let program = &bundle.program;
        let Some(endpoint) = program
            .endpoint(&a.endpoint)
            .filter(|_| program.record.on_match != OnMatch::Open)
        else {
            return Ok(None);
        };
        let (record, _) = map_event(program, endpoint, &a.event, 1);
        let keys = natural_key_digests(program, &record, &a.event, &view.key);
        if keys.is_empty() {
            return Ok(None);
        }
        let digests = keys.iter().map(|(_, d)| *d).collect();
        let found = self
            .app
            .desk
            .store()
            .natural_key(view.id, program.id.clone(), digests)
            .await?;
        let Some((case, position)) = found else {
            return Ok(None);
        };
        let key = keys.get(position as usize).map_or(0, |(i, _)| *i);
        Ok(Some((self.app.desk.load(view.id, case).await?, key)))
    }
}

/// What is said about repeats.
pub(super) fn repeat_note(
    found: Option<&Repeat>,
    (bundle, a): (&Bundle, &Admission),
    now: i64,
) -> String {
    if let Some(repeat) = found {
        let when = repeat
            .taken_at
            .map_or_else(String::new, |at| format!(", taken {}", at.from(now)));
        let case = repeat
            .case
            .as_ref()
            .map_or_else(String::new, |case| format!(", of {case}"));
        let bytes = if repeat.same_bytes {
            ""
        } else {
            ", although its bytes differ"
        };
        return format!(
            "it is a duplicate of {}{when}{case}, recognised by {}{bytes}: its sender would be told so and nothing \
             more would happen. What follows is what a new message of this content would do",
            repeat.event, repeat.recognised_by
        );
    }
    let bearer = |auth: &Auth| matches!(auth, Auth::ApiKey | Auth::Jwt { .. });
    let endpoint = bundle.program.endpoint(&a.endpoint);
    if a.key_source != "pointer" && endpoint.is_some_and(|e| e.auth.iter().all(bearer)) {
        return "whether it is a duplicate cannot be said: this door knows a repeat by its caller and the caller's \
                Idempotency-Key"
            .into();
    }
    format!(
        "it is no duplicate: no stored message is the same by {}",
        key_words(&a.key_source)
    )
}
