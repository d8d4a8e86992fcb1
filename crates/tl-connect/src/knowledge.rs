//! What is known about a request after the attempt to send it.
//!
//! The words follow from facts, not from a library's error names: a request is *not sent* only where no connection
//! came about, so that not one byte of it can have left. Everything that is not certain is *unknown*.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::time::Duration;

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What is known.
    pub knowledge: Knowledge,
    /// How long the attempt took.
    pub took: Duration,
    /// Bytes of the request's body.
    pub body_bytes: usize,
}

/// What is known about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knowledge {
    /// No byte of it has left this machine.
    NotSent(NotSent),
    /// It arrived, and the receiver says it did not begin to work on it.
    NotProcessed,
    /// It may or may not have been worked on.
    Unknown(Unknown),
    /// It was answered.
    Answered(Answer),
}

/// Why a request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotSent {
    /// The address is not allowed for this connection. Trying again does not help.
    Target,
    /// The request itself is not valid HTTP. Trying again does not help.
    Request,
    /// The name could not be resolved.
    Dns,
    /// The connection was refused.
    Refused,
    /// No connection within the time for it.
    ConnectTimeout,
    /// No connection for another reason.
    Unreachable,
    /// The TLS handshake failed.
    Tls,
    /// The server's certificate is not valid for its name. Worth three tries at most.
    Certificate,
    /// The log-in before it failed.
    LogIn,
    /// The node's lease has run out: another one may be at work. Nobody's fault, and no try.
    Lease,
}

impl NotSent {
    /// The reason code.
    pub fn code(self) -> &'static str {
        match self {
            NotSent::Target => "target_refused",
            NotSent::Request => "request_invalid",
            NotSent::Dns => "dns_failed",
            NotSent::Refused => "connect_refused",
            NotSent::ConnectTimeout => "connect_timeout",
            NotSent::Unreachable => "connect_failed",
            NotSent::Tls => "tls_failed",
            NotSent::Certificate => "tls_certificate",
            NotSent::LogIn => "log_in_failed",
            NotSent::Lease => "lease_ended",
        }
    }

    /// How many tries can make a difference; `None` where the usual limit applies.
    pub fn worth_tries(self) -> Option<u32> {
        match self {
            NotSent::Target | NotSent::Request => Some(1),
            NotSent::Certificate => Some(3),
            _ => None,
        }
    }
}

/// How the trace of a request was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// No answer within the time given.
    Deadline,
    /// The connection was reset.
    Reset,
    /// The connection was closed before an answer.
    Closed,
    /// What came back is not HTTP.
    Garbled,
    /// The connection broke in another way.
    Broken,
}

impl Unknown {
    /// The reason code.
    pub fn code(self) -> &'static str {
        match self {
            Unknown::Deadline => "no_answer_in_time",
            Unknown::Reset => "connection_reset",
            Unknown::Closed => "connection_closed",
            Unknown::Garbled => "answer_garbled",
            Unknown::Broken => "connection_broken",
        }
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers an executor may need, by lower-case name: the first of each, where it is text.
    pub headers: BTreeMap<String, String>,
    /// The body, or why there is none.
    pub body: Result<Vec<u8>, BodyError>,
}

impl Answer {
    /// A header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Why an answer's body is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Larger than [`crate::client::MAX_BODY`].
    TooLarge,
    /// The connection ended first.
    Cut,
    /// Not complete within the time given.
    Slow,
}

/// The resolver's refusal, recognised again inside the client library's error.
#[derive(Debug, thiserror::Error)]
#[error("the name leads to an address that this connection may not reach")]
pub(crate) struct Blocked;

/// Reads a failed attempt.
pub(crate) fn of_failure(error: &reqwest::Error) -> Knowledge {
    if error.is_builder() {
        return Knowledge::NotSent(NotSent::Request);
    }
    if error.is_connect() {
        return Knowledge::NotSent(why_not_connected(error));
    }
    if any(error, |e: &h2::Error| is_untouched(e)) {
        return Knowledge::NotProcessed;
    }
    Knowledge::Unknown(why_lost(error))
}

/// HTTP/2 has two ways to say "I did not begin": a refused stream, and a graceful goodbye that does not cover it.
fn is_untouched(error: &h2::Error) -> bool {
    let reason = error.reason();
    error.is_remote()
        && (error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM)
            || error.is_go_away() && reason == Some(h2::Reason::NO_ERROR))
}

fn why_not_connected(error: &reqwest::Error) -> NotSent {
    if any(error, |_: &Blocked| true) {
        return NotSent::Target;
    }
    if error.is_dns() {
        return NotSent::Dns;
    }
    if error.is_timeout() && !any(error, |_: &rustls::Error| true) {
        return NotSent::ConnectTimeout;
    }
    why_no_session(error, false)
}

/// Why there is no connection to a known address; `tls`: it is known that the encryption failed.
pub(crate) fn why_no_session(error: &(dyn Error + 'static), tls: bool) -> NotSent {
    if any(error, |e: &rustls::Error| {
        matches!(e, rustls::Error::InvalidCertificate(_))
    }) {
        return NotSent::Certificate;
    }
    if tls || any(error, |_: &rustls::Error| true) {
        return NotSent::Tls;
    }
    if any(error, |e: &io::Error| {
        e.kind() == io::ErrorKind::ConnectionRefused
    }) {
        return NotSent::Refused;
    }
    NotSent::Unreachable
}

fn why_lost(error: &reqwest::Error) -> Unknown {
    match why_ended(error) {
        Unknown::Broken if any(error, hyper::Error::is_incomplete_message) => Unknown::Closed,
        Unknown::Broken if any(error, hyper::Error::is_parse) => Unknown::Garbled,
        other => other,
    }
}

/// How a connection ended that was there.
pub(crate) fn why_ended(error: &(dyn Error + 'static)) -> Unknown {
    let io_kind = |kinds: &[io::ErrorKind]| any(error, |e: &io::Error| kinds.contains(&e.kind()));
    if io_kind(&[
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
    ]) {
        return Unknown::Reset;
    }
    if io_kind(&[io::ErrorKind::UnexpectedEof]) {
        return Unknown::Closed;
    }
    Unknown::Broken
}

/// Whether an error or one of its causes is of a type and passes a test. An `io::Error` hides the error it carries
/// from `source`, so it is opened.
fn any<E: Error + 'static>(error: &(dyn Error + 'static), test: impl Fn(&E) -> bool) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(here) = next {
        if here.downcast_ref::<E>().is_some_and(&test) {
            return true;
        }
        next = match here
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => here.source(),
        };
    }
    false
}
