//! Every combination of confidence, policy, missing fields, rules and AI against the branch that must follow;
//! and every combination of what the gate knows.

use tl_kernel::decide::{Admitted, Input, ModelAnswer, ProposedField};
use tl_kernel::effect::EffectState;
use tl_kernel::expr::Op;
use tl_kernel::gate::{GateVerdict, Intent, Known, Switch, SwitchMode, gate};
use tl_kernel::id::EventId;
use tl_kernel::journal::{Answered, Decided, Entry, open};
use tl_kernel::policy::{QuietHours, Verdict, When};
use tl_kernel::program::canonical::NEEDS_HUMAN;
use tl_kernel::program::{Program, Step};
use tl_kernel::time::HOUR;
use tl_kernel::turn::{Decision, EffectKind, EffectWrite, Turn};
use tl_kernel::value::Value;

use crate::drive::{Life, Now};
use crate::world::{branch, call, lead, line, path, sure};

/// How the model answers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Off,
    Failed,
    Answers(Option<u16>),
}

const MODELS: [Model; 9] = [
    Model::Off,
    Model::Failed,
    Model::Answers(None),
    Model::Answers(Some(0)),
    Model::Answers(Some(799)),
    Model::Answers(Some(800)),
    Model::Answers(Some(801)),
    Model::Answers(Some(999)),
    Model::Answers(Some(1000)),
];

const VERDICTS: [Verdict; 3] = [Verdict::Never, Verdict::Approve, Verdict::Auto];

#[derive(Debug, Clone, Copy)]
struct Cell {
    model: Model,
    pinned: Verdict,
    current: Verdict,
    missing: bool,
    rule: bool,
}

fn cells() -> Vec<Cell> {
    let mut out = Vec::new();
    for model in MODELS {
        for pinned in VERDICTS {
            for current in VERDICTS {
                for (missing, rule) in [(false, false), (false, true), (true, false), (true, true)]
                {
                    out.push(Cell {
                        model,
                        pinned,
                        current,
                        missing,
                        rule,
                    });
                }
            }
        }
    }
    out
}

fn says(verdict: Verdict) -> (When, When) {
    match verdict {
        Verdict::Auto => (When::Always, When::Unstated),
        Verdict::Approve => (When::Unstated, When::Unstated),
        Verdict::Never => (When::Always, When::Always),
    }
}

/// The lead with a write under a policy, its rules and the branches of a file.
fn program(cell: Cell, asks: bool) -> Program {
    let mut p = lead();
    let (auto, never) = says(cell.pinned);
    p.policy.lines[0] = line("crm_upsert", auto, never);
    let both = call(Op::And, vec![sure(), path("policy_allows")]);
    p.decision.branches = vec![branch(Some(both), vec![Step::Effect(0)])];
    if asks {
        p.decision
            .branches
            .push(branch(Some(path("needs_human")), vec![Step::HumanQueue]));
    }
    p.decision.branches.push(branch(None, vec![Step::Deny]));
    p
}

/// The turn in which the decision is made.
fn decided(program: &Program, cell: Cell) -> (Life, Turn) {
    let mut life = Life::new();
    let mut now = Now::plain(program, HOUR);
    let (auto, never) = says(cell.current);
    now.policy.lines[0] = line("crm_upsert", auto, never);
    let mut message = vec![
        ("name", "Ada"),
        ("country", if cell.rule { "XX" } else { "DE" }),
    ];
    if !cell.missing {
        message.push(("email", "ada@example.com"));
    }
    let message = message
        .into_iter()
        .map(|(k, v)| (k.to_owned(), Value::text(v)));
    now.event = Some(Value::Record(message.collect()));
    let first = Input::EventAdmitted(Admitted {
        id: EventId([1; 16]),
        endpoint: "in".into(),
        kid: "k".into(),
        key_source: "header".into(),
        origin: [1; 32],
        seed: [2; 16],
        matched_key: None,
    });
    life.step(program, &first, &now, &mut |_| ());
    now.event = None;
    let mut last = None;
    life.step(
        program,
        &answer(cell.model),
        &now,
        &mut |h| match h.decision {
            Decision::Turn(t, _) => last = Some((**t).clone()),
            Decision::Refused(r) => panic!("{r:?}"),
        },
    );
    (life, last.expect("a turn"))
}

fn answer(model: Model) -> Input {
    let confidence = match model {
        Model::Off => {
            return Input::ModelFailed {
                n: 1,
                reason: "off".into(),
                said: None,
            };
        }
        Model::Failed => {
            return Input::ModelFailed {
                n: 1,
                reason: "failed".into(),
                said: None,
            };
        }
        Model::Answers(c) => c,
    };
    Input::ModelAnswered(ModelAnswer {
        answered: Answered {
            n: 1,
            model: "local".into(),
            prompt: [0; 32],
            input: [0; 32],
            output: [0; 32],
            confidence,
            tokens: (0, 0),
            took: 0,
            repairs: 0,
        },
        fields: vec![ProposedField {
            name: "intent".into(),
            value: Value::text("demo"),
            confidence,
            span: None,
        }],
        proposal: Value::Null,
        draft: None,
    })
}

fn entry(turn: &Turn) -> Decided {
    let (head, _) = open(&turn.sealed).expect("it opens");
    let found = head.entries.into_iter().find_map(|e| match e {
        Entry::Decided(d) => Some(d),
        _ => None,
    });
    found.expect("a decision")
}

/// Whether the write goes by itself, worked out from the cell alone.
fn goes(cell: Cell) -> bool {
    let sure = matches!(cell.model, Model::Answers(Some(c)) if c >= 800);
    sure && cell.pinned == Verdict::Auto && cell.current == Verdict::Auto
}

fn is_unsure(cell: Cell) -> bool {
    !matches!(cell.model, Model::Answers(Some(c)) if c >= 800)
}

fn planned(turn: &Turn) -> Vec<EffectState> {
    let plans = turn.effects.iter().filter_map(|w| match w {
        EffectWrite::Plan(p) if p.kind == EffectKind::Effect => Some(p.state),
        _ => None,
    });
    plans.collect()
}

#[test]
fn every_combination_takes_its_branch() {
    for cell in cells() {
        let p = program(cell, true);
        let (life, turn) = decided(&p, cell);
        let d = entry(&turn);
        let human = cell.missing || cell.rule || is_unsure(cell);
        let want = match (goes(cell), human) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        assert_eq!(d.branch, want, "{cell:?}: {d:?}");
        assert_eq!(d.needs_human.is_empty(), !human, "{cell:?}: {d:?}");
        // The address that the write needs is missing: then nothing is planned and a person is asked.
        let sent = goes(cell) && !cell.missing;
        let want = if sent {
            vec![EffectState::Ready]
        } else {
            Vec::new()
        };
        assert_eq!(planned(&turn), want, "{cell:?}");
        assert_eq!(life.case.state == NEEDS_HUMAN, !sent, "{cell:?}");
        assert_eq!(
            life.case.open_tasks().count(),
            usize::from(!sent),
            "{cell:?}"
        );
    }
}

#[test]
fn what_no_branch_lists_is_denied() {
    let mut denied = 0;
    for cell in cells().into_iter().filter(|c| !goes(*c)) {
        let p = program(cell, false);
        let (life, turn) = decided(&p, cell);
        assert_eq!(entry(&turn).branch, 1, "{cell:?}");
        assert!(planned(&turn).is_empty(), "{cell:?}");
        let tasks: Vec<_> = life
            .case
            .open_tasks()
            .map(|(_, t)| (t.kind.as_str(), t.reason.as_str()))
            .collect();
        assert_eq!(tasks, [("review", "denied")], "{cell:?}");
        denied += 1;
    }
    assert_eq!(denied, cells().len() - 16);
}

#[test]
fn an_unconditional_branch_still_meets_the_policy() {
    for cell in cells().into_iter().filter(|c| !c.missing) {
        let mut p = program(cell, false);
        p.decision.branches = vec![branch(None, vec![Step::Effect(0)])];
        let (life, turn) = decided(&p, cell);
        let want = match cell.pinned.min(cell.current) {
            Verdict::Auto => vec![EffectState::Ready],
            Verdict::Approve => vec![EffectState::Planned],
            Verdict::Never => Vec::new(),
        };
        assert_eq!(planned(&turn), want, "{cell:?}");
        let asked = life
            .case
            .open_tasks()
            .next()
            .map(|(_, t)| (t.kind.clone(), t.reason.clone()));
        let want = match cell.pinned.min(cell.current) {
            Verdict::Auto => None,
            Verdict::Approve => Some(("approve".into(), "policy".into())),
            Verdict::Never => Some(("review".into(), "policy_never".into())),
        };
        assert_eq!(asked, want, "{cell:?}");
    }
}

#[test]
fn the_gate_lets_nothing_through_but_what_every_part_allows() {
    let quiet = QuietHours {
        from: 0,
        to: 60,
        zone: "UTC".into(),
    };
    let modes = [
        None,
        Some(SwitchMode::Hold),
        Some(SwitchMode::Cancel),
        Some(SwitchMode::DryRun),
    ];
    let mut sent = 0;
    for verdict in VERDICTS {
        for approved in [false, true] {
            for mode in modes {
                for scope in ["everything", "action:reply", "action:other"] {
                    for (hours, late) in [
                        (None, false),
                        (Some(&quiet), false),
                        (None, true),
                        (Some(&quiet), true),
                    ] {
                        let limits = [None, Some((2, 3)), Some((3, 3)), Some((0, 0))];
                        for (limit, suppressed) in
                            limits.into_iter().flat_map(|l| [(l, false), (l, true)])
                        {
                            let switches: Vec<Switch> = mode
                                .map(|mode| Switch {
                                    scope: scope.into(),
                                    mode,
                                })
                                .into_iter()
                                .collect();
                            let intent = Intent {
                                workflow: "lead",
                                action: "reply",
                                connection: "mailer",
                                is_ask: false,
                                verdict,
                                approved,
                                valid_until: if late { 0 } else { HOUR },
                            };
                            let known = Known {
                                now: 1,
                                switches: &switches,
                                quiet_hours: hours,
                                suppressed,
                                limit,
                            };
                            let covered = mode.is_some() && scope != "action:other";
                            let may = verdict == Verdict::Auto
                                || (verdict == Verdict::Approve && approved);
                            let full = limit.is_some_and(|(taken, most)| taken >= u64::from(most));
                            let got = gate(&intent, &known);
                            let want =
                                !late && !covered && may && !suppressed && hours.is_none() && !full;
                            assert_eq!(
                                got == GateVerdict::Send,
                                want,
                                "{intent:?} {known:?}: {got:?}"
                            );
                            if verdict == Verdict::Approve && !approved && !covered && !late {
                                assert_eq!(got, GateVerdict::NeedsApproval);
                            }
                            if late {
                                assert_eq!(
                                    got,
                                    GateVerdict::Refuse {
                                        why: "expired".into()
                                    }
                                );
                            }
                            sent += usize::from(want);
                        }
                    }
                }
            }
        }
    }
    assert!(sent > 0);
}
