//! Step 6: who sent the raw bytes. One alternative that verifies is enough; all refusals look the same.

use http::HeaderMap;
use tl_kernel::id::EventId;
use tl_kernel::program::Auth;
use tl_wire::signature::{
    DeliveryId, Encoding, HmacScheme, Incoming, Preset, Scheme, SignatureError, SignedString,
    Window, verify as verify_signature,
};

use super::Found;
use crate::apikey::ApiKeyText;
use crate::bearer::{self, Bearer, Doubt, Moment};
use crate::headers::{self, pairs};
use crate::problem::{KEYS_REFRESHING, Problem};
use crate::security::Refused;
use crate::state::{Web, unavailable};

/// A sender who proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sender {
    /// Key id of what verified.
    pub(crate) kid: String,
    /// The delivery id of a signature that has one.
    pub(crate) delivery: Option<DeliveryId>,
    /// The name of an authenticated caller; absent for a signature.
    pub(crate) principal: Option<String>,
    /// The vendor whose signature it was.
    pub(crate) preset: Option<&'static Preset>,
    /// A signature that says no time: whoever has captured the message can send it for as long as the secret counts.
    pub(crate) timeless: bool,
}

impl From<Bearer> for Sender {
    fn from(b: Bearer) -> Sender {
        Sender {
            kid: b.kid,
            delivery: None,
            principal: Some(b.principal),
            preset: None,
            timeless: false,
        }
    }
}

/// What a sender is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) raw: &'a [u8],
    pub(crate) id: EventId,
    /// The method, in capitals.
    pub(crate) method: &'a str,
    /// The public address, where it is known.
    pub(crate) url: Option<&'a str>,
}

/// Tries every alternative of the door that is wanted here. The reason of a refusal goes to the metrics and the
/// security log only.
pub(crate) fn verify(
    web: &Web,
    found: &Found,
    evidence: Evidence<'_>,
    wanted: fn(&Auth) -> bool,
) -> Result<Sender, Problem> {
    let at = Moment {
        now: web.intake.now(),
        wall: web.intake.wall(),
    };
    let mut doubt = Doubt::Refused("no_credential");
    let mut sender = None;
    for (n, auth) in found.endpoint().auth.iter().enumerate() {
        if wanted(auth) {
            match alternative(found, (n, auth), evidence, at) {
                Ok(s) => sender = sender.or(Some(s)),
                Err(d) => doubt = graver(doubt, d),
            }
        }
    }
    sender.ok_or_else(|| doubted(web, found, doubt, evidence))
}

/// The answer to a sender that is not believed.
fn doubted(web: &Web, found: &Found, doubt: Doubt, evidence: Evidence<'_>) -> Problem {
    let class = doubt.class();
    if matches!(doubt, Doubt::KeysAbsent | Doubt::KeyUnknown) {
        for auth in &found.endpoint().auth {
            if let Auth::Jwt {
                keys: Some(keys), ..
            } = auth
            {
                web.intake.keys_wanted(keys);
            }
        }
        let mut problem = unavailable(class, 5, evidence.id);
        (problem.kind, problem.code) = (KEYS_REFRESHING, KEYS_REFRESHING.code);
        return problem;
    }
    turned_away(web, found, class, evidence)
}

/// The one answer to everybody who does not prove what a door asks for, and the line of the security log.
pub(crate) fn turned_away(
    web: &Web,
    found: &Found,
    class: &'static str,
    evidence: Evidence<'_>,
) -> Problem {
    let door = (found.view.id, found.name.as_str());
    let refused = Refused {
        body: evidence.raw,
        ..Refused::of(evidence.headers, evidence.id, class)
    };
    web.security.refused(door, refused, web.intake.now());
    Problem::unauthorized(class)
}

/// A credential that was looked at says more than one that was not there.
fn graver(held: Doubt, new: Doubt) -> Doubt {
    let weight = |d: &Doubt| match d {
        Doubt::Refused("no_credential") => 0,
        Doubt::Refused("missing_header") => 1,
        Doubt::Refused(_) | Doubt::Scope => 2,
        Doubt::KeyUnknown | Doubt::KeysAbsent => 3,
    };
    if weight(&new) > weight(&held) {
        new
    } else {
        held
    }
}

fn alternative(
    found: &Found,
    (n, auth): (usize, &Auth),
    evidence: Evidence<'_>,
    at: Moment,
) -> Result<Sender, Doubt> {
    let door = found.door();
    let token = headers::bearer(evidence.headers).ok_or(Doubt::Refused("no_credential"));
    match auth {
        Auth::Jwt { .. } => bearer::token(&found.view, (door, n), token?, at).map(Sender::from),
        Auth::ApiKey => {
            let key = ApiKeyText::parse(token?).map_err(|_| Doubt::Refused("malformed"))?;
            bearer::api_key(&found.view, &key, "events", at.now).map(Sender::from)
        }
        // None of them is in the request itself: the pages of people see to them.
        Auth::Public { .. } | Auth::Link | Auth::SignIn => Err(Doubt::Refused("no_credential")),
        Auth::Hmac { .. } | Auth::StandardWebhooks | Auth::Preset(_) => {
            let refused = |e: SignatureError| Doubt::Refused(e.reason_class());
            let scheme = signature_scheme(auth).map_err(refused)?;
            let pairs = pairs(evidence.headers);
            let incoming = Incoming {
                headers: &pairs,
                body: evidence.raw,
                method: evidence.method,
                url: evidence.url,
            };
            let window = Window::at(at.wall).with_secrets_at(at.now);
            let verified =
                verify_signature(&scheme, incoming, &door.secrets, window).map_err(refused)?;
            Ok(Sender {
                kid: verified.kid,
                delivery: verified.delivery_id,
                principal: None,
                timeless: verified.timestamp_us.is_none(),
                preset: match scheme {
                    Scheme::Preset(preset) => Some(preset),
                    _ => None,
                },
            })
        }
    }
}

/// How a door's declared signature is made and verified; `auth` is one of those that are signatures.
pub fn signature_scheme(auth: &Auth) -> Result<Scheme, SignatureError> {
    if let Auth::Preset(named) = auth {
        let row = tl_wire::signature::preset(named.word);
        return row
            .map(Scheme::Preset)
            .ok_or(SignatureError::UnsupportedVersion);
    }
    let Auth::Hmac {
        header,
        prefix,
        base64,
        signed,
        timestamp_header,
        id_header,
    } = auth
    else {
        return Ok(Scheme::StandardWebhooks);
    };
    Ok(Scheme::Hmac(HmacScheme {
        header: header.clone(),
        prefix: prefix.clone(),
        encoding: if *base64 {
            Encoding::Base64
        } else {
            Encoding::Hex
        },
        signed: SignedString::parse(signed)?,
        timestamp_header: timestamp_header.clone(),
        id_header: id_header.clone(),
    }))
}
