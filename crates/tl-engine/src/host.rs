//! What the loops stand on: time that passes, and tasks that run beside one another. The product stands on tokio;
//! a simulation puts its own executor under the same loops, so that one seed decides every order and every wait.

use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use crate::beside;

/// Work that runs by itself.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What became of a block that was to be appended to a file.
pub type Appended = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Runs tasks and lets them wait.
pub trait Host: Send + Sync + 'static {
    /// Begins a task; it runs to its end without anybody waiting for it.
    fn spawn(&self, task: Task);

    /// Ends when so much time has passed.
    fn sleep(&self, time: Duration) -> Task;

    /// Asked before and after each commit: what to wait for, so that others may run in between.
    fn pause(&self) -> Option<Task> {
        None
    }

    /// Appends a block to a file beside the database, as [`beside::append`] does it.
    fn append(&self, file: PathBuf, block: String) -> Appended {
        let write = move || {
            let mut how = OpenOptions::new();
            let file = how
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(file)?;
            beside::append(&file, &block)
        };
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(write).await;
            written.unwrap_or_else(|e| Err(io::Error::other(e)))
        })
    }
}

/// The runtime that the caller is in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokio;

impl Host for Tokio {
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }

    fn sleep(&self, time: Duration) -> Task {
        Box::pin(tokio::time::sleep(time))
    }
}
