//! The threads behind the façade. They end when the store is closed or its last handle is dropped.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::Progress;
use super::checkpoints::Checkpoints;
use crate::backend::Backend;
use crate::contract::{CommitAnswer, Unit};
use crate::error::StoreError;
use crate::postgres::Waker;
use crate::read::Reader;

/// Work for the writer.
pub(super) enum WriteJob {
    /// Units of one caller.
    Commit {
        units: Vec<Unit>,
        answer: oneshot::Sender<Vec<CommitAnswer>>,
        queued: Instant,
    },
    /// Something about the node, between two groups.
    Node(Box<dyn FnOnce(&mut Backend) + Send>),
    /// Nothing comes after this.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Work for a reader.
pub(super) enum ReadJob {
    /// A question that answers its caller itself.
    Ask(Box<dyn FnOnce(&Reader) + Send>),
    /// One reader ends.
    Stop(oneshot::Sender<()>),
}

impl ReadJob {
    /// A question whose answer goes to `answer`.
    pub(super) fn ask<T, F>(ask: F, answer: oneshot::Sender<Result<T, StoreError>>) -> ReadJob
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        ReadJob::Ask(Box::new(move |reader| {
            // The caller may have stopped waiting.
            let _ = answer.send(ask(reader));
        }))
    }
}

/// What runs beside the writer and ends with it.
pub(super) struct Beside {
    /// On SQLite.
    pub(super) checkpoints: Option<Checkpoints>,
    /// On PostgreSQL.
    pub(super) waker: Option<Waker>,
}

/// Starts the writer.
pub(super) fn writer(
    backend: Backend,
    group: usize,
    (beside, progress): (Beside, Arc<Progress>),
    jobs: mpsc::Receiver<WriteJob>,
) -> io::Result<()> {
    let Beside { checkpoints, waker } = beside;
    let writer = Writer {
        backend,
        jobs,
        group: group.max(1),
        checkpoints,
        waker,
        progress,
    };
    thread::Builder::new()
        .name("store-writer".into())
        .spawn(move || writer.run())?;
    Ok(())
}

struct Writer {
    backend: Backend,
    jobs: mpsc::Receiver<WriteJob>,
    group: usize,
    checkpoints: Option<Checkpoints>,
    waker: Option<Waker>,
    progress: Arc<Progress>,
}

/// Who waits for how many answers.
type Waiting = Vec<(oneshot::Sender<Vec<CommitAnswer>>, usize)>;

impl Writer {
    fn run(mut self) {
        let mut closing = None;
        while let Some(first) = self.jobs.blocking_recv() {
            let mut units = Vec::new();
            let mut waiting = Waiting::new();
            let mut oldest = None;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    WriteJob::Commit {
                        units: more,
                        answer,
                        queued,
                    } => {
                        oldest.get_or_insert(queued);
                        waiting.push((answer, more.len()));
                        units.extend(more);
                    }
                    WriteJob::Node(work) => work(&mut self.backend),
                    WriteJob::Close(answer) => {
                        // What was queued before is finished; what comes after finds the queue closed.
                        self.jobs.close();
                        closing = Some(answer);
                    }
                }
                next = if units.len() < self.group {
                    self.jobs.try_recv().ok()
                } else {
                    None
                };
            }
            if let Some(queued) = oldest {
                let since = self.progress.since(queued) + 1;
                self.progress.oldest.store(since, Ordering::Relaxed);
            }
            self.commit(units, waiting);
            self.progress.oldest.store(0, Ordering::Relaxed);
            if let (Some(checkpoints), Some(sqlite)) =
                (&mut self.checkpoints, self.backend.sqlite())
            {
                checkpoints.after_commit(sqlite);
            }
        }
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.stop();
        }
        drop(self.waker.take());
        self.backend.release();
        if let Some(answer) = closing {
            let result = self.backend.checkpoint();
            drop(self.backend);
            // The caller may have stopped waiting.
            let _ = answer.send(result);
        }
    }

    fn commit(&mut self, units: Vec<Unit>, waiting: Waiting) {
        let mut answers = Vec::with_capacity(units.len());
        let mut units = units.into_iter();
        loop {
            let group: Vec<Unit> = units.by_ref().take(self.group).collect();
            if group.is_empty() {
                break;
            }
            answers.extend(self.backend.commit(group));
            self.progress.groups.send_replace(self.backend.groups());
        }
        let mut answers = answers.into_iter();
        for (caller, n) in waiting {
            // The caller may have stopped waiting; its units are committed all the same.
            let _ = caller.send(answers.by_ref().take(n).collect());
        }
    }
}

/// Starts a thread for each connection; they share one queue.
pub(super) fn readers(connections: Vec<Reader>, jobs: mpsc::Receiver<ReadJob>) -> io::Result<()> {
    let jobs = Arc::new(Mutex::new(jobs));
    for (i, reader) in connections.into_iter().enumerate() {
        let jobs = Arc::clone(&jobs);
        thread::Builder::new()
            .name(format!("store-reader-{i}"))
            .spawn(move || answer(reader, &jobs))?;
    }
    Ok(())
}

fn answer(reader: Reader, jobs: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        let job = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        match job {
            Some(ReadJob::Ask(ask)) => ask(&reader),
            Some(ReadJob::Stop(done)) => {
                drop(reader);
                // The caller may have stopped waiting.
                let _ = done.send(());
                return;
            }
            None => return,
        }
    }
}
