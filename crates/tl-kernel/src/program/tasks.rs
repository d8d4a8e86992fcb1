//! `tasks`: who gets which kind of work, and what is done while nobody answers a question.

use std::collections::BTreeMap;

use super::ActionIx;
use crate::expr::Template;

/// `tasks`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskRules {
    /// `tasks.ask_missing.message`: the message action that asks for missing fields.
    pub ask_missing: Option<ActionIx>,
    /// `tasks.ask_missing.unanswered`: what is done while nobody answers, in the order of time.
    pub unanswered: Vec<Unanswered>,
    /// `tasks.<kind>.owner`: who gets tasks of a kind, an expression that may read the record.
    pub owners: BTreeMap<String, Template>,
    /// `tasks.<kind>.sla`, µs.
    pub slas: BTreeMap<String, i64>,
}

/// A step of what is done while nobody answers the question for missing fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// Time after the question, µs.
    pub after: i64,
    /// What is done then.
    pub then: WhenUnanswered,
}

/// What is done when nobody has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhenUnanswered {
    /// This message goes out.
    Remind(ActionIx),
    /// The case and its tasks go to a person or team.
    Escalate(String),
    /// The case is closed for this reason.
    Close(String),
}

impl TaskRules {
    /// Whether a message asks for missing fields, for the first time or again.
    pub fn asks(&self, action: ActionIx) -> bool {
        let again = |s: &Unanswered| s.then == WhenUnanswered::Remind(action);
        self.ask_missing == Some(action) || self.unanswered.iter().any(again)
    }
}
