//! A request that its caller may send again: the Idempotency-Key, what it stands for, and the saved answer.

use http::header;
use http::request::Parts;
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::id::{EventId, TenantId};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_store::{Row, Unit};

use crate::problem::{KEY_REUSED, Problem};
use crate::security::Refused;
use crate::state::Web;

/// Part of the fingerprint, so that a later version of the interface does not answer for this one.
const API_VERSION: &[u8] = b"v1";

/// The caller's own key, and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) tenant: TenantId,
    pub(crate) principal: String,
    pub(crate) key: String,
    pub(crate) fingerprint: Digest,
}

impl Command {
    /// The fingerprint covers method, route, path parameters, query in order, content type and body.
    pub(crate) fn new(
        tenant: TenantId,
        (principal, key): (String, String),
        (head, route, names): (&Parts, &str, &[&str]),
        raw: &[u8],
    ) -> Command {
        let mut query: Vec<&str> = head.uri.query().unwrap_or_default().split('&').collect();
        query.sort_unstable();
        let query = query.join("&");
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let mut parts: Vec<&[u8]> = vec![
            head.method.as_str().as_bytes(),
            route.as_bytes(),
            query.as_bytes(),
            content_type.map_or(&b""[..], |v| v.as_bytes()),
            raw,
            API_VERSION,
        ];
        parts.extend(names.iter().map(|n| n.as_bytes()));
        let lengths: Vec<[u8; 8]> = parts
            .iter()
            .map(|p| (p.len() as u64).to_be_bytes())
            .collect();
        let framed: Vec<&[u8]> = lengths
            .iter()
            .zip(&parts)
            .flat_map(|(l, p)| [&l[..], p])
            .collect();
        Command {
            tenant,
            principal,
            key,
            fingerprint: sha256(&framed),
        }
    }

    /// Principal, key and fingerprint, as they are committed.
    pub(crate) fn named(&self) -> (String, String, Digest) {
        (self.principal.clone(), self.key.clone(), self.fingerprint)
    }

    /// The saved answer of the same request; a key that was used for another one is refused.
    pub(crate) async fn saved(
        &self,
        web: &Web,
        id: EventId,
    ) -> Result<Option<(u16, Vec<u8>)>, Problem> {
        let question = web
            .store
            .idempotent(self.tenant, self.principal.clone(), self.key.clone());
        match web.ask(question, id).await? {
            None => Ok(None),
            Some((fingerprint, status, body)) if fingerprint == self.fingerprint => {
                Ok(Some((status, body)))
            }
            Some(_) => {
                let now = web.intake.now();
                let refused = Refused {
                    reason: "key_reused",
                    id,
                    headers: None,
                    body: &self.fingerprint,
                };
                web.security.refused((self.tenant, "api"), refused, now);
                Err(Problem::new(
                    KEY_REUSED,
                    "Draw a new key for a new request.",
                ))
            }
        }
    }

    /// The row that saves an answer.
    pub(crate) fn row(&self, status: u16, body: Vec<u8>, now: i64) -> Row {
        Row::Idempotent {
            principal: self.principal.clone(),
            key: self.key.clone(),
            fingerprint: self.fingerprint,
            status,
            body,
            expires: now.saturating_add(DEDUPE_KEEP),
        }
    }

    /// A refusal of the request's content is an answer too: the same request gets it again. Where it cannot be
    /// saved, the request is simply judged again.
    pub(crate) async fn save_refusal(&self, web: &Web, problem: &Problem) {
        let mut unit = Unit::new(self.tenant);
        let row = self.row(problem.kind.status, problem.body(), web.intake.now());
        unit.rows.push(row);
        if let Err(e) = web.store.commit(unit).await {
            tracing::warn!("an answer could not be saved: {e}");
        }
    }
}
