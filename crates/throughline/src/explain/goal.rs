//! The goal of a case's workflow and how its clock stands.

use serde::{Deserialize, Serialize};
use tl_kernel::case::{Case, GoalClock};
use tl_kernel::program::{Goal, Program};
use tl_kernel::time::duration_text;

use crate::text::{At, due_text};

/// How the clock of a goal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoalLine {
    /// State in which the path starts.
    pub start: String,
    /// State in which it ends.
    pub end: String,
    /// Who answers for it.
    pub owner: String,
    /// `not_started`, `running`, `paused`, `met`, `breached`.
    pub status: String,
    /// When it is missed, or was or would have been.
    pub due: Option<At>,
    /// Where it stands still: what is left of its time, µs.
    pub left: Option<i64>,
    /// The state in which the case ended, where that is not the goal's end: it was in time, and the goal was not
    /// reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_in: Option<String>,
}

/// The goal of a case; none where its workflow has none.
pub fn goal_line(program: &Program, case: &Case) -> Option<GoalLine> {
    let goal = program.goal.as_ref()?;
    let (status, due, left) = match case.goal {
        GoalClock::NotStarted => ("not_started", None, None),
        GoalClock::Running { due } => ("running", Some(At(due)), None),
        GoalClock::Still { left } => ("paused", None, Some(left)),
        GoalClock::Met { due, .. } => ("met", Some(At(due)), None),
        GoalClock::Missed { due } => ("breached", Some(At(due)), None),
    };
    let elsewhere = case.state != goal.end
        && program
            .states
            .get(usize::from(case.state))
            .is_some_and(|s| s.terminal);
    Some(GoalLine {
        start: program.state_name(goal.start).to_owned(),
        end: program.state_name(goal.end).to_owned(),
        owner: goal.owner.clone(),
        status: status.to_owned(),
        due,
        left,
        ended_in: elsewhere.then(|| program.state_name(case.state).to_owned()),
    })
}

/// What a goal asks for: its path, its time and who answers for it.
pub fn goal_words(program: &Program, goal: &Goal) -> String {
    format!(
        "{} -> {} within {}, answered for by {}",
        program.state_name(goal.start),
        program.state_name(goal.end),
        duration_text(goal.sla),
        goal.owner
    )
}

/// The same for a terminal.
pub fn goal_text(goal: &GoalLine, now: i64) -> String {
    let clock = goal.due.map_or_else(String::new, At::clock);
    let stands = match (goal.status.as_str(), goal.left) {
        ("met", _) if goal.ended_in.is_some() => format!(
            "ended in `{}` in time (was due {clock})",
            goal.ended_in.as_deref().unwrap_or_default()
        ),
        ("running", _) => format!("due {clock} ({})", due_text(goal.due, now)),
        ("met", _) => format!("met (was due {clock})"),
        ("breached", _) => format!("breached at {clock}; {} answers for it", goal.owner),
        (_, Some(left)) => format!("stands still, {} left", duration_text(left)),
        _ => "not started".into(),
    };
    format!("{} -> {}: {stands}", goal.start, goal.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::time::{HOUR, MINUTE};

    #[test]
    fn each_stand_is_said() {
        let line = |status: &str, due: Option<i64>, left| GoalLine {
            start: "pending".into(),
            end: "closed".into(),
            owner: "anna".into(),
            status: status.into(),
            due: due.map(At),
            left,
            ended_in: None,
        };
        let table = [
            (line("not_started", None, None), "not started"),
            (
                line("running", Some(2 * HOUR), None),
                "due 1970-01-01 02:00:00Z (1h left)",
            ),
            (
                line("running", Some(HOUR / 2), None),
                "due 1970-01-01 00:30:00Z (late by 30m)",
            ),
            (
                line("paused", None, Some(90 * MINUTE)),
                "stands still, 1h30m left",
            ),
            (
                line("met", Some(HOUR), None),
                "met (was due 1970-01-01 01:00:00Z)",
            ),
            (
                GoalLine {
                    ended_in: Some("lost".into()),
                    ..line("met", Some(HOUR), None)
                },
                "ended in `lost` in time (was due 1970-01-01 01:00:00Z)",
            ),
            (
                line("breached", Some(HOUR), None),
                "breached at 1970-01-01 01:00:00Z; anna answers for it",
            ),
        ];
        for (goal, want) in table {
            assert_eq!(goal_text(&goal, HOUR), format!("pending -> closed: {want}"));
        }
    }
}
