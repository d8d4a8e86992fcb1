//! Messages that are taken: one of every kind of door, each with marks of its own.

use super::*;

/// A message whose every field is marked.
pub fn lead(marks: &mut Marks, place: &str) -> Json {
    let mut word = |field: &str| marks.word(&format!("{field} of {place}"));
    let (name, company, local, host) = (
        word("name"),
        word("company"),
        word("mailbox"),
        word("domain"),
    );
    let message = format!("please show us a demo, {}", word("message"));
    json!({
        "name": name, "company": company, "email": format!("{local}@{host}.example"), "size": 3,
        "phone": marks.phone(&format!("phone of {place}")), "message": message,
    })
}

/// Every kind of message that is taken; the cases they opened.
pub fn send_all(i: &Installation, marks: &mut Marks, s: &mut Surfaces) {
    let body = lead(marks, "a signed message");
    let key = marks.word("idempotency key");
    for expected in [202, 200] {
        let answer = i.json(&key, &body);
        assert_eq!(
            status(&answer),
            expected,
            "{}",
            String::from_utf8_lossy(&answer)
        );
        s.add("answers", answer);
    }
    let mut other = body.clone();
    other["message"] = marks.word("message of a duplicate with other bytes").into();
    s.add("answers", i.json(&key, &other));
    let mut joined = lead(marks, "a message that joins");
    joined["email"] = body["email"].clone();
    s.add("answers", i.json(&marks.word("idempotency key"), &joined));
    let mut big = lead(marks, "a message for a person");
    big["size"] = 5000.into();
    s.add("answers", i.json(&marks.word("idempotency key"), &big));
    let mut asked = lead(marks, "a message for the other model");
    asked["message"] = format!("my name is {}", marks.word("message to the model")).into();
    let secret = i.bench.secret("ask");
    marks.plant("secret of ask", &secret);
    let signing = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let text = asked.to_string();
    let signature = format!(
        "sha256={}",
        hex::encode(hmac::sign(&signing, text.as_bytes()))
    );
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "k"),
        ("x-signature", &signature),
    ];
    let answer = i.post("/hooks/default/ask", &headers, text.as_bytes());
    assert_eq!(status(&answer), 202, "{}", String::from_utf8_lossy(&answer));
    s.add("answers", answer);
    for (endpoint, kind, body) in [
        ("contact", "application/x-www-form-urlencoded", form(marks)),
        ("mail", "message/rfc822", mail(marks)),
    ] {
        let secret = i.bench.secret(endpoint);
        marks.plant("secret of a door", &secret);
        let signing = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = format!("sha256={}", hex::encode(hmac::sign(&signing, &body)));
        let key = marks.word("idempotency key");
        let headers = [
            ("content-type", kind),
            ("idempotency-key", key.as_str()),
            ("x-signature", &signature),
        ];
        let answer = i.post(&format!("/hooks/default/{endpoint}"), &headers, &body);
        assert_eq!(
            status(&answer),
            202,
            "{endpoint} {}",
            String::from_utf8_lossy(&answer)
        );
        s.add("answers", answer);
    }
    let note = lead(marks, "a note through the API");
    let bearer = format!("Bearer {}", i.key);
    let key = marks.word("idempotency key of the API");
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key.as_str()),
        ("authorization", bearer.as_str()),
    ];
    let envelope = json!({ "endpoint": "notes", "body": note, "payload": note });
    s.add(
        "answers",
        i.post("/v1/events", &headers, envelope.to_string().as_bytes()),
    );
    s.add(
        "answers",
        i.post(
            "/hooks/default/notes",
            &headers,
            note.to_string().as_bytes(),
        ),
    );
}

pub fn form(marks: &mut Marks) -> Vec<u8> {
    let (name, local, message) = (
        marks.word("name in a form"),
        marks.word("mailbox in a form"),
        marks.word("message in a form"),
    );
    let phone = marks.phone("phone in a form").replace('+', "%2B");
    format!(
        "name={name}&email={local}%40example.org&phone={phone}&message=we+want+a+demo+{message}"
    )
    .into_bytes()
}

pub fn mail(marks: &mut Marks) -> Vec<u8> {
    let mut word = |what: &str| marks.word(&format!("{what} of a mail"));
    let (name, local, subject, text) =
        (word("name"), word("mailbox"), word("subject"), word("text"));
    let (id, header) = (word("message id"), word("header"));
    format!(
        "From: \"{name}\" <{local}@example.org>\r\nTo: sales@example.com\r\nSubject: {subject}\r\nMessage-ID: <{id}@example.org>\r\n\
         X-Personal: {header}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplease show us a demo, {text}\r\n"
    )
    .into_bytes()
}
