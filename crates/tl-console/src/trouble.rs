//! What went wrong, as a page says it: what happened, what it means, what to do.

use http::StatusCode;

/// A refusal or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// HTTP status.
    pub status: StatusCode,
    /// `TLnnnn`, empty where there is none.
    pub code: String,
    /// One line: what happened.
    pub title: String,
    /// What it means and what to do about it.
    pub said: String,
    /// An approval of what is not what would be sent now.
    pub stale: bool,
    /// Where to go on: words and address.
    pub next: Option<(String, String)>,
}

impl Trouble {
    fn new(status: StatusCode, title: &str, said: impl Into<String>) -> Trouble {
        Trouble {
            status,
            code: String::new(),
            title: title.to_owned(),
            said: said.into(),
            stale: false,
            next: None,
        }
    }

    /// There is no such thing.
    pub fn missing(said: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::NOT_FOUND, "Nothing is here", said)
    }

    /// The account may not.
    pub fn forbidden(said: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::FORBIDDEN, "Your role does not allow this", said)
    }

    /// The request cannot be read, or comes from another site.
    pub fn malformed(said: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::BAD_REQUEST, "That cannot be read", said)
    }

    /// The engine refuses it; nothing changed.
    pub fn refused(code: &str, said: impl Into<String>) -> Trouble {
        Trouble {
            code: code.to_owned(),
            ..Trouble::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "That was refused, and nothing changed",
                said,
            )
        }
    }

    /// Something else happened first.
    pub fn conflict(code: &str, said: impl Into<String>) -> Trouble {
        Trouble {
            code: code.to_owned(),
            ..Trouble::new(StatusCode::CONFLICT, "Somebody was faster", said)
        }
    }

    /// Too many attempts.
    pub fn slow_down(said: impl Into<String>) -> Trouble {
        Trouble::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", said)
    }

    /// The store or the server cannot now.
    pub fn unavailable(said: impl Into<String>) -> Trouble {
        Trouble::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "This cannot be shown right now",
            said,
        )
    }

    /// With a place to go on.
    pub fn then(mut self, words: impl Into<String>, address: impl Into<String>) -> Trouble {
        self.next = Some((words.into(), address.into()));
        self
    }
}
