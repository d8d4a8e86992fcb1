//! Step 6: who sent the raw bytes. One alternative that verifies is enough; all refusals look the same.

use http::HeaderMap;
use tl_kernel::id::EventId;
use tl_kernel::program::Auth;
use tl_wire::signature::{
    DeliveryId, Encoding, HmacScheme, Incoming, Scheme, SignatureError, SignedString, Window, verify as verify_signature,
};

use super::Found;
use crate::apikey::ApiKeyText;
use crate::bearer::{self, Bearer, Doubt};
use crate::headers::{self, pairs};
use crate::problem::{KEYS_REFRESHING, Problem};
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
}

impl From<Bearer> for Sender {
    fn from(b: Bearer) -> Sender {
        Sender {
            kid: b.kid,
            delivery: None,
            principal: Some(b.principal),
        }
    }
}

/// Tries every alternative of the door. The reason of a refusal goes to the metrics and the security log only.
pub(crate) fn verify(
    web: &Web,
    found: &Found,
    headers: &HeaderMap,
    raw: &[u8],
    id: EventId,
) -> Result<Sender, Problem> {
    let now = web.intake.now();
    let mut doubt = Doubt::Refused("no_credential");
    let mut sender = None;
    for (at, auth) in found.endpoint().auth.iter().enumerate() {
        match alternative(found, (at, auth), headers, raw, now) {
            Ok(s) => sender = sender.or(Some(s)),
            Err(d) => doubt = graver(doubt, d),
        }
    }
    match sender {
        Some(sender) => Ok(sender),
        None => Err(doubted(web, (found, id), doubt, raw)),
    }
}

/// The answer to a sender that is not believed.
fn doubted(web: &Web, (found, id): (&Found, EventId), doubt: Doubt, raw: &[u8]) -> Problem {
    let now = web.intake.now();
    if doubt == Doubt::KeysRefreshing && web.asks_for_keys(found.view.id, &found.name, now) {
        let mut problem = unavailable("keys_refreshing", 5, id);
        (problem.kind, problem.code) = (KEYS_REFRESHING, KEYS_REFRESHING.code);
        return problem;
    }
    let class = doubt.class();
    web.security
        .refused((found.view.id, &found.name), class, raw, now);
    Problem::unauthorized(class)
}

/// A credential that was looked at says more than one that was not there.
fn graver(held: Doubt, new: Doubt) -> Doubt {
    let weight = |d: &Doubt| match d {
        Doubt::Refused("no_credential") => 0,
        Doubt::Refused("missing_header") => 1,
        Doubt::Refused(_) | Doubt::Scope => 2,
        Doubt::KeysRefreshing => 3,
    };
    if weight(&new) > weight(&held) { new } else { held }
}

fn alternative(
    found: &Found,
    (at, auth): (usize, &Auth),
    headers: &HeaderMap,
    raw: &[u8],
    now: i64,
) -> Result<Sender, Doubt> {
    let door = found.door();
    let token = headers::bearer(headers).ok_or(Doubt::Refused("no_credential"));
    match auth {
        Auth::Jwt { .. } => bearer::token(&found.view, door, at, token?, now).map(Sender::from),
        Auth::ApiKey => {
            let key = ApiKeyText::parse(token?).map_err(|_| Doubt::Refused("malformed"))?;
            bearer::api_key(&found.view, &key, "events", now).map(Sender::from)
        }
        Auth::Hmac { .. } | Auth::StandardWebhooks => {
            let refused = |e: SignatureError| Doubt::Refused(e.reason_class());
            let scheme = scheme(auth).map_err(refused)?;
            let pairs = pairs(headers);
            let incoming = Incoming { headers: &pairs, body: raw };
            let verified = verify_signature(&scheme, incoming, &door.secrets, Window::at(now)).map_err(refused)?;
            Ok(Sender {
                kid: verified.kid,
                delivery: verified.delivery_id,
                principal: None,
            })
        }
    }
}

fn scheme(auth: &Auth) -> Result<Scheme, SignatureError> {
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
        encoding: if *base64 { Encoding::Base64 } else { Encoding::Hex },
        signed: SignedString::parse(signed)?,
        timestamp_header: timestamp_header.clone(),
        id_header: id_header.clone(),
    }))
}
