//! The one outbound HTTP client.
//!
//! It follows no redirect, reads no proxy setting, repeats nothing by itself, and connects only to addresses it has
//! resolved and checked for this very connection. A credential belongs to its connection and goes to no other host.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::{self, TargetError};
use crate::backoff;
use crate::knowledge::{self, Answer, Blocked, BodyError, Knowledge, NotSent, Sent, Unknown};
use crate::login::{self, Credentials, Session};
use crate::smtp::{Envelope, Sender};
use tl_kernel::connector::{Rate, Scheme};
use tl_wire::signature::Secret as Signing;

/// Largest answer body that is read, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// Time to resolve a name, connect and shake hands. Callers give a longer deadline, so that an attempt which found
/// no server ends as "not sent" and not as "unknown".
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Idle connections are dropped before common servers drop them (5 s): a request that meets a closing connection
/// ends as "unknown", and that costs a person's time.
const IDLE: Duration = Duration::from_secs(4);

/// Headers the client sets itself; a caller that names one is refused.
const OWN_HEADERS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of an answer that nobody needs and that hold a credential.
const DROPPED_HEADERS: &[&str] = &["set-cookie", "set-cookie2", "www-authenticate"];
/// Longest header value that is kept, bytes, and most headers.
const KEPT_HEADER: usize = 4_096;
const KEPT_HEADERS: usize = 100;

/// Text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How a connection identifies itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of the vendor's own.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// An endpoint with its credential.
#[derive(Debug, Clone)]
pub struct Connection {
    name: String,
    base: Url,
    auth: Option<(HeaderName, HeaderValue)>,
    allow_private: bool,
    settings: Arc<BTreeMap<String, String>>,
    session: Option<Arc<Session>>,
    signs: Option<Signing>,
    rate: Option<Rate>,
    connector: Option<String>,
}

impl Connection {
    /// Checks the address and the credential. `allow_private` is the opt-in of the installation's owner for a
    /// system in the own network; it also admits plain `http`.
    pub fn new(
        name: impl Into<String>,
        base_url: &str,
        auth: &Auth,
        allow_private: bool,
    ) -> Result<Connection, ConnectionError> {
        Ok(Connection {
            name: name.into(),
            base: address::check_base(base_url, allow_private)?,
            auth: auth_header(auth)?,
            allow_private,
            settings: Arc::default(),
            session: None,
            signs: None,
            rate: None,
            connector: None,
        })
    }

    /// The same place, known to be of a connector.
    pub fn of_kind(self, connector: impl Into<String>) -> Connection {
        Connection {
            connector: Some(connector.into()),
            ..self
        }
    }

    /// The connector that it is of, where that is known.
    pub fn connector(&self) -> Option<&str> {
        self.connector.as_deref()
    }

    /// A connection of a connector, by one of its ways to log in; `None`: it shows nothing.
    pub fn of_connector(
        plain: Connection,
        scheme: Option<&Scheme>,
        credentials: Credentials,
        rate: Option<Rate>,
    ) -> Result<Connection, ConnectionError> {
        let settings = Arc::new(credentials.settings.clone());
        let way = scheme.map(|s| login::way(s, credentials)).transpose()?;
        let (auth, session, signs) = match way {
            None => (None, None, None),
            Some(login::Way::Shown(auth)) => (auth, None, None),
            Some(login::Way::Session(session)) => (None, Some(session), None),
            Some(login::Way::Signed(secret)) => (None, None, Some(secret)),
        };
        Ok(Connection {
            auth,
            session,
            signs,
            settings,
            rate,
            ..plain
        })
    }

    /// The same place, showing a token.
    pub(crate) fn showing(&self, shown: (HeaderName, HeaderValue)) -> Connection {
        Connection {
            auth: Some(shown),
            session: None,
            ..self.clone()
        }
    }

    /// Another place under the same name, for a log-in.
    pub(crate) fn bare(
        of: &Connection,
        base_url: &str,
        auth: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Connection, ConnectionError> {
        Ok(Connection {
            base: address::check_base(base_url, of.allow_private)?,
            auth,
            session: None,
            ..of.clone()
        })
    }

    /// The log-in, where it has one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.session.as_deref()
    }

    /// The key that its messages are signed with.
    pub(crate) fn signs(&self) -> Option<&Signing> {
        self.signs.as_ref()
    }

    /// What its connector asks for.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// How often it may be asked.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Whether it leads to this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.base.host_str().unwrap_or("");
        host == "localhost" || address::literal(host).is_some_and(|ip| ip.is_loopback())
    }

    /// Its name, as `connections.yaml` gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its base address.
    pub fn base_url(&self) -> &str {
        self.base.as_str()
    }

    /// The host and port its credential is bound to.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or("");
        format!("{host}:{}", self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        let usual = match self.base.scheme() {
            "smtps" => 465,
            "smtp" => 587,
            _ => 0,
        };
        self.base.port_or_known_default().unwrap_or(usual)
    }

    /// The host without the brackets of an address.
    pub(crate) fn bare_host(&self) -> &str {
        let host = self.base.host_str().unwrap_or("");
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether it is reached by SMTP.
    pub fn is_by_mail(&self) -> bool {
        matches!(self.base.scheme(), "smtp" | "smtps")
    }

    /// Whether everything is encrypted from the first byte.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.base.scheme(), "https" | "smtps")
    }

    /// What its requests show.
    pub(crate) fn shown(&self) -> Option<&str> {
        self.auth
            .as_ref()
            .and_then(|(_, value)| value.to_str().ok())
    }

    /// Whether it leads to the same place with the same credential.
    pub fn is_same(&self, other: &Connection) -> bool {
        let same_session = match (&self.session, &other.session) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is_same(b),
            _ => false,
        };
        self.base == other.base
            && self.auth == other.auth
            && same_session
            && self.signs == other.signs
    }

    /// Whether it may reach private addresses.
    pub fn allows_private(&self) -> bool {
        self.allow_private
    }
}

/// Why a connection cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Its address.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its credential has characters that no header can carry, or its header's name is none.
    #[error("TL0818 the credential cannot be sent in a header")]
    Credential,
}

fn auth_header(auth: &Auth) -> Result<Option<(HeaderName, HeaderValue)>, ConnectionError> {
    let (name, text) = match auth {
        Auth::None => return Ok(None),
        Auth::Bearer(secret) => (http::header::AUTHORIZATION, format!("Bearer {}", secret.0)),
        Auth::Basic { user, password } => {
            if user.contains(':') {
                return Err(ConnectionError::Credential);
            }
            let pair = STANDARD.encode(format!("{user}:{}", password.0));
            (http::header::AUTHORIZATION, format!("Basic {pair}"))
        }
        Auth::Header { name, value } => {
            let is_own = |n: &HeaderName| {
                OWN_HEADERS.contains(&n.as_str()) && n != http::header::AUTHORIZATION
            };
            let name = HeaderName::try_from(name.as_str())
                .ok()
                .filter(|n| !is_own(n));
            (name.ok_or(ConnectionError::Credential)?, value.0.clone())
        }
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| ConnectionError::Credential)?;
    value.set_sensitive(true);
    Ok(Some((name, value)))
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT` and so on.
    pub method: Method,
    /// What follows the connection's base address, beginning with `/`.
    pub path_and_query: String,
    /// Headers: name and value. The credential is added by the client.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// The body is a mail, for a connection by SMTP: it goes from there to there, and everything above is not used.
    pub mail: Option<Envelope>,
    /// Time for everything, the answer's body included.
    pub deadline: Duration,
}

/// How the client is set up. The default suits everyone without an own certificate authority.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Certificates (PEM) that are trusted beside the operating system's.
    pub roots: Vec<Vec<u8>>,
    /// Names with fixed addresses, looked up before the system's resolver. The addresses are checked like all others;
    /// a name with an empty list does not exist.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Another time to connect than [`CONNECT_TIMEOUT`].
    pub connect_timeout: Option<Duration>,
}

/// Why the client cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TL0819 the HTTP client cannot be set up: {0}")]
pub struct SetUpError(String);

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    way: Way,
    /// Asked right before a request leaves.
    allowed: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Told what time it is elsewhere.
    heard: Option<Arc<Heard>>,
}

/// Takes the name of a host and what its answer was dated, µs since the Unix epoch.
type Heard = dyn Fn(&str, i64) + Send + Sync;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
enum Way {
    Sockets(Sockets),
    Given(Arc<dyn Exchange>),
}

#[derive(Debug, Clone)]
struct Sockets {
    public: reqwest::Client,
    /// A second pool: a connection to a private address must not be found by a request that may not reach it.
    private: reqwest::Client,
    mail: Arc<Sender>,
}

/// One exchange with a system that is reached without sockets: what a simulation puts in place of the network.
pub trait Exchange: fmt::Debug + Send + Sync {
    /// Sends a request that the client has checked, once.
    fn exchange(
        &self,
        connection: &Connection,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Sent> + Send>>;
}

impl Client {
    /// Sets the client up. The operating system's trusted certificates are read.
    pub fn new(options: &Options) -> Result<Client, SetUpError> {
        Ok(Client {
            way: Way::Sockets(Sockets {
                public: build(options, false)?,
                private: build(options, true)?,
                mail: Arc::new(Sender {
                    resolver: Resolver {
                        hosts: options.hosts.clone(),
                    },
                    roots: options.roots.clone(),
                    connect: options.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
                    tls: std::sync::Mutex::default(),
                }),
            }),
            allowed: None,
            heard: None,
        })
    }

    /// A client whose requests go to `exchange` and to no socket.
    pub fn over(exchange: Arc<dyn Exchange>) -> Client {
        Client {
            way: Way::Given(exchange),
            allowed: None,
            heard: None,
        }
    }

    /// The same client, from which nothing leaves while the answer is no: log-ins, reads and repeats included.
    pub fn while_allowed(self, allowed: impl Fn() -> bool + Send + Sync + 'static) -> Client {
        Client {
            allowed: Some(Arc::new(allowed)),
            ..self
        }
    }

    /// The same client, which passes on how answers of systems outside the own network are dated.
    pub fn telling(self, heard: impl Fn(&str, i64) + Send + Sync + 'static) -> Client {
        Client {
            heard: Some(Arc::new(heard)),
            ..self
        }
    }

    /// Sends one request once.
    pub async fn send(&self, connection: &Connection, request: Request) -> Sent {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed()) {
            return unsent(&request, NotSent::Lease);
        }
        let sent = match &self.way {
            Way::Given(exchange) => given(exchange.as_ref(), connection, request).await,
            Way::Sockets(sockets) => sockets.send(connection, request).await,
        };
        self.tell(connection, &sent);
        sent
    }

    /// Opens a session with a mail server, logs in, and says goodbye.
    pub async fn greet(&self, connection: &Connection, deadline: Duration) -> Sent {
        let begun = Instant::now();
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed());
        let knowledge = match &self.way {
            _ if !allowed => Knowledge::NotSent(NotSent::Lease),
            Way::Given(_) => Knowledge::NotSent(NotSent::Unreachable),
            Way::Sockets(sockets) => {
                let deadline = tokio::time::Instant::now() + deadline;
                sockets.mail.greet(connection, deadline).await
            }
        };
        Sent {
            knowledge,
            took: begun.elapsed(),
            body_bytes: 0,
        }
    }

    fn tell(&self, connection: &Connection, sent: &Sent) {
        let (Some(heard), Knowledge::Answered(answer)) = (&self.heard, &sent.knowledge) else {
            return;
        };
        // A system in the own network may well have its time from this very machine.
        if connection.allow_private {
            return;
        }
        let date = answer.header("date").and_then(backoff::http_date);
        if let (Some(host), Some(date)) = (connection.base.host_str(), date) {
            heard(host, date);
        }
    }
}

/// The same checks, and another way out.
async fn given(exchange: &dyn Exchange, connection: &Connection, request: Request) -> Sent {
    if request.mail.is_some() && connection.is_by_mail() {
        return exchange.exchange(connection, request).await;
    }
    match prepare(connection, request.clone()) {
        Ok(_) => exchange.exchange(connection, request).await,
        Err(why) => unsent(&request, why),
    }
}

fn unsent(request: &Request, why: NotSent) -> Sent {
    Sent {
        knowledge: Knowledge::NotSent(why),
        took: Duration::ZERO,
        body_bytes: request.body.as_ref().map_or(0, Vec::len),
    }
}

impl Sockets {
    async fn send(&self, connection: &Connection, request: Request) -> Sent {
        let begun = Instant::now();
        let body_bytes = request.body.as_ref().map_or(0, Vec::len);
        let deadline = tokio::time::Instant::now() + request.deadline;
        if let (Some(envelope), true) = (&request.mail, connection.is_by_mail()) {
            let mail = (envelope, request.body.as_deref().unwrap_or_default());
            return Sent {
                knowledge: self.mail.send(connection, mail, deadline).await,
                took: begun.elapsed(),
                body_bytes,
            };
        }
        let knowledge = match prepare(connection, request) {
            Err(why) => Knowledge::NotSent(why),
            Ok(request) => {
                self.exchange(connection.allow_private, request, deadline)
                    .await
            }
        };
        Sent {
            knowledge,
            took: begun.elapsed(),
            body_bytes,
        }
    }

    async fn exchange(
        &self,
        private: bool,
        request: reqwest::Request,
        deadline: tokio::time::Instant,
    ) -> Knowledge {
        let client = if private { &self.private } else { &self.public };
        match tokio::time::timeout_at(deadline, client.execute(request)).await {
            Err(_) => Knowledge::Unknown(Unknown::Deadline),
            Ok(Err(error)) => knowledge::of_failure(&error),
            Ok(Ok(mut response)) => {
                let status = response.status().as_u16();
                let headers = kept(response.headers());
                let body = match tokio::time::timeout_at(deadline, read_body(&mut response)).await {
                    Ok(body) => body,
                    Err(_) => Err(BodyError::Slow),
                };
                Knowledge::Answered(Answer {
                    status,
                    headers,
                    body,
                })
            }
        }
    }
}

fn build(options: &Options, allow_private: bool) -> Result<reqwest::Client, SetUpError> {
    let failed = |e: reqwest::Error| SetUpError(e.to_string());
    let mut roots = Vec::new();
    for pem in &options.roots {
        roots.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?);
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("throughline/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        // A compressing proxy changes the entity tag of what it compresses, and the changed tag is then refused.
        .no_gzip()
        .connect_timeout(options.connect_timeout.unwrap_or(CONNECT_TIMEOUT))
        .pool_idle_timeout(IDLE)
        .dns_resolver(OfPool {
            resolver: Resolver {
                hosts: options.hosts.clone(),
            },
            allow_private,
        });
    if !roots.is_empty() {
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(failed)
}

fn prepare(connection: &Connection, request: Request) -> Result<reqwest::Request, NotSent> {
    if request.mail.is_some() || connection.is_by_mail() {
        return Err(NotSent::Request);
    }
    let url =
        address::below(&connection.base, &request.path_and_query).map_err(|_| NotSent::Target)?;
    let mut out = reqwest::Request::new(request.method, url);
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| NotSent::Request)?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| NotSent::Request)?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(NotSent::Request);
        }
        out.headers_mut().insert(name, value);
    }
    if let Some((name, value)) = &connection.auth {
        out.headers_mut().insert(name, value.clone());
    }
    *out.body_mut() = request.body.map(Into::into);
    Ok(out)
}

async fn read_body(response: &mut reqwest::Response) -> Result<Vec<u8>, BodyError> {
    if response
        .content_length()
        .is_some_and(|n| n > MAX_BODY as u64)
    {
        return Err(BodyError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| BodyError::Cut)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        let wanted = !DROPPED_HEADERS.contains(&name) && value.len() <= KEPT_HEADER;
        if !wanted || out.len() >= KEPT_HEADERS {
            continue;
        }
        if let Ok(text) = std::str::from_utf8(value.as_bytes()) {
            out.entry(name.to_owned())
                .or_insert_with(|| text.to_owned());
        }
    }
    out
}

/// Resolves a name and checks every address it leads to; the client connects to exactly these.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    hosts: BTreeMap<String, Vec<IpAddr>>,
}

impl Resolver {
    pub(crate) async fn addresses(
        &self,
        host: &str,
        allow_private: bool,
    ) -> Result<Vec<IpAddr>, NotSent> {
        let host = host.to_ascii_lowercase();
        let found = match (self.hosts.get(&host), address::literal(&host)) {
            (Some(ips), _) => ips.clone(),
            (None, Some(ip)) => vec![ip],
            (None, None) => {
                let found = tokio::net::lookup_host((host.as_str(), 0)).await;
                let found = found.map_err(|_| NotSent::Dns)?;
                found.map(|at| at.ip()).collect()
            }
        };
        if found.is_empty() {
            return Err(NotSent::Dns);
        }
        // One forbidden address spoils the name: nobody has honest reasons to mix them.
        match found
            .iter()
            .all(|ip| address::may_reach(*ip, allow_private))
        {
            true => Ok(found),
            false => Err(NotSent::Target),
        }
    }
}

/// The resolver of one of the two pools.
struct OfPool {
    resolver: Resolver,
    allow_private: bool,
}

impl Resolve for OfPool {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, allow_private) = (self.resolver.clone(), self.allow_private);
        Box::pin(async move {
            match resolver.addresses(name.as_str(), allow_private).await {
                Ok(ips) => {
                    let at = ips.into_iter().map(|ip| SocketAddr::new(ip, 0));
                    Ok(Box::new(at) as Addrs)
                }
                Err(NotSent::Target) => Err(Blocked.into()),
                Err(_) => Err("the name has no address".into()),
            }
        })
    }
}
