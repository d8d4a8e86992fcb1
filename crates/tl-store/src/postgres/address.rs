//! The address of a database: what the driver reads of it, and how the way there is encrypted.
//!
//! | `sslmode` | encrypted | the server is |
//! | --- | --- | --- |
//! | `disable` | no | anybody |
//! | `prefer` | where the server can | anybody |
//! | `require` | yes | anybody; with `sslrootcert`, as `verify-ca` |
//! | `verify-ca` | yes | who has a certificate of a trusted authority |
//! | `verify-full` | yes | who has one that names the host |
//!
//! Without the word: `verify-full` where `sslrootcert` is given; else `prefer` on this machine, and `require` to any
//! other, because nobody should send a password in clear over a network without having said so. What goes through a
//! socket in a directory never leaves the machine and is not encrypted.

use std::borrow::Cow;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, Error, Socket};

use super::link::words;
use super::tls::{Accept, Stream, Tls};
use crate::error::OpenError;

/// Stands in errors for an address, which may hold a password.
const ADDRESS: &str = "the database address";

/// A database and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    config: Config,
    tls: Tls,
}

/// What an address says about encryption.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    mode: Option<String>,
    roots: Option<String>,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    mode: SslMode,
    accept: Accept,
}

impl Address {
    /// Reads `postgres://…`.
    pub(crate) fn parse(url: &str) -> Result<Address, OpenError> {
        let (rest, said) = take_apart(url);
        let mut config: Config = rest.parse().map_err(|e: Error| OpenError::Server {
            path: ADDRESS.into(),
            why: words(&e),
        })?;
        let exposed = |why| OpenError::Encryption {
            path: place(&config),
            why,
        };
        let rule = rule(&said, distance(&config)).map_err(exposed)?;
        let tls = match rule.mode {
            // Not used; nothing that this machine lacks may stand in the way.
            SslMode::Disable => Tls::new(Accept::Anybody, None),
            _ => Tls::new(rule.accept, said.roots.as_deref()),
        };
        let tls = tls.map_err(exposed)?;
        config.ssl_mode(rule.mode);
        Ok(Address { config, tls })
    }

    /// The driver's settings.
    pub(crate) fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The database as it is named to people: without the password.
    pub(crate) fn place(&self) -> String {
        place(&self.config)
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<(Client, Connection<Socket, Stream>), Error> {
        self.config.connect(self.tls.clone()).await
    }

    /// Why it did not.
    pub(crate) fn sorry(&self, error: &Error) -> OpenError {
        let path = self.place();
        if !is_about_encryption(error) {
            let why = words(error);
            return OpenError::Server { path, why };
        }
        let source = std::error::Error::source(error).map(ToString::to_string);
        let why = match source.as_deref() {
            Some("server does not support TLS") => "the server offers none".into(),
            Some(words) => words.to_owned(),
            None => error.to_string(),
        };
        OpenError::Encryption { path, why }
    }
}

/// Whether there is no connection because there is no encryption, or no right one.
pub(crate) fn is_about_encryption(error: &Error) -> bool {
    // The driver's kinds of errors are its own; this text is all that it shows.
    error.to_string() == "error performing TLS handshake"
}

fn place(config: &Config) -> String {
    let name = config.get_dbname().unwrap_or("postgres");
    format!("PostgreSQL database {name}")
}

/// The address without what it says about encryption, of which the driver knows only a part.
fn take_apart(url: &str) -> (Cow<'_, str>, Said) {
    let mut said = Said::default();
    // A password may hold a question mark.
    let host = url.find('@').unwrap_or(0);
    let Some(question) = url[host..].find('?') else {
        return (url.into(), said);
    };
    let (before, parameters) = url.split_at(host + question);
    let mut rest = Vec::new();
    for parameter in parameters[1..].split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => said.mode = Some(decoded(mode)),
            Some(("sslrootcert", file)) => said.roots = Some(decoded(file)),
            _ => rest.push(parameter),
        }
    }
    let rest = match rest.is_empty() {
        true => before.into(),
        false => format!("{before}?{}", rest.join("&")).into(),
    };
    (rest, said)
}

/// Text of a parameter.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|c| std::str::from_utf8(c).ok());
        let code = code.and_then(|c| u8::from_str_radix(c, 16).ok());
        rest = match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                &after[2..]
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How far away the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distance {
    /// Behind a socket in a directory.
    Socket,
    /// On this machine.
    Here,
    /// Over a network.
    Away,
}

fn distance(config: &Config) -> Distance {
    let hosts = config.get_hosts();
    let addresses = config.get_hostaddrs();
    if !hosts.is_empty() && hosts.iter().all(|h| matches!(h, Host::Unix(_))) {
        return Distance::Socket;
    }
    let loops = |name: &str| {
        let address = name.parse::<std::net::IpAddr>();
        name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|a| a.is_loopback())
    };
    let here = match addresses.is_empty() {
        true => hosts.iter().all(|h| match h {
            Host::Tcp(name) => loops(name),
            Host::Unix(_) => true,
        }),
        false => addresses.iter().all(std::net::IpAddr::is_loopback),
    };
    match here {
        true => Distance::Here,
        false => Distance::Away,
    }
}

fn rule(said: &Said, distance: Distance) -> Result<Rule, String> {
    use Accept::{Anybody, Issued, Named};
    let roots = said.roots.is_some();
    let word = said.mode.as_deref();
    let (mode, accept) = match word {
        None if roots => (SslMode::Require, Named),
        None if distance == Distance::Away => (SslMode::Require, Anybody),
        None => (SslMode::Prefer, Anybody),
        Some("disable") => (SslMode::Disable, Anybody),
        Some("prefer") => (SslMode::Prefer, Anybody),
        Some("require") if roots => (SslMode::Require, Issued),
        Some("require") => (SslMode::Require, Anybody),
        Some("verify-ca") => (SslMode::Require, Issued),
        Some("verify-full") => (SslMode::Require, Named),
        Some(_) => {
            return Err(
                "sslmode is one of disable, prefer, require, verify-ca, verify-full".into(),
            );
        }
    };
    if roots && accept == Anybody {
        let mode = word.unwrap_or_default();
        return Err(format!("sslrootcert has no meaning with sslmode={mode}"));
    }
    let mode = match distance {
        Distance::Socket => SslMode::Disable,
        _ => mode,
    };
    Ok(Rule { mode, accept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_and_what_it_leaves_to_us() {
        use Accept::{Anybody, Issued, Named};
        use SslMode::{Disable, Prefer, Require};
        let table = [
            ("postgres://tl@/tl?host=/run", Ok((Disable, Anybody))),
            (
                "postgres://tl@/tl?host=/run&sslmode=verify-full",
                Ok((Disable, Named)),
            ),
            ("postgres://tl@localhost/tl", Ok((Prefer, Anybody))),
            ("postgres://tl@127.0.0.1:99/tl", Ok((Prefer, Anybody))),
            ("postgres://tl@[::1]/tl", Ok((Prefer, Anybody))),
            ("postgres://tl@db/tl", Ok((Require, Anybody))),
            ("postgres://tl@localhost,db/tl", Ok((Require, Anybody))),
            (
                "postgres://tl@db/tl?hostaddr=127.0.0.1",
                Ok((Prefer, Anybody)),
            ),
            (
                "postgres://tl@localhost/tl?hostaddr=10.1.1.1",
                Ok((Require, Anybody)),
            ),
            ("postgres://db/tl?sslmode=disable", Ok((Disable, Anybody))),
            ("postgres://db/tl?sslmode=prefer", Ok((Prefer, Anybody))),
            ("postgres://db/tl?sslmode=require", Ok((Require, Anybody))),
            ("postgres://db/tl?sslmode=verify-ca", Ok((Require, Issued))),
            ("postgres://db/tl?sslmode=verify-full", Ok((Require, Named))),
            ("postgres://db/tl?sslrootcert=/ca", Ok((Require, Named))),
            (
                "postgres://tl:se?cret@db/tl?sslmode=require&sslrootcert=/ca",
                Ok((Require, Issued)),
            ),
            ("postgres://db/tl?sslmode=allow", Err("one of disable")),
            (
                "postgres://db/tl?sslmode=prefer&sslrootcert=/ca",
                Err("no meaning"),
            ),
        ];
        for (url, want) in table {
            let (rest, said) = take_apart(url);
            let config: Config = rest.parse().unwrap();
            match (rule(&said, distance(&config)), want) {
                (Ok(rule), Ok(want)) => assert_eq!((rule.mode, rule.accept), want, "{url}"),
                (Err(why), Err(part)) => assert!(why.contains(part), "{url}: {why}"),
                (rule, want) => panic!("{url}: {rule:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn the_driver_reads_the_rest() {
        let url = "postgres://tl:se%3Fcret@db:5433/tl?sslmode=verify-full&connect_timeout=3&sslrootcert=/a%20b/%ca";
        let (rest, said) = take_apart(url);
        assert_eq!(rest, "postgres://tl:se%3Fcret@db:5433/tl?connect_timeout=3");
        assert_eq!(said.mode.as_deref(), Some("verify-full"));
        assert_eq!(said.roots.as_deref(), Some("/a b/\u{fffd}"));
        for url in ["postgres://db/tl", "postgres://db/tl?sslmode=require"] {
            assert_eq!(take_apart(url).0, "postgres://db/tl");
        }
    }
}
