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
    match row.state {
        EffectState::Planned => Vec::new(),
        EffectState::Ready => ready_next(row, connections, switches, now),
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
