//! What can be done about an effect, as literal commands.

use std::collections::BTreeMap;

use tl_kernel::effect::EffectState;
use tl_kernel::id::EffectId;
use tl_kernel::turn::EffectKind;
use tl_store::contract::{EffectRow, SwitchRow};

use super::cause::switch_text;
use super::next::next;
use super::words::code_words;
use crate::control::views::Next;
use crate::text::At;

/// What an effect waits for; a switch with who set it and why.
pub(super) fn held_words(hold: &str, switches: &[SwitchRow]) -> String {
    match hold.strip_prefix("kill:") {
        Some(scope) => format!("held by {}", switch_text(scope, switches)),
        None => code_words(hold),
    }
}

/// What can be done about an effect.
pub fn effect_next(
    row: &EffectRow,
    connections: &BTreeMap<String, String>,
    switches: &[SwitchRow],
    now: i64,
) -> Vec<Next> {
    let id = row.effect;
    let is_effect = row.kind == EffectKind::Effect;
    let show = format!("throughline effect show {id}");
    match row.state {
        EffectState::Planned => Vec::new(),
        EffectState::Ready => ready_next(row, connections, switches, now),
        EffectState::Dispatching => vec![next(format!("`{}` is on its way", row.action), show)],
        EffectState::AwaitingCallback => {
            vec![next(
                format!(
                    "`{}` was accepted; the vendor will say what became of it",
                    row.action
                ),
                show,
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
            next("its attempts, one by one", show),
        ],
        EffectState::Expired if is_effect => {
            let scope = row.hold.strip_prefix("kill:").unwrap_or("");
            let why = format!(
                "`{}` was not sent in time and never will be; decide the case again",
                row.action
            );
            undone_next(
                scope,
                switches,
                next(
                    why,
                    format!("throughline case reopen {} --reason expired", id.case),
                ),
            )
        }
        EffectState::Cancelled if is_effect && row.code.starts_with("kill:") => {
            let scope = row.code.strip_prefix("kill:").unwrap_or("");
            let why = format!(
                "`{}` was cancelled and will not be sent; where it shall be, decide the case again",
                row.action
            );
            undone_next(
                scope,
                switches,
                next(
                    why,
                    format!(
                        "throughline case reopen {} --reason switch_cleared",
                        id.case
                    ),
                ),
            )
        }
        _ => Vec::new(),
    }
}

/// Decided again while the switch is set, it would meet the same end.
fn undone_next(scope: &str, switches: &[SwitchRow], again: Next) -> Vec<Next> {
    let clear = switches.iter().find(|s| s.scope == scope).map(|_| {
        next(
            format!("the switch `{scope}` is still set; clear it first"),
            format!("throughline kill clear {scope} --reason checked"),
        )
    });
    clear.into_iter().chain([again]).collect()
}

fn ready_next(
    row: &EffectRow,
    connections: &BTreeMap<String, String>,
    switches: &[SwitchRow],
    now: i64,
) -> Vec<Next> {
    let action = &row.action;
    if let Some(why) = connections.get(&row.connection) {
        let why = format!("`{action}` waits for its connection: {why}");
        return vec![next(why, format!("throughline effect show {}", row.effect))];
    }
    if let Some(scope) = row.hold.strip_prefix("kill:") {
        return vec![next(
            format!(
                "`{action}` is held by {}; it goes when the switch is cleared",
                switch_text(scope, switches)
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
        "quiet_hours" => format!(
            "`{action}` waits: {}; it goes {when}",
            code_words("quiet_hours")
        ),
        hold => stopped_words(row, hold, &when),
    };
    let command = match row.hold.as_str() {
        "" => "throughline status".to_owned(),
        _ => format!("throughline effect show {}", row.effect),
    };
    vec![next(why, command)]
}

/// What waits before its connection: why, what was seen last, what mends it, and when it is looked at again.
fn stopped_words(row: &EffectRow, hold: &str, when: &str) -> String {
    let (action, connection) = (&row.action, &row.connection);
    let mend = match hold {
        "breaker" => format!("see that the system behind `{connection}` runs; "),
        "credential" => format!("give `{connection}` a credential that it accepts; "),
        "permission" => format!("have what `{connection}` may do put right there; "),
        "vendor_pause" => format!("ask who runs the system behind `{connection}`; "),
        _ => String::new(),
    };
    let last = match (hold, row.code.as_str()) {
        (_, "") => String::new(),
        ("breaker" | "retry_budget" | "connection", code) => {
            format!("; the last attempt: {}", code_words(code))
        }
        _ => String::new(),
    };
    format!(
        "`{action}` waits: {}{last}; {mend}it goes by itself, and is looked at again {when}",
        code_words(hold)
    )
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
