//! Who else is in the world: senders that try until they see a 2xx, people who decide tasks, operators who set and
//! clear switches, colleagues at the vendor who edit records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tl_engine::admit::Admitted;
use tl_engine::desk::Desk;
use tl_kernel::case::{Case, CaseEffect};
use tl_kernel::decide::{Command, CommandKind, Input, Resolve, TaskDecision};
use tl_kernel::digest::Digest;
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};
use tl_kernel::journal::Actor;
use tl_kernel::time::{MINUTE, SECOND};
use tl_kernel::value::Value;
use tl_store::contract::{CaseFilter, EffectRow, Row, TaskFilter, TaskRow, Unit};

use crate::control::control_turn;
use crate::dice::Dice;
use crate::event::message;
use crate::exec::WORLD;
use crate::vendor::Vendors;
use crate::workload::{FLOWS, Letter};
use crate::world::{Live, Shared};

/// Longest wait of a sender for an answer, µs.
const SENDER_PATIENCE: i64 = 10 * SECOND;
/// Nobody says what became of an effect before whatever is still on its way has arrived, µs.
const SETTLE: i64 = 3 * MINUTE;
/// The tenants of the simulated installation.
pub const TENANTS: [TenantId; 2] = [TenantId(1), TenantId(2)];

/// What a person had before their eyes when they approved it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// When they answered, µs of the world.
    pub at: i64,
    /// Who.
    pub by: Actor,
    /// The effect that their task was about.
    pub about: EffectId,
    /// The digest that stood under it.
    pub digest: Digest,
    /// The arguments; `None`: something that is not of this case at all.
    pub args: Option<Value>,
    /// What they let it say instead.
    pub words: Option<String>,
}

/// What the people of a run share.
#[derive(Debug)]
pub struct People {
    shared: Arc<Shared>,
    vendors: Arc<Vendors>,
    seed: u64,
    /// Letters that were acknowledged, with the event that the answer named.
    acked: Mutex<BTreeMap<u32, EventId>>,
    /// What was approved, in order.
    shown: Mutex<Vec<Shown>>,
    /// Letters that nobody tries to deliver any more.
    done: AtomicU64,
    /// They go home: no more decisions.
    home: AtomicBool,
}

impl People {
    /// The people of a run.
    pub fn new(shared: Arc<Shared>, vendors: Arc<Vendors>, seed: u64) -> Arc<People> {
        Arc::new(People {
            shared,
            vendors,
            seed,
            acked: Mutex::default(),
            shown: Mutex::default(),
            done: AtomicU64::new(0),
            home: AtomicBool::new(false),
        })
    }

    /// Letters that were acknowledged, by number.
    pub fn acked(&self) -> BTreeMap<u32, EventId> {
        self.ledger().clone()
    }

    /// What people saw of what they approved, whether the answer was taken or not.
    pub fn shown(&self) -> Vec<Shown> {
        self.looks().clone()
    }

    /// Letters that are delivered.
    pub fn delivered(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Nobody decides anything any more.
    pub fn go_home(&self) {
        self.home.store(true, Ordering::Relaxed);
    }

    /// Begins everybody's day.
    pub fn begin(self: &Arc<Self>, letters: &[Letter], span: i64) {
        let mut dice = Dice::new(self.seed, "senders");
        for letter in letters {
            let after = dice.between(0, span);
            let dice = Dice::new(self.seed, &letter.id);
            let me = Arc::clone(self);
            let letter = letter.clone();
            self.shared.exec.spawn(WORLD, async move {
                me.shared.exec.sleep(after).await;
                me.deliver(letter, dice).await;
            });
        }
        for n in 0..2 {
            let me = Arc::clone(self);
            let dice = Dice::new(self.seed, &format!("reviewer {n}"));
            self.shared.exec.spawn(WORLD, me.review(n, dice));
        }
        let me = Arc::clone(self);
        self.shared.exec.spawn(WORLD, me.operate());
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, EventId>> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looks(&self) -> std::sync::MutexGuard<'_, Vec<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One sender: tries until it sees a 2xx, and sometimes goes on although it did.
    async fn deliver(self: Arc<Self>, letter: Letter, mut dice: Dice) {
        let faults = &self.shared.faults;
        loop {
            if faults.fires("duplicate_at_once") {
                let (me, letter, dice) = (Arc::clone(&self), letter.clone(), dice.clone());
                self.shared.exec.spawn(WORLD, async move {
                    let mut dice = dice;
                    dice.bits();
                    me.try_once(&letter, &mut dice).await;
                });
            }
            if self.try_once(&letter, &mut dice).await {
                break;
            }
            let pause = dice.between(SECOND / 2, 8 * SECOND);
            self.shared.exec.sleep(pause).await;
        }
        self.done.fetch_add(1, Ordering::Relaxed);
        if faults.fires("duplicate_later") {
            let pause = dice.between(SECOND, 40 * SECOND);
            self.shared.exec.sleep(pause).await;
            self.try_once(&letter, &mut dice).await;
        }
    }

    /// One try; true when a 2xx was seen.
    async fn try_once(&self, letter: &Letter, dice: &mut Dice) -> bool {
        let shared = &self.shared;
        let Some(live) = shared.live(dice.bits()) else {
            return false;
        };
        let Some(message) = message(letter, shared.exec.now(), dice) else {
            return true;
        };
        let id = message.id;
        let desk = live.desk.clone();
        let work = shared.call(&live, async move { desk.admit(message).await });
        let answer = tokio::select! {
            biased;
            answer = work => answer,
            () = shared.exec.sleep(SENDER_PATIENCE) => None,
        };
        let event = match answer {
            Some(Ok(Admitted::Accepted { .. })) => id,
            Some(Ok(Admitted::Duplicate { event, .. })) => event,
            Some(Err(e)) => {
                shared.told("an error", &e.to_string());
                shared.note("refused", format_args!("letter {} {e}", letter.n));
                return false;
            }
            None => return false,
        };
        if shared.faults.fires("answer_lost") {
            return false;
        }
        shared.note("acked", format_args!("letter {} {event}", letter.n));
        self.ledger().insert(letter.n, event);
        true
    }

    /// One reviewer: takes an open task now and then.
    async fn review(self: Arc<Self>, n: u32, mut dice: Dice) {
        let name = ["anna", "ben"][n as usize % 2];
        loop {
            let pause = dice.between(SECOND / 2, 4 * SECOND);
            self.shared.exec.sleep(pause).await;
            if self.home.load(Ordering::Relaxed) {
                return;
            }
            let Some(live) = self.shared.live(dice.bits()) else {
                continue;
            };
            let tenant = *dice.pick(&TENANTS);
            if dice.chance(60) {
                self.command(&live, tenant, name, &mut dice).await;
                continue;
            }
            let desk = live.desk.clone();
            let filter = TaskFilter {
                tenant: Some(tenant),
                limit: 40,
                ..TaskFilter::default()
            };
            let tasks = async move { desk.store().tasks(filter).await.unwrap_or_default() };
            let Some(tasks) = self.shared.call(&live, tasks).await else {
                continue;
            };
            if tasks.is_empty() {
                continue;
            }
            let task = dice.pick(&tasks).clone();
            self.decide(&live, &task, (name, &mut dice)).await;
        }
    }

    async fn decide(&self, live: &Live, task: &TaskRow, (name, dice): (&str, &mut Dice)) {
        let desk = live.desk.clone();
        let at = (task.tenant, task.task.case);
        let look = async move {
            let case = desk.load(at.0, at.1).await.ok()?;
            let effects = effects_of(&desk, at).await;
            Some((case, effects))
        };
        let Some(Some((case, effects))) = self.shared.call(live, look).await else {
            return;
        };
        // People think about it; meanwhile the world goes on.
        let pause = dice.between(SECOND / 10, 5 * SECOND);
        self.shared.exec.sleep(pause).await;
        let Some(input) = self.judgement(task, (&case, &effects), (name, dice)) else {
            return;
        };
        let reason = format!("{} {}", task.task, words(&input));
        let tries = 1 + u32::from(self.shared.faults.fires("two_deciders"));
        for _ in 0..tries {
            let desk = live.desk.clone();
            let (input, shared) = (input.clone(), Arc::clone(&self.shared));
            self.shared.exec.spawn(live.life.group, async move {
                // A refusal is an answer too; it is in the control stream.
                if let Err(e) = desk.advance(at, input, Vec::new(), None).await {
                    shared.told("an error", &e.to_string());
                }
            });
        }
        self.shared.note("decided", format_args!("{name} {reason}"));
    }

    /// What a person makes of a task.
    fn judgement(
        &self,
        task: &TaskRow,
        (case, effects): (&Case, &[EffectRow]),
        (name, dice): (&str, &mut Dice),
    ) -> Option<Input> {
        let by = Actor::Person(name.to_owned());
        let mut decision = TaskDecision {
            n: task.task.n,
            by: by.clone(),
            decision: String::new(),
            reason: "seen".into(),
            note: None,
            edits: Vec::new(),
            digest: None,
        };
        match task.kind.as_str() {
            "approve" => {
                let n = task.effect?;
                let effect = case.effects.get(&n)?;
                let mut seen = (effect.digest, effect.args.clone());
                if self.shared.faults.fires("stale_approval") {
                    seen = stale(case, effect);
                }
                decision.digest = Some(seen.0);
                decision.decision = if dice.chance(800) {
                    "approve"
                } else {
                    "reject"
                }
                .into();
                let is_said = effect
                    .args
                    .as_ref()
                    .is_some_and(|a| a.at(&["text"]).is_some());
                let words = (is_said && decision.decision == "approve" && dice.chance(250))
                    .then(|| format!("In {name}'s words, {n}"));
                if let Some(words) = &words {
                    decision.decision = "edit".into();
                    decision.edits.push(("text".into(), Value::text(words)));
                }
                if decision.decision != "reject" {
                    let case = task.task.case;
                    self.looks().push(Shown {
                        words,
                        at: self.shared.exec.now(),
                        by,
                        about: EffectId { case, n },
                        digest: seen.0,
                        args: seen.1,
                    });
                }
            }
            "review" | "missing" => {
                let choice = *dice.pick(&["approve", "edit", "edit", "close", "reject"]);
                decision.decision = choice.into();
                if choice == "edit" {
                    let size = *dice.pick(&[3, 12, 30, 60]);
                    decision.edits.push(("size".into(), Value::Int(size)));
                    if !case.record.contains_key("email") {
                        let of = task.tenant.0;
                        let address = format!("edited{}@x{of}.example", dice.below(5));
                        decision.edits.push(("email".into(), Value::text(address)));
                    }
                }
            }
            _ => {
                let row = task
                    .effect
                    .and_then(|n| effects.iter().find(|e| e.effect.n == n));
                let unknown = row.is_some_and(|r| r.state == EffectState::Uncertain);
                let aside = unknown && self.shared.faults.fires("set_aside");
                if let Some(row) = row.filter(|r| !aside && can_be_resolved(r.state)) {
                    return self.resolve(row, &by, dice);
                }
                decision.decision = if dice.chance(700) { "accept" } else { "close" }.into();
            }
        }
        Some(Input::TaskDecided(decision))
    }

    /// What a person says about an effect whose end nobody knows: they look at the vendor, after everything that
    /// was on its way has arrived.
    fn resolve(&self, row: &EffectRow, by: &Actor, dice: &mut Dice) -> Option<Input> {
        if row.updated_at + SETTLE > self.shared.exec.now() {
            return None;
        }
        let sent = crate::check::traces_of(row);
        let happened = self
            .vendors
            .applied()
            .iter()
            .any(|a| sent.contains(&a.trace));
        let how = if happened && row.state == EffectState::Uncertain {
            Resolve::Happened(None)
        } else if happened {
            return None;
        } else if dice.chance(500) {
            Resolve::SendAgain
        } else {
            Resolve::Drop
        };
        let n = row.effect.n;
        // A failed or dead effect is over; only sending it again is left.
        if how == Resolve::Drop && row.state != EffectState::Uncertain {
            return None;
        }
        Some(Input::Command(Command {
            by: by.clone(),
            reason: "looked_up".into(),
            what: CommandKind::Resolve { n, how },
        }))
    }

    /// A command out of the blue about some case.
    async fn command(&self, live: &Live, tenant: TenantId, name: &str, dice: &mut Dice) {
        let desk = live.desk.clone();
        let filter = CaseFilter {
            tenant: Some(tenant),
            limit: 30,
            ..CaseFilter::default()
        };
        let cases = async move { desk.store().cases(filter).await.unwrap_or_default() };
        let Some(cases) = self.shared.call(live, cases).await else {
            return;
        };
        if cases.is_empty() {
            return;
        }
        let case = dice.pick(&cases).case;
        let what = match dice.below(4) {
            0 => CommandKind::Close,
            1 => CommandKind::Reopen,
            2 => CommandKind::Assign("ben".into()),
            _ => CommandKind::Move("automated".into()),
        };
        self.shared
            .note("command", format_args!("{name} {case} {what:?}"));
        let input = Input::Command(Command {
            by: Actor::Person(name.to_owned()),
            reason: "as_i_like".into(),
            what,
        });
        let desk = live.desk.clone();
        let done = async move {
            desk.advance((tenant, case), input, Vec::new(), None)
                .await
                .is_ok()
        };
        self.shared.call(live, done).await;
    }

    /// The operator: sets a switch and takes it back; somebody at the vendor edits records; time and nodes jump.
    async fn operate(self: Arc<Self>) {
        let mut dice = Dice::new(self.seed, "operator");
        let scopes: Vec<String> = [
            "everything",
            "tenant",
            "tenant",
            "action:crm_upsert",
            "action:reply",
            "connection:crm",
            "model:gpt",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(FLOWS.iter().map(|f| format!("workflow:{}", f.id)))
        .collect();
        loop {
            let pause = dice.between(SECOND, 6 * SECOND);
            self.shared.exec.sleep(pause).await;
            let faults = &self.shared.faults;
            if !faults.are_on() {
                return;
            }
            if faults.fires("switch_set") {
                let scope = dice.pick(&scopes).clone();
                let mode = *dice.pick(&["hold", "hold", "cancel", "dry-run"]);
                // Half of them are set for the whole installation.
                let tenant = *dice.pick(&[TenantId::SYSTEM, TENANTS[0]]);
                self.switch(tenant, &scope, Some(mode), &mut dice).await;
                let pause = dice.between(SECOND, 30 * SECOND);
                self.shared.exec.sleep(pause).await;
                self.switch(tenant, &scope, None, &mut dice).await;
            }
        }
    }

    /// Sets or clears a switch, and says so until a node has done it.
    pub async fn switch(&self, tenant: TenantId, scope: &str, mode: Option<&str>, dice: &mut Dice) {
        loop {
            if let Some(live) = self.shared.live(dice.bits()) {
                let desk = live.desk.clone();
                let unit = switch_unit(tenant, scope, mode, self.shared.exec.now());
                // A command beside the server changes the store and forgets nothing.
                let aside = dice.chance(500);
                let work = async move {
                    let done = matches!(desk.commit(unit).await, Ok(Ok(_)));
                    if !aside {
                        desk.forget_views();
                    }
                    done
                };
                self.shared
                    .note("switch", format_args!("{} {scope} {mode:?}", tenant.0));
                if self.shared.call(&live, work).await == Some(true) {
                    return;
                }
            }
            self.shared.exec.sleep(SECOND).await;
        }
    }
}

fn switch_unit(tenant: TenantId, scope: &str, mode: Option<&str>, at: i64) -> Unit {
    let mut unit = Unit::new(tenant);
    unit.rows.push(Row::Switch {
        scope: scope.to_owned(),
        mode: mode.map(str::to_owned),
        by: "operator".into(),
        reason: "simulation".into(),
        at,
    });
    let action = if mode.is_some() {
        "kill.set"
    } else {
        "kill.clear"
    };
    let detail = mode.unwrap_or("clear");
    unit.control
        .push(control_turn(tenant, at, (action, scope, detail)));
    unit
}

fn can_be_resolved(state: EffectState) -> bool {
    matches!(
        state,
        EffectState::Uncertain | EffectState::Failed | EffectState::Dead
    )
}

/// Something else that was shown: another effect of the case, or nothing of it.
fn stale(case: &Case, effect: &CaseEffect) -> (Digest, Option<Value>) {
    let mut others = case.effects.values();
    let other = others.rfind(|e| e.args.is_some() && e.args != effect.args);
    other.map_or(([9; 32], None), |e| (e.digest, e.args.clone()))
}

async fn effects_of(desk: &Desk, (tenant, case): (TenantId, CaseId)) -> Vec<EffectRow> {
    let filter = tl_store::contract::EffectFilter {
        tenant: Some(tenant),
        case: Some(case),
        limit: 100,
        ..Default::default()
    };
    desk.store().effects(filter).await.unwrap_or_default()
}

fn words(input: &Input) -> String {
    match input {
        Input::TaskDecided(d) => d.decision.clone(),
        Input::Command(c) => format!("{:?}", c.what),
        _ => String::new(),
    }
}
