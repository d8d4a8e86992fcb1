//! Three programs, built by hand: a lead with a model, a conditional write and messages; a ticket without a
//! model, with a table, escalation and a state of its own; an order whose transitions emit effects.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::effect::Class;
use tl_kernel::expr::{At, Expr, Node, Op, Piece, Template};
use tl_kernel::policy::{Policy, PolicyLine, When};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{
    Action, ActionKind, AiStep, BaseVersion, Branch, CellTest, Channel, DecisionDef, Edge, Emit,
    Endpoint, FieldDef, FieldFrom, Format, Goal, HitPolicy, Idempotency, Lock, Message, Mode,
    Observability, OnMatch, OnUnknown, Program, Queue, RecipientCheck, RecordType, RestWrite, Rule,
    RuleEffect, State, StateIx, Step, Table, TableRow, TaskRules, Threshold,
};
use tl_kernel::time::{DAY, HOUR, MINUTE};
use tl_kernel::value::{Type, Value};

fn at() -> At {
    At::default()
}

pub fn path(dotted: &str) -> Node {
    Node::Path {
        names: dotted.split('.').map(str::to_owned).collect(),
        at: at(),
    }
}

pub fn text(value: &str) -> Node {
    Node::Literal(Value::text(value), at())
}

pub fn call(op: Op, args: Vec<Node>) -> Node {
    Node::Call { op, args, at: at() }
}

pub fn expr(root: Node) -> Expr {
    Expr {
        source: "condition".into(),
        root,
    }
}

fn is(name: &str, value: &str) -> Node {
    call(Op::Eq, vec![path(name), text(value)])
}

pub fn sure() -> Node {
    call(Op::Ge, vec![path("confidence"), path("threshold")])
}

fn template(before: &str, name: &str) -> Template {
    Template {
        source: before.into(),
        parts: vec![Piece::Text(before.into()), Piece::Expr(expr(path(name)))],
    }
}

fn field(name: &str, ty: Type, from: FieldFrom) -> FieldDef {
    FieldDef {
        name: name.into(),
        ty,
        required: name == "email",
        control: false,
        untrusted: name == "note",
        paragraphs: name == "note",
        from,
        line: 1,
    }
}

fn state(ix: StateIx) -> State {
    let terminal = ix == CLOSED;
    State {
        name: NAMES[usize::from(ix)].into(),
        terminal,
        owner: format!("team{ix}"),
        sla: (!terminal).then_some(HOUR * i64::from(ix + 1)),
        warn_at: (ix == AUTOMATED).then_some(80),
        escalate: Vec::new(),
        on_breach: (!terminal).then_some(NEEDS_HUMAN),
        pause: false,
        line: 1,
    }
}

pub fn edge(from: StateIx, to: StateIx) -> Edge {
    Edge {
        from,
        to,
        owner: None,
        sla: None,
        emit: BTreeSet::from([Emit::SlaTimer, Emit::AuditLog]),
        line: 1,
    }
}

fn edges() -> Vec<Edge> {
    let all = [
        (PENDING, TRIAGED),
        (PENDING, CLOSED),
        (PENDING, NEEDS_HUMAN),
        (TRIAGED, AUTOMATED),
        (TRIAGED, NEEDS_HUMAN),
        (TRIAGED, CLOSED),
        (AUTOMATED, CLOSED),
        (AUTOMATED, NEEDS_HUMAN),
        (NEEDS_HUMAN, AUTOMATED),
        (NEEDS_HUMAN, CLOSED),
        (NEEDS_HUMAN, TRIAGED),
        (NEEDS_HUMAN, NEEDS_HUMAN),
        (CLOSED, TRIAGED),
    ];
    all.iter().map(|(a, b)| edge(*a, *b)).collect()
}

fn action(name: &str, kind: ActionKind, class: Class) -> Action {
    Action {
        name: name.into(),
        kind,
        class,
        on_unknown: OnUnknown::Hold,
        valid_for: DAY,
        line: 1,
    }
}

fn rest() -> ActionKind {
    ActionKind::Rest(RestWrite {
        connection: "crm".into(),
        method: "PUT".into(),
        path: template("/leads/", "record.email"),
        lock: Lock::IfMatch,
        base: BaseVersion::Declared("v0".into()),
        idempotency_header: None,
        map: vec![
            ("name".into(), expr(path("record.name"))),
            ("tier".into(), expr(path("record.tier"))),
        ],
    })
}

fn store() -> ActionKind {
    ActionKind::RecordStore {
        key: template("t-", "record.email"),
        map: vec![("name".into(), expr(path("record.name")))],
    }
}

fn mail() -> ActionKind {
    ActionKind::Message(Message {
        channel: Channel::Email,
        via: None,
        to: expr(path("record.email")),
        subject: Some(template("About ", "record.name")),
        body: template("Dear ", "record.name"),
        template_file: Some("templates/a.md".into()),
        check: Some(RecipientCheck::VerifiedSender),
    })
}

pub fn line(name: &str, auto: When, never: When) -> PolicyLine {
    PolicyLine {
        action: name.into(),
        auto,
        approve: Some("desk".into()),
        never,
        limit: None,
        quiet_hours: None,
        line: 7,
    }
}

pub fn branch(condition: Option<Node>, actions: Vec<Step>) -> Branch {
    Branch {
        condition: condition.map(expr),
        actions,
        reason: None,
        to: None,
        line: 9,
    }
}

fn ai() -> AiStep {
    AiStep {
        optional: true,
        when_state: TRIAGED,
        modes: BTreeSet::from([Mode::Classify]),
        model: "local".into(),
        classify: None,
        extract: Vec::new(),
        draft: None,
        summarize: None,
        output_confidence: true,
        output_fields: true,
        timeout: MINUTE,
    }
}

const CRM: Step = Step::Effect(0);
const REPLY: Step = Step::Effect(1);

/// The lead.
pub fn lead() -> Program {
    let intents = Type::Enum(["demo", "spam", "other"].map(str::to_owned).into());
    let map = ["email", "name", "vip", "note", "country"];
    Program {
        id: "lead".into(),
        version: "1".into(),
        correlation: None,
        goal: None,
        record: RecordType {
            name: "lead".into(),
            fields: vec![
                field("email", Type::Email, FieldFrom::Event),
                field("name", Type::Text, FieldFrom::Event),
                field("vip", Type::Bool, FieldFrom::Event),
                field("country", Type::Text, FieldFrom::Event),
                field("note", Type::Text, FieldFrom::Event),
                field("tier", Type::Text, FieldFrom::Rules),
                field("intent", intents, FieldFrom::Ai),
                field("received_at", Type::Time, FieldFrom::Engine),
                field("first_touched_at", Type::Time, FieldFrom::Engine),
                field("closed_at", Type::Time, FieldFrom::Engine),
            ],
            natural_keys: vec![template("", "record.email")],
            on_match: OnMatch::Join,
        },
        endpoints: vec![Endpoint {
            name: "in".into(),
            channel: Channel::Webhook,
            format: Format::Json,
            auth: Vec::new(),
            idempotency: Idempotency::Covered,
            schema: None,
            map: map
                .iter()
                .map(|n| ((*n).to_owned(), expr(path(&format!("event.{n}")))))
                .collect(),
            text: Some(expr(path("event.note"))),
            automatic: tl_kernel::program::OnAutomatic::Note,
            max_body: 1_000,
            line: 1,
        }],
        queue: Queue {
            name: "q".into(),
            payload: BTreeSet::new(),
        },
        states: (0..5).map(state).collect(),
        edges: edges(),
        rules_engine: true,
        tenant_flags: false,
        rules: vec![
            Rule {
                when: expr(path("record.vip")),
                effect: RuleEffect::Set(vec![("tier".into(), expr(text("gold")))]),
                line: 2,
            },
            Rule {
                when: expr(is("record.country", "XX")),
                effect: RuleEffect::NeedsHuman("embargo".into()),
                line: 3,
            },
            Rule {
                when: expr(is("record.name", "noreply")),
                effect: RuleEffect::Close("machine".into()),
                line: 4,
            },
        ],
        tables: Vec::new(),
        ai: Some(ai()),
        decision: DecisionDef {
            threshold: Threshold::Fixed(0.8),
            branches: vec![
                branch(Some(is("record.intent", "spam")), vec![Step::Close]),
                branch(
                    Some(call(Op::And, vec![sure(), path("policy_allows")])),
                    vec![CRM, Step::HandOff],
                ),
                branch(Some(sure()), vec![CRM, REPLY]),
                branch(Some(path("needs_human")), vec![Step::HumanQueue]),
                branch(None, vec![Step::Deny]),
            ],
        },
        policy: Policy {
            lines: vec![
                line("crm_upsert", When::Always, When::Unstated),
                line(
                    "reply",
                    When::If(expr(path("record.vip"))),
                    When::If(expr(is("record.intent", "other"))),
                ),
                line("domain_event", When::Always, When::Unstated),
            ],
        },
        tasks: TaskRules::default(),
        owners: BTreeSet::new(),
        actions: vec![
            action("crm_upsert", rest(), Class::E2),
            action("reply", mail(), Class::E4),
            action("domain_event", ActionKind::DomainEvent, Class::E0),
        ],
        settings: BTreeMap::new(),
        schedules: Vec::new(),
        observability: Observability { metrics: true },
    }
}

/// The ticket.
pub fn ticket() -> Program {
    let mut p = lead();
    p.id = "ticket".into();
    p.ai = None;
    p.record.on_match = OnMatch::Update;
    p.actions[0] = action("crm_upsert", store(), Class::E0);
    p.tasks.ask_missing = Some(1);
    p.tasks.slas.insert("missing".into(), 2 * HOUR);
    p.states[usize::from(NEEDS_HUMAN)].escalate =
        vec![(30 * MINUTE, "lead".into()), (HOUR, "boss".into())];
    p.states[usize::from(NEEDS_HUMAN)].warn_at = Some(50);
    let mut waiting = state(AUTOMATED);
    waiting.name = "waiting".into();
    waiting.pause = true;
    p.goal = Some(Goal {
        start: PENDING,
        end: CLOSED,
        sla: 2 * HOUR,
        owner: "boss".into(),
    });
    p.states.push(waiting);
    p.edges.extend([
        edge(TRIAGED, 5),
        edge(5, NEEDS_HUMAN),
        edge(5, CLOSED),
        edge(NEEDS_HUMAN, 5),
    ]);
    p.tables = vec![Table {
        file: "tier.csv".into(),
        hit: HitPolicy::First,
        inputs: vec![("country".into(), Type::Text)],
        outputs: vec!["tier".into()],
        rows: vec![
            TableRow {
                tests: vec![CellTest::OneOf(vec![Value::text("DE")])],
                values: vec![Value::text("silver")],
                line: 2,
            },
            TableRow {
                tests: vec![CellTest::Any],
                values: vec![Value::text("bronze")],
                line: 3,
            },
        ],
    }];
    let asks = call(
        Op::Gt,
        vec![
            call(Op::Size, vec![path("missing")]),
            Node::Literal(Value::Int(0), at()),
        ],
    );
    p.decision.branches = vec![
        branch(Some(asks), vec![Step::AskMissing]),
        branch(Some(path("needs_human")), vec![Step::HumanQueue]),
        branch(Some(path("record.vip")), vec![CRM, REPLY]),
        branch(Some(is("record.country", "FR")), vec![Step::Close]),
        branch(None, vec![Step::Deny]),
    ];
    p.decision.branches[3].to = Some(5);
    p
}

/// The order.
pub fn order() -> Program {
    let mut p = lead();
    p.id = "order".into();
    p.rules.truncate(1);
    for e in &mut p.edges {
        match (e.from, e.to) {
            (TRIAGED, AUTOMATED) => _ = e.emit.insert(Emit::CrmSync),
            (_, NEEDS_HUMAN) => _ = e.emit.insert(Emit::DomainEvent),
            (NEEDS_HUMAN, AUTOMATED) => e.sla = Some(5 * MINUTE),
            _ => {}
        }
    }
    p.decision.branches = vec![
        branch(Some(sure()), vec![REPLY, Step::HandOff]),
        branch(None, vec![Step::Deny, Step::HumanQueue]),
    ];
    p.policy.lines[0] = line("crm_upsert", When::Unstated, When::Unstated);
    p
}

/// All three.
pub fn programs() -> [Program; 3] {
    [lead(), ticket(), order()]
}
