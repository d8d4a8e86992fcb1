//! Frozen journals: bytes that a store may hold from any day on, what they mean, and the case they fold to.
//!
//! `tests/golden/journal.txt` holds sealed turns, each with the case after it; `turns` says what was sealed. Every kind
//! of entry and fact is among them. The file only grows:
//!
//! * A new kind of entry or fact: add a turn at the end of `turns`, then run this test with `TL_WRITE=1`. That appends
//!   what is not in the file yet and leaves the rest as it is. `entry_kind` does not compile before.
//! * A new field of a kind that is there: give it, in the old turns, the value that journals without it stand for. Where
//!   the test then says that a turn is written in another way today, write `grown` behind its number in the file: it is
//!   read for ever and never written so again. Add a turn that has the field.
//! * Anything else that makes the test fail changes what stored journals mean: undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use tl_kernel::case::{Case, fold_one};
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{
    Actor, Answered, Body, Decided, Entry, Fact, HEAD_VERSION, Head, PassedOver, Planned, Sealed,
    TimerKind, leaf_hash, open, seal,
};
use tl_kernel::policy::Verdict;
use tl_kernel::value::{Field, Label, Source, Value};

/// The frozen bytes.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal.txt");
const SEED: [u8; 16] = [9; 16];
/// Kinds of entries and of facts; their numbers are 0 to this.
const ENTRIES: u32 = 26;
const FACTS: u32 = 10;

/// What was sealed.
struct Frozen {
    /// Of the tenant's control stream: it belongs to no case.
    control: bool,
    at: i64,
    actor: Actor,
    entries: Vec<Entry>,
    facts: Vec<Fact>,
}

fn of_case(at: i64, actor: Actor, entries: Vec<Entry>, facts: Vec<Fact>) -> Frozen {
    Frozen {
        control: false,
        at,
        actor,
        entries,
        facts,
    }
}

/// All that is frozen, in the order of the file. Only add at the end.
fn turns() -> Vec<Frozen> {
    vec![
        opened(),
        triaged(),
        answered(),
        decided(),
        approved(),
        settled(),
        asked_again(),
        clocks(),
        control(),
    ]
}

fn opened() -> Frozen {
    let endpoint = Actor::Endpoint {
        name: "web".into(),
        kid: "web-1".into(),
    };
    let event = Entry::Event {
        n: 1,
        id: EventId([1; 16]),
        endpoint: "web".into(),
        key_source: "header".into(),
        matched_key: None,
        correlation: None,
    };
    let timer = |n, kind, due| Entry::TimerSet { n, kind, due };
    let entries = vec![
        Entry::Opened,
        event,
        Entry::FieldsSet { count: 10 },
        timer(1, TimerKind::Warn, 2_000),
        timer(2, TimerKind::Breach, 3_000),
        timer(3, TimerKind::Goal, 9_000),
    ];
    let mut facts = vec![
        Fact::Seed(SEED),
        Fact::Origin([2; 32]),
        Fact::Key([3; 32]),
        Fact::Message(Value::Record(BTreeMap::from([(
            "body".into(),
            Value::text("hello"),
        )]))),
    ];
    facts.extend(fields());
    of_case(1_000, endpoint, entries, facts)
}

/// A field of each kind of value, with each label and source.
fn fields() -> Vec<Fact> {
    use Label::{Config, Crm, Operator, Untrusted};
    let list = Value::List(vec![Value::Int(1), Value::text("zwei \u{1f600}")]);
    let proposed = |confidence: Option<u16>| Source::Model {
        ask: 2,
        confidence,
        span: confidence.map(|_| (3, 40)),
    };
    let record = BTreeMap::from([
        ("a".to_owned(), Value::Null),
        ("b".to_owned(), list.clone()),
    ]);
    let table = [
        ("null", Value::Null, Untrusted, Source::Event(1)),
        ("bool", Value::Bool(true), Untrusted, proposed(Some(812))),
        ("int", Value::Int(-70_000), Config, Source::Rule(3)),
        (
            "dec",
            Value::Dec("-2.50".parse().expect("a number")),
            Config,
            Source::Table(0, 4),
        ),
        ("float", Value::Float(0.25), Crm, Source::Crm("v5".into())),
        ("text", Value::text("Zoë"), Operator, Source::Person),
        (
            "time",
            Value::Time(1_795_365_600_123_456),
            Untrusted,
            proposed(None),
        ),
        ("dur", Value::Dur(-1), Config, Source::Engine),
        ("list", list, Untrusted, Source::Event(300)),
        ("record", Value::Record(record), Untrusted, Source::Event(1)),
    ];
    let set = |(name, value, label, source): (&str, Value, Label, Source)| {
        let field = Field {
            value,
            label,
            source,
        };
        Fact::Set(name.to_owned(), field)
    };
    table.map(set).into()
}

fn triaged() -> Frozen {
    let entries = vec![
        Entry::Rule { rule: 0, line: 12 },
        Entry::TableRow { table: 1, line: 3 },
        Entry::TableMiss { table: 2 },
        Entry::LeftOut {
            part: "phone".into(),
            why: "is no phone number".into(),
        },
        Entry::NotEvaluated {
            part: "set tier".into(),
            line: 14,
            why: "a division by zero".into(),
        },
        Entry::Moved {
            from: 0,
            to: 1,
            reason: "triaged".into(),
            owner: "operators".into(),
            due: Some(4_000),
        },
        Entry::Assigned {
            owner: "emea".into(),
            reason: "rule".into(),
        },
        Entry::Asked {
            n: 1,
            model: "local".into(),
        },
        Entry::AskFailed {
            n: 1,
            reason: "timeout".into(),
            said: None,
        },
        Entry::Asked {
            n: 2,
            model: "local".into(),
        },
    ];
    of_case(1_100, Actor::Engine, entries, Vec::new())
}

fn answer(n: u32, confidence: Option<u16>) -> Answered {
    Answered {
        n,
        model: "local-1".into(),
        prompt: [4; 32],
        input: [5; 32],
        output: [6; 32],
        confidence,
        tokens: (70, 8),
        took: 900,
        repairs: 1,
    }
}

fn answered() -> Frozen {
    let entries = vec![Entry::Answered(answer(2, Some(955)))];
    let facts = vec![Fact::Proposal(Value::text("demo"))];
    of_case(1_200, Actor::Model("local".into()), entries, facts)
}

/// One effect in each state, the classes and verdicts in turn.
fn decided() -> Frozen {
    use Class::{E0, E1, E2, E3, E4, E5};
    let classes = [E0, E1, E2, E3, E4, E5];
    let verdicts = [Verdict::Auto, Verdict::Approve, Verdict::Never];
    let plan = |(i, state): (usize, EffectState)| {
        let n = 3 + i as u32;
        Entry::Planned(Planned {
            n,
            action: i as u16,
            name: format!("action{i}"),
            class: classes[i % classes.len()],
            verdict: verdicts[i % verdicts.len()],
            line: 20,
            digest: [n as u8; 32],
            state,
            replaces: (i == 10).then_some(3),
            unvouched: i == 9,
        })
    };
    let passed_over = PassedOver {
        branch: 0,
        line: 30,
        because: vec!["confidence >= threshold: 0.5 is below 0.8".into()],
    };
    let mut entries = vec![Entry::Decided(Decided {
        branch: 1,
        line: 31,
        confidence: Some(955),
        threshold: 800,
        policy_allows: true,
        needs_human: vec!["unsure".into(), "rule".into()],
        passed_over: vec![passed_over],
        error: Some("a division by zero".into()),
    })];
    entries.extend(EffectState::ALL.into_iter().enumerate().map(plan));
    let task = |n, kind: &str, effect| Entry::TaskOpened {
        n,
        kind: kind.into(),
        owner: "desk".into(),
        reason: "policy".into(),
        due: Some(5_000),
        effect,
    };
    entries.push(task(1, "approve", Some(3)));
    entries.push(task(2, "review", None));
    let args = BTreeMap::from([("to".to_owned(), Value::text("ada@example.com"))]);
    let facts = vec![Fact::Args(3, Value::Record(args))];
    of_case(1_300, Actor::Engine, entries, facts)
}

fn approved() -> Frozen {
    let closed = |n, decision: &str| Entry::TaskClosed {
        n,
        decision: decision.into(),
        reason: "checked".into(),
    };
    let entries = vec![
        closed(1, "approve"),
        Entry::Approved {
            n: 3,
            digest: [3; 32],
        },
        closed(2, "edit"),
    ];
    let facts = vec![Fact::Note("known since 2019".into())];
    of_case(1_400, Actor::Person("bob".into()), entries, facts)
}

fn settled() -> Frozen {
    let settle = |n, state, (code, evidence): (&str, &str)| Entry::Settled {
        n,
        state,
        attempts: 2,
        code: code.into(),
        evidence: evidence.into(),
    };
    let entries = vec![
        settle(3, EffectState::Succeeded, ("", "answer")),
        settle(4, EffectState::Superseded, ("conflict", "read")),
        Entry::Conflict {
            n: 4,
            round: 1,
            kept: 2,
        },
        settle(5, EffectState::Uncertain, ("in_doubt", "none")),
    ];
    let theirs = BTreeMap::from([("name".to_owned(), Value::text("Theirs"))]);
    let seen = |n, values| Fact::Seen {
        n,
        version: "v7".into(),
        values,
    };
    let facts = vec![
        Fact::VendorRef(3, "ref-1".into()),
        seen(4, Some(Value::Record(theirs))),
        seen(5, None),
    ];
    of_case(1_500, Actor::ApiKey("key-1".into()), entries, facts)
}

fn asked_again() -> Frozen {
    let event = Entry::Event {
        n: 2,
        id: EventId([8; 16]),
        endpoint: "mail".into(),
        key_source: "message_id".into(),
        matched_key: Some(0),
        correlation: Some("other".into()),
    };
    let entries = vec![
        event,
        Entry::Asked {
            n: 14,
            model: "large".into(),
        },
        Entry::AskFailed {
            n: 14,
            reason: "invalid".into(),
            said: Some(Box::new(answer(14, None))),
        },
    ];
    of_case(1_600, Actor::Engine, entries, Vec::new())
}

fn clocks() -> Frozen {
    let ended = |n, fired| Entry::TimerEnded { n, fired };
    let entries = vec![
        ended(1, true),
        ended(2, false),
        Entry::Sla {
            state: 1,
            met: false,
            due: 4_000,
        },
        Entry::TimerSet {
            n: 4,
            kind: TimerKind::Escalate(2),
            due: 7_000,
        },
        ended(3, true),
        Entry::Goal {
            met: false,
            due: 9_000,
        },
    ];
    of_case(9_500, Actor::Operator("root".into()), entries, Vec::new())
}

fn control() -> Frozen {
    let entries = vec![
        Entry::Control {
            action: "kill.set".into(),
            object: "everything".into(),
            detail: "hold: drill".into(),
        },
        Entry::Refused {
            action: "task".into(),
            code: "TL0722".into(),
        },
    ];
    let mut frozen = of_case(9_600, Actor::Operator("ops".into()), entries, Vec::new());
    frozen.control = true;
    frozen
}

/// The field number of an entry: what is not here is not frozen.
fn entry_kind(entry: &Entry) -> u32 {
    match entry {
        Entry::Opened => 0,
        Entry::Event { .. } => 1,
        Entry::FieldsSet { .. } => 2,
        Entry::Rule { .. } => 3,
        Entry::TableRow { .. } => 4,
        Entry::TableMiss { .. } => 5,
        Entry::Moved { .. } => 6,
        Entry::Assigned { .. } => 7,
        Entry::Asked { .. } => 8,
        Entry::Answered(_) => 9,
        Entry::AskFailed { .. } => 10,
        Entry::Decided(_) => 11,
        Entry::Planned(_) => 12,
        Entry::Approved { .. } => 13,
        Entry::Settled { .. } => 14,
        Entry::TaskOpened { .. } => 15,
        Entry::TaskClosed { .. } => 16,
        Entry::TimerSet { .. } => 17,
        Entry::TimerEnded { .. } => 18,
        Entry::Sla { .. } => 19,
        Entry::Refused { .. } => 20,
        Entry::Control { .. } => 21,
        Entry::Conflict { .. } => 22,
        Entry::Goal { .. } => 23,
        Entry::LeftOut { .. } => 24,
        Entry::NotEvaluated { .. } => 25,
    }
}

/// The field number of a fact.
fn fact_kind(fact: &Fact) -> u32 {
    match fact {
        Fact::Seed(_) => 0,
        Fact::Set(..) => 1,
        Fact::Args(..) => 2,
        Fact::Note(_) => 3,
        Fact::Proposal(_) => 4,
        Fact::Seen { .. } => 5,
        Fact::VendorRef(..) => 6,
        Fact::Key(_) => 7,
        Fact::Origin(_) => 8,
        Fact::Message(_) => 9,
    }
}

/// A block of the file.
#[derive(Default)]
struct Block {
    /// It is written in another way today.
    grown: bool,
    /// Its parts by name: the lines, put together.
    parts: BTreeMap<String, String>,
}

impl Block {
    fn bytes(&self, part: &str) -> Vec<u8> {
        let hex = self.parts[part].replace('\n', "");
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("hexadecimal digits");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn sealed(&self, seq: u32) -> Sealed {
        let head = self.bytes("head");
        Sealed {
            seq,
            leaf: leaf_hash(&head),
            head,
            body: Some(self.bytes("body")),
        }
    }
}

/// The blocks of the file: a line at the edge begins a part, `turn` begins a block.
fn read(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut part = String::new();
    for line in text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        if let Some(content) = line.strip_prefix("  ") {
            let block = blocks.last_mut().expect("a block before its lines");
            let lines = block.parts.entry(part.clone()).or_default();
            lines.push_str(content);
            lines.push('\n');
        } else if line.starts_with("turn ") {
            let grown = line.ends_with(" grown");
            let parts = BTreeMap::new();
            blocks.push(Block { grown, parts });
        } else {
            part = line.to_owned();
        }
    }
    blocks
}

/// What the case says after a turn, without what says nothing: a part of the case that comes later leaves the lines of
/// earlier turns as they are.
fn summary(case: &Case) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &dyn Debug, usual: &str| {
        let text = format!("{value:?}");
        if text != usual {
            let _ = writeln!(out, "{name}: {text}");
        }
    };
    line("seq", &case.seq, "0");
    line("definition", &case.definition, "0");
    line("correlation", &case.correlation, "\"\"");
    line("origin", &case.origin[0], "0");
    line("state", &case.state, "0");
    line("owner", &case.owner, "\"\"");
    line("reason", &case.reason, "\"\"");
    let times = (case.opened_at, case.entered_at, case.updated_at);
    line("opened, entered, updated", &times, "");
    line("due", &case.due, "None");
    line("breached", &case.breached, "false");
    line("vouched", &case.vouched, "false");
    line("unevaluated", &case.unevaluated, "false");
    line("routed", &case.routed, "None");
    line("goal", &case.goal, "NotStarted");
    line("timer_count", &case.timer_count, "0");
    line("message", &case.message, "None");
    line("ai", &case.ai, "NotAsked");
    for e in &case.events {
        line("event", &(e.id.0[0], &e.endpoint, e.at), "");
    }
    for (name, f) in &case.record {
        let field = (&f.value, f.label, &f.source);
        line(&format!("record.{name}"), &field, "");
    }
    for (n, ask) in &case.asks {
        line(&format!("ask {n}"), ask, "");
    }
    for (n, e) in &case.effects {
        let what = (&e.name, e.action, e.class, e.verdict, e.line, e.digest[0]);
        line(&format!("effect {n}"), &what, "");
        let became = (e.state, e.approved, &e.code, &e.vendor_ref, &e.args);
        line(&format!("effect {n} became"), &became, "");
    }
    for (n, t) in &case.tasks {
        let what = (&t.kind, &t.owner, &t.reason, t.due, t.effect, t.opened_at);
        line(&format!("task {n}"), &what, "");
        line(&format!("task {n} closed"), &t.closed, "None");
    }
    for (n, timer) in &case.timers {
        line(&format!("timer {n}"), timer, "");
    }
    for (action, seen) in &case.seen {
        let what = (&seen.version, &seen.values);
        line(&format!("seen by {action}"), &what, "");
    }
    for key in &case.keys {
        line("key", &key[0], "");
    }
    for (action, round) in &case.conflicts {
        line(&format!("conflicts of {action}"), round, "");
    }
    out
}

/// The head of a turn, after a case.
fn head(frozen: &Frozen, case: &Case) -> Head {
    let (id, seq, prev) = match frozen.control {
        true => (CaseId::CONTROL, 0, [0; 32]),
        false => (case.id, case.seq + 1, case.last_leaf),
    };
    Head {
        v: HEAD_VERSION,
        tenant: case.tenant.0,
        case: id,
        seq,
        prev,
        at: frozen.at,
        actor: frozen.actor.clone(),
        correlation: "corr-1".into(),
        definition: 4,
        policy: 5,
        entries: frozen.entries.clone(),
        body: [0; 32],
    }
}

/// The lines of a part.
fn part(name: &str, text: &str) -> String {
    let lines: String = text.lines().map(|l| format!("  {l}\n")).collect();
    format!("{name}\n{lines}")
}

fn hex(bytes: &[u8]) -> String {
    const WIDTH: usize = 48;
    let line = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(WIDTH).map(line).collect()
}

/// The block of a turn as it is sealed today.
fn block(number: usize, sealed: &Sealed, after: &str) -> String {
    let body = sealed.body.as_deref().unwrap_or_default();
    format!(
        "\nturn {number}\n{}{}{}",
        part("head", &hex(&sealed.head)),
        part("body", &hex(body)),
        part("case", after)
    )
}

#[test]
fn a_frozen_journal_means_what_it_meant() {
    let turns = turns();
    let text = std::fs::read_to_string(FILE).expect("the frozen journal");
    let blocks = read(&text);
    let mut case = Case::new(TenantId(3), CaseId([7; 16]), 0);
    let mut new = String::new();
    for (i, frozen) in turns.iter().enumerate() {
        let number = i + 1;
        let mut want = head(frozen, &case);
        let facts = Body {
            facts: frozen.facts.clone(),
        };
        let today = seal(want.clone(), &facts, &SEED);
        let stored = blocks.get(i).map(|b| b.sealed(want.seq));
        let sealed = stored.as_ref().unwrap_or(&today);
        let (real, body) = open(sealed).expect("a frozen turn opens");
        want.body = real.body;
        assert_eq!(real, want, "the head of turn {number} means something else");
        assert_eq!(
            body,
            Some(facts),
            "the body of turn {number} means something else"
        );
        if !frozen.control {
            fold_one(&mut case, sealed).expect("a frozen turn folds");
        }
        let after = summary(&case);
        match blocks.get(i) {
            None => new += &block(number, &today, &after),
            Some(b) => {
                assert_eq!(
                    after, b.parts["case"],
                    "turn {number} folds to another case"
                );
                assert_eq!(
                    *sealed == today,
                    !b.grown,
                    "how turn {number} is written today"
                );
            }
        }
    }
    assert!(blocks.len() <= turns.len(), "a frozen turn was taken out");
    if std::env::var_os("TL_WRITE").is_some() {
        std::fs::write(FILE, text + &new).expect("the frozen journal can be written");
    } else {
        assert!(new.is_empty(), "not frozen yet, TL_WRITE=1 adds it:\n{new}");
    }
}

#[test]
fn every_kind_is_frozen() {
    let turns = turns();
    let entries = turns.iter().flat_map(|t| &t.entries).map(entry_kind);
    let facts = turns.iter().flat_map(|t| &t.facts).map(fact_kind);
    assert_eq!(entries.collect::<BTreeSet<_>>(), (0..ENTRIES).collect());
    assert_eq!(facts.collect::<BTreeSet<_>>(), (0..FACTS).collect());
}
