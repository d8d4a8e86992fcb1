//! Deciding twice gives the same bytes, folding the journal gives the case that was decided on, and two
//! processes agree about all of it.

use std::process::Command;

use tl_kernel::case::{Case, fold};
use tl_kernel::decide::decide;
use tl_kernel::digest::{Digest, hex, sha256};
use tl_kernel::turn::{CaseHead, Decision};

use crate::drive::Life;
use crate::rng::Rng;
use crate::world::programs;

const SEED: u64 = 0x51ed_270b_9f0c_1a77;
const HISTORIES: u64 = 120;
const LENGTH: usize = 40;
/// Set for the second process.
const CHILD: &str = "TL_HISTORY_CHILD";
const MARK: &str = "digest of all histories: ";

/// The digest of every byte that all histories produce, and of the case that each folds to; `check` looks at each
/// history and its folded case on the way.
fn all_histories(check: impl Fn(&Life, &Case, &[Decision])) -> Digest {
    let mut digest = [0; 32];
    for (i, program) in programs().iter().enumerate() {
        for n in 0..HISTORIES {
            let mut rng = Rng(SEED ^ (n << 8) ^ (i as u64 + 1));
            let mut life = Life::new();
            let mut decisions = Vec::new();
            life.live(program, &mut rng, LENGTH, &mut |h| {
                let again = decide(program, h.before, h.input.clone(), &h.now.facts());
                assert_eq!(again, *h.decision, "deciding twice differs");
                decisions.push(again);
            });
            for d in &decisions {
                let (sealed, rest) = match d {
                    Decision::Turn(t, _) => (&t.sealed, format!("{t:?}")),
                    Decision::Refused(r) => (&r.sealed, r.message.clone()),
                };
                let body = sealed.body.as_deref().unwrap_or_default();
                digest = sha256(&[&digest, &sealed.head, body, &sealed.leaf, rest.as_bytes()]);
            }
            let (tenant, id) = (life.case.tenant, life.case.id);
            let folded = fold(tenant, id, &life.journal).expect("the journal folds");
            digest = sha256(&[&digest, format!("{folded:?}").as_bytes()]);
            check(&life, &folded, &decisions);
        }
    }
    digest
}

#[test]
fn the_journal_folds_to_the_case_that_was_decided_on() {
    let mut refused = 0;
    let counts = std::cell::Cell::new((0, 0));
    all_histories(|life, folded, decisions| {
        assert_eq!(
            *folded, life.case,
            "folding at once and turn by turn differ"
        );
        let last = decisions.iter().rev().find_map(|d| match d {
            Decision::Turn(t, _) => Some(&t.head),
            Decision::Refused(_) => None,
        });
        let head = last.expect("the first message is a turn");
        let want = CaseHead {
            state: folded.state,
            owner: folded.owner.clone(),
            definition: folded.definition,
            opened_at: folded.opened_at,
            updated_at: folded.updated_at,
            due: folded.due.filter(|_| !folded.breached),
            closed: folded.state == tl_kernel::program::canonical::CLOSED,
            open_tasks: folded.open_tasks().count() as u32,
            open_effects: folded.open_effects().count() as u32,
            reason: folded.reason.clone(),
            correlation: folded.correlation.clone(),
            workflow: head.workflow.clone(),
        };
        assert_eq!(
            *head, want,
            "what the lists show is not what the journal says"
        );
        let turns = decisions
            .iter()
            .filter(|d| matches!(d, Decision::Turn(..)))
            .count();
        assert_eq!(turns, life.journal.len());
        let (all, no) = counts.get();
        counts.set((all + decisions.len(), no + decisions.len() - turns));
    });
    let (all, no) = counts.get();
    refused += no;
    assert!(
        refused > all / 50 && refused < all * 2 / 3,
        "{refused} of {all} were refused"
    );
}

#[test]
fn two_processes_produce_the_same_bytes() {
    let mine = format!("{MARK}{}", hex(&all_histories(|_, _, _| ())));
    if std::env::var_os(CHILD).is_some() {
        println!("{mine}");
        return;
    }
    let me = std::env::current_exe().expect("a test is a file");
    let child = Command::new(me)
        .args([
            "--exact",
            "history::two_processes_produce_the_same_bytes",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .expect("the test starts itself");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains(MARK), "{said}");
    assert!(said.contains(&mine), "here {mine}, there {said}");
}
