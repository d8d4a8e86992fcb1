//! The worker: takes what may be sent, what is stale, and what is due, and sees each through.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tl_kernel::decide::Input;
use tl_kernel::effect::EffectState;
use tl_kernel::id::EffectId;
use tl_store::contract::EffectRow;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::Models;
use crate::desk::{Desk, DeskError, Handoff};
use crate::lanes::Lanes;
use crate::outward::Outward;

/// How often due timers and retries are looked for when nothing wakes the worker.
const POLL: Duration = Duration::from_millis(200);
/// Rows taken from the store in one look.
const BATCH: u32 = 512;

/// The worker of one node.
#[derive(Clone)]
pub struct Worker {
    pub(crate) desk: Desk,
    pub(crate) outward: Outward,
    pub(crate) models: Arc<Models>,
    pub(crate) lanes: Arc<Lanes>,
    in_flight: Arc<Mutex<BTreeSet<EffectId>>>,
    /// Found ready, waiting for a slot.
    waiting: Arc<Mutex<VecDeque<EffectRow>>>,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker")
    }
}

/// One effect on its way, with the slot it occupies.
pub(crate) struct Flight {
    pub(crate) row: EffectRow,
    pub(crate) case: Option<tl_kernel::case::Case>,
    _slot: OwnedSemaphorePermit,
}

impl Worker {
    /// A worker at a desk.
    pub fn new(desk: Desk, mut outward: Outward) -> Worker {
        let guard = desk.clone();
        outward.client = outward.client.while_allowed(move || guard.may_send());
        Worker {
            desk,
            outward,
            models: Arc::new(Models::default()),
            lanes: Arc::default(),
            in_flight: Arc::default(),
            waiting: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Runs until the token is cancelled, then waits for what is on its way.
    pub async fn run(self, mut handoff: mpsc::UnboundedReceiver<Handoff>, stop: CancellationToken) {
        let me = self.clone();
        self.spawn(async move { me.prepare_models().await });
        self.desk.nudge();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(h) = handoff.recv() => self.take(h.row, Some(h.case), h.slot),
                () = self.desk.woken() => self.look().await,
                () = self.desk.sleep(POLL) => self.look().await,
            }
        }
        self.desk.drain();
        // What was handed over before the drain still holds its slot and is sent.
        while let Ok(h) = handoff.try_recv() {
            self.take(h.row, Some(h.case), h.slot);
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Begins a task that a stop waits for.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.desk.spawn(self.tasks.track_future(task));
    }

    /// Trains the local classifiers of the current versions, so that no message pays for it.
    async fn prepare_models(&self) {
        let tenants = self.desk.store().tenants().await.unwrap_or_default();
        for (id, _) in tenants {
            let Ok(view) = self.desk.tenant(id).await else {
                continue;
            };
            for (_, bundle) in view.current.values() {
                self.models.prepare(bundle).await;
            }
        }
    }

    /// Sees one handed-over effect through, here and now.
    pub async fn fly(&self, handoff: Handoff) -> Result<(), DeskError> {
        let flight = Flight {
            row: handoff.row,
            case: Some(handoff.case),
            _slot: handoff.slot,
        };
        self.see_through(flight).await
    }

    /// One round without waiting: recovers what is stale, fires what is due, sends what is ready. Returns when
    /// all of it is done. For tests and for `demo`, which want to know when there is nothing left.
    pub async fn round(&self) -> Result<usize, DeskError> {
        self.lanes.show(self.desk.now(), self.desk.telemetry());
        let mut done = self.fire_timers().await?;
        for row in self.candidates().await? {
            let Ok(slot) = Arc::clone(self.desk.slots()).acquire_owned().await else {
                break;
            };
            let flight = Flight {
                row,
                case: None,
                _slot: slot,
            };
            self.see_through(flight).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn look(&self) {
        if !self.desk.may_send() {
            // Whoever holds its lease does all of this.
            return;
        }
        self.lanes.show(self.desk.now(), self.desk.telemetry());
        if let Err(e) = self.fire_timers().await {
            tracing::warn!(error = %e, "timers");
        }
        if self.waiting().is_empty() {
            match self.candidates().await {
                Ok(rows) => self.waiting().extend(rows),
                Err(e) => return tracing::warn!(error = %e, "candidates"),
            }
        }
        self.refill();
        self.show_backlog();
    }

    /// What is ready and still has no slot says whether messages come faster than they are worked off.
    fn show_backlog(&self) {
        let waiting = self.waiting();
        let ready = waiting.iter().filter(|r| r.state == EffectState::Ready);
        let oldest = ready.map(|r| r.due).min();
        let age = oldest.map_or(0, |due| (self.desk.now() - due).max(0));
        self.desk.set_backlog_age(age);
    }

    /// Begins what was found and waits for a slot; asks for more once it is all begun.
    fn refill(&self) {
        loop {
            let Some(slot) = self.desk.reserve() else {
                return;
            };
            let next = self.waiting().pop_front();
            match next {
                Some(row) => self.take(row, None, slot),
                None => return,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<EffectRow>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn candidates(&self) -> Result<Vec<EffectRow>, DeskError> {
        let now = self.desk.now();
        let store = self.desk.store();
        let mut rows = store
            .stale(now, BATCH)
            .await
            .map_err(crate::desk::read_error)?;
        rows.extend(
            store
                .candidates(now, BATCH)
                .await
                .map_err(crate::desk::read_error)?,
        );
        self.desk.share().turn(&mut rows);
        let flying = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rows.retain(|r| !flying.contains(&r.effect));
        Ok(rows)
    }

    async fn fire_timers(&self) -> Result<usize, DeskError> {
        let now = self.desk.now();
        let due = self.desk.store().due_timers(now, BATCH).await;
        let mut due = due.map_err(crate::desk::read_error)?;
        self.desk.share().turn(&mut due);
        let count = due.len();
        for t in due {
            let input = Input::TimerFired { n: t.n };
            match self
                .desk
                .advance((t.tenant, t.case), input, Vec::new(), None)
                .await
            {
                Ok(_) | Err(DeskError::Busy) => {}
                // Another node has fired it, or the case has gone on without it.
                Err(DeskError::Refused(_)) => {}
                Err(DeskError::Stopped(s)) => return Err(s.into()),
                Err(e) => tracing::warn!(error = %e, case = %t.case, "timer"),
            }
        }
        Ok(count)
    }

    fn take(
        &self,
        row: EffectRow,
        case: Option<tl_kernel::case::Case>,
        slot: OwnedSemaphorePermit,
    ) {
        let effect = row.effect;
        let mut flying = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !flying.insert(effect) {
            return;
        }
        drop(flying);
        let flying = Flying {
            worker: self.clone(),
            effect,
        };
        // A pointer from here on: what it leads to is large, and would be moved from wrapper to wrapper.
        self.spawn(Box::pin(async move {
            let flight = Flight {
                row,
                case,
                _slot: slot,
            };
            let me = flying.worker.clone();
            let seen = me.see_through(flight).await;
            if let Err(e) = &seen {
                tracing::warn!(error = %e, effect = %effect, "effect");
            }
            drop(flying);
            let had_waiting = !me.waiting().is_empty();
            me.refill();
            // Where the store refuses everything, looking again at once would only spin.
            if seen.is_ok() && had_waiting && me.waiting().is_empty() {
                me.desk.nudge();
            }
        }));
    }
}

/// An effect on its way here. Whatever becomes of its task, somebody may take it up again after it: what a panic left
/// behind is found by its deadline and counted as a crash.
struct Flying {
    worker: Worker,
    effect: EffectId,
}

impl Drop for Flying {
    fn drop(&mut self) {
        let flying = self.worker.in_flight.lock();
        let mut flying = flying.unwrap_or_else(PoisonError::into_inner);
        flying.remove(&self.effect);
    }
}
