//! A browser's part of HTTP, by hand: a cookie, a form, and what came back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Somebody with a cookie.
#[derive(Debug, Default)]
pub struct Visitor {
    cookie: Option<String>,
    /// What the requests say of where they come from.
    pub site: &'static str,
}

/// What came back.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Visitor {
    /// Somebody who is on our page.
    pub fn new() -> Visitor {
        Visitor {
            cookie: None,
            site: "same-origin",
        }
    }

    pub fn get(&mut self, url: &str) -> Page {
        self.ask("GET", url, "")
    }

    pub fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Page {
        let pairs: Vec<String> = form
            .iter()
            .map(|(n, v)| format!("{}={}", encoded(n), encoded(v)))
            .collect();
        self.ask("POST", url, &pairs.join("&"))
    }

    fn ask(&mut self, method: &str, url: &str, body: &str) -> Page {
        let rest = url.strip_prefix("http://").expect("plain http");
        let at = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        let path = if path.is_empty() { "/" } else { path };
        let mut text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nsec-fetch-site: {}\r\n",
            self.site
        );
        if let Some(cookie) = &self.cookie {
            let _ = write!(text, "cookie: {cookie}\r\n");
        }
        if method == "POST" {
            let _ = write!(
                text,
                "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
                body.len()
            );
        }
        let mut stream = TcpStream::connect(host).unwrap();
        stream
            .write_all(format!("{text}\r\n{body}").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|l| l.split_once(": "))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
            .collect();
        if let Some(set) = headers.get("set-cookie") {
            self.cookie = set.split(';').next().map(str::to_owned);
        }
        Page {
            status: status.parse().unwrap(),
            headers,
            body: body.to_owned(),
        }
    }
}

impl Page {
    /// Fails unless this is the status and the page holds these parts.
    pub fn expect(&self, status: u16, parts: &[&str]) -> &Page {
        assert_eq!(self.status, status, "{}", self.body);
        for part in parts {
            assert!(self.body.contains(part), "`{part}` in\n{}", self.body);
        }
        self
    }

    /// Where it leads.
    pub fn to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.body);
        &self.headers["location"]
    }
}

fn encoded(text: &str) -> String {
    let one = |b: u8| match b.is_ascii_alphanumeric() || b"-_.".contains(&b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}
