//! The memory that connections to one database share in WAL mode, with its eight locks. It is gone with the power,
//! and when nobody maps it any more.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Fail;

/// Number of locks.
const SLOTS: usize = 8;

/// The memory of one file.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Atomic, because SQLite changes it behind our back, through pointers that outlive every borrow.
    regions: Vec<Arc<[AtomicU64]>>,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    readers: u32,
    writer: bool,
}

/// A connection's share of the memory. Its locks end with it.
#[derive(Debug)]
pub(crate) struct Mapping {
    memory: Arc<Memory>,
    reads: [bool; SLOTS],
    writes: [bool; SLOTS],
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mapping {
    /// Takes part in the memory.
    pub(crate) fn of(memory: Arc<Memory>) -> Mapping {
        Mapping {
            memory,
            reads: [false; SLOTS],
            writes: [false; SLOTS],
        }
    }

    /// Where region `n` of `size` bytes begins; null when it is not there and shall not be made. It stays there as
    /// long as the mapping.
    pub(crate) fn region(&self, n: usize, size: usize, make: bool) -> *mut u8 {
        let mut inner = self.memory.lock();
        if make {
            while inner.regions.len() <= n {
                let words = (0..size.div_ceil(8)).map(|_| AtomicU64::new(0));
                inner.regions.push(words.collect());
            }
        }
        let region = inner.regions.get(n);
        region.map_or(std::ptr::null_mut(), |words| words.as_ptr() as *mut u8)
    }

    /// Takes all the locks or none.
    pub(crate) fn lock(&mut self, slots: std::ops::Range<usize>, alone: bool) -> Result<(), Fail> {
        let mut inner = self.memory.lock();
        for n in slots.clone() {
            let slot = &inner.slots[n];
            let others_read = slot.readers > u32::from(self.reads[n]);
            let others_write = slot.writer && !self.writes[n];
            if others_write || (alone && others_read) {
                return Err(Fail::Busy);
            }
        }
        for n in slots {
            if alone {
                inner.slots[n].writer = true;
                self.writes[n] = true;
            } else if !self.reads[n] {
                inner.slots[n].readers += 1;
                self.reads[n] = true;
            }
        }
        Ok(())
    }

    /// Gives the locks back that are held.
    pub(crate) fn unlock(&mut self, slots: std::ops::Range<usize>) {
        let mut inner = self.memory.lock();
        for n in slots {
            if std::mem::take(&mut self.reads[n]) {
                inner.slots[n].readers -= 1;
            }
            if std::mem::take(&mut self.writes[n]) {
                inner.slots[n].writer = false;
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.unlock(0..SLOTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_writers_do_not() {
        let memory = Arc::new(Memory::default());
        let mut a = Mapping::of(Arc::clone(&memory));
        let mut b = Mapping::of(Arc::clone(&memory));
        assert!(a.lock(3..4, false).is_ok());
        assert!(b.lock(3..4, false).is_ok());
        assert!(a.lock(2..5, true).is_err());
        assert!(b.lock(2..3, true).is_ok(), "a took none of them");
        b.unlock(3..4);
        assert!(
            a.lock(3..5, true).is_ok(),
            "its own reading does not stand in its way"
        );
        assert!(b.lock(4..5, false).is_err());
        drop(a);
        assert!(b.lock(3..5, true).is_ok());
    }

    #[test]
    fn regions_are_shared_and_stay() {
        let memory = Arc::new(Memory::default());
        let a = Mapping::of(Arc::clone(&memory));
        let b = Mapping::of(memory);
        assert!(b.region(0, 32_768, false).is_null());
        let first = a.region(0, 32_768, true);
        assert!(!first.is_null());
        a.region(7, 32_768, true);
        assert_eq!(b.region(0, 32_768, false), first);
    }
}
