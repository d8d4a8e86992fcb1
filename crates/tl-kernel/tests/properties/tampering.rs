//! A changed byte does not go unnoticed.

use tl_kernel::case::fold;
use tl_kernel::journal::{Sealed, leaf_hash};

use crate::drive::Life;
use crate::rng::Rng;
use crate::world::programs;

const FLIPS: usize = 500;

/// A turn as a store reads it back: the leaf is worked out from the head that is there.
fn read_back(s: &Sealed) -> Sealed {
    Sealed {
        leaf: leaf_hash(&s.head),
        ..s.clone()
    }
}

#[test]
fn a_flipped_bit_in_a_head_or_a_body_is_noticed() {
    let mut rng = Rng(0xbad_b17);
    let (mut heads, mut bodies, mut last) = (0, 0, 0);
    for i in 0..FLIPS {
        let program = &programs()[i % 3];
        let mut life = Life::new();
        let length = 3 + rng.below(20);
        life.live(program, &mut rng, length, &mut |_| ());
        let mut journal: Vec<Sealed> = life.journal.iter().map(read_back).collect();
        assert_eq!(
            fold(life.case.tenant, life.case.id, &journal).as_ref(),
            Ok(&life.case)
        );
        let turn = rng.below(journal.len());
        let ends = turn + 1 == journal.len();
        let bit = 1 << rng.below(8);
        let of_head = rng.share(50);
        let bytes = match &mut journal[turn] {
            Sealed { head, .. } if of_head => head,
            Sealed {
                body: Some(body), ..
            } => body,
            Sealed { .. } => continue,
        };
        let at = rng.below(bytes.len());
        bytes[at] ^= bit;
        journal[turn] = read_back(&journal[turn]);
        let folded = fold(life.case.tenant, life.case.id, &journal);
        // Nothing follows the last head; what was placed in the audit's tree stands against it.
        let noticed = match folded {
            Err(_) => true,
            Ok(case) => case.last_leaf != life.case.last_leaf,
        };
        let place = if of_head { "head" } else { "body" };
        assert!(
            noticed,
            "byte {at} of the {place} of turn {} of {}",
            turn + 1,
            life.journal.len()
        );
        heads += usize::from(of_head);
        bodies += usize::from(!of_head);
        last += usize::from(of_head && ends);
    }
    assert!(
        heads > 150 && bodies > 150 && last > 5,
        "{heads} heads ({last} last), {bodies} bodies"
    );
}

#[test]
fn a_turn_left_out_moved_or_doubled_is_noticed() {
    let mut life = Life::new();
    life.live(&programs()[0], &mut Rng(77), 30, &mut |_| ());
    assert!(life.journal.len() > 5);
    let fold = |j: &[Sealed]| fold(life.case.tenant, life.case.id, j).is_ok();
    assert!(fold(&life.journal));
    for i in 0..life.journal.len() - 1 {
        let mut without = life.journal.clone();
        without.remove(i);
        assert!(!fold(&without), "turn {} left out", i + 1);
        let mut swapped = life.journal.clone();
        swapped.swap(i, i + 1);
        assert!(!fold(&swapped), "turns {} and {} swapped", i + 1, i + 2);
        let mut doubled = life.journal.clone();
        doubled.insert(i, life.journal[i].clone());
        assert!(!fold(&doubled), "turn {} doubled", i + 1);
    }
}

#[test]
fn erased_bodies_fold_from_their_heads() {
    let mut life = Life::new();
    life.live(&programs()[1], &mut Rng(5), 30, &mut |_| ());
    let erased: Vec<Sealed> = life
        .journal
        .iter()
        .map(|s| Sealed {
            body: None,
            ..s.clone()
        })
        .collect();
    let case = fold(life.case.tenant, life.case.id, &erased).expect("heads fold alone");
    assert_eq!(
        (case.state, case.seq, case.last_leaf),
        (life.case.state, life.case.seq, life.case.last_leaf)
    );
    assert!(case.record.is_empty());
}
