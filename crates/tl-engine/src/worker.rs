//! The worker: takes what may be sent, what is stale, and what is due, and sees each through.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tl_kernel::decide::Input;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_store::contract::{EffectRow, Line};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::Models;
use crate::desk::{Desk, DeskError, Handoff};
use crate::lanes::Lanes;
use crate::outward::Outward;
use crate::schedules::{Presence, Schedules};
use crate::shares::{Next, Slot};

/// How often due timers and retries are looked for when nothing wakes the worker.
const POLL: Duration = Duration::from_millis(200);
/// Timers and timetables are looked at so often at most, µs, however often the worker is woken.
const TIME_APART: i64 = 10_000;
/// Rows of effects that wait here, where no more lines than these do: every line has one at least.
const BATCH: u32 = 512;

/// The worker of one node.
#[derive(Clone)]
pub struct Worker {
    pub(crate) desk: Desk,
    pub(crate) outward: Outward,
    pub(crate) models: Arc<Models>,
    pub(crate) lanes: Arc<Lanes>,
    flights: Arc<Mutex<Flights>>,
    /// Lines that the series show as waiting.
    shown: Arc<Mutex<BTreeMap<Line, usize>>>,
    /// When timers and timetables were last looked at, µs.
    looked: Arc<AtomicI64>,
    /// Held by whoever fires timers.
    firing: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever brings what timetables say.
    schedules: Arc<tokio::sync::Mutex<Schedules>>,
    /// Looks at timetables, also those for which there is no time.
    presence: Arc<Presence>,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Worker")
    }
}

/// What is on its way here.
#[derive(Debug, Default)]
struct Flights {
    now: BTreeSet<EffectId>,
    /// Everything that has been since a look began: what the look finds of these may be as it was before.
    since: Option<BTreeSet<EffectId>>,
}

/// One effect on its way, with the slot it occupies.
pub(crate) struct Flight {
    pub(crate) row: EffectRow,
    pub(crate) case: Option<tl_kernel::case::Case>,
    _slot: Slot,
}

impl Worker {
    /// A worker at a desk.
    pub fn new(desk: Desk, mut outward: Outward) -> Worker {
        let (guard, ears) = (desk.clone(), desk.clone());
        let schedules = Schedules::new(desk.clone());
        outward.client = outward
            .client
            .while_allowed(move || guard.may_send())
            .telling(move |host, date| ears.clock().heard(host, date));
        Worker {
            desk,
            outward,
            models: Arc::new(Models::default()),
            lanes: Arc::default(),
            flights: Arc::default(),
            shown: Arc::default(),
            looked: Arc::default(),
            firing: Arc::default(),
            presence: schedules.presence(),
            schedules: Arc::new(tokio::sync::Mutex::new(schedules)),
            tasks: TaskTracker::new(),
        }
    }

    /// Runs until the token is cancelled, then waits for what is on its way.
    pub async fn run(self, mut handoff: mpsc::UnboundedReceiver<Handoff>, stop: CancellationToken) {
        let me = self.clone();
        self.spawn(async move { me.prepare_models().await });
        self.desk.nudge();
        // What is handed over does not wait for a look to end: it holds a slot already.
        let mut looks = pin!(self.looks());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(h) = handoff.recv() => self.take(h.row, Some(h.case), h.slot),
                () = &mut looks => {}
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

    /// Looks when something may be ready, and in time; never ends.
    async fn looks(&self) {
        loop {
            tokio::select! {
                biased;
                () = self.desk.woken() => {}
                () = self.desk.sleep(POLL) => {}
            }
            self.look().await;
        }
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
        let mut done = self.schedules.lock().await.bring().await?;
        done += self.fire_timers().await?;
        self.find().await?;
        while let Some(Next { row, slot, .. }) = self.desk.slots().next() {
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
        if self.time_has_passed() {
            self.fire_beside();
            self.bring_beside();
        }
        let more = match self.find().await {
            Ok(more) => more,
            Err(e) => return tracing::warn!(error = %e, "candidates"),
        };
        if self.refill() && more {
            // There are more of those than were asked for.
            self.desk.nudge();
        }
        self.show_backlog();
    }

    /// What is ready and still has no slot says whether messages come faster than they are worked off.
    fn show_backlog(&self) {
        let slots = self.desk.slots();
        self.desk.set_backlog(slots.oldest());
        let depths = slots.depths();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let telemetry = self.desk.telemetry();
        for line in shown.keys().filter(|l| !depths.contains_key(l)) {
            telemetry.waits_for_a_slot(line, 0);
        }
        for (line, depth) in depths.iter().filter(|(l, d)| shown.get(l) != Some(d)) {
            telemetry.waits_for_a_slot(line, *depth);
        }
        *shown = depths;
    }

    /// Begins what was found, as far as there are slots for it. Whether that emptied a line.
    fn refill(&self) -> bool {
        let mut emptied = false;
        while !self.desk.is_draining() && self.desk.may_send() {
            let Some(next) = self.desk.slots().next() else {
                break;
            };
            emptied |= next.was_last;
            self.take(next.row, None, next.slot);
        }
        emptied
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store for what stands in lines in which nobody waits here. Whether there may be more of it than was
    /// asked for.
    async fn find(&self) -> Result<bool, DeskError> {
        let slots = self.desk.slots();
        {
            let mut flights = self.flights();
            flights.since = Some(flights.now.clone());
        }
        let (now, store) = (self.desk.now(), self.desk.store());
        let room = slots.room(BATCH);
        let asked = store.to_take_up(now, room, slots.waiting()).await;
        let flown = self.flights().since.take().unwrap_or_default();
        let mut rows = asked.map_err(crate::desk::read_error)?;
        let more = rows.len() >= room as usize;
        rows.retain(|r| !flown.contains(&r.effect));
        slots.add(rows, self.desk.share());
        Ok(more)
    }

    /// Whether it is worth while to look at what only time makes due.
    fn time_has_passed(&self) -> bool {
        let now = self.desk.now();
        let last = self.looked.load(Ordering::Relaxed);
        let passed = !(last..last.saturating_add(TIME_APART)).contains(&now);
        if passed {
            self.looked.store(now, Ordering::Relaxed);
        }
        passed
    }

    /// Fires what is due without keeping the loop from what is ready to be sent, until nothing more is due.
    fn fire_beside(&self) {
        let Ok(turn) = Arc::clone(&self.firing).try_lock_owned() else {
            return;
        };
        let me = self.clone();
        self.spawn(async move {
            loop {
                match me.fire_timers().await {
                    Ok(fired) if fired >= BATCH as usize && !me.desk.is_draining() => {}
                    Ok(_) => break,
                    Err(e) => {
                        tracing::warn!(error = %e, "timers");
                        break;
                    }
                }
            }
            drop(turn);
        });
    }

    /// Brings what timetables say, beside everything else.
    fn bring_beside(&self) {
        self.presence.look(self.desk.now());
        let Ok(mut schedules) = Arc::clone(&self.schedules).try_lock_owned() else {
            return;
        };
        self.spawn(async move {
            if let Err(e) = schedules.bring().await {
                tracing::warn!(error = %e, "timetables");
            }
        });
    }

    /// Fires a batch of what is due, and says how many have fired. Cases go side by side, so that they share commits;
    /// timers of one case go one after the other.
    async fn fire_timers(&self) -> Result<usize, DeskError> {
        let now = self.desk.now();
        let due = self.desk.store().due_timers(now, BATCH).await;
        let mut due = due.map_err(crate::desk::read_error)?;
        self.desk.share().turn(&mut due);
        let mut cases: BTreeMap<(TenantId, CaseId), Vec<u32>> = BTreeMap::new();
        for timer in due {
            let of_case = cases.entry((timer.tenant, timer.case)).or_default();
            of_case.push(timer.n);
        }
        let fired = cases.into_iter().map(|(at, timers)| self.fire(at, timers));
        join_all(fired).await.into_iter().sum()
    }

    /// Fires timers of a case, and says how many have fired; fails only where the program stops.
    async fn fire(&self, at: (TenantId, CaseId), timers: Vec<u32>) -> Result<usize, DeskError> {
        let mut fired = 0;
        for n in timers {
            let input = Input::TimerFired { n };
            match self.desk.advance(at, input, Vec::new(), None).await {
                Ok(_) => fired += 1,
                // Another node has fired it, or the case has gone on without it.
                Err(DeskError::Busy | DeskError::Refused(_)) => {}
                Err(DeskError::Stopped(s)) => return Err(s.into()),
                Err(e) => tracing::warn!(error = %e, case_id = %at.1, "timer"),
            }
        }
        Ok(fired)
    }

    fn take(&self, row: EffectRow, case: Option<tl_kernel::case::Case>, slot: Slot) {
        let (effect, correlation) = (row.effect, row.correlation.clone());
        let mut flights = self.flights();
        if !flights.now.insert(effect) {
            return;
        }
        if let Some(since) = &mut flights.since {
            since.insert(effect);
        }
        drop(flights);
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
                tracing::warn!(error = %e, correlation_id = correlation, effect_id = %effect, "effect");
            }
            drop(flying);
            let emptied = me.refill();
            // Where the store refuses everything, looking again at once would only spin.
            if seen.is_ok() && emptied {
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
        self.worker.flights().now.remove(&self.effect);
    }
}
