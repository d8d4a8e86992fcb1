//! Mail that the installation fetches itself and brings to a door: from a folder, from a mailbox. Who may leave mail
//! there was settled by whoever owns the place; from there on everything is as for a message over HTTP: room, limits,
//! parse, schema, dedupe keys, commit.

use std::sync::Arc;

use http::HeaderMap;
use tl_kernel::digest::{hex, sha256};
use tl_kernel::id::EventId;
use tl_kernel::limits::DEDUPE_KEEP;
use tl_wire::content_type::ContentType;

use super::{
    Found, Sender, Way, admission, build, check, class, commit_counted, documents, enter, find,
    keys, parse, room, too_large,
};
use crate::echoes::Echo;
use crate::forms::SignedIn;
use crate::intake::{Admission, Admitted};
use crate::problem::{MALFORMED, PANICKED, Problem};
use crate::state::Web;

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It is committed, now or before.
    Taken {
        /// It was here already.
        known: bool,
    },
    /// It will never be taken as it is: code and sentence.
    Refused(&'static str, String),
    /// Nothing can be taken now: one word that says why.
    Later(&'static str),
    /// There is no such door that takes mail, or it is closed.
    NoDoor,
}

/// Brings mail to doors.
#[derive(Clone)]
pub struct Carrier {
    web: Arc<Web>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier").finish_non_exhaustive()
    }
}

impl Carrier {
    pub(crate) fn new(web: Arc<Web>) -> Carrier {
        Carrier { web }
    }

    /// Brings what people fill in at the console to the same doors.
    pub fn signed_in(&self) -> SignedIn {
        SignedIn::new(Arc::clone(&self.web))
    }

    /// The largest mail that a door takes, bytes; nothing where there is no such door.
    pub async fn most(&self, (tenant, endpoint): (&str, &str)) -> Option<u32> {
        let found = find(&self.web, Way::Carried, tenant, endpoint).await.ok()?;
        Some(found.endpoint().max_body)
    }

    /// Brings one complete mail to a door of a tenant. `by` is the word under which the message says who brought it.
    pub async fn deliver(
        &self,
        (tenant, endpoint): (&str, &str),
        raw: Vec<u8>,
        by: &str,
    ) -> Carried {
        let web = &self.web;
        let Ok(found) = find(web, Way::Carried, tenant, endpoint).await else {
            return Carried::NoDoor;
        };
        let (held, door, by) = (Arc::clone(web), found.clone(), by.to_owned());
        // On its own, so that a mail which makes the reading panic ends neither the fetching nor those behind it.
        let task = tokio::spawn(async move { receive(&held, &door, raw, &by).await });
        let outcome = match task.await {
            Ok(outcome) => outcome,
            Err(e) if e.is_panic() => {
                let error = web.error_id();
                tracing::error!(error, "reading a mail panicked");
                Err(Problem::internal(error).class(PANICKED))
            }
            Err(_) => return Carried::Later("draining"),
        };
        web.metrics.ingested(Some(&found), class(&outcome));
        match outcome {
            Ok(Admitted::Accepted { .. }) => Carried::Taken { known: false },
            Ok(Admitted::Duplicate { .. }) => Carried::Taken { known: true },
            // Too many at once, or an error of ours that will pass: it is tried again as it is.
            Err(p) if !p.is_for_good() => Carried::Later(p.class),
            Err(p) => Carried::Refused(p.code, sentence(&p)),
        }
    }
}

async fn receive(
    web: &Arc<Web>,
    found: &Found,
    raw: Vec<u8>,
    by: &str,
) -> Result<Admitted, Problem> {
    let id = web.draw_id();
    let most = found.endpoint().max_body;
    let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
    if length > most {
        return Err(too_large(most));
    }
    let _place = enter(web, found, id)?;
    let _memory = room(web, length, id)?;
    let rfc822 = ContentType::parse(b"message/rfc822")
        .map_err(|e| Problem::new(MALFORMED, e.to_string()))?;
    let mut message = parse::message(found.endpoint(), &rfc822, raw)?;
    check(web, found, &message.body)?;
    documents::read(web, &mut message, id).await?;
    commit_counted(web, of_mail(web, found, (id, by), message)?).await
}

fn of_mail(
    web: &Web,
    found: &Found,
    (id, by): (EventId, &str),
    mut message: super::Message,
) -> Result<(Admission, Option<Echo>), Problem> {
    let now = web.intake.now();
    let echo = web.echoes.mark(found, &mut message, now);
    let event = build(found, &mut message, (id, now), &HeaderMap::new());
    let sender = Sender {
        kid: by.to_owned(),
        delivery: None,
        principal: None,
        preset: None,
        timeless: false,
    };
    // No sender gives a key here. The bytes of a mail without a Message-ID name it: its `Received` lines alone tell it
    // from another with the same words.
    let bytes = hex(&sha256(&[&message.payload]));
    let given = message.pointer.is_none().then_some(bytes.as_str());
    let mut keys = keys(found, &sender, (&message, &event), given)?;
    keys.keep = keys.keep.max(DEDUPE_KEEP);
    let said = (event, message);
    Ok((admission(found, (id, now), (sender, keys), said), echo))
}

/// What is wrong, for a person who has the mail before them.
fn sentence(problem: &Problem) -> String {
    let mut out = format!("{}. {}", problem.kind.title, problem.detail);
    for e in &problem.errors {
        out.push_str(&format!("\n{}: {}", e.pointer, e.expected));
    }
    out
}
