//! Drives a definition through `decide` by every input that a case of it accepts, breadth-first, until no new
//! case is found: what is sent is held against what the generator wrote into the policy, and no case may end
//! silently, be stuck with a person, or go around in a circle.
//!
//! Two histories that end in equal cases (see `key`) are one, so small definitions are driven to the end.
#![allow(dead_code, reason = "each test binary uses its part")]

mod ends;
mod inputs;
mod key;

use std::collections::BTreeMap;

use tl_kernel::case::{Case, fold_one};
use tl_kernel::decide::{CommandKind, Facts, Input, Resolve, decide};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Entry, TimerKind, open};
use tl_kernel::limits::{MAX_ASKS, MAX_CONFLICTS};
use tl_kernel::policy::{Policy, When};
use tl_kernel::program::{ActionKind, Program};
use tl_kernel::turn::{Decision, EffectKind, EffectWrite, Turn};
use tl_kernel::value::{Source, Value};

use super::world::{Rng, Say};
use inputs::{MAX_SURPRISES, Menu, say};
pub use inputs::{Offer, Sort};
use key::key;

/// Random histories per definition, and their greatest length.
const WALKS: (usize, usize) = (4, 12);
/// The file's threshold, and one that is out of reach: thresholds move while cases are open.
const THRESHOLDS: (f64, f64) = (0.8, 1.0);

/// What a trial did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Driven {
    /// Inputs that were decided.
    pub inputs: usize,
    /// Cases that differ.
    pub cases: usize,
    /// Cases among them that were not driven further, because of [`MAX_OPEN`].
    pub piled: usize,
    /// There was more.
    pub cut: bool,
}

/// How the policy in force differs from the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    Same,
    AllApprove,
    AllNever,
}

/// What is in force when an input is decided.
type Stance = (Current, f64);

/// A case with more open effects than this is looked at and not driven further: decisions made again and again
/// pile them up without end, and nothing new comes of it.
const MAX_OPEN: usize = 2;

const STANCES: [Stance; 4] = [
    (Current::Same, THRESHOLDS.0),
    (Current::AllApprove, THRESHOLDS.0),
    (Current::AllNever, THRESHOLDS.0),
    (Current::Same, THRESHOLDS.1),
];

/// A definition under trial.
pub struct Trial<'p> {
    program: &'p Program,
    says: [Say; 4],
    /// By [`Current`].
    pub policies: [Policy; 3],
    menu: Menu,
}

/// A case, how it came there and where it leads.
pub struct Node {
    pub case: Case,
    /// A person's command brought it where it is, and no clock runs there: that person knows.
    pub parked: bool,
    /// Further messages, moves and re-openings so far: what comes when nobody waits for it.
    pub surprises: u8,
    parent: Option<(usize, String)>,
    leads: Vec<(Sort, usize)>,
}

impl Node {
    /// One more thing that nobody waits for may happen.
    fn may_be_surprised(&self) -> bool {
        self.surprises < MAX_SURPRISES
    }

    fn is_piled(&self) -> bool {
        self.case.open_effects().count() > MAX_OPEN
    }
}

/// A turn that was decided.
struct Taken {
    next: Node,
    /// The policy or the threshold had a say.
    asked: bool,
    turn: Box<Turn>,
}

impl Taken {
    /// The journal says the same.
    fn folds(&self, before: &Case) -> Result<(), String> {
        let mut case = before.clone();
        fold_one(&mut case, &self.turn.sealed)
            .map_err(|e| format!("the turn does not fold: {e}"))?;
        match case == self.next.case {
            true => Ok(()),
            false => Err("the journal folds to another case".into()),
        }
    }
}

/// One turn, for whoever looks on.
pub struct Step<'s> {
    pub before: &'s Node,
    pub input: &'s Input,
    pub after: &'s Node,
}

impl<'p> Trial<'p> {
    pub fn new(program: &'p Program, says: [Say; 4]) -> Trial<'p> {
        let [same, mut approve, mut never] = [0; 3].map(|_| program.policy.clone());
        approve
            .lines
            .iter_mut()
            .for_each(|l| l.auto = When::Unstated);
        never.lines.iter_mut().for_each(|l| l.never = When::Always);
        Trial {
            program,
            says,
            policies: [same, approve, never],
            menu: Menu::new(program),
        }
    }

    /// A case before its first message. A worn one has met as many conflicts and asked as many questions as a
    /// case may, but for the last: what follows then is not reached by small histories.
    fn start(worn: bool) -> Node {
        let mut case = Case::new(TenantId(1), CaseId([1; 16]), 1);
        if worn {
            let asked = 1..MAX_ASKS as u32;
            case.asks = asked.map(|n| (n, ("local".to_owned(), false))).collect();
            case.conflicts = BTreeMap::from([("crm_upsert".to_owned(), MAX_CONFLICTS)]);
        }
        Node {
            case,
            parked: false,
            surprises: 0,
            parent: None,
            leads: Vec::new(),
        }
    }

    /// Every history, breadth-first: what was done, or what went wrong and how.
    pub fn every(
        &self,
        worn: bool,
        most: usize,
        mut look: impl FnMut(&Step<'_>),
    ) -> Result<Driven, String> {
        let mut all = vec![Self::start(worn)];
        let mut index = BTreeMap::from([(key(&self.menu, &all[0]), 0)]);
        let mut driven = Driven::default();
        let mut at = 0;
        while at < all.len() {
            if all[at].is_piled() {
                driven.piled += 1;
                at += 1;
                continue;
            }
            let mut decidable = false;
            for offer in self.menu.inputs(self.program, &all[at]) {
                for stance in self.stances() {
                    if driven.inputs >= most {
                        (driven.cut, driven.cases) = (true, all.len());
                        return Ok(driven);
                    }
                    driven.inputs += 1;
                    let step = self.one(&all[at], &offer, stance);
                    let step = step.map_err(|why| {
                        format!("{why}\n{}{}", way(&all, at), told(&offer, stance))
                    })?;
                    let Some(mut taken) = step else { break };
                    decidable |= matches!(offer.sort, Sort::Decision | Sort::Resolve);
                    look(&Step {
                        before: &all[at],
                        input: &offer.input,
                        after: &taken.next,
                    });
                    let to = *index
                        .entry(key(&self.menu, &taken.next))
                        .or_insert(all.len());
                    if to == all.len() {
                        taken.folds(&all[at].case)?;
                        taken.next.parent = Some((at, told(&offer, stance)));
                        all.push(taken.next);
                    }
                    all[at].leads.push((offer.sort, to));
                    if !taken.asked {
                        // Neither the policy nor the threshold was looked at: under another it is the same.
                        break;
                    }
                }
            }
            if !decidable && self.is_stuck(&all[at]) {
                let state = self.program.state_name(all[at].case.state);
                return Err(format!(
                    "nobody can finish a task in {state}\n{}",
                    way(&all, at)
                ));
            }
            at += 1;
        }
        driven.cases = all.len();
        match ends::circle(self.program, &all) {
            Some((at, how)) => Err(format!("{how}\n{}", way(&all, at))),
            None => Ok(driven),
        }
    }

    fn stances(&self) -> impl Iterator<Item = Stance> + use<> {
        // Only what a model answered is weighed against the threshold.
        let n = if self.program.ai.is_some() { 4 } else { 3 };
        STANCES.into_iter().take(n)
    }

    /// Random histories: how many inputs were decided.
    pub fn walks(&self, rng: &mut Rng) -> Result<Driven, String> {
        let mut driven = Driven {
            cut: true,
            ..Driven::default()
        };
        for _ in 0..WALKS.0 {
            let (mut at, mut told_so_far) = (Self::start(rng.share(20)), String::new());
            for _ in 0..WALKS.1 {
                let mut offers = self.menu.inputs(self.program, &at);
                if offers.is_empty() {
                    break;
                }
                let offer = offers.swap_remove(rng.below(offers.len()));
                let stance = *rng.pick(&STANCES);
                driven.inputs += 1;
                told_so_far.push_str(&told(&offer, stance));
                let step = self.one(&at, &offer, stance);
                if let Some(taken) = step.map_err(|why| format!("{why}\n{told_so_far}"))? {
                    taken.folds(&at.case)?;
                    // A random history may hold as many surprises as come.
                    at = Node {
                        surprises: 0,
                        ..taken.next
                    };
                }
            }
        }
        Ok(driven)
    }

    /// One turn. `None`: refused.
    fn one(
        &self,
        here: &Node,
        offer: &Offer,
        (current, threshold): Stance,
    ) -> Result<Option<Taken>, String> {
        let input = &offer.input;
        // A timer fires when it is due, not before.
        let due = match input {
            Input::TimerFired { n } => here.case.timers.get(n).map_or(0, |(_, due)| *due),
            _ => 0,
        };
        let facts = Facts {
            now: due.max(here.case.updated_at + 1),
            tenant: TenantId(1),
            tenant_key: b"key",
            definition: 1,
            policy_number: 1,
            policy: &self.policies[current as usize],
            threshold,
            flags: &BTreeMap::new(),
            switches: &[],
            event: offer.event.as_ref(),
            links: None,
            sender: None,
        };
        let Decision::Turn(turn, case) = decide(self.program, &here.case, input.clone(), &facts)
        else {
            return Ok(None);
        };
        let (head, _) = open(&turn.sealed).map_err(|e| e.to_string())?;
        let moved = |e: &Entry| matches!(e, Entry::Moved { .. });
        let parked = if head.entries.iter().any(moved) {
            let clock = case.timers.values().any(is_clock);
            !clock && matches!(input, Input::Command(c) if matches!(c.what, CommandKind::Move(_)))
        } else {
            here.parked
        };
        let asked = |e: &Entry| matches!(e, Entry::Decided(_) | Entry::Planned(_));
        let asked = head.entries.iter().any(asked);
        let next = Node {
            case: *case,
            parked,
            surprises: here.surprises + u8::from(offer.is_surprise(&here.case)),
            parent: None,
            leads: Vec::new(),
        };
        self.permitted(here, &next.case, &turn, (input, current))?;
        if self.is_silent(&next) {
            let state = self.program.state_name(next.case.state);
            return Err(format!("the case ends silently in {state}"));
        }
        Ok(Some(Taken { next, asked, turn }))
    }

    /// Every change of the ledger that lets something leave is one that the policy or a person allowed.
    fn permitted(
        &self,
        before: &Node,
        after: &Case,
        turn: &Turn,
        (input, current): (&Input, Current),
    ) -> Result<(), String> {
        let effects = &before.case.effects;
        let approval = match input {
            Input::TaskDecided(t) if t.decision == "approve" => {
                let effect = before.case.tasks.get(&t.n).and_then(|k| k.effect);
                let shown = |n: &u32| effects.get(n).is_some_and(|e| t.digest == Some(e.digest));
                effect.filter(shown)
            }
            _ => None,
        };
        let again = match input {
            Input::Command(c) => match &c.what {
                CommandKind::Resolve { n, how } if *how == Resolve::SendAgain => Some(*n),
                _ => None,
            },
            _ => None,
        };
        for write in &turn.effects {
            match write {
                EffectWrite::Plan(p) if p.kind == EffectKind::Effect => {
                    self.planned(&p.action, p.state, after, current)?;
                }
                EffectWrite::Change { n, from, to, .. } if *to == EffectState::Ready => {
                    let allowed = match from {
                        EffectState::Planned => approval,
                        _ => again,
                    };
                    if allowed != Some(*n) {
                        return Err(format!(
                            "effect {n} leaves although nobody approved it or asked for it again"
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn planned(
        &self,
        action: &str,
        state: EffectState,
        after: &Case,
        current: Current,
    ) -> Result<(), String> {
        let ix = usize::from(self.program.action_ix(action).expect("a known action"));
        let verdict = self.verdict(ix, after, current);
        let leaves = matches!(state, EffectState::Ready | EffectState::Dispatching);
        if leaves && verdict != Say::Auto {
            return Err(format!(
                "`{action}` leaves although the policy says {verdict:?}"
            ));
        }
        if self.says[ix] == Say::Never || verdict == Say::Never {
            return Err(format!(
                "`{action}` is planned although the policy says never"
            ));
        }
        Ok(())
    }

    /// What the generated policy says: `Auto`, `Approve` or `Never`.
    fn verdict(&self, ix: usize, case: &Case, current: Current) -> Say {
        let is = |name: &str, value: Value| case.record.get(name).is_some_and(|f| f.value == value);
        let pinned = match self.says[ix] {
            Say::AutoIfVip if is("vip", Value::Bool(true)) => Say::Auto,
            Say::AutoIfVip => Say::Approve,
            Say::NeverIfC if is("intent", Value::text("c")) => Say::Never,
            Say::NeverIfC => Say::Auto,
            plain => plain,
        };
        let checked = match &self.program.actions[ix].kind {
            ActionKind::Message(m) if !m.to.reads().is_empty() => {
                let sender = case.record.get("email").map(|f| &f.source);
                let ours = matches!(sender, Some(Source::Person));
                ours || (m.check.is_some() && matches!(sender, Some(Source::Event { .. })))
            }
            _ => true,
        };
        match (pinned, current) {
            (Say::Never, _) | (_, Current::AllNever) => Say::Never,
            (Say::Auto, Current::Same) if checked => Say::Auto,
            _ => Say::Approve,
        }
    }

    fn ended(&self, case: &Case) -> bool {
        self.program.states[usize::from(case.state)].terminal
    }

    /// Nothing is left that would take the case on. Where a person moved it by command, that person knows.
    fn is_silent(&self, at: &Node) -> bool {
        let c = &at.case;
        let left = c.open_tasks().next().is_some() || c.open_effects().next().is_some();
        !self.ended(c) && !at.parked && !left && !waits(c)
    }

    /// Only a person can take the case on.
    fn is_stuck(&self, at: &Node) -> bool {
        let c = &at.case;
        !self.ended(c) && c.open_tasks().next().is_some() && !waits(c)
    }
}

/// Neither the goal's clock nor that of an unanswered question is a way out: a workflow need not have them.
fn is_clock((kind, _): &(TimerKind, i64)) -> bool {
    kind.is_of_stay()
}

/// Something is going to happen by itself.
fn waits(c: &Case) -> bool {
    c.asks.values().any(|(_, open)| *open)
        || c.timers.values().any(is_clock)
        || c.effects.values().any(|e| e.state == EffectState::Ready)
}

fn told(offer: &Offer, (current, threshold): Stance) -> String {
    format!("{} [{current:?}, {threshold}]\n", say(offer))
}

fn way(all: &[Node], mut at: usize) -> String {
    let mut steps = Vec::new();
    while let Some((parent, told)) = &all[at].parent {
        steps.push(told.as_str());
        at = *parent;
    }
    steps.reverse();
    steps.concat()
}
