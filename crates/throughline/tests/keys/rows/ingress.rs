//! Rows of `ingress`. What `auth` says under the gateway it says under a door as well, so its rows are written once.

use super::{Row, SAY};
use crate::Try;
use crate::acts::{Act, By, Hmac, LEAD, POST, Post, USUAL};

const TO_FORM: &[Act] = &[Act::Post(Post {
    door: "form",
    ..POST
})];
const FORM_WAY: &[Act] = &[Act::Post(Post {
    way: "forms",
    ..POST
})];
const FORM_BODY: &[Act] = &[Act::Post(Post {
    content_type: "application/x-www-form-urlencoded",
    body: "name=Ada",
    ..POST
})];
/// A page of another website posts to a public form.
const FROM_WEBSITE: &[Act] = &[Act::Post(Post {
    way: "forms",
    door: "contact",
    header: Some(("origin", "https://www.example.com")),
    content_type: "application/x-www-form-urlencoded",
    body: "name=Ada",
    ..POST
})];
const STANDARD: &[Act] = &[Act::Post(Post {
    by: By::Standard,
    ..POST
})];
const KEY: &[Act] = &[Act::Post(Post {
    by: By::Key,
    ..POST
})];
const HS256: &[Act] = &[Act::Post(Post {
    by: By::Token("HS256"),
    ..POST
})];
const EDDSA: &[Act] = &[Act::Post(Post {
    by: By::Token("EdDSA"),
    ..POST
})];
/// The same delivery with other bytes.
const SAME_ID: &[Act] = &[Act::Say(LEAD), Act::Say(r#"{"id":"m-1","name":"Eve"}"#)];
const SAME_HEADER: &[Act] = &[
    Act::Post(Post {
        header: Some(("idempotency-key", "k-1")),
        ..POST
    }),
    Act::Post(Post {
        header: Some(("idempotency-key", "k-1")),
        body: r#"{"name":"Eve"}"#,
        ..POST
    }),
];
/// A note of absence.
const AWAY: &[Act] = &[Act::Post(Post {
    content_type: "message/rfc822",
    body: "From: Ada <ada@x.example>\r\nSubject: Away\r\nMessage-ID: <m1@x.example>\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n",
    ..POST
})];
/// A mail address that is a number.
const WRONG_TYPE: &[Act] = &[Act::Say(r#"{"name":"Ada","email":{"at":5}}"#)];

const fn signed(hmac: Hmac) -> Act {
    Act::Post(Post {
        by: By::Hmac(hmac),
        ..POST
    })
}

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("ingress", "", "-ingress", SAY, "door 202", "TL0202 the key `ingress`"),
    ("ingress.channels", "", "ingress: { channels: [webhook, form] }", TO_FORM, "door 404", "door 202"),
    ("ingress.gateway", "", "ingress: { channels: [webhook], gateway: { auth: standard_webhooks } }", STANDARD, "door 401", "door 202"),
    ("ingress.gateway.idempotency", "", "ingress: { channels: [webhook], gateway: { idempotency: '${event.body.id}' } }", SAME_ID, "2 cases", "1 cases"),
    ("ingress.gateway.validate", "", "ingress: { channels: [webhook], gateway: { validate: json_schema } }", WRONG_TYPE, "door 202", "door 422"),
    ("ingress.gateway.max_body", "", "ingress: { channels: [webhook], gateway: { max_body: 64 } }", SAY, "door 202", "door 413"),
    ("ingress.channels.*.channel", "ingress: { channels: { webhook: { channel: webhook } } }", "ingress: { channels: { webhook: { channel: form } } }", FORM_WAY, "door 404", "door 202"),
    ("ingress.channels.*.format", "ingress: { channels: { webhook: { format: json } } }", "ingress: { channels: { webhook: { format: form } } }", FORM_BODY, "door 415", "door 202"),
    ("ingress.channels.*.idempotency", "", "ingress: { channels: { webhook: { idempotency: header_idempotency_key } } }", SAME_HEADER, "2 cases", "1 cases"),
    ("ingress.channels.*.validate", "", "ingress: { channels: { webhook: { validate: schemas/s.json } } }", SAY, "door 202", "door 422"),
    ("ingress.channels.*.map", "", "ingress: { channels: { webhook: { map: { name: event.body.id } } } }", SAY, "field name = Text(\"Ada\")", "field name = Text(\"m-1\")"),
    ("ingress.channels.*.origins", "ingress: { channels: { contact: { channel: form, auth: public } } }", "ingress: { channels: { contact: { channel: form, auth: public, origins: ['https://www.example.com'] } } }", FROM_WEBSITE, "door 401", "door 202"),
    ("ingress.channels.*.text", "worker: { ai_step: { model: gpt } }", "worker: { ai_step: { model: gpt } }\ningress: { channels: { webhook: { text: event.body.id } } }", SAY, "please show me a demo of Acme\\n</message", "\\nm-1\\n</message"),
    ("ingress.channels.*.automatic", "ingress: { channels: { webhook: { channel: email } } }", "ingress: { channels: { webhook: { channel: email, automatic: message } } }", AWAY, "reason auto_reply", "case in needs_human"),
    ("ingress.channels.*.max_body", "", "ingress: { channels: { webhook: { max_body: 64 } } }", SAY, "door 202", "door 413"),
];

/// Below `auth`: the key's last part, `auth` in both files, the message.
#[rustfmt::skip]
const AUTH: &[(&str, &str, &str, &[Act])] = &[
    ("", "hmac_signature", "standard_webhooks", STANDARD),
    (".hmac_signature", "standard_webhooks", "{ hmac_signature: {} }", SAY),
    (".standard_webhooks", "hmac_signature", "{ standard_webhooks: }", STANDARD),
    (".preset", "hmac_signature", "{ preset: github }", &[signed(Hmac { header: "x-hub-signature-256", id: Some("x-github-delivery"), ..USUAL })]),
    (".jwt", "hmac_signature", "{ jwt: { issuer: i, audience: a, algorithms: [HS256] } }", HS256),
    (".api_key", "hmac_signature", "{ api_key: }", KEY),
    (".hmac_signature.header", "hmac_signature", "{ hmac_signature: { header: x-sig } }", &[signed(Hmac { header: "x-sig", ..USUAL })]),
    (".hmac_signature.prefix", "hmac_signature", "{ hmac_signature: { prefix: v1= } }", &[signed(Hmac { prefix: "v1=", ..USUAL })]),
    (".hmac_signature.encoding", "hmac_signature", "{ hmac_signature: { encoding: base64 } }", &[signed(Hmac { base64: true, ..USUAL })]),
    (".hmac_signature.signed", "hmac_signature", "{ hmac_signature: { signed: 'v0:{body}' } }", &[signed(Hmac { signed: "v0:{body}", ..USUAL })]),
    (".hmac_signature.timestamp_header", "{ hmac_signature: { signed: '{timestamp}.{body}', timestamp_header: x-t } }", "{ hmac_signature: { signed: '{timestamp}.{body}', timestamp_header: x-time } }", &[signed(Hmac { signed: "{timestamp}.{body}", timestamp: Some("x-time"), ..USUAL })]),
    (".hmac_signature.id_header", "{ hmac_signature: { signed: '{id}.{body}', id_header: x-i } }", "{ hmac_signature: { signed: '{id}.{body}', id_header: x-id } }", &[signed(Hmac { signed: "{id}.{body}", id: Some("x-id"), ..USUAL })]),
    (".jwt.issuer", "{ jwt: { issuer: j, audience: a, algorithms: [HS256] } }", "{ jwt: { issuer: i, audience: a, algorithms: [HS256] } }", HS256),
    (".jwt.audience", "{ jwt: { issuer: i, audience: b, algorithms: [HS256] } }", "{ jwt: { issuer: i, audience: a, algorithms: [HS256] } }", HS256),
    (".jwt.algorithms", "{ jwt: { issuer: i, audience: a, algorithms: [EdDSA] } }", "{ jwt: { issuer: i, audience: a, algorithms: [HS256] } }", HS256),
    (".jwt.keys", "{ jwt: { issuer: i, audience: a } }", "{ jwt: { issuer: i, audience: a, keys: keys.json } }", EDDSA),
];

/// Where `auth` may stand, with the file that sets it there.
const PLACES: &[(&str, &str)] = &[
    (
        "ingress.gateway.auth",
        "ingress: { channels: [webhook], gateway: { auth: %AUTH% } }",
    ),
    (
        "ingress.channels.*.auth",
        "ingress: { channels: { webhook: { auth: %AUTH% } } }",
    ),
];

/// The rows of `auth`, under the gateway and under a door: the first file refuses the message, the second takes it.
pub fn auth() -> Vec<Try> {
    let mut out = Vec::new();
    for (place, file) in PLACES {
        out.extend(AUTH.iter().map(|(key, one, other, acts)| Try {
            key: format!("{place}{key}"),
            one: file.replace("%AUTH%", one),
            other: file.replace("%AUTH%", other),
            acts: acts.to_vec(),
            in_one: "door 401",
            in_other: "door 202",
        }));
    }
    out
}
