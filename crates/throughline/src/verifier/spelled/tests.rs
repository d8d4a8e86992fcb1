//! What the export writes beside a head is what the verifier reads in it: for every kind of entry and of who.

use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EventId};
use tl_kernel::journal::{
    Actor, Answered, Body, Decided, Entry, HEAD_VERSION, Head, Planned, TimerKind, seal,
};
use tl_kernel::policy::Verdict;

use super::*;
use crate::control::audit::turn_json;

fn answered() -> Answered {
    Answered {
        n: 4,
        model: "local-1".into(),
        prompt: [1; 32],
        input: [2; 32],
        output: [3; 32],
        confidence: Some(912),
        tokens: (70_000, 3),
        took: 1_234_567,
        repairs: 1,
    }
}

fn planned(replaces: Option<u32>, unvouched: bool) -> Entry {
    Entry::Planned(Planned {
        n: 300,
        action: 2,
        name: "crm_upsert".into(),
        class: Class::E2,
        verdict: Verdict::Approve,
        line: 91,
        digest: [9; 32],
        state: EffectState::AwaitingCallback,
        replaces,
        unvouched,
    })
}

/// One of each kind, and of each shape that a kind has.
fn entries() -> Vec<Entry> {
    let decided = |confidence, error: Option<&str>| {
        Entry::Decided(Decided {
            branch: 1,
            line: 40,
            confidence,
            threshold: 830,
            policy_allows: true,
            needs_human: vec!["unsure".into(), "rule".into()],
            passed_over: Vec::new(),
            error: error.map(str::to_owned),
        })
    };
    let event = |matched_key, correlation: Option<&str>| Entry::Event {
        n: 2,
        id: EventId([0xa7; 16]),
        endpoint: "web".into(),
        key_source: "header".into(),
        matched_key,
        correlation: correlation.map(str::to_owned),
    };
    let timer = |kind| Entry::TimerSet {
        n: 1,
        kind,
        due: 1_795_000_000_000_000,
    };
    let moved = |due| Entry::Moved {
        from: 0,
        to: 3,
        reason: "größer".into(),
        owner: "ops".into(),
        due,
    };
    let failed = |said| Entry::AskFailed {
        n: 4,
        reason: "invalid".into(),
        said,
    };
    vec![
        Entry::Opened,
        event(None, None),
        event(Some(1), Some("c-9")),
        Entry::FieldsSet { count: 7 },
        Entry::Rule { rule: 0, line: 12 },
        Entry::TableRow { table: 0, line: 3 },
        Entry::TableMiss { table: 1 },
        moved(None),
        moved(Some(-1)),
        Entry::Assigned {
            owner: "ann".into(),
            reason: "away".into(),
        },
        Entry::Asked {
            n: 4,
            model: "local".into(),
        },
        Entry::Answered(answered()),
        failed(None),
        failed(Some(Box::new(answered()))),
        decided(None, None),
        decided(Some(10), Some("no such field")),
        planned(None, false),
        planned(Some(2), true),
        Entry::Approved {
            n: 2,
            digest: [5; 32],
        },
        Entry::Settled {
            n: 2,
            state: EffectState::Dead,
            attempts: 5,
            code: "500".into(),
            evidence: "answer".into(),
        },
        Entry::TaskOpened {
            n: 1,
            kind: "review".into(),
            owner: "ops".into(),
            reason: "unsure".into(),
            due: Some(0),
            effect: None,
        },
        Entry::TaskClosed {
            n: 1,
            decision: "accept".into(),
            reason: "ok".into(),
        },
        timer(TimerKind::Warn),
        timer(TimerKind::Breach),
        timer(TimerKind::Escalate(2)),
        timer(TimerKind::Goal),
        timer(TimerKind::Unanswered(1)),
        Entry::TimerEnded { n: 1, fired: true },
        Entry::Sla {
            state: 2,
            met: false,
            due: 86_399_999_999,
        },
        Entry::Refused {
            action: "case.move".into(),
            code: "TL0701".into(),
        },
        Entry::Control {
            action: "kill.set".into(),
            object: "everything".into(),
            detail: "hold: drill".into(),
        },
        Entry::Conflict {
            n: 2,
            round: 1,
            kept: 3,
        },
        Entry::Goal {
            met: true,
            due: 951_782_400_000_000,
        },
        Entry::LeftOut {
            part: "email".into(),
            why: "no address".into(),
        },
        Entry::NotEvaluated {
            part: "when".into(),
            line: 8,
            why: "no such key".into(),
        },
    ]
}

fn head(actor: Actor, case: CaseId, entries: Vec<Entry>) -> Head {
    Head {
        v: HEAD_VERSION,
        tenant: 1,
        case,
        seq: 70_000,
        prev: [6; 32],
        at: 1_795_412_409_000_001,
        actor,
        correlation: "corr-1".into(),
        definition: 3,
        policy: 4,
        entries,
        body: [0; 32],
    }
}

/// The line of the export, and what the verifier finds in it that the head does not say.
fn difference(head: Head) -> Vec<String> {
    let sealed = seal(head.clone(), &Body::default(), &[1; 16]);
    let line = turn_json(&head, &sealed.head, &sealed.leaf);
    let read = Item::head(&sealed.head).expect("a head");
    let said = differs(&read, &line).expect("it can be read");
    match said.is_empty() {
        true => said,
        false => vec![format!("{line}\n{}", Value::Object(of(&read).unwrap()))],
    }
}

#[test]
fn every_entry_is_spelled_as_its_bytes_say() {
    for entry in entries() {
        let shown = format!("{entry:?}");
        let head = head(Actor::Engine, CaseId([0x5c; 16]), vec![entry]);
        assert_eq!(difference(head), [""; 0], "{shown}");
    }
}

#[test]
fn every_kind_of_who_is_spelled_as_its_bytes_say() {
    let named = "ann".to_owned();
    let endpoint = Actor::Endpoint {
        name: "web".into(),
        kid: "k1".into(),
    };
    let table = [
        Actor::Engine,
        endpoint,
        Actor::ApiKey(named.clone()),
        Actor::Person(named.clone()),
        Actor::Model(named.clone()),
        Actor::Operator(named),
    ];
    for actor in table {
        let head = head(actor, CaseId::CONTROL, entries());
        assert_eq!(difference(head), [""; 0]);
    }
}

#[test]
fn instants_are_those_of_the_calendar() {
    for us in [
        0,
        -1,
        951_782_399_999_999,
        951_782_400_000_000,
        951_868_800_000_000,
        1_709_164_800_000_000,
        4_107_542_400_000_000,
        -62_135_596_800_000_000,
        253_402_207_200_000_000,
        253_402_207_200_000_001,
        253_402_300_799_999_999,
        i64::MAX,
    ] {
        assert_eq!(time(us), tl_kernel::time::rfc3339(us), "{us}");
    }
}

#[test]
fn bytes_that_are_no_head_are_refused() {
    let sound = seal(
        head(Actor::Engine, CaseId::CONTROL, entries()),
        &Body::default(),
        &[1; 16],
    )
    .head;
    for end in 0..sound.len() {
        assert_eq!(Item::head(&sound[..end]), None, "cut at {end}");
    }
    let longer = [sound, vec![0]].concat();
    assert_eq!(Item::head(&longer), None, "something follows");
    assert_eq!(Item::head(&[0x81; 100]), None, "nested too deep");
    let unknown = [Item::Number(99), Item::List(Vec::new())];
    let said = entry(&Item::List(unknown.to_vec())).unwrap_err();
    assert!(said.contains("kind 99"), "{said}");
}
