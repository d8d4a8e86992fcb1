//! The clock of the goal: what it shows after moves, waits and ends; and over random histories the same as a
//! stopwatch that is kept beside the case.

use tl_kernel::case::GoalClock;
use tl_kernel::decide::{Command, CommandKind, Input, Settlement, TaskDecision, missing};
use tl_kernel::effect::EffectState;
use tl_kernel::journal::{Entry, TimerKind, open};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{Goal, Program, StateIx};
use tl_kernel::time::{HOUR, MINUTE};
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted, person};
use crate::rng::Rng;
use crate::world::ticket;

/// The ticket's own state, which pauses the clock here.
const WAITING: StateIx = 5;
/// Engine time of the first message, µs.
const BEGIN: i64 = HOUR + 7;

#[derive(Debug, Clone, Copy)]
enum Act {
    /// A message from a country: of `DE` the case waits for a person, of `FR` in the state that pauses.
    Say(&'static str),
    /// A person moves it.
    Move(StateIx),
    /// A person opens it again.
    Reopen,
    /// The goal's timer fires.
    Fire,
}

use Act::{Fire, Move, Reopen, Say};

fn program(start: StateIx, end: StateIx) -> Program {
    let mut p = ticket();
    p.goal = Some(Goal {
        start,
        end,
        sla: 2 * HOUR,
        owner: "boss".into(),
    });
    p.states[usize::from(WAITING)].pause = true;
    for s in &mut p.states {
        (s.on_breach, s.warn_at) = (None, None);
        s.escalate.clear();
    }
    p
}

fn goal_timer(life: &Life) -> Option<u32> {
    let mut timers = life.case.timers.iter();
    let found = timers.find(|(_, (kind, _))| *kind == TimerKind::Goal);
    found.map(|(n, _)| *n)
}

fn command(what: CommandKind) -> Input {
    Input::Command(Command {
        by: person(),
        reason: "test".into(),
        what,
    })
}

fn message(fields: &[(&str, Value)]) -> Value {
    let named = fields.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
    Value::Record(named.collect())
}

/// The case after acts, each so many minutes after the one before, and the goal entries of its journal.
fn run(program: &Program, acts: &[(i64, Act)]) -> (Life, Vec<(bool, i64)>) {
    let mut life = Life::new();
    let (mut at, mut seen) = (BEGIN, Vec::new());
    for (minutes, act) in acts {
        at += minutes * MINUTE;
        let mut now = Now::plain(program, at);
        let input = match act {
            Say(country) => {
                let country = Value::text(*country);
                let email = Value::text("ada@example.com");
                now.event = Some(message(&[("country", country), ("email", email)]));
                admitted(&life.case)
            }
            Move(to) => command(CommandKind::Move(program.state_name(*to).to_owned())),
            Reopen => command(CommandKind::Reopen),
            Fire => Input::TimerFired {
                n: goal_timer(&life).expect("the clock runs"),
            },
        };
        life.step(program, &input, &now, &mut |h| match h.decision {
            Decision::Turn(turn, _) => {
                let (head, _) = open(&turn.sealed).expect("it opens");
                seen.extend(head.entries.iter().filter_map(|e| match e {
                    Entry::Goal { met, due } => Some((*met, (due - BEGIN) / MINUTE)),
                    _ => None,
                }));
            }
            Decision::Refused(r) => panic!("{act:?}: {}", r.message),
        });
    }
    (life, seen)
}

/// The clock in words; instants are minutes after the first message.
fn words(clock: GoalClock) -> String {
    let at = |due: i64| (due - BEGIN) / MINUTE;
    match clock {
        GoalClock::NotStarted => "not started".into(),
        GoalClock::Running { due } => format!("due at {}", at(due)),
        GoalClock::Still { left } => format!("{} left", left / MINUTE),
        GoalClock::Met { due, .. } => format!("met, due at {}", at(due)),
        GoalClock::Missed { due } => format!("missed at {}", at(due)),
    }
}

#[test]
fn the_clock_shows() {
    // Where the path starts and ends; the acts; what the clock shows then; how often the goal was met and missed.
    type Row = (
        StateIx,
        StateIx,
        &'static [(i64, Act)],
        &'static str,
        (usize, usize),
    );
    #[rustfmt::skip]
    let table: &[Row] = &[
        (PENDING, CLOSED, &[(0, Say("DE"))], "due at 120", (0, 0)),
        (PENDING, CLOSED, &[(0, Say("FR"))], "120 left", (0, 0)),
        // Paused and gone on with what was left.
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(WAITING))], "90 left", (0, 0)),
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(WAITING)), (600, Move(NEEDS_HUMAN))], "due at 720", (0, 0)),
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(WAITING)), (600, Move(NEEDS_HUMAN)), (91, Fire)], "missed at 720", (0, 1)),
        (PENDING, CLOSED, &[(0, Say("FR")), (5000, Move(CLOSED))], "met, due at 5120", (1, 0)),
        // Met up to the due instant; missed at it, whenever that is noticed.
        (PENDING, CLOSED, &[(0, Say("DE")), (120, Move(CLOSED))], "met, due at 120", (1, 0)),
        (PENDING, CLOSED, &[(0, Say("DE")), (121, Move(CLOSED))], "missed at 120", (0, 1)),
        (PENDING, CLOSED, &[(0, Say("DE")), (500, Move(WAITING))], "missed at 120", (0, 1)),
        (PENDING, CLOSED, &[(0, Say("DE")), (120, Fire), (60, Move(CLOSED))], "missed at 120", (0, 1)),
        // Opened again: the same clock goes on; what was missed stays missed.
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(CLOSED)), (1000, Reopen)], "due at 1120", (1, 0)),
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(CLOSED)), (1000, Reopen), (91, Fire)], "missed at 1120", (1, 1)),
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(CLOSED)), (1000, Reopen), (90, Move(CLOSED))], "met, due at 1120", (2, 0)),
        (PENDING, CLOSED, &[(0, Say("DE")), (121, Move(CLOSED)), (9, Reopen)], "missed at 120", (0, 1)),
        (PENDING, CLOSED, &[(0, Say("DE")), (30, Move(CLOSED)), (1000, Say("DE"))], "due at 1120", (1, 0)),
        // Other starts and ends.
        (PENDING, NEEDS_HUMAN, &[(0, Say("DE"))], "met, due at 120", (1, 0)),
        (PENDING, NEEDS_HUMAN, &[(0, Say("DE")), (10, Move(AUTOMATED))], "met, due at 120", (1, 0)),
        (TRIAGED, CLOSED, &[(0, Say("DE"))], "due at 120", (0, 0)),
        (AUTOMATED, CLOSED, &[(0, Say("DE"))], "not started", (0, 0)),
        (AUTOMATED, CLOSED, &[(0, Say("DE")), (10, Move(CLOSED))], "not started", (0, 0)),
        (AUTOMATED, CLOSED, &[(0, Say("DE")), (10, Move(AUTOMATED)), (10, Move(NEEDS_HUMAN))], "due at 130", (0, 0)),
        (WAITING, CLOSED, &[(0, Say("FR")), (10, Move(NEEDS_HUMAN))], "due at 130", (0, 0)),
        // The case has ended, though not where the path should.
        (PENDING, AUTOMATED, &[(0, Say("DE")), (10, Move(CLOSED))], "met, due at 120", (1, 0)),
    ];
    for (start, end, acts, want, (met, missed)) in table {
        let (life, seen) = run(&program(*start, *end), acts);
        assert_eq!(words(life.case.goal), *want, "{acts:?}");
        let counted = |met: bool| seen.iter().filter(|(m, _)| *m == met).count();
        assert_eq!((counted(true), counted(false)), (*met, *missed), "{acts:?}");
        let runs = matches!(life.case.goal, GoalClock::Running { .. });
        assert_eq!(goal_timer(&life).is_some(), runs, "{acts:?}");
    }
}

#[test]
fn a_workflow_without_a_goal_has_no_clock() {
    let mut p = program(PENDING, CLOSED);
    p.goal = None;
    let (life, seen) = run(&p, &[(0, Say("DE")), (500, Move(CLOSED))]);
    assert_eq!((life.case.goal, seen.len()), (GoalClock::NotStarted, 0));
}

#[test]
fn a_state_that_pauses_the_goal_keeps_its_own_sla() {
    let (life, _) = run(&program(PENDING, CLOSED), &[(0, Say("FR"))]);
    let kinds: Vec<TimerKind> = life.case.timers.values().map(|(kind, _)| *kind).collect();
    assert_eq!((life.case.state, kinds), (WAITING, vec![TimerKind::Breach]));
}

#[test]
fn whoever_answers_for_a_missed_goal_gets_the_case_and_its_tasks() {
    let p = program(PENDING, CLOSED);
    let (life, _) = run(&p, &[(0, Say("DE")), (120, Fire)]);
    assert_eq!(life.case.owner, "boss");
    let tasks: Vec<_> = life.case.open_tasks().map(|(_, t)| &t.kind).collect();
    assert_eq!(
        tasks,
        ["review"],
        "the open task is handed over, none is added"
    );
}

#[test]
fn a_missed_goal_of_a_case_that_waits_for_nobody_opens_a_task() {
    let p = program(PENDING, CLOSED);
    let mut life = Life::new();
    let mut now = Now::plain(&p, BEGIN);
    let fields = [
        ("vip", Value::Bool(true)),
        ("email", Value::text("ada@example.com")),
        ("name", Value::text("Ada")),
    ];
    now.event = Some(message(&fields));
    let first = admitted(&life.case);
    life.step(&p, &first, &now, &mut |_| ());
    assert_eq!(life.case.state, AUTOMATED);
    now.at += 2 * HOUR;
    let n = goal_timer(&life).expect("the clock runs");
    life.step(&p, &Input::TimerFired { n }, &now, &mut |_| ());
    let (n, task) = life.case.open_tasks().next().expect("a task");
    let is = (
        task.kind.as_str(),
        task.reason.as_str(),
        task.owner.as_str(),
    );
    assert_eq!(is, ("exception", "goal_missed", "boss"));
    // What was under way goes on, and the case waits for the task alone.
    let open: Vec<u32> = life.case.open_effects().map(|(n, _)| n).collect();
    for effect in open {
        let settled = Input::EffectSettled(Settlement {
            n: effect,
            state: EffectState::Succeeded,
            attempts: 1,
            code: String::new(),
            evidence: "answer".into(),
            vendor_ref: None,
            seen: None,
        });
        life.step(&p, &settled, &now, &mut |_| ());
    }
    assert_eq!(life.case.state, AUTOMATED);
    let accepted = Input::TaskDecided(TaskDecision {
        n,
        by: person(),
        decision: "accept".into(),
        reason: "seen".into(),
        note: None,
        edits: Vec::new(),
        digest: None,
    });
    life.step(&p, &accepted, &now, &mut |_| ());
    assert_eq!((life.case.state, life.case.vouched), (CLOSED, false));
}

fn moves(decision: &Decision) -> bool {
    match decision {
        Decision::Turn(turn, _) => {
            let (head, _) = open(&turn.sealed).expect("it opens");
            head.entries
                .iter()
                .any(|e| matches!(e, Entry::Moved { .. }))
        }
        Decision::Refused(_) => false,
    }
}

/// What the clock should show, worked out from the states alone.
struct Stopwatch {
    left: i64,
    missed: bool,
    /// Closed by a person although required fields were waited for.
    unfinished: bool,
}

#[test]
fn random_histories_agree_with_a_stopwatch() {
    let p = program(PENDING, CLOSED);
    let (mut met, mut breached, mut paused, mut abandoned) = (0, 0, 0, 0);
    for seed in 1..600u64 {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut life = Life::new();
        let mut watch = Stopwatch {
            left: 2 * HOUR,
            missed: false,
            unfinished: false,
        };
        life.live(&p, &mut rng, 25, &mut |h| {
            let still = [CLOSED, WAITING].contains(&h.before.state);
            if h.before.seq > 0 && !still && !watch.missed {
                watch.left -= h.after.updated_at - h.before.updated_at;
            }
            let fired = matches!(h.input, Input::TimerFired { n }
                if h.before.timers.get(n).is_some_and(|(kind, _)| *kind == TimerKind::Goal));
            // A turn that stops the clock finds out that it is late, and so does its timer.
            let stops = [CLOSED, WAITING].contains(&h.after.state) && !still;
            watch.missed |= fired || (stops && watch.left < 0);
            if h.after.state != CLOSED {
                watch.unfinished = false;
            } else if moves(h.decision) {
                let waited = h.before.open_tasks().any(|(_, t)| t.kind == "missing");
                watch.unfinished = waited && !missing(&p, &h.after.record).is_empty();
                abandoned += i32::from(watch.unfinished);
            }
            let want = match (watch.missed, h.after.state) {
                (true, _) => "missed".to_owned(),
                (_, CLOSED) if watch.unfinished => format!("still {}", watch.left),
                (_, CLOSED) => format!("met {}", watch.left),
                (_, WAITING) => format!("still {}", watch.left),
                _ => format!("running {}", watch.left),
            };
            let is = match h.after.goal {
                GoalClock::NotStarted => "not started".to_owned(),
                GoalClock::Running { due } => format!("running {}", due - h.after.updated_at),
                GoalClock::Still { left } => format!("still {left}"),
                GoalClock::Met { left, .. } => format!("met {left}"),
                GoalClock::Missed { .. } => "missed".to_owned(),
            };
            if h.after.seq > 0 {
                assert_eq!(is, want, "seed {seed}: {:?}", h.input);
            }
        });
        match life.case.goal {
            GoalClock::Met { .. } => met += 1,
            GoalClock::Missed { .. } => breached += 1,
            GoalClock::Still { .. } => paused += 1,
            _ => {}
        }
    }
    assert!(
        met > 20 && breached > 20 && paused > 5 && abandoned > 5,
        "{met} {breached} {paused} {abandoned}"
    );
}
