//! The ways through the engine that the crash sweep takes, and where each of them must lead.

use tl_connect::fake::crm::{Fault, On};
use tl_kernel::decide::CommandKind;
use tl_kernel::effect::EffectState;

use crate::flows::TO_CRM;
use crate::goal::DESK;
use crate::guard::{blind, keyed};

/// What the world outside does, in order. A step that a crash cut short is taken again from its beginning; what it
/// had done by then is not done twice, because each step looks first.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Senders send, and again what was not acknowledged.
    Send(&'static [(&'static str, &'static str)]),
    /// The engine works for so many hours.
    Work(usize),
    /// Nothing has left so far.
    NothingSent,
    /// A person approves what is to be approved.
    Approve,
    /// A person sends again what was given up.
    Redrive,
    /// A person looks into the CRM and says what became of what is uncertain.
    Look,
    /// An operator sets a switch (`Some`) or clears it.
    Switch(&'static str, Option<&'static str>),
    /// An operator commands in every case that is in this state.
    Command(&'static str, fn() -> CommandKind),
    /// An operator gives every case to somebody.
    Assign(&'static str),
    /// A person renames every lead in the CRM.
    Rename(&'static str),
    /// The CRM works again.
    Heal,
}

/// How a case may end, beside the way it ends undisturbed: its state, and the state of its first effect.
pub type AlsoEnds = &'static [(&'static str, EffectState)];

/// One way through the engine.
pub struct Scenario {
    pub name: &'static str,
    pub yaml: String,
    pub files: &'static [(&'static str, &'static str)],
    /// What the CRM does to the first requests.
    pub faults: Vec<(On, Fault, u32)>,
    /// The records are there already, at their first version.
    pub existing: bool,
    pub slots: usize,
    pub steps: Vec<Step>,
    /// Undisturbed: the state of every case, and of its first effect.
    pub ends: (&'static str, Option<EffectState>),
    /// What a crash may lead to instead.
    pub also: AlsoEnds,
    /// Applied writes per record: at least, at most. `None`: the CRM is not part of it.
    pub writes: Option<(u64, u64)>,
    /// Outbox messages per case.
    pub messages: usize,
    /// What the CRM's records hold in the end.
    pub holds: &'static [(&'static str, &'static str)],
    /// Goals that each case has met (true) or missed.
    pub goals: &'static [bool],
}

pub const LEADS: &[(&str, &str)] = &[
    (
        "a",
        r#"{"email":"ada@x.example","name":"Ada","size":12,"text":"please show me a demo"}"#,
    ),
    (
        "b",
        r#"{"email":"bob@x.example","name":"Bob","size":30,"text":"what does it cost per month"}"#,
    ),
    (
        "c",
        r#"{"email":"cyd@x.example","name":"Cyd","size":11,"text":"can you show us how it works"}"#,
    ),
];

/// The same people once more.
const AGAIN: &[(&str, &str)] = &[
    (
        "a2",
        r#"{"email":"ada@x.example","name":"Ada L.","size":20}"#,
    ),
    (
        "b2",
        r#"{"email":"bob@x.example","name":"Bob L.","size":20}"#,
    ),
    (
        "c2",
        r#"{"email":"cyd@x.example","name":"Cyd L.","size":20}"#,
    ),
];

const TICKETS: &[(&str, &str)] = &[
    ("a", r#"{"subject":"help","n":1}"#),
    ("b", r#"{"subject":"more help","n":2}"#),
];

pub const WITH_AI: &str = r#"
workflow: { id: w, version: "1" }
record:
  type: lead
  fields:
    email:  { type: email, required: true, use: control }
    text:   { type: text, untrusted: true }
    intent: { type: enum, values: [demo, pricing], from: ai }
ingress:
  gateway: { auth: api_key }
  channels: { api: { channel: api, text: event.body.text } }
worker:
  ai_step: { optional: true, when_state: triaged, modes: [classify], output: { confidence, structured_fields }, classify: { field: intent, model: local, examples: examples/intent.csv } }
decision:
  threshold: 0.01
  branches:
    - { condition: "confidence >= threshold && policy_allows", action: [crm_upsert, ack] }
    - { condition: needs_human, action: human_queue }
    - default: deny
policy:
  crm_upsert: auto
  ack: { auto: "record.intent == 'demo' || record.intent == 'pricing'", limit: 1 per contact per day }
side_effects:
  crm: { api: records, key: "${record.email}" }
  messaging:
    ack: { channel: email, via: outbox, to: record.email, subject: "Hello", template: templates/ack.md, check: verified_sender }
"#;

pub const EXAMPLES: (&str, &str) = (
    "examples/intent.csv",
    "text,label\nshow me a demo,demo\ncan I see how it works,demo\nplease demonstrate it,demo\nwhat is the price,pricing\nhow much does it cost,pricing\nsend me a quote per month,pricing\n",
);

/// A model that the installation does not reach.
const GPT: (&str, &str) = (
    "/connections.yaml",
    "connections:\n  crm: { kind: rest, base_url: \"https://crm.example\" }\n  gpt: { kind: openai, base_url: \"https://gpt.example/v1\", model: m }\n",
);

const ACK: (&str, &str) = ("templates/ack.md", "Hello ${record.email}");

fn status(status: u16) -> Fault {
    Fault::Status {
        status,
        retry_after: None,
    }
}

/// Leads that are written to the CRM once, without anything in the way.
fn plain(name: &'static str, yaml: String) -> Scenario {
    Scenario {
        name,
        yaml,
        files: &[],
        faults: Vec::new(),
        existing: false,
        slots: 8,
        steps: vec![Step::Send(LEADS), Step::Work(6)],
        ends: ("closed", Some(EffectState::Succeeded)),
        also: &[],
        writes: Some((1, 1)),
        messages: 0,
        holds: &[],
        goals: &[],
    }
}

/// As `plain`, with a fault of the CRM's first two writes.
fn faulty(name: &'static str, yaml: String, fault: Fault) -> Scenario {
    Scenario {
        faults: vec![(On::Writes, fault, 2)],
        ..plain(name, yaml)
    }
}

pub fn all() -> Vec<Scenario> {
    let mut out = writes();
    out.extend(looked_up());
    out.extend(blind_writes());
    out.extend(people());
    out.extend(time_and_models());
    out
}

/// Conditional and keyed writes: E2, E1, and both.
fn writes() -> Vec<Scenario> {
    let no_key = TO_CRM.replace("    idempotency_header: idempotency-key\n", "");
    let declared = TO_CRM.replace("valid_for: 1d", "base_version: '\"1\"'");
    let lost = || Fault::ResetAfterApplying;
    vec![
        plain("conditional write, read first", TO_CRM.into()),
        Scenario {
            slots: 1,
            ..plain("one slot", TO_CRM.into())
        },
        Scenario {
            existing: true,
            ..plain("version declared, born dispatching", declared)
        },
        plain("without a key", no_key),
        faulty("the answer is lost after applying", TO_CRM.into(), lost()),
        faulty("the CRM fails first", TO_CRM.into(), status(503)),
        plain("keyed", keyed()),
        faulty("keyed, the answer is lost", keyed(), lost()),
        Scenario {
            existing: true,
            steps: vec![
                Step::Send(LEADS),
                Step::Work(1),
                Step::Rename("Countess"),
                Step::Send(AGAIN),
                Step::Work(6),
            ],
            writes: Some((2, 2)),
            holds: &[("name", "\"Countess\""), ("size", "20")],
            ..plain("a person wrote in between", TO_CRM.into())
        },
    ]
}

/// A system that takes no key and compares no version, but where a write can be found afterwards.
macro_rules! findable {
    ($absent_is:literal) => {
        &[(
            "/connectors/crm.yaml",
            concat!(
                "connector: crm
title: CRM
actions:
  lead.save:
    arguments: { email: { type: email, required: true, control: record } }
    fields: {}
    request: { method: PUT, path: \"/leads/${args.email}\", json: \"${fields}\" }
    class: E3
    look_up:
      request: { path: \"/leads/${args.email}\" }
      found: \"[answer.body.name]\"
      absent_is: ",
                $absent_is,
                "\n"
            ),
        )]
    };
}
const FINDABLE: &[(&str, &str)] = findable!("certain");
const FINDABLE_LATE: &[(&str, &str)] = findable!("unclear");

/// The vendor can be asked: E3.
fn looked_up() -> Vec<Scenario> {
    use EffectState::Uncertain;
    let at = TO_CRM.find("    api: rest").unwrap_or(TO_CRM.len());
    let workflow = format!(
        "{}    use: crm.lead.save\n    with: {{ email: record.email }}\n    map: {{ name: record.name, size: record.size }}\n",
        &TO_CRM[..at]
    );
    let looked = |name, faults| Scenario {
        files: FINDABLE,
        faults,
        ..plain(name, workflow.clone())
    };
    // The write is there, its answer is lost, and the first look is answered out of an older copy. One message alone,
    // so that the late look is of its own write.
    let late = |name| Scenario {
        writes: Some((0, 1)),
        steps: vec![Step::Send(&LEADS[..1]), Step::Work(6)],
        ..looked(
            name,
            vec![
                (On::Writes, Fault::ResetAfterApplying, 1),
                (On::Reads, status(404), 1),
            ],
        )
    };
    vec![
        looked("found by a look", Vec::new()),
        looked(
            "the answer is lost, found by a look",
            vec![(On::Writes, Fault::ResetAfterApplying, 2)],
        ),
        looked(
            "nothing was applied, and the look says so",
            vec![(On::Writes, Fault::ResetBeforeApplying, 2)],
        ),
        late("the look lags behind the write"),
        Scenario {
            files: FINDABLE_LATE,
            steps: vec![
                Step::Send(&LEADS[..1]),
                Step::Work(3),
                Step::Look,
                Step::Work(3),
            ],
            also: &[("needs_human", Uncertain), ("automated", Uncertain)],
            ..late("a look that lags proves nothing, a person looks")
        },
    ]
}

/// The vendor offers nothing: E4 with each policy.
fn blind_writes() -> Vec<Scenario> {
    use EffectState::{Succeeded, Uncertain};
    const HELD: AlsoEnds = &[("needs_human", Uncertain), ("automated", Uncertain)];
    vec![
        Scenario {
            also: HELD,
            writes: Some((0, 1)),
            ..plain("blind, held when unknown", blind("hold"))
        },
        Scenario {
            steps: vec![Step::Send(LEADS), Step::Work(2), Step::Look, Step::Work(2)],
            also: HELD,
            writes: Some((0, 1)),
            ..faulty(
                "blind, a person looks",
                blind("hold"),
                Fault::ResetAfterApplying,
            )
        },
        Scenario {
            writes: Some((0, 1)),
            ..plain("blind, assumed to be sent", blind("assume_sent"))
        },
        Scenario {
            also: &[("closed", Succeeded)],
            writes: Some((1, 3)),
            ..plain("blind, sent again", blind("resend"))
        },
    ]
}

/// What people and operators do.
fn people() -> Vec<Scenario> {
    use EffectState::Cancelled;
    let approve = TO_CRM
        .replace("crm_upsert: auto", "crm_upsert: approve")
        .replace(" && policy_allows", "");
    let send = Step::Send(LEADS);
    vec![
        Scenario {
            steps: vec![
                send,
                Step::Work(1),
                Step::NothingSent,
                Step::Approve,
                Step::Work(4),
            ],
            ..plain("approved, then sent", approve)
        },
        Scenario {
            faults: vec![(On::Writes, status(400), 3)],
            steps: vec![send, Step::Work(2), Step::Redrive, Step::Work(4)],
            // What two stops take longer must not become a case that has waited for a person for too long.
            ..plain(
                "given up and sent again",
                TO_CRM.replace(
                    "automated: { sla: 3d }",
                    "automated: { sla: 3d }\n  needs_human: { sla: 3d }",
                ),
            )
        },
        Scenario {
            steps: vec![
                Step::Switch("action:crm_upsert", Some("hold")),
                send,
                Step::Work(2),
                Step::NothingSent,
                Step::Switch("action:crm_upsert", None),
                Step::Work(4),
            ],
            ..plain("a switch holds and is cleared", TO_CRM.into())
        },
        Scenario {
            steps: vec![
                Step::Switch("connection:crm", Some("cancel")),
                send,
                Step::Work(2),
                Step::NothingSent,
                Step::Switch("connection:crm", None),
                Step::Work(4),
                Step::NothingSent,
            ],
            ends: ("needs_human", Some(Cancelled)),
            writes: Some((0, 0)),
            ..plain("a switch cancels", TO_CRM.into())
        },
        Scenario {
            steps: vec![
                Step::Send(TICKETS),
                Step::Work(0),
                Step::Assign("bea"),
                Step::Command("needs_human", || CommandKind::Move("waiting".into())),
                Step::Command("waiting", || CommandKind::Move("needs_human".into())),
                Step::Command("needs_human", || CommandKind::Close),
                Step::Command("closed", || CommandKind::Reopen),
                Step::Work(0),
                Step::Command("needs_human", || CommandKind::Close),
            ],
            ends: ("closed", None),
            writes: None,
            goals: &[true, true],
            ..plain("moved, given, closed, opened again", DESK.into())
        },
    ]
}

/// Timers, the goal's clock, and models.
fn time_and_models() -> Vec<Scenario> {
    let slow = TO_CRM
        .replace("automated: { sla: 3d }", "automated: { sla: 2h }")
        .replace("valid_for: 1d", "valid_for: 6d");
    let files: &[(&str, &str)] = &[EXAMPLES, ACK];
    let with_ai = |name, yaml: String| Scenario {
        files,
        writes: None,
        ..plain(name, yaml)
    };
    vec![
        Scenario {
            faults: vec![(On::All, status(503), u32::MAX)],
            steps: vec![Step::Send(LEADS), Step::Work(3), Step::Heal, Step::Work(3)],
            ends: ("needs_human", Some(EffectState::Succeeded)),
            ..plain("too slow for the state", slow)
        },
        Scenario {
            steps: vec![
                Step::Send(TICKETS),
                Step::Work(1),
                Step::Command("needs_human", || CommandKind::Move("waiting".into())),
                Step::Work(3),
                Step::Command("waiting", || CommandKind::Move("needs_human".into())),
                Step::Work(8),
                Step::Command("needs_human", || CommandKind::Close),
            ],
            ends: ("closed", None),
            writes: None,
            goals: &[false],
            ..plain("the goal is missed", DESK.into())
        },
        Scenario {
            messages: 1,
            ..with_ai("model, record store and outbox", WITH_AI.into())
        },
        Scenario {
            files: &[EXAMPLES, ACK, GPT],
            ends: ("needs_human", None),
            ..with_ai(
                "a model that fails",
                WITH_AI.replace("model: local", "model: gpt"),
            )
        },
        Scenario {
            steps: vec![
                Step::Switch("model:local", Some("hold")),
                Step::Send(LEADS),
                Step::Work(2),
                Step::Switch("model:local", None),
                Step::Work(2),
            ],
            ends: ("needs_human", None),
            ..with_ai("a model that is switched off", WITH_AI.into())
        },
    ]
}
