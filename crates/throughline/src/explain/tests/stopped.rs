//! Wherever a case stands still, its screen names a command that can be typed as it is.

use clap::Parser;
use tl_kernel::case::Ai;
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_store::contract::SwitchRow;

use super::*;
use crate::cli::Args;

/// What only a person can fill in.
const BLANKS: [&str; 3] = ["OWNER", "FIELD", "VALUE"];

fn at(state: u16) -> Material {
    let mut m = material();
    m.case.state = state;
    m
}

fn asked() -> Material {
    let mut m = at(TRIAGED);
    m.case.ai = Ai::Asked;
    m.case.asks.insert(1, ("local".into(), true));
    m
}

fn switched(mut m: Material, scope: &str) -> Material {
    m.switches.push(SwitchRow {
        tenant: TenantId(1),
        scope: scope.into(),
        mode: "hold".into(),
        by: "op".into(),
        reason: "drill".into(),
        at: NOW,
    });
    m
}

fn approval() -> Material {
    let mut m = material()
        .effect(EffectState::Planned, "", "")
        .task("approve", "policy");
    m.case.tasks.get_mut(&1).unwrap().effect = Some(1);
    m
}

/// Everything a case can wait for, and where it ends.
fn situations() -> Vec<(String, Material)> {
    let mut out: Vec<(String, Material)> = [
        ("pending", PENDING),
        ("triaged", TRIAGED),
        ("automated", AUTOMATED),
        ("needs_human", NEEDS_HUMAN),
        ("closed", CLOSED),
    ]
    .into_iter()
    .map(|(name, state)| (format!("state {name}, nothing open"), at(state)))
    .collect();
    out.push(("a model is asked".into(), asked()));
    out.push(("an approval".into(), approval()));
    out.push(("no connection".into(), without_connection()));
    for state in EffectState::ALL {
        for (hold, code) in [
            ("", ""),
            ("retry", "http_503"),
            ("quiet_hours", ""),
            ("limit", ""),
            ("", "limit"),
            ("kill:everything", "kill:everything"),
            ("", "no_answer_in_time"),
        ] {
            let name = format!("effect {} {hold} {code}", state.word());
            out.push((name.clone(), material().effect(state, hold, code)));
            let set = switched(material().effect(state, hold, code), "everything");
            out.push((format!("{name}, the switch is set"), set));
        }
    }
    for kind in [
        "review",
        "missing",
        "hand_off",
        "exception",
        "sla",
        "sample",
    ] {
        for reason in [
            "unsure",
            "policy_never",
            "missing",
            "conflict",
            "ai_off",
            "sla_breach",
            "",
        ] {
            out.push((
                format!("task {kind} {reason}"),
                material().task(kind, reason),
            ));
        }
    }
    out
}

#[test]
fn every_screen_names_a_command_that_can_be_typed() {
    for (what, m) in situations() {
        let e = build(&m);
        let screen = render(&e);
        let commands: Vec<&str> = e
            .next
            .iter()
            .map(|n| n.command.as_str())
            .filter(|c| !c.is_empty())
            .collect();
        for command in &commands {
            if let Err(e) = Args::try_parse_from(command.split(' ')) {
                panic!("{what}: `{command}` cannot be typed: {e}");
            }
            let whole = |line: &str| line.trim() == *command;
            assert!(
                screen.lines().any(whole),
                "{what}: `{command}` in\n{screen}"
            );
        }
        // Whom else it could be given to says nothing about why it stands still.
        let literal = |c: &&&str| {
            !c.contains(" case assign ") && !BLANKS.iter().any(|blank| c.contains(blank))
        };
        assert!(
            commands.iter().any(|c| literal(&c)),
            "{what}: no command in\n{screen}"
        );
    }
}
