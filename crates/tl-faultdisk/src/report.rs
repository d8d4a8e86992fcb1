//! What the disk did: every change in order, and how often each fault fired.

use std::sync::Arc;

/// How often what happened since the disk was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Writes.
    pub writes: u64,
    /// Bytes of all writes.
    pub bytes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Reads.
    pub reads: u64,
    /// Changes during which the power went.
    pub cuts: u64,
    /// Times that the disk came back without what it had not synced.
    pub crashes: u64,
    /// Unsynced changes that survived a crash or a failed sync.
    pub kept: u64,
    /// Unsynced changes that did not.
    pub dropped: u64,
    /// Unsynced writes of which a part survived.
    pub torn: u64,
    /// Unsynced changes of the directory that did not survive.
    pub entries_lost: u64,
    /// Writes refused because the disk was full.
    pub full: u64,
    /// Writes that failed.
    pub failed_writes: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Reads that failed.
    pub failed_reads: u64,
}

/// A change of the disk, in the order in which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's name; empty for the directory and for temporary files.
    pub file: Arc<str>,
    /// What changed.
    pub kind: ChangeKind,
}

/// Kinds of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A file came into being.
    Create,
    /// Bytes of a file were replaced or appended.
    Write {
        /// Position of the first byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// A file was cut to a length in bytes.
    Truncate {
        /// The length.
        size: u64,
    },
    /// What was written to a file became durable.
    Sync,
    /// A name was removed.
    Delete,
    /// Names became durable.
    SyncDirectory,
}
