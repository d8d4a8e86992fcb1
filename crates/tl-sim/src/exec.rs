//! The executor: one thread, one task at a time, and the seed chooses which. Time stands still while a task runs
//! and jumps to the next sleeper when nobody can run.
//!
//! Whatever a task waits for is of this world: a sleep, an answer, a turn, a lock that another task holds. The store
//! answers within the call, on the same thread.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tl_engine::host::Task;

use crate::dice::Dice;

/// Tasks that end together: those of one life of a node, or of the world around it.
pub type Group = u32;

/// The world's own tasks: vendors, people, senders.
pub const WORLD: Group = 0;

/// The executor of one run. Cheap to clone.
#[derive(Clone)]
pub struct Exec {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exec")
    }
}

struct Inner {
    state: Mutex<State>,
    ready: Arc<Ready>,
}

struct State {
    now: i64,
    next_task: u64,
    next_sleep: u64,
    tasks: BTreeMap<u64, Slot>,
    sleepers: BTreeMap<(i64, u64), Waker>,
    /// Groups that do not run, and until when, µs.
    paused: BTreeMap<Group, i64>,
    dice: Dice,
    polls: u64,
}

struct Slot {
    group: Group,
    /// Absent while it is being polled.
    future: Option<Task>,
    waker: Waker,
}

/// The tasks that were woken.
#[derive(Default)]
struct Ready {
    tasks: Mutex<BTreeSet<u64>>,
}

struct TaskWaker {
    id: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready.tasks).insert(self.id);
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A task of this group ran.
    Ran(Group),
    /// Nobody could run; time moved to the next sleeper.
    Slept,
    /// Nobody can run and nobody sleeps.
    Idle,
}

impl Exec {
    /// An executor whose clock stands at `now`, µs.
    pub fn new(now: i64, dice: Dice) -> Exec {
        let state = State {
            now,
            next_task: 0,
            next_sleep: 0,
            tasks: BTreeMap::new(),
            sleepers: BTreeMap::new(),
            paused: BTreeMap::new(),
            dice,
            polls: 0,
        };
        Exec {
            inner: Arc::new(Inner {
                state: Mutex::new(state),
                ready: Arc::default(),
            }),
        }
    }

    /// Time of the world, µs.
    pub fn now(&self) -> i64 {
        self.state().now
    }

    /// Polls so far.
    pub fn polls(&self) -> u64 {
        self.state().polls
    }

    /// Lets time pass at once, µs: whoever slept through it wakes late.
    pub fn jump(&self, by: i64) {
        self.state().now += by.max(0);
    }

    /// Begins a task in a group.
    pub fn spawn(&self, group: Group, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(group, Box::pin(future));
    }

    /// As `spawn`, for what is boxed already.
    pub fn spawn_boxed(&self, group: Group, future: Task) {
        let mut state = self.state();
        let id = state.next_task;
        state.next_task += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            id,
            ready: Arc::clone(&self.inner.ready),
        }));
        let slot = Slot {
            group,
            future: Some(future),
            waker,
        };
        state.tasks.insert(id, slot);
        drop(state);
        lock(&self.inner.ready.tasks).insert(id);
    }

    /// Lets no task of a group run for so long, µs.
    pub fn pause(&self, group: Group, time: i64) {
        let until = self.now() + time.max(0);
        self.state().paused.insert(group, until);
        // Time has to reach the end of it, also when nobody else sleeps.
        self.spawn(WORLD, self.sleep(time));
    }

    /// Ends every task of a group where it stands.
    pub fn kill(&self, group: Group) {
        let mut dropped = Vec::new();
        let mut state = self.state();
        let ids: Vec<u64> = state
            .tasks
            .iter()
            .filter(|(_, s)| s.group == group)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            dropped.extend(state.tasks.remove(&id));
        }
        drop(state);
        // Dropped outside the lock: what ends may wake others.
        drop(dropped);
    }

    /// Tasks of a group that have not ended.
    pub fn alive(&self, group: Group) -> usize {
        let state = self.state();
        state.tasks.values().filter(|s| s.group == group).count()
    }

    /// Ends when so much time (µs) has passed.
    pub fn sleep(&self, time: i64) -> Sleep {
        Sleep {
            exec: self.clone(),
            due: self.now() + time.max(0),
            key: None,
        }
    }

    /// Runs one task, or moves time when nobody can run.
    pub fn step(&self) -> Step {
        let mut state = self.state();
        let chosen = {
            let mut ready = lock(&self.inner.ready.tasks);
            let now = state.now;
            state.paused.retain(|_, until| *until > now);
            let (mut runnable, mut gone) = (Vec::new(), Vec::new());
            for id in ready.iter() {
                match state.tasks.get(id) {
                    Some(s) if state.paused.contains_key(&s.group) => {}
                    Some(_) => runnable.push(*id),
                    None => gone.push(*id),
                }
            }
            for id in gone {
                ready.remove(&id);
            }
            let at = state.dice.below(runnable.len() as u64) as usize;
            let chosen = runnable.get(at).copied();
            if let Some(id) = chosen {
                ready.remove(&id);
            }
            chosen
        };
        let Some(id) = chosen else {
            let Some(((due, _), waker)) = state.sleepers.pop_first() else {
                return Step::Idle;
            };
            state.now = state.now.max(due);
            drop(state);
            waker.wake();
            return Step::Slept;
        };
        // Running takes time, so that no two things happen at one instant.
        let took = 1 + state.dice.below(40) as i64;
        state.now += took;
        state.polls += 1;
        let Some(slot) = state.tasks.get_mut(&id) else {
            return Step::Slept;
        };
        let group = slot.group;
        let (future, waker) = (slot.future.take(), slot.waker.clone());
        drop(state);
        if let Some(mut future) = future {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(()) => {
                    self.state().tasks.remove(&id);
                }
                Poll::Pending => {
                    // A task that killed its own group is not put back.
                    if let Some(slot) = self.state().tasks.get_mut(&id) {
                        slot.future = Some(future);
                        return Step::Ran(group);
                    }
                }
            }
        }
        Step::Ran(group)
    }

    /// What a call of the store answers, while nothing else runs.
    pub fn block<T>(&self, call: impl Future<Output = T>) -> T {
        let answer = std::pin::pin!(call).poll(&mut Context::from_waker(Waker::noop()));
        match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the store answers within the call when nothing goes wrong"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A wait for time.
#[derive(Debug)]
pub struct Sleep {
    exec: Exec,
    due: i64,
    key: Option<(i64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.exec.inner.state);
        if state.now >= self.due {
            return Poll::Ready(());
        }
        let key = match self.key {
            Some(key) => key,
            None => {
                let n = state.next_sleep;
                state.next_sleep += 1;
                (self.due, n)
            }
        };
        state.sleepers.insert(key, cx.waker().clone());
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            lock(&self.exec.inner.state).sleepers.remove(&key);
        }
    }
}

/// Lets the others run once.
pub async fn turn() {
    let mut passed = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
