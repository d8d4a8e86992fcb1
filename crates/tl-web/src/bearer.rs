//! Bearers: API keys with their scopes, and tokens of pinned issuers.

use std::sync::Arc;

use http::HeaderMap;
use tl_kernel::digest::{hex, keyed};
use tl_kernel::id::EventId;
use tl_kernel::program::Auth;
use tl_wire::jwt::{self, Algorithm, Issuer, JwtError};

use crate::apikey::ApiKeyText;
use crate::headers;
use crate::intake::{Door, TenantView};
use crate::problem::{Problem, QUOTA, SCOPE};
use crate::security::Refused;
use crate::state::Web;

/// Why a bearer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A class for the metrics and the security log.
    Refused(&'static str),
    /// The key is known and valid, but not for this.
    Scope,
    /// The token names a key that a newer key set may have.
    KeyUnknown,
    /// The issuer's keys are not here yet: nothing can be said.
    KeysAbsent,
}

impl Doubt {
    /// The word for the metrics and the security log.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Doubt::Refused(class) => class,
            Doubt::Scope => "scope",
            Doubt::KeyUnknown => "unknown_key",
            Doubt::KeysAbsent => "keys_absent",
        }
    }
}

/// Who was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// Key id for the audit.
    pub(crate) kid: String,
    /// Under which name the caller's own keys are kept. Holds no personal data.
    pub(crate) principal: String,
}

/// A moment: what we have set ourselves ends by engine time, what others have dated by the calendar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Engine time, µs.
    pub(crate) now: i64,
    /// What the calendar says, µs.
    pub(crate) wall: i64,
}

/// Checks an API key against a tenant.
pub(crate) fn api_key(
    view: &TenantView,
    key: &ApiKeyText,
    scope: &str,
    now: i64,
) -> Result<Bearer, Doubt> {
    let given = key.hash(&view.key);
    let known = view.api_keys.get(key.kid());
    let stored = known.map_or([0; 32], |k| k.hash);
    let equal = aws_lc_rs::constant_time::verify_slices_are_equal(&given, &stored).is_ok();
    let Some(known) = known.filter(|_| equal) else {
        return Err(Doubt::Refused("wrong_key"));
    };
    if known.expires.is_some_and(|end| now >= end) {
        return Err(Doubt::Refused("expired"));
    }
    if !known.scopes.iter().any(|s| s == scope) {
        return Err(Doubt::Scope);
    }
    Ok(Bearer {
        kid: key.kid().to_owned(),
        principal: format!("key:{}", key.kid()),
    })
}

/// Checks a token against one JWT alternative of a door.
pub(crate) fn token(
    view: &TenantView,
    (door, n): (&Door, usize),
    token: &str,
    at: Moment,
) -> Result<Bearer, Doubt> {
    let Some(Auth::Jwt {
        issuer,
        audience,
        algorithms,
        ..
    }) = door.program.endpoints[door.endpoint].auth.get(n)
    else {
        return Err(Doubt::Refused("no_alternative"));
    };
    let Some(keys) = door.key_sets.get(&n) else {
        return Err(Doubt::KeysAbsent);
    };
    let pinned = Issuer {
        issuer: issuer.clone(),
        audiences: vec![audience.clone()],
        algorithms: algorithms
            .iter()
            .filter_map(|a| Algorithm::named(a))
            .collect(),
        tenant_claim: None,
    };
    match jwt::verify(token, &pinned, keys, at.wall) {
        Ok(claims) => Ok(Bearer {
            kid: claims.kid.unwrap_or_else(|| "jwt".into()),
            principal: subject(view, issuer, &claims.subject),
        }),
        Err(JwtError::UnknownKey(_)) if door.may_have_newer_keys(n, at.now) => {
            Err(Doubt::KeyUnknown)
        }
        Err(e) => Err(Doubt::Refused(e.reason_class())),
    }
}

/// The subject of a token may be a person's address; its keyed digest is as good a name.
fn subject(view: &TenantView, issuer: &str, subject: &str) -> String {
    let digest = keyed(
        &view.key,
        &[b"subject", issuer.as_bytes(), subject.as_bytes()],
    );
    format!("jwt:{}", hex(&digest[..16]))
}

/// The tenant and the holder of the API key of a request, with a scope, at the tenant's pace.
pub(crate) async fn holder(
    web: &Web,
    headers: &HeaderMap,
    scope: &str,
    request: EventId,
) -> Result<(Arc<TenantView>, Bearer), Problem> {
    let now = web.intake.now();
    let Some(key) = headers::bearer(headers).and_then(|t| ApiKeyText::parse(t).ok()) else {
        return Err(Problem::unauthorized("no_key"));
    };
    let Some(view) = web.intake.tenant_of_key(key.kid()).await else {
        return Err(Problem::unauthorized("wrong_key"));
    };
    let bearer = api_key(&view, &key, scope, now).map_err(|doubt| match doubt {
        Doubt::Scope => scope_missing(scope),
        doubt => {
            let refused = Refused::of(headers, request, doubt.class());
            web.security.refused((view.id, "api"), refused, now);
            Problem::unauthorized(doubt.class())
        }
    })?;
    web.pace
        .take(view.id, "", web.config.tenant_rate, now)
        .map_err(|wait| too_fast(wait, request))?;
    Ok((view, bearer))
}

/// 403 with the scope that is missing.
pub(crate) fn scope_missing(scope: &str) -> Problem {
    Problem::new(SCOPE, format!("The key needs the scope `{scope}`."))
}

/// 429 with the real time to the next token, and up to a fifth more from the request's id.
pub(crate) fn too_fast(wait: i64, request: EventId) -> Problem {
    let most = wait / 5;
    let extra = most * i64::from(request.0[15]) / 255;
    let seconds = (wait + extra).div_euclid(1_000_000) + 1;
    Problem::new(
        QUOTA,
        "Send the message again after the time in Retry-After.",
    )
    .retry(u32::try_from(seconds).unwrap_or(u32::MAX))
}
