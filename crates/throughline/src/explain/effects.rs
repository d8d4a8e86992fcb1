//! What can be done about an effect, as literal commands.

use std::collections::BTreeMap;

use tl_kernel::effect::{Class, EffectState};
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectRow, SwitchRow};

use super::situation::{LIMIT, SUPPRESSED};
use super::steps::{Step, numbered, or, then};
use super::words::code_words;
use crate::control::views::Next;
use crate::text::At;

/// What can be done about an effect.
pub fn effect_next(
    row: &EffectRow,
    connections: &BTreeMap<String, String>,
    switches: &[SwitchRow],
    now: i64,
) -> Vec<Next> {
    let mut next = numbered(effect_steps(row, connections, switches, now));
    let unusable = connections.get(&row.connection);
    if let (Some(first), Some(why), EffectState::Ready) = (next.first_mut(), unusable, row.state) {
        first.why = format!("{why}; {}", first.why);
    }
    next
}

pub(super) fn effect_steps(
    row: &EffectRow,
    connections: &BTreeMap<String, String>,
    switches: &[SwitchRow],
    now: i64,
) -> Vec<Step> {
    let show = format!("throughline effect show {}", row.effect);
    let is_effect = row.kind == EffectKind::Effect;
    match row.state {
        EffectState::Planned => Vec::new(),
        EffectState::Ready => ready_steps(row, connections, switches, now),
        EffectState::Dispatching => vec![then(
            format!("nothing to do: `{}` is on its way; watch it", row.action),
            show,
        )],
        EffectState::AwaitingCallback => vec![then(
            format!(
                "nothing to do: `{}` was accepted, and the other system will say what became of it; watch it",
                row.action
            ),
            show,
        )],
        EffectState::Uncertain => uncertain_steps(row),
        EffectState::Failed | EffectState::Dead if is_effect => refused_steps(row),
        EffectState::Expired if is_effect => {
            let scope = row.hold.strip_prefix("kill:").unwrap_or("");
            undone_steps(row, scope, switches)
        }
        EffectState::Cancelled if is_effect && row.code.starts_with("kill:") => {
            let scope = row.code.strip_prefix("kill:").unwrap_or("");
            undone_steps(row, scope, switches)
        }
        EffectState::Cancelled if is_effect && row.code == LIMIT => vec![then(
            format!(
                "once the limit allows it again, and it is still to be said: have the case decided again; `{}` is \
                 planned anew, and that closes the task",
                row.action
            ),
            reopen(row),
        )],
        EffectState::Cancelled if is_effect && row.code == SUPPRESSED => vec![
            then(
                format!(
                    "see who asked that nothing more is sent, and since when; what `{}` was to say, say another way or \
                     not at all",
                    row.action
                ),
                "throughline suppression list".to_owned(),
            ),
            or(
                "if its owner wants to be written to again: take the address off the list with `throughline suppression \
                 remove`, and have the case decided again; that closes the task",
                reopen(row),
            ),
        ],
        _ => Vec::new(),
    }
}

/// A look at what was sent comes before sending it again.
fn refused_steps(row: &EffectRow) -> Vec<Step> {
    let (id, action) = (row.effect, &row.action);
    let show = format!("throughline effect show {id}");
    let redrive = format!("throughline dead redrive {id} --reason REASON");
    let there = there(row);
    match row.state {
        EffectState::Dead => vec![
            then("see its attempts, and what is sent", show),
            then(
                format!(
                    "when {there} works again, send the same once more; that closes the task. `throughline dead list` \
                     shows what else was given up"
                ),
                redrive,
            ),
        ],
        _ => vec![
            then(
                format!(
                    "see exactly what was sent, and find out from {there} what it does not accept"
                ),
                show,
            ),
            then(
                format!(
                    "when {there} accepts it, send the same once more, unchanged; that closes the task"
                ),
                redrive,
            ),
            or(
                format!(
                    "if the record has changed since: decide the case again, so that `{action}` is made from the record as \
                     it is now; that closes the task"
                ),
                reopen(row),
            ),
        ],
    }
}

/// It ended unsent. Decided again while its switch is set, it would meet the same end.
fn undone_steps(row: &EffectRow, scope: &str, switches: &[SwitchRow]) -> Vec<Step> {
    let switch = switches.iter().find(|s| s.scope == scope);
    let clear = switch.map(|s| {
        then(
            format!(
                "ask {} whether the reason for the switch is gone ({}), and clear it then: while it is set, the next \
                 attempt ends the same way. Clearing lets everything go that it holds",
                s.by, s.reason
            ),
            format!("throughline kill clear {scope} --reason REASON"),
        )
    });
    let again = then(
        format!(
            "have the case decided again: `{}` is planned anew from the record as it is, with new time to be sent in; \
             that closes the task",
            row.action
        ),
        reopen(row),
    );
    clear.into_iter().chain([again]).collect()
}

fn reopen(row: &EffectRow) -> String {
    format!(
        "throughline case reopen {} --reason REASON",
        row.effect.case
    )
}

/// The system that an effect leads to, as a sentence calls it.
pub(super) fn there(row: &EffectRow) -> String {
    match row.connection.as_str() {
        "" => "the other system".into(),
        name => format!("`{name}`"),
    }
}

fn ready_steps(
    row: &EffectRow,
    connections: &BTreeMap<String, String>,
    switches: &[SwitchRow],
    now: i64,
) -> Vec<Step> {
    let action = &row.action;
    let show = format!("throughline effect show {}", row.effect);
    if connections.contains_key(&row.connection) {
        let why = format!(
            "supply what is missing, or correct what names it and run `throughline deploy`; nothing has to be started again: it is \
             looked at {}, and again until `{action}` goes by itself. After that see whether it went",
            At(row.due).from(now)
        );
        return vec![then(why, show)];
    }
    if let Some(scope) = row.hold.strip_prefix("kill:") {
        let by = switches.iter().find(|s| s.scope == scope);
        let ask = by.map_or_else(String::new, |s| {
            format!("; ask {} whether the reason is gone ({})", s.by, s.reason)
        });
        return vec![
            then(
                format!("see which switches are set{ask}"),
                "throughline kill list",
            ),
            then(
                format!(
                    "when it is gone, clear the switch: `{action}` and everything else that it holds is sent within seconds"
                ),
                format!("throughline kill clear {scope} --reason REASON"),
            ),
        ];
    }
    let when = At(row.due).from(now);
    let why = match row.hold.as_str() {
        "" => format!(
            "nothing to do: `{action}` is ready, and goes as soon as a server runs and no earlier write to the same record is open"
        ),
        "retry" => format!("nothing to do: `{action}` is tried again {when}; watch it"),
        "quiet_hours" => format!("nothing to do: `{action}` goes when they end, {when}; watch it"),
        hold => {
            let mend = mend(row, hold);
            format!("{mend}it goes by itself, and is looked at again {when}; watch it")
        }
    };
    match row.hold.as_str() {
        "" => vec![then(why, "throughline status")],
        _ => vec![then(why, show)],
    }
}

/// What lets it go that waits before its connection.
fn mend(row: &EffectRow, hold: &str) -> String {
    let there = there(row);
    match hold {
        "breaker" => format!("see that the system behind {there} runs; "),
        "credential" => format!("give {there} a credential that it accepts; "),
        "permission" => format!("have what {there} may do put right there; "),
        "vendor_pause" => format!("ask who runs the system behind {there}; "),
        _ => "nothing to do: ".into(),
    }
}

fn uncertain_steps(row: &EffectRow) -> Vec<Step> {
    let (id, there) = (row.effect, there(row));
    let resolve = |how: &str| format!("throughline effect resolve {id} {how} --reason REASON");
    vec![
        then(
            format!("see exactly what was sent, and look in {there} whether it is there"),
            format!("throughline effect show {id}"),
        ),
        then(
            "say what you found; that closes the task as well. If it is there, nothing is sent again:",
            resolve("happened"),
        ),
        or(
            "if it is not there: send it now, with the same id and key; should it be there after all, it may end up there twice",
            resolve("send-again"),
        ),
        or(
            "if it is not there and should not be: drop it; the case goes on without it",
            resolve("drop"),
        ),
    ]
}

/// Why nobody but a person can say what became of it.
pub(super) fn why_unknown(row: &EffectRow) -> String {
    let there = there(row);
    match row.class {
        Class::E4 => format!(
            "it is not sent again by itself: {there} can neither be asked whether it has it nor tell a repeat"
        ),
        _ => format!(
            "it is not sent again before that is known ({})",
            code_words("uncertain")
        ),
    }
}
