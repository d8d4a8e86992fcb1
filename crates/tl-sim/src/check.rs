//! The checker: what must hold after a run, whatever went wrong in it. One function per invariant, named after it.
//! It compares four accounts that do not know of one another: what senders were told, what the database holds, what
//! the vendors did, and what the audit tree says; and a witness of the order of commits.

mod admission;
mod audit;
mod effects;
mod ending;
mod evidence;
mod gate;
mod history;
mod hygiene;
mod tree;

pub use effects::{most_retries, traces_of};
pub use evidence::{Calm, CaseFile, Evidence, Sources, TreeFile};

/// An invariant: its number and name, and what does not hold.
type Invariant = (&'static str, fn(&Evidence) -> Vec<String>);

/// Every invariant that a run is judged by.
pub const INVARIANTS: &[Invariant] = &[
    ("I1 ack durability", admission::i1_ack_durability),
    ("I2 single admission", admission::i2_single_admission),
    ("I3 no phantom", admission::i3_no_phantom),
    ("I4 legal history", history::i4_legal_history),
    ("I5 atomic step", audit::i5_atomic_step),
    ("I6 effect count", effects::i6_effect_count),
    ("I7 no lost effect", ending::i7_no_lost_effect),
    ("I8 honest outcome", effects::i8_honest_outcome),
    ("I9 no lost update", effects::i9_no_lost_update),
    ("I10 fencing", gate::i10_fencing),
    ("I11 kill", gate::i11_kill),
    ("I12 consent", gate::i12_consent),
    ("I13 taint", gate::i13_taint),
    ("I14 tenancy", admission::i14_tenancy),
    ("I15 audit", audit::i15_audit),
    ("I16 hygiene", hygiene::i16_hygiene),
    ("I17 liveness", ending::i17_liveness),
    ("I18 timers", ending::i18_timers),
    ("I19 bounded retries", effects::i19_bounded_retries),
    ("I20 rebuild", history::i20_rebuild),
];

/// Most sentences per invariant: the first ones say it.
const SHOWN: usize = 5;

/// Everything that does not hold.
pub fn all(evidence: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for (name, check) in INVARIANTS {
        let found = check(evidence);
        let more = found.len().saturating_sub(SHOWN);
        out.extend(
            found
                .into_iter()
                .take(SHOWN)
                .map(|v| format!("{name}: {v}")),
        );
        if more > 0 {
            out.push(format!("{name}: and {more} more"));
        }
    }
    out
}
