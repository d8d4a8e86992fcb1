//! The audit follower: reads turns in commit order, appends their leaves to the tenant's Merkle tree
//! (RFC 9162), and signs checkpoints (C2SP signed note) that are also written outside the database.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use tl_kernel::digest::{Digest, hex, sha256};
use tl_kernel::id::TenantId;
use tl_store::contract::{Checkpoint, Refused, Row, Unit};
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, DeskError, read_error};

/// Turns read in one look.
const BATCH: u32 = 1_000;
/// A checkpoint is signed at least this often while there is something new, µs.
const CHECKPOINT_EVERY: i64 = 60_000_000;
/// A checkpoint is signed after so many leaves.
const CHECKPOINT_LEAVES: u64 = 1_000;
/// A follower that another node was faster than keeps away for so long, µs: one of several does the work.
const KEEP_AWAY: i64 = 5_000_000;
/// Under this name a tenant holds how far all leaves were placed when its own were.
const REACHED: &str = "leaves_placed";
/// How often the follower looks; it never stands in the way of a commit.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The roots of the complete subtrees of a growing tree, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

/// Hash of an inner node (RFC 9162, section 2.1.1).
fn node(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left, right])
}

impl Frontier {
    /// Reads what `to_bytes` wrote for a tree of a size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Frontier> {
        let roots: Vec<Digest> = bytes
            .chunks(32)
            .map(|c| c.try_into().ok())
            .collect::<Option<_>>()?;
        (roots.len() == size.count_ones() as usize).then_some(Frontier { size, roots })
    }

    /// The subtree roots, one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        let mut bits = self.size;
        while bits & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                hash = node(&left, &hash);
            }
            bits >>= 1;
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The tree's root; the hash of nothing for an empty tree.
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else {
            return sha256(&[]);
        };
        roots.fold(*last, |right, left| node(left, &right))
    }
}

/// The follower of a node. Those of several nodes do not get into each other's way: a leaf is placed at a position, and
/// the store takes one leaf for each.
pub struct Follower {
    desk: Desk,
    signer: Ed25519KeyPair,
    /// Where checkpoints are written outside the database.
    file: Option<PathBuf>,
    signed: BTreeMap<TenantId, (u64, i64)>,
    /// The leaf of every turn up to here is placed.
    reached: Option<u64>,
    /// Another node does the work until then, µs.
    away_until: i64,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follower")
    }
}

/// The key that signs an installation's checkpoints, derived from the installation's key.
pub fn signer(installation: &[u8; 32]) -> Option<Ed25519KeyPair> {
    let seed = tl_kernel::digest::keyed(installation, &[b"checkpoint"]);
    Ed25519KeyPair::from_seed_unchecked(&seed).ok()
}

/// The text that a checkpoint's signature covers.
pub fn note(tenant: &str, size: u64, root: &Digest) -> String {
    format!("throughline/{tenant}\n{size}\n{}\n", hex(root))
}

impl Follower {
    /// A follower that signs with the installation's key and appends checkpoints to a file.
    pub fn new(desk: Desk, file: Option<PathBuf>) -> Option<Follower> {
        let signer = signer(desk.key())?;
        Some(Follower {
            desk,
            signer,
            file,
            signed: BTreeMap::new(),
            reached: None,
            away_until: 0,
        })
    }

    /// The public half of the signing key.
    pub fn public_key(&self) -> Vec<u8> {
        self.signer.public_key().as_ref().to_vec()
    }

    /// Runs until the token is cancelled, then places what is left and signs a last checkpoint.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.desk.sleep(LOOK_EVERY) => {}
            }
            if let Err(e) = self.catch_up(false).await {
                tracing::warn!(error = %e, "audit follower");
            }
        }
        if let Err(e) = self.catch_up(true).await {
            tracing::warn!(error = %e, "audit follower at the end");
        }
    }

    /// Places every leaf that is not placed yet; signs checkpoints where they are due, or everywhere.
    pub async fn catch_up(&mut self, sign_all: bool) -> Result<(), DeskError> {
        if self.desk.now() < self.away_until && !sign_all {
            return Ok(());
        }
        let tenants = self.desk.store().tenants().await.map_err(read_error)?;
        let reserved = (TenantId::SYSTEM, "system".to_owned());
        let all: Vec<_> = std::iter::once(reserved).chain(tenants).collect();
        loop {
            match self.place(&all).await {
                Ok(n) if n == BATCH as usize => {}
                Ok(_) => break,
                Err(DeskError::Store(Refused::TreeMoved { .. })) => {
                    self.away_until = self.desk.now() + KEEP_AWAY;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        for (id, name) in &all {
            self.checkpoint(*id, name, sign_all).await?;
        }
        Ok(())
    }

    /// Appends the leaves of the next turns, whoever's they are: looked for by tenant, the turns of all others would
    /// be read to find none. Returns how many there were.
    async fn place(&mut self, tenants: &[(TenantId, String)]) -> Result<usize, DeskError> {
        let store = self.desk.store();
        let from = match self.reached {
            Some(reached) => reached,
            None => self.noted(tenants).await?,
        };
        let turns = store.turns(from, BATCH, None, false).await;
        let turns = turns.map_err(read_error)?;
        let count = turns.len();
        let Some(last) = turns.last().map(|turn| turn.0) else {
            self.reached = Some(from);
            return Ok(0);
        };
        let mut by_tenant: BTreeMap<TenantId, Vec<(u64, Digest)>> = BTreeMap::new();
        for (ord, tenant, _, turn) in turns {
            by_tenant.entry(tenant).or_default().push((ord, turn.leaf));
        }
        let mut left = by_tenant.len();
        for (tenant, leaves) in by_tenant {
            left -= 1;
            // With the last of them every turn so far is placed, which its unit notes.
            let note = (left == 0).then_some(last);
            self.append(tenant, &leaves, note).await?;
        }
        self.reached = Some(last);
        Ok(count)
    }

    /// How far the leaves of all tenants were placed when it was last noted. Turns after it may be placed as well.
    async fn noted(&self, tenants: &[(TenantId, String)]) -> Result<u64, DeskError> {
        let mut noted = 0;
        for (id, _) in tenants {
            let cursor = self.desk.store().cursor(*id, REACHED.to_owned()).await;
            noted = noted.max(cursor.map_err(read_error)?.unsigned_abs());
        }
        Ok(noted)
    }

    /// Appends leaves to the tree of a tenant, without those that it has.
    async fn append(
        &self,
        tenant: TenantId,
        leaves: &[(u64, Digest)],
        note: Option<u64>,
    ) -> Result<(), DeskError> {
        let store = self.desk.store();
        let tree = store.tree(tenant).await.map_err(read_error)?;
        let new = leaves.iter().filter(|(ord, _)| *ord > tree.after);
        let (ords, leaves): (Vec<u64>, Vec<Digest>) = new.copied().unzip();
        let Some(after) = ords.last() else {
            return Ok(());
        };
        let Some(mut frontier) = Frontier::from_bytes(tree.size, &tree.frontier) else {
            return Err(DeskError::Read(
                "TL0905 the audit tree's frontier is damaged".into(),
            ));
        };
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        let mut unit = Unit::new(tenant);
        unit.rows.push(Row::Placed {
            pos: tree.size,
            leaves,
            after: *after,
            frontier: frontier.to_bytes(),
        });
        unit.rows.extend(note.map(|ord| Row::Cursor {
            name: REACHED.to_owned(),
            value: ord.cast_signed(),
        }));
        self.desk.commit(unit).await?.map_err(DeskError::Store)?;
        Ok(())
    }

    async fn checkpoint(
        &mut self,
        tenant: TenantId,
        name: &str,
        now_or_never: bool,
    ) -> Result<(), DeskError> {
        let store = self.desk.store();
        let tree = store.tree(tenant).await.map_err(read_error)?;
        let now = self.desk.now();
        let (size, at) = match self.signed.get(&tenant) {
            // Where there are several nodes another one may have signed.
            Some(known) if !store.is_shared() => *known,
            _ => {
                let last = store.checkpoints(tenant, 1).await.map_err(read_error)?;
                last.first().map_or((0, 0), |c| (c.size, c.at))
            }
        };
        let new = tree.size.saturating_sub(size);
        let due = new >= CHECKPOINT_LEAVES || now - at >= CHECKPOINT_EVERY || now_or_never;
        if new == 0 || !due {
            self.signed.insert(tenant, (size, at));
            return Ok(());
        }
        let Some(frontier) = Frontier::from_bytes(tree.size, &tree.frontier) else {
            return Ok(());
        };
        let root = frontier.root();
        let text = note(name, tree.size, &root);
        let sig = self.signer.sign(text.as_bytes()).as_ref().to_vec();
        let mut unit = Unit::new(tenant);
        unit.rows.push(Row::Checkpoint(Checkpoint {
            size: tree.size,
            root,
            sig: sig.clone(),
            at: now,
        }));
        match self.desk.commit(unit).await? {
            // What stands outside is never ahead of what is durable here.
            Ok(_) => self.write_outside(&text, &sig).await,
            Err(Refused::Faulty { .. }) => {}
            Err(refused) => return Err(DeskError::Store(refused)),
        }
        self.signed.insert(tenant, (tree.size, now));
        Ok(())
    }

    /// Appends a checkpoint to the file beside the database: what an auditor compares with.
    async fn write_outside(&self, text: &str, sig: &[u8]) {
        let Some(path) = &self.file else { return };
        let block = format!("{}{}\n\n", text, hex(sig));
        if let Err(e) = self.desk.append(path.clone(), block).await {
            tracing::warn!(error = %e, "the checkpoint file cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 9162, section 2.1.1, word by word: the second implementation.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            many => {
                let k = many.len().next_power_of_two() / 2;
                node(
                    &root_by_definition(&many[..k]),
                    &root_by_definition(&many[k..]),
                )
            }
        }
    }

    #[test]
    fn the_frontier_has_the_root_of_the_definition() {
        let leaves: Vec<Digest> = (0..70u8).map(|i| sha256(&[&[0], &[i]])).collect();
        let mut frontier = Frontier::default();
        for n in 0..=leaves.len() {
            assert_eq!(
                frontier.root(),
                root_by_definition(&leaves[..n]),
                "size {n}"
            );
            let read = Frontier::from_bytes(n as u64, &frontier.to_bytes()).unwrap();
            assert_eq!(read, frontier);
            if let Some(leaf) = leaves.get(n) {
                frontier.push(*leaf);
            }
        }
    }
}
