//! Conditions over a [`Space`], and the search for values under which some hold and others do not.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::{Expr, Found, Node, Op, Scope};
use tl_kernel::policy::When;
use tl_kernel::program::{ActionIx, Program, Rule, RuleEffect, Step};
use tl_kernel::value::{Label, Value};

use super::results::is_sure_condition;
use super::space::{Known, Name, Space, answers, is_constant};
use super::verdict::needed;

/// A part of a condition that depends on more combinations than this becomes a free atom.
const MAX_TABLE: usize = 2_048;

/// A condition whose parts are tables over the values of a space.
#[derive(Debug, Clone)]
pub(super) enum Formula {
    Const(bool),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Not(Box<Formula>),
    If(Box<[Formula; 3]>),
    /// Mixed radix: the last variable counts fastest.
    Table {
        vars: Vec<usize>,
        holds: Vec<bool>,
    },
    /// `needs_human`, which depends on what became of the AI step.
    NeedsHuman,
}

/// What became of the AI step when a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mind {
    /// The file has no AI step.
    None,
    /// It gave no answer.
    Silent,
    /// It answered, perhaps without a confidence.
    Answered,
    /// A person vouched for the record: certainty.
    Vouched,
}

/// Values for the names of one part of a condition.
pub(super) struct Given<'a>(pub(super) BTreeMap<&'a [String], Option<&'a Value>>);

impl Scope for Given<'_> {
    fn lookup<'s>(&'s self, names: &[String]) -> Found<'s> {
        match self.0.get(names) {
            Some(Some(v)) => Found::borrowed(v, Label::Config),
            _ => Found::absent(Label::Config),
        }
    }
}

/// Turns conditions into formulas over one space.
pub(super) struct Compiler<'p> {
    pub(super) program: &'p Program,
    pub(super) space: Space,
}

impl Compiler<'_> {
    /// The formula of a condition; `branch` is the one that it belongs to, if it is a branch's.
    pub(super) fn condition(&mut self, expr: &Expr, branch: Option<usize>) -> Formula {
        self.node(&expr.root, expr, branch)
    }

    fn node(&mut self, node: &Node, expr: &Expr, branch: Option<usize>) -> Formula {
        let all = |this: &mut Self, args: &[Node]| {
            args.iter().map(|n| this.node(n, expr, branch)).collect()
        };
        match node {
            Node::Literal(Value::Bool(b), _) => Formula::Const(*b),
            Node::Call {
                op: Op::And, args, ..
            } => Formula::All(all(self, args)),
            Node::Call {
                op: Op::Or, args, ..
            } => Formula::Any(all(self, args)),
            Node::Call {
                op: Op::Not, args, ..
            } if args.len() == 1 => Formula::Not(Box::new(self.node(&args[0], expr, branch))),
            Node::Call {
                op: Op::Cond, args, ..
            } if args.len() == 3 => {
                let [test, yes, no] = [0, 1, 2].map(|i| self.node(&args[i], expr, branch));
                Formula::If(Box::new([test, yes, no]))
            }
            Node::Path { names, .. } if names[0] == "needs_human" => match branch {
                Some(_) => Formula::NeedsHuman,
                None => Formula::Const(false),
            },
            Node::Path { names, .. } if names[0] == "policy_allows" => match branch {
                Some(i) => self.allows(i),
                None => Formula::Const(false),
            },
            other => self.leaf(other, expr),
        }
    }

    /// `policy_allows` for a branch: the file's policy says `auto` to each of its effects, and so do the policy in
    /// force and the checks of recipients, which is not known.
    pub(super) fn allows(&mut self, branch: usize) -> Formula {
        let effects = effects(self.program, branch);
        let alike = (0..branch).find(|i| self::effects(self.program, *i) == effects);
        let mut parts = vec![self.atom(Name::Allowed(alike.unwrap_or(branch)))];
        for ix in effects {
            parts.push(self.auto(ix));
            parts.push(Formula::Not(Box::new(self.never(ix))));
        }
        Formula::All(parts)
    }

    /// The file's policy states `auto` for an action.
    pub(super) fn auto(&mut self, ix: ActionIx) -> Formula {
        let program = self.program;
        let line = program
            .action(ix)
            .and_then(|a| program.policy.line(&a.name));
        line.map_or(Formula::Const(false), |l| self.when(&l.auto))
    }

    /// The file's policy states `never` for an action; it does for one that it has no line about.
    pub(super) fn never(&mut self, ix: ActionIx) -> Formula {
        let program = self.program;
        let line = program
            .action(ix)
            .and_then(|a| program.policy.line(&a.name));
        line.map_or(Formula::Const(true), |l| self.when(&l.never))
    }

    fn when(&mut self, when: &When) -> Formula {
        match when {
            When::Unstated => Formula::Const(false),
            When::Always => Formula::Const(true),
            When::If(e) => self.condition(e, None),
        }
    }

    /// Everything is there that an action cannot be planned without.
    pub(super) fn present(&mut self, ix: ActionIx) -> Formula {
        let program = self.program;
        let Some(action) = program.action(ix) else {
            return Formula::Const(true);
        };
        let parts = needed(action).into_iter().map(|e| self.is_there(e));
        Formula::All(parts.collect())
    }

    fn is_there(&mut self, expr: &Expr) -> Formula {
        match &expr.root {
            Node::Path { names, .. } if names.len() == 2 && names[0] == "record" => {
                let var = self.space.var(self.program, Name::Path(names.clone()));
                let values = self.space.vars[var].values.iter();
                let there = |v: &Option<Value>| v.as_ref().is_some_and(|v| !v.is_blank());
                Formula::Table {
                    vars: vec![var],
                    holds: values.map(there).collect(),
                }
            }
            _ if expr.reads().is_empty() => Formula::Const(true),
            _ => self.atom(Name::Free(format!("{} is there", expr.source))),
        }
    }

    /// A variable that is true or false.
    pub(super) fn atom(&mut self, name: Name) -> Formula {
        let var = self.space.var(self.program, name);
        Formula::Table {
            vars: vec![var],
            holds: vec![true, false],
        }
    }

    fn leaf(&mut self, node: &Node, expr: &Expr) -> Formula {
        let part = Expr {
            source: expr.source.clone(),
            root: node.clone(),
        };
        if !self.is_exact(node) {
            return self.free(part);
        }
        let mut paths: Vec<&Vec<String>> = Vec::new();
        node.walk(&mut |n| {
            if let Node::Path { names, .. } = n
                && !paths.contains(&names)
            {
                paths.push(names);
            }
        });
        let vars: Vec<usize> = paths
            .iter()
            .map(|p| self.space.var(self.program, Name::Path((*p).clone())))
            .collect();
        let sizes = vars.iter().map(|v| self.space.vars[*v].values.len());
        let combinations = sizes.fold(1usize, |a, n| a.saturating_mul(n));
        if combinations > MAX_TABLE {
            return self.free(part);
        }
        let holds = (0..combinations)
            .map(|c| self.holds(&part, &paths, &vars, c))
            .collect();
        Formula::Table { vars, holds }
    }

    /// A part that is not told apart further.
    fn free(&mut self, part: Expr) -> Formula {
        let text = part.root.at().text(&part.source).to_owned();
        let atom = self.atom(Name::Free(text.clone()));
        self.space.parts.insert(text, part);
        atom
    }

    /// Whether a part holds for one combination of values.
    fn holds(
        &self,
        part: &Expr,
        paths: &[&Vec<String>],
        vars: &[usize],
        combination: usize,
    ) -> bool {
        let mut rest = combination;
        let mut given = BTreeMap::new();
        for (path, var) in paths.iter().zip(vars).rev() {
            let values = &self.space.vars[*var].values;
            given.insert(path.as_slice(), values[rest % values.len()].as_ref());
            rest /= values.len();
        }
        matches!(
            part.eval(&Given(given)).map(|e| e.value),
            Ok(Some(Value::Bool(true)))
        )
    }

    /// Whether the sets of values answer a part of a condition exactly.
    fn is_exact(&self, node: &Node) -> bool {
        let known = |n: &Node| match n {
            Node::Path { names, .. } => self.space.known(self.program, names),
            _ => Known::Nothing,
        };
        let mut all = true;
        node.walk(&mut |n| {
            if matches!(n, Node::Path { .. }) {
                all &= known(n) == Known::All;
            }
        });
        if all {
            return true;
        }
        let shares = |n: &Node| matches!(n, Node::Path { names, .. } if ["confidence", "threshold"].contains(&names[0].as_str()));
        match node {
            Node::Has(inner, _) => known(inner) != Known::Nothing,
            Node::Call {
                op: Op::IsNull | Op::NotNull,
                args,
                ..
            } => known(&args[0]) != Known::Nothing,
            Node::Call { op, args, .. } if op.compares() && args.len() == 2 => {
                let (a, b) = (&args[0], &args[1]);
                (shares(a) && shares(b))
                    || (known(a) != Known::Nothing && is_constant(b) && answers(*op, b))
                    || (known(b) != Known::Nothing
                        && is_constant(a)
                        && answers(*op, a)
                        && *op != Op::In)
            }
            _ => false,
        }
    }

    /// Why a person is needed, as `decide` weighs it.
    pub(super) fn needs_human(&mut self, mind: Mind) -> Formula {
        let mut parts = vec![self.lacks(true)];
        match mind {
            Mind::None | Mind::Vouched => {}
            Mind::Silent => return Formula::Const(true),
            Mind::Answered => parts.push(self.unsure()),
        }
        if mind != Mind::Vouched {
            parts.push(self.rule_asks());
        }
        Formula::Any(parts)
    }

    /// A rule asks for a person: one whose condition holds, or one that fails.
    fn rule_asks(&mut self) -> Formula {
        let program = self.program;
        let mut parts = Vec::new();
        let mut may_fail = false;
        for rule in program.rules.iter().filter(|_| program.rules_engine) {
            let when = self.condition(&rule.when, None);
            let exact = is_same_later(program, rule) && !is_unsettled(program, &rule.when);
            if matches!(rule.effect, RuleEffect::NeedsHuman(_)) && exact {
                parts.push(when);
            } else if matches!(rule.effect, RuleEffect::NeedsHuman(_)) || !exact {
                may_fail = true;
            }
        }
        if may_fail {
            parts.push(self.atom(Name::RuleAsked));
        }
        Formula::Any(parts)
    }

    /// No rule closes the case: conditions that do not hold where the decision is made.
    pub(super) fn none_closes(&mut self) -> Vec<Formula> {
        let program = self.program;
        let closes = |r: &&Rule| matches!(r.effect, RuleEffect::Close(_));
        let rules = program.rules.iter().filter(|_| program.rules_engine);
        let exact = rules.filter(closes).filter(|r| is_same_later(program, r));
        let whens = exact.map(|r| self.condition(&r.when, None));
        whens.collect()
    }

    /// No required field is missing.
    pub(super) fn complete(&mut self) -> Formula {
        self.lacks(false)
    }

    /// A required field is missing, or none is.
    fn lacks(&mut self, some: bool) -> Formula {
        let missing = self
            .space
            .var(self.program, Name::Path(vec!["missing".into()]));
        let none = Some(Value::List(Vec::new()));
        let values = self.space.vars[missing].values.iter();
        let holds = values.map(|v| (*v != none) == some).collect();
        Formula::Table {
            vars: vec![missing],
            holds,
        }
    }

    /// No confidence, or one below the threshold.
    fn unsure(&mut self) -> Formula {
        let [c, t] = ["confidence", "threshold"]
            .map(|n| self.space.var(self.program, Name::Path(vec![n.into()])));
        let share = |v: &Option<Value>| match v {
            Some(Value::Float(x)) => Some(*x),
            _ => None,
        };
        let mut holds = Vec::new();
        for confidence in self.space.vars[c].values.iter().map(share) {
            for threshold in self.space.vars[t].values.iter().map(share) {
                holds.push(confidence.is_none_or(|c| threshold.is_some_and(|t| c < t)));
            }
        }
        Formula::Table {
            vars: vec![c, t],
            holds,
        }
    }
}

/// The effects of a branch.
pub(super) fn effects(program: &Program, branch: usize) -> BTreeSet<ActionIx> {
    let steps = program.decision.branches[branch].actions.iter();
    let effect = |s: &Step| match s {
        Step::Effect(ix) => Some(*ix),
        _ => None,
    };
    steps.filter_map(effect).collect()
}

/// A condition may fail when it is evaluated, or ask about a message or an answer that another takes the place of.
fn is_unsettled(program: &Program, when: &Expr) -> bool {
    !is_sure_condition(program, when) || when.reads_root("event") || when.reads_root("ai")
}

/// What the condition of a rule reads is the same when the decision is made: no rule and no table sets it, and it
/// is none of the words of a decision.
fn is_same_later(program: &Program, rule: &Rule) -> bool {
    rule.when.reads().iter().all(|p| match p[0].as_str() {
        "threshold" | "missing" | "needs_human" => false,
        "record" => p.get(1).is_some_and(|name| !is_set(program, name)),
        _ => true,
    })
}

/// A rule or a table sets a field.
pub(super) fn is_set(program: &Program, name: &str) -> bool {
    let by_rule = program.rules.iter().any(|r| match &r.effect {
        RuleEffect::Set(fields) => fields.iter().any(|(n, _)| n == name),
        _ => false,
    });
    by_rule
        || program
            .tables
            .iter()
            .any(|t| t.outputs.iter().any(|n| n == name))
}
