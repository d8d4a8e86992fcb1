//! The disk itself: what its readers see, what is durable, and the changes that lie between.
//!
//! ```text
//! write, truncate ─► visible + pending ── sync of the file ──► durable
//! create, delete  ─► names   + pending ── sync of the directory ─► durable names
//! power cut       ─► durable + what the loss leaves of pending; everything else is forgotten
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crate::dice::Dice;
use crate::lock::Locks;
use crate::loss::{Fate, Loss, Pending, Settling, put};
use crate::memory::Memory;
use crate::report::{Change, ChangeKind, Report};

/// A file apart from its name.
pub(crate) type Inode = u64;

/// Why the disk did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fail {
    /// It is off, or it was off since the file was opened, or it was told to fail.
    Broken,
    /// No room.
    Full,
    /// No such file.
    Missing,
    /// Somebody else holds the lock.
    Busy,
}

/// Faults that are still to come. Counters are of the next calls, from 1.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The change during which the power goes.
    pub(crate) power: Option<u64>,
    /// Bytes that can still be written.
    pub(crate) space: Option<u64>,
    /// The write that fails.
    pub(crate) write: Option<u64>,
    /// The sync that fails.
    pub(crate) sync: Option<u64>,
    /// The read that fails.
    pub(crate) read: Option<u64>,
}

/// Counts down; true when this is the call that was meant.
fn due(counter: &mut Option<u64>) -> bool {
    match counter {
        Some(0 | 1) => {
            *counter = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

#[derive(Debug, Default)]
struct File {
    name: Arc<str>,
    visible: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    locks: Locks,
    memory: Weak<Memory>,
}

/// An unsynced change of the directory.
#[derive(Debug)]
enum Entry {
    Added(String, Inode),
    Removed(String),
}

/// The whole disk.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) report: Report,
    pub(crate) log: Vec<Change>,
    /// Time as SQLite counts it: ms since noon of the day 0 of the Julian calendar.
    pub(crate) now: i64,
    /// Raised by every crash: what was opened before is dead.
    pub(crate) generation: u64,
    /// There is power.
    pub(crate) on: bool,
    sector: usize,
    next: u64,
    files: BTreeMap<Inode, File>,
    names: BTreeMap<String, Inode>,
    durable_names: BTreeMap<String, Inode>,
    pending_names: Vec<Entry>,
}

/// The first of January 2025, in the time of SQLite.
const START: i64 = 210_866_760_000_000 + 1_735_689_600_000;

impl Disk {
    pub(crate) fn new(seed: u64) -> Disk {
        let mut dice = Dice::new(seed);
        // Old disks write 512 bytes at once, newer ones 4,096.
        let sector = if dice.one_in(2) { 512 } else { 4096 };
        Disk {
            dice,
            faults: Faults::default(),
            report: Report::default(),
            log: Vec::new(),
            now: START,
            generation: 0,
            on: true,
            sector,
            next: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
        }
    }

    /// Another disk with the same files, all of them durable.
    pub(crate) fn fork(&self, seed: u64) -> Disk {
        let mut disk = Disk::new(seed);
        for (name, inode) in &self.names {
            let Some(file) = self.files.get(inode) else {
                continue;
            };
            let id = disk.number();
            let copy = File {
                name: Arc::clone(&file.name),
                visible: file.visible.clone(),
                durable: file.visible.clone(),
                ..File::default()
            };
            disk.files.insert(id, copy);
            disk.names.insert(name.clone(), id);
        }
        disk.durable_names = disk.names.clone();
        disk
    }

    /// A number that was not used yet.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn file(&mut self, inode: Inode) -> Result<&mut File, Fail> {
        self.files.get_mut(&inode).ok_or(Fail::Broken)
    }

    pub(crate) fn locks(&mut self, inode: Inode) -> Result<&mut Locks, Fail> {
        Ok(&mut self.file(inode)?.locks)
    }

    /// The memory that those share who have the file open.
    pub(crate) fn memory(&mut self, inode: Inode) -> Result<Arc<Memory>, Fail> {
        let file = self.file(inode)?;
        Ok(file.memory.upgrade().unwrap_or_else(|| {
            let memory = Arc::default();
            file.memory = Arc::downgrade(&memory);
            memory
        }))
    }

    /// Begins a change; true when the power goes during it.
    fn begin(&mut self, file: Arc<str>, kind: ChangeKind) -> Result<bool, Fail> {
        if !self.on {
            return Err(Fail::Broken);
        }
        self.log.push(Change { file, kind });
        let last = due(&mut self.faults.power);
        if last {
            self.on = false;
            self.report.cuts += 1;
        }
        Ok(last)
    }

    /// Ends a change that may have been the last one.
    fn end(last: bool) -> Result<(), Fail> {
        if last { Err(Fail::Broken) } else { Ok(()) }
    }

    /// Opens a file; true when it was made for that. Without a name it is a temporary one.
    pub(crate) fn open(&mut self, name: Option<&str>, make: bool) -> Result<(Inode, bool), Fail> {
        if !self.on {
            return Err(Fail::Broken);
        }
        if let Some(inode) = name.and_then(|name| self.names.get(name)) {
            return Ok((*inode, false));
        }
        if !make {
            return Err(Fail::Missing);
        }
        let inode = self.number();
        let file = File {
            name: name.unwrap_or_default().into(),
            ..File::default()
        };
        let known = Arc::clone(&file.name);
        self.files.insert(inode, file);
        if let Some(name) = name {
            let last = self.begin(known, ChangeKind::Create)?;
            self.names.insert(name.to_owned(), inode);
            self.pending_names
                .push(Entry::Added(name.to_owned(), inode));
            Disk::end(last)?;
        }
        Ok((inode, true))
    }

    /// Whether there is something under the name. As SQLite has it, an empty file is none.
    pub(crate) fn exists(&self, name: &str) -> bool {
        let file = self.names.get(name).and_then(|i| self.files.get(i));
        file.is_some_and(|f| !f.visible.is_empty())
    }

    pub(crate) fn size(&mut self, inode: Inode) -> Result<u64, Fail> {
        if !self.on {
            return Err(Fail::Broken);
        }
        Ok(self.file(inode)?.visible.len() as u64)
    }

    /// Reads what is there; the number of bytes.
    pub(crate) fn read(&mut self, inode: Inode, offset: u64, to: &mut [u8]) -> Result<usize, Fail> {
        self.report.reads += 1;
        if due(&mut self.faults.read) {
            self.report.failed_reads += 1;
            return Err(Fail::Broken);
        }
        if !self.on {
            return Err(Fail::Broken);
        }
        let file = self.file(inode)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = file.visible.get(from..).unwrap_or_default();
        let length = there.len().min(to.len());
        to[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    /// Writes; on a failure, perhaps only the beginning.
    pub(crate) fn write(&mut self, inode: Inode, offset: u64, data: &[u8]) -> Result<(), Fail> {
        let name = Arc::clone(&self.file(inode)?.name);
        let length = data.len() as u64;
        let last = self.begin(name, ChangeKind::Write { offset, length })?;
        self.report.writes += 1;
        self.report.bytes += length;
        let mut done = length;
        let mut failed = last.then_some(Fail::Broken);
        if due(&mut self.faults.write) {
            self.report.failed_writes += 1;
            done = self.dice.below(length + 1);
            failed = Some(Fail::Broken);
        }
        if let Some(space) = &mut self.faults.space {
            if *space < done {
                self.report.full += 1;
                done = *space;
                failed = Some(Fail::Full);
            }
            *space -= done;
        }
        let offset = usize::try_from(offset).map_err(|_| Fail::Full)?;
        let data = &data[..done as usize];
        let file = self.file(inode)?;
        if !data.is_empty() {
            put(&mut file.visible, offset, data);
            let data = data.into();
            file.pending.push(Pending::Write { offset, data });
        }
        failed.map_or(Ok(()), Err)
    }

    pub(crate) fn truncate(&mut self, inode: Inode, size: u64) -> Result<(), Fail> {
        let name = Arc::clone(&self.file(inode)?.name);
        let last = self.begin(name, ChangeKind::Truncate { size })?;
        let size = usize::try_from(size).map_err(|_| Fail::Full)?;
        let file = self.file(inode)?;
        file.visible.resize(size, 0);
        file.pending.push(Pending::Truncate { size });
        Disk::end(last)
    }

    /// Makes durable what was written to the file; not its name.
    pub(crate) fn sync(&mut self, inode: Inode) -> Result<(), Fail> {
        let name = Arc::clone(&self.file(inode)?.name);
        let last = self.begin(name, ChangeKind::Sync)?;
        Disk::end(last)?;
        self.report.syncs += 1;
        if due(&mut self.faults.sync) {
            self.report.failed_syncs += 1;
            let loss = match self.dice.below(3) {
                0 => Loss::Everything,
                1 => Loss::Tail,
                _ => Loss::Subset,
            };
            self.settle(inode, loss);
            // Linux forgets that the pages were not written: a later sync succeeds without them. They stay
            // readable until they are evicted.
            if self.dice.one_in(2) {
                let file = self.file(inode)?;
                file.visible = file.durable.clone();
            }
            return Err(Fail::Broken);
        }
        let file = self.file(inode)?;
        for change in file.pending.drain(..) {
            match change {
                Pending::Truncate { size } => file.durable.resize(size, 0),
                Pending::Write { offset, data } => put(&mut file.durable, offset, &data),
            }
        }
        Ok(())
    }

    /// Makes all names durable.
    pub(crate) fn sync_directory(&mut self) -> Result<(), Fail> {
        let last = self.begin("".into(), ChangeKind::SyncDirectory)?;
        Disk::end(last)?;
        self.pending_names.clear();
        self.durable_names = self.names.clone();
        Ok(())
    }

    /// Removes a name. Who has the file open keeps it.
    pub(crate) fn delete(&mut self, name: &str) -> Result<(), Fail> {
        if !self.names.contains_key(name) {
            return Err(Fail::Missing);
        }
        let last = self.begin(name.into(), ChangeKind::Delete)?;
        self.names.remove(name);
        self.pending_names.push(Entry::Removed(name.to_owned()));
        Disk::end(last)
    }

    fn settle(&mut self, inode: Inode, loss: Loss) {
        let Some(file) = self.files.get_mut(&inode) else {
            return;
        };
        let pending = std::mem::take(&mut file.pending);
        let mut settling = Settling {
            loss,
            sector: self.sector,
            dice: &mut self.dice,
            report: &mut self.report,
        };
        settling.settle(&mut file.durable, pending, file.visible.len());
    }

    /// The power goes, if it has not gone yet, and comes back. What is open is dead, faults to come are forgotten.
    pub(crate) fn crash(&mut self, loss: Option<Loss>) {
        let loss = loss.unwrap_or_else(|| Loss::draw(&mut self.dice));
        let names = std::mem::take(&mut self.pending_names);
        let fates = loss.fates(names.len(), &mut self.dice);
        for (entry, fate) in names.into_iter().zip(fates) {
            // There is no half a name; tearing is about writes.
            let kept = fate == Fate::Kept || loss == Loss::Tear;
            match entry {
                _ if !kept => self.report.entries_lost += 1,
                Entry::Added(name, inode) => drop(self.durable_names.insert(name, inode)),
                Entry::Removed(name) => drop(self.durable_names.remove(&name)),
            }
        }
        self.names = self.durable_names.clone();
        let named: Vec<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
        for inode in named {
            self.settle(inode, loss);
        }
        for file in self.files.values_mut() {
            file.visible = file.durable.clone();
            file.locks = Locks::default();
            file.memory = Weak::new();
        }
        self.generation += 1;
        self.report.crashes += 1;
        self.faults = Faults::default();
        self.on = true;
    }
}

#[cfg(test)]
mod tests;
