//! Addresses that are refused before anything connects (S-13).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tl_connect::address::{TargetError, check_base, may_reach};
use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::knowledge::{Knowledge, NotSent};

use crate::support::{Do, Raw, client, get, put, to, write};

/// IPv4 addresses nobody reaches without the owner's opt-in: the edges of every range.
const CLOSED_V4: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
];

const CLOSED_V6: &[&str] = &[
    "::",
    "::1",
    "::2",
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
];

const OPEN: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "2001:4860:4860::8888",
];

/// Every way the URL standard lets one address be written.
fn spellings(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets().map(u32::from);
    let all = u32::from(ip);
    let hex6 = format!("{:x}:{:x}", all >> 16, all & 0xffff);
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{all}"),
        format!("0x{all:x}"),
        format!("0X{all:X}"),
        format!("0{all:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.{b}.{c}.{d}"),
        format!("{a}.{}", all & 0xff_ffff),
        format!("{a}.{b}.{}", all & 0xffff),
        format!("0x{a:x}.{b}.0{c:o}.{d}"),
        format!(
            "%{:02x}{}",
            b"0123456789"[(a % 10) as usize],
            &format!("{a}.{b}.{c}.{d}")[1..]
        ),
        format!("{a}%2e{b}%2e{c}%2e{d}"),
        format!("{a}\u{3002}{b}\u{3002}{c}\u{3002}{d}"),
        format!("\u{ff11}.{b}.{c}.{d}"),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::ffff:{hex6}]"),
        format!("[0:0:0:0:0:ffff:{hex6}]"),
        format!("[64:ff9b::{hex6}]"),
        format!("[2002:{hex6}::]"),
        format!("[::{hex6}]"),
    ]
}

#[test]
fn every_spelling_of_a_closed_address_is_refused() {
    let mut vectors = 0;
    for text in CLOSED_V4 {
        let ip: Ipv4Addr = text.parse().expect("an address");
        for host in spellings(ip) {
            for base in [
                format!("https://{host}"),
                format!("https://{host}:8443/v1/"),
            ] {
                assert!(check_base(&base, false).is_err(), "{base}");
                vectors += 1;
            }
        }
    }
    for ip in CLOSED_V6 {
        assert!(
            check_base(&format!("https://[{ip}]/"), false).is_err(),
            "{ip}"
        );
        vectors += 1;
    }
    assert!(vectors >= 400, "{vectors}");
}

#[test]
fn ranges_end_where_they_end() {
    let ip = |text: &&str| -> IpAddr { text.parse().expect("an address") };
    for text in OPEN {
        assert!(may_reach(ip(text), false), "{text}");
        assert!(may_reach(ip(text), true), "{text}");
    }
    for text in CLOSED_V4.iter().chain(CLOSED_V6) {
        assert!(!may_reach(ip(text), false), "{text}");
    }
    let opened = [
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "::1",
        "fd12::1",
    ];
    for text in CLOSED_V4.iter().chain(CLOSED_V6).chain(&opened) {
        let private = opened.contains(text)
            || [
                "10.", "100.64.", "100.127.", "127.", "172.", "192.168.", "fc00::1", "fdff::1",
            ]
            .iter()
            .any(|start| text.starts_with(start));
        assert_eq!(may_reach(ip(text), true), private, "{text} with the opt-in");
    }
}

#[test]
fn addresses_are_written_the_plain_way() {
    use TargetError::{Forbidden, NotAUrl, NotHttps, OddHost, Query, UserInfo};
    let table: &[(&str, Result<(), TargetError>)] = &[
        ("https://crm.example", Ok(())),
        ("https://crm.example/", Ok(())),
        ("https://CRM.example:8443/api/v1", Ok(())),
        ("https://8.8.8.8", Ok(())),
        ("https://[2606:4700::1111]:444/x", Ok(())),
        ("https://xn--bcher-kva.example", Ok(())),
        ("http://crm.example", Err(NotHttps)),
        ("ftp://crm.example", Err(NotAUrl)),
        ("file:///etc/passwd", Err(NotAUrl)),
        ("gopher://crm.example", Err(NotAUrl)),
        ("unix:///run/x.sock", Err(NotAUrl)),
        ("http+unix://%2Frun%2Fx.sock", Err(NotAUrl)),
        ("data:text/plain,x", Err(NotAUrl)),
        ("javascript:alert(1)", Err(NotAUrl)),
        ("crm.example", Err(NotAUrl)),
        ("//crm.example", Err(NotAUrl)),
        ("https:crm.example", Err(NotAUrl)),
        ("https:/crm.example", Err(NotAUrl)),
        ("https:\\\\crm.example", Err(NotAUrl)),
        ("https:///crm.example", Err(OddHost)),
        ("https://", Err(NotAUrl)),
        ("", Err(NotAUrl)),
        (" https://crm.example", Err(NotAUrl)),
        ("https://crm.example ", Err(NotAUrl)),
        ("https://crm.exa\tmple", Err(NotAUrl)),
        ("https://crm.exa\nmple", Err(NotAUrl)),
        ("https://bücher.example", Err(NotAUrl)),
        ("https://user@crm.example", Err(UserInfo)),
        ("https://user:pw@crm.example", Err(UserInfo)),
        ("https://@crm.example", Err(UserInfo)),
        ("https://crm.example@127.0.0.1", Err(UserInfo)),
        ("https://crm.example\\@127.0.0.1", Err(NotAUrl)),
        ("https://crm.example%40127.0.0.1", Err(NotAUrl)),
        ("https://crm.example#@127.0.0.1", Err(Query)),
        ("https://crm.example?x=1", Err(Query)),
        ("https://crm.example/?", Err(Query)),
        ("https://crm.example/#", Err(Query)),
        ("https://crm.example:0", Err(NotAUrl)),
        ("https://crm.example:65536", Err(NotAUrl)),
        ("https://crm.example:-1", Err(NotAUrl)),
        ("https://crm.example/a/../b", Err(NotAUrl)),
        ("https://crm.example/a/%2e%2e/b", Err(NotAUrl)),
        ("https://%6cocalhost", Err(OddHost)),
        ("https://127.1", Err(OddHost)),
        ("https://2130706433", Err(OddHost)),
        ("https://0x7f.1", Err(OddHost)),
        ("https://127.0.0.1", Err(Forbidden)),
        ("https://[::1]", Err(Forbidden)),
        ("https://[0:0:0:0:0:0:0:1]", Err(OddHost)),
        ("https://[::1%25eth0]", Err(NotAUrl)),
        ("https://[fe80::1]", Err(Forbidden)),
        ("https://1.2.3.4.5", Err(NotAUrl)),
        ("https://256.1.1.1", Err(NotAUrl)),
    ];
    for (base, expected) in table {
        assert_eq!(check_base(base, false).map(|_| ()), *expected, "{base:?}");
    }
}

#[tokio::test]
async fn nothing_connects_to_a_closed_address() {
    let sink = Raw::start(vec![vec![
        Do::ReadRequest,
        write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ]])
    .await;
    let port = sink.addr.port();
    let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
    let hosts = BTreeMap::from([
        ("rebound.test".to_owned(), vec![ip("127.0.0.1")]),
        (
            "mixed.test".to_owned(),
            vec![ip("93.184.216.34"), ip("127.0.0.1")],
        ),
        ("mapped.test".to_owned(), vec![ip("::ffff:127.0.0.1")]),
        ("six.test".to_owned(), vec![ip("::1")]),
        ("metadata.test".to_owned(), vec![ip("169.254.169.254")]),
        ("any.test".to_owned(), vec![ip("0.0.0.0")]),
    ]);
    let options = Options {
        hosts: hosts.clone(),
        connect_timeout: Some(Duration::from_secs(2)),
        ..Options::default()
    };
    let client = Client::new(&options).expect("a client");
    for host in hosts
        .keys()
        .map(String::as_str)
        .chain(["localhost", "LOCALHOST", "localhost."])
    {
        let base = format!("https://{host}:{port}");
        let connection = Connection::new("c", &base, &Auth::None, false).expect("a plain name");
        let sent = client.send(&connection, put("/x")).await;
        assert!(
            matches!(
                sent.knowledge,
                Knowledge::NotSent(NotSent::Target | NotSent::Dns)
            ),
            "{host}: {sent:?}"
        );
    }
    // The opt-in opens private addresses, and no others.
    for host in ["metadata.test", "any.test", "mapped.test"] {
        let connection = to(&format!("http://{host}:{port}"));
        let sent = client.send(&connection, put("/x")).await;
        assert_eq!(
            sent.knowledge,
            Knowledge::NotSent(NotSent::Target),
            "{host}"
        );
    }
    assert_eq!(*sink.connections.lock().expect("a lock"), 0);
    let sent = client
        .send(&to(&format!("http://rebound.test:{port}")), put("/x"))
        .await;
    assert!(matches!(sent.knowledge, Knowledge::Answered(_)), "{sent:?}");
    // A connection that was opened with the opt-in is not found by one without it.
    let closed = Connection::new(
        "c",
        &format!("https://rebound.test:{port}"),
        &Auth::None,
        false,
    );
    let sent = client.send(&closed.expect("a plain name"), put("/x")).await;
    assert_eq!(sent.knowledge, Knowledge::NotSent(NotSent::Target));
    assert_eq!(*sink.connections.lock().expect("a lock"), 1);
}

#[tokio::test]
async fn a_path_stays_below_its_base() {
    let sink = Raw::start(vec![vec![
        Do::ReadRequest,
        write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ]])
    .await;
    let connection = to(&format!("{}/api/v1/", sink.base()));
    let refused = [
        "",
        "x",
        "@127.0.0.1/",
        "/..",
        "/../admin",
        "/a/../../b",
        "/%2e%2e/admin",
        "/.%2E/admin",
        "/%2e%2e%2fadmin",
        "/%252e%252e/admin",
        "/..%5cadmin",
        "/.",
        "/a/./b",
        "/a\\..\\b",
        "/a b",
        "/a\r\nHost: x",
        "/a#b",
        "/ü",
        "http://other.example/",
        "?x=1",
        "/\0",
    ];
    for path in refused {
        let sent = client().send(&connection, get(path)).await;
        assert_eq!(
            sent.knowledge,
            Knowledge::NotSent(NotSent::Target),
            "{path:?}"
        );
    }
    assert_eq!(*sink.connections.lock().expect("a lock"), 0);
    for path in [
        "//other.example/x",
        "/a..b/...",
        "/x?next=/../y&z=..",
        "/leads/a%2Fb",
    ] {
        let sent = client().send(&connection, get(path)).await;
        assert!(
            matches!(sent.knowledge, Knowledge::Answered(_)),
            "{path:?}: {sent:?}"
        );
        assert_eq!(
            sink.count(&format!("GET /api/v1{path} HTTP/1.1")),
            1,
            "{path:?}"
        );
    }
}
