//! The audit tree as RFC 9162 defines it (section 2.1), written a second time: roots of prefixes, and proofs that one
//! prefix goes on in another.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tl_kernel::digest::{Digest, sha256};

/// A tree over leaves. What was hashed once is kept.
pub(super) struct Tree<'l> {
    leaves: &'l [Digest],
    known: RefCell<BTreeMap<(usize, usize), Digest>>,
}

fn node(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left, right])
}

/// Where a range of more than one leaf is split: the largest power of two below its length.
fn split(from: usize, to: usize) -> usize {
    from + (to - from).next_power_of_two() / 2
}

impl<'l> Tree<'l> {
    pub(super) fn over(leaves: &'l [Digest]) -> Tree<'l> {
        Tree {
            leaves,
            known: RefCell::default(),
        }
    }

    /// The root over the first leaves; `None` where there are not so many.
    pub(super) fn root(&self, size: u64) -> Option<Digest> {
        let size = usize::try_from(size).ok()?;
        (size <= self.leaves.len()).then(|| self.range(0, size))
    }

    fn range(&self, from: usize, to: usize) -> Digest {
        match &self.leaves[from..to] {
            [] => return sha256(&[]),
            [one] => return *one,
            _ => {}
        }
        if let Some(known) = self.known.borrow().get(&(from, to)) {
            return *known;
        }
        let middle = split(from, to);
        let root = node(&self.range(from, middle), &self.range(middle, to));
        self.known.borrow_mut().insert((from, to), root);
        root
    }

    /// The proof that the first `small` of the first `large` leaves are a prefix of them (section 2.1.4.1).
    pub(super) fn proof(&self, small: u64, large: u64) -> Vec<Digest> {
        let mut out = Vec::new();
        self.part((small as usize, true), (0, large as usize), &mut out);
        out
    }

    fn part(
        &self,
        (small, whole): (usize, bool),
        (from, to): (usize, usize),
        out: &mut Vec<Digest>,
    ) {
        if small == to - from {
            out.extend((!whole).then(|| self.range(from, to)));
            return;
        }
        let middle = split(from, to);
        let left = middle - from;
        if small <= left {
            self.part((small, whole), (from, middle), out);
            out.push(self.range(middle, to));
        } else {
            self.part((small - left, false), (middle, to), out);
            out.push(self.range(from, middle));
        }
    }
}

/// Whether a proof leads from one root to the other (section 2.1.4.2). Sizes are at least 1, the first is the smaller.
pub(super) fn leads(first: (u64, Digest), second: (u64, Digest), proof: &[Digest]) -> bool {
    if first.0 == second.0 {
        return first.1 == second.1 && proof.is_empty();
    }
    let own = first.0.is_power_of_two().then_some(first.1);
    let mut path = own.into_iter().chain(proof.iter().copied());
    let Some(begin) = path.next() else {
        return false;
    };
    let (mut f, mut s) = (first.0 - 1, second.0 - 1);
    while f & 1 == 1 {
        (f, s) = (f >> 1, s >> 1);
    }
    let (mut small, mut large) = (begin, begin);
    for c in path {
        if s == 0 {
            return false;
        }
        if f & 1 == 1 || f == s {
            (small, large) = (node(&c, &small), node(&c, &large));
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            large = node(&large, &c);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    s == 0 && (small, large) == (first.1, second.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_proved_and_nothing_else() {
        let leaves: Vec<Digest> = (0..40u8).map(|i| sha256(&[&[0], &[i]])).collect();
        let tree = Tree::over(&leaves);
        let other = sha256(b"another".chunks(1).collect::<Vec<_>>().as_slice());
        for large in 1..=40 {
            for small in 1..=large {
                let (a, b) = (tree.root(small).unwrap(), tree.root(large).unwrap());
                let proof = tree.proof(small, large);
                assert!(leads((small, a), (large, b), &proof), "{small} of {large}");
                assert!(
                    !leads((small, other), (large, b), &proof),
                    "{small} of {large}"
                );
                assert!(
                    !leads((small, a), (large, other), &proof),
                    "{small} of {large}"
                );
                for n in 0..proof.len() {
                    let mut wrong = proof.clone();
                    wrong[n] = other;
                    assert!(!leads((small, a), (large, b), &wrong), "{small} of {large}");
                }
            }
        }
    }
}
