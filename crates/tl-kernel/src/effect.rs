//! The effect: its guarantee class, its states, and the edges between them.
//!
//! ```text
//! planned ─► ready ─► dispatching ─► awaiting_callback ─► settled
//!    │         ▲ ▲        │  │              │
//!    │         │ └────────┘  └─► uncertain ─┘
//!    └─────────┴──────────────────────┴──────────────────► settled
//! ```

use minicbor::{Decode, Encode};

/// What the vendor's interface lets us promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Class {
    /// In our own database: exactly once.
    #[n(0)]
    E0,
    /// The vendor honours our key: at most one effect while the key lives.
    #[n(1)]
    E1,
    /// Version compare: no lost update, at most one effect per base version.
    #[n(2)]
    E2,
    /// No key, but findable afterwards.
    #[n(3)]
    E3,
    /// Blind.
    #[n(4)]
    E4,
    /// A read, or harmless when repeated.
    #[n(5)]
    E5,
}

impl Class {
    const ALL: [Class; 6] = [
        Class::E0,
        Class::E1,
        Class::E2,
        Class::E3,
        Class::E4,
        Class::E5,
    ];

    /// The class of its number, as `self as i64`.
    pub fn from_number(number: i64) -> Option<Class> {
        Class::ALL.into_iter().find(|c| *c as i64 == number)
    }

    /// The word used everywhere.
    pub fn word(self) -> &'static str {
        ["E0", "E1", "E2", "E3", "E4", "E5"][self as usize]
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.word() == word)
    }
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum EffectState {
    /// Waits for an approval.
    #[n(0)]
    Planned,
    /// May be sent when due; retries, quiet hours and holds wait here.
    #[n(1)]
    Ready,
    /// An attempt is on its way.
    #[n(2)]
    Dispatching,
    /// The vendor accepted it and will say later what became of it.
    #[n(3)]
    AwaitingCallback,
    /// An attempt may or may not have had its effect.
    #[n(4)]
    Uncertain,
    /// It happened.
    #[n(5)]
    Succeeded,
    /// It did not happen and is not tried again.
    #[n(6)]
    Failed,
    /// Somebody else changed the target first; a new effect takes its place.
    #[n(7)]
    Superseded,
    /// Withdrawn before it was sent.
    #[n(8)]
    Cancelled,
    /// Its time had passed before it could be sent.
    #[n(9)]
    Expired,
    /// Given up after the last attempt.
    #[n(10)]
    Dead,
}

impl EffectState {
    /// Every state, in order.
    pub const ALL: [EffectState; 11] = [
        EffectState::Planned,
        EffectState::Ready,
        EffectState::Dispatching,
        EffectState::AwaitingCallback,
        EffectState::Uncertain,
        EffectState::Succeeded,
        EffectState::Failed,
        EffectState::Superseded,
        EffectState::Cancelled,
        EffectState::Expired,
        EffectState::Dead,
    ];

    /// The table of edges.
    const EDGES: &'static [(EffectState, EffectState)] = {
        use EffectState::*;
        &[
            (Planned, Ready),
            (Planned, Cancelled),
            (Planned, Expired),
            (Ready, Dispatching),
            (Ready, Succeeded), // E0: sent and settled in one unit
            (Ready, Failed),    // refused by the gate for good
            (Ready, Cancelled),
            (Ready, Expired),
            (Ready, Dead),      // poison: crashed too often
            (Ready, Uncertain), // sent before, perhaps, and may not be sent again
            (Dispatching, Ready),
            (Dispatching, AwaitingCallback),
            (Dispatching, Uncertain),
            (Dispatching, Succeeded),
            (Dispatching, Failed),
            (Dispatching, Superseded),
            (Dispatching, Dead),
            (AwaitingCallback, Succeeded),
            (AwaitingCallback, Failed),
            (AwaitingCallback, Uncertain),
            (Uncertain, Ready),
            (Uncertain, Succeeded),
            (Uncertain, Failed),
            (Uncertain, Superseded),
            (Uncertain, Cancelled), // a person dropped it
            (Uncertain, Dead),
            (Failed, Ready), // a person sends it again
            (Dead, Ready),
        ]
    };

    /// Whether one state may follow another.
    pub fn may_become(self, next: EffectState) -> bool {
        Self::EDGES.contains(&(self, next))
    }

    /// Nothing more happens by itself.
    pub fn is_settled(self) -> bool {
        self as u8 >= EffectState::Succeeded as u8
    }

    /// The word used everywhere.
    pub fn word(self) -> &'static str {
        match self {
            EffectState::Planned => "planned",
            EffectState::Ready => "ready",
            EffectState::Dispatching => "dispatching",
            EffectState::AwaitingCallback => "awaiting_callback",
            EffectState::Uncertain => "uncertain",
            EffectState::Succeeded => "succeeded",
            EffectState::Failed => "failed",
            EffectState::Superseded => "superseded",
            EffectState::Cancelled => "cancelled",
            EffectState::Expired => "expired",
            EffectState::Dead => "dead",
        }
    }

    /// The state from its stored number.
    pub fn from_number(n: i64) -> Option<EffectState> {
        Self::ALL.get(usize::try_from(n).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_states_leave_only_by_a_person() {
        for from in EffectState::ALL {
            for to in EffectState::ALL {
                let allowed = from.may_become(to);
                if from.is_settled() && allowed {
                    assert_eq!(to, EffectState::Ready, "{from:?} to {to:?}");
                    assert!(matches!(from, EffectState::Failed | EffectState::Dead));
                }
                if from == to {
                    assert!(!allowed, "{from:?} to itself");
                }
            }
        }
        assert!(!EffectState::Planned.may_become(EffectState::Dispatching));
        assert!(!EffectState::Uncertain.may_become(EffectState::Dispatching));
    }

    #[test]
    fn words_and_numbers_read_back() {
        for (i, s) in EffectState::ALL.into_iter().enumerate() {
            assert_eq!(EffectState::from_number(i as i64), Some(s));
        }
        assert_eq!(Class::parse("E3"), Some(Class::E3));
        assert_eq!(Class::parse("E9"), None);
    }
}
