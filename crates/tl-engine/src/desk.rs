//! The desk: the one place that puts a case, its definition and the current facts in front of `decide`, and
//! commits what comes out. Doors, worker, timers and commands all go through it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tl_kernel::case::{Case, fold};
use tl_kernel::decide::{Facts, Input, Sender, decide_on};
use tl_kernel::follow_up;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::JournalError;
use tl_kernel::turn::{Decision, EffectPlan, EffectWrite, Refusal, Turn};
use tl_kernel::value::Value;
use tl_store::Store;
use tl_store::contract::{CommitAnswer, EffectRow, Guard, Refused, Row, Unit};
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::host::{Appended, Host, Task, Tokio};
use crate::node::Share;
use crate::shares::{Slot, Slots};
use crate::tap::{Point, Stopped, Tap};
use crate::telemetry::{Step, Telemetry};
use crate::tenant::{Bundle, Tenant, tenant_key, unpack};

/// How often a unit that lost a race is decided again before the caller is told.
const RACES: usize = 8;

/// The engine's shared state. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    key: [u8; 32],
    names: RwLock<BTreeMap<String, TenantId>>,
    tenants: RwLock<BTreeMap<TenantId, Arc<Tenant>>>,
    bundles: RwLock<BTreeMap<(TenantId, u32), Arc<Bundle>>>,
    slots: Arc<Slots>,
    handoff: mpsc::UnboundedSender<Handoff>,
    draining: AtomicBool,
    /// Since when the oldest effect of a tenant is ready without a slot, µs.
    backlog: RwLock<BTreeMap<TenantId, i64>>,
    /// Raised whenever views are forgotten.
    generation: AtomicU64,
    /// Raised whenever a view is read anew, or all of them are forgotten.
    views_read: AtomicU64,
    share: RwLock<Share>,
    work: Notify,
    telemetry: Telemetry,
    tap: Option<Arc<dyn Tap>>,
    host: Arc<dyn Host>,
    /// Where one-time links begin, before the tenant's name; said once, when the address is known.
    links: OnceLock<String>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// An effect that was born dispatching: this node must send it now.
#[derive(Debug)]
pub struct Handoff {
    /// Its ledger row.
    pub row: EffectRow,
    /// Its case as of the turn that planned it.
    pub case: Case,
    /// The send slot that was reserved for it.
    pub slot: Slot,
}

/// What the desk is made of.
pub struct Setting {
    /// The store.
    pub store: Store,
    /// Engine time.
    pub clock: Arc<dyn Clock>,
    /// The installation's key, from which every tenant's key derives.
    pub key: [u8; 32],
    /// Effects that may be on their way at once.
    pub slots: usize,
    /// Stops the engine at its ports, in tests.
    pub tap: Option<Arc<dyn Tap>>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Setting({} slots)", self.slots)
    }
}

/// Why the desk could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The kernel refused; the refusal is recorded.
    #[error("{} {}", .0.code, .0.message)]
    Refused(Refusal),
    /// The store refused for good.
    #[error("{0}")]
    Store(Refused),
    /// The store cannot be read.
    #[error("TL0603 the store cannot be read: {0}")]
    Read(String),
    /// There is no such case, tenant or bundle.
    #[error("TL0703 there is no {0}")]
    Missing(String),
    /// A stored journal does not fold.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// A stored bundle does not compile in this build.
    #[error("TL0704 the bundle {0} does not compile in this build")]
    Bundle(u32),
    /// The engine was stopped at a port.
    #[error("{0}")]
    Stopped(#[from] Stopped),
    /// The same race was lost again and again.
    #[error("TL0705 the case is too busy; try again")]
    Busy,
}

impl DeskError {
    /// Whether the answer may be another one a moment later: the store is away, or others were faster.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            DeskError::Store(Refused::Unavailable { .. }) | DeskError::Read(_) | DeskError::Busy
        )
    }
}

/// A committed turn and the case after it.
#[derive(Debug)]
pub struct Advanced {
    /// The turn.
    pub turn: Turn,
    /// The case after it.
    pub case: Case,
}

impl Desk {
    /// A desk, and the queue of effects it hands to the worker.
    pub fn new(setting: Setting) -> (Desk, mpsc::UnboundedReceiver<Handoff>) {
        Desk::hosted(setting, Arc::new(Tokio))
    }

    /// As `new`, with loops that stand on another host than tokio.
    pub fn hosted(
        setting: Setting,
        host: Arc<dyn Host>,
    ) -> (Desk, mpsc::UnboundedReceiver<Handoff>) {
        let (handoff, queue) = mpsc::unbounded_channel();
        let inner = Inner {
            store: setting.store,
            clock: setting.clock,
            key: setting.key,
            names: RwLock::default(),
            tenants: RwLock::default(),
            bundles: RwLock::default(),
            slots: Slots::new(setting.slots),
            handoff,
            draining: AtomicBool::new(false),
            backlog: RwLock::default(),
            generation: AtomicU64::new(0),
            views_read: AtomicU64::new(0),
            share: RwLock::new(Share::ALONE),
            work: Notify::new(),
            telemetry: Telemetry::default(),
            tap: setting.tap,
            host,
            links: OnceLock::new(),
        };
        let inner = Arc::new(inner);
        (Desk { inner }, queue)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Says under which address the installation is reached: one-time links lead there. The first word counts.
    pub fn is_reached_at(&self, address: &str) {
        let base = format!("{}/follow-up", address.trim_end_matches('/'));
        let _ = self.inner.links.set(base);
    }

    /// Engine time, µs.
    pub fn now(&self) -> i64 {
        self.inner.clock.now()
    }

    /// Where engine time is taken from.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    /// The installation's key.
    pub fn key(&self) -> &[u8; 32] {
        &self.inner.key
    }

    /// The engine's series.
    pub fn telemetry(&self) -> &Telemetry {
        &self.inner.telemetry
    }

    /// Send slots, and what waits for one.
    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.inner.slots
    }

    /// No new effects are begun from now on.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the engine is draining.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// How long the oldest effect of a tenant has been ready without a slot, µs; 0 when nothing waits.
    pub fn backlog_age(&self, tenant: TenantId) -> i64 {
        let since = read(&self.inner.backlog).get(&tenant).copied();
        since.map_or(0, |since| (self.now() - since).max(0))
    }

    /// Since when the oldest effect of each tenant waits for a slot, µs.
    pub(crate) fn set_backlog(&self, since: BTreeMap<TenantId, i64>) {
        *write(&self.inner.backlog) = since;
    }

    /// Wakes the worker: something may be ready.
    pub fn nudge(&self) {
        self.inner.work.notify_one();
    }

    /// Waits until the worker is woken.
    pub(crate) async fn woken(&self) {
        self.inner.work.notified().await;
    }

    /// Ends when so much time has passed.
    pub(crate) fn sleep(&self, time: Duration) -> Task {
        self.inner.host.sleep(time)
    }

    /// Appends a block to a file beside the database.
    pub(crate) fn append(&self, file: PathBuf, block: String) -> Appended {
        self.inner.host.append(file, block)
    }

    /// Begins a task of the engine.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.host.spawn(Box::pin(task));
    }

    async fn pause(&self) {
        if let Some(wait) = self.inner.host.pause() {
            wait.await;
        }
    }

    /// Where this node stands among those that live.
    pub(crate) fn share(&self) -> Share {
        *read(&self.inner.share)
    }

    pub(crate) fn set_share(&self, share: Share) {
        *write(&self.inner.share) = share;
    }

    /// Passes a port. No byte leaves a node whose lease has run out.
    pub fn at(&self, point: Point) -> Result<(), Stopped> {
        if point == Point::BeforeSend {
            self.holds_lease()?;
        }
        match &self.inner.tap {
            Some(tap) => tap.at(point),
            None => Ok(()),
        }
    }

    /// Commits a unit between its two ports.
    pub async fn commit(&self, unit: Unit) -> Result<CommitAnswer, Stopped> {
        let Some(tap) = &self.inner.tap else {
            self.pause().await;
            let answer = self.inner.store.commit(unit).await;
            self.pause().await;
            return Ok(answer);
        };
        tap.at_commit(Point::BeforeCommit, &unit)?;
        self.pause().await;
        let answer = self.inner.store.commit(unit.clone()).await;
        tap.answered(&unit, &answer);
        self.pause().await;
        tap.at_commit(Point::AfterCommit, &unit)?;
        Ok(answer)
    }

    /// The number of a tenant's name.
    pub async fn tenant_id(&self, name: &str) -> Result<Option<TenantId>, DeskError> {
        if let Some(id) = read(&self.inner.names).get(name) {
            return Ok(Some(*id));
        }
        let all = self.inner.store.tenants().await.map_err(read_error)?;
        let mut names = write(&self.inner.names);
        for (id, name) in all {
            names.insert(name, id);
        }
        Ok(names.get(name).copied())
    }

    /// The view of a tenant, from the cache.
    pub async fn tenant(&self, id: TenantId) -> Result<Arc<Tenant>, DeskError> {
        if let Some(t) = read(&self.inner.tenants).get(&id) {
            return Ok(Arc::clone(t));
        }
        self.reload(id).await
    }

    /// Every view in the cache.
    pub(crate) fn known_views(&self) -> Vec<Arc<Tenant>> {
        read(&self.inner.tenants).values().cloned().collect()
    }

    /// The view of a tenant where it is in the cache: for what must not wait.
    pub fn tenant_if_known(&self, id: TenantId) -> Option<Arc<Tenant>> {
        read(&self.inner.tenants).get(&id).cloned()
    }

    /// Reads a tenant's view anew: its gate has moved.
    pub async fn reload(&self, id: TenantId) -> Result<Arc<Tenant>, DeskError> {
        loop {
            let generation = self.inner.generation.load(Ordering::Acquire);
            let view = self.read_view(id).await?;
            let mut views = write(&self.inner.tenants);
            // Views were forgotten while this one was being read: it may show what was true before.
            if generation == self.inner.generation.load(Ordering::Acquire) {
                views.insert(id, Arc::clone(&view));
                self.inner.views_read.fetch_add(1, Ordering::AcqRel);
                return Ok(view);
            }
        }
    }

    async fn read_view(&self, id: TenantId) -> Result<Arc<Tenant>, DeskError> {
        let all = self.inner.store.tenants().await.map_err(read_error)?;
        let name = all.into_iter().find(|(t, _)| *t == id).map(|(_, n)| n);
        let name = name.ok_or_else(|| DeskError::Missing(format!("tenant {}", id.0)))?;
        let rows = self.inner.store.gate(id).await.map_err(read_error)?;
        let mut current = BTreeMap::new();
        for (workflow, number) in &rows.current {
            let bundle = self.bundle(id, *number).await?;
            current.insert(workflow.clone(), (*number, bundle));
        }
        let key = tenant_key(&self.inner.key, id);
        Ok(Arc::new(Tenant::new((id, name), key, rows, current)))
    }

    /// Forgets every view: a command changed a gate.
    pub fn forget_views(&self) {
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        self.inner.views_read.fetch_add(1, Ordering::AcqRel);
        write(&self.inner.tenants).clear();
        write(&self.inner.names).clear();
    }

    /// Another number once any view may be another than before.
    pub(crate) fn views_read(&self) -> u64 {
        self.inner.views_read.load(Ordering::Acquire)
    }

    /// A compiled bundle, from the cache.
    pub async fn bundle(&self, tenant: TenantId, number: u32) -> Result<Arc<Bundle>, DeskError> {
        if let Some(b) = read(&self.inner.bundles).get(&(tenant, number)) {
            return Ok(Arc::clone(b));
        }
        let row = self
            .inner
            .store
            .bundle(tenant, number)
            .await
            .map_err(read_error)?;
        let row = row.ok_or_else(|| DeskError::Missing(format!("bundle {number}")))?;
        let project = unpack(&row.files).ok_or(DeskError::Bundle(number))?;
        let program = tl_lang::load(&project, &row.workflow).program;
        let program = program.ok_or(DeskError::Bundle(number))?;
        let bundle = Arc::new(Bundle::new(program, project, row.digest));
        write(&self.inner.bundles).insert((tenant, number), Arc::clone(&bundle));
        Ok(bundle)
    }

    /// The case as its journal has it.
    pub async fn load(&self, tenant: TenantId, case: CaseId) -> Result<Case, DeskError> {
        let journal = self
            .inner
            .store
            .journal(tenant, case)
            .await
            .map_err(read_error)?;
        if journal.is_empty() {
            return Err(DeskError::Missing(case.to_string()));
        }
        Ok(fold(tenant, case, &journal)?)
    }

    /// Decides an input for a case and commits the turn together with `rows`. A lost race loads the case
    /// again and decides again; `known` spares the first load.
    pub async fn advance(
        &self,
        at: (TenantId, CaseId),
        input: Input,
        rows: Vec<Row>,
        known: Option<Case>,
    ) -> Result<Advanced, DeskError> {
        let (tenant, id) = at;
        let step = Step::of(&input);
        let mut known = known;
        let mut may_be_born = true;
        for _ in 0..RACES {
            let case = match known.take() {
                Some(case) => case,
                None => self.load(tenant, id).await?,
            };
            let view = self.tenant(tenant).await?;
            let bundle = self.bundle(tenant, case.definition).await?;
            let slot = if may_be_born {
                self.reserve(tenant)
            } else {
                None
            };
            let facts = FactSheet::new(self, &view, &bundle, case.definition);
            let done_elsewhere = self.store().is_shared() && is_done_elsewhere(&input, &case);
            let (turn, case) = match decide_on(
                &bundle.program,
                case,
                input.clone(),
                &facts.facts(None, slot.is_some()),
            ) {
                Decision::Turn(turn, after) => (*turn, *after),
                Decision::Refused(refusal) => {
                    if done_elsewhere {
                        return Err(DeskError::Refused(refusal));
                    }
                    self.telemetry().refused(&step, &bundle.program);
                    return Err(self.record(tenant, refusal).await?);
                }
            };
            let Ok(slot) = claimed(slot, &turn) else {
                may_be_born = false;
                continue;
            };
            let mut unit = Unit::new(tenant);
            unit.guards.push(gate_guard(&view));
            unit.rows.clone_from(&rows);
            unit.turns.push(turn.clone());
            match self.commit(unit).await? {
                Ok(_) => {
                    self.after(|| case.clone(), &turn, &bundle, slot);
                    self.telemetry()
                        .turned(&step, &turn, (&case, &bundle.program));
                    return Ok(Advanced { turn, case });
                }
                Err(Refused::GateMoved) => {
                    self.reload(tenant).await?;
                }
                Err(Refused::CaseMoved { .. }) => {}
                // Another write to the same target is on its way: this one waits for its turn.
                Err(Refused::Serial) if may_be_born => may_be_born = false,
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
        Err(DeskError::Busy)
    }

    /// Decides an input and commits its turn inside a unit that the caller has begun. Races on the case are
    /// decided again; every other refusal is the caller's.
    pub(crate) async fn advance_in(
        &self,
        unit: Unit,
        at: (TenantId, CaseId),
        input: Input,
    ) -> Result<(), DeskError> {
        let (tenant, id) = at;
        let step = Step::of(&input);
        for _ in 0..RACES {
            let case = self.load(tenant, id).await?;
            let view = self.tenant(tenant).await?;
            let bundle = self.bundle(tenant, case.definition).await?;
            let facts = FactSheet::new(self, &view, &bundle, case.definition);
            let mut unit = unit.clone();
            let decided = decide_on(
                &bundle.program,
                case,
                input.clone(),
                &facts.facts(None, false),
            );
            let decided = match decided {
                Decision::Turn(turn, after) => Some((*turn, *after)),
                // The case does not wait for it any more; the effect still happens once, or not at all.
                Decision::Refused(_) => None,
            };
            unit.turns
                .extend(decided.iter().map(|(turn, _)| turn.clone()));
            match self.commit(unit).await? {
                Ok(_) => {
                    if let Some((turn, case)) = decided {
                        self.after(|| case.clone(), &turn, &bundle, None);
                        self.telemetry()
                            .turned(&step, &turn, (&case, &bundle.program));
                    }
                    return Ok(());
                }
                Err(Refused::CaseMoved { .. }) => {}
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
        Err(DeskError::Busy)
    }

    /// After a committed turn: effects that were born dispatching go to the worker with the case as it is now.
    pub(crate) fn after(
        &self,
        case: impl FnOnce() -> Case,
        turn: &Turn,
        bundle: &Bundle,
        slot: Option<Slot>,
    ) {
        // What joins a line in which others wait is begun after them; nobody need look for it now.
        let is_news = |e: &EffectWrite| match e {
            EffectWrite::Plan(p) if p.born.is_some() => false,
            EffectWrite::Plan(p) => !self.inner.slots.is_awaited(turn.tenant, &p.connection),
            EffectWrite::Change { .. } | EffectWrite::Withdraw { .. } => true,
        };
        if turn.effects.iter().any(is_news) {
            self.nudge();
        }
        if let (Some(plan), Some(slot)) = (born(turn), slot) {
            let row = row_of(plan, turn, &bundle.program.id);
            let handoff = Handoff {
                row,
                case: case(),
                slot,
            };
            // The worker is gone while the process stops: recovery finds the row dispatching.
            let _ = self.inner.handoff.send(handoff);
        }
    }

    /// Reserves a send slot, unless the engine is draining or its lease has run out.
    pub(crate) fn reserve(&self, tenant: TenantId) -> Option<Slot> {
        if self.is_draining() || !self.may_send() {
            return None;
        }
        self.inner.slots.spare(tenant)
    }

    /// Records a refusal in the tenant's control stream and returns it as the error.
    pub(crate) async fn record(
        &self,
        tenant: TenantId,
        refusal: Refusal,
    ) -> Result<DeskError, Stopped> {
        let mut unit = Unit::new(tenant);
        unit.control.push(refusal.sealed.clone());
        match self.commit(unit).await? {
            Ok(_) => Ok(DeskError::Refused(refusal)),
            Err(refused) => Ok(DeskError::Store(refused)),
        }
    }
}

/// The facts of one decision, owned.
pub(crate) struct FactSheet<'a> {
    desk: &'a Desk,
    view: &'a Tenant,
    bundle: &'a Bundle,
    definition: u32,
    /// Where one-time links begin, for a workflow that sends some.
    links: Option<String>,
}

impl<'a> FactSheet<'a> {
    pub(crate) fn new(
        desk: &'a Desk,
        view: &'a Tenant,
        bundle: &'a Bundle,
        definition: u32,
    ) -> Self {
        let base = desk.inner.links.get();
        let base = base.filter(|_| follow_up::endpoint(&bundle.program).is_some());
        FactSheet {
            desk,
            view,
            bundle,
            definition,
            links: base.map(|base| format!("{base}/{}", view.name)),
        }
    }

    pub(crate) fn facts<'f>(&'f self, event: Option<&'f Value>, slot: bool) -> Facts<'f> {
        let program = &self.bundle.program;
        let current = self.view.current.get(&program.id);
        let (policy_number, current) = match current {
            Some((number, bundle)) => (*number, &bundle.program),
            None => (self.definition, program),
        };
        Facts {
            now: self.desk.now(),
            tenant: self.view.id,
            tenant_key: &self.view.key,
            definition: self.definition,
            policy_number,
            policy: &current.policy,
            threshold: current.decision.threshold.value(),
            flags: self.view.flags_for(program),
            switches: &self.view.switches,
            event,
            links: self.links.as_deref(),
            sender: slot.then(|| Sender {
                node: self.desk.store().node(),
                epoch: self.desk.store().epoch(),
                slots: 1,
                suppresses: self.view.rows.suppresses,
            }),
        }
    }
}

/// Whether somebody else was faster with what every node may do: refusing it is no decision about the case, and the
/// audit has the turn of the one who did it.
fn is_done_elsewhere(input: &Input, case: &Case) -> bool {
    let answered = |n: &u32| !matches!(case.asks.get(n), Some((_, true)));
    match input {
        Input::TimerFired { n } => !case.timers.contains_key(n),
        Input::EffectSettled(s) => {
            let effect = case.effects.get(&s.n);
            effect.is_some_and(|e| e.state.is_settled())
        }
        Input::ModelAnswered(a) => answered(&a.answered.n),
        Input::ModelFailed { n, .. } => answered(n),
        _ => false,
    }
}

/// The guard that the gate is as it was read.
pub(crate) fn gate_guard(view: &Tenant) -> Guard {
    Guard::GateAt {
        tenant: view.rows.tenant_epoch,
        installation: view.rows.installation_epoch,
    }
}

/// The share of a line is used up.
pub(crate) struct UsedUp;

/// The slot that was reserved, for the line of the effect that the turn was born with; none where there is no such
/// effect. One whose line may not take a slot must not be born.
pub(crate) fn claimed(slot: Option<Slot>, turn: &Turn) -> Result<Option<Slot>, UsedUp> {
    let (Some(mut slot), Some(plan)) = (slot, born(turn)) else {
        return Ok(None);
    };
    match slot.claim(turn.tenant, &plan.connection) {
        true => Ok(Some(slot)),
        false => Err(UsedUp),
    }
}

fn born(turn: &Turn) -> Option<&EffectPlan> {
    turn.effects.iter().find_map(|e| match e {
        EffectWrite::Plan(p) if p.born.is_some() => Some(p.as_ref()),
        _ => None,
    })
}

pub(crate) fn is_born(write: &EffectWrite) -> bool {
    matches!(write, EffectWrite::Plan(p) if p.born.is_some())
}

/// The ledger row of an effect that the turn just planned as dispatching.
fn row_of(plan: &EffectPlan, turn: &Turn, workflow: &str) -> EffectRow {
    EffectRow {
        tenant: turn.tenant,
        effect: EffectId {
            case: turn.case,
            n: plan.n,
        },
        kind: plan.kind,
        workflow: workflow.to_owned(),
        definition: turn.head.definition,
        correlation: turn.head.correlation.clone(),
        action: plan.action.clone(),
        connection: plan.connection.clone(),
        class: plan.class,
        state: plan.state,
        due: plan.due,
        valid_until: plan.valid_until,
        hold: String::new(),
        args: plan.args.clone(),
        digest: plan.digest,
        key: plan.key,
        base_version: plan.base_version.clone(),
        attempt: 1,
        claim: plan.born.map(|b| (b.node, b.epoch, b.deadline)),
        first_send: Some(turn.head.updated_at),
        planned_at: turn.head.updated_at,
        updated_at: turn.head.updated_at,
        code: String::new(),
        vendor_ref: None,
        crashes: 0,
    }
}

pub(crate) fn read_error(e: tl_store::StoreError) -> DeskError {
    DeskError::Read(e.to_string())
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
