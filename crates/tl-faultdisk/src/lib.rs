//! A disk in memory for tests, registered as a file layer of SQLite. It keeps apart what was written and what was
//! synced, and on demand loses power, fills up, fails a sync or a read. The same seed gives the same losses.
//!
//! ```text
//! let disk = FaultDisk::new(seed);
//! disk.register("lying");                       // Options { vfs: Some("lying".into()), .. }
//! disk.cut_power(17);                           // the 17th change from now is in flight
//! …commit until it fails…
//! disk.crash();                                 // what was open is dead; open again and look
//! ```
//!
//! What it does not simulate: bytes that rot at rest, sectors written in part, a disk that lies about a sync. The
//! salts in a write-ahead log come from SQLite's own dice and differ from run to run; no loss depends on them.

mod dice;
mod disk;
mod handle;
mod lock;
mod loss;
mod memory;
mod report;
mod vfs;

use std::cell::RefCell;
use std::ffi::CString;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

pub use dice::Dice;
pub use loss::Loss;
pub use report::{Change, ChangeKind, Report};

use disk::{Disk, Fail, Faults};
use handle::{Handle, Mode, Shared};

/// A simulated disk. Its content goes with the value; files that are open then keep theirs until they are closed.
#[derive(Debug)]
pub struct FaultDisk {
    shared: Arc<Shared>,
    names: Mutex<Vec<CString>>,
}

impl FaultDisk {
    /// An empty disk whose losses follow from the seed; so does the size of its sectors, 512 or 4,096 bytes.
    pub fn new(seed: u64) -> FaultDisk {
        FaultDisk::of(Disk::new(seed))
    }

    /// A new disk with the files of this one as they read now, all of them durable.
    pub fn fork(&self, seed: u64) -> FaultDisk {
        FaultDisk::of(self.shared.lock().fork(seed))
    }

    fn of(disk: Disk) -> FaultDisk {
        FaultDisk {
            shared: Arc::new(Shared::new(disk)),
            names: Mutex::default(),
        }
    }

    /// Makes the disk known to SQLite, in this process, until the disk is dropped.
    ///
    /// # Panics
    /// When a file layer has this name, or the name holds a NUL.
    pub fn register(&self, name: &str) {
        let name = CString::new(name).expect("a name without NUL");
        assert!(
            vfs::register(&name, &self.shared),
            "a file layer {name:?} is registered"
        );
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(name);
    }

    /// Opens a file for somebody who is not SQLite; it is made when it is not there.
    pub fn open(&self, name: &str) -> io::Result<OpenFile> {
        let mode = Mode {
            make: true,
            fresh: false,
            fleeting: false,
            names_itself: false,
        };
        let handle = Handle::open(Arc::clone(&self.shared), Some(name), mode);
        Ok(OpenFile(RefCell::new(handle.map_err(failed)?)))
    }

    /// The power goes during the `nth` change (write, truncation, sync, new or removed name) from now, 1 being the
    /// next. From then on everything fails until `crash`.
    pub fn cut_power(&self, nth: u64) {
        self.shared.lock().faults.power = Some(nth);
    }

    /// The power goes, if it has not gone yet, and comes back; the seed says what becomes of unsynced changes.
    /// Files that were open are dead, shared memory is empty, faults to come are forgotten.
    pub fn crash(&self) {
        self.shared.lock().crash(None);
    }

    /// The same, with the kind of loss chosen.
    pub fn crash_with(&self, loss: Loss) {
        self.shared.lock().crash(Some(loss));
    }

    /// After so many more bytes no write has room, not even one that replaces bytes, until `heal`. The write that
    /// meets the end is done up to there.
    pub fn disk_full(&self, after: u64) {
        self.shared.lock().faults.space = Some(after);
    }

    /// The `nth` write from now fails once, after some part of it.
    pub fn fail_write(&self, nth: u64) {
        self.shared.lock().faults.write = Some(nth);
    }

    /// The `nth` sync of a file from now fails once. As on Linux, what it should have made durable counts as
    /// written: no later sync tries again, and some of it may be on the disk.
    pub fn fail_sync(&self, nth: u64) {
        self.shared.lock().faults.sync = Some(nth);
    }

    /// The `nth` read from now fails once.
    pub fn fail_read(&self, nth: u64) {
        self.shared.lock().faults.read = Some(nth);
    }

    /// Forgets the faults that are still to come; there is room again.
    pub fn heal(&self) {
        self.shared.lock().faults = Faults::default();
    }

    /// Whether there is power: false between a cut and the crash that follows it.
    pub fn has_power(&self) -> bool {
        self.shared.lock().on
    }

    /// How often what happened.
    pub fn report(&self) -> Report {
        self.shared.lock().report
    }

    /// Every change since the disk was made, in order.
    pub fn changes(&self) -> Vec<Change> {
        self.shared.lock().log.clone()
    }
}

/// An open file of the disk. After a crash it is dead.
#[derive(Debug)]
pub struct OpenFile(RefCell<Handle>);

impl OpenFile {
    /// Its length in bytes.
    pub fn size(&self) -> io::Result<u64> {
        self.0.borrow().size().map_err(failed)
    }

    /// Reads from a position; fails where less is there.
    pub fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let read = self.0.borrow().read(at, to).map_err(failed)?;
        match read == to.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Cuts it off.
    pub fn truncate(&self, size: u64) -> io::Result<()> {
        self.0.borrow().truncate(size).map_err(failed)
    }

    /// Writes at a position.
    pub fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow().write(at, bytes).map_err(failed)
    }

    /// Makes durable what was written; not its name.
    pub fn sync(&self) -> io::Result<()> {
        self.0.borrow_mut().sync().map_err(failed)
    }
}

fn failed(why: Fail) -> io::Error {
    let kind = match why {
        Fail::Full => io::ErrorKind::StorageFull,
        Fail::Missing => io::ErrorKind::NotFound,
        Fail::Busy => io::ErrorKind::ResourceBusy,
        Fail::Broken => io::ErrorKind::Other,
    };
    kind.into()
}

impl Drop for FaultDisk {
    fn drop(&mut self) {
        let names = self.names.get_mut().unwrap_or_else(PoisonError::into_inner);
        names.iter().for_each(|name| vfs::unregister(name));
    }
}
