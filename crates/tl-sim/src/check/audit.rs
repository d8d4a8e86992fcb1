//! What is recorded: each turn once, whole, and in the tree that the checkpoints sign.

use std::collections::{BTreeMap, BTreeSet};

use tl_engine::follower::{note, signer};
use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;
use tl_kernel::journal::leaf_hash;
use tl_store::contract::Row;

use super::Evidence;
use super::evidence::TreeFile;
use super::history::plans_differ;
use super::tree::{Tree, leads};
use crate::outside::{Outside, name_of};
use crate::world::KEY;

/// Every turn that a desk was told is committed is in the database, and every turn in the database was committed
/// by a desk: none is half there, and what it planned is in the ledger.
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
        out.extend(plans_differ(c));
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

/// The tree holds the leaf of every turn in commit order; every checkpoint is a signed root of a prefix of it, in the
/// database as in the files beside it, and each goes on in all later ones; and whatever a commit changes is told by a
/// turn of the same unit.
pub(super) fn i15_audit(e: &Evidence) -> Vec<String> {
    let mut out = untold(e);
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
        out.extend(checkpoints(*tenant, tree, &e.outside));
    }
    if e.outside.iter().any(|o| o.damaged) {
        out.push("a checkpoint file is damaged before its end".into());
    }
    out
}

/// What was committed without a turn and is none of what may be.
fn untold(e: &Evidence) -> Vec<String> {
    let mut out = Vec::new();
    let mut closed = BTreeSet::new();
    for seen in &e.witness {
        for turn in &seen.unit.turns {
            match turn.head.closed {
                true => closed.insert(turn.case),
                // What could not be made durable may be there all the same.
                false => seen.answer.is_ok() && closed.remove(&turn.case),
            };
        }
        let unit = &seen.unit;
        if seen.answer.is_err() || !unit.turns.is_empty() || !unit.control.is_empty() {
            continue;
        }
        let told = |row: &&Row| match row {
            Row::Event { event, .. } => event.case.is_none(),
            // A closed case waits no more: how it ended stands in the ledger alone.
            Row::Effect(c) => !c.to.is_settled() || closed.contains(&c.effect.case),
            Row::Variant { .. }
            | Row::Attempt(_)
            | Row::Idempotent { .. }
            | Row::Placed { .. }
            | Row::Checkpoint(_)
            | Row::Cursor { .. }
            | Row::Sweep { .. } => true,
            _ => false,
        };
        out.extend(
            unit.rows
                .iter()
                .filter(|r| !told(r))
                .map(|row| format!("no turn tells of {}", kind_of(row))),
        );
    }
    out
}

/// The first word of a row.
fn kind_of(row: &Row) -> String {
    match row {
        Row::Effect(c) => format!("{} as {}", c.effect, c.to.word()),
        other => {
            let all = format!("{other:?}");
            let end = all.find(|c: char| !c.is_alphanumeric());
            all[..end.unwrap_or(all.len())].to_owned()
        }
    }
}

/// A signed size and root, wherever it stands.
type Signed<'s> = (u64, Digest, &'s [u8]);

fn checkpoints(tenant: TenantId, file: &TreeFile, outside: &[Outside]) -> Vec<String> {
    let name = name_of(tenant);
    let tree = Tree::over(&file.leaves);
    let inside = file.checkpoints.iter().rev();
    let inside: Vec<Signed<'_>> = inside.map(|c| (c.size, c.root, &c.sig[..])).collect();
    let mut out = list(&name, &tree, &inside);
    let last = inside.last().map_or(0, |c| c.0);
    if last != file.leaves.len() as u64 {
        out.push(format!(
            "{name}: the last checkpoint covers {last} leaves of {}",
            file.leaves.len()
        ));
    }
    let mut all: BTreeSet<(u64, Digest)> = inside.iter().map(|c| (c.0, c.1)).collect();
    for node in outside {
        let own = node.stated.iter().filter(|s| s.tenant == tenant);
        let own: Vec<Signed<'_>> = own.map(|s| (s.size, s.root, &s.sig[..])).collect();
        let said = list(&name, &tree, &own).into_iter();
        out.extend(said.map(|what| format!("{what}, in a file")));
        for c in own.iter().filter(|c| !all.contains(&(c.0, c.1))) {
            out.push(format!(
                "{name}: a file has a checkpoint at {}, the database none",
                c.0
            ));
        }
        all.extend(own.iter().map(|c| (c.0, c.1)));
    }
    for first in &all {
        for second in all
            .range(first..)
            .filter(|c| c.0 <= file.leaves.len() as u64)
        {
            if !leads(*first, *second, &tree.proof(first.0, second.0)) {
                out.push(format!(
                    "{name}: the checkpoint at {} does not go on in the one at {}",
                    first.0, second.0
                ));
            }
        }
    }
    out
}

/// What is wrong with checkpoints in the order in which they were made.
fn list(name: &str, tree: &Tree<'_>, all: &[Signed<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    let signer = signer(&KEY);
    let mut before = 0;
    for (size, root, sig) in all {
        if tree.root(*size) != Some(*root) {
            out.push(format!("{name}: the checkpoint at {size} has another root"));
        }
        if *size < before {
            out.push(format!("{name}: a checkpoint shrinks to {size}"));
        }
        before = *size;
        // Ed25519 gives one signature per key and text.
        let text = note(name, *size, root);
        let right = signer.as_ref().map(|s| s.sign(text.as_bytes()));
        if right.is_none_or(|right| right.as_ref() != *sig) {
            out.push(format!("{name}: the checkpoint at {size} is not signed"));
        }
    }
    out
}

fn short(leaf: &Digest) -> String {
    leaf.iter().take(6).map(|b| format!("{b:02x}")).collect()
}
