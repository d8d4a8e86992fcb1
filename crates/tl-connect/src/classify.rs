//! What an observation means for an effect of a class: succeed, wait, try again, look, ask a person.
//!
//! Two steps, both tables: a status has a *meaning* (which a connector may override), and a meaning leads to an
//! *action* by guarantee class. The rule behind them: an effect is repeated only where the first try certainly had
//! no effect, or where repeating it does no harm.

use std::collections::BTreeMap;

pub use tl_kernel::connector::Meaning;
use tl_kernel::effect::Class;
use tl_kernel::program::OnUnknown;

use crate::backoff::LONGEST_WAIT;
use crate::knowledge::{NotSent, Unknown};

/// What was seen of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// No byte left.
    NotSent(NotSent),
    /// The protocol says that work on it did not begin.
    NotProcessed,
    /// Sent, perhaps; nothing is known.
    Unknown(Unknown),
    /// An answer.
    Answered {
        /// Its status.
        status: u16,
        /// Its `Retry-After`, µs.
        retry_after: Option<i64>,
        /// What its body says about the status.
        body: BodySays,
    },
}

/// What an answer's body says beside the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySays {
    /// Nothing against it.
    Agrees,
    /// The opposite: an error in a 200, another record's id.
    Contradicts,
    /// The body is missing or cut.
    Broken,
    /// It names our own idempotency key as the one that was first.
    OurKey,
}

/// Where a vendor differs from the rule. Shown in the connector's description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Status → its meaning at this vendor.
    pub meanings: BTreeMap<u16, Meaning>,
    /// A 2xx counts as done although its body was lost on the way.
    pub status_decides: bool,
}

/// Why another try is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The first had no effect.
    NotApplied,
    /// E1: the vendor recognises the key. Only inside the key's window, with the same bytes; after it: uncertain.
    SameKey,
    /// E2: the base version lets at most one through.
    SameVersion,
    /// E5.
    Harmless,
    /// E4 with `resend`: a duplicate is possible, and the effect is labelled so.
    DuplicatePossible,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It happened.
    Succeed,
    /// E4 with `assume_sent`: counted as happened, and labelled so.
    AssumeSent,
    /// The vendor will call back; until then the effect waits with its own deadline.
    AwaitCallback,
    /// Send again, not before the vendor's wait in µs (see [`crate::backoff`] for the delay).
    Retry {
        /// What the vendor asked for.
        retry_after: Option<i64>,
        /// Why that is harmless.
        ground: Ground,
    },
    /// E2: read the record; what it shows decides (see [`crate::reconcile::after_reading`]).
    Reread,
    /// Look it up later, or ask a person.
    Uncertain,
    /// E2: somebody changed the record first. Read and evaluate anew.
    Conflict,
    /// It did not happen and will not.
    Failed {
        /// Reason code.
        code: &'static str,
    },
    /// Nothing more on this connection until a person has looked.
    Hold {
        /// Reason code.
        code: &'static str,
    },
}

/// The action for what was observed.
pub fn classify(
    class: Class,
    on_unknown: OnUnknown,
    observation: &Observation,
    vendor: &Overrides,
) -> Action {
    let rule = Rule {
        class,
        on_unknown,
        retry_after: None,
    };
    let action = match *observation {
        Observation::NotSent(why @ (NotSent::Target | NotSent::Request)) => {
            Action::Failed { code: why.code() }
        }
        Observation::NotSent(_) | Observation::NotProcessed => rule.retry(Ground::NotApplied),
        Observation::Unknown(_) => rule.unknown(),
        Observation::Answered {
            status,
            retry_after,
            body,
        } => {
            let rule = Rule {
                retry_after,
                ..rule
            };
            rule.answered(meaning(status, vendor), body, vendor.status_decides)
        }
    };
    match action {
        Action::Retry {
            retry_after: Some(wait),
            ..
        } if wait > LONGEST_WAIT => Action::Hold {
            code: "retry_after_too_long",
        },
        other => other,
    }
}

/// What a status means at a vendor.
pub fn meaning(status: u16, vendor: &Overrides) -> Meaning {
    if let Some(meaning) = vendor.meanings.get(&status) {
        return *meaning;
    }
    match status {
        202 => Meaning::Accepted,
        200..=299 => Meaning::Done,
        300..=399 => Meaning::Redirected,
        401 => Meaning::Credential,
        402 | 403 => Meaning::Forbidden,
        404 => Meaning::Missing,
        408 | 500 => Meaning::MayHaveApplied,
        409 => Meaning::Conflict,
        412 | 428 => Meaning::ConditionFailed,
        413 => Meaning::TooLarge,
        423 | 425 | 429 => Meaning::NotProcessed,
        400..=499 | 501 => Meaning::Refused,
        _ => Meaning::Unknown,
    }
}

#[derive(Clone, Copy)]
struct Rule {
    class: Class,
    on_unknown: OnUnknown,
    retry_after: Option<i64>,
}

impl Rule {
    fn retry(self, ground: Ground) -> Action {
        Action::Retry {
            retry_after: self.retry_after,
            ground,
        }
    }

    /// Nothing is known about the try.
    fn unknown(self) -> Action {
        match (self.class, self.on_unknown) {
            (Class::E0 | Class::E3, _) => Action::Uncertain,
            (Class::E1, _) => self.retry(Ground::SameKey),
            (Class::E2, _) => Action::Reread,
            (Class::E4, OnUnknown::Hold) => Action::Uncertain,
            (Class::E4, OnUnknown::AssumeSent) => Action::AssumeSent,
            (Class::E4, OnUnknown::Resend) => self.retry(Ground::DuplicatePossible),
            (Class::E5, _) => self.retry(Ground::Harmless),
        }
    }

    fn answered(self, meaning: Meaning, body: BodySays, status_decides: bool) -> Action {
        let failed = |code| Action::Failed { code };
        match meaning {
            Meaning::Done | Meaning::Accepted => match body {
                BodySays::Contradicts => self.unknown(),
                BodySays::Broken if !status_decides => self.unknown(),
                _ if meaning == Meaning::Accepted => Action::AwaitCallback,
                _ => Action::Succeed,
            },
            Meaning::DoneBefore => Action::Succeed,
            Meaning::Redirected => failed("redirected"),
            Meaning::Refused => failed("refused"),
            Meaning::Missing => failed("target_missing"),
            Meaning::Credential => Action::Hold {
                code: "credential_refused",
            },
            Meaning::Forbidden => Action::Hold {
                code: "not_permitted",
            },
            Meaning::TooLarge if self.retry_after.is_some() => self.retry(Ground::NotApplied),
            Meaning::TooLarge => failed("too_large"),
            Meaning::Conflict => match (self.class, body) {
                (Class::E1, BodySays::OurKey) => Action::Succeed,
                (Class::E1 | Class::E2, _) => Action::Conflict,
                _ => failed("conflict"),
            },
            Meaning::ConditionFailed => match self.class {
                Class::E1 | Class::E2 => Action::Conflict,
                _ => failed("condition_failed"),
            },
            Meaning::NotProcessed => self.retry(Ground::NotApplied),
            Meaning::NotProcessedIfRetryAfter if self.retry_after.is_some() => {
                self.retry(Ground::NotApplied)
            }
            Meaning::NotProcessedIfRetryAfter | Meaning::Unknown => self.unknown(),
            // Under a version the second try meets 412 if the first one applied.
            Meaning::MayHaveApplied if self.class == Class::E2 => self.retry(Ground::SameVersion),
            Meaning::MayHaveApplied => self.unknown(),
        }
    }
}
