//! Every reason that the engine gives by itself is one that no file may give.

use std::collections::BTreeSet;

use tl_kernel::journal::{Actor, Entry, open};
use tl_kernel::reason::{OF_THE_ENGINE, is_of_the_engine};

use crate::drive::Life;
use crate::rng::Rng;
use crate::world::programs;

const SEED: u64 = 0x0dd5_ea50_4e50_11c3;
const HISTORIES: u64 = 150;
const LENGTH: usize = 40;

/// What a decision weighs, and what a hand-off is for: a file may say the same.
const SHARED: [&str; 7] = [
    "missing",
    "unsure",
    "ai_off",
    "ai_failed",
    "no_confidence",
    "rule",
    "qualified",
];
/// What the rules of the programs say.
const OF_THE_FILES: [&str; 2] = ["embargo", "machine"];

#[test]
fn the_engine_gives_only_reasons_that_are_listed() {
    let mut seen = BTreeSet::new();
    for (i, program) in programs().iter().enumerate() {
        for n in 0..HISTORIES {
            let mut rng = Rng(SEED ^ (n << 8) ^ (i as u64 + 1));
            let mut life = Life::new();
            life.live(program, &mut rng, LENGTH, &mut |_| ());
            for sealed in &life.journal {
                let (head, _) = open(sealed).expect("the head opens");
                for entry in head.entries {
                    let (by_engine, reason) = match entry {
                        Entry::Moved { reason, .. } | Entry::Assigned { reason, .. } => {
                            // A person's own reason moves a case too.
                            (!matches!(head.actor, Actor::Person(_)), reason)
                        }
                        Entry::TaskOpened { reason, .. } => (true, reason),
                        _ => continue,
                    };
                    if by_engine {
                        seen.insert(reason);
                    }
                }
            }
        }
    }
    for reason in &seen {
        let known = [&SHARED[..], &OF_THE_FILES[..]].concat();
        assert!(
            is_of_the_engine(reason) || known.contains(&reason.as_str()),
            "the engine gives the reason `{reason}`, and the list does not name it"
        );
    }
    // The histories come along nearly everything that the engine says of a case.
    assert!(seen.len() >= 18, "{seen:?}");
    assert!(OF_THE_ENGINE.is_sorted());
}
