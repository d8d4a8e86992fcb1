//! Truly small definitions: at most one own state, one field beside the address that anything reads, one to three
//! actions, one or two branches and one rule, so that all their cases can be met.

use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{
    ActionKind, Branch, Emit, Goal, OnMatch, Program, Rule, RuleEffect, StateIx, Step,
};
use tl_kernel::time::{HOUR, MINUTE};

use super::{Parts, Rng, SAYS, Say, branch};

/// Conditions that read no field, by their position.
const PLAIN: [usize; 6] = [0, 1, 2, 3, 4, 5];
/// Conditions about one field, by their position.
const ABOUT: [&[usize]; 5] = [&[7, 8, 15], &[10, 11], &[12, 13], &[14], &[6]];

const ON_MATCH: [OnMatch; 6] = [
    OnMatch::Open,
    OnMatch::Open,
    OnMatch::Open,
    OnMatch::Open,
    OnMatch::Join,
    OnMatch::Update,
];

impl Parts {
    /// A small random program, and what its policy says by action.
    pub fn small(&self, rng: &mut Rng) -> (Program, [Say; 4]) {
        let mut p = self.base.clone();
        let about = rng.below(ABOUT.len());
        let says = self.small_policy(&mut p, about, rng);
        self.states(&mut p, usize::from(rng.share(12)), rng);
        for e in &mut p.edges {
            e.emit.remove(&Emit::CrmSync);
            e.emit.remove(&Emit::DomainEvent);
        }
        if rng.share(15) {
            let e = rng.below(p.edges.len());
            let emit = *rng.pick(&[Emit::CrmSync, Emit::DomainEvent]);
            p.edges[e].emit.insert(emit);
        }
        if rng.share(8) {
            let s = rng.below(4);
            if rng.share(50) {
                p.states[s].warn_at = Some(80);
            } else {
                p.states[s].escalate = vec![(10 * MINUTE, "lead".into())];
            }
        }
        // A file without an AI step has no field that only a model sets.
        if about != 0 && rng.share(92) {
            p.ai = None;
        }
        for f in &mut p.record.fields {
            f.required = f.name == "email" && about == 4;
        }
        if rng.share(35) {
            let effect = match rng.below(3) {
                0 => RuleEffect::Close("rule".into()),
                1 => RuleEffect::NeedsHuman("rule".into()),
                _ => RuleEffect::Set(vec![("tier".into(), self.constant.clone())]),
            };
            p.rules.push(Rule {
                when: self.conditions[*rng.pick(ABOUT[about])].clone(),
                effect,
                line: 30,
            });
        }
        p.decision.branches = self.small_branches(&p, about, rng);
        if rng.share(15) {
            p.tasks.ask_missing = Some(1);
        }
        if rng.share(15) {
            p.tasks.unanswered = super::unanswered(rng);
        }
        p.record.on_match = *rng.pick(&ON_MATCH);
        if rng.share(8) {
            p.goal = Some(Goal {
                start: *rng.pick(&[PENDING, TRIAGED, AUTOMATED]),
                end: *rng.pick(&[CLOSED, AUTOMATED, NEEDS_HUMAN]),
                sla: *rng.pick(&[HOUR / 2, HOUR, 3 * HOUR]),
                owner: "boss".into(),
            });
        }
        (p, says)
    }

    fn small_branches(&self, p: &Program, about: usize, rng: &mut Rng) -> Vec<Branch> {
        let pick = |rng: &mut Rng| {
            let all: &[usize] = if rng.share(50) { ABOUT[about] } else { &PLAIN };
            self.conditions[*rng.pick(all)].clone()
        };
        let actions = *rng.pick(&[1, 1, 1, 2, 3]);
        let first = rng.below(3);
        let mut branches = Vec::new();
        for i in 0..=rng.below(2) {
            let two = usize::from(rng.share(12));
            let steps = (0..=two).map(|_| match rng.below(10) {
                0..=5 => Step::Effect(((first + rng.below(actions)) % 3) as u16),
                6 => Step::HumanQueue,
                7 => Step::AskMissing,
                8 => Step::HandOff,
                _ => Step::Close,
            });
            let steps = steps.collect();
            let mut one = branch(None, steps);
            one.condition = Some(pick(rng));
            one.to = rng.share(10).then(|| rng.below(p.states.len()) as StateIx);
            one.line = 50 + i as u32;
            branches.push(one);
        }
        let last = *rng.pick(&[Step::Deny, Step::Deny, Step::HumanQueue, Step::Close]);
        branches.push(branch(None, vec![last]));
        branches
    }

    fn small_policy(&self, p: &mut Program, about: usize, rng: &mut Rng) -> [Say; 4] {
        let mut says = [Say::Auto, Say::Approve, Say::Approve, Say::Auto];
        for (i, say) in says.iter_mut().enumerate() {
            // A policy asks about the field that the definition is about, or about none.
            let asks = match about {
                0 => Say::NeverIfC,
                1 => Say::AutoIfVip,
                _ => Say::Approve,
            };
            let never = if rng.share(30) { Say::Never } else { Say::Auto };
            let said = *rng.pick(&[Say::Auto, Say::Approve, asks, never]);
            let at = SAYS.iter().position(|s| *s == said).expect("one of them");
            *say = said;
            p.policy.lines[i] = self.lines[i][at].clone();
        }
        if let ActionKind::Message(m) = &mut p.actions[1].kind
            && rng.share(25)
        {
            m.check = None;
        }
        says
    }
}
