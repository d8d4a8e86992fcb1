//! Connections of connectors: what a request shows, and the log-in where that is a token.
//!
//! A log-in is infrastructure, no effect: it changes nothing at the vendor, it is repeated without harm, and its
//! failure means that the effect's own request was not sent.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use tl_kernel::connector::{Login, Present, Scheme};
use tl_kernel::time::SECOND;
use tl_kernel::value::{Label, Value};
use tl_wire::signature::{Scheme as Signature, SchemeError, Secret, Stamp, sign};
use tokio::sync::Mutex;

use crate::call::{self, Names, with_settings};
use crate::client::{Client, Connection, ConnectionError};
use crate::exchange::{To, request_of};
use crate::knowledge::{Answer, Knowledge, NotSent, Sent};

/// A connection's settings and secrets.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    /// What the connector asks for.
    pub settings: BTreeMap<String, String>,
    /// The secret, or several by name.
    pub secret: Value,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The token of a connection that logs in.
pub struct Session {
    login: Login,
    present: Present,
    credentials: Credentials,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    shown: (HeaderName, HeaderValue),
    /// Used until then, µs.
    until: i64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// The token is not good any more.
    pub(crate) async fn forget(&self) {
        *self.token.lock().await = None;
    }

    /// Whether it logs in with the same secrets.
    pub(crate) fn is_same(&self, other: &Session) -> bool {
        self.credentials == other.credentials && self.login == other.login
    }
}

/// What a connection of a scheme shows, or the session that gets it.
pub(crate) enum Way {
    Shown(Option<(HeaderName, HeaderValue)>),
    Session(Arc<Session>),
    Signed(Secret),
}

pub(crate) fn way(scheme: &Scheme, credentials: Credentials) -> Result<Way, ConnectionError> {
    if scheme.signs {
        let text = credentials.secret.as_text().unwrap_or_default();
        let secret = Secret::standard_webhooks("1", text, 0, None);
        return secret
            .map(Way::Signed)
            .map_err(|_| ConnectionError::Credential);
    }
    match &scheme.login {
        Some(login) => Ok(Way::Session(Arc::new(Session {
            login: login.clone(),
            present: scheme.present.clone(),
            credentials,
            token: Mutex::new(None),
        }))),
        None => {
            let names = names(&credentials, None);
            Ok(Way::Shown(header(&scheme.present, &names)?))
        }
    }
}

fn names(credentials: &Credentials, token: Option<&str>) -> Names {
    let mut out = with_settings(&credentials.settings);
    out.insert("secret".into(), (credentials.secret.clone(), Label::Config));
    if let Some(token) = token {
        out.insert("token".into(), (Value::text(token), Label::Config));
    }
    out
}

/// The header that identifies a request; none for a scheme that shows nothing.
fn header(
    present: &Present,
    names: &Names,
) -> Result<Option<(HeaderName, HeaderValue)>, ConnectionError> {
    if present.header.is_empty() {
        return Ok(None);
    }
    let failed = |_| ConnectionError::Credential;
    let text = present.value.render(names).map_err(failed)?;
    if !text.absent.is_empty() {
        return Err(ConnectionError::Credential);
    }
    let text = match present.basic {
        true => format!("Basic {}", STANDARD.encode(&text.text)),
        false => text.text,
    };
    let name = HeaderName::try_from(present.header.as_str());
    let value = HeaderValue::try_from(text);
    let (Ok(name), Ok(mut value)) = (name, value) else {
        return Err(ConnectionError::Credential);
    };
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// The connection with its token: the one that is there, or a new one.
pub(crate) async fn shown(
    client: &Client,
    to: &To<'_>,
    session: &Session,
) -> Result<Connection, Sent> {
    // The lock is held across the log-in: those that come meanwhile wait for one token instead of asking for many.
    let mut kept = session.token.lock().await;
    if let Some(token) = kept.as_ref().filter(|t| to.now < t.until) {
        return Ok(to.connection.showing(token.shown.clone()));
    }
    let token = log_in(client, to, session).await?;
    let connection = to.connection.showing(token.shown.clone());
    *kept = Some(token);
    Ok(connection)
}

async fn log_in(client: &Client, to: &To<'_>, session: &Session) -> Result<Token, Sent> {
    let names = names(&session.credentials, None);
    let not_sent = |why| Sent {
        knowledge: Knowledge::NotSent(why),
        took: std::time::Duration::ZERO,
        body_bytes: 0,
    };
    let draft = call::request(&session.login.request, &names, |_| Ok(()))
        .map_err(|_| not_sent(NotSent::LogIn))?;
    let target = target(to, session, &names).ok_or_else(|| not_sent(NotSent::Target))?;
    let at = To {
        connection: &target,
        ..*to
    };
    let sent = client.send(&target, request_of(&draft, &at)).await;
    let Knowledge::Answered(answer) = &sent.knowledge else {
        return Err(not_sent(NotSent::LogIn));
    };
    match token_of(answer, session, names, to.now) {
        Some(token) => Ok(token),
        // The vendor does not know who we are: as if the request itself had been refused.
        None if answer.status < 500 && answer.status != 429 => Err(Sent {
            knowledge: Knowledge::Answered(Answer {
                status: 401,
                headers: BTreeMap::new(),
                body: Ok(Vec::new()),
            }),
            ..sent
        }),
        None => Err(not_sent(NotSent::LogIn)),
    }
}

/// Where the log-in goes: to the connection's own place, or to the server of tokens that the connector names. A
/// stand-in on this machine is asked itself: no credential of it goes anywhere else.
fn target(to: &To<'_>, session: &Session, names: &Names) -> Option<Connection> {
    let own = session.login.base_url.as_ref();
    let base = match own.filter(|_| !to.connection.is_loopback()) {
        Some(template) => template.render(names).ok()?.text,
        None => to.connection.base_url().to_owned(),
    };
    let shown = match &session.login.shows {
        Some(present) => header(present, names).ok()?,
        None => None,
    };
    Connection::bare(to.connection, &base, shown).ok()
}

fn token_of(answer: &Answer, session: &Session, mut names: Names, now: i64) -> Option<Token> {
    if !(200..300).contains(&answer.status) {
        return None;
    }
    let body = call::parsed(answer);
    names.insert(
        "answer".into(),
        (call::shown(answer, body.as_ref()), Label::Config),
    );
    let text = call::text(&session.login.token, &names)?;
    let expires = session.login.expires.as_ref();
    let seconds = expires.and_then(|e| call::text(e, &names)?.parse::<i64>().ok());
    // A token is used until shortly before it ends.
    let lives = seconds.map_or(session.login.lives, |s| {
        s.max(0).saturating_mul(SECOND) / 10 * 9
    });
    names.insert("token".into(), (Value::Text(text), Label::Config));
    let shown = header(&session.present, &names).ok()??;
    Some(Token {
        shown,
        until: now.saturating_add(lives.min(session.login.lives)),
    })
}

/// The headers of a signed message. The time of sending is in them, so they are made anew for each attempt; the id of
/// the message is the effect's, so that a repetition is known by it.
pub(crate) fn signed(
    secret: &Secret,
    to: &To<'_>,
    id: &str,
    body: &[u8],
) -> Result<Vec<(String, String)>, SchemeError> {
    let stamp = Stamp {
        delivery_id: Some(id),
        timestamp_s: to.now.div_euclid(SECOND),
    };
    sign(&Signature::StandardWebhooks, secret, stamp, body)
}
