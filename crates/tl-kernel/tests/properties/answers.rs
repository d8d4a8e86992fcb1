//! Answers of a model that come late: what a newer question has replaced is recorded and changes nothing.

use tl_kernel::case::Ai;
use tl_kernel::decide::{Command, CommandKind, Input, ModelAnswer, ProposedField};
use tl_kernel::journal::Answered;
use tl_kernel::program::Program;
use tl_kernel::program::canonical::TRIAGED;
use tl_kernel::time::HOUR;
use tl_kernel::turn::Decision;
use tl_kernel::value::Value;

use crate::drive::{Life, Now, admitted, person};
use crate::world::lead;

fn step(life: &mut Life, p: &Program, input: &Input) {
    let mut now = Now::plain(p, life.case.updated_at.max(HOUR));
    let event = [("email", "ada@example.com"), ("name", "Ada")];
    let event = event.map(|(n, v)| (n.to_owned(), Value::text(v)));
    now.event = Some(Value::Record(event.into()));
    life.step(p, input, &now, &mut |h| {
        if let Decision::Refused(r) = h.decision {
            panic!("{input:?}: {}", r.message);
        }
    });
}

/// An answer to the ask of a number: sure that it is `intent`.
fn answer(n: u32, intent: &str) -> Input {
    Input::ModelAnswered(ModelAnswer {
        answered: Answered {
            n,
            model: "local".into(),
            prompt: [1; 32],
            input: [2; 32],
            output: [3; 32],
            confidence: Some(990),
            tokens: (0, 0),
            took: 7,
            repairs: 0,
        },
        fields: vec![ProposedField {
            name: "intent".into(),
            value: Value::text(intent),
            confidence: Some(990),
            span: None,
        }],
        proposal: Value::Null,
        draft: None,
    })
}

/// A case that was closed while the model was asked, and that a reply has opened again: asked twice.
fn asked_twice(p: &Program) -> (Life, u32, u32) {
    let mut life = Life::new();
    let first = admitted(&life.case);
    step(&mut life, p, &first);
    let close = Input::Command(Command {
        by: person(),
        reason: "checked".into(),
        what: CommandKind::Close,
    });
    step(&mut life, p, &close);
    let reply = admitted(&life.case);
    step(&mut life, p, &reply);
    let asks: Vec<u32> = life.case.asks.keys().copied().collect();
    let [older, newer] = asks[..] else {
        panic!("two questions, not {asks:?}");
    };
    (life, older, newer)
}

#[test]
fn an_answer_to_a_replaced_question_changes_nothing() {
    let p = lead();
    let failed = |n| Input::ModelFailed {
        n,
        reason: "timeout".into(),
        said: None,
    };
    let late: [&dyn Fn(u32) -> Input; 2] = [&|n| answer(n, "spam"), &failed];
    for late in late {
        let (mut life, older, newer) = asked_twice(&p);
        step(&mut life, &p, &late(older));
        assert_eq!(life.case.state, TRIAGED);
        assert!(matches!(life.case.ai, Ai::Asked), "{:?}", life.case.ai);
        assert!(!life.case.record.contains_key("intent"));
        step(&mut life, &p, &answer(newer, "demo"));
        assert_eq!(life.case.record["intent"].value, Value::text("demo"));

        // Nor where the newer answer was there first.
        let (mut life, older, newer) = asked_twice(&p);
        step(&mut life, &p, &answer(newer, "demo"));
        let (state, ai) = (life.case.state, life.case.ai.clone());
        step(&mut life, &p, &late(older));
        assert_eq!((life.case.state, &life.case.ai), (state, &ai));
        assert_eq!(life.case.record["intent"].value, Value::text("demo"));
    }
}
