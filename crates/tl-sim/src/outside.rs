//! The checkpoint files of the nodes. They lie on the simulated disk beside the database and fail as it does.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tl_engine::beside::{self, Beside, is_block};
use tl_faultdisk::{FaultDisk, OpenFile};
use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;
use tl_store::Reader;

use crate::nodes::Truth;
use crate::world::Shared;

/// Checkpoints of a tenant that are looked through for one that was just stated.
const LATEST: u32 = 64;

/// A checkpoint as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Whose tree.
    pub tenant: TenantId,
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Digest,
    /// Signature.
    pub sig: Vec<u8>,
}

/// The checkpoint file of a node.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// What it states, in its order.
    pub stated: Vec<Stated>,
    /// Something that cannot be read stands before something that can.
    pub damaged: bool,
}

/// Where the node of a slot has its file.
pub fn file_of(slot: u32) -> String {
    format!("/sim/checkpoints-{slot}.txt")
}

/// The name of a tenant in a checkpoint.
pub fn name_of(tenant: TenantId) -> String {
    match tenant {
        TenantId::SYSTEM => "system".to_owned(),
        TenantId(n) => format!("tenant-{n}"),
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

/// One block, without the empty line after it.
fn stated(block: &str) -> Option<Stated> {
    if !is_block(block.as_bytes()) {
        return None;
    }
    let mut lines = block.lines();
    let name = lines.next()?.strip_prefix("throughline/")?;
    let tenant = match name {
        "system" => TenantId::SYSTEM,
        other => TenantId(other.strip_prefix("tenant-")?.parse().ok()?),
    };
    Some(Stated {
        tenant,
        size: lines.next()?.parse().ok()?,
        root: bytes(lines.next()?)?.try_into().ok()?,
        sig: bytes(lines.next()?)?,
    })
}

/// Reads the file of a slot; fails where the disk does.
pub fn read(disk: &FaultDisk, slot: u32) -> io::Result<Outside> {
    let file = disk.open(&file_of(slot))?;
    let mut all = vec![0; file.size()? as usize];
    file.read(0, &mut all)?;
    let text = String::from_utf8_lossy(&all);
    let mut out = Outside::default();
    let mut broken = false;
    // What is left of the last block, after power was lost, is no block; the next one that is written takes it away.
    for block in text.split("\n\n").filter(|b| !b.is_empty()) {
        match stated(block) {
            Some(one) => {
                out.damaged |= broken;
                out.stated.push(one);
            }
            None => broken = true,
        }
    }
    Ok(out)
}

/// An open file as the engine writes to it.
struct File<'s> {
    shared: &'s Shared,
    file: OpenFile,
}

impl Beside for File<'_> {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.file.read(at, to)
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.shared.faults.count("checkpoint_torn");
        self.file.truncate(size)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write(at, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// A node appends a block to its file. What it states must be in the database by then.
pub fn append(
    (shared, disk): (&Shared, &FaultDisk),
    truth: &Truth,
    file: &Path,
    block: &str,
) -> io::Result<()> {
    if let Some(new) = stated(block.trim_end()) {
        let known = truth.read(|r| r.checkpoints(new.tenant, LATEST));
        let is_known = |known: &Vec<tl_store::contract::Checkpoint>| {
            known
                .iter()
                .any(|c| (c.size, c.root) == (new.size, new.root))
        };
        if known.as_ref().is_some_and(|known| !is_known(known)) {
            shared.wrong(format!(
                "I15 audit: the file of checkpoints is ahead of the database, with {} leaves of {}",
                new.size,
                name_of(new.tenant)
            ));
        }
    } else {
        shared.wrong("I15 audit: what goes to the file of checkpoints is none".into());
    }
    let file = disk.open(&file.to_string_lossy())?;
    beside::append(&File { shared, file }, block)
}

/// The power was lost and is back: no file states more leaves than the database has kept.
pub fn survived(shared: &Shared, disk: &FaultDisk, truth: &Truth) {
    let mut most: BTreeMap<TenantId, u64> = BTreeMap::new();
    for slot in 1..=shared.setup.nodes {
        for one in read(disk, slot).unwrap_or_default().stated {
            let size = most.entry(one.tenant).or_default();
            *size = one.size.max(*size);
        }
    }
    for (tenant, size) in most {
        let placed = truth.read(|r: &Reader| r.tree(tenant));
        if placed.as_ref().is_some_and(|tree| tree.size < size) {
            shared.wrong(format!(
                "I15 audit: after a loss of power the database has {} leaves of {}, a checkpoint file states {size}",
                placed.map_or(0, |tree| tree.size),
                name_of(tenant)
            ));
        }
    }
}
