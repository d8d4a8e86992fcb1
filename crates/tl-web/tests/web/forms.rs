//! Forms that anybody may fill in: what a browser without a script sees, and what other websites may do.

use tl_kernel::time::DAY;
use tl_kernel::value::Value;
use tl_web::limits::{FORM_LEAST, FORM_MOST, PUBLIC_RATE};

use crate::support::{Answer, Req, Server, WEBSITE, server};

const PAGE: &str = "/forms/acme/enquiry";
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The page as a browser gets it.
async fn page(server: &Server, at: &str) -> Answer {
    server.send(Req::get(at).header("accept", BROWSER)).await
}

/// A post of a browser.
fn filled(fields: &[(&str, &str)]) -> Req {
    filled_at(PAGE, fields)
}

fn filled_at(at: &str, fields: &[(&str, &str)]) -> Req {
    let escape = |text: &str| {
        let of = |b: u8| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(b).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(of).collect::<String>()
    };
    let pairs = fields
        .iter()
        .map(|(n, v)| format!("{}={}", escape(n), escape(v)));
    Req::new("POST", at)
        .without("idempotency-key")
        .header("accept", BROWSER)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(pairs.collect::<Vec<_>>().join("&"))
}

/// The token of a page.
fn token(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text
        .split_once("name=\"_form\" value=\"")
        .unwrap_or_else(|| panic!("no token in {text}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A page that was shown, and long enough ago.
async fn shown(server: &Server) -> String {
    let token = token(&page(server, PAGE).await);
    server.world.pass(FORM_LEAST);
    token
}

#[tokio::test]
async fn the_page_is_made_from_the_schema() {
    let server = server().await;
    let answer = page(&server, PAGE).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    for part in [
        "<html lang=\"en\">",
        "<title>Ask us &lt;anything&gt;</title>",
        "<h1>Ask us &lt;anything&gt;</h1>",
        "We answer within a day.",
        "<label for=\"q0\">Your name <span class=\"mark\" aria-hidden=\"true\">*</span></label>",
        "id=\"q0\" name=\"name\" type=\"text\" value=\"\" autocomplete=\"name\" required",
        "id=\"q1\" name=\"email\" type=\"email\" value=\"\" autocomplete=\"email\" required",
        "id=\"q2\" name=\"phone\" type=\"tel\" value=\"\" autocomplete=\"tel\" aria-describedby=\"q2-hint\"",
        "name=\"country\" type=\"text\" value=\"\" autocomplete=\"country-name\"",
        "<p class=\"hint\" id=\"q4-hint\">How many people will use it.</p>",
        "name=\"seats\" type=\"text\" inputmode=\"numeric\"",
        "name=\"value\" type=\"text\" inputmode=\"decimal\"",
        "<option value=\"won\">Won</option>",
        "<textarea",
        "name=\"start\" type=\"date\"",
        "type=\"checkbox\" value=\"true\"",
        "I have read the terms",
        "name=\"_website\" tabindex=\"-1\" autocomplete=\"off\"",
        "<form method=\"post\" novalidate>",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    for part in [
        "<script", "campaign", "tags", "http://", "https://", "src=", "@import", "url(",
    ] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "style-src 'sha256-",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    // Without a schema the names are made readable, and nothing has to be answered.
    let bare = page(&server, "/forms/acme/bare_form").await.text();
    assert!(bare.contains("<h1>Bare form</h1>") && !bare.contains("have to be answered"));
}

#[tokio::test]
async fn a_person_mends_a_form_and_sends_it_once() {
    let server = server().await;
    let token_of_page = shown(&server).await;
    let wrong = [
        ("_form", token_of_page.as_str()),
        ("name", ""),
        ("email", "ada at example"),
        ("phone", "+44 20 7946 0000"),
        ("seats", "many"),
        ("message", "<b>Hello</b>"),
        ("_website", ""),
    ];
    let answer = server.send(filled(&wrong)).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let text = answer.text();
    for part in [
        "<title>Not sent yet: Ask us &lt;anything&gt;</title>",
        "role=\"alert\" tabindex=\"-1\" autofocus",
        "There are 3 things to mend",
        "<a href=\"#q0\">Enter your name.</a>",
        "<a href=\"#q1\">Enter an e-mail address such as name@example.com.</a>",
        "<a href=\"#q4\">Enter seats as a whole number, such as 12.</a>",
        "aria-describedby=\"q0-fault\" aria-invalid=\"true\"",
        "aria-describedby=\"q4-hint q4-fault\" aria-invalid=\"true\"",
        "value=\"ada at example\"",
        "value=\"+44 20 7946 0000\"",
        "value=\"many\"",
        "&lt;b&gt;Hello&lt;/b&gt;</textarea>",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(
        token(&answer),
        token_of_page,
        "the page keeps its key: a double click is one message"
    );
    // What only the schema can say stands beside its question, too.
    let mut right = wrong;
    (right[1].1, right[2].1, right[4].1) = ("Ada", "ada@example.com", "0");
    let answer = server.send(filled(&right)).await;
    assert_eq!(answer.status, 422);
    let said = "<a href=\"#q4\">Seats must be at least 1.</a>";
    assert!(answer.text().contains(said), "{}", answer.text());
    assert_eq!(server.stored().await, 0);

    right[4].1 = "12";
    for _ in 0..2 {
        let answer = server.send(filled(&right)).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some("enquiry/sent"));
    }
    let thanks = page(&server, "/forms/acme/enquiry/sent").await;
    assert!(thanks.status == 200 && thanks.text().contains("We have your message"));
    assert_eq!(server.stored().await, 1, "a reload is no second message");
    let admission = server.world.last();
    assert_eq!(
        (admission.kid.as_str(), admission.key_source.as_str()),
        ("page", "signed_id")
    );
    let body = admission.event.at(&["body"]).unwrap();
    let Value::Record(body) = body else {
        panic!("{body:?}")
    };
    let names: Vec<&str> = body.keys().map(String::as_str).collect();
    assert_eq!(names, ["email", "message", "name", "phone", "seats"]);
    assert_eq!(
        body["seats"],
        Value::Int(12),
        "what the schema calls a number is one"
    );
    assert!(
        !body.contains_key("_form"),
        "our own fields are no part of the message"
    );

    // A changed answer after it was sent is neither lost nor sent by mistake.
    right[1].1 = "Ada Lovelace";
    let answer = server.send(filled(&right)).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("This form was sent already"));
    let fresh = token(&answer);
    assert_ne!(fresh, token_of_page);
    right[0].1 = &fresh;
    server.world.pass(FORM_LEAST);
    assert_eq!(server.send(filled(&right)).await.status, 303);
    assert_eq!(server.stored().await, 2);
}

/// What is read again from the store is what was read at the door.
#[tokio::test]
async fn a_stored_form_reads_as_it_did() {
    let server = server().await;
    let token = shown(&server).await;
    let fields = [
        ("_form", token.as_str()),
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("seats", " 3 "),
        ("country", ""),
    ];
    assert_eq!(server.send(filled(&fields)).await.status, 303);
    let a = server.world.last();
    let again = server.world.read_again();
    assert_eq!(again.at(&["body"]), a.event.at(&["body"]));
}

/// How long it waits, µs; the fields of the page; the status and the code for a program; what a person reads.
type Tried<'a> = (i64, Vec<(&'a str, &'a str)>, u16, &'a str, &'a str);

/// Who is no person at a page of ours is refused; a person is shown the form again, with the answers.
#[tokio::test]
async fn a_page_is_believed_for_a_day_and_not_before_it_can_be_read() {
    let server = server().await;
    let first = token(&page(&server, PAGE).await);
    let other = token(&page(&server, "/forms/acme/bare_form").await);
    let mut forged = first.clone();
    forged.truncate(forged.len() - 1);
    forged.push(if first.ends_with('0') { '1' } else { '0' });
    let earlier = {
        let (at, rest) = first.split_once('.').unwrap();
        format!("0{at}.{rest}")
    };
    let answers = [("name", "Ada"), ("email", "ada@example.com")];
    let table: [Tried<'_>; 8] = [
        (0, vec![], 401, "TL1012", "could not be recognised"),
        (
            0,
            vec![("_form", "")],
            401,
            "TL1012",
            "could not be recognised",
        ),
        (
            0,
            vec![("_form", &forged)],
            401,
            "TL1012",
            "could not be recognised",
        ),
        (
            0,
            vec![("_form", &earlier)],
            401,
            "TL1012",
            "could not be recognised",
        ),
        (
            0,
            vec![("_form", &other)],
            401,
            "TL1012",
            "could not be recognised",
        ),
        (
            FORM_LEAST - 1,
            vec![("_form", &first)],
            422,
            "TL1024",
            "quicker than a person types",
        ),
        (
            1,
            vec![("_form", &first), ("_website", "https://spam.example")],
            422,
            "TL1024",
            "people do not see",
        ),
        (
            FORM_MOST - FORM_LEAST + 1,
            vec![("_form", &first)],
            422,
            "TL1024",
            "open for more than a day",
        ),
    ];
    for (n, (wait, own, status, code, excuse)) in table.into_iter().enumerate() {
        server.world.pass(wait);
        let fields: Vec<(&str, &str)> = own.into_iter().chain(answers).collect();
        let program = server.send(filled(&fields).set("accept", "*/*")).await;
        assert_eq!(
            (program.status, program.at("/code").as_str()),
            (status, code),
            "{n}"
        );
        let person = server.send(filled(&fields)).await;
        assert_eq!(person.status, status, "{n}");
        let text = person.text();
        assert!(text.contains(excuse), "{n}: {text}");
        assert!(
            text.contains("value=\"ada@example.com\""),
            "{n}: the answers are kept"
        );
        assert!(
            !text.contains("spam.example"),
            "{n}: the trap is empty again"
        );
    }
    assert_eq!(server.stored().await, 0);
    // The page that was shown again is good.
    let again = server
        .send(filled(&[("_form", &first), answers[0], answers[1]]))
        .await;
    let fresh = token(&again);
    server.world.pass(FORM_LEAST);
    let fields = [("_form", fresh.as_str()), answers[0], answers[1]];
    assert_eq!(server.send(filled(&fields)).await.status, 303);
    server.world.pass(DAY * 80);
    let late = server.send(filled(&fields)).await;
    assert_eq!(late.status, 422, "too old comes before known");
    assert_eq!(server.stored().await, 1);
}

#[tokio::test]
async fn pages_of_listed_websites_may_post_and_no_other() {
    let server = server().await;
    let preflight = |at: &str, origin: &str| {
        Req::new("OPTIONS", at)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
    };
    let table = [
        (PAGE, WEBSITE, 204),
        (PAGE, "https://www.example.com:8443", 405),
        (PAGE, "http://www.example.com", 405),
        (PAGE, "https://www.example.com.evil.example", 405),
        (PAGE, "null", 405),
        ("/forms/acme/contact", WEBSITE, 405),
        ("/forms/acme/nothing", WEBSITE, 405),
    ];
    for (at, origin, status) in table {
        let answer = server.send(preflight(at, origin)).await;
        assert_eq!(answer.status, status, "{at} {origin}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, (status == 204).then_some(origin), "{at} {origin}");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            (status == 204).then_some("POST")
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let json = |origin: &str, body: &str| {
        Req::post(PAGE, body)
            .without("idempotency-key")
            .header("origin", origin)
    };
    let good = r#"{"name":"Ada","email":"ada@example.com"}"#;
    let table = [
        (WEBSITE, good, 202, true),
        (WEBSITE, good, 200, true),
        (WEBSITE, r#"{"name":"Ada"}"#, 422, true),
        (WEBSITE, "{", 400, true),
        ("https://other.example", good, 401, false),
    ];
    for (origin, body, status, readable) in table {
        let answer = server.send(json(origin, body)).await;
        assert_eq!(answer.status, status, "{origin} {body}: {}", answer.text());
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), readable, "{origin} {body}");
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let admission = server.world.last();
    assert_eq!(
        (admission.kid.as_str(), admission.key_source.as_str()),
        ("website", "weak")
    );
    // A form of another website without a script: its visitor is led to our pages.
    let fields = [("name", "Eve"), ("email", "eve@example.com")];
    let sent = server.send(filled(&fields).header("origin", WEBSITE)).await;
    assert_eq!(
        (sent.status, sent.header("location")),
        (303, Some("enquiry/sent"))
    );
    let elsewhere = server
        .send(filled(&fields).header("origin", "https://other.example"))
        .await;
    assert_eq!(elsewhere.status, 401);
    assert!(elsewhere.text().contains("value=\"eve@example.com\""));
    // Other doors have no such header, whoever asks.
    let signed = Req::post("/forms/acme/contact", r#"{"name":"Ada"}"#).signed();
    let answer = server.send(signed.header("origin", WEBSITE)).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_public_form_has_no_other_address_and_a_pace_of_people() {
    let server = server().await;
    let body = r#"{"name":"Ada","email":"ada@example.com"}"#;
    let hook = Req::post("/hooks/acme/enquiry", body).header("origin", WEBSITE);
    assert_eq!(server.send(hook).await.status, 404);
    for (at, status) in [
        ("/forms/acme/contact", 404),
        ("/forms/acme/nothing", 404),
        ("/forms/nobody/enquiry", 404),
        ("/forms/acme/contact/sent", 404),
    ] {
        let answer = page(&server, at).await;
        assert_eq!(answer.status, status, "{at}");
        assert!(answer.text().contains("No form here"), "{at}");
        assert_eq!(
            server.send(Req::get(at)).await.status,
            405,
            "{at}, a program"
        );
    }
    let token = shown(&server).await;
    let fields = [("_form", token.as_str()), ("name", "Ada")];
    let mut last = None;
    for _ in 0..=PUBLIC_RATE.burst {
        last = Some(server.send(filled(&fields)).await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").is_some());
    assert!(
        last.text()
            .contains("We cannot take messages at this moment")
    );
    assert_eq!(
        page(&server, PAGE).await.status,
        200,
        "the page is still shown"
    );
    server.world.change("acme", |view| {
        view.doors.get_mut("enquiry").unwrap().disabled = true;
    });
    assert_eq!(page(&server, PAGE).await.status, 404);
}
