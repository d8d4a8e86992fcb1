//! Answers that say no: `application/problem+json` with a code, in one table.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `TLnnnn`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// One word for programs and metrics.
    pub reason: &'static str,
    /// One line for people.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($name:ident $code:literal $status:literal $reason:literal $title:literal;)*) => {
        $(#[doc = concat!($code, ": ", $title, ".")] pub const $name: Kind =
            Kind { code: $code, status: $status, reason: $reason, title: $title };)*
        /// All kinds, in the order of their codes.
        pub const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    NOT_FOUND "TL1001" 404 "not_found" "there is nothing at this address";
    METHOD "TL1002" 405 "method" "the address does not take this method";
    SLOW_BODY "TL1003" 408 "slow_body" "the body did not arrive in time";
    LENGTH_REQUIRED "TL1004" 411 "length_required" "the length of the body is not declared";
    TOO_LARGE "TL1005" 413 "too_large" "the body is larger than this address takes";
    TARGET_TOO_LONG "TL1006" 414 "target_too_long" "the request target is too long";
    CONTENT_TYPE "TL1007" 415 "content_type" "the content type is not the one this address takes";
    ENCODING "TL1008" 415 "encoding" "the body is encoded";
    HEAD_TOO_LARGE "TL1009" 431 "head_too_large" "the request head is too large";
    MALFORMED "TL1010" 400 "malformed" "the request is malformed";
    IDEMPOTENCY_KEY "TL1011" 400 "idempotency_key" "the Idempotency-Key is missing or malformed";
    UNAUTHORIZED "TL1012" 401 "unauthorized" "the sender is not known";
    SCOPE "TL1013" 403 "scope" "the key does not have the scope";
    IN_PROGRESS "TL1014" 409 "in_progress" "a request with the same Idempotency-Key is under way";
    KEY_REUSED "TL1015" 422 "key_reused" "the Idempotency-Key was used for another request";
    SCHEMA "TL1016" 422 "schema" "the body has not the declared shape";
    QUOTA "TL1017" 429 "quota" "too many requests";
    UNAVAILABLE "TL1018" 503 "unavailable" "no message can be taken now";
    KEYS_REFRESHING "TL1019" 503 "keys_refreshing" "the issuer's keys are being read again";
    INTERNAL "TL1020" 500 "internal" "an error of ours";
    VERSION "TL1021" 412 "version" "the record has another version";
    VERSION_REQUIRED "TL1022" 428 "version_required" "the write does not say which version it changes";
    REFUSED "TL1023" 422 "refused" "the case refuses the message";
    FORM "TL1024" 422 "form" "the form was not filled in as a person does";
}

/// The class of an error of ours: what was to be stored cannot be.
pub(crate) const FAULTY: &str = "faulty";
/// The class of an error of ours: what was read cannot be written down again.
pub(crate) const UNWRITABLE: &str = "unwritable";
/// The class of an error of ours: the work on it panicked.
pub(crate) const PANICKED: &str = "panicked";

/// A wrong field: where, and what was expected. Never the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// JSON pointer into the body.
    pub pointer: String,
    /// What was expected.
    pub expected: String,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// The code, where a deeper layer gave one of its own.
    pub code: &'static str,
    /// The word for metrics; the kind's unless a finer one is known.
    pub class: &'static str,
    /// What happened and what to do next.
    pub detail: String,
    /// Wrong fields.
    pub errors: Vec<FieldProblem>,
    /// Seconds after which it may work.
    pub retry_after: Option<u32>,
    /// More headers.
    pub headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    /// A refusal of a kind.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            kind,
            code: kind.code,
            class: kind.reason,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
        }
    }

    /// The same answer for everything that cannot be found.
    pub fn not_found() -> Problem {
        Problem::new(
            NOT_FOUND,
            "Check the address with the owner of the workflow.",
        )
    }

    /// The same answer for every sender that does not prove who it is; the class goes to the metrics alone.
    pub fn unauthorized(class: &'static str) -> Problem {
        Problem {
            class,
            ..Problem::new(
                UNAUTHORIZED,
                "No signature, token or key of this request was accepted.",
            )
        }
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// An error of ours; the id is in the log beside the details.
    pub fn internal(error_id: impl std::fmt::Display) -> Problem {
        let detail = format!(
            "Nothing was stored; the request may be sent again. The log has error {error_id}."
        );
        Problem::new(INTERNAL, detail)
    }

    /// With wrong fields.
    pub fn with_errors(mut self, errors: Vec<FieldProblem>) -> Problem {
        self.errors = errors;
        self
    }

    /// With the seconds after which it may work.
    pub fn retry(mut self, seconds: u32) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// With a finer word for the metrics.
    pub fn class(mut self, class: &'static str) -> Problem {
        self.class = class;
        self
    }

    /// With another header.
    pub fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// The connection ends after this answer: the rest of the request is not wanted.
    pub fn close(self) -> Problem {
        self.header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// Whether the same bytes would be refused again, however long one waits.
    pub(crate) fn is_for_good(&self) -> bool {
        let ours = [FAULTY, UNWRITABLE, PANICKED].contains(&self.class);
        ours || !(self.kind.status == 429 || self.kind.status >= 500)
    }

    /// The body of the answer.
    pub fn body(&self) -> Vec<u8> {
        let body = ProblemBody {
            r#type: format!("urn:throughline:problem:{}", self.code),
            code: self.code,
            reason: self.kind.reason,
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            errors: &self.errors,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    code: &'a str,
    reason: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldProblem]>::is_empty")]
    errors: &'a [FieldProblem],
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() =
            StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let mut codes: Vec<&str> = KINDS.iter().map(|k| k.code).collect();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
        assert!(KINDS.iter().all(|k| (400..600).contains(&k.status)));
    }

    #[test]
    fn what_the_same_bytes_always_meet_is_for_good() {
        let table = [
            (Problem::new(SCHEMA, ""), true),
            (Problem::new(QUOTA, ""), false),
            (Problem::new(UNAVAILABLE, "").class("disk"), false),
            (Problem::internal(1), false),
            (Problem::internal(1).class(FAULTY), true),
            (Problem::internal(1).class(UNWRITABLE), true),
            (Problem::internal(1).class(PANICKED), true),
        ];
        for (problem, want) in table {
            let (code, class) = (problem.code, problem.class);
            assert_eq!(problem.is_for_good(), want, "{code} {class}");
        }
    }
}
