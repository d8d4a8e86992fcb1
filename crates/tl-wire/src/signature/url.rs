//! The public address as vendors write it into what they sign.

use aws_lc_rs::digest;

use super::recipe::UrlForm;

/// Escapes that one vendor undoes before it signs.
const UNDONE: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];
/// The parameter of an address that holds the digest of the body.
const BODY_DIGEST: &str = "bodySHA256";

impl UrlForm {
    /// The ways in which the vendor may have written an address; each of them is ours alone.
    pub(super) fn writings(self, url: &str) -> Vec<String> {
        let mut out = vec![url.to_owned()];
        match self {
            UrlForm::AnyPort => out.extend(other_ports(url)),
            UrlForm::AnyEscapes => out.push(undone(url)),
        }
        out.dedup();
        out
    }
}

/// Without a port, and with the usual one of the scheme.
fn other_ports(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let port = |(_, port): &(&str, &str)| port.bytes().all(|b| b.is_ascii_digit());
    let host = authority
        .rsplit_once(':')
        .filter(port)
        .map_or(authority, |(host, _)| host);
    let usual = if scheme == "http" { 80 } else { 443 };
    vec![
        format!("{scheme}://{host}{path}"),
        format!("{scheme}://{host}:{usual}{path}"),
    ]
}

fn undone(url: &str) -> String {
    let mut out = url.to_owned();
    for (escape, character) in UNDONE {
        out = out.replace(escape, character);
        out = out.replace(&escape.to_lowercase(), character);
    }
    out
}

/// Whether the query of an address names the digest of a body, and if so whether it is that of this one.
pub(super) fn names_digest(url: &str, body: &[u8]) -> Option<bool> {
    let (_, query) = url.split_once('?')?;
    let mut named = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == BODY_DIGEST).then_some(value)
    });
    let first = named.next()?;
    let own = hex::encode(digest::digest(&digest::SHA256, body));
    Some(first == own && named.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_few_ways() {
        let table: [(UrlForm, &str, &[&str]); 6] = [
            (
                UrlForm::AnyPort,
                "https://a.example/x?y=1",
                &["https://a.example/x?y=1", "https://a.example:443/x?y=1"],
            ),
            (
                UrlForm::AnyPort,
                "https://a.example:8443/x",
                &[
                    "https://a.example:8443/x",
                    "https://a.example/x",
                    "https://a.example:443/x",
                ],
            ),
            (
                UrlForm::AnyPort,
                "http://a.example?z=:8",
                &["http://a.example?z=:8", "http://a.example:80?z=:8"],
            ),
            (
                UrlForm::AnyPort,
                "https://[::1]:1/x",
                &[
                    "https://[::1]:1/x",
                    "https://[::1]/x",
                    "https://[::1]:443/x",
                ],
            ),
            (UrlForm::AnyEscapes, "https://a/x", &["https://a/x"]),
            (
                UrlForm::AnyEscapes,
                "https://a/x?y=%3a%2F%20",
                &["https://a/x?y=%3a%2F%20", "https://a/x?y=:/%20"],
            ),
        ];
        for (form, url, want) in table {
            assert_eq!(form.writings(url), want, "{url}");
        }
    }

    #[test]
    fn the_digest_in_an_address_is_of_the_body() {
        let own = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let table = [
            ("https://a/x".to_owned(), None),
            ("https://a/x?y=1".to_owned(), None),
            (format!("https://a/x?bodySHA256={own}"), Some(true)),
            (format!("https://a/x?y=1&bodySHA256={own}"), Some(true)),
            (
                format!("https://a/x?bodySHA256={own}&bodySHA256={own}"),
                Some(false),
            ),
            (
                format!("https://a/x?bodySHA256={}", own.to_uppercase()),
                Some(false),
            ),
            ("https://a/x?bodySHA256=".to_owned(), Some(false)),
        ];
        for (url, want) in table {
            assert_eq!(names_digest(&url, b"hello"), want, "{url}");
        }
    }
}
