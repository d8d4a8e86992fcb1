//! A check that finds nothing may be blind. The account of a good run is changed, one thing at a time, and the
//! invariant that was broken must say so, with nothing else changed about the others' words.

use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId};
use tl_kernel::journal::Entry;
use tl_kernel::program::canonical;

use super::corpus::Outcome;
use super::evidence::{CaseFile, Evidence};
use super::invariants::all;
use super::judge::Bench;
use super::ledger::Ledger;
use super::scene::{Scene, scene};
use super::sender::Answered;
use super::{Options, corpus, play};
use crate::templates::Template;

/// The invariant that must see it, what is changed, and how.
type Tampering = (&'static str, &'static str, fn(&mut Evidence));

/// The first case with an effect of a connection that succeeded, and that effect.
fn done(e: &mut Evidence, connection: &str) -> (usize, EffectId) {
    let found = e.cases.iter().enumerate().find_map(|(i, c)| {
        let happened = |row: &&tl_store::contract::EffectRow| {
            row.connection == connection && row.state == EffectState::Succeeded
        };
        Some((i, c.effects.iter().find(happened)?.effect))
    });
    found.expect("a run without an effect proves nothing")
}

fn row(c: &mut CaseFile, effect: EffectId) -> &mut tl_store::contract::EffectRow {
    let found = c.effects.iter_mut().find(|row| row.effect == effect);
    found.expect("its row")
}

const TABLE: &[Tampering] = &[
    ("I1", "an acknowledged message is lost", |e| {
        e.cases[0].events.remove(0);
    }),
    ("I1", "a killed run's acknowledgment is forgotten", |e| {
        e.acks[0].event = "evt_00000000000000000000000001".into();
    }),
    ("I2", "a message is taken twice under its key", |e| {
        let mut again = e.acks[0].clone();
        again.event = e.acks[1].event.clone();
        e.acks.push(again);
    }),
    ("I2", "a message is in two cases", |e| {
        let event = e.cases[0].events[0].clone();
        e.cases[1].events.push(event);
    }),
    ("I2", "a message belongs to no case", |e| e.events += 1),
    ("I2", "a case without the message that opened it", |e| {
        let id = CaseId([9; 16]);
        e.cases[0].row.case = id;
    }),
    ("I3", "a message that nobody sent", |e| {
        let event = e.acks[0].event.clone();
        e.acks.retain(|a| a.event != event);
    }),
    ("I4", "a case is where no move led", |e| {
        e.cases[0].row.head.state = 77;
    }),
    ("I4", "a journal does not fold", |e| {
        e.cases[0].folded = Err("TL0902".into());
    }),
    ("I4", "a move without an edge", |e| {
        let moved = Entry::Moved {
            from: canonical::CLOSED,
            to: canonical::AUTOMATED,
            reason: String::new(),
            owner: String::new(),
            due: None,
        };
        e.cases[0].heads[0].entries.push(moved);
    }),
    ("I5", "a turn without a leaf", |e| {
        e.leaves.pop();
    }),
    ("I5", "a leaf without a turn", |e| e.leaves.push([1; 32])),
    ("I5", "two leaves have changed places", |e| {
        e.leaves.swap(3, 4);
    }),
    ("I5", "a turn of a case that is not there", |e| {
        let last = e.turns.len() - 1;
        e.turns[last].0 = CaseId([9; 16]);
        e.turns[last].1 = 1;
    }),
    ("I5", "a planned effect without a row", |e| {
        let (i, effect) = done(e, "outbox");
        e.cases[i].effects.retain(|row| row.effect != effect);
    }),
    ("I5", "an effect that nobody planned", |e| {
        let (i, effect) = done(e, "outbox");
        let mut stray = row(&mut e.cases[i], effect).clone();
        stray.effect.n = 99;
        e.cases[i].effects.push(stray);
    }),
    ("I5", "a task that nobody opened", |e| {
        let found = e.cases.iter_mut().find(|c| !c.tasks.is_empty());
        let tasks = &mut found.expect("a task").tasks;
        let mut stray = tasks[0].clone();
        stray.task.n = 99;
        tasks.push(stray);
    }),
    ("I5", "a message out of nowhere", |e| {
        let mut stray = e.outbox[0].clone();
        stray.effect.n = 99;
        stray.text.push('!');
        e.outbox.push(stray);
    }),
    ("I6", "every message went out twice", |e| {
        e.outbox.extend(e.outbox.clone());
    }),
    ("I6", "the same words by another effect", |e| {
        let mut again = e.outbox[0].clone();
        again.effect.n = 99;
        e.outbox.push(again);
    }),
    ("I6", "a write was applied twice", |e| {
        let (i, effect) = done(e, "crm");
        let mark = e.cases[i].marks[&effect];
        let records = &mut e.cases[i].records;
        let found = records.iter().find(|v| v.key == Some(mark));
        let again = found.expect("its version").clone();
        records.push(again);
    }),
    ("I6", "a write that no effect made", |e| {
        let (i, _) = done(e, "crm");
        let kid = e.crm_kid.clone();
        let stray = &mut e.cases[i].records[0];
        (stray.by, stray.key) = (kid, Some([1; 32]));
    }),
    ("I7", "an effect waits for ever", |e| {
        let (i, effect) = done(e, "crm");
        row(&mut e.cases[i], effect).state = EffectState::Ready;
    }),
    ("I7", "an uncertain effect without a task", |e| {
        let (i, effect) = done(e, "crm");
        row(&mut e.cases[i], effect).state = EffectState::Uncertain;
    }),
    ("I8", "a write that happened is called failed", |e| {
        let (i, effect) = done(e, "crm");
        row(&mut e.cases[i], effect).state = EffectState::Failed;
    }),
    ("I8", "a write that never happened is called done", |e| {
        let (i, _) = done(e, "crm");
        e.cases[i].records.clear();
    }),
    ("I8", "a message that went out is called dead", |e| {
        let (i, effect) = done(e, "outbox");
        row(&mut e.cases[i], effect).state = EffectState::Dead;
    }),
    ("I8", "a message that never went out is called done", |e| {
        drop(e.outbox.remove(0));
    }),
];

/// What is expected of the first message with an outcome, what is changed about the run, and what the verdict says.
type Misjudged = (Outcome, fn(&mut Evidence, CaseId), &'static str);

fn unsaid(e: &mut Evidence, case: CaseId) {
    e.outbox.retain(|m| m.effect.case != case);
}

const OUTCOMES: &[Misjudged] = &[
    (Outcome::Hot, unsaid, "no acknowledgment"),
    (Outcome::FollowUp, unsaid, "nobody was asked"),
    (
        Outcome::Hot,
        |e, case| e.cases.retain(|c| c.id() != case),
        "no case was opened",
    ),
];

fn leads() -> &'static Scene {
    scene(Template::Lead)
}

/// One run of the demo, in this process.
async fn good_run(dir: &std::path::Path) -> (Evidence, super::Played) {
    let options = Options {
        template: Template::Lead,
        once: true,
        json: true,
        keep: Some(dir.to_owned()),
    };
    let played = play(&options).await.expect("the demo plays");
    let acks = Ledger::open(dir).expect("the ledger").acks().to_vec();
    let stage = &played.stage;
    let desk = &stage.app().desk;
    let gathered = Evidence::gather(desk, stage.tenant, (&stage.crm_kid, "lead"), acks).await;
    (gathered.expect("evidence"), played)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invariant_sees_what_breaks_it() {
    let dir = tempfile::tempdir().unwrap();
    let (good, played) = good_run(dir.path()).await;
    for (name, _, violations) in all(&good) {
        assert_eq!(violations, [""; 0], "{name} of a good run");
    }
    for (name, what, spoil) in TABLE {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        let lines = all(&spoilt);
        let (_, _, violations) = lines.iter().find(|(n, ..)| n == name).expect("a line");
        assert!(!violations.is_empty(), "{name} does not see: {what}");
    }
    for i in 1..=8 {
        let name = format!("I{i}");
        assert!(
            TABLE.iter().any(|(n, ..)| *n == name),
            "{name} is not tried"
        );
    }
    outcomes_are_looked_at(&good);
    played.stage.end().await;
}

fn outcomes_are_looked_at(good: &Evidence) {
    let entries = corpus(leads()).expect("the corpus");
    let cases = entries.iter().filter_map(|entry| {
        let ack = good.acks.iter().find(|a| a.message == entry.id)?;
        let holds = |c: &&CaseFile| c.events.iter().any(|ev| ev.id.to_string() == ack.event);
        Some((entry.id.clone(), good.cases.iter().find(holds)?.id()))
    });
    let cases = cases.collect();
    let answered = Answered {
        status: 202,
        event: None,
    };
    for (outcome, spoil, want) in OUTCOMES {
        let of = |e: &&super::Entry| {
            e.expect.outcome == *outcome
                && e.expect.record.get("email").is_some_and(|v| v.is_string())
        };
        let entry = entries.iter().find(of).expect("one with this outcome");
        let mut spoilt = good.clone();
        spoil(&mut spoilt, cases_of(&cases, &entry.id));
        for (evidence, differs) in [(good, false), (&spoilt, true)] {
            let bench = Bench {
                scene: leads(),
                evidence,
                cases: &cases,
                resumed: false,
            };
            let said = bench
                .judge(entry, &answered)
                .expect("a verdict")
                .differs
                .join("; ");
            assert_eq!(said.contains(want), differs, "{}: {said}", entry.id);
        }
    }
}

fn cases_of(cases: &std::collections::BTreeMap<String, CaseId>, message: &str) -> CaseId {
    *cases.get(message).expect("its case")
}
