//! Who is believed: windows, rotation, alternatives.

use std::sync::atomic::Ordering;

use tl_web::limits::KEYS_FRESH;

use crate::support::{FORMER, ISSUER, NOW, Req, SECOND, SECRET, SOON, server, token, token_of};

const BODY: &str = r#"{"a":1}"#;

/// W-03 through HTTP: the window is exact on both sides.
#[tokio::test]
async fn the_window_of_signed_times_is_exact() {
    let server = server().await;
    let timed = |s: i64| Req::post("/hooks/acme/timed", format!("{{\"s\":{s}}}")).timed(s);
    let standard = |s: i64| {
        let body = format!("{{\"s\":{s}}}");
        Req::post("/hooks/acme/partners", body).standard(&format!("msg_{s}"), s)
    };
    let table = [
        (-301, 401),
        (-300, 202),
        (-299, 202),
        (0, 202),
        (299, 202),
        (300, 202),
        (301, 401),
        (1 << 40, 401),
    ];
    for (seconds, want) in table {
        assert_eq!(
            server.send(timed(seconds)).await.status,
            want,
            "hmac at {seconds}"
        );
        assert_eq!(
            server.send(standard(seconds)).await.status,
            want,
            "standard at {seconds}"
        );
    }
    let texts = [
        "",
        "0",
        "-1",
        "+5",
        "1e9",
        "9223372036854775808",
        "99999999999999999999999",
        "1794477600.0",
        " 1",
    ];
    for text in texts {
        let request = Req::post("/hooks/acme/timed", BODY)
            .timed(0)
            .set("x-timestamp", text);
        assert_eq!(server.send(request).await.status, 401, "timestamp `{text}`");
    }
    // Our own clock moves: the same message leaves the window.
    server.world.pass(1_000_000);
    assert_eq!(server.send(timed(-300)).await.status, 401);
    assert_eq!(server.send(timed(301)).await.status, 202);
}

/// While the machine's clock is believed less than engine time, what senders have dated is held against the clock: they
/// know no other time. What we have set ourselves, secrets and keys, ends by engine time.
#[tokio::test]
async fn what_senders_have_dated_is_held_against_the_calendar() {
    const YEARS: i64 = 3_650 * 86_400;
    for (n, astray) in [0, 3_600, -3_600, YEARS].into_iter().enumerate() {
        let server = server().await;
        server
            .world
            .astray
            .store(astray * 1_000_000, Ordering::Relaxed);
        let body = |what: &str| format!("{{\"n\":{n},\"what\":\"{what}\"}}");
        let door = |door: &str, what: &str| Req::post(&format!("/hooks/acme/{door}"), body(what));
        let other = if astray == 0 { 202 } else { 401 };
        let until = |seconds| token("ada", seconds);
        let late = if astray > 0 { 401 } else { 202 };
        let table = [
            ("signed now", door("timed", "a").timed(astray), 202),
            ("signed by engine time", door("timed", "b").timed(0), other),
            (
                "within the window",
                door("timed", "c").timed(astray - 300),
                202,
            ),
            ("outside of it", door("timed", "d").timed(astray + 301), 401),
            ("no time in it", door("plain", "e").signed(), 202),
            (
                "a secret that has ended",
                door("plain", "f").signed_with(FORMER),
                401,
            ),
            (
                "a secret to come",
                door("plain", "g").signed_with(SOON),
                401,
            ),
            (
                "a token",
                door("either", "h").bearer(&until(astray + 60)),
                202,
            ),
            (
                "an ended token",
                door("either", "i").bearer(&until(astray - 61)),
                401,
            ),
            (
                "ended by the calendar",
                door("either", "j").bearer(&until(60)),
                late,
            ),
        ];
        for (what, request, status) in table {
            let answer = server.send(request).await;
            assert_eq!(answer.status, status, "{what}, {astray} s astray");
        }
        let text = server.send(Req::get("/metrics")).await.text();
        let line = format!("throughline_clock_ahead_seconds {astray}.0\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

/// Rotation: which secrets count, and which one the audit names.
#[tokio::test]
async fn every_active_secret_counts_and_no_other() {
    let server = server().await;
    let send = async |n: u32, secret: &str| {
        let body = format!("{{\"n\":{n}}}");
        server
            .send(Req::post("/hooks/acme/plain", body).signed_with(secret))
            .await
            .status
    };
    let table = [
        (SECRET, 202, "first"),
        (SECOND, 202, "second"),
        (FORMER, 401, ""),
        (SOON, 401, ""),
    ];
    for (n, (secret, status, kid)) in table.into_iter().enumerate() {
        assert_eq!(send(n as u32, secret).await, status, "{secret}");
        if status == 202 {
            assert_eq!(server.world.last().kid, kid);
        }
    }
    server.world.now.store(NOW + 60_000_000, Ordering::Relaxed);
    assert_eq!(
        send(10, SOON).await,
        202,
        "the coming one has become active"
    );
    server.world.now.store(NOW + 999_999_999, Ordering::Relaxed);
    assert_eq!(send(11, SECRET).await, 202, "until the last microsecond");
    server
        .world
        .now
        .store(NOW + 1_000_000_000, Ordering::Relaxed);
    assert_eq!(send(12, SECRET).await, 401, "and then no more");
    assert_eq!(send(13, SECOND).await, 202);
}

#[tokio::test]
async fn one_alternative_is_enough_and_a_wrong_one_beside_it_does_no_harm() {
    let server = server().await;
    let post = |n: u32| Req::post("/hooks/acme/either", format!("{{\"n\":{n}}}"));
    let good = token("ada@example.com", 600);
    let mut flipped = good.clone().into_bytes();
    let at = flipped.len() - 10;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let none = format!(
        "{}.{}.",
        "eyJhbGciOiJub25lIn0",
        good.split('.').nth(1).unwrap()
    );
    let table = [
        ("signature alone", post(1).signed(), 202),
        ("token alone", post(2).bearer(&good), 202),
        ("both", post(3).signed().bearer(&good), 202),
        (
            "signature beside a wrong token",
            post(4).signed().bearer(&flipped),
            202,
        ),
        (
            "token beside a wrong signature",
            post(5).signed_with("wrong").bearer(&good),
            202,
        ),
        ("wrong token alone", post(6).bearer(&flipped), 401),
        (
            "both wrong",
            post(7).signed_with("wrong").bearer(&flipped),
            401,
        ),
        ("alg none", post(8).bearer(&none), 401),
        ("expired token", post(9).bearer(&token("ada", -61)), 401),
        (
            "expired within the leeway",
            post(10).bearer(&token("ada", -59)),
            202,
        ),
        ("neither", post(11), 401),
    ];
    for (what, request, status) in table {
        assert_eq!(server.send(request).await.status, status, "{what}");
    }
}

#[tokio::test]
async fn keys_that_are_not_here_ask_for_patience() {
    let server = server().await;
    let send = async |door: &str, kid: &str| {
        let request =
            Req::post(&format!("/hooks/acme/{door}"), BODY).bearer(&token_of(kid, "ada", 600));
        let answer = server.send(request).await;
        (answer.status, answer.at("/code"))
    };
    for _ in 0..2 {
        assert_eq!(
            send("fetching", "k1").await,
            (503, "TL1019".into()),
            "no keys yet: nothing can be said"
        );
    }
    assert_eq!(send("named", "k1").await.0, 202);
    let wanted = || std::mem::take(&mut *server.world.keys_wanted.lock().unwrap());
    assert_eq!(wanted(), [ISSUER, ISSUER], "each asks for them");
    for _ in 0..2 {
        assert_eq!(
            send("named", "k2").await,
            (503, "TL1019".into()),
            "a newer set may know the key, until one has been read"
        );
    }
    assert_eq!(wanted(), [ISSUER, ISSUER]);
    let read = |after: i64| {
        server.world.change("acme", |view| {
            let door = view.doors.get_mut("named").unwrap();
            door.keys_read.insert(0, NOW + after);
        });
    };
    read(0);
    for kid in ["k2", "k3"] {
        assert_eq!(
            send("named", kid).await,
            (401, "TL1012".into()),
            "the newest set does not know it"
        );
    }
    assert!(wanted().is_empty());
    server.world.pass(KEYS_FRESH);
    assert_eq!(send("named", "k2").await, (503, "TL1019".into()));
    assert_eq!(send("named", "k1").await.0, 200, "a known key goes on");
}

#[tokio::test]
async fn a_token_of_a_caller_opens_the_api_too() {
    let server = server().await;
    let post = |tenant: &str| {
        Req::post("/v1/events", r#"{"endpoint":"either","body":{"note":"x"}}"#)
            .header("idempotency-key", "k")
            .header("throughline-tenant", tenant)
            .bearer(&token("ada@example.com", 600))
    };
    let first = server.send(post("acme")).await;
    assert_eq!(first.status, 202, "{}", first.text());
    let admission = server.world.last();
    assert_eq!(admission.payload, br#"{"note":"x"}"#);
    let (principal, key, _) = admission.idempotent.unwrap();
    assert!(
        principal.starts_with("jwt:") && !principal.contains("ada"),
        "{principal}"
    );
    assert_eq!(key, "k");
    let again = server.send(post("acme")).await;
    assert_eq!((again.status, again.body), (202, first.body));
    assert_eq!(server.send(post("nobody")).await.status, 401);
    assert_eq!(
        server.send(post("other")).await.status,
        202,
        "the issuer is trusted there as well"
    );
}
