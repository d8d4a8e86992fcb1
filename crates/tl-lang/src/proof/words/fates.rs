//! What may become of the actions that a branch plans, together.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::program::{ActionIx, Program, Step};

use super::super::formula::{Formula, effects};
use super::super::search::Witness;
use super::{Taken, Turn, Words};

/// What becomes of the actions that a branch plans.
pub(in crate::proof) type Fates = BTreeMap<ActionIx, Fate>;

/// What becomes of an action that a branch plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::proof) enum Fate {
    /// It happens by itself.
    Goes,
    /// It waits for an approval.
    Waits,
    /// The policy refuses it.
    Refused,
    /// It cannot be planned: something that it needs is absent.
    Absent,
}

/// Actions of a branch up to this many are looked at together; what may become of more is not told apart.
const MAX_TOGETHER: usize = 4;
/// In a decision with more branches than this, neither is what may become of any: that would take seconds.
const MAX_BRANCHES: usize = 24;

impl Words<'_> {
    /// What may become of the actions of a branch, and values under which it does; nothing where the branch cannot
    /// be taken.
    pub(super) fn fates(
        &self,
        turn: Turn,
        taken: Taken,
        goals: Vec<(&Formula, bool)>,
    ) -> Vec<(Fates, Witness)> {
        let known: &[_] = if turn.touched { &[] } else { &self.untouched };
        let Some(witness) = self.ask(turn.mind, goals.clone(), known) else {
            return Vec::new();
        };
        let actions = planned_by(self.program, taken);
        if actions.is_empty() {
            return vec![(Fates::new(), witness)];
        }
        let possible: Vec<(ActionIx, Vec<Fate>)> = actions
            .iter()
            .map(|ix| (*ix, self.possible(*ix, turn.touched)))
            .collect();
        let out = match possible.len() > MAX_TOGETHER {
            true => of_each_kind(&possible),
            false => every_way(&possible),
        };
        if actions.len() > MAX_TOGETHER || self.branches.len() > MAX_BRANCHES {
            return out.into_iter().map(|f| (f, witness.clone())).collect();
        }
        let of = |fates: Fates| {
            let mut goals = goals.clone();
            self.under(taken, &fates, &mut goals);
            let witness = self.ask(turn.mind, goals, known)?;
            Some((fates, witness))
        };
        out.into_iter().filter_map(of).collect()
    }

    /// What may become of an action at all: the policy in force may be stricter than the file's.
    fn possible(&self, ix: ActionIx, touched: bool) -> Vec<Fate> {
        let Some(may) = self.may.get(usize::from(ix)) else {
            return vec![Fate::Absent];
        };
        let all = [
            (Fate::Goes, may.auto && (touched || !may.vouched_only)),
            (Fate::Waits, may.auto || may.approve),
            (Fate::Refused, true),
            (Fate::Absent, may.absent),
        ];
        let of = all.into_iter().filter(|(_, may)| *may);
        of.map(|(fate, _)| fate).collect()
    }

    /// What must hold where these are the fates of a branch's actions. All the effects of a branch go by themselves
    /// exactly where `policy_allows`.
    fn under<'w>(&'w self, taken: Taken, fates: &Fates, goals: &mut Vec<(&'w Formula, bool)>) {
        for (ix, fate) in fates {
            let Some(on) = self.planning.get(usize::from(*ix)) else {
                continue;
            };
            // What cannot be planned at all may be so for other reasons, too.
            let blank = self.may[usize::from(*ix)].blank;
            if *fate != Fate::Absent || !blank {
                goals.push((&on.present, *fate != Fate::Absent));
            }
            match fate {
                Fate::Goes => goals.extend([(&on.auto, true), (&on.never, false)]),
                Fate::Waits => goals.push((&on.never, false)),
                Fate::Refused | Fate::Absent => {}
            }
        }
        if taken.asks {
            return;
        }
        let effects = effects(self.program, taken.branch);
        let mut of = effects.iter().filter_map(|ix| fates.get(ix));
        let stopped = |f: &Fate| matches!(f, Fate::Waits | Fate::Refused);
        if !effects.is_empty() && of.clone().all(|f| *f == Fate::Goes) {
            goals.push((&self.allows[taken.branch], true));
        } else if of.any(stopped) {
            goals.push((&self.allows[taken.branch], false));
        }
    }
}

/// Every combination of what may become of each action.
fn every_way(possible: &[(ActionIx, Vec<Fate>)]) -> Vec<Fates> {
    let mut out = vec![Fates::new()];
    for (ix, of) in possible {
        let with = |all: Fates, fate: &Fate| {
            let mut all = all;
            all.insert(*ix, *fate);
            all
        };
        let all = out
            .iter()
            .flat_map(|f| of.iter().map(move |fate| with(f.clone(), fate)));
        out = all.collect();
    }
    out
}

/// For many actions: what becomes of a case depends on which fates occur among them and not on whose they are. So there
/// is one combination for each set of fates that can occur together, and a few in which each action has each of its own.
fn of_each_kind(possible: &[(ActionIx, Vec<Fate>)]) -> Vec<Fates> {
    const ALL: [Fate; 4] = [Fate::Goes, Fate::Waits, Fate::Refused, Fate::Absent];
    let mut out = Vec::new();
    for set in 1_u8..16 {
        let kinds = ALL.iter().enumerate();
        let kinds: Vec<Fate> = kinds
            .filter_map(|(i, k)| (set & (1 << i) != 0).then_some(*k))
            .collect();
        let mut fates = Fates::new();
        if occur(&kinds, possible, &mut fates) {
            let rest = possible
                .iter()
                .map(|(ix, of)| (ix, kinds.iter().find(|k| of.contains(k))));
            let rest: Option<Vec<_>> = rest.map(|(ix, kind)| Some((*ix, *kind?))).collect();
            // An action that can have none of these keeps them from being all.
            if let Some(rest) = rest {
                for (ix, kind) in rest {
                    fates.entry(ix).or_insert(kind);
                }
                out.push(fates);
            }
        }
    }
    // Each action has each of its fates in one of these.
    for nth in 0..ALL.len() {
        let fate = |of: &[Fate]| of.get(nth % of.len().max(1)).copied();
        let all = possible
            .iter()
            .filter_map(|(ix, of)| Some((*ix, fate(of)?)));
        out.push(all.collect());
    }
    out
}

/// Gives each of these fates to an action of its own that may have it, where that is possible.
fn occur(kinds: &[Fate], possible: &[(ActionIx, Vec<Fate>)], fates: &mut Fates) -> bool {
    let Some((kind, rest)) = kinds.split_first() else {
        return true;
    };
    // As many candidates as there are fates are enough: the others can take at most the rest of them.
    let may = possible.iter().filter(|(_, of)| of.contains(kind));
    let free: Vec<ActionIx> = may
        .map(|(ix, _)| *ix)
        .filter(|ix| !fates.contains_key(ix))
        .take(MAX_TOGETHER)
        .collect();
    for ix in free {
        fates.insert(ix, *kind);
        if occur(rest, possible, fates) {
            return true;
        }
        fates.remove(&ix);
    }
    false
}

/// The actions that a branch plans.
fn planned_by(program: &Program, taken: Taken) -> BTreeSet<ActionIx> {
    let asking = program.tasks.ask_missing;
    if taken.asks {
        return asking.into_iter().collect();
    }
    let branch = &program.decision.branches[taken.branch];
    let step = |s: &Step| match s {
        Step::Effect(ix) => Some(*ix),
        Step::AskMissing => asking,
        _ => None,
    };
    branch.actions.iter().filter_map(step).collect()
}
