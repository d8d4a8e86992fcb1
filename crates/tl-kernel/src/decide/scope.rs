//! The names that expressions of a workflow may read, and their values for one case.

use std::collections::BTreeMap;

use super::Facts;
use crate::case::{Ai, Case};
use crate::expr::{Found, Scope};
use crate::program::{FieldDef, FieldFrom, Program};
use crate::slot::OUR_EVENT_NAMES;
use crate::value::{Label, Value};

/// `record`, `event`, `case`, `ai`, `flags`, `settings` and the words of a decision, for one case.
#[derive(Debug)]
pub struct CaseScope<'a> {
    case: &'a Case,
    event: Option<&'a Value>,
    flags: &'a BTreeMap<String, bool>,
    world: &'a Program,
    words: Words<'a>,
}

/// The words of a decision. Absent outside of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// `confidence`.
    pub confidence: Option<f64>,
    /// `threshold`.
    pub threshold: Option<f64>,
    /// `policy_allows`.
    pub policy_allows: Option<bool>,
    /// `needs_human`.
    pub needs_human: Option<bool>,
    /// `missing`.
    pub missing: Option<&'a [String]>,
    /// `follow_up.link`: only in the message that asks for missing fields.
    pub link: Option<&'a str>,
}

impl<'a> CaseScope<'a> {
    /// The scope of a case outside of a decision.
    pub fn new(world: &'a Program, case: &'a Case, facts: &Facts<'a>) -> Self {
        CaseScope {
            case,
            world,
            event: facts.event.or(case.message.as_ref()),
            flags: facts.flags,
            words: Words {
                confidence: case.confidence().map(|c| f64::from(c) / 1000.0),
                ..Words::default()
            },
        }
    }

    /// The same with the words of a decision.
    pub fn with(self, words: Words<'a>) -> Self {
        CaseScope { words, ..self }
    }

    /// The same with the link of a message that asks for missing fields.
    pub(super) fn with_link(mut self, link: Option<&'a str>) -> Self {
        self.words.link = link;
        self
    }

    /// The label that an absent field would have: being absent says something too.
    fn label_of(&self, field: &str) -> Label {
        let outside =
            |d: &FieldDef| d.untrusted || matches!(d.from, FieldFrom::Event | FieldFrom::Ai);
        match self.world.record.field(field) {
            Some(def) if outside(def) => Label::Untrusted,
            _ => Label::Config,
        }
    }

    fn ai<'s>(&'s self, rest: &[String]) -> Found<'s> {
        let proposal = match &self.case.ai {
            Ai::Answered { proposal, .. } => proposal.as_ref(),
            _ => None,
        };
        match proposal.and_then(|p| p.at(rest)) {
            Some(v) => Found::borrowed(v, Label::Untrusted),
            None => Found::absent(Label::Untrusted),
        }
    }
}

impl Scope for CaseScope<'_> {
    fn lookup<'s>(&'s self, names: &[String]) -> Found<'s> {
        let Some((root, rest)) = names.split_first() else {
            return Found::absent(Label::Config);
        };
        let word = |v: Option<Value>, label| match v {
            Some(v) => Found::owned(v, label),
            None => Found::absent(label),
        };
        match (root.as_str(), rest) {
            ("record", [field, inner @ ..]) => match self.case.record.get(field) {
                Some(f) => match f.value.at(inner) {
                    Some(v) => Found::borrowed(v, f.label),
                    None => Found::absent(f.label),
                },
                None => Found::absent(self.label_of(field)),
            },
            ("event", path) => {
                let ours = path
                    .first()
                    .is_some_and(|p| OUR_EVENT_NAMES.contains(&p.as_str()));
                let label = if ours {
                    Label::Config
                } else {
                    Label::Untrusted
                };
                match self.event.and_then(|e| e.at(path)) {
                    Some(v) => Found::borrowed(v, label),
                    None => Found::absent(label),
                }
            }
            ("case", [name]) if name == "id" => {
                Found::owned(Value::text(self.case.id.to_string()), Label::Config)
            }
            ("ai", path) => self.ai(path),
            ("flags", [name]) => {
                let on = self.flags.get(name).copied().unwrap_or(false);
                Found::owned(Value::Bool(on), Label::Config)
            }
            ("settings", path) => {
                let value = path
                    .split_first()
                    .and_then(|(name, inner)| self.world.settings.get(name)?.at(inner));
                match value {
                    Some(v) => Found::borrowed(v, Label::Config),
                    None => Found::absent(Label::Config),
                }
            }
            ("confidence", []) => word(self.words.confidence.map(Value::Float), Label::Config),
            ("threshold", []) => word(self.words.threshold.map(Value::Float), Label::Config),
            ("policy_allows", []) => word(self.words.policy_allows.map(Value::Bool), Label::Config),
            ("needs_human", []) => word(self.words.needs_human.map(Value::Bool), Label::Config),
            ("follow_up", [name]) if name == "link" => {
                word(self.words.link.map(Value::text), Label::Config)
            }
            ("missing", []) => {
                let list = |m: &[String]| Value::List(m.iter().map(Value::text).collect());
                word(self.words.missing.map(list), Label::Config)
            }
            _ => Found::absent(Label::Config),
        }
    }
}
