//! The conditions of a program as formulas, and which branches they let the decision take.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::{Expr, Node};
use tl_kernel::policy::When;
use tl_kernel::program::canonical::{CLOSED, PENDING, TRIAGED};
use tl_kernel::program::{ActionIx, FieldDef, FieldFrom, Program, RuleEffect, Step};

use super::formula::{Compiler, Formula, Mind, effects, is_set};
use super::search::{Question, Witness};
use super::space::{Name, Space, Var};
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

/// What becomes of the actions that a branch plans.
pub(super) type Fates = BTreeMap<ActionIx, Fate>;

/// What becomes of an action that a branch plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
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
        let parts = |v: &Var| matches!(v.name, Name::Free(_));
        let may_fail = compiler.space.vars.iter().any(parts) || others(program).any(may_fail);
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

    /// What may become of the actions of a branch, and values under which it does; nothing where the branch cannot
    /// be taken.
    fn fates(
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

/// A name and a constant have a result always, if only an absent one.
fn may_fail(expr: &Expr) -> bool {
    !matches!(expr.root, Node::Path { .. } | Node::Literal(..))
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
