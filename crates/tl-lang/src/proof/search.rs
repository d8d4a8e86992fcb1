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
        match search.run(0, &self.goals) {
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
    fn run(&mut self, depth: usize, goals: &[(&Formula, bool)]) -> bool {
        self.looked += 1;
        if self.looked >= MAX_LOOKED {
            return true;
        }
        let mut open = Vec::new();
        for (f, want) in goals {
            match self.holds(f) {
                Some(got) if got != *want => return false,
                Some(_) => {}
                None => open.push((*f, *want)),
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
            self.at[var] = Some(i);
            if self.linked() && self.run(depth + 1, &open) {
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
