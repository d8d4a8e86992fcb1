//! Checkpoints beside the writer, so that no caller waits for one.
//!
//! A thread with a connection of its own copies the write-ahead log into the database while commits go on. What was
//! appended meanwhile is little; the writer copies that itself, so that the log is whole in the database at one
//! moment and starts again from its beginning.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::backend::Options;
use crate::error::OpenError;
use crate::sqlite::{Sqlite, dialect};

/// The writer's view of the thread.
#[derive(Debug)]
pub(super) struct Checkpoints {
    /// Length of the log after the last commit, pages.
    length: Arc<AtomicU64>,
    /// The thread has done what it was asked for.
    done: Arc<AtomicBool>,
    /// It has been asked.
    running: bool,
    /// Length at which it is asked.
    long: u64,
    /// Length at which it is asked next: longer than `long` while a reader keeps the log from starting again.
    limit: u64,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Checkpoints {
    /// Starts the thread and takes checkpoints over from the writing connection.
    pub(super) fn start(
        sqlite: &mut Sqlite,
        path: &Path,
        options: &Options,
    ) -> Result<Checkpoints, OpenError> {
        let conn = Sqlite::open_checkpointer(path, options)?;
        let length = sqlite
            .watch_log()
            .map_err(|e| dialect::open_error(path, &e))?;
        let done = Arc::new(AtomicBool::new(false));
        let (ask, asked) = sync_channel(1);
        let report = Arc::clone(&done);
        let work = move || {
            while asked.recv().is_ok() {
                if let Err(error) = dialect::checkpoint_part(&conn) {
                    tracing::warn!(%error, "a checkpoint stopped short; it is tried again");
                }
                report.store(true, Ordering::Release);
            }
        };
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(work)
            .map_err(|e: io::Error| OpenError::Database {
                path: path.display().to_string(),
                why: format!("no thread can be started: {e}"),
            })?;
        Ok(Checkpoints {
            length,
            done,
            running: false,
            long: u64::from(options.checkpoint_pages),
            limit: u64::from(options.checkpoint_pages),
            thread: Some((ask, thread)),
        })
    }

    /// Asks for a checkpoint when the log is long, and finishes the one that the thread has made.
    pub(super) fn after_commit(&mut self, sqlite: &Sqlite) {
        let length = self.length.load(Ordering::Relaxed);
        if self.running && self.done.swap(false, Ordering::Acquire) {
            self.running = false;
            if let Err(error) = sqlite.checkpoint_part() {
                tracing::warn!(%error, "a checkpoint stopped short; it is tried again");
            }
            // Should the log not start again with the next commit, somebody still reads from it.
            self.limit = length + self.long / 8;
        } else if !self.running && length < self.long {
            self.limit = self.long;
        } else if !self.running && length >= self.limit {
            let asked = self.thread.as_ref().map(|(ask, _)| ask.try_send(()));
            self.running = matches!(asked, Some(Ok(())));
        }
    }

    /// Ends the thread and closes its connection.
    pub(super) fn stop(&mut self) {
        if let Some((ask, thread)) = self.thread.take() {
            drop(ask);
            if thread.join().is_err() {
                tracing::error!("the checkpoint thread had failed");
            }
        }
    }
}
