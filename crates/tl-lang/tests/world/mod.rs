//! Programs for the tests of the proofs, built without files: a base that every proof passes, a small random
//! number generator, and random variations of the base.
#![allow(dead_code, reason = "each test binary uses its part")]

mod small;

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::case::Case;
use tl_kernel::effect::Class;
use tl_kernel::expr::{Expr, Template};
use tl_kernel::journal::Entry;
use tl_kernel::policy::{Limit, LimitScope, Policy, PolicyLine, Verdict, When};
use tl_kernel::program::canonical::{AUTOMATED, CLOSED, NAMES, NEEDS_HUMAN, PENDING, TRIAGED};
use tl_kernel::program::{
    Action, ActionIx, ActionKind, AiStep, BaseVersion, Branch, Channel, Classify, DecisionDef,
    Edge, Emit, Endpoint, FieldDef, FieldFrom, Format, Goal, Idempotency, Lock, Message, Mode,
    Observability, OnMatch, OnUnknown, Program, Queue, RecipientCheck, RecordType, RestWrite, Rule,
    RuleEffect, State, StateIx, Step, TaskRules, Threshold, Unanswered, WhenUnanswered,
};
use tl_kernel::time::{DAY, HOUR};
use tl_kernel::value::Type;
use tl_lang::cel::{Schema, compile, compile_template};
use tl_lang::proof::{Claim, CounterExample};

/// The intents of the base record.
pub const INTENTS: [&str; 3] = ["a", "b", "c"];

/// xorshift64*, so that a seed gives the same programs everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// True in so many of a hundred cases.
    pub fn share(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What the policy of a generated program says about an action; the test reads it without the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    Auto,
    AutoIfVip,
    Approve,
    Never,
    NeverIfC,
}

fn schema() -> Schema {
    let one_of = |v: &[&str]| Type::Enum(v.iter().map(|s| (*s).to_owned()).collect());
    let record = BTreeMap::from([
        ("email".to_owned(), Type::Email),
        ("name".to_owned(), Type::Text),
        ("vip".to_owned(), Type::Bool),
        ("budget".to_owned(), Type::Int),
        ("note".to_owned(), Type::Text),
        ("tier".to_owned(), Type::Text),
        ("intent".to_owned(), one_of(&INTENTS)),
    ]);
    let root = [
        ("record", Type::Record(record)),
        ("event", Type::Any),
        ("flags", Type::Any),
        ("confidence", Type::Float),
        ("threshold", Type::Float),
        ("policy_allows", Type::Bool),
        ("needs_human", Type::Bool),
        ("missing", Type::List(Box::new(Type::Text))),
    ];
    Schema {
        root: root.into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
    }
}

/// A compiled expression.
pub fn expr(source: &str) -> Expr {
    compile(source, &schema(), &Type::Any).unwrap_or_else(|e| panic!("{source}: {e:?}"))
}

/// A compiled template.
pub fn template(source: &str) -> Template {
    compile_template(source, &schema()).unwrap_or_else(|e| panic!("{source}: {e:?}"))
}

fn field(name: &str, ty: Type, from: FieldFrom) -> FieldDef {
    FieldDef {
        name: name.into(),
        ty,
        required: name == "email",
        control: false,
        untrusted: false,
        paragraphs: false,
        from,
        line: 3,
    }
}

pub fn state(ix: StateIx) -> State {
    let terminal = ix == CLOSED;
    State {
        name: NAMES[usize::from(ix)].into(),
        terminal,
        owner: "ops".into(),
        sla: (!terminal).then_some(HOUR),
        warn_at: None,
        escalate: Vec::new(),
        on_breach: (!terminal).then_some(NEEDS_HUMAN),
        pause: false,
        line: 10 + u32::from(ix),
    }
}

pub fn edge(from: StateIx, to: StateIx) -> Edge {
    Edge {
        from,
        to,
        owner: None,
        sla: None,
        emit: BTreeSet::from([Emit::SlaTimer, Emit::AuditLog]),
        line: 20,
    }
}

/// The edges that a file without transitions has.
pub const EDGES: [(StateIx, StateIx); 13] = [
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

fn action(name: &str, kind: ActionKind, class: Class) -> Action {
    Action {
        name: name.into(),
        kind,
        class,
        on_unknown: OnUnknown::Hold,
        valid_for: DAY,
        line: 40,
    }
}

pub fn message(to: &str, check: bool) -> Message {
    Message {
        channel: Channel::Email,
        via: None,
        to: expr(to),
        subject: None,
        body: template("Hello"),
        template_file: Some("templates/a.md".into()),
        check: check.then_some(RecipientCheck::VerifiedSender),
    }
}

pub fn rest(path: &str) -> RestWrite {
    RestWrite {
        connection: "crm".into(),
        method: "PUT".into(),
        path: template(path),
        lock: Lock::IfMatch,
        base: BaseVersion::Declared("v0".into()),
        idempotency_header: None,
        map: vec![("name".into(), expr("record.name"))],
    }
}

pub fn line(name: &str, say: Say) -> PolicyLine {
    let (auto, never) = match say {
        Say::Auto => (When::Always, When::Unstated),
        Say::AutoIfVip => (When::If(expr("record.vip")), When::Unstated),
        Say::Approve => (When::Unstated, When::Unstated),
        Say::Never => (When::Unstated, When::Always),
        Say::NeverIfC => (When::Always, When::If(expr("record.intent == 'c'"))),
    };
    PolicyLine {
        action: name.into(),
        auto,
        approve: None,
        never,
        limit: Some(Limit {
            count: 3,
            per: LimitScope::Contact,
            window: DAY,
        }),
        quiet_hours: None,
        line: 60,
    }
}

pub fn branch(condition: Option<&str>, actions: Vec<Step>) -> Branch {
    Branch {
        condition: condition.map(expr),
        actions,
        reason: None,
        to: None,
        line: 50,
    }
}

pub fn rule(when: &str, effect: RuleEffect) -> Rule {
    Rule {
        when: expr(when),
        effect,
        line: 30,
    }
}

pub fn ai_step() -> AiStep {
    AiStep {
        optional: true,
        when_state: TRIAGED,
        modes: BTreeSet::from([Mode::Classify]),
        model: "local".into(),
        classify: Some(Classify {
            field: "intent".into(),
            prompt: None,
            prompt_text: None,
            examples: Vec::new(),
            examples_file: None,
        }),
        extract: Vec::new(),
        draft: None,
        summarize: None,
        output_confidence: true,
        output_fields: true,
        timeout: HOUR,
    }
}

/// A program that every proof passes: a lead with an AI step, a write, a message and a transfer.
pub fn base() -> Program {
    let one_of = Type::Enum(INTENTS.iter().map(|s| (*s).to_owned()).collect());
    let map = ["email", "name", "vip", "budget", "note"];
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
                field("budget", Type::Int, FieldFrom::Event),
                FieldDef {
                    paragraphs: true,
                    ..field("note", Type::Text, FieldFrom::Event)
                },
                field("tier", Type::Text, FieldFrom::Rules),
                field("intent", one_of, FieldFrom::Ai),
            ],
            natural_keys: vec![template("${record.email}")],
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
                .map(|n| ((*n).to_owned(), expr(&format!("event.{n}"))))
                .collect(),
            text: Some(expr("event.note")),
            automatic: tl_kernel::program::OnAutomatic::Note,
            max_body: 1_000,
            line: 5,
        }],
        queue: Queue {
            name: "q".into(),
            payload: BTreeSet::new(),
        },
        states: (0..5).map(state).collect(),
        edges: EDGES.iter().map(|(a, b)| edge(*a, *b)).collect(),
        rules_engine: true,
        tenant_flags: false,
        rules: Vec::new(),
        tables: Vec::new(),
        ai: Some(ai_step()),
        decision: DecisionDef {
            threshold: Threshold::Fixed(0.8),
            branches: vec![
                branch(
                    Some("confidence >= threshold && policy_allows"),
                    vec![Step::Effect(0)],
                ),
                branch(Some("needs_human"), vec![Step::HumanQueue]),
                branch(None, vec![Step::Deny]),
            ],
        },
        policy: Policy {
            lines: vec![
                line("crm_upsert", Say::Auto),
                line("reply", Say::Approve),
                line("transfer", Say::Approve),
                line("domain_event", Say::Auto),
            ],
        },
        tasks: TaskRules::default(),
        owners: BTreeSet::new(),
        actions: vec![
            action(
                "crm_upsert",
                ActionKind::Rest(rest("/leads/${record.email}")),
                Class::E2,
            ),
            action(
                "reply",
                ActionKind::Message(message("record.email", true)),
                Class::E4,
            ),
            action(
                "transfer",
                ActionKind::Message(message("'bank@example.com'", false)),
                Class::E4,
            ),
            action("domain_event", ActionKind::DomainEvent, Class::E0),
        ],
        settings: BTreeMap::new(),
        schedules: Vec::new(),
        observability: Observability { metrics: true },
    }
}

/// Conditions of generated branches, compiled once.
const CONDITIONS: [&str; 16] = [
    "confidence >= threshold && policy_allows",
    "confidence >= threshold",
    "confidence < threshold",
    "needs_human",
    "!needs_human && policy_allows",
    "policy_allows",
    "size(missing) > 0",
    "record.intent == 'a'",
    "record.intent in ['a', 'b'] && confidence > 0.5",
    "record.intent != 'c' || record.vip",
    "record.vip",
    "!record.vip",
    "record.budget > 100",
    "record.budget <= 100 && policy_allows",
    "record.note.contains('now')",
    "confidence >= threshold && record.intent == 'b'",
];

/// What random programs are made of, compiled once.
pub struct Parts {
    base: Program,
    conditions: Vec<Expr>,
    lines: Vec<Vec<PolicyLine>>,
    constant: Expr,
}

pub const SAYS: [Say; 5] = [
    Say::Auto,
    Say::AutoIfVip,
    Say::Approve,
    Say::Never,
    Say::NeverIfC,
];
const ACTIONS: [&str; 4] = ["crm_upsert", "reply", "transfer", "domain_event"];

/// Steps while nobody answers.
fn unanswered(rng: &mut Rng) -> Vec<Unanswered> {
    let mut out = Vec::new();
    for n in 0..=rng.below(3) {
        let then = match rng.below(3) {
            0 => WhenUnanswered::Remind(1 + rng.below(2) as ActionIx),
            1 => WhenUnanswered::Escalate("boss".into()),
            _ => WhenUnanswered::Close("no_answer".into()),
        };
        let after = HOUR * (n as i64 + 1);
        out.push(Unanswered { after, then });
    }
    out
}

impl Parts {
    pub fn new() -> Parts {
        Parts {
            base: base(),
            conditions: CONDITIONS.iter().map(|c| expr(c)).collect(),
            lines: ACTIONS
                .iter()
                .map(|a| SAYS.iter().map(|s| line(a, *s)).collect())
                .collect(),
            constant: expr("'gold'"),
        }
    }

    /// A random program, and what its policy says by action.
    pub fn program(&self, rng: &mut Rng) -> (Program, [Say; 4]) {
        let mut p = self.base.clone();
        let mut says = [Say::Auto, Say::Approve, Say::Approve, Say::Auto];
        for (i, say) in says.iter_mut().enumerate() {
            let choices = if rng.share(50) { 3 } else { SAYS.len() };
            let pick = rng.below(choices);
            *say = SAYS[pick];
            p.policy.lines[i] = self.lines[i][pick].clone();
        }
        if let ActionKind::Message(m) = &mut p.actions[1].kind
            && rng.share(25)
        {
            m.check = None;
        }
        let own = *rng.pick(&[0, 0, 0, 1, 1, 2]);
        self.states(&mut p, own, rng);
        if rng.share(35) {
            p.ai = None;
        } else if rng.share(4)
            && let Some(ai) = &mut p.ai
        {
            ai.when_state = rng.below(p.states.len()) as StateIx;
        }
        for _ in 0..rng.below(3) {
            let effect = match rng.below(3) {
                0 => RuleEffect::Close("rule".into()),
                1 => RuleEffect::NeedsHuman("rule".into()),
                _ => RuleEffect::Set(vec![("tier".into(), self.constant.clone())]),
            };
            p.rules.push(Rule {
                when: self.conditions[7 + rng.below(8)].clone(),
                effect,
                line: 30,
            });
        }
        if rng.share(30) {
            p.tasks.ask_missing = Some(1);
        }
        if rng.share(30) {
            p.tasks.unanswered = unanswered(rng);
        }
        p.record.on_match = *rng.pick(&[OnMatch::Join, OnMatch::Update, OnMatch::Open]);
        self.branches(&mut p, rng);
        if rng.share(30) {
            p.goal = Some(Goal {
                start: *rng.pick(&[PENDING, TRIAGED, AUTOMATED]),
                end: *rng.pick(&[CLOSED, AUTOMATED, NEEDS_HUMAN]),
                sla: HOUR,
                owner: "boss".into(),
            });
        }
        (p, says)
    }

    fn states(&self, p: &mut Program, own: usize, rng: &mut Rng) {
        for i in 0..own {
            let mut s = state(NEEDS_HUMAN);
            s.name = format!("own_{i}");
            s.terminal = rng.share(25);
            s.pause = rng.share(15);
            if s.terminal {
                (s.sla, s.on_breach) = (None, None);
            }
            p.states.push(s);
        }
        let n = p.states.len();
        let random = |rng: &mut Rng| rng.below(n) as StateIx;
        for ix in 5..n {
            let from = random(rng);
            p.edges.push(edge(from, ix as StateIx));
            let to = if rng.share(70) {
                NEEDS_HUMAN
            } else {
                random(rng)
            };
            p.edges.push(edge(ix as StateIx, to));
            if rng.share(70) {
                p.edges.push(edge(ix as StateIx, CLOSED));
            }
        }
        if rng.share(45) {
            let lost = rng.below(p.edges.len());
            p.edges.remove(lost);
        }
        for s in &mut p.states {
            if !s.terminal && rng.share(8) {
                s.on_breach = rng.share(80).then(|| random(rng));
            }
        }
        for e in &mut p.edges {
            if rng.share(3) {
                e.emit.remove(&Emit::SlaTimer);
            }
            if rng.share(6) {
                e.emit
                    .insert(*rng.pick(&[Emit::CrmSync, Emit::DomainEvent]));
            }
        }
    }

    fn branches(&self, p: &mut Program, rng: &mut Rng) {
        let mut all = Vec::new();
        for i in 0..=rng.below(4) {
            let last = i > 0 && rng.share(10);
            let mut steps = Vec::new();
            for _ in 0..=rng.below(2) {
                steps.push(match rng.below(10) {
                    0..=4 => Step::Effect(rng.below(3) as u16),
                    5 => Step::HumanQueue,
                    6 => Step::AskMissing,
                    7 => Step::HandOff,
                    8 => Step::Close,
                    _ => Step::Deny,
                });
            }
            all.push(Branch {
                condition: Some(self.conditions[rng.below(self.conditions.len())].clone()),
                actions: steps,
                reason: None,
                to: rng.share(12).then(|| rng.below(p.states.len()) as StateIx),
                line: 50 + i as u32,
            });
            if last {
                break;
            }
        }
        let default = *rng.pick(&[Step::Deny, Step::HumanQueue, Step::Close, Step::Deny]);
        let mut default = branch(None, vec![default]);
        default.to = rng.share(10).then(|| rng.below(p.states.len()) as StateIx);
        all.push(default);
        p.decision.branches = all;
    }
}

/// What a way claims, looked at without the code that searched for it: the case before each turn and after the last,
/// and what the last turn says.
pub fn shows(p: &Program, path: &CounterExample, cases: &[Case], last: &[Entry]) -> bool {
    let case = &cases[cases.len() - 1];
    let ended = |c: &Case| p.states[usize::from(c.state)].terminal;
    let tasks = |c: &Case| c.open_tasks().count();
    let clocks = case.timers.values().filter(|(k, _)| k.is_of_stay());
    let questions = case.asks.values().filter(|(_, open)| *open);
    let waits = clocks.count() + questions.count();
    match &path.claim {
        Claim::EndsSilently => {
            !ended(case) && tasks(case) + waits + case.open_effects().count() == 0
        }
        Claim::CannotBeDecided => !ended(case) && tasks(case) > 0 && waits == 0,
        Claim::ReachesNobody => {
            let nobody = |c: &Case| !ended(c) && tasks(c) == 0 && c.state != NEEDS_HUMAN;
            path.again.is_some_and(|again| {
                let circle = &cases[again..];
                circle.len() > 1 && circle.iter().all(nobody) && is_back(&circle[0], case)
            })
        }
        Claim::Plans(ix, never) => last.iter().any(|e| match e {
            Entry::Planned(p) => p.action == *ix && (!never || p.verdict == Verdict::Never),
            _ => false,
        }),
        Claim::Takes(branch, field, value) => {
            let took = last
                .iter()
                .any(|e| matches!(e, Entry::Decided(d) if d.branch == *branch));
            took && case.record.get(field).is_some_and(|f| f.value == *value)
        }
    }
}

/// Whatever may happen to a case may happen again: it is where it was, and nothing that is bounded has grown.
fn is_back(before: &Case, after: &Case) -> bool {
    let kinds = |c: &Case| {
        let mut all: Vec<_> = c.timers.values().map(|(kind, _)| *kind).collect();
        all.sort();
        all
    };
    let open =
        |c: &Case| -> BTreeSet<ActionIx> { c.open_effects().map(|(_, e)| e.action).collect() };
    (before.state, &before.ai, before.vouched) == (after.state, &after.ai, after.vouched)
        && before.record == after.record
        && before.asks.len() == after.asks.len()
        && before.conflicts == after.conflicts
        && kinds(before) == kinds(after)
        && open(before) == open(after)
}
