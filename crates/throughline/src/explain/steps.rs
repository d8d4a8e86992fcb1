//! What can be done, in order: what comes after what, and what stands for what.

use crate::control::views::Next;

/// How a step stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// After it.
    Then,
    /// Instead of it.
    Or,
    /// A further command of the same step.
    With,
}

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    how: How,
    why: String,
    command: String,
}

impl Step {
    /// Nothing that a command does.
    pub(super) fn is_advice(&self) -> bool {
        self.command.is_empty()
    }
}

fn step(how: How, why: impl Into<String>, command: impl Into<String>) -> Step {
    Step {
        how,
        why: why.into(),
        command: command.into(),
    }
}

/// What is done next.
pub(super) fn then(why: impl Into<String>, command: impl Into<String>) -> Step {
    step(How::Then, why, command)
}

/// What is done instead; the text begins with its condition or its purpose.
pub(super) fn or(why: impl Into<String>, command: impl Into<String>) -> Step {
    step(How::Or, why, command)
}

/// Another command of the step before it.
pub(super) fn with(why: impl Into<String>, command: impl Into<String>) -> Step {
    step(How::With, why, command)
}

/// As a list that says its order: several steps have numbers, and an alternative says that it is one.
pub(super) fn numbered(steps: Vec<Step>) -> Vec<Next> {
    let several = steps.iter().filter(|s| s.how == How::Then).count() > 1;
    let mut n = 0;
    let mut first = true;
    let mut out = Vec::with_capacity(steps.len());
    for s in steps {
        let why = match s.how {
            How::Then if several => {
                n += 1;
                format!("{n}. {}", s.why)
            }
            How::Or if !first => format!("or, {}", s.why),
            _ => s.why,
        };
        first = false;
        out.push(Next {
            why,
            command: s.command,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_said() {
        let whys = |steps| {
            let next = numbered(steps);
            next.into_iter().map(|n| n.why).collect::<Vec<_>>()
        };
        let table = [
            (vec![then("look", "a")], vec!["look"]),
            (
                vec![then("look", "a"), or("to stop: stop", "b")],
                vec!["look", "or, to stop: stop"],
            ),
            (
                vec![
                    then("look", "a"),
                    then("send", "b"),
                    or("to stop: stop", "c"),
                    with("", "d"),
                ],
                vec!["1. look", "2. send", "or, to stop: stop", ""],
            ),
            (vec![or("to stop: stop", "a")], vec!["to stop: stop"]),
        ];
        for (steps, want) in table {
            assert_eq!(whys(steps), want);
        }
    }
}
