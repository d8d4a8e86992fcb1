//! A compiled workflow definition: what the loader produces from the files of a project and what `decide`
//! reads. Immutable; identified by the digest of the bundle it was compiled from.

mod auth;
mod schedule;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use crate::connector::ConnectorCall;
use crate::effect::Class;
use crate::expr::{Expr, Template};
use crate::policy::Policy;
use crate::value::{Type, Value};

pub use auth::{Auth, Idempotency, PRESETS, Preset, Proof};
pub use schedule::{CatchUp, SAID, Schedule, TIMETABLE};
pub use tasks::{TaskRules, Unanswered, WhenUnanswered};

/// Position of a state in `Program::states`.
pub type StateIx = u16;
/// Position of an action in `Program::actions`.
pub type ActionIx = u16;

/// One workflow, ready to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// `workflow.id`.
    pub id: String,
    /// `workflow.version`, free text chosen by the author.
    pub version: String,
    /// `workflow.correlation_id`: how the correlation id is taken from an event.
    pub correlation: Option<Template>,
    /// `workflow.goal`.
    pub goal: Option<Goal>,
    /// `record`.
    pub record: RecordType,
    /// `ingress`, one entry per endpoint.
    pub endpoints: Vec<Endpoint>,
    /// `schedules`, in file order.
    pub schedules: Vec<Schedule>,
    /// `queue`.
    pub queue: Queue,
    /// The states; the canonical five come first, in their order.
    pub states: Vec<State>,
    /// The declared edges.
    pub edges: Vec<Edge>,
    /// `worker.rules_engine`: whether rules and tables run.
    pub rules_engine: bool,
    /// `worker.feature_flags: tenant_scoped`; false: flags of the installation alone are read.
    pub tenant_flags: bool,
    /// `worker.rules`, in file order.
    pub rules: Vec<Rule>,
    /// `worker.tables`, in file order; they run after the rules.
    pub tables: Vec<Table>,
    /// `worker.ai_step`.
    pub ai: Option<AiStep>,
    /// `decision`.
    pub decision: DecisionDef,
    /// `policy`, as deployed with this version.
    pub policy: Policy,
    /// `tasks`.
    pub tasks: TaskRules,
    /// Everybody who may own something: the people and teams of `teams.yaml`, and `operators`.
    pub owners: BTreeSet<String>,
    /// Everything that may reach the outside world, built-in actions without effects excluded.
    pub actions: Vec<Action>,
    /// `settings`: named constants of the file.
    pub settings: BTreeMap<String, Value>,
    /// `observability`.
    pub observability: Observability,
}

/// The canonical states, by their positions.
pub mod canonical {
    use super::StateIx;
    /// Just arrived.
    pub const PENDING: StateIx = 0;
    /// Rules have run; the AI step runs here.
    pub const TRIAGED: StateIx = 1;
    /// Effects are on their way.
    pub const AUTOMATED: StateIx = 2;
    /// A person has work to do.
    pub const NEEDS_HUMAN: StateIx = 3;
    /// The end.
    pub const CLOSED: StateIx = 4;
    /// Their names, in order.
    pub const NAMES: [&str; 5] = ["pending", "triaged", "automated", "needs_human", "closed"];
}

/// `workflow.goal`: what the golden path is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Where the path starts.
    pub start: StateIx,
    /// Where it ends well.
    pub end: StateIx,
    /// From start to end, µs.
    pub sla: i64,
    /// The person or team who answers for it.
    pub owner: String,
}

/// `record`: the data contract.
#[derive(Debug, Clone)]
pub struct RecordType {
    /// `record.type`.
    pub name: String,
    /// The fields in file order.
    pub fields: Vec<FieldDef>,
    /// `record.natural_key`: one or several; a message that matches any of them joins the case that holds it.
    pub natural_keys: Vec<Template>,
    /// What a second message with the same natural key does.
    pub on_match: OnMatch,
}

impl RecordType {
    /// The definition of a field by name.
    pub fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|f| f.name == name)
    }
}

/// What a second message about the same record does (`record.on_match`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMatch {
    /// The message is attached and fills fields that are still absent (`join`, the default).
    Join,
    /// The message is attached and its values replace the earlier ones (`update`).
    Update,
    /// A new case is opened (`open`).
    Open,
}

/// Who may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFrom {
    /// The inbound message.
    Event,
    /// The AI step.
    Ai,
    /// Rules and tables.
    Rules,
    /// The connected system of record.
    Crm,
    /// The engine: times of the case.
    Engine,
}

/// One field of the record.
#[derive(Debug, Clone)]
pub struct FieldDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// A case without it asks for it before it is handed off or its write completes the goal.
    pub required: bool,
    /// `use: control`: it may address an effect, so untrusted text may not set it unchecked.
    pub control: bool,
    /// `untrusted: true`: always labelled untrusted, even where a trusted source set it.
    pub untrusted: bool,
    /// Declared as `text`: it may have paragraphs, so a message that is sent by itself does not repeat it.
    pub paragraphs: bool,
    /// Who may set it.
    pub from: FieldFrom,
    /// Line in the workflow file, from 1.
    pub line: u32,
}

/// The kind of door a message comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A web form.
    Form,
    /// A mail.
    Email,
    /// A text message.
    Sms,
    /// A signed call from another system.
    Webhook,
    /// Our own API.
    Api,
    /// A timetable.
    Schedule,
}

impl Channel {
    /// The word used in files and explanations.
    pub fn word(self) -> &'static str {
        match self {
            Channel::Form => "form",
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Webhook => "webhook",
            Channel::Api => "api",
            Channel::Schedule => "schedule",
        }
    }
}

/// What a body is parsed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`, `multipart/form-data` or JSON.
    Form,
    /// `message/rfc822`.
    Mail,
    /// A document: `application/pdf`, DOCX, `text/csv` or `text/plain`.
    Document,
}

/// What a mail does that a program sent by itself: a bounce, an answer of absence, our own mail that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAutomatic {
    /// It is noted with its case and changes nothing there; a case of its own is closed at once (`note`, the default).
    #[default]
    Note,
    /// It is a message like any other (`message`).
    Message,
}

/// One door of the workflow.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name: the last part of its address.
    pub name: String,
    /// The kind of door.
    pub channel: Channel,
    /// What a body is parsed as.
    pub format: Format,
    /// Alternatives: either is enough, at least one must verify.
    pub auth: Vec<Auth>,
    /// Where the dedupe key comes from.
    pub idempotency: Idempotency,
    /// `validate: json_schema`: bodies are checked; `None`: only the mapped types are.
    pub schema: Option<Schema>,
    /// Record field → expression over `event`.
    pub map: Vec<(String, Expr)>,
    /// The text that the AI step reads.
    pub text: Option<Expr>,
    /// What a mail does that a program sent by itself.
    pub automatic: OnAutomatic,
    /// Largest accepted body in bytes.
    pub max_body: u32,
    /// Line in the workflow file, from 1.
    pub line: u32,
}

impl Endpoint {
    /// Every sender of a message has proven who it is. Where it has not, an address in the message is no verified
    /// contact.
    pub fn proves_sender(&self) -> bool {
        self.auth.iter().all(Auth::proves_sender)
    }

    /// The websites whose pages may post here; `None` where the endpoint is no public form.
    pub fn public_origins(&self) -> Option<&[String]> {
        self.auth.iter().find_map(|auth| match auth {
            Auth::Public { origins } => Some(origins.as_slice()),
            _ => None,
        })
    }
}

/// A JSON Schema for the bodies of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The schema document as JSON text.
    pub json: String,
    /// True when it was derived from `record` and the mapping.
    pub derived: bool,
}

/// `queue`: the name under which work is counted and which ids its log lines carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Label of the queue's metrics and log lines.
    pub name: String,
    /// Ids on each log line of the queue: `event_id`, `correlation_id`, `tenant_id`, `case_id`.
    pub payload: BTreeSet<String>,
}

/// A state of the case.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Its name.
    pub name: String,
    /// No edge leaves it but a re-opening one.
    pub terminal: bool,
    /// Person or team who answers for cases in it.
    pub owner: String,
    /// How long a case may stay, µs; `None` only for terminal states.
    pub sla: Option<i64>,
    /// Share of the SLA after which a warning is recorded, per cent.
    pub warn_at: Option<u8>,
    /// After the breach: raised to this person or team after so many µs.
    pub escalate: Vec<(i64, String)>,
    /// Where a breach leads; the state itself = the task is raised and the case stays.
    pub on_breach: Option<StateIx>,
    /// The clock of the goal stands still here; the state's own runs.
    pub pause: bool,
    /// Line in the workflow file, 0 where the state is a default.
    pub line: u32,
}

/// What an edge causes beside the move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Emit {
    /// Plans the write to the system of record.
    CrmSync,
    /// Starts the SLA clock of the entered state.
    SlaTimer,
    /// An audit leaf; every turn has one, so naming it only states the fact.
    AuditLog,
    /// A message to the outbox's event feed.
    DomainEvent,
}

/// A declared transition.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// From.
    pub from: StateIx,
    /// To.
    pub to: StateIx,
    /// Who answers for the case after the move; the entered state's owner where absent.
    pub owner: Option<String>,
    /// SLA of the stay that this move begins, µs; the entered state's where absent.
    pub sla: Option<i64>,
    /// What it causes.
    pub emit: BTreeSet<Emit>,
    /// Line in the workflow file, 0 where the edge is a default.
    pub line: u32,
}

/// `when … then/set/route`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The condition.
    pub when: Expr,
    /// What it does.
    pub effect: RuleEffect,
    /// Line in the workflow file, from 1.
    pub line: u32,
}

/// What a rule that matched does.
#[derive(Debug, Clone)]
pub enum RuleEffect {
    /// Sets fields.
    Set(Vec<(String, Expr)>),
    /// Makes a person or team the owner of the case.
    Route(Expr),
    /// Closes the case with a reason; later rules do not run.
    Close(String),
    /// Sends the case to a person with a reason.
    NeedsHuman(String),
}

/// A decision table.
#[derive(Debug, Clone)]
pub struct Table {
    /// File name within the project.
    pub file: String,
    /// How many rows may match.
    pub hit: HitPolicy,
    /// Record fields that the input columns read, with their types.
    pub inputs: Vec<(String, Type)>,
    /// Record fields that the output columns set.
    pub outputs: Vec<String>,
    /// The rows in file order.
    pub rows: Vec<TableRow>,
}

/// A row of a decision table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRow {
    /// One test per input column.
    pub tests: Vec<CellTest>,
    /// One value per output column.
    pub values: Vec<Value>,
    /// Line in the CSV file, from 1.
    pub line: u32,
}

/// A test of one input cell.
#[derive(Debug, Clone, PartialEq)]
pub enum CellTest {
    /// `-` or empty: anything, absent included.
    Any,
    /// One of these values.
    OneOf(Vec<Value>),
    /// From (inclusive) to (exclusive), either end open; for numbers.
    Range(Option<rust_decimal::Decimal>, Option<rust_decimal::Decimal>),
}

/// How many rows of a table may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitPolicy {
    /// The first that matches.
    First,
    /// At most one; `check` proves it.
    Unique,
    /// All; list-typed outputs collect their values.
    Collect,
}

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// One label.
    Classify,
    /// Typed fields with spans.
    Extract,
    /// A short text.
    Summarize,
    /// A reply.
    Draft,
}

impl Mode {
    /// The word used in files and explanations.
    pub fn word(self) -> &'static str {
        match self {
            Mode::Classify => "classify",
            Mode::Extract => "extract",
            Mode::Summarize => "summarize",
            Mode::Draft => "draft",
        }
    }
}

/// `worker.ai_step`.
#[derive(Debug, Clone)]
pub struct AiStep {
    /// With AI off the path still works: then `needs_human`. False is refused by `check`.
    pub optional: bool,
    /// The only state in which a model is asked.
    pub when_state: StateIx,
    /// What is asked.
    pub modes: BTreeSet<Mode>,
    /// `local`, or the name of a model connection.
    pub model: String,
    /// `classify`.
    pub classify: Option<Classify>,
    /// `extract`: fields to be read from the text.
    pub extract: Vec<String>,
    /// `draft`: the action whose text is drafted, its prompt's file and its length.
    pub draft: Option<Draft>,
    /// `summarize`: the field that takes the summary and its greatest length in characters.
    pub summarize: Option<(String, u32)>,
    /// `output` names `confidence`.
    pub output_confidence: bool,
    /// `output` names `structured_fields`.
    pub output_fields: bool,
    /// Seconds a model may take, as µs.
    pub timeout: i64,
}

/// `worker.ai_step.classify`.
#[derive(Debug, Clone, PartialEq)]
pub struct Classify {
    /// The enum field it sets.
    pub field: String,
    /// Prompt file, for model connections.
    pub prompt: Option<String>,
    /// Text of the prompt.
    pub prompt_text: Option<String>,
    /// Examples: text and label.
    pub examples: Vec<(String, String)>,
    /// Examples file.
    pub examples_file: Option<String>,
}

/// `worker.ai_step.draft`.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The message action whose text is drafted.
    pub action: ActionIx,
    /// Prompt file.
    pub prompt: Option<String>,
    /// Text of the prompt.
    pub prompt_text: Option<String>,
    /// Greatest length in characters.
    pub max_chars: u32,
}

/// `decision`.
#[derive(Debug, Clone)]
pub struct DecisionDef {
    /// The number that `threshold` stands for.
    pub threshold: Threshold,
    /// First match wins; the last is the default.
    pub branches: Vec<Branch>,
}

/// `decision.threshold`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// A plain number.
    Fixed(f64),
    /// `until_known`: in force as long as no threshold is chosen from reviewed outcomes, which this build never does.
    UntilKnown(f64),
}

impl Threshold {
    /// The value in force while no certificate exists.
    pub fn value(self) -> f64 {
        match self {
            Threshold::Fixed(x) | Threshold::UntilKnown(x) => x,
        }
    }
}

/// One branch of the decision.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The condition; `None` for the default.
    pub condition: Option<Expr>,
    /// What is done, in order.
    pub actions: Vec<Step>,
    /// Reason code for `close`, `deny` and tasks.
    pub reason: Option<String>,
    /// Where the case goes instead of the action's usual state.
    pub to: Option<StateIx>,
    /// Line in the workflow file, from 1.
    pub line: u32,
}

/// One step of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Plan an effect.
    Effect(ActionIx),
    /// Open a review task.
    HumanQueue,
    /// Ask the sender for the missing fields, and open a task that waits for them.
    AskMissing,
    /// Open a hand-off task for the record's owner.
    HandOff,
    /// Close with a reason.
    Close,
    /// Send nothing; record who denied; open a task unless the branch names another end.
    Deny,
}

/// An action that may reach the outside world.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name in policy and decision.
    pub name: String,
    /// What it does.
    pub kind: ActionKind,
    /// Its guarantee class.
    pub class: Class,
    /// What an E4 action does when its outcome is unknown.
    pub on_unknown: OnUnknown,
    /// Not sent later than this after it was planned, µs.
    pub valid_for: i64,
    /// Line in the workflow file, 0 where the action is built in.
    pub line: u32,
}

impl Action {
    /// The operation of a connector that it calls.
    pub fn call(&self) -> Option<&ConnectorCall> {
        match &self.kind {
            ActionKind::Call(call) => Some(call),
            ActionKind::Message(message) => message.via.as_ref(),
            ActionKind::RecordStore { .. } | ActionKind::Rest(_) | ActionKind::DomainEvent => None,
        }
    }

    /// The connection that it uses; `outbox` for a message that waits there, nothing for what is built in.
    pub fn connection(&self) -> &str {
        match &self.kind {
            ActionKind::Rest(r) => &r.connection,
            ActionKind::Call(c) => &c.connection,
            ActionKind::Message(m) => m.via.as_ref().map_or(OUTBOX, |c| &c.connection),
            ActionKind::RecordStore { .. } | ActionKind::DomainEvent => "",
        }
    }
}

/// What an E4 action does when its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnknown {
    /// Wait for a person.
    Hold,
    /// Count it as sent.
    AssumeSent,
    /// Send again: duplicates are possible and labelled.
    Resend,
}

/// What an action does.
#[derive(Debug, Clone)]
pub enum ActionKind {
    /// Writes the record to the built-in record store.
    RecordStore {
        /// Record id within its type.
        key: Template,
        /// Property → expression.
        map: Vec<(String, Expr)>,
    },
    /// Writes the record to an HTTP system of record.
    Rest(RestWrite),
    /// An operation of a connector file.
    Call(ConnectorCall),
    /// A message to a person.
    Message(Message),
    /// A fact for other systems, in the outbox's event feed.
    DomainEvent,
}

/// How an HTTP system of record is written.
#[derive(Debug, Clone)]
pub struct RestWrite {
    /// Name of the connection that holds base address and credential.
    pub connection: String,
    /// `PUT`, `PATCH` or `POST`.
    pub method: String,
    /// Path below the connection's base address.
    pub path: Template,
    /// How lost updates are prevented.
    pub lock: Lock,
    /// Where the base version comes from.
    pub base: BaseVersion,
    /// Header that carries the idempotency key, if the vendor honours one.
    pub idempotency_header: Option<String>,
    /// Property → expression.
    pub map: Vec<(String, Expr)>,
}

/// How lost updates are prevented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// `optimistic_lock: If-Match`.
    IfMatch,
    /// `optimistic_lock: { field: name }`: the version is a property of the body.
    Field(String),
    /// `optimistic_lock: last_writer_wins`, said aloud.
    LastWriterWins,
}

/// Where the base version of a conditional write comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseVersion {
    /// `base_version: "v0"`: given by the workflow for the first write; later writes use the last answer's.
    Declared(String),
    /// Read first; absent = create with `If-None-Match: *`.
    Read,
}

/// Where messages wait that no connection sends, as a workflow file says it.
pub const OUTBOX: &str = "outbox";

/// A message to a person.
#[derive(Debug, Clone)]
pub struct Message {
    /// `email` or `sms`.
    pub channel: Channel,
    /// The operation that sends it, with the arguments that it takes beside the message's parts. `None`: it waits in the
    /// outbox for a system that takes it.
    pub via: Option<ConnectorCall>,
    /// The recipient.
    pub to: Expr,
    /// The subject, for mail.
    pub subject: Option<Template>,
    /// The text.
    pub body: Template,
    /// The template file, where the text comes from one.
    pub template_file: Option<String>,
    /// The declared check that lets an address from outside be the recipient.
    pub check: Option<RecipientCheck>,
}

/// A declared check of a recipient that came from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientCheck {
    /// `check: verified_sender`: a typed address from a message whose signature verified, a fixed template,
    /// and a limit per contact and day in the policy.
    VerifiedSender,
}

/// `observability`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observability {
    /// `metrics: red_metrics`; false: the workflow's own series are off.
    pub metrics: bool,
}

impl Program {
    /// The position of a state by name.
    pub fn state_ix(&self, name: &str) -> Option<StateIx> {
        self.states
            .iter()
            .position(|s| s.name == name)
            .map(|i| i as StateIx)
    }

    /// The name of a state; `?` for a position that does not exist.
    pub fn state_name(&self, ix: StateIx) -> &str {
        self.states.get(ix as usize).map_or("?", |s| &s.name)
    }

    /// The declared edge between two states.
    pub fn edge(&self, from: StateIx, to: StateIx) -> Option<&Edge> {
        self.edges.iter().find(|e| e.from == from && e.to == to)
    }

    /// The position of an action by name.
    pub fn action_ix(&self, name: &str) -> Option<ActionIx> {
        self.actions
            .iter()
            .position(|a| a.name == name)
            .map(|i| i as ActionIx)
    }

    /// The action of a name.
    pub fn action_named(&self, name: &str) -> Option<&Action> {
        self.actions.iter().find(|a| a.name == name)
    }

    /// The action at a position.
    pub fn action(&self, ix: ActionIx) -> Option<&Action> {
        self.actions.get(ix as usize)
    }

    /// Whether a branch asks for the required fields before anything else: it hands the case off, or it completes
    /// the goal with its write of the record. Without a goal the path ends in `closed`.
    pub fn asks_first(&self, branch: &Branch) -> bool {
        let is_write = |s: &Step| match s {
            Step::Effect(ix) => self.action(*ix).is_some_and(|a| a.name == "crm_upsert"),
            _ => false,
        };
        let is_for_person =
            |s: &Step| matches!(s, Step::HumanQueue | Step::AskMissing | Step::Deny);
        let to = match branch.to {
            None if branch.actions.iter().any(is_for_person) => canonical::NEEDS_HUMAN,
            to => to.unwrap_or(canonical::AUTOMATED),
        };
        // A case whose effects are settled goes from `automated` to the end by itself.
        let end = self.goal.as_ref().map_or(canonical::CLOSED, |g| g.end);
        let completes = to == end || (to == canonical::AUTOMATED && end == canonical::CLOSED);
        branch.actions.contains(&Step::HandOff)
            || (completes && branch.actions.iter().any(is_write))
    }

    /// Whether an expression that may run after admission reads `event`: then the journal keeps the message.
    pub fn reads_event_later(&self) -> bool {
        let rules = self.rules.iter().map(|r| &r.when);
        let branches = self
            .decision
            .branches
            .iter()
            .filter_map(|b| b.condition.as_ref());
        self.ai.is_some() || rules.chain(branches).any(|e| e.reads_root("event"))
    }

    /// The endpoints that somebody else sends through: all but those of timetables.
    pub fn doors(&self) -> impl Iterator<Item = &Endpoint> {
        let doors = self.endpoints.iter();
        doors.filter(|e| e.channel != Channel::Schedule)
    }

    /// The timetable of a name.
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|s| s.name == name)
    }

    /// The door of a name.
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.name == name)
    }
}
