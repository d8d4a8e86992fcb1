//! What is recorded: each turn once, whole, and in the tree that the checkpoints sign.

use std::collections::BTreeMap;

use tl_engine::follower::{note, signer};
use tl_kernel::digest::{Digest, sha256};
use tl_kernel::id::TenantId;
use tl_kernel::journal::leaf_hash;

use super::Evidence;
use super::evidence::TreeFile;
use crate::world::KEY;

/// Every turn that a desk was told is committed is in the database, and every turn in the database was committed
/// by a desk: none is half there.
pub(super) fn i5_atomic_step(e: &Evidence) -> Vec<String> {
    let mut stored: BTreeMap<Digest, u32> = BTreeMap::new();
    for tree in e.trees.values() {
        for leaf in &tree.turns {
            *stored.entry(*leaf).or_default() += 1;
        }
    }
    let mut out = Vec::new();
    let mut told = Vec::new();
    for seen in e.witness.iter().filter(|s| s.answer.is_ok()) {
        let turns = seen.unit.turns.iter().map(|t| &t.sealed);
        told.extend(turns.chain(&seen.unit.control).map(|s| s.leaf));
    }
    // A commit that could not be made durable may be there all the same.
    let perhaps = e.witness.iter().filter(|s| s.answer.is_err());
    let perhaps = perhaps.flat_map(|s| s.unit.turns.iter().map(|t| t.sealed.leaf));
    let perhaps: Vec<Digest> = perhaps.collect();
    for leaf in &told {
        if !stored.contains_key(leaf) {
            out.push(format!("a committed turn is not there: {}", short(leaf)));
        }
    }
    let mut in_journals = 0;
    for c in &e.cases {
        for turn in &c.journal {
            in_journals += 1;
            if stored.get(&turn.leaf) != Some(&1) {
                out.push(format!(
                    "turn {} of {} is not once in the order of commits",
                    turn.seq, c.row.case
                ));
            }
            if !told.contains(&turn.leaf) && !perhaps.contains(&turn.leaf) {
                out.push(format!(
                    "nobody committed turn {} of {}",
                    turn.seq, c.row.case
                ));
            }
        }
    }
    if in_journals == 0 {
        out.push("there is not one turn".into());
    }
    out
}

/// The tree holds the leaf of every turn in commit order; every checkpoint is a signed root of a prefix of it.
pub(super) fn i15_audit(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    for c in &e.cases {
        for turn in c.journal.iter().filter(|t| leaf_hash(&t.head) != t.leaf) {
            out.push(format!(
                "the leaf of turn {} of {} is of another head",
                turn.seq, c.row.case
            ));
        }
    }
    for (tenant, tree) in &e.trees {
        if tree.leaves != tree.turns {
            out.push(format!(
                "tenant {}: {} leaves are placed, {} turns are committed, or their order differs",
                tenant.0,
                tree.leaves.len(),
                tree.turns.len()
            ));
        }
        if tree.row.size != tree.leaves.len() as u64 {
            out.push(format!(
                "tenant {}: its tree says {} leaves",
                tenant.0, tree.row.size
            ));
        }
        out.extend(checkpoints(*tenant, tree));
    }
    out
}

fn checkpoints(tenant: TenantId, tree: &TreeFile) -> Vec<String> {
    let mut out = Vec::new();
    let mut before = 0;
    let name = match tenant {
        TenantId::SYSTEM => "system".to_owned(),
        TenantId(n) => format!("tenant-{n}"),
    };
    let signer = signer(&KEY);
    for c in tree.checkpoints.iter().rev() {
        let prefix = tree.leaves.get(..c.size as usize);
        if prefix.is_none_or(|leaves| root(leaves) != c.root) {
            out.push(format!(
                "tenant {}: the checkpoint at {} has another root",
                tenant.0, c.size
            ));
        }
        if c.size < before {
            out.push(format!(
                "tenant {}: a checkpoint shrinks to {}",
                tenant.0, c.size
            ));
        }
        before = c.size;
        // Ed25519 gives one signature per key and text.
        let text = note(&name, c.size, &c.root);
        let right = signer
            .as_ref()
            .map(|s| s.sign(text.as_bytes()).as_ref().to_vec());
        if right.as_ref() != Some(&c.sig) {
            out.push(format!(
                "tenant {}: the checkpoint at {} is not signed",
                tenant.0, c.size
            ));
        }
    }
    if before != tree.leaves.len() as u64 {
        out.push(format!(
            "tenant {}: the last checkpoint covers {before} leaves of {}",
            tenant.0,
            tree.leaves.len()
        ));
    }
    out
}

/// The root of a tree, as RFC 9162 defines it.
fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha256(&[]),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

fn short(leaf: &Digest) -> String {
    leaf.iter().take(6).map(|b| format!("{b:02x}")).collect()
}
