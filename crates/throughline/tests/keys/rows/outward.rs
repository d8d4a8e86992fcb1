//! Rows of `side_effects`.

use super::{Row, SAY};
use crate::acts::{Act, LEAD};

const LOST: &[Act] = &[Act::LoseAnswer, Act::Say(LEAD)];
/// The CRM holds the record already.
const THERE: &[Act] = &[
    Act::Edit("/leads/1", r#"{"name":"Ada","v":"7"}"#),
    Act::Say(LEAD),
];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("side_effects", "%CRM%\n%AUTO%", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", SAY, "stored lead/", "crm PUT /leads/1"),
    ("side_effects.crm", "%CRM%\n%AUTO%\nside_effects: {}", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", SAY, "stored lead/", "crm PUT /leads/1"),
    ("side_effects.crm.api", "%CRM%\n%AUTO%\nside_effects: { crm: { api: records } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", SAY, "stored lead/", "crm PUT /leads/1"),
    ("side_effects.crm.key", "%CRM%", "%CRM%\nside_effects: { crm: { key: 'all' } }", SAY, "", "stored lead/all "),
    ("side_effects.crm.map", "%CRM%", "%CRM%\nside_effects: { crm: { map: { who: record.name } } }", SAY, "\"name\":\"Ada\"", "{\"who\":\"Ada\"}"),
    ("side_effects.crm.connection", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST%, connection: other } }", SAY, "via `crm`", "via `other`"),
    ("side_effects.crm.method", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST%, method: PATCH } }", THERE, "crm PUT", "crm PATCH"),
    ("side_effects.crm.path", "%CRM%\n%AUTO%\nside_effects: { crm: { api: rest, optimistic_lock: If-Match, path: '/leads/1' } }", "%CRM%\n%AUTO%\nside_effects: { crm: { api: rest, optimistic_lock: If-Match, path: '/people/1' } }", SAY, "crm PUT /leads/1", "crm PUT /people/1"),
    ("side_effects.crm.optimistic_lock", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", SAY, "if-none-match=*", "effect crm_upsert E4"),
    ("side_effects.crm.optimistic_lock.field", "%CRM%\n%AUTO%\nside_effects: { crm: { api: rest, path: '/leads/1', optimistic_lock: { field: id } } }", "%CRM%\n%AUTO%\nside_effects: { crm: { api: rest, path: '/leads/1', optimistic_lock: { field: v } } }", THERE, "\"id\":\"1\"", "\"v\":\"7\""),
    ("side_effects.crm.base_version", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %REST%, base_version: '\"1\"' } }", THERE, "crm GET", ""),
    ("side_effects.crm.idempotency_header", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND%, idempotency_header: idempotency-key } }", SAY, "", "idempotency-key="),
    ("side_effects.crm.on_unknown", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND%, on_unknown: assume_sent } }", LOST, "E4 Uncertain", "E4 Succeeded"),
    ("side_effects.crm.valid_for", "%CRM%", "%CRM%\nside_effects: { crm: { valid_for: 1h } }", SAY, "valid until +7d", "valid until +1h"),
    ("side_effects.messaging", "", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", SAY, "", "effect m "),
    ("side_effects.messaging.*.channel", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { channel: sms, to: record.phone, text: Hello } } }", SAY, "channel: email", "channel: sms"),
    ("side_effects.messaging.*.via", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: outbox } } }", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: web, with: { path: \"'/mail'\" } } } }", SAY, "via `outbox`", "crm POST /mail"),
    ("side_effects.messaging.*.with", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: web, with: { path: \"'/mail'\" } } } }", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: web, with: { path: \"'/mail'\", from: \"'us@x.example'\" } } } }", SAY, "", "us@x.example"),
    ("side_effects.messaging.*.on_unknown", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: web, with: { path: \"'/mail'\" } } } }", "%SAYS%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello, via: web, with: { path: \"'/mail'\" }, on_unknown: assume_sent } } }", LOST, "E4 Uncertain", "E4 Succeeded"),
    ("side_effects.messaging.*.to", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { to: \"'desk@x.example'\", text: Hello } } }", SAY, "to: ada@x.example", "to: desk@x.example"),
    ("side_effects.messaging.*.subject", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello, subject: 'Hi ${record.name}' } } }", SAY, "", "subject: Hi Ada"),
    ("side_effects.messaging.*.template", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, template: templates/m.md } } }", SAY, "text: Hello", "text: From the file."),
    ("side_effects.messaging.*.text", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Bye } } }", SAY, "text: Hello", "text: Bye"),
    ("side_effects.messaging.*.check", "%MAIL%\npolicy: { m: { auto: true, limit: 1 per contact per day } }\nside_effects: { messaging: { m: { to: record.email, template: templates/m.md } } }", "%MAIL%\npolicy: { m: { auto: true, limit: 1 per contact per day } }\nside_effects: { messaging: { m: { to: record.email, template: templates/m.md, check: verified_sender } } }", SAY, "TL0504", "outbox email to ada@x.example"),
    ("side_effects.messaging.*.valid_for", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello } } }", "%MAIL%\nside_effects: { messaging: { m: { to: record.email, text: Hello, valid_for: 2h } } }", SAY, "valid until +1d", "valid until +2h"),
    ("side_effects.crm.method", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND%, method: POST } }", SAY, "crm PUT", "crm POST"),
    ("side_effects.crm.on_unknown", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { %BLIND%, on_unknown: resend } }", LOST, "E4 Uncertain", "hold `retry`"),
    ("side_effects.crm.use", "%CRM%\n%AUTO%", "%CRM%\n%AUTO%\nside_effects: { crm: { %PUT% } }", SAY, "stored lead/", "crm PUT /leads/1"),
    ("side_effects.crm.with", "%CRM%\n%AUTO%\nside_effects: { crm: { %PUT% } }", "%CRM%\n%AUTO%\nside_effects: { crm: { use: http.record.put, connection: web, with: { path: \"'/people/1'\" }, map: { name: record.name } } }", SAY, "crm PUT /leads/1", "crm PUT /people/1"),
    ("side_effects.actions", "%CRM%\n%AUTO%", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", SAY, "stored lead/", "crm PUT /leads/1"),
    ("side_effects.actions.*.use", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { use: http.event.post, connection: web, with: { path: \"'/leads/1'\" }, map: { name: record.name } } } }", SAY, "crm PUT /leads/1", "crm POST /leads/1"),
    ("side_effects.actions.*.connection", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { use: http.record.put, connection: web2, with: { path: \"'/leads/1'\" }, map: { name: record.name } } } }", SAY, "via `web`", "via `web2`"),
    ("side_effects.actions.*.with", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { use: http.record.put, connection: web, with: { path: \"'/people/1'\" }, map: { name: record.name } } } }", SAY, "crm PUT /leads/1", "crm PUT /people/1"),
    ("side_effects.actions.*.map", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { use: http.record.put, connection: web, with: { path: \"'/leads/1'\" }, map: { who: record.name } } } }", SAY, "\"name\":\"Ada\"", "\"who\":\"Ada\""),
    ("side_effects.actions.*.base_version", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { %PUT%, base_version: '\"1\"' } } }", THERE, "crm GET", ""),
    ("side_effects.actions.*.on_unknown", "%TELL%\nside_effects: { actions: { tell: { use: http.event.post, connection: web, with: { path: \"'/leads/1'\" }, map: { name: record.name } } } }", "%TELL%\nside_effects: { actions: { tell: { use: http.event.post, connection: web, with: { path: \"'/leads/1'\" }, map: { name: record.name }, on_unknown: assume_sent } } }", LOST, "E4 Uncertain", "E4 Succeeded"),
    ("side_effects.actions.*.valid_for", "%TELL%\nside_effects: { actions: { tell: { %PUT% } } }", "%TELL%\nside_effects: { actions: { tell: { %PUT%, valid_for: 1h } } }", SAY, "valid until +7d", "valid until +1h"),
];
