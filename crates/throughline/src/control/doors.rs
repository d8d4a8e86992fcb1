//! Tenants, doors and their secrets, API keys.

use base64::Engine as _;
use tl_engine::tenant::{INGEST_SCOPE, Tenant};
use tl_kernel::program::{Auth, Channel, Endpoint, Format, Program, Proof};
use tl_store::contract::{Row, SecretRow};
use tl_web::apikey::{ApiKeyText, RANDOM_BYTES};
use tl_wire::signature::MAX_SECRETS;

use super::Ctx;
use super::signing::Door;
use super::vendor;
use super::views::{
    Done, EndpointLine, FreshKey, FreshSecret, KeyLine, Reply, SecretLine, TenantLine,
};
use crate::app::{App, Change};
use crate::failure::Failure;
use crate::keys::{Place, random};
use crate::text::{At, nearest};

/// Longest overlap of an old secret with a new one, µs.
const MAX_OVERLAP: i64 = 7 * tl_kernel::time::DAY;
/// What an API key may be for.
pub const SCOPES: [&str; 4] = ["events", "records:read", "records:write", "cases:read"];

impl Ctx<'_> {
    pub(super) async fn tenant_list(&self) -> Result<Reply, Failure> {
        let mut out = Vec::new();
        for (id, name) in self.app.desk.store().tenants().await? {
            let view = self.app.desk.tenant(id).await?;
            out.push(TenantLine {
                name,
                number: id.0,
                disabled: is_disabled(&view),
                workflows: view.current.keys().cloned().collect(),
            });
        }
        Ok(Reply::Tenants(out))
    }

    pub(super) async fn tenant_create(&self, name: &str) -> Result<Reply, Failure> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ok = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 40
            && name.chars().all(plain);
        if !ok || name == "system" {
            return Err(Failure::usage(format!(
                "`{name}` is no name of a tenant: lower-case letters, digits and `-`, a letter first, at most 40"
            )));
        }
        self.app.create_tenant(name, &self.by).await?;
        Ok(Reply::Done(
            Done::new(format!("there is a tenant `{name}` now")).then(
                "give it a workflow",
                format!("throughline --tenant {name} deploy"),
            ),
        ))
    }

    /// A disabled tenant takes no message and sends nothing; its data stays readable.
    pub(super) async fn tenant_disabled(
        &self,
        name: &str,
        disabled: bool,
        reason: &str,
    ) -> Result<Reply, Failure> {
        let view = self.app.tenant(name).await?;
        let reason = self.reason(reason)?;
        let rows = [INGEST_SCOPE, "tenant"].map(|scope| Row::Switch {
            scope: scope.into(),
            mode: disabled.then(|| "hold".to_owned()),
            by: self.by.text(),
            reason: reason.clone(),
            at: self.now(),
        });
        let action = if disabled {
            "tenant.disable"
        } else {
            "tenant.enable"
        };
        let change = Change {
            action,
            object: name.to_owned(),
            detail: reason,
        };
        self.app
            .change(view.id, &self.by, rows.to_vec(), vec![change])
            .await?;
        self.app.desk.nudge();
        let said = if disabled {
            format!("`{name}` takes no message and sends nothing; its data stays readable")
        } else {
            format!("`{name}` takes messages and sends again")
        };
        Ok(Reply::Done(Done::new(said)))
    }

    pub(super) async fn endpoint_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let mut out = Vec::new();
        for (_, bundle) in view.current.values() {
            // Nobody sends through the endpoint of a timetable: `status` shows when it brings a message.
            for e in bundle.program.doors() {
                out.push(endpoint_line(self.app, &view, &bundle.program, e));
            }
        }
        Ok(Reply::Endpoints(out))
    }

    pub(super) async fn endpoint_rotate(
        &self,
        endpoint: &str,
        overlap: i64,
        given: Option<&str>,
    ) -> Result<Reply, Failure> {
        let (view, name) = self.endpoint_view(endpoint).await?;
        let def = find_endpoint(&view, &name)?;
        if def.channel == Channel::Schedule {
            return Err(Failure::refused(format!(
                "`{name}` is a timetable: nobody sends through it, so it takes no secret"
            )));
        }
        if !needs_secret(def) {
            return Err(Failure::refused(format!(
                "`{name}` takes no secret: its senders show {}",
                auth_words(&def.auth)
            )));
        }
        if !(0..=MAX_OVERLAP).contains(&overlap) {
            return Err(Failure::usage(
                "--overlap is from 0s to 7d: how long earlier secrets still count",
            ));
        }
        let now = self.now();
        let earlier: Vec<SecretRow> = secrets_of(&view, &name)
            .filter(|s| is_active(s, now))
            .cloned()
            .collect();
        if earlier.len() >= MAX_SECRETS {
            return Err(Failure::conflict(format!(
                "`{name}` has {MAX_SECRETS} active secrets. Wait until one ends, or rotate with --overlap 0s"
            )));
        }
        let text = vendor::secret_text(def, given)?;
        let kid = format!("{}{}", name_prefix(&name), hex::encode(random::<4>()?));
        let place = Place {
            tenant: view.id,
            endpoint: &name,
            kid: &kid,
        };
        let mut rows = Vec::new();
        for s in &earlier {
            let ends = s.not_after.unwrap_or(i64::MAX).min(now + overlap);
            rows.push(Row::SecretEnds {
                endpoint: name.clone(),
                kid: s.kid.clone(),
                not_after: ends,
            });
        }
        rows.push(Row::Secret {
            endpoint: name.clone(),
            kid: kid.clone(),
            sealed: self.app.vault.seal(place, &text)?,
            not_before: now,
            not_after: None,
            by: self.by.text(),
        });
        let change = Change {
            action: "endpoint.rotate",
            object: name.clone(),
            detail: kid.clone(),
        };
        self.app
            .change(view.id, &self.by, rows, vec![change])
            .await?;
        let address = address(self.app, &view, def);
        let mut programs = view.current.values().map(|(_, b)| &b.program);
        let program = programs.find(|p| p.endpoint(&name).is_some());
        let door = program.map(|program| Door {
            program,
            endpoint: def,
            tenant: &view.name,
            address: &address,
        });
        let mut signing = door.as_ref().map(Door::words).unwrap_or_default();
        signing.extend(vendor::verify_token(def, &text));
        Ok(Reply::Secret(FreshSecret {
            signing,
            example: door.map(|d| d.example(Some(&text))).unwrap_or_default(),
            address,
            endpoint: name,
            kid,
            // Whoever gave it knows it.
            secret: given.map_or(text, |_| String::new()),
            earlier_until: (!earlier.is_empty()).then_some(At(now + overlap)),
        }))
    }

    pub(super) async fn endpoint_disabled(
        &self,
        endpoint: &str,
        disabled: bool,
        reason: &str,
    ) -> Result<Reply, Failure> {
        let (view, name) = self.endpoint_view(endpoint).await?;
        let timetable = find_endpoint(&view, &name)?.channel == Channel::Schedule;
        let reason = self.reason(reason)?;
        let action = if disabled {
            "endpoint.disable"
        } else {
            "endpoint.enable"
        };
        let row = Row::EndpointDisabled {
            endpoint: name.clone(),
            disabled,
        };
        let change = Change {
            action,
            object: name.clone(),
            detail: reason,
        };
        self.app
            .change(view.id, &self.by, vec![row], vec![change])
            .await?;
        let word = match (disabled, timetable) {
            (true, false) => "closed: senders get 404",
            (true, true) => "closed: it brings nothing, and what is due meanwhile is left out",
            (false, _) => "open",
        };
        Ok(Reply::Done(Done::new(format!("`{name}` is {word}"))))
    }

    /// `TENANT/ENDPOINT`, or an endpoint of the request's tenant.
    async fn endpoint_view(&self, text: &str) -> Result<(std::sync::Arc<Tenant>, String), Failure> {
        match text.split_once('/') {
            Some((tenant, endpoint)) => Ok((self.app.tenant(tenant).await?, endpoint.to_owned())),
            None => Ok((self.view().await?, text.to_owned())),
        }
    }

    pub(super) async fn key_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let now = self.now();
        let lines = view.rows.api_keys.iter().map(|k| KeyLine {
            kid: k.kid.clone(),
            scopes: k.scopes.clone(),
            expires: k.expires.map(At),
            active: k.expires.is_none_or(|e| now < e),
        });
        Ok(Reply::Keys(lines.collect()))
    }

    pub(super) async fn key_create(
        &self,
        scopes: &[String],
        lives: Option<i64>,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        for s in scopes {
            if !SCOPES.contains(&s.as_str()) {
                let hint =
                    nearest(s, SCOPES).map_or(String::new(), |n| format!(" Did you mean `{n}`?"));
                return Err(Failure::usage(format!(
                    "there is no scope `{s}`; the scopes are {}.{hint}",
                    SCOPES.join(", ")
                )));
            }
        }
        if scopes.is_empty() {
            return Err(Failure::usage(format!(
                "a key is for something: pass --scope, one of {}",
                SCOPES.join(", ")
            )));
        }
        let key = ApiKeyText::from_random(&random::<RANDOM_BYTES>()?);
        let now = self.now();
        let expires = lives.map(|l| now.saturating_add(l));
        let row = Row::ApiKey {
            kid: key.kid().to_owned(),
            hash: key.hash(&view.key),
            scopes: scopes.join(" "),
            expires,
            by: self.by.text(),
            at: now,
        };
        let change = Change {
            action: "key.create",
            object: key.kid().to_owned(),
            detail: scopes.join(" "),
        };
        self.app
            .change(view.id, &self.by, vec![row], vec![change])
            .await?;
        Ok(Reply::Key(FreshKey {
            kid: key.kid().to_owned(),
            key: key.to_text(),
            scopes: scopes.join(" "),
            expires: expires.map(At),
            replaces: None,
        }))
    }

    /// A key with the scopes of another, which ends after the overlap. Without a time of its own it ends when the
    /// other would have ended.
    pub(super) async fn key_rotate(
        &self,
        kid: &str,
        overlap: i64,
        lives: Option<i64>,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        if !(0..=MAX_OVERLAP).contains(&overlap) {
            return Err(Failure::usage(
                "--overlap is from 0s to 7d: how long the earlier key still counts",
            ));
        }
        let now = self.now();
        let Some(old) = view.rows.api_keys.iter().find(|k| k.kid == kid) else {
            return Err(no_key(kid));
        };
        if old.expires.is_some_and(|end| end <= now) {
            return Err(Failure::conflict(format!(
                "the key `{kid}` has ended: `throughline key create` makes another"
            )));
        }
        let ends = old
            .expires
            .unwrap_or(i64::MAX)
            .min(now.saturating_add(overlap));
        let expires = lives.map(|l| now.saturating_add(l)).or(old.expires);
        let key = ApiKeyText::from_random(&random::<RANDOM_BYTES>()?);
        let rows = vec![
            Row::ApiKey {
                kid: key.kid().to_owned(),
                hash: key.hash(&view.key),
                scopes: old.scopes.clone(),
                expires,
                by: self.by.text(),
                at: now,
            },
            Row::ApiKeyEnds {
                kid: kid.to_owned(),
                at: ends,
            },
        ];
        let change = Change {
            action: "key.rotate",
            object: kid.to_owned(),
            detail: key.kid().to_owned(),
        };
        self.app
            .change(view.id, &self.by, rows, vec![change])
            .await?;
        Ok(Reply::Key(FreshKey {
            kid: key.kid().to_owned(),
            key: key.to_text(),
            scopes: old.scopes.clone(),
            expires: expires.map(At),
            replaces: Some((kid.to_owned(), At(ends))),
        }))
    }

    pub(super) async fn key_disable(&self, kid: &str, reason: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let reason = self.reason(reason)?;
        if !view.rows.api_keys.iter().any(|k| k.kid == kid) {
            return Err(no_key(kid));
        }
        let row = Row::ApiKeyEnds {
            kid: kid.to_owned(),
            at: self.now(),
        };
        let change = Change {
            action: "key.disable",
            object: kid.to_owned(),
            detail: reason,
        };
        self.app
            .change(view.id, &self.by, vec![row], vec![change])
            .await?;
        Ok(Reply::Done(Done::new(format!(
            "the key `{kid}` is not accepted any more"
        ))))
    }
}

fn no_key(kid: &str) -> Failure {
    Failure::not_found(format!(
        "there is no key `{kid}`. `throughline key list` shows them"
    ))
}

/// Secrets of a door.
pub fn secrets_of<'a>(view: &'a Tenant, endpoint: &'a str) -> impl Iterator<Item = &'a SecretRow> {
    view.rows
        .secrets
        .iter()
        .filter(move |s| s.endpoint == endpoint)
}

fn is_active(s: &SecretRow, now: i64) -> bool {
    s.not_before <= now && s.not_after.is_none_or(|end| now < end)
}

fn is_disabled(view: &Tenant) -> bool {
    view.ingest_killed() && view.switches.iter().any(|s| s.scope == "tenant")
}

/// Whether an endpoint verifies with a secret of ours.
pub fn needs_secret(e: &Endpoint) -> bool {
    e.auth.iter().any(|a| a.proof() == Proof::Secret)
}

/// The letters of an endpoint's name in front of its key ids, so that a person can tell them apart.
fn name_prefix(name: &str) -> String {
    let letters: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(6)
        .collect();
    format!("{}-", letters.to_lowercase())
}

/// The endpoint of a name in the current versions.
fn find_endpoint<'a>(view: &'a Tenant, name: &str) -> Result<&'a Endpoint, Failure> {
    let all: Vec<&Endpoint> = view
        .current
        .values()
        .flat_map(|(_, b)| &b.program.endpoints)
        .collect();
    if let Some(e) = all.iter().find(|e| e.name == name) {
        return Ok(e);
    }
    let names: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => {
            "no workflow is deployed: `throughline deploy` does that".into()
        }
        None => format!("the endpoints are {}", names.join(", ")),
    };
    Err(Failure::not_found(format!(
        "tenant `{}` has no endpoint `{name}`; {hint}",
        view.name
    )))
}

/// A door as lists show it.
pub(super) fn endpoint_line(
    app: &App,
    view: &Tenant,
    program: &Program,
    e: &Endpoint,
) -> EndpointLine {
    let now = app.desk.now();
    let newest = secrets_of(view, &e.name)
        .filter(|s| is_active(s, now))
        .map(|s| s.not_before)
        .max();
    let line = |s: &SecretRow| {
        let uses = app.matched.of((view.id, &e.name, &s.kid));
        SecretLine {
            kid: s.kid.clone(),
            not_before: At(s.not_before),
            not_after: s.not_after.map(At),
            active: is_active(s, now),
            matched: uses.map_or(0, |u| u.count),
            matched_at: uses.map(|u| At(u.last)),
            earlier: newest.is_some_and(|newest| s.not_before < newest),
        }
    };
    let secrets: Vec<SecretLine> = secrets_of(view, &e.name).map(line).collect();
    let key_for_events = |k: &tl_store::contract::ApiKeyRow| {
        k.expires.is_none_or(|end| now < end) && k.scopes.split(' ').any(|s| s == "events")
    };
    let closed_because = if view.rows.disabled.contains(&e.name) {
        format!(
            "an operator closed it: throughline endpoint enable {} --reason CODE",
            e.name
        )
    } else if view.ingest_killed() {
        "ingest is switched off: throughline kill clear ingest --reason CODE".into()
    } else {
        let known = Known {
            secret: secrets.iter().any(|s| s.active),
            key: view.rows.api_keys.iter().any(key_for_events),
            address: app.config.public_url.is_some(),
        };
        let lacks = lacks(&format!("{}/{}", view.name, e.name), e, &known);
        let mut places = app.config.fetched_by(&view.name);
        match lacks.is_empty() || !places.any(|(_, endpoint, _)| endpoint == e.name) {
            true => lacks,
            false => format!("its mail is fetched; for HTTP {lacks}"),
        }
    };
    let address = address(app, view, e);
    let door = Door {
        program,
        endpoint: e,
        tenant: &view.name,
        address: &address,
    };
    EndpointLine {
        endpoint: e.name.clone(),
        workflow: program.id.clone(),
        channel: e.channel.word().to_owned(),
        auth: auth_words(&e.auth),
        signing: door.words(),
        example: door.example(None),
        address,
        open: closed_because.is_empty(),
        closed_because,
        secrets,
    }
}

/// What a tenant has to verify the senders of an endpoint with.
struct Known {
    /// A secret of the endpoint counts now.
    secret: bool,
    /// An API key for messages counts now.
    key: bool,
    /// The public address is set.
    address: bool,
}

/// What an endpoint lacks to verify anybody, with what mends it; empty where one kind of sender can be verified.
fn lacks(place: &str, e: &Endpoint, known: &Known) -> String {
    let nowhere = |a: &Auth| vendor::signs_address(a) && !known.address;
    let open = |a: &Auth| match a.proof() {
        Proof::Secret => known.secret && !nowhere(a),
        Proof::KeySet | Proof::Page | Proof::Link | Proof::Session => true,
        Proof::ApiKey => known.key,
        Proof::Nothing => false,
    };
    if e.auth.iter().any(open) {
        return String::new();
    }
    let needs = |proof: Proof| e.auth.iter().any(|a| a.proof() == proof);
    if known.secret && e.auth.iter().any(nowhere) {
        "its vendor signs the address: set `public_url` in throughline.toml, then restart".into()
    } else if needs(Proof::Secret) {
        format!("it has no secret: throughline endpoint rotate {place}")
    } else if needs(Proof::ApiKey) {
        "nobody has a key for it: throughline key create --scope events".into()
    } else {
        "`jwt` has no keys to verify with: set `jwt: { issuer, audience, keys }` in the workflow file, then \
         throughline deploy"
            .into()
    }
}

/// How senders identify themselves.
pub fn auth_words(auth: &[Auth]) -> String {
    let words: Vec<&str> = auth
        .iter()
        .map(|a| match a {
            Auth::Hmac { .. } => "hmac_signature",
            Auth::StandardWebhooks => "standard_webhooks",
            Auth::Preset(preset) => preset.word,
            Auth::Jwt { .. } => "jwt",
            Auth::ApiKey => "api_key",
            Auth::Public { .. } => "public",
            Auth::Link => "one-time link",
            Auth::SignIn => "sign_in",
        })
        .collect();
    words.join(" or ")
}

/// Where senders reach a door.
pub fn address(app: &App, view: &Tenant, e: &Endpoint) -> String {
    let base = match &app.config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", app.listen()),
    };
    if e.auth.contains(&Auth::SignIn) {
        return format!("{base}/notes/{}", e.name);
    }
    if e.auth.contains(&Auth::Link) {
        return format!("{base}/follow-up/{}/…", view.name);
    }
    match (e.channel, e.format) {
        (Channel::Api, _) => format!("{base}/v1/events"),
        (_, Format::Form) => format!("{base}/forms/{}/{}", view.name, e.name),
        _ => format!("{base}/hooks/{}/{}", view.name, e.name),
    }
}

/// The text of a file's bytes in a request.
pub(super) fn unbase64(text: &str) -> Result<Vec<u8>, Failure> {
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Failure::usage("a file of the request is not base 64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_lang::Project;

    /// The endpoint of a file with this `auth`.
    fn endpoint(auth: &str) -> Endpoint {
        let text = format!(
            "workflow: {{ id: w, version: 1 }}\ningress: {{ channels: {{ webhook: {{ auth: {auth} }} }} }}\n\
             decision: {{ branches: [{{ default: human_queue }}] }}\n"
        );
        let mut project = Project::default();
        let file = "workflows/w/workflow.yaml".to_owned();
        project.files.insert(file, text.into_bytes());
        let keys = "workflows/w/keys.json".to_owned();
        project.files.insert(keys, br#"{"keys":[]}"#.to_vec());
        let loaded = tl_lang::load(&project, "w");
        let program = loaded
            .program
            .unwrap_or_else(|| panic!("{auth}: {:?}", loaded.diags));
        program.endpoints[0].clone()
    }

    #[test]
    fn a_closed_endpoint_says_what_opens_it() {
        const ROTATE: &str = "throughline endpoint rotate default/webhook";
        const CREATE: &str = "throughline key create --scope events";
        const KEYS: &str = "set `jwt: { issuer, audience, keys }`";
        // The ways in; what opens it without anything, with a secret, with an API key; empty: it is open.
        #[rustfmt::skip]
        let table = [
            ("hmac_signature", [ROTATE, "", ROTATE]),
            ("standard_webhooks", [ROTATE, "", ROTATE]),
            ("api_key", [CREATE, CREATE, ""]),
            ("hmac_signature | api_key", [ROTATE, "", ""]),
            ("jwt", [KEYS, KEYS, KEYS]),
            ("jwt | hmac_signature", [ROTATE, "", ROTATE]),
            ("{ preset: stripe }", [ROTATE, "", ROTATE]),
            ("{ preset: twilio }", [ROTATE, "", ROTATE]),
            ("{ jwt: { issuer: i, audience: a } }", [KEYS, KEYS, KEYS]),
            ("{ jwt: { issuer: i, audience: a, algorithms: [HS256] } }", [ROTATE, "", ROTATE]),
            ("{ jwt: { issuer: i, audience: a, keys: keys.json } }", ["", "", ""]),
            ("{ jwt: { issuer: i, audience: a, keys: 'https://id.example/keys' } }", ["", "", ""]),
        ];
        for (auth, want) in table {
            let e = endpoint(auth);
            let known = [(false, false), (true, false), (false, true)];
            for ((secret, key), want) in known.into_iter().zip(want) {
                let address = true;
                let says = lacks(
                    "default/webhook",
                    &e,
                    &Known {
                        secret,
                        key,
                        address,
                    },
                );
                assert_eq!(says.is_empty(), want.is_empty(), "{auth}: {says}");
                assert!(says.contains(want), "{auth}: {says}");
            }
        }
        // The host of a request is no proof of where it was sent to.
        for (auth, closed) in [("{ preset: twilio }", true), ("{ preset: stripe }", false)] {
            let known = Known {
                secret: true,
                key: false,
                address: false,
            };
            let says = lacks("default/webhook", &endpoint(auth), &known);
            assert_eq!(says.contains("public_url"), closed, "{auth}: {says}");
        }
    }
}
