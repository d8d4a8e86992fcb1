//! Why a command did not do what it was asked: one sentence that says what to do, a code where there is one,
//! and the exit code that scripts read.

use std::fmt;

use serde::{Deserialize, Serialize};
use tl_engine::desk::DeskError;
use tl_store::contract::Refused;
use tl_store::{OpenError, StoreError};

/// What kind of failure: decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Refused, or a check that found something: exit code 1.
    Refused,
    /// The command line or a setting is wrong: exit code 2.
    Usage,
    /// There is no such thing: exit code 3.
    NotFound,
    /// Something cannot be reached, opened or written: exit code 4.
    Unreachable,
    /// Somebody else is at it: exit code 5.
    Conflict,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Unreachable => 4,
            Kind::Conflict => 5,
        }
    }
}

/// A failure as it is printed, and as it travels through the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub kind: Kind,
    /// `TLnnnn`; empty, and left out of JSON, where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Failure {
        let message: String = message.into();
        let (code, message) = match message.split_once(' ') {
            Some((code, rest)) if is_code(code) => (code.to_owned(), rest.to_owned()),
            _ => (String::new(), message),
        };
        Failure {
            kind,
            code,
            message,
        }
    }

    /// Refused, or a failed check.
    pub fn refused(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Refused, message)
    }

    /// A wrong command line or setting.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Usage, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(Kind::NotFound, message)
    }

    /// Something cannot be reached, opened or written.
    pub fn unreachable(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Unreachable, message)
    }

    /// Somebody else is at it.
    pub fn conflict(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Conflict, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() {
            write!(f, "error: {}", self.message)
        } else {
            write!(
                f,
                "error[{}]: {}\n  more: throughline explain {}",
                self.code, self.message, self.code
            )
        }
    }
}

/// Whether a word is an error code.
pub fn is_code(word: &str) -> bool {
    word.len() == 6 && word.starts_with("TL") && word[2..].bytes().all(|b| b.is_ascii_digit())
}

impl From<DeskError> for Failure {
    fn from(e: DeskError) -> Failure {
        let kind = match &e {
            DeskError::Refused(_) | DeskError::Bundle(_) | DeskError::Journal(_) => Kind::Refused,
            DeskError::Missing(_) => Kind::NotFound,
            DeskError::Busy => Kind::Conflict,
            DeskError::Read(_) | DeskError::Stopped(_) => Kind::Unreachable,
            DeskError::Store(refused) => return refused.clone().into(),
        };
        Failure::new(kind, e.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(r: Refused) -> Failure {
        let kind = match &r {
            Refused::Unavailable { .. } => Kind::Unreachable,
            Refused::Faulty { .. } => Kind::Refused,
            _ => Kind::Conflict,
        };
        Failure::new(kind, r.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Failure {
        Failure::unreachable(e.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(e: OpenError) -> Failure {
        let kind = match &e {
            OpenError::Busy { .. } => Kind::Conflict,
            _ => Kind::Unreachable,
        };
        Failure::new(kind, e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_in_front_becomes_the_code() {
        let f = Failure::refused("TL0725 look again");
        assert_eq!(
            (f.code.as_str(), f.message.as_str()),
            ("TL0725", "look again")
        );
        assert!(f.to_string().contains("throughline explain TL0725"));
        let f = Failure::usage("no such flag");
        assert_eq!(f.to_string(), "error: no such flag");
        let json = serde_json::to_string(&f).unwrap();
        assert!(!json.contains("code"), "{json}");
        assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), f);
        assert!(!is_code("TLnnnn") && !is_code("TL07255"));
    }
}
