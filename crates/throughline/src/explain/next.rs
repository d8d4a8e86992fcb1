//! What a person can do next about a case, as literal commands, the most pressing first; and the sentence that
//! says what is the matter.

use tl_kernel::case::{Ai, Case, CaseTask};
use tl_kernel::digest::hex;
use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::TaskId;
use tl_kernel::program::Program;
use tl_kernel::turn::EffectKind;
use tl_kernel::value::{Source, Type};
use tl_store::contract::EffectRow;

use super::build::Material;
use super::cause::{approval_decides, because, stopped_ask};
use super::effects::{effect_next, held_words};
use super::fields::source;
use super::words::{code_words, stop_words};
use crate::control::views::Next;
use crate::text::At;

/// Owners that are offered one by one; more are named on one line.
const OFFERED: usize = 3;
/// Digits by which a command names a digest.
const DIGITS: usize = 12;

pub(super) fn next(why: impl Into<String>, command: impl Into<String>) -> Next {
    Next {
        why: why.into(),
        command: command.into(),
    }
}

/// What is the matter with a case in one sentence, and what can be done about it.
pub(super) fn steps(m: &Material) -> (String, Vec<Next>) {
    let (case, program) = (&m.case, &m.bundle.program);
    let mut all = Vec::new();
    for row in &m.effects {
        if !row.state.is_settled() || is_lost(m, row) {
            all.extend(effect_next(row, &m.connections, &m.switches, m.now));
        }
    }
    all.extend(task_steps(m));
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
            next(
                "nothing needs a person: the engine is at work on this",
                format!("throughline effect list --case {}", case.id),
            )
        } else {
            next(
                "nothing is open: move or close the case",
                format!("throughline case close {} --reason done", case.id),
            )
        });
    }
    all.extend(route_steps(m));
    (summary(m, terminal), all)
}

/// It ended without having happened, and no later decision planned the same action again.
fn is_lost(m: &Material, row: &EffectRow) -> bool {
    let ended = match row.state {
        EffectState::Failed | EffectState::Dead | EffectState::Expired => true,
        EffectState::Cancelled => row.code.starts_with("kill:"),
        _ => false,
    };
    let again = |r: &EffectRow| r.action == row.action && r.effect.n > row.effect.n;
    ended && row.kind == EffectKind::Effect && !m.effects.iter().any(again)
}

fn summary(m: &Material, terminal: bool) -> String {
    let (case, effects): (&Case, _) = (&m.case, &m.effects);
    let program: &Program = &m.bundle.program;
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
        return format!("`{}` waits: {}", e.action, held_words(&e.hold, &m.switches));
    }
    if let Some(e) = effects.iter().find(|e| is_lost(m, e)) {
        let until_then = match e.hold.as_str() {
            "" => String::new(),
            hold => format!("; until then: {}", held_words(hold, &m.switches)),
        };
        return format!(
            "`{}` is {}: {}{until_then}",
            e.action,
            e.state.word(),
            stop_words(&e.code)
        );
    }
    if let Some((_, task)) = case.open_tasks().next() {
        let because = match because(m, task).as_str() {
            "" => String::new(),
            words => format!(", because {words}"),
        };
        return format!(
            "a person ({}) has a task of kind `{}`{because}",
            task.owner, task.kind
        );
    }
    if terminal {
        let unsent = effects.iter().find(|e| is_dry_run(&e.code));
        let unsent = unsent.map_or_else(String::new, |e| {
            format!("; `{}`: {}", e.action, code_words(&e.code))
        });
        return format!("it is closed: {}{unsent}", code_words(&case.reason));
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

fn task_steps(m: &Material) -> Vec<Next> {
    let case = &m.case;
    let mut out = Vec::new();
    for (n, task) in case.open_tasks() {
        let id = TaskId { case: case.id, n };
        let late = match task.due {
            Some(due) if due < m.now => ", late",
            _ => "",
        };
        let why = format!(
            "{} is to decide a task of kind `{}`{late}: {}",
            task.owner,
            task.kind,
            because(m, task)
        );
        out.push(next(why, format!("throughline task show {id}")));
        out.extend(decide_steps(m, n, task));
    }
    if let Some(scope) = stopped_ask(m).filter(|_| !out.is_empty())
        && m.switches.iter().any(|s| s.scope == scope)
    {
        out.push(next(
            "or, when models may be asked again, clear the switch and have the case decided anew",
            format!("throughline kill clear {scope} --reason checked"),
        ));
        out.push(next(
            "",
            format!("throughline case reopen {} --reason ai_is_back", case.id),
        ));
    }
    out
}

/// The commands that decide a task, and that do not lead back to it.
fn decide_steps(m: &Material, n: u32, task: &CaseTask) -> Vec<Next> {
    let (case, id) = (&m.case, TaskId { case: m.case.id, n });
    let again = |why: &str| {
        next(
            why,
            format!("throughline case reopen {} --reason cause_mended", case.id),
        )
    };
    let close = |why: &str| {
        next(
            why,
            format!("throughline task decide {id} close --reason done_by_hand"),
        )
    };
    let decide = || next("", decide_command(&m.bundle.program, case, n));
    match task.kind.as_str() {
        // An approval covers what was shown, and this screen does not show it: `task show` does, with the command.
        "approve" => Vec::new(),
        // What the policy never allows, nobody's word sends.
        "review" if task.reason != "policy_never" && approval_decides(m) => {
            let mut all = vec![decide()];
            all.extend(label_step(m, id, &task.reason));
            all
        }
        "review" => vec![
            close("an approval alone would lead here again. Do by hand what is right, then:"),
            next(
                "or correct the record; the case is decided anew",
                edit_command(id, "FIELD"),
            ),
        ],
        // It tells of the time and asks for nothing.
        "exception" if task.reason == "goal_missed" => vec![decide()],
        "exception" if task.effect.is_none() => vec![
            again("mend the cause, then have the case decided anew"),
            decide(),
        ],
        "exception" if task.reason == "conflict" => {
            vec![
                again("when nobody is at the record any more, have the case decided anew"),
                decide(),
            ]
        }
        _ => vec![decide()],
    }
}

/// Where a model was not sure, a person can say what it is instead of vouching for what the model said.
fn label_step(m: &Material, id: TaskId, reason: &str) -> Option<Next> {
    if !matches!(reason, "unsure" | "ai_off" | "ai_failed") {
        return None;
    }
    let field = &m.bundle.program.ai.as_ref()?.classify.as_ref()?.field;
    let def = m.bundle.program.record.field(field)?;
    let why = match &def.ty {
        Type::Enum(values) => format!("or say what it is; VALUE is one of {}", values.join(", ")),
        _ => "or say what it is".into(),
    };
    Some(next(why, edit_command(id, field)))
}

/// Who else could have it: the commands where there are few, the names where there are many.
fn route_steps(m: &Material) -> Vec<Next> {
    let terminal = m
        .bundle
        .program
        .states
        .get(usize::from(m.case.state))
        .is_some_and(|s| s.terminal);
    if terminal {
        return Vec::new();
    }
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
    let why = format!("if the route is wrong (the owner is {owner}{from})");
    let command = |to: &str| {
        format!(
            "throughline case assign {} {to} --reason wrong_route",
            m.case.id
        )
    };
    let (owners, _) = tl_lang::owners(&m.bundle.project);
    let others: Vec<&str> = owners.names().into_iter().filter(|n| n != owner).collect();
    if others.is_empty() || others.len() > OFFERED {
        let names = if others.is_empty() {
            String::new()
        } else {
            format!("; OWNER is one of {}", others.join(", "))
        };
        return vec![next(format!("{why}{names}"), command("OWNER"))];
    }
    let mut out: Vec<Next> = others.iter().map(|to| next("", command(to))).collect();
    out[0].why = why;
    out
}

/// Why a task is there, and the commands that decide it, for a sheet that shows everything it is about.
pub fn decide_task(m: &Material, n: u32) -> (String, Vec<Next>) {
    let Some(task) = m.case.tasks.get(&n) else {
        return (String::new(), Vec::new());
    };
    let mut steps = match task.kind.as_str() {
        "approve" => vec![next("", decide_command(&m.bundle.program, &m.case, n))],
        _ => decide_steps(m, n, task),
    };
    if let Some(first) = steps.first_mut().filter(|s| s.why.is_empty()) {
        first.why = "decide it".into();
    }
    (because(m, task), steps)
}

/// The command that decides a task of a case whose sheet has been shown.
fn decide_command(program: &Program, case: &Case, n: u32) -> String {
    let id = TaskId { case: case.id, n };
    let task = case.tasks.get(&n);
    match task.map_or("", |t| t.kind.as_str()) {
        "approve" => {
            let effect = task
                .and_then(|t| t.effect)
                .and_then(|n| case.effects.get(&n));
            let digest = effect.map_or_else(String::new, |e| {
                format!(" --digest {}", &hex(&e.digest)[..DIGITS])
            });
            format!("throughline task decide {id} approve --reason checked{digest}")
        }
        "missing" => {
            let missing = tl_kernel::decide::missing(program, &case.record);
            edit_command(id, missing.first().map_or("FIELD", String::as_str))
        }
        "review" => format!("throughline task decide {id} approve --reason checked"),
        _ => format!("throughline task decide {id} accept --reason taken"),
    }
}

fn edit_command(id: TaskId, field: &str) -> String {
    format!("throughline task decide {id} edit --set {field}=VALUE --reason completed")
}
