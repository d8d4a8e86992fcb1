//! How a sender signs for an endpoint: in words, and as a line of a shell that does it with openssl and curl.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};
use tl_kernel::program::{Auth, Channel, Endpoint, Format, Idempotency, Program};
use tl_kernel::value::Type;
use tl_wire::signature::{Preset, preset};

/// Stands for a secret that is not shown.
const HIDDEN: &str = "<the endpoint's secret>";
/// A text message as a provider posts it.
const SMS: &str = "From=%2B442079460990&To=%2B442079460991&Body=Hello&MessageSid=SM00000000000000000000000000000001";
/// A mail, its lines as `printf` ends them.
const MAIL: &str = "From: Ada <ada@example.com>\\r\\nTo: you@example.com\\r\\nSubject: Hello\\r\\n\
                    Message-ID: <1@example.com>\\r\\n\\r\\nHello\\r\\n";

/// An endpoint whose senders want to know.
pub(super) struct Door<'a> {
    /// Its workflow.
    pub(super) program: &'a Program,
    /// Itself.
    pub(super) endpoint: &'a Endpoint,
    /// Its tenant's name.
    pub(super) tenant: &'a str,
    /// Where it is.
    pub(super) address: &'a str,
}

impl Door<'_> {
    /// Header, prefix, encoding and signed text of each way in, one line each.
    pub(super) fn words(&self) -> Vec<String> {
        let mut out: Vec<String> = self.endpoint.auth.iter().map(words).collect();
        if self.is_api() {
            out.push(format!(
                "body: {}",
                json!({ "endpoint": self.endpoint.name, "body": "…" })
                    .to_string()
                    .replace("\"…\"", "{…}")
            ));
            if self.token() {
                out.push(format!(
                    "beside a token: throughline-tenant: {}",
                    self.tenant
                ));
            }
        }
        if self.needs_key() {
            out.push(
                "idempotency-key: a fresh one for every message, the same one when it is sent again"
                    .into(),
            );
        }
        out
    }

    /// Lines of a shell that sign and post a message.
    pub(super) fn example(&self, secret: Option<&str>) -> Vec<String> {
        let mut out = Vec::new();
        let mut headers = vec![format!("'content-type: {}'", self.content_type())];
        let way = self.shown_way();
        if let Some(Auth::Public { .. } | Auth::Link | Auth::SignIn) = way {
            return Vec::new();
        }
        if let Some(row) = way.and_then(Auth::preset).and_then(|p| preset(p.word)) {
            return self.vendors_example(row);
        }
        match way {
            Some(Auth::ApiKey) => {
                out.push("KEY='<a key of: throughline key create --scope events>'".into());
                headers.push("\"authorization: Bearer $KEY\"".into());
            }
            Some(Auth::Jwt { .. }) => {
                out.push("TOKEN='<a token of the issuer>'".into());
                headers.push("\"authorization: Bearer $TOKEN\"".into());
                if self.is_api() {
                    headers.push(format!("'throughline-tenant: {}'", self.tenant));
                }
            }
            _ => out.push(format!("SECRET={}", quoted(secret.unwrap_or(HIDDEN)))),
        }
        out.push(self.body_line());
        match way {
            Some(Auth::StandardWebhooks) => sign_standard(&mut out, &mut headers),
            Some(Auth::Hmac { .. }) => self.sign_hmac(way, &mut out, &mut headers),
            _ => {}
        }
        if self.needs_key() {
            headers.push("\"idempotency-key: $(openssl rand -hex 8)\"".into());
        }
        let mut curl = format!("curl -sS -X POST {}", quoted(self.address));
        for h in &headers {
            let _ = write!(curl, " -H {h}");
        }
        curl.push_str(" --data-binary \"$BODY\"");
        out.push(curl);
        out
    }

    /// A vendor's message is sent by the vendor; to try the door, ours is signed the same way.
    fn vendors_example(&self, row: &Preset) -> Vec<String> {
        if !row.is_shared() {
            return Vec::new();
        }
        let to = quoted(self.address);
        vec![
            self.body_line(),
            "printf '%s' \"$BODY\" > message.json".into(),
            format!(
                "throughline send message.json --to {to} --preset {} --secret-file secret.txt",
                row.name
            ),
        ]
    }

    fn is_api(&self) -> bool {
        self.endpoint.channel == Channel::Api
    }

    fn needs_key(&self) -> bool {
        self.is_api() || self.endpoint.idempotency == Idempotency::Header
    }

    fn token(&self) -> bool {
        let token = |a: &Auth| matches!(a, Auth::Jwt { .. });
        self.endpoint.auth.iter().any(token)
    }

    /// The way in that the example goes: a signature where there is one and the address takes it.
    fn shown_way(&self) -> Option<&Auth> {
        let auth = &self.endpoint.auth;
        let signature = |a: &&Auth| {
            matches!(
                a,
                Auth::Hmac { .. } | Auth::StandardWebhooks | Auth::Preset(_)
            )
        };
        let key = |a: &&Auth| matches!(a, Auth::ApiKey);
        let by_signature = auth.iter().find(signature).filter(|_| !self.is_api());
        by_signature
            .or_else(|| auth.iter().find(key))
            .or_else(|| auth.first())
    }

    fn sign_hmac(&self, way: Option<&Auth>, out: &mut Vec<String>, headers: &mut Vec<String>) {
        let Some(Auth::Hmac {
            header,
            prefix,
            base64,
            signed,
            timestamp_header,
            id_header,
        }) = way
        else {
            return;
        };
        if let Some(name) = timestamp_header {
            out.push("TIMESTAMP=$(date +%s)".into());
            headers.push(format!("\"{name}: $TIMESTAMP\""));
        }
        if let Some(name) = id_header {
            out.push("ID=$(openssl rand -hex 8)".into());
            headers.push(format!("\"{name}: $ID\""));
        }
        let text = in_double_quotes(signed)
            .replace("{timestamp}", "${TIMESTAMP}")
            .replace("{id}", "${ID}")
            .replace("{body}", "${BODY}");
        // Beside Standard Webhooks one secret serves both, in its notation.
        let key = match self.endpoint.auth.contains(&Auth::StandardWebhooks) {
            true => STANDARD_KEY,
            false => "-hmac \"$SECRET\"",
        };
        let encode = match base64 {
            true => "-binary | openssl base64 -A",
            false => "-r | cut -d' ' -f1",
        };
        out.push(format!(
            "SIGNATURE=$(printf '%s' \"{text}\" | openssl dgst -sha256 {key} {encode})"
        ));
        let prefix = in_double_quotes(prefix);
        headers.push(format!("\"{header}: {prefix}$SIGNATURE\""));
    }

    fn content_type(&self) -> &'static str {
        match self.endpoint.format {
            _ if self.is_api() => "application/json",
            Format::Json => "application/json",
            Format::Form => "application/x-www-form-urlencoded",
            Format::Mail => "message/rfc822",
            Format::Document => "text/plain",
        }
    }

    /// A body with the fields that the endpoint reads.
    fn body_line(&self) -> String {
        let fields = self.fields();
        if self.is_api() {
            let body = json!({ "endpoint": self.endpoint.name, "body": fields });
            return format!("BODY={}", quoted(&body.to_string()));
        }
        match (self.endpoint.channel, self.endpoint.format) {
            (_, Format::Mail) => format!("BODY=$(printf '{MAIL}')"),
            (_, Format::Document) => {
                "BODY='A document as text. A PDF or DOCX is sent as it is.'".into()
            }
            (Channel::Sms, _) => format!("BODY={}", quoted(SMS)),
            (_, Format::Json) => format!("BODY={}", quoted(&Json::Object(fields).to_string())),
            (_, Format::Form) => {
                let pairs = fields.iter().map(|(name, value)| {
                    let value = value.as_str().map_or(value.to_string(), str::to_owned);
                    format!("{}={}", encoded(name), encoded(&value))
                });
                let pairs = pairs.collect::<Vec<_>>().join("&");
                format!("BODY={}", quoted(&pairs))
            }
        }
    }

    /// What the mapping reads of the body, with values of the fields' types.
    fn fields(&self) -> Map<String, Json> {
        let mut out = Map::new();
        for (name, expr) in &self.endpoint.map {
            let ty = self.program.record.field(name).map(|d| &d.ty);
            for path in expr.reads() {
                if let [event, body, parts @ ..] = path.as_slice()
                    && (event.as_str(), body.as_str()) == ("event", "body")
                {
                    put(&mut out, parts, sample(ty.unwrap_or(&Type::Text)));
                }
            }
        }
        out
    }
}

/// The secret behind `whsec_` as `openssl` takes it.
const STANDARD_KEY: &str = "-mac HMAC -macopt \"hexkey:$(printf '%s' \"${SECRET#whsec_}\" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \\n')\"";

fn sign_standard(out: &mut Vec<String>, headers: &mut Vec<String>) {
    out.push("TIMESTAMP=$(date +%s)".into());
    out.push("ID=msg_$(openssl rand -hex 8)".into());
    out.push(format!(
        "SIGNATURE=$(printf '%s' \"${{ID}}.${{TIMESTAMP}}.${{BODY}}\" | openssl dgst -sha256 {STANDARD_KEY} \
         -binary | openssl base64 -A)"
    ));
    headers.push("\"webhook-id: $ID\"".into());
    headers.push("\"webhook-timestamp: $TIMESTAMP\"".into());
    headers.push("\"webhook-signature: v1,$SIGNATURE\"".into());
}

fn words(auth: &Auth) -> String {
    match auth {
        Auth::Hmac {
            header,
            prefix,
            base64,
            signed,
            timestamp_header,
            id_header,
        } => {
            let encoding = match base64 {
                true => "base 64",
                false => "hexadecimal digits",
            };
            let mut out = format!(
                "{header}: {prefix}<HMAC-SHA-256 in {encoding}>, over {signed} with the secret as key"
            );
            for (what, name) in [("timestamp", timestamp_header), ("id", id_header)] {
                if let Some(name) = name {
                    let _ = write!(out, "; {{{what}}} is the header {name}");
                }
            }
            out
        }
        Auth::StandardWebhooks => {
            "webhook-signature: v1,<HMAC-SHA-256 in base 64>, over {webhook-id}.{webhook-timestamp}.{body}, \
             with the bytes behind whsec_ as key"
                .into()
        }
        Auth::Preset(named) => preset(named.word).map_or_else(String::new, |row| row.words()),
        Auth::Jwt {
            issuer, audience, ..
        } => {
            let of = match issuer.is_empty() {
                true => "its issuer, which is not set yet".to_owned(),
                false => format!("{issuer} for {audience}"),
            };
            format!("authorization: Bearer <a token of {of}>")
        }
        Auth::ApiKey => {
            "authorization: Bearer <a key of `throughline key create --scope events`>".into()
        }
        Auth::Public { origins } if origins.is_empty() => {
            "nothing: anybody may fill in the page at its address".into()
        }
        Auth::Public { origins } => format!(
            "nothing: anybody may fill in the page at its address, or post from a page of {}",
            origins.join(", ")
        ),
        Auth::Link => "a one-time link, which a case that waits for fields has sent".into(),
        Auth::SignIn => "a sign-in at the console: the page at its address is for people who have one".into(),
    }
}

fn put(map: &mut Map<String, Json>, path: &[String], value: Json) {
    match path {
        [] => {}
        [last] => {
            map.entry(last.clone()).or_insert(value);
        }
        [first, rest @ ..] => {
            let inner = map
                .entry(first.clone())
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn sample(ty: &Type) -> Json {
    match ty {
        Type::Bool => json!(true),
        Type::Int | Type::Dec | Type::Float => json!(1),
        Type::Email => json!("ada@example.com"),
        Type::Phone => json!("+442079460990"),
        Type::Url => json!("https://example.com"),
        Type::Time => json!("2026-01-31T12:00:00Z"),
        Type::Dur => json!("1h"),
        Type::Enum(values) => json!(values.first()),
        Type::List(_) => json!([]),
        Type::Record(_) => json!({}),
        Type::Text | Type::Any | Type::Null => json!("Hello"),
    }
}

/// Inside single quotes of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Inside double quotes of a shell, where nothing is replaced.
fn in_double_quotes(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(b as char),
            _ => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}
