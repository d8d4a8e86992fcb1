//! What a person can do next about a case, as literal commands, the most pressing first; and the sentence that
//! says what is the matter.

use std::collections::BTreeMap;

use tl_kernel::case::{Ai, Case};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::program::Program;
use tl_kernel::turn::EffectKind;
use tl_store::contract::EffectRow;

use super::build::Material;
use super::words::code_words;
use crate::control::views::Next;
use crate::text::At;

fn next(why: impl Into<String>, command: impl Into<String>) -> Next {
    Next {
        why: why.into(),
        command: command.into(),
    }
}

/// What is the matter with a case in one sentence, and what can be done about it.
pub(super) fn steps(m: &Material) -> (String, Vec<Next>) {
    let (case, program, effects, now) = (&m.case, &m.bundle.program, &m.effects, m.now);
    let mut all = Vec::new();
    for row in effects {
        let failed_for_good = matches!(
            row.state,
            EffectState::Failed | EffectState::Dead | EffectState::Expired
        );
        if !row.state.is_settled() || failed_for_good {
            all.extend(effect_next(row, &m.connections, now));
        }
    }
    all.extend(task_steps(case, now));
    let terminal = program
        .states
        .get(usize::from(case.state))
        .is_some_and(|s| s.terminal);
    if terminal {
        all.push(next(
            "the case is closed; if that was wrong, open it again",
            format!("throughline case reopen {} --reason wrong_outcome", case.id),
        ));
    } else if all.is_empty() {
        let open =
            case.open_effects().count() + case.asks.values().filter(|(_, open)| *open).count();
        all.push(if open > 0 {
            next("nothing needs a person: the engine is at work", "")
        } else {
            next(
                "nothing is open: move or close the case",
                format!("throughline case close {} --reason done", case.id),
            )
        });
    }
    all.push(next(
        format!("if the route is wrong (the owner is {})", case.owner),
        format!(
            "throughline case assign {} OWNER --reason wrong_route",
            case.id
        ),
    ));
    (summary(case, program, effects, terminal), all)
}

fn summary(case: &Case, program: &Program, effects: &[EffectRow], terminal: bool) -> String {
    let uncertain = effects.iter().find(|e| e.state == EffectState::Uncertain);
    if let Some(e) = uncertain {
        return format!(
            "`{}` may or may not have happened: {}",
            e.action,
            code_words(&e.code)
        );
    }
    let held = effects
        .iter()
        .find(|e| e.state == EffectState::Ready && !e.hold.is_empty());
    if let Some(e) = held {
        return format!("`{}` waits: {}", e.action, code_words(&e.hold));
    }
    let lost = effects.iter().find(|e| {
        matches!(
            e.state,
            EffectState::Failed | EffectState::Dead | EffectState::Expired
        ) && e.kind == EffectKind::Effect
    });
    if let Some(e) = lost {
        return format!(
            "`{}` is {}: {}",
            e.action,
            e.state.word(),
            code_words(&e.code)
        );
    }
    if let Some((_, task)) = case.open_tasks().next() {
        let because = match task.reason.as_str() {
            "" => String::new(),
            reason => format!(", because {}", code_words(reason)),
        };
        return format!(
            "a person ({}) has a task of kind `{}`{because}",
            task.owner, task.kind
        );
    }
    if terminal {
        return format!("it is closed: {}", code_words(&case.reason));
    }
    if matches!(case.ai, Ai::Asked) {
        return "a model has been asked and has not answered yet".into();
    }
    format!(
        "it is in `{}` since {}",
        program.state_name(case.state),
        At(case.entered_at).clock()
    )
}

fn task_steps(case: &Case, now: i64) -> Vec<Next> {
    let mut out = Vec::new();
    for (n, task) in case.open_tasks() {
        let id = TaskId { case: case.id, n };
        let late = match task.due {
            Some(due) if due < now => ", late",
            _ => "",
        };
        let why = format!(
            "{} is to decide a task of kind `{}`{late}: {}",
            task.owner,
            task.kind,
            code_words(&task.reason)
        );
        out.push(next(why, format!("throughline task show {id}")));
        out.push(next("", decide_command(&task.kind, id)));
    }
    out
}

/// The command that decides a task of a kind.
pub fn decide_command(kind: &str, id: TaskId) -> String {
    match kind {
        "approve" => format!("throughline task decide {id} approve --reason checked"),
        "missing" => {
            format!("throughline task decide {id} edit --set FIELD=VALUE --reason completed")
        }
        "review" => format!("throughline task decide {id} approve --reason checked"),
        _ => format!("throughline task decide {id} accept --reason taken"),
    }
}

/// What can be done about an effect.
pub fn effect_next(row: &EffectRow, connections: &BTreeMap<String, String>, now: i64) -> Vec<Next> {
    let id = row.effect;
    let is_effect = row.kind == EffectKind::Effect;
    match row.state {
        EffectState::Planned => Vec::new(),
        EffectState::Ready => ready_next(row, connections, now),
        EffectState::Dispatching => vec![next(format!("`{}` is on its way", row.action), "")],
        EffectState::AwaitingCallback => {
            vec![next(
                format!(
                    "`{}` was accepted; the vendor will say what became of it",
                    row.action
                ),
                "",
            )]
        }
        EffectState::Uncertain => uncertain_next(id, &row.action),
        EffectState::Failed | EffectState::Dead if is_effect => vec![
            next(
                format!(
                    "`{}` is {}: mend the cause ({}), then send it again",
                    row.action,
                    row.state.word(),
                    code_words(&row.code)
                ),
                format!("throughline dead redrive {id} --reason cause_mended"),
            ),
            next(
                "its attempts, one by one",
                format!("throughline effect show {id}"),
            ),
        ],
        EffectState::Expired => vec![next(
            format!(
                "`{}` was not sent in time and never will be; decide the case again",
                row.action
            ),
            format!("throughline case reopen {} --reason expired", id.case),
        )],
        _ => Vec::new(),
    }
}

fn ready_next(row: &EffectRow, connections: &BTreeMap<String, String>, now: i64) -> Vec<Next> {
    let action = &row.action;
    if let Some(why) = connections.get(&row.connection) {
        let why = format!("`{action}` waits for its connection: {why}");
        return vec![next(why, format!("throughline effect show {}", row.effect))];
    }
    if let Some(scope) = row.hold.strip_prefix("kill:") {
        return vec![next(
            format!(
                "`{action}` is held by the switch `{scope}`; it goes when the switch is cleared"
            ),
            format!("throughline kill clear {scope} --reason checked"),
        )];
    }
    let when = At(row.due).from(now);
    let why = match row.hold.as_str() {
        "" => format!("`{action}` is ready; it goes as soon as a server runs"),
        "retry" => format!(
            "`{action}` is tried again {when}: {}",
            code_words(&row.code)
        ),
        hold => format!("`{action}` waits: {}; it goes {when}", code_words(hold)),
    };
    let command = match row.hold.as_str() {
        "" | "quiet_hours" => String::new(),
        _ => format!("throughline effect show {}", row.effect),
    };
    vec![next(why, command)]
}

fn uncertain_next(id: EffectId, action: &str) -> Vec<Next> {
    vec![
        next(
            format!("look at the other system: did `{action}` happen? If it did:"),
            format!("throughline effect resolve {id} happened --reason seen_there"),
        ),
        next(
            "if it did not, send it:",
            format!("throughline effect resolve {id} send-again --reason not_there"),
        ),
        next(
            "if it did not and shall not:",
            format!("throughline effect resolve {id} drop --reason not_wanted"),
        ),
    ]
}
