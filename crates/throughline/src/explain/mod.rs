//! The one screen about a case: what came in, what was decided and why, what was done, and what to do next.
//!
//! Built from the journal, the effect ledger and the pinned bundle, and from nothing else; whoever sees only
//! this screen can name the cause and the next command.

mod build;
mod cause;
mod effects;
mod entries;
mod fields;
mod given;
mod goal;
mod next;
mod notes;
mod render;
mod situation;
mod steps;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

use crate::control::views::{FieldLine, Next};
use crate::text::At;

pub use build::{Material, SwitchChange, build};
pub use cause::stopped_by;
pub use effects::effect_next;
pub use entries::key_words;
pub use fields::{arguments, field_lines, policy_place};
pub use goal::{GoalLine, goal_line, goal_text, goal_words};
pub use next::decide_task;
pub use render::{fields_text, next_text, render};
pub use words::{CODES, code_words, meaning};

/// A case explained.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    pub case: String,
    pub tenant: String,
    pub workflow: String,
    pub version: String,
    pub number: u32,
    pub bundle: String,
    pub state: String,
    pub reason: String,
    pub owner: String,
    pub due: Option<At>,
    /// The goal of its workflow, where it has one.
    pub goal: Option<GoalLine>,
    pub opened_at: At,
    pub now: At,
    pub correlation: String,
    /// What is the matter, in one sentence without a value of the record.
    pub summary: String,
    /// What else is worth knowing about it: values, numbers, times.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Its open tasks, and the last effect of each action, as they stand now.
    #[serde(default)]
    pub stands: Vec<String>,
    pub next: Vec<Next>,
    pub turns: Vec<TurnLine>,
    pub record: Vec<FieldLine>,
    pub missing: Vec<String>,
}

/// One turn of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TurnLine {
    pub n: u32,
    pub at: At,
    pub actor: String,
    pub lines: Vec<Line>,
}

/// Where a line stands: what came in, what was decided, what was done, what the clock did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Input,
    Decision,
    Action,
    Clock,
}

/// One line of a turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub side: Side,
    pub text: String,
    pub detail: Vec<String>,
    /// What an action came to, where it is not simply done: `planned`, `ended`, `unclear`, `asked`, `closed`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub word: String,
}

impl Line {
    fn new(side: Side, text: impl Into<String>) -> Line {
        Line {
            side,
            text: text.into(),
            detail: Vec::new(),
            word: String::new(),
        }
    }

    fn word(mut self, word: &str) -> Line {
        self.word = word.to_owned();
        self
    }

    fn with(mut self, detail: impl IntoIterator<Item = String>) -> Line {
        self.detail.extend(detail);
        self
    }
}
