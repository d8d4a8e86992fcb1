//! The façade that the rest of the program shares: asynchronous, cloneable, one writer thread and a few readers.
//!
//! Callers wait for their own unit; the writer takes whatever waits, up to the size of a group, and makes it
//! durable with one sync. It never waits for a group to fill.
//!
//! Inline, there are no threads: everything happens on the calling thread before a future returns, so that a
//! simulation decides the order of everything.

mod ask;
mod checkpoints;
mod held;
mod threads;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::backend::{Backend, Lease, Location, Options, apart};
use crate::contract::{CommitAnswer, Query, Refused, Reply, Unit};
use crate::error::{OpenError, StoreError};
use crate::postgres::{Bells, Waker};
use crate::read::Reader;
use crate::shared::{Shared, Way};

use checkpoints::Checkpoints;
use held::Held;
use threads::{Beside, ReadJob, WriteJob};

pub(crate) use held::Held as HeldLease;

/// Commits that may wait before a caller waits for room in the queue.
const QUEUE: usize = 4096;

/// A handle to the store. Clones share the same writer.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mode: Mode,
    progress: Arc<Progress>,
    node: u32,
    epoch: u64,
    shared: bool,
    /// Length of a lease.
    lease: Duration,
}

#[derive(Debug)]
enum Mode {
    Threads {
        writes: mpsc::Sender<WriteJob>,
        reads: mpsc::Sender<ReadJob>,
        readers: u32,
    },
    Inline(Inline),
}

/// A database without threads.
#[derive(Debug)]
struct Inline {
    /// `None` once closed.
    backend: Mutex<Option<Backend>>,
    /// What a node that shares its file stands on.
    shared: Option<Shared>,
}

/// What the writer tells everybody.
#[derive(Debug)]
struct Progress {
    begun: Instant,
    /// When the oldest unit of the group in hand was queued: µs after `begun`, plus one; 0 when idle.
    oldest: AtomicU64,
    groups: watch::Sender<u64>,
    /// Raised when another node has committed.
    elsewhere: watch::Sender<u64>,
    held: Arc<Held>,
}

impl Progress {
    fn new(clocks: Option<Shared>) -> Arc<Progress> {
        Arc::new(Progress {
            begun: Instant::now(),
            oldest: AtomicU64::new(0),
            groups: watch::Sender::new(0),
            elsewhere: watch::Sender::new(0),
            held: Arc::new(Held::new(clocks)),
        })
    }

    fn since(&self, instant: Instant) -> u64 {
        let micros = instant.saturating_duration_since(self.begun).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX - 1)
    }
}

/// Who a backend is.
struct Who {
    node: u32,
    epoch: u64,
    shared: bool,
    lease: Duration,
}

impl Who {
    fn of(backend: &Backend, options: &Options) -> Who {
        Who {
            node: backend.node(),
            epoch: backend.epoch(),
            shared: backend.is_shared(),
            lease: options.lease,
        }
    }
}

impl Store {
    /// Opens the file, migrates it, raises the node's epoch and starts the threads. Blocks for the time of that;
    /// needs no runtime. The directory must exist, and its lock is the caller's.
    pub fn open(path: &Path, options: &Options) -> Result<Store, OpenError> {
        Store::open_at(&Location::from(path), options)
    }

    /// As `open`, wherever the database is. On PostgreSQL the node is registered, and a thread keeps its lease.
    pub fn open_at(location: &Location, options: &Options) -> Result<Store, OpenError> {
        let mut backend = Backend::open_at(location, options)?;
        let progress = Progress::new(options.shared.clone());
        let asked = progress.held.asked();
        let lease = apart(|| {
            backend.heartbeat().map_err(|e| OpenError::Database {
                path: format!("{location:?}"),
                why: e.to_string(),
            })
        })?;
        progress.held.confirm(asked, &lease);
        let refused = |e: std::io::Error| OpenError::Database {
            path: format!("{location:?}"),
            why: format!("no thread can be started: {e}"),
        };
        let mut beside = Beside {
            checkpoints: None,
            waker: None,
        };
        if let (Location::File(path), Some(sqlite)) = (location, backend.sqlite()) {
            beside.checkpoints = Some(Checkpoints::start(sqlite, path, options)?);
        }
        if let Some(postgres) = backend.postgres() {
            let bells = Bells {
                groups: progress.groups.clone(),
                elsewhere: progress.elsewhere.clone(),
                held: Arc::clone(&progress.held),
            };
            let (address, node) = (postgres.address(), postgres.node().cloned());
            let waker = Waker::start(address, node, bells);
            beside.waker = Some(waker.map_err(refused)?);
        }
        let readers = options.readers.max(1);
        let mut connections = Vec::new();
        for _ in 0..readers {
            connections.push(Backend::open_reader(location, options)?);
        }
        let who = Who::of(&backend, options);
        let (writes, write_jobs) = mpsc::channel(QUEUE);
        let shared = (beside, Arc::clone(&progress));
        threads::writer(backend, options.group, shared, write_jobs).map_err(refused)?;
        let (reads, read_jobs) = mpsc::channel(QUEUE);
        threads::readers(connections, read_jobs).map_err(refused)?;
        let mode = Mode::Threads {
            writes,
            reads,
            readers,
        };
        Ok(Store::new(mode, progress, who))
    }

    /// Opens the database without threads: commits and questions run on the calling thread, and futures are ready
    /// when they return, unless the surroundings of a shared file let them wait. Several such stores may share one
    /// SQLite file, as nodes of their own. A PostgreSQL database may be used so from outside a runtime alone.
    pub fn inline(location: &Location, options: &Options) -> Result<Store, OpenError> {
        let mut backend = Backend::open_at(location, options)?;
        let progress = Progress::new(options.shared.clone());
        if options.shared.is_some() {
            let asked = progress.held.asked();
            let lease = backend.heartbeat().map_err(|e| OpenError::Database {
                path: format!("{location:?}"),
                why: e.to_string(),
            })?;
            progress.held.confirm(asked, &lease);
        }
        let who = Who::of(&backend, options);
        let mode = Mode::Inline(Inline {
            backend: Mutex::new(Some(backend)),
            shared: options.shared.clone(),
        });
        Ok(Store::new(mode, progress, who))
    }

    fn new(mode: Mode, progress: Arc<Progress>, who: Who) -> Store {
        let inner = Inner {
            mode,
            progress,
            node: who.node,
            epoch: who.epoch,
            shared: who.shared,
            lease: who.lease,
        };
        Store {
            inner: Arc::new(inner),
        }
    }

    /// The node's number; 0 for a guest.
    pub fn node(&self) -> u32 {
        self.inner.node
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
        let writes = match &self.inner.mode {
            Mode::Threads { writes, .. } => writes,
            Mode::Inline(inline) => {
                let committed = inline.reached(|| self.commit_inline(inline, units)).await;
                return committed.unwrap_or_else(|error| vec![Err(refused(&error)); wanted]);
            }
        };
        let (job, answers) = commit_job(units);
        if writes.send(job).await.is_err() {
            return vec![Err(closed()); wanted];
        }
        answers
            .await
            .unwrap_or_else(|_| vec![Err(closed()); wanted])
    }

    /// As `commit`, for a thread outside any runtime.
    pub fn commit_blocking(&self, unit: Unit) -> CommitAnswer {
        let answers = match &self.inner.mode {
            Mode::Threads { writes, .. } => {
                let (job, answers) = commit_job(vec![unit]);
                writes.blocking_send(job).map_err(|_| closed())?;
                answers.blocking_recv().map_err(|_| closed())?
            }
            Mode::Inline(inline) => self.commit_inline(inline, vec![unit]),
        };
        answers.into_iter().next().unwrap_or_else(|| Err(closed()))
    }

    fn commit_inline(&self, inline: &Inline, units: Vec<Unit>) -> Vec<CommitAnswer> {
        let mut backend = inline.lock();
        let Some(backend) = backend.as_mut() else {
            return vec![Err(closed()); units.len()];
        };
        let answers = backend.commit(units);
        self.inner.progress.groups.send_replace(backend.groups());
        answers
    }

    /// Answers a question from what is committed.
    pub async fn query(&self, query: Query) -> Result<Reply, StoreError> {
        self.read(move |r| r.query(query)).await
    }

    /// As `query`, for a thread outside any runtime.
    pub fn query_blocking(&self, query: Query) -> Result<Reply, StoreError> {
        let reads = match &self.inner.mode {
            Mode::Threads { reads, .. } => reads,
            Mode::Inline(inline) => return inline.read(|r| r.query(query)),
        };
        let (answer, answers) = oneshot::channel();
        let job = ReadJob::ask(move |r| r.query(query), answer);
        reads.blocking_send(job).map_err(|_| StoreError::Closed)?;
        answers.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// Runs several questions on one reading connection. Short work only: there are few connections.
    pub async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let reads = match &self.inner.mode {
            Mode::Threads { reads, .. } => reads,
            Mode::Inline(inline) => return inline.reached(|| inline.read(ask)).await?,
        };
        let (answer, answers) = oneshot::channel();
        let job = ReadJob::ask(ask, answer);
        reads.send(job).await.map_err(|_| StoreError::Closed)?;
        answers.await.map_err(|_| StoreError::Closed)?
    }

    /// Extends the node's lease and tells what is left of it. On PostgreSQL a thread does so by itself; on a SQLite
    /// file that is not shared nobody can take over, and the lease is endless.
    pub async fn heartbeat(&self) -> Result<Lease, StoreError> {
        let asked = self.inner.progress.held.asked();
        let lease = self.as_node(Backend::heartbeat).await?;
        self.inner.progress.held.confirm(asked, &lease);
        Ok(lease)
    }

    /// Extends the lease of an inline node as the thread does it elsewhere, and tells after what time to do so again;
    /// `None` once another process has taken the node over.
    pub async fn keep_lease(&self) -> Option<Duration> {
        let held = &self.inner.progress.held;
        let asked = held.asked();
        let answer = self.as_node(Backend::heartbeat).await;
        held.beaten(asked, self.inner.lease, answer.as_ref().ok())
    }

    /// Another node has committed: for whoever opened inline stores on one file, because nothing else tells them.
    pub fn hear(&self) {
        let progress = &self.inner.progress;
        progress.groups.send_modify(|_| {});
        progress.elsewhere.send_modify(|n| *n += 1);
    }

    /// What is left of the node's lease by this machine's clocks, as the database last confirmed it; `None` for one
    /// that does not end. Asks nobody: it may be looked at right before the first byte of every effect, and nothing
    /// may leave once it is zero.
    pub fn lease_left(&self) -> Option<Duration> {
        self.inner.progress.held.left()
    }

    /// Becomes true once another process has taken the node over. This one can commit nothing any more.
    pub fn lost(&self) -> watch::Receiver<bool> {
        self.inner.progress.held.lost()
    }

    /// What time it is where the database is, µs; `None` where that is this machine's own clock.
    pub fn database_time(&self) -> Option<i64> {
        self.inner.progress.held.database_time()
    }

    /// Whether the database may be shared with other nodes.
    pub fn is_shared(&self) -> bool {
        self.inner.shared
    }

    /// Takes over from other nodes whose lease has lapsed: raises their epochs, so that their attempts become stale, and
    /// names them, each once.
    pub async fn lapse_others(&self) -> Result<Vec<u32>, StoreError> {
        self.as_node(Backend::lapse_others).await
    }

    async fn as_node<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Backend) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writes = match &self.inner.mode {
            Mode::Threads { writes, .. } => writes,
            Mode::Inline(inline) => {
                let work = || work(inline.lock().as_mut().ok_or(StoreError::Closed)?);
                return inline.reached(work).await?;
            }
        };
        let (answer, answers) = oneshot::channel();
        let job = WriteJob::Node(Box::new(move |backend| {
            // The caller may have stopped waiting.
            let _ = answer.send(work(backend));
        }));
        writes.send(job).await.map_err(|_| StoreError::Closed)?;
        answers.await.map_err(|_| StoreError::Closed)?
    }

    /// Number of the last durable group since the store was opened.
    pub fn committed_group(&self) -> u64 {
        *self.inner.progress.groups.borrow()
    }

    /// Wakes after each durable group, also of another node of a PostgreSQL database; groups that follow quickly may
    /// be seen as one. A hint: look again in time even without it.
    pub fn groups(&self) -> watch::Receiver<u64> {
        self.inner.progress.groups.subscribe()
    }

    /// Wakes when another node has committed. A hint, as `groups` is.
    pub fn elsewhere(&self) -> watch::Receiver<u64> {
        self.inner.progress.elsewhere.subscribe()
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

    /// Finishes what is queued, moves the write-ahead log into the database and lets go of it; a node gives its lease
    /// back, so that others take over at once what it left behind. What is asked of any handle afterwards is refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        if self.is_shared() {
            self.inner.progress.held.give_up();
        }
        let (writes, reads, readers) = match &self.inner.mode {
            Mode::Threads {
                writes,
                reads,
                readers,
            } => (writes, reads, *readers),
            Mode::Inline(inline) => {
                let close = || {
                    let mut backend = inline.lock().take().ok_or(StoreError::Closed)?;
                    backend.release();
                    backend.checkpoint()
                };
                return inline.reached(close).await?;
            }
        };
        let (answer, done) = oneshot::channel();
        let sent = writes.send(WriteJob::Close(answer)).await;
        sent.map_err(|_| StoreError::Closed)?;
        let result = done.await.map_err(|_| StoreError::Closed)?;
        for _ in 0..readers {
            let (answer, done) = oneshot::channel();
            if reads.send(ReadJob::Stop(answer)).await.is_ok() {
                // The thread may have gone already; that is what was wanted.
                let _ = done.await;
            }
        }
        result
    }
}

fn commit_job(units: Vec<Unit>) -> (WriteJob, oneshot::Receiver<Vec<CommitAnswer>>) {
    let (answer, answers) = oneshot::channel();
    let job = WriteJob::Commit {
        units,
        answer,
        queued: Instant::now(),
    };
    (job, answers)
}

impl Inline {
    fn lock(&self) -> MutexGuard<'_, Option<Backend>> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        ask(self.lock().as_ref().ok_or(StoreError::Closed)?.reader())
    }

    /// Does it once the database is reached. What was done may have no answer.
    async fn reached<T>(&self, work: impl FnOnce() -> T) -> Result<T, StoreError> {
        let Some(Shared(surroundings)) = &self.shared else {
            return Ok(work());
        };
        loop {
            match surroundings.way() {
                Way::Open => break,
                Way::Wait(until) => until.await,
                Way::Cut => return Err(no_way()),
            }
        }
        let done = work();
        match surroundings.answers() {
            true => Ok(done),
            false => Err(no_way()),
        }
    }
}

fn no_way() -> StoreError {
    StoreError::Unavailable {
        why: "the database is not reached".into(),
    }
}

fn refused(error: &StoreError) -> Refused {
    Refused::Unavailable {
        why: error.to_string(),
    }
}

fn closed() -> Refused {
    Refused::Unavailable {
        why: "the store is closed".into(),
    }
}
