//! One exchange of a call: the request goes out once, and what is known of it comes back.
//!
//! A connection that logs in gets its token first, and once more where a token is refused: a refused request changed
//! nothing.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use tl_kernel::connector::{HttpRequest, Meaning};
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::time::SECOND;

use crate::backoff;
use crate::call::{self, Call, CallError, Draft, Found, ReadState, with_settings};
use crate::classify::{BodySays, Observation, Overrides};
use crate::client::{Client, Connection, Request};
use crate::knowledge::{Answer, Knowledge, Sent};
use crate::login;

/// Where a call goes, and what travels with it.
#[derive(Debug, Clone, Copy)]
pub struct To<'a> {
    /// Where to, and as whom.
    pub connection: &'a Connection,
    /// Travels as `x-correlation-id`.
    pub correlation_id: &'a str,
    /// Travels as `traceparent`, so that the spans of whoever answers belong to the trace of the case.
    pub trace: Option<&'a str>,
    /// Time for everything.
    pub deadline: Duration,
    /// Our clock, µs since the Unix epoch: what a `Retry-After` date counts from.
    pub now: i64,
}

/// What a write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// What was observed, for [`crate::classify::classify`].
    pub observation: Observation,
    /// What the connector says the answer means, for the same.
    pub overrides: Overrides,
    /// The record's version after the write, where the answer names it; else it has to be read.
    pub version: Option<String>,
    /// What the vendor calls the record.
    pub vendor_ref: Option<String>,
    /// Evidence.
    pub receipt: Receipt,
}

impl WriteOutcome {
    /// The credential was refused.
    pub fn is_refused(&self) -> bool {
        let Observation::Answered { status, .. } = self.observation else {
            return false;
        };
        crate::classify::meaning(status, &self.overrides) == Meaning::Credential
    }
}

/// Evidence of one attempt. It holds no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Status, where there was an answer.
    pub status: Option<u16>,
    /// The vendor's id of the request.
    pub request_id: Option<String>,
    /// SHA-256 of the answer's body.
    pub answer: Option<Digest>,
    /// Bytes of the request's body.
    pub body_bytes: usize,
    /// How long it took.
    pub took: Duration,
}

/// What a read came to.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOutcome {
    /// What was observed.
    pub observation: Observation,
    /// What the record is.
    pub state: ReadState,
    /// Evidence.
    pub receipt: Receipt,
}

/// What a look-up came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUpOutcome {
    /// What was observed.
    pub observation: Observation,
    /// What was found.
    pub found: Found,
    /// Evidence.
    pub receipt: Receipt,
}

/// Writes once.
pub async fn write(
    client: &Client,
    call: &Call<'_>,
    to: &To<'_>,
) -> Result<WriteOutcome, CallError> {
    let draft = call.write()?;
    let is_refused = |answer: &Answer| {
        let said = call.heard(answer).overrides;
        crate::classify::meaning(answer.status, &said) == Meaning::Credential
    };
    let draft = dated(signed(draft, call, to)?, to.now);
    let sent = send(client, to, &draft, is_refused).await;
    let receipt = receipt_of(&sent);
    let heard = match &sent.knowledge {
        Knowledge::Answered(answer) => Some(call.heard(answer)),
        _ => None,
    };
    let says = heard.as_ref().map_or(BodySays::Agrees, |h| h.body);
    let observation = observe(&sent, to.now, |_| says);
    let (overrides, version, vendor_ref) = match heard {
        Some(h) => (h.overrides, h.version, h.vendor_ref),
        None => (Overrides::default(), None, None),
    };
    Ok(WriteOutcome {
        observation,
        overrides,
        version,
        vendor_ref,
        receipt,
    })
}

/// Reads the record once, or gets what the write needs.
pub async fn read(client: &Client, call: &Call<'_>, to: &To<'_>) -> Result<ReadOutcome, CallError> {
    let draft = call.read()?;
    let sent = send(client, to, &draft, |a| a.status == 401).await;
    let state = match &sent.knowledge {
        Knowledge::Answered(answer) => call.state(answer),
        _ => ReadState::Unread,
    };
    let says = match state {
        ReadState::Unread => BodySays::Contradicts,
        _ => BodySays::Agrees,
    };
    Ok(ReadOutcome {
        observation: observe(&sent, to.now, |_| says),
        state,
        receipt: receipt_of(&sent),
    })
}

/// Looks once for what became of an attempt.
pub async fn look_up(
    client: &Client,
    call: &Call<'_>,
    to: &To<'_>,
) -> Result<LookUpOutcome, CallError> {
    let draft = call.look_up()?;
    let sent = send(client, to, &draft, |a| a.status == 401).await;
    let found = match &sent.knowledge {
        Knowledge::Answered(answer) => call.found(answer),
        _ => Found::Unread,
    };
    let says = match found {
        Found::Unread => BodySays::Contradicts,
        Found::These(_) => BodySays::Agrees,
    };
    Ok(LookUpOutcome {
        observation: observe(&sent, to.now, |_| says),
        found,
        receipt: receipt_of(&sent),
    })
}

/// Asks whether the connection is there and takes its credential: by the request that its connector names for that, else
/// by asking for its base address. Nothing changes at the other side.
pub async fn check(
    client: &Client,
    asks: Option<&HttpRequest>,
    to: &To<'_>,
) -> Result<Sent, CallError> {
    if to.connection.is_by_mail() {
        return Ok(client.greet(to.connection, to.deadline).await);
    }
    let plain = Draft {
        method: Method::GET,
        path_and_query: "/".into(),
        headers: vec![("accept".into(), "application/json".into())],
        body: None,
        mail: None,
    };
    let draft = match asks {
        Some(spec) => call::request(spec, &with_settings(to.connection.settings()), |_| Ok(()))?,
        None => plain,
    };
    Ok(send(client, to, &draft, |a| a.status == 401).await)
}

/// Sends a draft; with another token where the first is refused.
async fn send(
    client: &Client,
    to: &To<'_>,
    draft: &Draft,
    is_refused: impl Fn(&Answer) -> bool,
) -> Sent {
    let request = request_of(draft, to);
    let Some(session) = to.connection.session() else {
        return client.send(to.connection, request).await;
    };
    let mut last = None;
    for _ in 0..2 {
        let shown = match login::shown(client, to, session).await {
            Ok(shown) => shown,
            Err(failed) => return last.unwrap_or(failed),
        };
        let sent = client.send(&shown, request.clone()).await;
        match &sent.knowledge {
            Knowledge::Answered(answer) if is_refused(answer) => session.forget().await,
            _ => return sent,
        }
        last = Some(sent);
    }
    last.unwrap_or(Sent {
        knowledge: Knowledge::NotProcessed,
        took: Duration::ZERO,
        body_bytes: 0,
    })
}

/// The draft with its signature, where the connection signs.
fn signed(mut draft: Draft, call: &Call<'_>, to: &To<'_>) -> Result<Draft, CallError> {
    if let Some(secret) = to.connection.signs() {
        let body = draft.body.as_deref().unwrap_or_default();
        let headers = login::signed(secret, to, call.effect.id, body);
        let headers = headers.map_err(|e| CallError::Unsigned(e.to_string()))?;
        draft.headers.extend(headers);
    }
    Ok(draft)
}

/// A mail says when it left; everything else of it is the same at each attempt.
fn dated(mut draft: Draft, now: i64) -> Draft {
    if let (Some(_), Some(body)) = (&draft.mail, &mut draft.body) {
        let seconds = u64::try_from(now.div_euclid(SECOND)).unwrap_or_default();
        let at = UNIX_EPOCH + Duration::from_secs(seconds);
        let date = httpdate::fmt_http_date(at).replace("GMT", "+0000");
        body.splice(..0, format!("Date: {date}\r\n").into_bytes());
    }
    draft
}

pub(crate) fn request_of(draft: &Draft, to: &To<'_>) -> Request {
    let mut headers = draft.headers.clone();
    headers.push(("x-correlation-id".into(), to.correlation_id.to_owned()));
    headers.extend(to.trace.map(|t| ("traceparent".to_owned(), t.to_owned())));
    // A vendor that hands out an address names its own host in it.
    let base = to.connection.base_url().trim_end_matches('/');
    let path = draft.path_and_query.strip_prefix(base);
    Request {
        method: draft.method.clone(),
        path_and_query: path.unwrap_or(&draft.path_and_query).to_owned(),
        headers,
        body: draft.body.clone(),
        mail: draft.mail.clone(),
        deadline: to.deadline,
    }
}

/// What was observed of an exchange; `says` judges the body of an answer.
pub(crate) fn observe(sent: &Sent, now: i64, says: impl Fn(&Answer) -> BodySays) -> Observation {
    match &sent.knowledge {
        Knowledge::NotSent(why) => Observation::NotSent(*why),
        Knowledge::NotProcessed => Observation::NotProcessed,
        Knowledge::Unknown(why) => Observation::Unknown(*why),
        Knowledge::Answered(answer) => Observation::Answered {
            status: answer.status,
            retry_after: retry_after_of(answer, now),
            body: if answer.body.is_err() {
                BodySays::Broken
            } else {
                says(answer)
            },
        },
    }
}

pub(crate) fn retry_after_of(answer: &Answer, now: i64) -> Option<i64> {
    backoff::retry_after(answer.header("retry-after")?, answer.header("date"), now)
}

fn receipt_of(sent: &Sent) -> Receipt {
    let answer = match &sent.knowledge {
        Knowledge::Answered(answer) => Some(answer),
        _ => None,
    };
    let id = |a: &Answer| {
        a.header("x-request-id")
            .or(a.header("request-id"))
            .map(str::to_owned)
    };
    Receipt {
        status: answer.map(|a| a.status),
        request_id: answer.and_then(id),
        answer: answer
            .and_then(|a| a.body.as_ref().ok())
            .map(|b| sha256(&[b])),
        body_bytes: sent.body_bytes,
        took: sent.took,
    }
}
