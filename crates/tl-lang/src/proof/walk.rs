//! Exploring the model breadth-first: every spot a case may be at, and the shortest way there.

use tl_kernel::program::canonical::NEEDS_HUMAN;

use super::model::{Here, Model};
use super::spot::Spot;
use super::words::{Fate, Fates, Words};
use super::{Claim, CounterExample, Cue};

/// Spots beyond this are not looked at; no file of a size that loads comes near it.
const MAX_SPOTS: usize = 50_000;

/// A spot, the way there, and where each thing that may happen leads.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) spot: Spot,
    parent: Option<Here>,
    /// What may happen, and the spots it may lead to; none where it is refused.
    pub(super) next: Vec<(Cue, Vec<usize>)>,
}

/// Everything that may happen.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) nodes: Vec<Node>,
    /// By the number of a spot.
    index: Vec<u32>,
}

/// Stands for a spot that was not met.
const NOT_YET: u32 = u32::MAX;

/// Explores the model from the first message on.
pub(super) fn explore(model: &mut Model<'_>) -> Walk {
    let mut index = vec![NOT_YET; model.program.states.len() * Spot::PER_STATE];
    index[Spot::START.number()] = 0;
    let mut nodes = vec![Node {
        spot: Spot::START,
        parent: None,
        next: Vec::new(),
    }];
    let mut at = 0;
    while at < nodes.len() && nodes.len() < MAX_SPOTS {
        let spot = nodes[at].spot;
        for cue in model.cues(spot) {
            model.here = Here {
                node: at,
                cue,
                branch: None,
            };
            let mut leads = Vec::new();
            for (to, branch) in model.happens(spot, cue) {
                let place = &mut index[to.number()];
                if *place == NOT_YET {
                    *place = nodes.len() as u32;
                }
                let found = *place as usize;
                if found == nodes.len() {
                    nodes.push(Node {
                        spot: to,
                        parent: Some(Here {
                            node: at,
                            cue,
                            branch,
                        }),
                        next: Vec::new(),
                    });
                }
                if !leads.contains(&found) {
                    leads.push(found);
                }
            }
            nodes[at].next.push((cue, leads));
        }
        at += 1;
    }
    Walk { nodes, index }
}

impl Walk {
    /// Where a spot was met; one whose record might have been touched stands for one whose record was not.
    pub(super) fn at(&self, spot: Spot) -> Option<usize> {
        let touched = Spot {
            touched: true,
            ..spot
        };
        let met = |s: Spot| self.index.get(s.number()).filter(|at| **at != NOT_YET);
        met(spot).or_else(|| met(touched)).map(|at| *at as usize)
    }

    /// A spot at which nothing is going to happen any more although the case has not ended.
    pub(super) fn silent(&self, model: &Model<'_>) -> Option<usize> {
        (0..self.nodes.len()).find(|i| self.is_silent(model, *i))
    }

    pub(super) fn is_silent(&self, model: &Model<'_>, i: usize) -> bool {
        let s = self.nodes[i].spot;
        s.opened && !ended(model, s) && !s.parked && s.tasks == 0 && !waits(s)
    }

    /// A spot whose open tasks cannot be decided in any way, while nothing else is going to happen.
    pub(super) fn undecidable(&self, model: &Model<'_>) -> Option<usize> {
        (0..self.nodes.len()).find(|i| self.is_undecidable(model, *i))
    }

    pub(super) fn is_undecidable(&self, model: &Model<'_>, i: usize) -> bool {
        let Node { spot: s, next, .. } = &self.nodes[i];
        let mut decisions = next
            .iter()
            .filter(|(c, _)| matches!(c, Cue::Decided { .. }));
        s.tasks != 0 && !waits(*s) && !ended(model, *s) && decisions.all(|(_, to)| to.is_empty())
    }

    /// A spot from which the case need not reach a person or an end.
    pub(super) fn endless(&self, model: &Model<'_>) -> Option<usize> {
        self.lost(model).iter().position(|lost| *lost)
    }

    /// Spots from which the case need not reach a person or an end: what is sure to happen there leads, at least in
    /// one way, to spots of the same kind.
    pub(super) fn lost(&self, model: &Model<'_>) -> Vec<bool> {
        let mut good: Vec<bool> = self.nodes.iter().map(|n| reached(model, n.spot)).collect();
        loop {
            let more: Vec<usize> = (0..good.len())
                .filter(|i| !good[*i] && self.progresses(*i, &good))
                .collect();
            if more.is_empty() {
                break;
            }
            more.iter().for_each(|i| good[*i] = true);
        }
        // Spots that were not looked at for want of room have no `next` and would look endless.
        let lost = |(n, good): (&Node, &bool)| {
            !good && !n.next.is_empty() && n.spot.opened && !n.spot.parked
        };
        self.nodes.iter().zip(&good).map(lost).collect()
    }

    /// One of the things that are sure to happen leads, however it turns out, to a good spot. That several
    /// effects settle one after the other keeps the spot and is no loop.
    fn progresses(&self, i: usize, good: &[bool]) -> bool {
        let next = &self.nodes[i].next;
        let all_good = |sure: fn(&Cue) -> bool| {
            let mut leads = next
                .iter()
                .filter(|(c, _)| sure(c))
                .flat_map(|(_, to)| to)
                .filter(|to| **to != i);
            next.iter().any(|(c, _)| sure(c)) && leads.all(|to| good[*to])
        };
        (!self.nodes[i].spot.opened && all_good(|c| *c == Cue::Message))
            || (self.nodes[i].spot.is_asked()
                && all_good(|c| matches!(c, Cue::Answered | Cue::NoAnswer)))
            || all_good(|c| {
                matches!(
                    c,
                    Cue::Succeeded | Cue::Trouble | Cue::Uncertain | Cue::Conflict
                )
            })
            || all_good(|c| *c == Cue::Breach)
    }

    /// The way to a spot, as people read it and as the kernel can be made to go it.
    pub(super) fn path(
        &self,
        words: &Words<'_>,
        model: &Model<'_>,
        to: usize,
        claim: Claim,
    ) -> CounterExample {
        let mut hops = Vec::new();
        let mut at = to;
        while let Some(parent) = self.nodes[at].parent {
            hops.push((parent, self.nodes[at].spot));
            at = parent.node;
        }
        hops.reverse();
        let mut out = CounterExample::new(claim);
        for (here, spot) in hops {
            self.hop(words, model, here, Some(spot), &mut out);
        }
        out
    }

    /// The way to a place, and what happens there.
    pub(super) fn path_to(
        &self,
        words: &Words<'_>,
        model: &Model<'_>,
        here: Here,
        claim: Claim,
    ) -> CounterExample {
        let mut out = self.path(words, model, here.node, claim);
        self.hop(words, model, here, None, &mut out);
        out
    }

    fn hop(
        &self,
        words: &Words<'_>,
        model: &Model<'_>,
        here: Here,
        to: Option<Spot>,
        out: &mut CounterExample,
    ) {
        let from = self.nodes[here.node].spot;
        let name = |s: Spot| model.program.state_name(s.state);
        let what = here.cue.say(model.program);
        let mut line = if from.opened {
            format!("{}: {what}", name(from))
        } else {
            format!("{what}: the case begins in {}", name(from))
        };
        let (mut values, mut tail) = (Vec::new(), String::new());
        if let Some(taken) = here.branch {
            let branch = &model.program.decision.branches[taken.branch];
            let text = branch
                .condition
                .as_ref()
                .map_or("default", |c| c.source.as_str());
            line.push_str(&format!(
                "; the decision takes the branch in line {} (`{text}`)",
                branch.line
            ));
            let choices = words.choices(model.turn_after(from, here.cue)).iter();
            let mut fates = choices.filter(|c| c.taken == taken).flat_map(|c| &c.fates);
            let last = to.is_none();
            let plans = |f: &Fates| match out.claim {
                Claim::Plans(ix, _) if last => f.get(&ix).is_some_and(|f| *f != Fate::Absent),
                _ => true,
            };
            let fate = fates.find(|(fates, _)| plans(fates));
            values = fate.map(|(_, w)| w.clone()).unwrap_or_default();
            if taken.asks {
                tail.push_str(", and asks for what is missing first");
            }
        }
        if let Some(to) = to.filter(|to| to.state != from.state || !from.opened) {
            tail.push_str(&format!(" \u{2192} {}", name(to)));
        }
        let threshold = model.program.decision.threshold.value();
        out.push((&line, &tail), values, threshold);
    }
}

/// Something happens by itself: an answer, a settlement, the clock.
fn waits(s: Spot) -> bool {
    s.ready || s.clock || s.is_asked()
}

fn ended(model: &Model<'_>, s: Spot) -> bool {
    model
        .program
        .states
        .get(usize::from(s.state))
        .is_some_and(|d| d.terminal)
}

/// A person has it, or it has ended.
fn reached(model: &Model<'_>, s: Spot) -> bool {
    s.opened && (s.state == NEEDS_HUMAN || s.tasks != 0 || ended(model, s))
}
