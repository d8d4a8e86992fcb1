//! Which addresses a connection may reach, and how its address must be written.
//!
//! The rule for names is enforced where they are resolved (see `client`); here is the rule for one IP address and
//! for the text of a URL. A URL must be written the plain way: what a reader sees is what is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Longest base address and longest request target, in bytes.
const LONGEST_URL: usize = 4096;

/// Why an address is not used. The texts never repeat the address: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL of the form `https://host[:port][/path]`.
    #[error("TL0811 the address is not of the form https://host[:port][/path]")]
    NotAUrl,
    /// Plain `http` to a public host.
    #[error("TL0812 the address must begin with https://")]
    NotHttps,
    /// A user name or password in the address.
    #[error(
        "TL0813 the address contains a user name or password; store them as the connection's credential"
    )]
    UserInfo,
    /// The host is not written in its plain form.
    #[error(
        "TL0814 the host is written in an unusual way; write a name in ASCII or an IP address in its plain form"
    )]
    OddHost,
    /// The host is an address that this connection may not reach.
    #[error(
        "TL0815 the host is a private, local or reserved address; the owner of the installation can allow private ones"
    )]
    Forbidden,
    /// A query or a fragment in a base address.
    #[error("TL0816 a base address has no query and no fragment")]
    Query,
    /// A path that leaves the base address or is not written plainly.
    #[error("TL0817 the path does not begin with / or leaves the connection's base address")]
    Path,
}

/// Who may reach a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Only connections that are allowed private addresses.
    Private,
    /// Nobody.
    Never,
}

/// IPv4 ranges that are not the public internet. The first that contains an address counts.
const V4: &[([u8; 4], u32, Range)] = &[
    ([100, 100, 100, 200], 32, Range::Never), // a cloud's metadata service inside the carrier range
    ([168, 63, 129, 16], 32, Range::Never),   // a cloud's host agent on a public address
    ([10, 0, 0, 0], 8, Range::Private),
    ([100, 64, 0, 0], 10, Range::Private),
    ([127, 0, 0, 0], 8, Range::Private),
    ([172, 16, 0, 0], 12, Range::Private),
    ([192, 168, 0, 0], 16, Range::Private),
    ([0, 0, 0, 0], 8, Range::Never),
    ([169, 254, 0, 0], 16, Range::Never), // link-local, metadata services
    ([192, 0, 0, 0], 24, Range::Never),
    ([192, 0, 2, 0], 24, Range::Never),
    ([192, 31, 196, 0], 24, Range::Never),
    ([192, 52, 193, 0], 24, Range::Never),
    ([192, 88, 99, 0], 24, Range::Never),
    ([192, 175, 48, 0], 24, Range::Never),
    ([198, 18, 0, 0], 15, Range::Never),
    ([198, 51, 100, 0], 24, Range::Never),
    ([203, 0, 113, 0], 24, Range::Never),
    ([224, 0, 0, 0], 3, Range::Never), // multicast, reserved, broadcast
];

/// IPv6 ranges that are not the public internet; outside `2000::/3` nothing is public at all.
const V6: &[([u16; 8], u32, Range)] = &[
    (
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254],
        128,
        Range::Never, // a cloud's metadata service
    ),
    (
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254],
        128,
        Range::Never, // another one's
    ),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Range::Private),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Range::Private),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Range::Never), // Teredo and others that carry another address
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Range::Never),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Range::Never), // 6to4 carries an IPv4 address
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Range::Never),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Range::Never),
];

/// Whether a connection may connect to an IP address. `allow_private` opens loopback, private, carrier and unique
/// local ranges; link-local, metadata, multicast, reserved and address-carrying ranges stay closed to everyone.
pub fn may_reach(ip: IpAddr, allow_private: bool) -> bool {
    let range = match ip {
        IpAddr::V4(ip) => range_v4(ip),
        IpAddr::V6(ip) => range_v6(ip),
    };
    match range {
        None => true,
        Some(Range::Private) => allow_private,
        Some(Range::Never) => false,
    }
}

fn range_v4(ip: Ipv4Addr) -> Option<Range> {
    let bits = u32::from(ip);
    V4.iter()
        .find(|(start, length, _)| (bits ^ u32::from(Ipv4Addr::from(*start))) >> (32 - length) == 0)
        .map(|(_, _, range)| *range)
}

fn range_v6(ip: Ipv6Addr) -> Option<Range> {
    let bits = u128::from(ip);
    let listed = V6
        .iter()
        .find(|(start, length, _)| {
            (bits ^ u128::from(Ipv6Addr::from(*start))) >> (128 - length) == 0
        })
        .map(|(_, _, range)| *range);
    let public = bits >> 125 == 1;
    listed.or((!public).then_some(Range::Never))
}

/// Reads and checks a base address. No name is resolved here.
pub fn check_base(text: &str, allow_private: bool) -> Result<Url, TargetError> {
    if text.len() > LONGEST_URL || !is_plain(text) {
        return Err(TargetError::NotAUrl);
    }
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::NotAUrl)?;
    if let "smtp" | "smtps" = scheme {
        // A mail server has a host and a port; their rules are those of any other.
        check_base(&format!("https://{rest}"), allow_private)?;
        let bare = !rest.trim_end_matches('/').contains('/');
        let url = Url::parse(text).ok().filter(|_| bare);
        return url.ok_or(TargetError::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| TargetError::NotAUrl)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        "http" => return Err(TargetError::NotHttps),
        _ => return Err(TargetError::NotAUrl),
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(TargetError::Query);
    }
    let host = url.host_str().ok_or(TargetError::NotAUrl)?;
    if !spelled_host(authority).eq_ignore_ascii_case(host) {
        return Err(TargetError::OddHost);
    }
    if literal(host).is_some_and(|ip| !may_reach(ip, allow_private)) {
        return Err(TargetError::Forbidden);
    }
    if url.port() == Some(0) || has_dots(rest) {
        return Err(TargetError::NotAUrl);
    }
    Ok(url)
}

/// The address of a path below a base address. The result has the base's scheme, host and port, and its path.
pub fn below(base: &Url, path_and_query: &str) -> Result<Url, TargetError> {
    let path = path_and_query.split('?').next().unwrap_or("");
    let plain = path.starts_with('/')
        && path_and_query.len() <= LONGEST_URL
        && is_plain(path_and_query)
        && !path_and_query.contains('#')
        && !has_dots(path);
    if !plain {
        return Err(TargetError::Path);
    }
    let start = base.as_str().trim_end_matches('/');
    let url = Url::parse(&format!("{start}{path_and_query}")).map_err(|_| TargetError::Path)?;
    let same = url.scheme() == base.scheme()
        && url.host_str() == base.host_str()
        && url.port_or_known_default() == base.port_or_known_default()
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().starts_with(start);
    if same {
        Ok(url)
    } else {
        Err(TargetError::Path)
    }
}

/// The IP address a host is, if it is one.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// The host as it is written in an authority: without the port.
fn spelled_host(authority: &str) -> &str {
    match authority.find(']') {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or(""),
    }
}

/// Printable ASCII without the backslash, which URL parsers take for a slash.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

/// Whether a path has a segment that means "here" or "up", in any encoding a server may undo.
fn has_dots(path: &str) -> bool {
    let mut decoded = path.to_ascii_lowercase();
    // Twice, because some gateways decode once and the server behind them again.
    for _ in 0..2 {
        decoded = decoded
            .replace("%25", "%")
            .replace("%2e", ".")
            .replace("%2f", "/")
            .replace("%5c", "/");
    }
    decoded.split('/').any(|s| s == "." || s == "..")
}
