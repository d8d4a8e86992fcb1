//! What a person can do next about a case, as literal commands in their order.
//!
//! A word in capitals within a command is the reader's to fill in: no command vouches for something on its own.

use tl_kernel::case::{Case, CaseTask};
use tl_kernel::digest::hex;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::value::{Source, Type};
use tl_store::contract::EffectRow;

use super::build::Material;
use super::cause::{approval_decides, asked_fields, because, on_a_persons_word, stopped_ask};
use super::effects::effect_steps;
use super::entries::step_words;
use super::fields::{source, workflow_place};
use super::notes::other_content;
use super::situation::{is_lost, is_terminal};
use super::steps::{Step, numbered, or, then, with};
use crate::control::views::Next;
use crate::text::one_line;

/// Owners that are offered one by one; more are named on one line.
const OFFERED: usize = 3;
/// Digits by which a command names a digest.
const DIGITS: usize = 12;

/// What can be done about a case.
pub(super) fn next_steps(m: &Material) -> Vec<Next> {
    let case = &m.case;
    let mut all = Vec::new();
    for row in &m.effects {
        if !row.state.is_settled() || is_lost(m, row) {
            all.extend(effect_steps(row, &m.connections, &m.switches, m.now));
        }
    }
    if !is_terminal(m)
        && let Some((n, ..)) = other_content(m).into_iter().next()
    {
        all.push(then(
            format!("ask the sender which content of message {n} is right: what came later with its key was not kept"),
            "",
        ));
    }
    all.extend(task_steps(m));
    if is_terminal(m) {
        all.push(then(
            "nothing has to be done. A value that was kept as the other side has it can only be changed there. Only if \
             something else ended wrongly: open the case again; it is decided again with the record as it is now",
            command(m, "reopen"),
        ));
    } else if all.iter().all(Step::is_advice) {
        let open =
            case.open_effects().count() + case.asks.values().filter(|(_, open)| *open).count();
        all.push(if open > 0 {
            then(
                "nothing to do: the engine is at work on this; watch it",
                format!("throughline effect list --case {}", case.id),
            )
        } else {
            then(
                "nothing is open and nothing goes on by itself: close the case, or `throughline case move` it",
                command(m, "close"),
            )
        });
    }
    if case.open_tasks().next().is_some() {
        all.extend(route_steps(m));
    }
    numbered(all)
}

/// A command about the case.
fn command(m: &Material, what: &str) -> String {
    format!("throughline case {what} {} --reason REASON", m.case.id)
}

fn task_steps(m: &Material) -> Vec<Step> {
    let case = &m.case;
    let mut out = Vec::new();
    for (n, task) in case.open_tasks() {
        let id = TaskId { case: case.id, n };
        if let Some(row) = effect_of(m, task) {
            // Its steps stand above, and what became of it has to be said before the task can end.
            out.extend(is_lost(m, row).then(|| leave_undone(&row.action, id)));
            continue;
        }
        if let (Some(n), "conflict") = (task.effect, task.reason.as_str()) {
            let effect = EffectId { case: case.id, n };
            out.push(then(
                "who keeps changing this record, only the other system's own log can say: look there. To compare, this is \
                 what was to be written:",
                format!("throughline effect show {effect}"),
            ));
            out.extend(decide_steps(m, id.n, task));
            continue;
        }
        let late = match task.due {
            Some(due) if due < m.now => ", which is late",
            _ => "",
        };
        let sees = match task.kind.as_str() {
            "approve" => {
                "see exactly what would be sent, with the commands that approve or reject it"
            }
            _ => "read the message and the record",
        };
        out.push(then(
            format!("{sees} (`{}` of {}{late})", task.kind, task.owner),
            format!("throughline task show {id}"),
        ));
        out.extend(decide_steps(m, n, task));
    }
    out
}

/// The effect that an exception is about, where it is lost or nobody knows about it.
fn effect_of<'m>(m: &'m Material, task: &CaseTask) -> Option<&'m EffectRow> {
    let n = task.effect.filter(|_| task.kind == "exception")?;
    let row = m.effects.iter().find(|r| r.effect.n == n)?;
    (is_lost(m, row) || !row.state.is_settled()).then_some(row)
}

fn leave_undone(action: &str, id: TaskId) -> Step {
    or(
        format!(
            "to leave it undone: `{action}` is not sent, the task is closed, and the case with it when nothing else is open"
        ),
        decide(id, "accept"),
    )
}

fn decide(id: TaskId, how: &str) -> String {
    format!("throughline task decide {id} {how} --reason REASON")
}

/// The commands that decide a task, and that do not lead back to it.
fn decide_steps(m: &Material, n: u32, task: &CaseTask) -> Vec<Step> {
    let id = TaskId { case: m.case.id, n };
    let leave = "to leave it as it is: closes the task, and the case when nothing else is open; nothing more is sent";
    match task.kind.as_str() {
        // An approval covers what was shown, and this screen does not show it: `task show` does, with the command.
        "approve" => Vec::new(),
        // What the policy never allows, nobody's word sends.
        "review" if task.reason != "policy_never" && approval_decides(m) => {
            let mut all = vec![then(approve_why(m), decide(id, "approve"))];
            all.extend(label_step(m, id, &task.reason));
            all.push(close_step(id));
            all.extend(model_steps(m));
            all
        }
        "review" => vec![
            then(
                "when nothing is to be sent, or you have done it by hand: close the task and with it the case. Nothing is \
                 sent. (Approving changes nothing: the case would come straight back)",
                decide(id, "close"),
            ),
            correct_step(m, id, task),
        ],
        "missing" => {
            let missing = tl_kernel::decide::missing(&m.bundle.program, &m.case.record);
            let field = missing.first().map_or("FIELD", String::as_str);
            vec![
                then(
                    "fill it in; the case is decided again with it. An answer of the sender that names it does the same",
                    edit_command(id, field),
                ),
                close_step(id),
            ]
        }
        "hand_off" => vec![
            then(
                format!(
                    "when {} has taken it over: accept it. That closes the task, and the case when nothing else is open",
                    task.owner
                ),
                decide(id, "accept"),
            ),
            or(
                "if nobody is to take it over: turn it down; that closes the task and the case",
                decide(id, "reject"),
            ),
        ],
        // It tells of the time and asks for nothing.
        "exception" if task.reason == "goal_missed" => vec![then(
            "take note of it: that closes this task and changes nothing else",
            decide(id, "accept"),
        )],
        "exception" if task.reason == "conflict" => vec![
            then(
                "once nobody else is editing the record there: have the case decided again. It is written on top of what is \
                 there then; that closes the task",
                command(m, "reopen"),
            ),
            or(leave, decide(id, "accept")),
        ],
        "exception" if task.effect.is_none() => vec![
            then(
                "when the cause is gone: have the case decided again; that closes the task",
                command(m, "reopen"),
            ),
            or(leave, decide(id, "accept")),
        ],
        _ => vec![then(
            "take note of it: that closes the task, and the case when nothing else is open",
            decide(id, "accept"),
        )],
    }
}

/// What an approval of a review does.
fn approve_why(m: &Material) -> String {
    let then = match on_a_persons_word(m) {
        Some((line, branch)) => format!(
            "the branch at {} is taken: {}",
            workflow_place(&m.bundle, line),
            step_words(&m.bundle.program, branch)
        ),
        None => "the case is decided again".into(),
    };
    let field = m
        .bundle
        .program
        .ai
        .as_ref()
        .and_then(|ai| ai.classify.as_ref());
    let label = field.and_then(|c| Some((&c.field, m.case.record.get(&c.field)?)));
    let label = label.map_or_else(String::new, |(name, f)| {
        format!(" ({name} = {})", one_line(&f.value.to_string(), 60))
    });
    format!(
        "if the record is right as it is{label}: approve it. On your word {then}; that closes the task"
    )
}

fn close_step(id: TaskId) -> Step {
    or(
        "if nothing is to be done: close the task and with it the case; nothing is sent",
        decide(id, "close"),
    )
}

/// A correction, with the field that the conditions look at where there is one.
fn correct_step(m: &Material, id: TaskId, task: &CaseTask) -> Step {
    let fields = asked_fields(m, task);
    let names = match fields.as_slice() {
        [] | [_] => String::new(),
        several => format!("; FIELD is one of {}", several.join(", ")),
    };
    let field = match fields.as_slice() {
        [one] => one.as_str(),
        _ => "FIELD",
    };
    or(
        format!("if the record is wrong: correct it; the case is decided again with it{names}"),
        edit_command(id, field),
    )
}

/// Where a model was not sure, a person can say what it is instead of vouching for what the model said.
fn label_step(m: &Material, id: TaskId, reason: &str) -> Option<Step> {
    if !matches!(reason, "unsure" | "ai_off" | "ai_failed") {
        return None;
    }
    let field = &m.bundle.program.ai.as_ref()?.classify.as_ref()?.field;
    let def = m.bundle.program.record.field(field)?;
    let one_of = match &def.ty {
        Type::Enum(values) => format!("; VALUE is one of {}", values.join(", ")),
        _ => String::new(),
    };
    Some(or(
        format!(
            "if its `{field}` is another: say which; the case is decided again with it{one_of}"
        ),
        edit_command(id, field),
    ))
}

/// A question to a model that a switch stopped can be asked once the switch is cleared.
fn model_steps(m: &Material) -> Vec<Step> {
    let Some(scope) = stopped_ask(m) else {
        return Vec::new();
    };
    let reopen = command(m, "reopen");
    let Some(s) = m.switches.iter().find(|s| s.scope == scope) else {
        return vec![or(
            "to ask the model now, since the switch is cleared: have the case decided again; that closes the task",
            reopen,
        )];
    };
    vec![
        or(
            format!(
                "to ask the model instead: when {} says that the reason for the switch is gone ({}), clear it,",
                s.by, s.reason
            ),
            format!("throughline kill clear {scope} --reason REASON"),
        ),
        with(
            "and then have the case decided again; that closes the task",
            reopen,
        ),
    ]
}

/// Who else could have it: the commands where there are few, the names where there are many.
fn route_steps(m: &Material) -> Vec<Step> {
    let owner = m
        .case
        .open_tasks()
        .next()
        .map_or(&m.case.owner, |(_, t)| &t.owner);
    let routed = m.case.record.iter().find(|(_, f)| {
        matches!(
            f.source,
            Source::Rule(_) | Source::Table(..) | Source::Model { .. }
        ) && f.value.as_text() == Some(owner.as_str())
    });
    let from = routed.map_or_else(String::new, |(name, f)| {
        format!(", from {}", source((name.as_str(), f), &m.case, &m.bundle))
    });
    let why = format!(
        "if somebody else should have it (now: {owner}{from}): hand it on, and the task with it"
    );
    let command = |to: &str| format!("throughline case assign {} {to} --reason REASON", m.case.id);
    let (owners, _) = tl_lang::owners(&m.bundle.project);
    let others: Vec<&str> = owners.names().into_iter().filter(|n| n != owner).collect();
    if others.len() > OFFERED {
        let why = format!("{why}; OWNER is one of {}", others.join(", "));
        return vec![or(why, command("OWNER"))];
    }
    let mut others = others.into_iter();
    let first = others.next().map(|to| or(why, command(to)));
    first
        .into_iter()
        .chain(others.map(|to| with("", command(to))))
        .collect()
}

/// Why a task is there, and the commands that decide it, for a sheet that shows everything it is about.
pub fn decide_task(m: &Material, n: u32) -> (String, Vec<Next>) {
    let Some(task) = m.case.tasks.get(&n) else {
        return (String::new(), Vec::new());
    };
    let id = TaskId { case: m.case.id, n };
    let steps = match (task.kind.as_str(), effect_of(m, task)) {
        ("approve", _) => vec![
            then(
                "if it is right exactly as shown: approve it; it is sent then",
                approve_command(&m.case, id),
            ),
            or(
                "if it is not to be sent: reject it. It is never sent then, and the case is closed when nothing else is open",
                decide(id, "reject"),
            ),
        ],
        (_, Some(row)) => {
            let mut all = effect_steps(row, &m.connections, &m.switches, m.now);
            all.extend(is_lost(m, row).then(|| leave_undone(&row.action, id)));
            all
        }
        _ => decide_steps(m, n, task),
    };
    (because(m, task), numbered(steps))
}

/// The command that approves what was shown and nothing else.
fn approve_command(case: &Case, id: TaskId) -> String {
    let effect = case.tasks.get(&id.n).and_then(|t| t.effect);
    let effect = effect.and_then(|n| case.effects.get(&n));
    let digest = effect.map_or_else(String::new, |e| {
        format!(" --digest {}", &hex(&e.digest)[..DIGITS])
    });
    format!("{}{digest}", decide(id, "approve"))
}

fn edit_command(id: TaskId, field: &str) -> String {
    format!("throughline task decide {id} edit --set {field}=VALUE --reason REASON")
}
