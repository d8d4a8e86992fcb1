//! Whoever sees only the screen can name the cause and the next command.

mod stopped;

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_engine::tenant::Bundle;
use tl_kernel::case::{Case, CaseEffect, CaseEvent, CaseTask};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, EventId, TenantId};
use tl_kernel::journal::{
    Actor, Body, Decided, Entry, Fact, HEAD_VERSION, Head, PassedOver, Planned,
};
use tl_kernel::policy::Verdict;
use tl_kernel::program::{Program, canonical};
use tl_kernel::turn::EffectKind;
use tl_kernel::value::{Field, Label, Source, Value};
use tl_lang::Project;
use tl_store::contract::{Attempt, DuplicateRow, EffectRow};

use super::{Material, build, render};

const ID: CaseId = CaseId([7; 16]);
const NOW: i64 = 1_795_365_600_000_000;

const WORKFLOW: &str = "\
workflow: { id: lead, version: \"3\" }
ingress: { channels: [form] }
worker:
  ai_step: { modes: [classify], classify: { field: intent, model: local } }
record:
  type: lead
  natural_key: \"${record.email}\"
  fields:
    email: { type: email, required: true }
    intent: { type: enum, values: [buy, spam], from: ai }
decision:
  threshold: 0.9
  branches:
    - condition: confidence >= threshold && policy_allows
      action: crm_upsert
    - default: deny
";

fn bundle() -> Arc<Bundle> {
    bundle_with(|_| ())
}

fn bundle_with(change: impl FnOnce(&mut Program)) -> Arc<Bundle> {
    let mut project = Project::default();
    project
        .files
        .insert("workflows/lead/workflow.yaml".into(), WORKFLOW.into());
    let loaded = tl_lang::load(&project, "lead");
    let mut program = loaded
        .program
        .unwrap_or_else(|| panic!("{:?}", loaded.diags));
    change(&mut program);
    Arc::new(Bundle::new(program, project, [0xab; 32]))
}

fn material() -> Material {
    let mut case = Case::new(TenantId(1), ID, 3);
    case.owner = "operators".into();
    case.state = canonical::AUTOMATED;
    case.correlation = "corr-1".into();
    Material {
        tenant: "default".into(),
        case,
        turns: Vec::new(),
        bundle: bundle(),
        effects: Vec::new(),
        attempts: BTreeMap::new(),
        duplicates: BTreeMap::new(),
        connections: BTreeMap::new(),
        switches: Vec::new(),
        history: Vec::new(),
        also_held: 0,
        now: NOW,
    }
}

impl Material {
    fn turn(mut self, actor: Actor, entries: Vec<Entry>, facts: Vec<Fact>) -> Material {
        let head = Head {
            v: HEAD_VERSION,
            tenant: 1,
            case: ID,
            seq: self.turns.len() as u32 + 1,
            prev: [0; 32],
            at: NOW,
            actor,
            correlation: "corr-1".into(),
            definition: 3,
            policy: 3,
            entries,
            body: [0; 32],
        };
        self.turns.push((head, Some(Body { facts })));
        self
    }

    fn effect(mut self, state: EffectState, hold: &str, code: &str) -> Material {
        let planned = Planned {
            n: 1,
            action: 0,
            name: "crm_upsert".into(),
            class: Class::E2,
            verdict: Verdict::Auto,
            line: 0,
            digest: [1; 32],
            state: EffectState::Ready,
            replaces: None,
            unvouched: false,
        };
        self.case.effects.insert(1, case_effect(state));
        self.effects.push(effect_row(state, hold, code));
        self.turn(Actor::Engine, vec![Entry::Planned(planned)], Vec::new())
    }

    fn task(mut self, kind: &str, reason: &str) -> Material {
        let task = CaseTask {
            kind: kind.into(),
            owner: "operators".into(),
            reason: reason.into(),
            due: Some(NOW - 60_000_000),
            effect: None,
            closed: None,
            opened_at: NOW,
        };
        self.case.state = canonical::NEEDS_HUMAN;
        self.case.tasks.insert(1, task);
        self
    }

    fn decided(self, d: Decided) -> Material {
        self.turn(Actor::Engine, vec![Entry::Decided(d)], Vec::new())
    }
}

/// A file that was deployed before the word was refused, and a word that means something else to the engine.
#[test]
fn a_reason_of_the_file_is_shown_as_the_file_s() {
    let moved = |to, reason: &str| Entry::Moved {
        from: canonical::TRIAGED,
        to,
        reason: reason.into(),
        owner: "operators".into(),
        due: None,
    };
    let opened = |reason: &str| Entry::TaskOpened {
        n: 1,
        kind: "review".into(),
        owner: "operators".into(),
        reason: reason.into(),
        due: None,
        effect: None,
    };
    let own = "the sender gave what was missing";
    for (by_file, by) in [
        (true, Actor::Engine),
        (true, Actor::Person("anna".into())),
        (false, Actor::Engine),
    ] {
        for to in [canonical::NEEDS_HUMAN, canonical::CLOSED] {
            let mut m = material();
            m.bundle = bundle_with(|p| {
                p.decision.branches[1].reason = by_file.then(|| "answered".into());
            });
            if to == canonical::NEEDS_HUMAN {
                m = m.task("review", "answered");
            }
            (m.case.state, m.case.reason) = (to, "answered".into());
            let decided = Entry::Decided(default_branch(None, &[], true, "policy_allows"));
            let entries = vec![decided, opened("answered"), moved(to, "answered")];
            let screen = render(&build(&m.turn(by.clone(), entries, Vec::new())));
            let given = screen.contains("reason `answered`, workflows/lead/workflow.yaml:16");
            assert_eq!(
                (given, screen.contains(own)),
                (by_file, !by_file),
                "{screen}"
            );
        }
    }
}

fn case_effect(state: EffectState) -> CaseEffect {
    CaseEffect {
        name: "crm_upsert".into(),
        action: 0,
        class: Class::E2,
        verdict: Verdict::Auto,
        line: 0,
        digest: [1; 32],
        state,
        args: None,
        approved: false,
        replaces: None,
        code: String::new(),
        planned_at: NOW,
        vendor_ref: None,
    }
}

fn effect_row(state: EffectState, hold: &str, code: &str) -> EffectRow {
    EffectRow {
        tenant: TenantId(1),
        effect: EffectId { case: ID, n: 1 },
        kind: EffectKind::Effect,
        workflow: "lead".into(),
        definition: 3,
        correlation: "corr-1".into(),
        action: "crm_upsert".into(),
        connection: "crm".into(),
        class: Class::E2,
        state,
        due: NOW + 30_000_000,
        valid_until: NOW + 90_000_000,
        hold: hold.into(),
        args: Vec::new(),
        digest: [1; 32],
        key: [2; 32],
        base_version: None,
        attempt: 1,
        claim: None,
        first_send: None,
        planned_at: NOW,
        updated_at: NOW,
        code: code.into(),
        vendor_ref: None,
        crashes: 0,
    }
}

fn default_branch(
    confidence: Option<u16>,
    needs_human: &[&str],
    policy_allows: bool,
    failed: &str,
) -> Decided {
    Decided {
        branch: 1,
        line: 16,
        confidence,
        threshold: 900,
        policy_allows,
        needs_human: needs_human.iter().map(|s| (*s).to_owned()).collect(),
        passed_over: vec![PassedOver {
            branch: 0,
            line: 14,
            because: vec![failed.to_owned()],
        }],
        error: None,
    }
}

fn without_connection() -> Material {
    let mut m = material().effect(EffectState::Ready, "connection", "no_connection");
    m.connections.insert(
        "crm".into(),
        "set the environment variable CRM_TOKEN".into(),
    );
    m
}

fn with_attempts() -> Material {
    let mut m = material().effect(EffectState::Uncertain, "", "no_answer_in_time");
    let attempt = Attempt {
        effect: EffectId { case: ID, n: 1 },
        n: 1,
        at: NOW,
        took: 30_000_000,
        knowledge: "unknown".into(),
        status: 0,
        code: "no_answer_in_time".into(),
        detail: String::new(),
    };
    m.attempts.insert(1, vec![attempt]);
    m
}

fn conflict() -> Material {
    let seen = Value::Record(BTreeMap::from([("phone".to_owned(), Value::text("+491"))]));
    material().effect(EffectState::Ready, "", "").turn(
        Actor::Engine,
        vec![Entry::Conflict {
            n: 1,
            round: 1,
            kept: 1,
        }],
        vec![Fact::Seen {
            n: 1,
            version: "v7".into(),
            values: Some(seen),
        }],
    )
}

fn duplicate() -> Material {
    let id = EventId([7; 16]);
    let event = Entry::Event {
        n: 1,
        id,
        endpoint: "form".into(),
        key_source: "header_and_body".into(),
        matched_key: Some(0),
        correlation: None,
    };
    let mut m = material();
    m.duplicates.insert(
        id,
        DuplicateRow {
            count: 3,
            variants: vec![([0; 32], NOW)],
        },
    );
    m.turn(Actor::Engine, vec![event], Vec::new())
}

/// A second message that found the case in a state and moved nothing.
fn joined(state: u16) -> Material {
    let event = Entry::Event {
        n: 2,
        id: EventId([8; 16]),
        endpoint: "form".into(),
        key_source: "header_and_body".into(),
        matched_key: Some(0),
        correlation: None,
    };
    let mut m = material().turn(Actor::Engine, vec![event], Vec::new());
    m.case.state = state;
    m
}

#[test]
fn cause_and_next_command_stand_on_the_screen() {
    let table: Vec<(Material, &[&str])> = vec![
        (
            material().task("approve", "policy"),
            &[
                "operators must approve or reject what would be sent",
                "the policy asks for an approval",
                "task show task_",
            ],
        ),
        (
            joined(canonical::CLOSED),
            &["in `closed` rules, tables and the decision do not run again"],
        ),
        (
            joined(canonical::AUTOMATED),
            &["nothing is written again: no field changed with it"],
        ),
        (
            joined(canonical::NEEDS_HUMAN),
            &["a person decides the open task with it"],
        ),
        (
            material().task("review", "policy_never"),
            &["Approving changes nothing", " close --reason REASON"],
        ),
        (
            material().task("review", "unsure"),
            &["VALUE is one of buy, spam", "edit --set intent=VALUE"],
        ),
        (
            material().task("review", "denied").decided(default_branch(
                Some(950),
                &[],
                false,
                "policy_allows (false)",
            )),
            &[
                "the decision denies it",
                "policy_allows is false",
                "failed: policy_allows (false)",
                "throughline task show task_",
            ],
        ),
        (
            material().effect(EffectState::Ready, "kill:connection:crm", ""),
            &[
                "held by the switch `connection:crm`",
                "throughline kill clear connection:crm --reason",
            ],
        ),
        (
            material().task("exception", "goal_missed").turn(
                Actor::Engine,
                vec![Entry::Goal {
                    met: false,
                    due: NOW,
                }],
                Vec::new(),
            ),
            &[
                "the time of the goal has passed (goal_missed)",
                "the goal was breached (due ",
                "accept --reason REASON",
            ],
        ),
        (
            conflict(),
            &[
                "conflict (round 1)",
                "kept as the other side had it",
                "it held version v7 then: phone = +491",
            ],
        ),
        (
            material().task("review", "unsure").decided(default_branch(
                Some(610),
                &["unsure"],
                true,
                "confidence >= threshold",
            )),
            &[
                "its confidence is 0.61, and 0.9 is asked for (`threshold`, workflows/lead/workflow.yaml:12)",
                "confidence 0.61 < threshold 0.9",
                "the branch at workflows/lead/workflow.yaml:14 is taken: crm_upsert",
                "task decide task_",
                "late",
            ],
        ),
        (
            material()
                .task("review", "ai_off")
                .turn(
                    Actor::Engine,
                    vec![Entry::AskFailed {
                        n: 1,
                        reason: "off".into(),
                        said: None,
                    }],
                    Vec::new(),
                )
                .decided(default_branch(
                    None,
                    &["ai_off"],
                    true,
                    "confidence >= threshold",
                )),
            &[
                "AI is switched off",
                "no confidence, which is below every threshold",
            ],
        ),
        (
            duplicate(),
            &[
                "it came again 3 times, 1 of them with other content under the same key",
                "its natural key `${record.email}` is the same",
            ],
        ),
        (
            material().effect(EffectState::Expired, "", "expired"),
            &[
                "has expired: it was not sent within the 1m30s",
                "throughline case reopen case_",
            ],
        ),
        (
            material().effect(EffectState::Dead, "", "poison"),
            &[
                "`crm_upsert` was given up",
                "too often",
                "throughline dead redrive eff_",
            ],
        ),
        (
            with_attempts(),
            &[
                "nobody knows whether `crm_upsert` happened in `crm`: no answer came in time",
                "attempt 1 at",
                "effect resolve eff_",
                "happened --reason",
                "send-again --reason",
                "drop --reason",
            ],
        ),
        (
            without_connection(),
            &[
                "has not been sent: set the environment variable CRM_TOKEN",
                "supply what is missing, or correct what names it and run `throughline deploy`",
            ],
        ),
        (
            material(),
            &["nothing is open", "throughline case close case_"],
        ),
        (
            material().effect(EffectState::Ready, "retry", "connect_refused"),
            &["is tried again in 30s: nobody listens at the address"],
        ),
        (
            material().effect(EffectState::Ready, "breaker", "connect_refused"),
            &[
                "fails too often; one attempt a second",
                "the last attempt: nobody listens at the address",
                "see that the system behind `crm` runs; it goes by itself",
                "looked at again in 30s",
                "throughline effect show eff_",
            ],
        ),
        (
            material().effect(EffectState::Ready, "credential", "credential_refused"),
            &[
                "does not accept the credential (credential)",
                "give `crm` a credential that it accepts",
                "throughline effect show eff_",
            ],
        ),
        (
            material().effect(EffectState::Ready, "permission", "not_permitted"),
            &[
                "does not permit it",
                "have what `crm` may do put right there",
            ],
        ),
        (
            material().effect(EffectState::Ready, "retry_budget", "http_503"),
            &[
                "too many attempts on this connection are repeated",
                "the last attempt: the other system says that it is not available (http_503)",
                "throughline effect show eff_",
            ],
        ),
        (
            material().effect(EffectState::Ready, "throttled", ""),
            &["asks for fewer requests", "it goes by itself"],
        ),
        (
            material().effect(EffectState::Ready, "vendor_pause", "retry_after_too_long"),
            &["a pause of more than a day", "ask who runs the system"],
        ),
    ];
    for (m, parts) in table {
        let screen = render(&build(&m));
        for part in parts {
            assert!(screen.contains(part), "`{part}` in\n{screen}");
        }
        for always in [
            "lead@3, deployed as number 3",
            "corr-1",
            "operators",
            "next ",
        ] {
            assert!(screen.contains(always), "`{always}` in\n{screen}");
        }
    }
}

#[test]
fn every_field_says_where_it_comes_from() {
    let mut m = material();
    m.case.message = Some(Value::Record(BTreeMap::from([(
        "text".to_owned(),
        Value::text("call Dana\u{202e} now"),
    )])));
    m.case.asks.insert(1, ("local".into(), false));
    m.case.events.push(CaseEvent {
        id: EventId([7; 16]),
        endpoint: "form".into(),
        at: NOW,
    });
    let field = |source| Field {
        value: Value::text("x"),
        label: Label::Untrusted,
        source,
    };
    let table = [
        (Source::Event(1), "message 1: event.body.email"),
        (
            Source::Model {
                ask: 1,
                confidence: Some(930),
                span: Some((5, 9)),
            },
            "model local, confidence 0.93, bytes 5 to 9: \"Dana\"",
        ),
        (Source::Person, "a person"),
        (Source::Crm("v7".into()), "the system of record, version v7"),
        (Source::Engine, "the engine"),
    ];
    for (source, want) in table {
        m.case.record.insert("email".into(), field(source));
        let screen = render(&build(&m));
        assert!(screen.contains(want), "{want} in\n{screen}");
        assert!(
            !screen.contains('\u{202e}'),
            "direction overrides are not obeyed"
        );
    }
    // A text with pages is pointed into page by page.
    m.case.message = Some(Value::Record(BTreeMap::from([
        ("text".to_owned(), Value::text("one\n\u{c}\ncall Dana")),
        (
            "documents".to_owned(),
            Value::List(vec![Value::Record(BTreeMap::from([
                ("name".to_owned(), Value::text("scan.pdf")),
                ("error".to_owned(), Value::text("TL1103")),
                (
                    "reason".to_owned(),
                    Value::text("it has no text in it: a scan, or a picture"),
                ),
            ]))]),
        ),
    ])));
    let span = Some((11, 15));
    let source = Source::Model {
        ask: 1,
        confidence: None,
        span,
    };
    m.case.record.insert("email".into(), field(source));
    let screen = render(&build(&m));
    assert!(
        screen.contains("page 2, bytes 5 to 9: \"Dana\""),
        "{screen}"
    );
    assert!(
        screen.contains("(scan.pdf)") && screen.contains("TL1103"),
        "{screen}"
    );
    m.case.record.clear();
    assert!(render(&build(&m)).contains("missing (required)"));
}
