//! A required field that is missing holds a hand-off back, and the write that completes the goal.

use tl_kernel::case::GoalClock;
use tl_kernel::decide::{Command, CommandKind, Input, TaskDecision};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES, NEEDS_HUMAN, PENDING};
use tl_kernel::program::{Goal, Program, StateIx, Step};
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted, person};
use crate::world::{branch, path, ticket};

const CRM: Step = Step::Effect(0);
const REPLY: Step = Step::Effect(1);

/// A ticket that requires a name, with one branch for cases with an address.
fn program(steps: &[Step], to: Option<StateIx>, end: Option<StateIx>) -> Program {
    let mut p = ticket();
    for f in &mut p.record.fields {
        f.required = f.name == "name";
    }
    let mut first = branch(Some(path("record.vip")), steps.to_vec());
    first.to = to;
    p.decision.branches = vec![first, branch(None, vec![Step::Deny])];
    p.goal = end.map(|end| Goal {
        start: PENDING,
        end,
        sla: HOUR,
        owner: "boss".into(),
    });
    p
}

fn say(life: &mut Life, p: &Program, name: Option<&str>) {
    let mut now = Now::plain(p, life.case.updated_at.max(HOUR));
    let mut fields = vec![
        ("vip".to_owned(), Value::Bool(true)),
        ("email".to_owned(), Value::text("ada@example.com")),
    ];
    fields.extend(name.map(|n| ("name".to_owned(), Value::text(n))));
    now.event = Some(Value::Record(fields.into_iter().collect()));
    let input = admitted(&life.case);
    life.step(p, &input, &now, &mut |_| ());
}

/// A person decides the open task of a kind.
fn decide(life: &mut Life, p: &Program, (kind, decision): (&str, &str), name: Option<&str>) {
    let open = life.case.open_tasks().find(|(_, t)| t.kind == kind);
    let (n, _) = open.unwrap_or_else(|| panic!("no task {kind}: {:?}", life.case.tasks));
    let input = Input::TaskDecided(TaskDecision {
        n,
        by: person(),
        decision: decision.into(),
        reason: "checked".into(),
        note: None,
        edits: name
            .map(|n| ("name".to_owned(), Value::text(n)))
            .into_iter()
            .collect(),
        digest: None,
    });
    let now = Now::plain(p, life.case.updated_at);
    life.step(p, &input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{kind} {decision}: {}", r.message);
        }
    });
}

/// State, open tasks and planned effects.
fn seen(life: &Life) -> String {
    let case = &life.case;
    let tasks: Vec<&str> = case.open_tasks().map(|(_, t)| t.kind.as_str()).collect();
    let effects: Vec<&str> = case.effects.values().map(|e| e.name.as_str()).collect();
    let state = NAMES[usize::from(case.state)];
    format!("{state} [{}] [{}]", tasks.join(" "), effects.join(" "))
}

#[test]
fn a_branch_waits_for_required_fields() {
    // The steps, where the branch leads, where the goal ends; with the name missing, and with the name.
    type Row = (
        &'static [Step],
        Option<StateIx>,
        Option<StateIx>,
        &'static str,
        &'static str,
    );
    let asked = "needs_human [missing] [reply]";
    #[rustfmt::skip]
    let table: &[Row] = &[
        (&[Step::HandOff], None, None, asked, "automated [hand_off] []"),
        (&[CRM, Step::HandOff], None, None, asked, "automated [hand_off] [crm_upsert]"),
        (&[Step::HandOff], Some(CLOSED), None, asked, "closed [] []"),
        (&[CRM], None, None, asked, "automated [] [crm_upsert]"),
        (&[CRM], Some(NEEDS_HUMAN), None, "needs_human [] [crm_upsert]", "needs_human [] [crm_upsert]"),
        (&[CRM], None, Some(CLOSED), asked, "automated [] [crm_upsert]"),
        (&[CRM], None, Some(AUTOMATED), asked, "automated [] [crm_upsert]"),
        (&[CRM], None, Some(NEEDS_HUMAN), "automated [] [crm_upsert]", "automated [] [crm_upsert]"),
        (&[CRM], Some(CLOSED), Some(CLOSED), asked, "closed [] [crm_upsert]"),
        (&[CRM, Step::HumanQueue], None, Some(CLOSED), "needs_human [review] [crm_upsert]", "needs_human [review] [crm_upsert]"),
        (&[REPLY], None, Some(CLOSED), "automated [] [reply]", "automated [] [reply]"),
        (&[Step::Close], None, Some(CLOSED), "closed [] []", "closed [] []"),
    ];
    for (steps, to, end, without, with) in table {
        let p = program(steps, *to, *end);
        for (name, want) in [(None, without), (Some("Ada"), with)] {
            let mut life = Life::new();
            say(&mut life, &p, name);
            assert_eq!(seen(&life), *want, "{steps:?} to {to:?}, goal {end:?}");
        }
    }
}

#[test]
fn it_goes_on_when_the_field_arrives() {
    let p = program(&[CRM, Step::HandOff], None, None);
    let with = |go: fn(&mut Life, &Program)| {
        let mut life = Life::new();
        say(&mut life, &p, None);
        go(&mut life, &p);
        seen(&life)
    };
    let by_message = with(|life, p| say(life, p, Some("Ada")));
    assert_eq!(by_message, "automated [hand_off] [reply crm_upsert]");
    let by_edit = with(|life, p| decide(life, p, ("missing", "edit"), Some("Ada")));
    assert_eq!(by_edit, "automated [hand_off] [reply crm_upsert]");
    let by_nobody = with(|life, p| decide(life, p, ("missing", "approve"), None));
    assert_eq!(by_nobody, "needs_human [missing] [reply reply]");
    let other = with(|life, p| say(life, p, None));
    assert_eq!(other, "needs_human [missing] [reply]");
}

fn command(life: &mut Life, p: &Program, what: CommandKind) {
    let input = Input::Command(Command {
        by: person(),
        reason: "test".into(),
        what,
    });
    let now = Now::plain(p, life.case.updated_at);
    life.step(p, &input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{}", r.message);
        }
    });
}

/// A person may take a case on that waits for a field; what the goal is for has not happened by that.
#[test]
fn a_move_past_missing_fields_does_not_meet_the_goal() {
    use GoalClock::{Met, Missed, Running, Still};
    let to = |state: StateIx| CommandKind::Move(NAMES[usize::from(state)].into());
    let clock = |life: &Life| match life.case.goal {
        GoalClock::NotStarted => "not started",
        Running { .. } => "runs",
        Still { .. } => "still",
        Met { .. } => "met",
        Missed { .. } => "missed",
    };
    type Act<'a> = &'a dyn Fn(&mut Life, &Program);
    let move_on: Act<'_> = &|l, p| command(l, p, to(AUTOMATED));
    let close: Act<'_> = &|l, p| command(l, p, to(CLOSED));
    let reopen: Act<'_> = &|l, p| command(l, p, CommandKind::Reopen);
    let reject: Act<'_> = &|l, p| decide(l, p, ("missing", "reject"), None);
    let fill: Act<'_> = &|l, p| decide(l, p, ("missing", "edit"), Some("Ada"));
    let arrives: Act<'_> = &|l, p| say(l, p, Some("Ada"));
    let late: Act<'_> = &|l, _| l.case.updated_at += 2 * HOUR;
    let table: &[(StateIx, &[Act<'_>], &str)] = &[
        (AUTOMATED, &[], "runs"),
        (AUTOMATED, &[move_on], "runs"),
        (AUTOMATED, &[move_on, fill], "met"),
        (AUTOMATED, &[fill], "met"),
        (AUTOMATED, &[arrives], "met"),
        (AUTOMATED, &[close], "still"),
        (CLOSED, &[close], "still"),
        (CLOSED, &[reject], "still"),
        (CLOSED, &[close, reopen], "runs"),
        (CLOSED, &[close, reopen, fill, close], "met"),
        (CLOSED, &[fill, close], "met"),
        (CLOSED, &[late, close], "missed"),
    ];
    for (row, (end, acts, want)) in table.iter().enumerate() {
        let p = program(&[CRM], None, Some(*end));
        let mut life = Life::new();
        say(&mut life, &p, None);
        assert_eq!(seen(&life), "needs_human [missing] [reply]");
        for act in *acts {
            act(&mut life, &p);
        }
        assert_eq!(clock(&life), *want, "row {row}");
    }
}

#[test]
fn a_hand_off_is_not_accepted_without_a_required_field() {
    // Handed off when the name was not required yet.
    let mut before = program(&[Step::HandOff], None, None);
    for f in &mut before.record.fields {
        f.required = false;
    }
    let p = program(&[Step::HandOff], None, None);
    let mut life = Life::new();
    say(&mut life, &before, None);
    assert_eq!(seen(&life), "automated [hand_off] []");
    decide(&mut life, &p, ("hand_off", "accept"), None);
    assert_eq!(seen(&life), "needs_human [missing] [reply]");
    decide(&mut life, &p, ("missing", "edit"), Some("Ada"));
    assert_eq!(seen(&life), "automated [hand_off] [reply]");
    decide(&mut life, &p, ("hand_off", "accept"), None);
    assert_eq!(life.case.open_tasks().count(), 0);
}
