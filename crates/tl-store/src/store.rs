//! The façade that the rest of the program shares: asynchronous, cloneable, one writer thread and a few readers.
//!
//! Callers wait for their own unit; the writer takes whatever waits, up to the size of a group, and makes it
//! durable with one sync. It never waits for a group to fill.

mod ask;
mod checkpoints;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::backend::{Backend, Location, Options};
use crate::contract::{CommitAnswer, Query, Refused, Reply, Unit};
use crate::error::{OpenError, StoreError};
use crate::read::Reader;

use checkpoints::Checkpoints;
use threads::{ReadJob, WriteJob};

/// Commits that may wait before a caller waits for room in the queue.
const QUEUE: usize = 4096;

/// A handle to the store. Clones share the same writer.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writes: mpsc::Sender<WriteJob>,
    reads: mpsc::Sender<ReadJob>,
    readers: u32,
    progress: Arc<Progress>,
    epoch: u64,
}

/// What the writer tells everybody.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    /// When the oldest unit of the group in hand was queued: µs after `begun`, plus one; 0 when idle.
    oldest: AtomicU64,
    groups: watch::Sender<u64>,
}

impl Progress {
    fn since(&self, instant: Instant) -> u64 {
        let micros = instant.saturating_duration_since(self.begun).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX - 1)
    }
}

impl Store {
    /// Opens the file, migrates it, raises the node's epoch and starts the threads. Blocks for the time of that;
    /// needs no runtime. The directory must exist, and its lock is the caller's.
    pub fn open(path: &Path, options: &Options) -> Result<Store, OpenError> {
        let mut backend = Backend::open(path, options)?;
        let checkpoints = Checkpoints::start(&mut backend, path, options)?;
        let readers = options.readers.max(1);
        let mut connections = Vec::new();
        for _ in 0..readers {
            connections.push(Backend::open_reader(&Location::from(path), options)?);
        }
        let epoch = backend.epoch();
        let progress = Arc::new(Progress {
            begun: Instant::now(),
            oldest: AtomicU64::new(0),
            groups: watch::Sender::new(0),
        });
        let refused = |e: std::io::Error| OpenError::Database {
            path: path.display().to_string(),
            why: format!("no thread can be started: {e}"),
        };
        let (writes, write_jobs) = mpsc::channel(QUEUE);
        let shared = (checkpoints, Arc::clone(&progress));
        threads::writer(backend, options.group, shared, write_jobs).map_err(refused)?;
        let (reads, read_jobs) = mpsc::channel(QUEUE);
        threads::readers(connections, read_jobs).map_err(refused)?;
        Ok(Store {
            inner: Arc::new(Inner {
                writes,
                reads,
                readers,
                progress,
                epoch,
            }),
        })
    }

    /// How often this node was started; attempts of earlier epochs are stale. 0 for a guest.
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }

    /// Commits one unit and waits until it is durable. The unit is committed even when the caller stops waiting.
    pub async fn commit(&self, unit: Unit) -> CommitAnswer {
        let mut answers = self.commit_all(vec![unit]).await;
        answers.pop().unwrap_or_else(|| Err(closed()))
    }

    /// Commits units that do not depend on one another; answers come in their order. Each is refused or committed
    /// by itself, and they may fall into several groups.
    pub async fn commit_all(&self, units: Vec<Unit>) -> Vec<CommitAnswer> {
        let wanted = units.len();
        let (answer, answers) = oneshot::channel();
        let job = WriteJob::Commit {
            units,
            answer,
            queued: Instant::now(),
        };
        if self.inner.writes.send(job).await.is_err() {
            return vec![Err(closed()); wanted];
        }
        answers
            .await
            .unwrap_or_else(|_| vec![Err(closed()); wanted])
    }

    /// As `commit`, for a thread outside any runtime.
    pub fn commit_blocking(&self, unit: Unit) -> CommitAnswer {
        let (answer, answers) = oneshot::channel();
        let job = WriteJob::Commit {
            units: vec![unit],
            answer,
            queued: Instant::now(),
        };
        self.inner.writes.blocking_send(job).map_err(|_| closed())?;
        let answers = answers.blocking_recv().map_err(|_| closed())?;
        answers.into_iter().next().unwrap_or_else(|| Err(closed()))
    }

    /// Answers a question from what is committed.
    pub async fn query(&self, query: Query) -> Result<Reply, StoreError> {
        self.read(move |r| r.query(query)).await
    }

    /// As `query`, for a thread outside any runtime.
    pub fn query_blocking(&self, query: Query) -> Result<Reply, StoreError> {
        let (answer, answers) = oneshot::channel();
        let job = ReadJob::ask(move |r| r.query(query), answer);
        self.inner
            .reads
            .blocking_send(job)
            .map_err(|_| StoreError::Closed)?;
        answers.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs several questions on one reading connection. Short work only: there are few connections.
    pub async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answers) = oneshot::channel();
        let job = ReadJob::ask(ask, answer);
        self.inner
            .reads
            .send(job)
            .await
            .map_err(|_| StoreError::Closed)?;
        answers.await.map_err(|_| StoreError::Closed)?
    }

    /// Number of the last durable group since the store was opened.
    pub fn committed_group(&self) -> u64 {
        *self.inner.progress.groups.borrow()
    }

    /// Wakes after each durable group; groups that follow quickly may be seen as one.
    pub fn groups(&self) -> watch::Receiver<u64> {
        self.inner.progress.groups.subscribe()
    }

    /// How long the oldest unit that is not yet durable has waited; zero when none waits.
    pub fn queue_age(&self) -> Duration {
        let progress = &self.inner.progress;
        match progress.oldest.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            queued => {
                Duration::from_micros(progress.since(Instant::now()).saturating_sub(queued - 1))
            }
        }
    }

    /// Finishes what is queued, moves the write-ahead log into the database and lets go of the file. What is asked
    /// of any handle afterwards is refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, done) = oneshot::channel();
        let sent = self.inner.writes.send(WriteJob::Close(answer)).await;
        sent.map_err(|_| StoreError::Closed)?;
        let result = done.await.map_err(|_| StoreError::Closed)?;
        for _ in 0..self.inner.readers {
            let (answer, done) = oneshot::channel();
            if self.inner.reads.send(ReadJob::Stop(answer)).await.is_ok() {
                // The thread may have gone already; that is what was wanted.
                let _ = done.await;
            }
        }
        result
    }
}

fn closed() -> Refused {
    Refused::Unavailable {
        why: "the store is closed".into(),
    }
}
