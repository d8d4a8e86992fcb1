//! Ways gone in the kernel: what a proof found in the model is searched for with real messages, answers, outcomes
//! and decisions, the file's own threshold, and its policy or a stricter one.
//!
//! The model leads the search. Every case that is reached stands for one of its spots, and the model knows how far
//! that spot is from what shall be shown, at least; what leads farthest is tried first, and what cannot lead there
//! at all is not tried. The model forgets values between turns, so its own shortest way may not be one that values
//! lead along; another may be.

mod circle;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use tl_kernel::case::Case;
use tl_kernel::decide::{CommandKind, Facts, Input, decide};
use tl_kernel::id::TenantId;
use tl_kernel::journal::{Decided, Entry, TimerKind, open};
use tl_kernel::policy::{Policy, When};
use tl_kernel::program::{ActionIx, Program};
use tl_kernel::turn::Decision;

use super::choose::Choices;
use super::model::Model;
use super::replay::{Offer, Offers};
use super::spot::Spot;
use super::tell::{Step, tell};
use super::walk::Walk;
use super::ways::{Claim, Happening, shows, signature, unborn};
use super::words::Words;
use super::{CounterExample, Cue};

/// Turns decided in the search for one way, times the conditions that each of them may ask about.
const MAX_WORK: usize = 80_000;
/// Turns decided in it whatever the file is like: at least, and at most.
const TURNS: (usize, usize) = (1_000, 10_000);
/// Of what something that happens stands for, so much is tried before other things are.
const AT_ONCE: usize = 6;
/// No way leads there.
const NEVER: u32 = u32::MAX;

/// The model, and how it was explored.
#[derive(Clone, Copy)]
pub(super) struct Map<'m> {
    pub(super) words: &'m Words<'m>,
    pub(super) model: &'m Model<'m>,
    pub(super) walk: &'m Walk,
}

/// What is in force when a turn is decided.
struct Stance {
    policy: Policy,
    /// What differs from the file, in words.
    word: String,
    /// Only the policy of this action differs.
    alone: Option<ActionIx>,
    flags: BTreeMap<String, bool>,
}

/// A case that was reached.
struct Reached {
    case: Case,
    /// A person's command brought it where it is, and no clock runs there.
    parked: bool,
    turns: u32,
    last: Option<Last>,
    /// What may happen to it that leads on, and how far from the end each leaves it.
    offers: Vec<(u32, Cue, Offer)>,
}

/// How a case was reached.
struct Last {
    from: usize,
    cue: Cue,
    happening: Happening,
    said: String,
}

struct Search<'m> {
    map: Map<'m>,
    claim: Claim,
    offers: Offers<'m>,
    /// By spot: turns to the end, at least.
    far: Vec<u32>,
    /// Where the last turn may be taken from.
    ends: BTreeSet<(usize, Cue)>,
    stances: Vec<Stance>,
    all: Vec<Reached>,
    seen: BTreeSet<String>,
    /// What to try next: the length of the way at least, how much of it is left, a case, and the first of its
    /// offers that was not tried yet.
    open: BinaryHeap<Reverse<(u32, u32, usize, usize)>>,
    decided: usize,
    /// So many turns may be decided.
    most: usize,
}

/// Looks for a way to what a way claims; where one can be gone, it becomes the way.
pub(super) fn go(map: Map<'_>, path: &mut CounterExample) {
    let choices = Choices::new(map.words, &path.inputs);
    let ends = ends(map, &path.claim);
    let asked = map.words.branches.len() + map.words.rules.len() + 1;
    let mut search = Search {
        map,
        claim: path.claim.clone(),
        stances: stances(map.model.program, choices.flags()),
        offers: Offers::new(map.model.program, choices),
        far: far(map, &path.claim, &ends),
        ends,
        all: Vec::new(),
        seen: BTreeSet::new(),
        open: BinaryHeap::new(),
        decided: 0,
        most: (MAX_WORK / asked).clamp(TURNS.0, TURNS.1),
    };
    search.reach(unborn(), false, None);
    if search.run() {
        path.again = search.circle(search.all.len() - 1);
        (path.turns, path.steps) = search.taken();
    }
}

/// Where the last turn of a way may be taken from, for what the last turn itself shows.
fn ends(map: Map<'_>, claim: &Claim) -> BTreeSet<(usize, Cue)> {
    let heres = match claim {
        Claim::Plans(ix, _) => map.model.planned.get(ix),
        Claim::Takes(branch, ..) => map.model.taken.get(&(*branch as usize)),
        _ => None,
    };
    let places = heres.into_iter().flatten();
    places.map(|h| (h.node, h.cue)).collect()
}

/// How many turns each spot is from what shall be shown, at least.
fn far(map: Map<'_>, claim: &Claim, ends: &BTreeSet<(usize, Cue)>) -> Vec<u32> {
    let nodes = &map.walk.nodes;
    let lost = match claim {
        Claim::ReachesNobody => map.walk.lost(map.model),
        _ => Vec::new(),
    };
    let mut far = vec![NEVER; nodes.len()];
    for (i, far) in far.iter_mut().enumerate() {
        let shown = match claim {
            Claim::EndsSilently => map.walk.is_silent(map.model, i),
            Claim::CannotBeDecided => map.walk.is_undecidable(map.model, i),
            Claim::ReachesNobody => lost[i],
            Claim::Plans(..) | Claim::Takes(..) => false,
        };
        if shown {
            *far = 0;
        }
    }
    for (node, _) in ends {
        far[*node] = 1;
    }
    let mut back = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for to in node.next.iter().flat_map(|(_, to)| to) {
            back[*to].push(i);
        }
    }
    // Breadth-first from two rings: those that are there, and those that are one turn away.
    let ring = |n: u32| (0..far.len()).filter(|i| far[*i] == n).collect();
    let (mut now, mut next): (Vec<usize>, Vec<usize>) = (ring(0), ring(1));
    let mut turns = 0;
    while !(now.is_empty() && next.is_empty()) {
        turns += 1;
        for at in now {
            for from in &back[at] {
                if far[*from] == NEVER {
                    far[*from] = turns;
                    next.push(*from);
                }
            }
        }
        now = std::mem::take(&mut next);
    }
    far
}

/// The file's policy, and stricter ones; each with the flags that conditions may meet.
fn stances(program: &Program, flags: Vec<BTreeMap<String, bool>>) -> Vec<Stance> {
    let stricter = |alone: Option<ActionIx>, word: &str| {
        let action = alone.and_then(|ix| program.action(ix));
        let mut policy = program.policy.clone();
        let lines = policy.lines.iter_mut();
        for line in lines.filter(|l| action.is_none_or(|a| a.name == l.action)) {
            match word {
                "never" => line.never = When::Always,
                _ => line.auto = When::Unstated,
            }
        }
        let what = action.map_or("every action".to_owned(), |a| format!("`{}`", a.name));
        let word = format!("{what} set to `{word}` in the policy in force");
        (policy, word, alone)
    };
    let mut policies = vec![(program.policy.clone(), String::new(), None)];
    let each = (0..program.actions.len()).map(|ix| Some(ix as ActionIx));
    for alone in std::iter::once(None).chain(each) {
        policies.extend(["approve", "never"].map(|word| stricter(alone, word)));
    }
    let mut out = Vec::new();
    for flags in flags {
        out.extend(
            policies
                .iter()
                .cloned()
                .map(|(policy, word, alone)| Stance {
                    policy,
                    word,
                    alone,
                    flags: flags.clone(),
                }),
        );
    }
    out
}

impl Search<'_> {
    /// A case was reached: what may happen to it is worth trying, if it may lead on.
    fn reach(&mut self, case: Case, parked: bool, last: Option<Last>) {
        let Some(node) = self.map.walk.at(Spot::of(&case, parked)) else {
            return;
        };
        let turns = last.as_ref().map_or(0, |l| self.all[l.from].turns + 1);
        let mut cues: Vec<(u32, Cue)> = Vec::new();
        for (cue, leads) in &self.map.walk.nodes[node].next {
            let leads = leads.iter().map(|to| self.far[*to]).min();
            let left = match self.ends.contains(&(node, *cue)) {
                true => 0,
                false => leads.unwrap_or(NEVER),
            };
            if left != NEVER {
                cues.push((left, *cue));
            }
        }
        cues.sort_by_key(|(left, _)| *left);
        let mut offers = Vec::new();
        for (left, cue) in cues {
            let all = self.offers.of(cue, &case).into_iter();
            let rank = |i: usize| left + (i / AT_ONCE) as u32;
            offers.extend(all.enumerate().map(|(i, o)| (rank(i), cue, o)));
        }
        offers.sort_by_key(|(left, ..)| *left);
        if let Some((left, ..)) = offers.first() {
            let at = self.all.len();
            self.open.push(Reverse((turns + 1 + left, *left, at, 0)));
        }
        self.all.push(Reached {
            case,
            parked,
            turns,
            last,
            offers,
        });
    }

    /// Tries what may happen, the most promising first. True when the last case that was reached shows it.
    fn run(&mut self) -> bool {
        while let Some(Reverse((_, _, at, from))) = self.open.pop() {
            let now = self.all[at].offers[from].0;
            let mut next = from;
            while self.all[at]
                .offers
                .get(next)
                .is_some_and(|(left, ..)| *left == now)
            {
                if self.decided >= self.most {
                    return false;
                }
                if self.offer(at, next) {
                    return true;
                }
                next += 1;
            }
            if let Some((left, ..)) = self.all[at].offers.get(next) {
                let turns = self.all[at].turns + 1 + left;
                self.open.push(Reverse((turns, *left, at, next)));
            }
        }
        false
    }

    /// One thing that may happen, under every policy that makes a difference.
    fn offer(&mut self, at: usize, offer: usize) -> bool {
        let mut planned = BTreeSet::new();
        for stance in 0..self.stances.len() {
            // The policy of one action alone makes a difference where another is planned with it.
            let alone = self.stances[stance].alone;
            if alone.is_some_and(|ix| planned.len() < 2 || !planned.contains(&ix)) {
                continue;
            }
            match self.turn(at, offer, stance) {
                Turned::Shows => return true,
                Turned::Refused => return false,
                Turned::Taken(asked, actions) => {
                    if !asked && self.stances[stance].flags.is_empty() {
                        return false;
                    }
                    planned.extend(actions);
                }
            }
        }
        false
    }

    fn turn(&mut self, at: usize, offer: usize, stance: usize) -> Turned {
        let program = self.map.model.program;
        let (here, set) = (&self.all[at], &self.stances[stance]);
        let (_, cue, offer) = &here.offers[offer];
        let cue = *cue;
        let threshold = program.decision.threshold.value();
        let facts = Facts {
            now: here.case.updated_at + 1,
            tenant: TenantId(1),
            tenant_key: b"key",
            definition: 1,
            policy_number: 1,
            policy: &set.policy,
            threshold,
            flags: &set.flags,
            switches: &[],
            event: offer.event.as_ref(),
            links: None,
            sender: None,
        };
        self.decided += 1;
        let decision = decide(program, &here.case, offer.input.clone(), &facts);
        let Decision::Turn(turn, after) = decision else {
            return Turned::Refused;
        };
        let Ok((head, _)) = open(&turn.sealed) else {
            return Turned::Refused;
        };
        let parked = parks(&head.entries, &offer.input, &after).unwrap_or(here.parked);
        let taken = asked(&head.entries);
        let shown = match self.claim {
            Claim::ReachesNobody => self.closes_circle((at, cue), &after, parked),
            Claim::EndsSilently if parked => false,
            _ => shows(program, &self.claim, (&after, &head.entries), &facts),
        };
        if !shown && !self.seen.insert(format!("{parked} {}", signature(&after))) {
            return taken;
        }
        let happening = Happening {
            input: offer.input.clone(),
            event: offer.event.clone(),
            policy: set.policy.clone(),
            flags: set.flags.clone(),
            threshold,
        };
        let decided = decided(&head.entries);
        let step = Step {
            before: &here.case,
            after: &after,
            what: &offer.what,
            decided,
            stance: &set.word,
        };
        let said = tell(program, &step);
        let last = Last {
            from: at,
            cue,
            happening,
            said,
        };
        self.reach(*after, parked, Some(last));
        match shown {
            true => Turned::Shows,
            false => taken,
        }
    }

    /// The way to the last case that was reached.
    fn taken(mut self) -> (Vec<Happening>, Vec<String>) {
        let (mut turns, mut steps) = (Vec::new(), Vec::new());
        let mut at = self.all.len() - 1;
        while let Some(last) = self.all[at].last.take() {
            turns.push(last.happening);
            steps.push(last.said);
            at = last.from;
        }
        turns.reverse();
        steps.reverse();
        (turns, steps)
    }
}

/// What a turn came to.
enum Turned {
    /// It shows what shall be shown.
    Shows,
    Refused,
    /// Whether a policy or a threshold had a say, and about which actions.
    Taken(bool, Vec<ActionIx>),
}

/// Whether a case is where a person's command brought it although no clock runs there; nothing where it was not
/// moved.
fn parks(entries: &[Entry], input: &Input, after: &Case) -> Option<bool> {
    let moved = |e: &Entry| matches!(e, Entry::Moved { .. });
    let clock = |(kind, _): &(TimerKind, i64)| kind.is_of_stay();
    let commanded = matches!(input, Input::Command(c) if matches!(c.what, CommandKind::Move(_)));
    let runs = after.timers.values().any(clock);
    entries.iter().any(moved).then_some(commanded && !runs)
}

fn decided(entries: &[Entry]) -> Option<&Decided> {
    entries.iter().find_map(|e| match e {
        Entry::Decided(d) => Some(d),
        _ => None,
    })
}

fn asked(entries: &[Entry]) -> Turned {
    let planned = |e: &Entry| match e {
        Entry::Planned(p) => Some(p.action),
        _ => None,
    };
    let actions: Vec<ActionIx> = entries.iter().filter_map(planned).collect();
    Turned::Taken(!actions.is_empty() || decided(entries).is_some(), actions)
}
