//! Conditions over a [`Space`], and the search for values under which some hold and others do not.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::{Expr, Found, Node, Op, Scope};
use tl_kernel::program::{ActionIx, Program, Rule, RuleEffect, Step};
use tl_kernel::value::{Label, Value};

use super::space::{Known, Name, Space, answers, is_constant, required};

/// A part of a condition that depends on more combinations than this becomes a free atom.
const MAX_TABLE: usize = 2_048;
/// Partial assignments looked at before a search gives up and answers "possible".
const MAX_LOOKED: u32 = 20_000;

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

/// Names and the values found for them; `None` is absent.
pub(super) type Witness = Vec<(Name, Option<Value>)>;

struct Given<'a>(BTreeMap<&'a [String], Option<&'a Value>>);

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
                Some(i) => self.atom(Name::Allowed(self.alike(i))),
                None => Formula::Const(false),
            },
            other => self.leaf(other, expr),
        }
    }

    /// The first branch with the same effects: `policy_allows` is the same for both.
    fn alike(&self, branch: usize) -> usize {
        let effects = |i: usize| -> BTreeSet<ActionIx> {
            let steps = self.program.decision.branches[i].actions.iter();
            steps
                .filter_map(|s| {
                    if let Step::Effect(ix) = s {
                        Some(*ix)
                    } else {
                        None
                    }
                })
                .collect()
        };
        (0..branch)
            .find(|i| effects(*i) == effects(branch))
            .unwrap_or(branch)
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
        let free = || Name::Free(node.at().text(&expr.source).to_owned());
        if !self.is_exact(node) {
            return self.atom(free());
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
            return self.atom(free());
        }
        let part = Expr {
            source: expr.source.clone(),
            root: node.clone(),
        };
        let holds = (0..combinations)
            .map(|c| self.holds(&part, &paths, &vars, c))
            .collect();
        Formula::Table { vars, holds }
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
        let missing = self
            .space
            .var(self.program, Name::Path(vec!["missing".into()]));
        let values = &self.space.vars[missing].values;
        let holds = values
            .iter()
            .map(|v| *v != Some(Value::List(Vec::new())))
            .collect();
        let mut parts = vec![Formula::Table {
            vars: vec![missing],
            holds,
        }];
        match mind {
            Mind::None | Mind::Vouched => {}
            Mind::Silent => return Formula::Const(true),
            Mind::Answered => parts.push(self.unsure()),
        }
        let asks = |r: &Rule| matches!(r.effect, RuleEffect::NeedsHuman(_));
        if mind != Mind::Vouched && self.program.rules_engine && self.program.rules.iter().any(asks)
        {
            parts.push(self.atom(Name::RuleAsked));
        }
        Formula::Any(parts)
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

/// A question: which formulas shall hold and which not, and what is known beforehand.
pub(super) struct Question<'q> {
    pub(super) program: &'q Program,
    pub(super) space: &'q Space,
    pub(super) mind: Mind,
    /// `needs_human` for that mind.
    pub(super) needs_human: &'q Formula,
    /// Formulas and what they shall be.
    pub(super) goals: Vec<(&'q Formula, bool)>,
    /// Values that are given: variable and the positions that are allowed.
    pub(super) only: BTreeMap<usize, Vec<usize>>,
}

struct Search<'q> {
    q: &'q Question<'q>,
    order: Vec<usize>,
    at: Vec<Option<usize>>,
    links: Vec<(usize, String)>,
    missing: Option<usize>,
    every: bool,
    looked: u32,
}

impl Question<'_> {
    /// Values under which every goal is met; `None` when there are none. A search that grows too large
    /// answers with no values: then the goals count as possible.
    pub(super) fn answer(&self) -> Option<Witness> {
        let required = required(self.program);
        let missing = self.space.find(&Name::Path(vec!["missing".into()]));
        let mut order = Vec::new();
        for (f, _) in &self.goals {
            self.vars(f, &mut order);
        }
        let links = required
            .iter()
            .filter_map(|f| {
                Some((
                    self.space
                        .find(&Name::Path(vec!["record".into(), f.clone()]))?,
                    f.clone(),
                ))
            })
            .collect();
        let mut search = Search {
            q: self,
            order,
            at: vec![None; self.space.vars.len()],
            links,
            missing,
            every: missing
                .is_some_and(|m| self.space.vars[m].values.len() == 1 << required.len().min(20)),
            looked: 0,
        };
        match search.run(0) {
            true if search.looked >= MAX_LOOKED => Some(Vec::new()),
            true => Some(search.witness()),
            false => None,
        }
    }

    fn vars(&self, f: &Formula, out: &mut Vec<usize>) {
        match f {
            Formula::Const(_) => {}
            Formula::All(parts) | Formula::Any(parts) => {
                parts.iter().for_each(|p| self.vars(p, out))
            }
            Formula::Not(inner) => self.vars(inner, out),
            Formula::If(parts) => parts.iter().for_each(|p| self.vars(p, out)),
            Formula::Table { vars, .. } => vars.iter().for_each(|v| {
                if !out.contains(v) {
                    out.push(*v);
                }
            }),
            Formula::NeedsHuman => self.vars(self.needs_human, out),
        }
    }
}

impl Search<'_> {
    fn run(&mut self, depth: usize) -> bool {
        self.looked += 1;
        if self.looked >= MAX_LOOKED {
            return true;
        }
        let mut open = false;
        for (f, want) in &self.q.goals {
            match self.holds(f) {
                Some(got) if got != *want => return false,
                Some(_) => {}
                None => open = true,
            }
        }
        if !open {
            return true;
        }
        let Some(var) = self.order.get(depth).copied() else {
            return false;
        };
        for i in 0..self.q.space.vars[var].values.len() {
            if !self.allowed(var, i) {
                continue;
            }
            self.at[var] = Some(i);
            if self.linked() && self.run(depth + 1) {
                return true;
            }
        }
        self.at[var] = None;
        false
    }

    fn allowed(&self, var: usize, i: usize) -> bool {
        if self.q.only.get(&var).is_some_and(|all| !all.contains(&i)) {
            return false;
        }
        let v = &self.q.space.vars[var];
        let Name::Path(names) = &v.name else {
            return true;
        };
        if names.as_slice() != ["confidence"] {
            return true;
        }
        match self.q.mind {
            Mind::None | Mind::Silent => v.values[i].is_none(),
            Mind::Answered => true,
            Mind::Vouched => v.values[i] == Some(Value::Float(1.0)),
        }
    }

    /// `missing` names exactly the required fields without a value.
    fn linked(&self) -> bool {
        let Some((m, i)) = self.missing.and_then(|m| Some((m, self.at[m]?))) else {
            return true;
        };
        let Some(Value::List(names)) = &self.q.space.vars[m].values[i] else {
            return true;
        };
        self.links.iter().all(|(var, field)| {
            let Some(at) = self.at[*var] else { return true };
            let absent = self.q.space.vars[*var].values[at]
                .as_ref()
                .is_none_or(Value::is_blank);
            let listed = names.iter().any(|n| n.as_text() == Some(field));
            if self.every || names.is_empty() {
                absent == listed
            } else {
                true
            }
        })
    }

    fn holds(&self, f: &Formula) -> Option<bool> {
        match f {
            Formula::Const(b) => Some(*b),
            Formula::Not(inner) => self.holds(inner).map(|b| !b),
            Formula::All(parts) => self.joined(parts, false),
            Formula::Any(parts) => self.joined(parts, true),
            Formula::If(parts) => match self.holds(&parts[0]) {
                Some(true) => self.holds(&parts[1]),
                Some(false) => self.holds(&parts[2]),
                None => None,
            },
            Formula::Table { vars, holds } => {
                let mut at = 0;
                for v in vars {
                    at = at * self.q.space.vars[*v].values.len() + self.at[*v]?;
                }
                Some(holds[at])
            }
            Formula::NeedsHuman => self.holds(self.q.needs_human),
        }
    }

    fn joined(&self, parts: &[Formula], decides: bool) -> Option<bool> {
        let mut open = false;
        for p in parts {
            match self.holds(p) {
                Some(b) if b == decides => return Some(decides),
                Some(_) => {}
                None => open = true,
            }
        }
        (!open).then_some(!decides)
    }

    fn witness(&self) -> Witness {
        let vars = self.q.space.vars.iter().zip(&self.at);
        vars.filter_map(|(v, at)| Some((v.name.clone(), v.values[(*at)?].clone())))
            .collect()
    }
}
