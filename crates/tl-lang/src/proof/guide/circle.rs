//! Ways that lead around for ever: a case comes back to where it was, and what happened meanwhile happened by itself.

use std::collections::BTreeSet;

use tl_kernel::case::Case;

use super::super::Cue;
use super::super::spot::Spot;
use super::super::ways::{Claim, with_nobody};
use super::{Reached, Search};

impl Search<'_> {
    /// Something that happens by itself leads a case back to where it was, and on the way it was with nobody.
    pub(super) fn closes_circle(
        &self,
        (from, cue): (usize, Cue),
        after: &Case,
        parked: bool,
    ) -> bool {
        let last = (from, cue, after, parked);
        self.circle_to(last).is_some()
    }

    /// The turn after which a way that leads back begins to lead around.
    pub(super) fn circle(&self, at: usize) -> Option<usize> {
        let Reached { case, parked, .. } = &self.all[at];
        let last = self.all[at].last.as_ref()?;
        let begins = self.circle_to((last.from, last.cue, case, *parked))?;
        Some(self.all[begins].turns as usize)
    }

    fn circle_to(&self, (from, cue, after, parked): (usize, Cue, &Case, bool)) -> Option<usize> {
        if self.claim != Claim::ReachesNobody {
            return None;
        }
        let program = self.map.model.program;
        let (place, mut left) = (place(after), waiting(after));
        let (mut at, mut cue, mut alone) = (from, cue, with_nobody(program, after) && !parked);
        loop {
            // What waits all along is not left out all along.
            left.retain(|kind| Some(*kind) != kind_of(cue));
            alone &= kind_of(cue).is_some() && with_nobody(program, &self.all[at].case);
            if !alone {
                return None;
            }
            let here = &self.all[at];
            let waits = waiting(&here.case);
            left.retain(|kind| waits.contains(kind));
            if left.is_empty() && place == self::place(&here.case) {
                return Some(at);
            }
            let last = here.last.as_ref()?;
            (at, cue) = (last.from, last.cue);
        }
    }
}

/// What happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answer,
    Settlement,
    Breach,
}

fn kind_of(cue: Cue) -> Option<Kind> {
    match cue {
        Cue::Answered | Cue::NoAnswer => Some(Kind::Answer),
        Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict => Some(Kind::Settlement),
        Cue::Breach => Some(Kind::Breach),
        _ => None,
    }
}

/// What is going to happen to a case by itself.
fn waiting(case: &Case) -> Vec<Kind> {
    let spot = Spot::of(case, false);
    let all = [
        (Kind::Answer, spot.is_asked()),
        (Kind::Settlement, spot.ready),
        (Kind::Breach, spot.clock),
    ];
    let waits = all.into_iter().filter(|(_, waits)| *waits);
    waits.map(|(kind, _)| kind).collect()
}

/// Two cases at the same place go on in the same way: nothing that is counted and bounded differs either.
fn place(case: &Case) -> String {
    let open: BTreeSet<String> = case
        .open_effects()
        .map(|(_, e)| format!("{} {:?}", e.action, e.state))
        .collect();
    let record: Vec<_> = case.record.iter().map(|(n, f)| (n, &f.value)).collect();
    format!(
        "{:?} {open:?} {record:?} {} {:?}",
        Spot::of(case, false),
        case.asks.len(),
        case.conflicts
    )
}
