//! The conditions of a program as formulas, and which branches they let the decision take.

mod fates;

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::Expr;
use tl_kernel::policy::When;
use tl_kernel::program::canonical::{CLOSED, PENDING, TRIAGED};
use tl_kernel::program::{ActionIx, FieldDef, FieldFrom, Program, RuleEffect};

use super::formula::{Compiler, Formula, Mind, effects, is_set};
use super::results::{is_sure_condition, is_sure_value};
use super::search::{Question, Witness};
use super::space::{Name, Space};
use super::verdict::{May, verdicts};
pub(super) use fates::{Fate, Fates};

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
    /// An expression may have no result.
    pub(super) may_fail: bool,
    needs_human: BTreeMap<Mind, Formula>,
    /// No required field is missing.
    complete: Formula,
    /// What `policy_allows` is for each branch.
    allows: Vec<Formula>,
    /// By action.
    planning: Vec<Planning>,
    /// Conditions of the rules that close a case.
    closers: Vec<Formula>,
    choices: BTreeMap<Turn, Vec<Choice>>,
    may: Vec<May>,
    /// What is known of a record that only messages and rules have set fields of.
    untouched: Vec<(usize, Vec<usize>)>,
}

/// What the plan of an action depends on.
struct Planning {
    /// Its arguments are there.
    present: Formula,
    /// The file's policy states `auto`, or `never`.
    auto: Formula,
    never: Formula,
}

impl Planning {
    fn of(ix: ActionIx, compiler: &mut Compiler<'_>) -> Planning {
        Planning {
            present: compiler.present(ix),
            auto: compiler.auto(ix),
            never: compiler.never(ix),
        }
    }
}

/// A turn in which a decision is made: in what mind, whether a rule could have closed the case instead, and what may
/// be in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) mind: Mind,
    pub(super) closable: bool,
    /// More than messages and rules may have set fields of the record.
    pub(super) touched: bool,
}

impl Turn {
    /// Every kind of turn that a program has.
    fn all(program: &Program) -> BTreeSet<Turn> {
        let minds: &[Mind] = match program.ai {
            None => &[Mind::None, Mind::Vouched],
            Some(_) => &[Mind::Silent, Mind::Answered, Mind::Vouched],
        };
        let from = [PENDING, TRIAGED].into_iter();
        let closable = from.map(|at| program.edge(at, CLOSED).is_some());
        let each = closable.flat_map(|c| [(c, false), (c, true)]);
        let turn = |(mind, (closable, touched)): (&Mind, _)| {
            Turn {
                mind: *mind,
                closable,
                touched,
            }
            .plain()
        };
        let all = each.flat_map(|e| minds.iter().map(move |m| (m, e)));
        all.map(turn).collect()
    }

    /// Where a model answered or a person vouched, more than messages may have set fields.
    fn plain(self) -> Turn {
        let touched = self.touched || matches!(self.mind, Mind::Answered | Mind::Vouched);
        Turn { touched, ..self }
    }
}

/// A branch that may be taken.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) taken: Taken,
    /// What may become of the actions that it plans, each with values under which it does.
    pub(super) fates: Vec<(Fates, Witness)>,
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
        let space = Space::new(conditions(program));
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
        let allows = (0..branches.len()).map(|i| compiler.allows(i)).collect();
        let rules: Vec<Formula> = program
            .rules
            .iter()
            .map(|r| compiler.condition(&r.when, None))
            .collect();
        let may_fail = conditions(program).any(|e| !is_sure_condition(program, e))
            || others(program).any(|e| !is_sure_value(program, e));
        let needs_human = MINDS
            .into_iter()
            .map(|m| (m, compiler.needs_human(m)))
            .collect();
        let complete = compiler.complete();
        let closers = compiler.none_closes();
        let planning =
            (0..program.actions.len()).map(|ix| Planning::of(ix as ActionIx, &mut compiler));
        let planning = planning.collect();
        let mut words = Words {
            program,
            space: compiler.space,
            branches,
            rules,
            rule_closes: false,
            may_fail,
            needs_human,
            complete,
            allows,
            planning,
            closers,
            choices: BTreeMap::new(),
            may: verdicts(program),
            untouched: Vec::new(),
        };
        words.untouched = words.known_untouched();
        words.rule_closes = words.may_close();
        for turn in Turn::all(program) {
            let taken = (0..words.branches.len()).flat_map(|i| words.ways(turn, i));
            let taken = taken.collect();
            words.choices.insert(turn, taken);
        }
        words
    }

    /// How a branch may be taken.
    fn ways(&self, turn: Turn, branch: usize) -> Vec<Choice> {
        let asks_first = self
            .program
            .asks_first(&self.program.decision.branches[branch]);
        let asks: &[bool] = if asks_first { &[false, true] } else { &[false] };
        let mut out = Vec::new();
        for asks in asks {
            let taken = Taken {
                branch,
                asks: *asks,
            };
            let mut goals = self.first(branch);
            if asks_first {
                goals.push((&self.complete, !asks));
            }
            if turn.closable {
                goals.extend(self.closers.iter().map(|c| (c, false)));
            }
            let fates = self.fates(turn, taken, goals);
            if !fates.is_empty() {
                out.push(Choice { taken, fates });
            }
        }
        out
    }

    /// The branches that may be taken.
    pub(super) fn choices(&self, turn: Turn) -> &[Choice] {
        self.choices.get(&turn.plain()).map_or(&[], Vec::as_slice)
    }

    /// The same for every turn.
    pub(super) fn all(&self) -> impl Iterator<Item = &Choice> {
        self.choices.values().flatten()
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
        let mut only = BTreeMap::new();
        for (i, v) in self.space.vars.iter().enumerate() {
            if let Name::Allowed(branch) = v.name {
                only.insert(i, self.allowed(branch));
            }
        }
        only.extend(also.iter().cloned());
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

    /// Fields that no message and no rule sets are absent, and what goes by itself only to an address that a person
    /// gave does not.
    fn known_untouched(&self) -> Vec<(usize, Vec<usize>)> {
        let vars = self.space.vars.iter().enumerate();
        let known = vars.filter_map(|(i, v)| match &v.name {
            Name::Path(names) if names.len() == 2 && names[0] == "record" => {
                let absent = v.values.iter().position(Option::is_none)?;
                is_given_later(self.program, &names[1]).then(|| (i, vec![absent]))
            }
            Name::Allowed(branch) => {
                let effects = effects(self.program, *branch);
                let mut may = effects
                    .iter()
                    .filter_map(|ix| self.may.get(usize::from(*ix)));
                may.any(|m| m.vouched_only).then(|| (i, vec![1]))
            }
            _ => None,
        });
        known.collect()
    }

    /// What `policy_allows` may be for a branch, as positions of true (0) and false (1).
    fn allowed(&self, branch: usize) -> Vec<usize> {
        let effects: Vec<_> = effects(self.program, branch)
            .into_iter()
            .filter_map(|ix| self.may.get(usize::from(ix)))
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

/// Every condition of a program: of its branches, its rules and its policy.
pub(super) fn conditions(program: &Program) -> impl Iterator<Item = &Expr> {
    let branches = program.decision.branches.iter();
    let rules = program.rules.iter().map(|r| &r.when);
    let lines = program.policy.lines.iter();
    let policy = lines
        .flat_map(|l| [&l.auto, &l.never])
        .filter_map(|w| match w {
            When::If(e) => Some(e),
            _ => None,
        });
    let branches = branches.filter_map(|b| b.condition.as_ref());
    branches.chain(rules).chain(policy)
}

/// Expressions beside conditions and the policy that are evaluated before a decision.
fn others(program: &Program) -> impl Iterator<Item = &Expr> {
    let doors = program.endpoints.iter();
    let mapped = doors.clone().flat_map(|d| d.map.iter().map(|(_, e)| e));
    let texts = doors.filter_map(|d| d.text.as_ref());
    let rules = program.rules.iter().flat_map(|r| match &r.effect {
        RuleEffect::Set(fields) => fields.iter().map(|(_, e)| e).collect(),
        RuleEffect::Route(to) => vec![to],
        _ => Vec::new(),
    });
    mapped.chain(texts).chain(rules)
}

/// A field that neither a message nor a rule nor the engine sets.
fn is_given_later(program: &Program, name: &str) -> bool {
    let mapped = program
        .endpoints
        .iter()
        .any(|d| d.map.iter().any(|(f, _)| f == name));
    let by_engine = |f: &FieldDef| f.from == FieldFrom::Engine || f.name == "source";
    let field = program.record.field(name);
    !mapped && !is_set(program, name) && field.is_some_and(|f| !by_engine(f))
}
