//! The search for values under which some conditions hold and others do not.

use std::collections::BTreeMap;

use tl_kernel::program::Program;
use tl_kernel::value::Value;

use super::formula::{Formula, Mind};
use super::space::{Name, Space, required};

/// Partial assignments looked at before a search gives up and answers "possible".
const MAX_LOOKED: u32 = 20_000;

/// Names and the values found for them; `None` is absent.
pub(super) type Witness = Vec<(Name, Option<Value>)>;

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

/// A part of a formula, with the positions of the parts that it is made of.
enum Part<'q> {
    Const(bool),
    Not(usize),
    Joined {
        parts: Vec<usize>,
        decides: bool,
    },
    If([usize; 3]),
    Table {
        vars: &'q [usize],
        holds: &'q [bool],
    },
}

/// The formulas of a question, and what is known of them under the values chosen so far. A part that is known stays
/// known while more values are chosen, so that one more value is followed upwards from the tables that depend on it.
struct Parts<'q> {
    space: &'q Space,
    /// What a part is made of comes before it.
    all: Vec<Part<'q>>,
    /// By part: the parts that are made of it.
    above: Vec<Vec<usize>>,
    /// By variable: the tables that depend on it.
    tables: Vec<Vec<usize>>,
    known: Vec<Option<bool>>,
    /// Positions of the values chosen, by variable.
    at: Vec<Option<usize>>,
    /// The parts that became known, in order.
    trail: Vec<usize>,
    needs_human: Option<usize>,
}

impl<'q> Parts<'q> {
    fn new(space: &'q Space) -> Parts<'q> {
        Parts {
            space,
            all: Vec::new(),
            above: Vec::new(),
            tables: vec![Vec::new(); space.vars.len()],
            known: Vec::new(),
            at: vec![None; space.vars.len()],
            trail: Vec::new(),
            needs_human: None,
        }
    }

    /// The position of a formula.
    fn add(&mut self, f: &'q Formula, needs_human: &'q Formula) -> usize {
        let mut of = |fs: &'q [Formula]| fs.iter().map(|f| self.add(f, needs_human)).collect();
        let (part, made_of) = match f {
            Formula::Const(b) => (Part::Const(*b), vec![]),
            Formula::Not(inner) => {
                let inner = self.add(inner, needs_human);
                (Part::Not(inner), vec![inner])
            }
            Formula::All(fs) | Formula::Any(fs) => {
                let (parts, decides): (Vec<usize>, _) = (of(fs), matches!(f, Formula::Any(_)));
                let made_of = parts.clone();
                (Part::Joined { parts, decides }, made_of)
            }
            Formula::If(fs) => {
                let [test, yes, no] = [0, 1, 2].map(|i| self.add(&fs[i], needs_human));
                (Part::If([test, yes, no]), vec![test, yes, no])
            }
            Formula::Table { vars, holds } => {
                let here = self.all.len();
                vars.iter().for_each(|v| self.tables[*v].push(here));
                (Part::Table { vars, holds }, vec![])
            }
            Formula::NeedsHuman => {
                if let Some(there) = self.needs_human {
                    return there;
                }
                let there = self.add(needs_human, needs_human);
                self.needs_human = Some(there);
                return there;
            }
        };
        let here = self.all.len();
        made_of.into_iter().for_each(|p| self.above[p].push(here));
        self.all.push(part);
        self.above.push(Vec::new());
        self.known.push(None);
        self.known[here] = self.found(here);
        here
    }

    /// What a part is, from what it is made of.
    fn found(&self, part: usize) -> Option<bool> {
        match &self.all[part] {
            Part::Const(b) => Some(*b),
            Part::Not(inner) => self.known[*inner].map(|b| !b),
            Part::Joined { parts, decides } => {
                let mut open = false;
                for p in parts {
                    match self.known[*p] {
                        Some(b) if b == *decides => return Some(b),
                        Some(_) => {}
                        None => open = true,
                    }
                }
                (!open).then_some(!decides)
            }
            Part::If([test, yes, no]) => match self.known[*test] {
                Some(true) => self.known[*yes],
                Some(false) => self.known[*no],
                None => None,
            },
            Part::Table { vars, holds } => {
                let mut at = 0;
                for v in *vars {
                    at = at * self.space.vars[*v].values.len() + self.at[*v]?;
                }
                Some(holds[at])
            }
        }
    }

    fn choose(&mut self, var: usize, value: usize) {
        self.at[var] = Some(value);
        let mut followed = self.trail.len();
        for i in 0..self.tables[var].len() {
            self.learn(self.tables[var][i]);
        }
        while let Some(part) = self.trail.get(followed).copied() {
            followed += 1;
            for i in 0..self.above[part].len() {
                self.learn(self.above[part][i]);
            }
        }
    }

    fn learn(&mut self, part: usize) {
        if self.known[part].is_none() {
            self.known[part] = self.found(part);
            if self.known[part].is_some() {
                self.trail.push(part);
            }
        }
    }

    /// Takes a choice back; `mark` is the length of the trail before it.
    fn take_back(&mut self, var: usize, mark: usize) {
        for part in self.trail.drain(mark..) {
            self.known[part] = None;
        }
        self.at[var] = None;
    }
}

struct Search<'q> {
    q: &'q Question<'q>,
    parts: Parts<'q>,
    order: Vec<usize>,
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
        // What shall hold decides: its values are chosen first, and most of the others follow.
        let mut order = Vec::new();
        for wanted in [true, false] {
            for (f, _) in self.goals.iter().rev().filter(|(_, w)| *w == wanted) {
                self.vars(f, &mut order);
            }
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
        let mut parts = Parts::new(self.space);
        let goals = self.goals.iter();
        let goals: Vec<(usize, bool)> = goals
            .map(|(f, wanted)| (parts.add(f, self.needs_human), *wanted))
            .collect();
        let mut search = Search {
            q: self,
            parts,
            order,
            links,
            missing,
            every: missing
                .is_some_and(|m| self.space.vars[m].values.len() == 1 << required.len().min(20)),
            looked: 0,
        };
        match search.run(0, &goals) {
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
    /// `goals` are those that the values chosen so far do not settle.
    fn run(&mut self, depth: usize, goals: &[(usize, bool)]) -> bool {
        self.looked += 1;
        if self.looked >= MAX_LOOKED {
            return true;
        }
        let mut open = Vec::new();
        for (part, want) in goals {
            match self.parts.known[*part] {
                Some(got) if got != *want => return false,
                Some(_) => {}
                None => open.push((*part, *want)),
            }
        }
        if open.is_empty() {
            return true;
        }
        let Some(var) = self.order.get(depth).copied() else {
            return false;
        };
        for i in 0..self.q.space.vars[var].values.len() {
            if !self.allowed(var, i) {
                continue;
            }
            let mark = self.parts.trail.len();
            self.parts.choose(var, i);
            if self.linked(var) && self.run(depth + 1, &open) {
                return true;
            }
            self.parts.take_back(var, mark);
        }
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

    /// `missing` names exactly the required fields without a value; `var` is what was chosen last.
    fn linked(&self, var: usize) -> bool {
        if self.missing != Some(var) && self.links.iter().all(|(v, _)| *v != var) {
            return true;
        }
        let Some((m, i)) = self.missing.and_then(|m| Some((m, self.parts.at[m]?))) else {
            return true;
        };
        let Some(Value::List(names)) = &self.q.space.vars[m].values[i] else {
            return true;
        };
        self.links.iter().all(|(var, field)| {
            let Some(at) = self.parts.at[*var] else {
                return true;
            };
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

    fn witness(&self) -> Witness {
        let vars = self.q.space.vars.iter().zip(&self.parts.at);
        vars.filter_map(|(v, at)| Some((v.name.clone(), v.values[(*at)?].clone())))
            .collect()
    }
}
