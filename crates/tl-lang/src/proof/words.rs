//! The conditions of a program as formulas, and which branches they let the decision take.

use std::collections::BTreeMap;

use tl_kernel::expr::Expr;
use tl_kernel::program::{Program, RuleEffect, Step};

use super::formula::{Compiler, Formula, Mind};
use super::search::{Question, Witness};
use super::space::{Name, Space};
use super::verdict::{May, verdicts};

/// The conditions of one program.
pub(super) struct Words<'p> {
    pub(super) program: &'p Program,
    pub(super) space: Space,
    /// Conditions of the branches, in order.
    pub(super) branches: Vec<Formula>,
    /// Conditions of the rules, in order.
    pub(super) rules: Vec<Formula>,
    /// A rule may close the case.
    pub(super) rule_closes: bool,
    /// A condition may fail when it is evaluated.
    pub(super) may_fail: bool,
    needs_human: BTreeMap<Mind, Formula>,
    /// No required field is missing.
    complete: Formula,
    choices: BTreeMap<Mind, Vec<(Taken, Witness)>>,
    may: Vec<May>,
}

/// A branch that is taken, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its position.
    pub(super) branch: usize,
    /// It waits for the required fields, which are asked for instead.
    pub(super) asks: bool,
}

/// Every mind in which a decision may be made.
pub(super) const MINDS: [Mind; 4] = [Mind::None, Mind::Silent, Mind::Answered, Mind::Vouched];

impl<'p> Words<'p> {
    pub(super) fn new(program: &'p Program) -> Words<'p> {
        let branches = program.decision.branches.iter();
        let conditions: Vec<&Expr> = branches.filter_map(|b| b.condition.as_ref()).collect();
        let rules = program.rules.iter().map(|r| &r.when);
        let space = Space::new(conditions.iter().copied().chain(rules));
        let mut compiler = Compiler { program, space };
        let branches: Vec<Formula> = program
            .decision
            .branches
            .iter()
            .enumerate()
            .map(|(i, b)| match &b.condition {
                Some(c) => compiler.condition(c, Some(i)),
                None => Formula::Const(true),
            })
            .collect();
        let may_fail = compiler
            .space
            .vars
            .iter()
            .any(|v| matches!(v.name, Name::Free(_)));
        let rules = program
            .rules
            .iter()
            .map(|r| compiler.condition(&r.when, None))
            .collect();
        let needs_human = MINDS
            .into_iter()
            .map(|m| (m, compiler.needs_human(m)))
            .collect();
        let complete = compiler.complete();
        let mut words = Words {
            program,
            space: compiler.space,
            branches,
            rules,
            rule_closes: false,
            may_fail,
            needs_human,
            complete,
            choices: BTreeMap::new(),
            may: verdicts(program),
        };
        words.rule_closes = words.may_close();
        for mind in MINDS {
            let taken = (0..words.branches.len()).flat_map(|i| words.ways(mind, i));
            let taken = taken.collect();
            words.choices.insert(mind, taken);
        }
        words
    }

    /// How a branch may be taken.
    fn ways(&self, mind: Mind, branch: usize) -> Vec<(Taken, Witness)> {
        if !self
            .program
            .asks_first(&self.program.decision.branches[branch])
        {
            let taken = Taken {
                branch,
                asks: false,
            };
            let way = self.taken(mind, branch, &[]);
            return way.map(|w| (taken, w)).into_iter().collect();
        }
        let way = |asks: bool| {
            let mut goals = self.first(branch);
            goals.push((&self.complete, !asks));
            Some((Taken { branch, asks }, self.ask(mind, goals, &[])?))
        };
        [false, true].into_iter().filter_map(way).collect()
    }

    /// The branches that may be taken, each with values that lead to it.
    pub(super) fn choices(&self, mind: Mind) -> &[(Taken, Witness)] {
        self.choices.get(&mind).map_or(&[], Vec::as_slice)
    }

    /// Values under which a branch is the first whose condition holds, `also` given.
    pub(super) fn taken(
        &self,
        mind: Mind,
        branch: usize,
        also: &[(usize, Vec<usize>)],
    ) -> Option<Witness> {
        self.ask(mind, self.first(branch), also)
    }

    /// A branch is the first whose condition holds.
    fn first(&self, branch: usize) -> Vec<(&Formula, bool)> {
        let before = self.branches[..branch].iter().map(|f| (f, false));
        let mut goals: Vec<(&Formula, bool)> = before.collect();
        goals.push((&self.branches[branch], true));
        goals
    }

    /// Values under which formulas are what is wanted of them.
    pub(super) fn ask(
        &self,
        mind: Mind,
        goals: Vec<(&Formula, bool)>,
        also: &[(usize, Vec<usize>)],
    ) -> Option<Witness> {
        let mut only: BTreeMap<usize, Vec<usize>> = also.iter().cloned().collect();
        for (i, v) in self.space.vars.iter().enumerate() {
            if let Name::Allowed(branch) = v.name {
                only.insert(i, self.allowed(branch));
            }
        }
        let question = Question {
            program: self.program,
            space: &self.space,
            mind,
            needs_human: &self.needs_human[&mind],
            goals,
            only,
        };
        question.answer()
    }

    /// What `policy_allows` may be for a branch, as positions of true (0) and false (1).
    fn allowed(&self, branch: usize) -> Vec<usize> {
        let effects: Vec<_> = self.program.decision.branches[branch]
            .actions
            .iter()
            .filter_map(|s| match s {
                Step::Effect(ix) => self.may.get(usize::from(*ix)),
                _ => None,
            })
            .collect();
        match (effects.is_empty(), effects.iter().all(|m| m.auto)) {
            (true, _) => vec![0],
            (_, true) => vec![0, 1],
            (_, false) => vec![1],
        }
    }

    fn may_close(&self) -> bool {
        let rules = self.program.rules.iter().zip(&self.rules);
        self.program.rules_engine
            && rules.into_iter().any(|(r, when)| {
                matches!(r.effect, RuleEffect::Close(_))
                    && MINDS
                        .iter()
                        .any(|m| self.ask(*m, vec![(when, true)], &[]).is_some())
            })
    }
}
