//! Key sets of token issuers, fetched beside the request path: a verifier works on a snapshot and never waits here.

use std::time::Duration;

use http::Method;
use tl_wire::jwt::{KeySet, KeySetError};

use crate::client::{Auth, Client, Connection, ConnectionError, Request};
use crate::knowledge::Knowledge;

/// Time for one fetch.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Why no key set came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is not allowed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// No 200 with a body; holds the reason code or the status.
    #[error("TL0831 the key set could not be fetched: {0}")]
    Answer(String),
    /// The body is no key set.
    #[error("TL0832 the answer is no key set: {0}")]
    KeySet(#[from] KeySetError),
}

/// Fetches a key set. The address is checked like every other; `allow_private` is the installation owner's opt-in for
/// an issuer in the own network.
pub async fn fetch(client: &Client, url: &str, allow_private: bool) -> Result<KeySet, FetchError> {
    let (base, path) = split(url);
    let connection = Connection::new("key set", base, &Auth::None, allow_private)?;
    let request = Request {
        method: Method::GET,
        path_and_query: path.to_owned(),
        headers: vec![("accept".into(), "application/json".into())],
        body: None,
        mail: None,
        deadline: DEADLINE,
    };
    let body = match client.send(&connection, request).await.knowledge {
        Knowledge::Answered(answer) if answer.status == 200 => answer
            .body
            .map_err(|_| FetchError::Answer("body_broken".into()))?,
        Knowledge::Answered(answer) => {
            return Err(FetchError::Answer(format!("status {}", answer.status)));
        }
        Knowledge::NotSent(why) => return Err(FetchError::Answer(why.code().into())),
        Knowledge::NotProcessed => return Err(FetchError::Answer("not_processed".into())),
        Knowledge::Unknown(why) => return Err(FetchError::Answer(why.code().into())),
    };
    Ok(KeySet::from_jwks(&body)?)
}

/// The address up to its host, and the rest.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url[host..].find(['/', '?']) {
        Some(at) => url.split_at(host + at),
        None => (url, "/"),
    }
}
