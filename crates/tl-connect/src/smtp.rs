//! Mail by SMTP (RFC 5321): one session for one mail, and what is known when it breaks.
//!
//! Until the content has gone out whole, nothing has happened: a server answers for a mail only after the final dot. After
//! the dot a lost answer leaves open whether the mail was taken, and no later question to the server would tell.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::{Connection, Resolver};
use crate::knowledge::{self, Answer, Knowledge, NotSent, Unknown};

/// What a server says of a log-in that it refuses.
const LOG_IN_REFUSED: u16 = 535;
/// Everything is as it should be.
const GREETED: u16 = 250;
/// The server cannot take such an address.
const ADDRESS_REFUSED: u16 = 553;
/// Characters of a server's words that are kept: among them is the number under which it took the mail.
const KEPT_WORDS: usize = 200;
/// The goodbye changes nothing; it is said, and its answer is not waited for long.
const GOODBYE: Duration = Duration::from_millis(500);

/// From whom a mail comes and to whom it goes, for the servers on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender, to whom it returns.
    pub from: String,
    /// The recipient. One: a server may take some of several and refuse others.
    pub to: String,
}

/// Sends mails.
pub(crate) struct Sender {
    pub(crate) resolver: Resolver,
    /// Certificates (PEM) that are trusted beside the operating system's.
    pub(crate) roots: Vec<Vec<u8>>,
    /// Time to resolve a name and to connect.
    pub(crate) connect: Duration,
    /// By host; the operating system's certificates are read once for each.
    pub(crate) tls: Mutex<BTreeMap<String, TlsParameters>>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("resolver", &self.resolver)
            .finish_non_exhaustive()
    }
}

/// What ended a session before its mail was out.
enum Broken {
    NotSent(NotSent),
    /// The server's answer.
    Said(u16),
    /// The server was there, and the mail's content was not.
    Early,
}

impl From<Broken> for Knowledge {
    fn from(broken: Broken) -> Knowledge {
        match broken {
            Broken::NotSent(why) => Knowledge::NotSent(why),
            Broken::Said(code) => answered(code, String::new()),
            Broken::Early => Knowledge::NotProcessed,
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        error
            .status()
            .map_or(Broken::Early, |code| Broken::Said(code.into()))
    }
}

impl Sender {
    /// Sends one mail once.
    pub(crate) async fn send(
        &self,
        connection: &Connection,
        (envelope, mail): (&Envelope, &[u8]),
        deadline: Instant,
    ) -> Knowledge {
        let opened = timeout_at(deadline, self.open(connection)).await;
        let mut session = match opened {
            Err(_) => return Knowledge::NotSent(NotSent::ConnectTimeout),
            Ok(Err(broken)) => return broken.into(),
            Ok(Ok(session)) => session,
        };
        let known = match timeout_at(deadline, announce(&mut session, envelope)).await {
            Err(_) => Knowledge::NotProcessed,
            Ok(Err(broken)) => broken.into(),
            Ok(Ok(())) => match timeout_at(deadline, session.message(mail)).await {
                Err(_) => Knowledge::Unknown(Unknown::Deadline),
                Ok(Ok(said)) => answered(said.code().into(), words(&said)),
                Ok(Err(error)) => after_the_content(&error),
            },
        };
        // It may have ended already, and whatever is said now changes nothing.
        let _ = timeout(GOODBYE, session.quit()).await;
        known
    }

    /// Connects, encrypts, logs in, and says goodbye.
    pub(crate) async fn greet(&self, connection: &Connection, deadline: Instant) -> Knowledge {
        match timeout_at(deadline, self.open(connection)).await {
            Err(_) => Knowledge::NotSent(NotSent::ConnectTimeout),
            Ok(Err(broken)) => broken.into(),
            Ok(Ok(mut session)) => {
                let _ = timeout(GOODBYE, session.quit()).await;
                answered(GREETED, String::new())
            }
        }
    }

    /// Connects, encrypts, and logs in.
    async fn open(&self, connection: &Connection) -> Result<AsyncSmtpConnection, Broken> {
        let hello = match connection.settings().get("hello") {
            Some(name) => ClientId::Domain(name.clone()),
            None => ClientId::default(),
        };
        let tls = self.tls(connection.bare_host()).map_err(Broken::NotSent)?;
        let at_once = connection.is_encrypted().then(|| tls.clone());
        let mut session = self.reach(connection, &hello, at_once).await?;
        if !connection.is_encrypted() && session.can_starttls() {
            let upgraded = session.starttls(tls, &hello).await;
            upgraded.map_err(|e| not_connected(&e))?;
        }
        let open = !session.is_encrypted();
        // The owner of the installation may let a server in the own network be spoken to in the clear.
        if open && !connection.allows_private() {
            return Err(Broken::NotSent(NotSent::Tls));
        }
        if let Some((mechanisms, credentials)) = shown(connection) {
            if open && !connection.is_loopback() {
                return Err(Broken::NotSent(NotSent::Tls));
            }
            log_in(&mut session, mechanisms, &credentials).await?;
        }
        Ok(session)
    }

    /// The first of the host's addresses that can be reached.
    async fn reach(
        &self,
        connection: &Connection,
        hello: &ClientId,
        tls: Option<TlsParameters>,
    ) -> Result<AsyncSmtpConnection, Broken> {
        let (host, port) = (connection.bare_host(), connection.port());
        let private = connection.allows_private();
        let found = timeout(self.connect, self.resolver.addresses(host, private)).await;
        let found = found
            .unwrap_or(Err(NotSent::Dns))
            .map_err(Broken::NotSent)?;
        let mut last = Broken::NotSent(NotSent::Dns);
        for ip in found {
            let at = SocketAddr::new(ip, port);
            let reached = AsyncSmtpConnection::connect_tokio1(at, None, hello, tls.clone(), None);
            last = match timeout(self.connect, reached).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => not_connected(&error),
                Err(_) => Broken::NotSent(NotSent::ConnectTimeout),
            };
        }
        Err(last)
    }

    /// Encryption for a host whose certificate has to bear its name.
    fn tls(&self, host: &str) -> Result<TlsParameters, NotSent> {
        let mut kept = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = kept.get(host) {
            return Ok(tls.clone());
        }
        let mut builder = TlsParameters::builder(host.to_owned());
        for pem in &self.roots {
            let root = Certificate::from_pem(pem).map_err(|_| NotSent::Tls)?;
            builder = builder.add_root_certificate(root);
        }
        let tls = builder.build_rustls().map_err(|_| NotSent::Tls)?;
        kept.insert(host.to_owned(), tls.clone());
        Ok(tls)
    }
}

/// Says from whom a mail comes and to whom it goes, up to where its content may follow.
async fn announce(session: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), Broken> {
    let address = |text: &str| text.parse::<Address>();
    let (Ok(from), Ok(to)) = (address(&envelope.from), address(&envelope.to)) else {
        return Err(Broken::NotSent(NotSent::Request));
    };
    let mut asks = Vec::new();
    if !envelope.from.is_ascii() || !envelope.to.is_ascii() {
        if !session
            .server_info()
            .supports_feature(Extension::SmtpUtfEight)
        {
            return Err(Broken::Said(ADDRESS_REFUSED));
        }
        asks.push(MailParameter::SmtpUtfEight);
    }
    session.command(Mail::new(Some(from), asks)).await?;
    session.command(Rcpt::new(to, Vec::new())).await?;
    session.command(Data).await?;
    Ok(())
}

async fn log_in(
    session: &mut AsyncSmtpConnection,
    mechanisms: &[Mechanism],
    credentials: &Credentials,
) -> Result<(), Broken> {
    if session
        .server_info()
        .get_auth_mechanism(mechanisms)
        .is_none()
    {
        return Err(Broken::NotSent(NotSent::LogIn));
    }
    match session.auth(mechanisms, credentials).await {
        Ok(_) => Ok(()),
        // A refused token is answered with a question for which there is no answer.
        Err(error) if error.is_client() => Err(Broken::Said(LOG_IN_REFUSED)),
        Err(error) => Err(error.into()),
    }
}

/// What a connection shows, in the words of SMTP: a pair of user and password, or a token and whose it is.
fn shown(connection: &Connection) -> Option<(&'static [Mechanism], Credentials)> {
    let shown = connection.shown()?;
    if let Some(pair) = shown.strip_prefix("Basic ") {
        let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        let both = Credentials::new(user.to_owned(), password.to_owned());
        return Some((&[Mechanism::Plain, Mechanism::Login], both));
    }
    let token = shown.strip_prefix("Bearer ")?.to_owned();
    let user = connection
        .settings()
        .get("user")
        .cloned()
        .unwrap_or_default();
    Some((&[Mechanism::Xoauth2], Credentials::new(user, token)))
}

fn not_connected(error: &Error) -> Broken {
    if let Some(code) = error.status() {
        return Broken::Said(code.into());
    }
    Broken::NotSent(match error.source() {
        Some(source) => knowledge::why_no_session(source, error.is_tls()),
        None => NotSent::Unreachable,
    })
}

/// The content is out, perhaps whole.
fn after_the_content(error: &Error) -> Knowledge {
    match (error.status(), error.source()) {
        (Some(code), _) => answered(code.into(), String::new()),
        (None, Some(source)) => Knowledge::Unknown(knowledge::why_ended(source)),
        (None, None) => Knowledge::Unknown(Unknown::Closed),
    }
}

fn answered(status: u16, words: String) -> Knowledge {
    Knowledge::Answered(Answer {
        status,
        headers: BTreeMap::new(),
        body: Ok(words.into_bytes()),
    })
}

fn words(said: &Response) -> String {
    let all = said.message().collect::<Vec<_>>().join(" ");
    all.chars()
        .filter(|c| !c.is_control())
        .take(KEPT_WORDS)
        .collect()
}
