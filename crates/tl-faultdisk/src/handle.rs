//! An open file: what SQLite holds of the disk.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, Fail, Inode};
use crate::lock::Level;
use crate::memory::Mapping;

/// The disk as its handles and the test share it.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<Disk>);

impl Shared {
    pub(crate) fn new(disk: Disk) -> Shared {
        Shared(Mutex::new(disk))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    /// It is made when it is not there.
    pub(crate) make: bool,
    /// It must not be there.
    pub(crate) fresh: bool,
    /// Its name goes when it is closed.
    pub(crate) fleeting: bool,
    /// When it is new, its first sync is one of the directory too.
    pub(crate) names_itself: bool,
}

/// An open file. After a crash it is dead: everything fails, nothing is changed.
#[derive(Debug)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    generation: u64,
    id: u64,
    inode: Inode,
    level: Level,
    mapping: Option<Mapping>,
    unnamed: bool,
    delete: Option<String>,
}

impl Handle {
    pub(crate) fn open(
        shared: Arc<Shared>,
        name: Option<&str>,
        mode: Mode,
    ) -> Result<Handle, Fail> {
        let mut disk = shared.lock();
        if mode.fresh && name.is_some_and(|name| disk.open(Some(name), false).is_ok()) {
            return Err(Fail::Broken);
        }
        let (inode, is_new) = disk.open(name, mode.make || name.is_none())?;
        let (generation, id) = (disk.generation, disk.number());
        drop(disk);
        Ok(Handle {
            shared,
            generation,
            id,
            inode,
            level: Level::None,
            mapping: None,
            unnamed: is_new && mode.names_itself,
            delete: name.filter(|_| mode.fleeting).map(str::to_owned),
        })
    }

    /// The disk, unless this handle is from before a crash.
    fn disk(&self) -> Result<MutexGuard<'_, Disk>, Fail> {
        let disk = self.shared.lock();
        match disk.generation == self.generation {
            true => Ok(disk),
            false => Err(Fail::Broken),
        }
    }

    pub(crate) fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize, Fail> {
        self.disk()?.read(self.inode, offset, to)
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Result<(), Fail> {
        self.disk()?.write(self.inode, offset, data)
    }

    pub(crate) fn truncate(&self, size: u64) -> Result<(), Fail> {
        self.disk()?.truncate(self.inode, size)
    }

    pub(crate) fn size(&self) -> Result<u64, Fail> {
        self.disk()?.size(self.inode)
    }

    /// As SQLite does it on Unix: a new journal or log is followed by its directory, a database is not.
    pub(crate) fn sync(&mut self) -> Result<(), Fail> {
        let mut disk = self.disk()?;
        disk.sync(self.inode)?;
        if self.unnamed {
            disk.sync_directory()?;
        }
        drop(disk);
        self.unnamed = false;
        Ok(())
    }

    pub(crate) fn raise(&mut self, to: Level) -> Result<(), Fail> {
        let mut level = self.level;
        let done = self
            .disk()
            .and_then(|mut disk| disk.locks(self.inode)?.raise(self.id, &mut level, to));
        self.level = level;
        done
    }

    pub(crate) fn lower(&mut self, to: Level) {
        let mut level = self.level;
        if let Ok(mut disk) = self.disk()
            && let Ok(locks) = disk.locks(self.inode)
        {
            locks.lower(self.id, &mut level, to);
        }
        self.level = level;
    }

    pub(crate) fn is_reserved(&self) -> Result<bool, Fail> {
        Ok(self.disk()?.locks(self.inode)?.is_reserved())
    }

    /// Where a region of the shared memory begins; null when it is not there and shall not be made.
    pub(crate) fn region(&mut self, n: usize, size: usize, make: bool) -> Result<*mut u8, Fail> {
        let mapping = match self.mapping.take() {
            Some(mapping) => mapping,
            None => Mapping::of(self.disk()?.memory(self.inode)?),
        };
        Ok(self.mapping.insert(mapping).region(n, size, make))
    }

    pub(crate) fn lock_memory(&mut self, slots: Range<usize>, alone: bool) -> Result<(), Fail> {
        self.mapping
            .as_mut()
            .ok_or(Fail::Broken)?
            .lock(slots, alone)
    }

    pub(crate) fn unlock_memory(&mut self, slots: Range<usize>) {
        if let Some(mapping) = &mut self.mapping {
            mapping.unlock(slots);
        }
    }

    pub(crate) fn unmap(&mut self) {
        self.mapping = None;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.lower(Level::None);
        if let Some(name) = self.delete.take()
            && let Ok(mut disk) = self.disk()
        {
            // Nothing can be said about a failure here; a name that stays is met by whoever opens it next.
            let _ = disk.delete(&name);
        }
    }
}
