//! The replies: what a command prints, and what `--json` gives to a script.

use serde::{Deserialize, Serialize};

use super::import::{Imported, Taken};
use crate::explain::{Explanation, GoalLine};
use crate::text::At;

/// A reply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Reply {
    Cases(Vec<CaseLine>),
    Case(Box<CaseSheet>),
    Explanation(Box<Explanation>),
    Tasks(Vec<TaskLine>),
    Task(Box<TaskSheet>),
    Effects(Vec<EffectLine>),
    Effect(Box<EffectSheet>),
    Groups(Vec<GroupLine>),
    Group(Box<GroupSheet>),
    Outcomes(Outcomes),
    Connections(Vec<ConnectionLine>),
    Outbox(Vec<OutboxLine>),
    OutboxMessage(OutboxSheet),
    Record(RecordSheet),
    Switches(Vec<SwitchLine>),
    Suppressions(Vec<SuppressionLine>),
    Plan(Vec<WorkflowPlan>),
    Versions(Vec<VersionLine>),
    Tenants(Vec<TenantLine>),
    Endpoints(Vec<EndpointLine>),
    Secret(FreshSecret),
    Keys(Vec<KeyLine>),
    Key(FreshKey),
    Flags(Vec<FlagLine>),
    Status(Box<StatusSheet>),
    Clock(ClockSheet),
    AuditPage(AuditPage),
    AuditHead(AuditHead),
    Tried(Box<Tried>),
    Taken(Taken),
    Imported(Imported),
    Done(Done),
}

impl Reply {
    /// Rows of a list that a limit may have cut.
    pub fn rows(&self) -> Option<usize> {
        match self {
            Reply::Cases(rows) => Some(rows.len()),
            Reply::Tasks(rows) => Some(rows.len()),
            Reply::Effects(rows) => Some(rows.len()),
            Reply::Outbox(rows) => Some(rows.len()),
            Reply::Suppressions(rows) => Some(rows.len()),
            _ => None,
        }
    }
}

/// An address to which nothing is sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SuppressionLine {
    /// As the audit names it.
    pub object: String,
    pub by_owner: bool,
    pub address: String,
    pub channel: String,
    pub reason: String,
    pub by: String,
    pub since: At,
}

/// A change was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// What is the case now.
    pub said: String,
    /// What to do next, as a command.
    pub next: Vec<Next>,
}

impl Done {
    /// A change with nothing to do after it.
    pub fn new(said: impl Into<String>) -> Done {
        Done {
            said: said.into(),
            next: Vec::new(),
        }
    }

    /// And what to do next.
    pub fn then(mut self, why: impl Into<String>, command: impl Into<String>) -> Done {
        self.next.push(Next {
            why: why.into(),
            command: command.into(),
        });
        self
    }
}

/// Something a person can do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Why.
    pub why: String,
    /// The command, literally; empty where waiting is all there is to do.
    pub command: String,
}

/// A case in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseLine {
    pub case: String,
    pub workflow: String,
    pub state: String,
    pub owner: String,
    pub due: Option<At>,
    pub opened_at: At,
    pub updated_at: At,
    pub closed: bool,
    pub open_tasks: u32,
    pub open_effects: u32,
    pub reason: String,
    pub correlation: String,
}

/// A case by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseSheet {
    #[serde(flatten)]
    pub case: CaseLine,
    /// The goal of its workflow, where it has one.
    pub goal: Option<GoalLine>,
    pub version: String,
    pub bundle: String,
    pub number: u32,
    pub turns: u32,
    pub record: Vec<FieldLine>,
    pub tasks: Vec<TaskLine>,
    pub effects: Vec<EffectLine>,
}

/// A field of a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FieldLine {
    pub name: String,
    pub value: String,
    /// How far it may be trusted.
    pub trust: String,
    /// Where it came from.
    pub source: String,
}

/// A task in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskLine {
    pub task: String,
    pub case: String,
    /// Correlation id of the case.
    pub correlation: String,
    pub kind: String,
    pub owner: String,
    pub reason: String,
    pub due: Option<At>,
    pub opened_at: At,
    pub effect: Option<String>,
    pub closed: Option<String>,
}

/// A task by itself, with what a person needs to decide it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskSheet {
    #[serde(flatten)]
    pub task: TaskLine,
    pub workflow: String,
    pub state: String,
    /// Why it is there, in words, with the numbers or lines that it came from.
    pub because: String,
    /// Text of the last message, from outside.
    pub message: Option<String>,
    pub record: Vec<FieldLine>,
    pub missing: Vec<String>,
    /// What an approval sends: exactly this.
    pub sends: Option<Sends>,
    pub next: Vec<Next>,
}

/// What will be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sends {
    pub effect: String,
    pub action: String,
    pub class: String,
    /// Verdict of the policy and where it stands.
    pub policy: String,
    pub digest: String,
    pub arguments: Vec<(String, String)>,
    /// What the system of record held when it was last read.
    pub before: Vec<(String, String)>,
}

/// An effect in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EffectLine {
    pub effect: String,
    pub case: String,
    /// `effect`, or `ask` for a question to a model.
    pub sort: String,
    pub action: String,
    pub class: String,
    pub state: String,
    pub hold: String,
    pub due: At,
    pub attempts: u32,
    pub code: String,
    pub planned_at: At,
    pub updated_at: At,
}

/// An effect by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EffectSheet {
    #[serde(flatten)]
    pub effect: EffectLine,
    pub connection: String,
    pub valid_until: At,
    pub digest: String,
    pub base_version: Option<String>,
    pub vendor_ref: Option<String>,
    pub policy: String,
    pub approved: bool,
    pub arguments: Vec<(String, String)>,
    pub tries: Vec<AttemptLine>,
    pub next: Vec<Next>,
}

/// A connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConnectionLine {
    pub connection: String,
    /// The connector, `rest` or `openai`.
    pub kind: String,
    pub address: String,
    pub owner: String,
    /// Where its secrets lie.
    pub secrets: Vec<String>,
    /// Actions of workflows.
    pub used_by: Vec<String>,
    /// Why it cannot be used as it is.
    pub fault: Option<String>,
    /// What came of asking it.
    pub checked: Option<Checked>,
}

/// What came of asking a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checked {
    /// It is there and takes the credential, or not; nothing where that cannot be said.
    pub fine: Option<bool>,
    pub said: String,
    pub took_ms: i64,
}

/// Effects that came to grief at the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupLine {
    /// Its fingerprint.
    pub group: String,
    pub effects: u32,
    /// Those whose time has passed: they are not sent any more.
    pub late: u32,
    /// They may have happened.
    pub uncertain: bool,
    pub workflow: String,
    pub action: String,
    pub connection: String,
    pub class: String,
    pub code: String,
    /// The code in words.
    pub words: String,
    pub oldest: At,
    pub newest: At,
}

/// What sending a group again would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupSheet {
    #[serde(flatten)]
    pub group: GroupLine,
    /// Effects that would be sent, the oldest first.
    pub sends: Vec<String>,
    /// A switch that would hold them.
    pub switch: Option<String>,
    /// Why their connection cannot be used.
    pub connection_fault: Option<String>,
    /// Cases that were looked into.
    pub looked_into: u32,
    /// What has happened in these already, or perhaps: action, state, how often.
    pub done: Vec<(String, String, u32)>,
}

/// What became of effects that were sent again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcomes {
    pub done: u32,
    /// Those of which nothing is known yet.
    pub waiting: Vec<String>,
    pub failing: u32,
    /// What one of those that fail came to grief at.
    pub code: String,
}

/// An attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptLine {
    pub n: u32,
    pub at: At,
    pub took_ms: i64,
    pub knowledge: String,
    pub status: u16,
    pub code: String,
    pub detail: String,
}

/// A message in the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxLine {
    pub effect: String,
    pub channel: String,
    pub to: String,
    pub subject: String,
    pub at: At,
}

/// A message in the outbox with its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxSheet {
    #[serde(flatten)]
    pub line: OutboxLine,
    pub text: String,
}

/// A record of the built-in store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordSheet {
    pub record_type: String,
    pub id: String,
    pub version: u64,
    pub at: At,
    /// Who wrote this version.
    pub by: String,
    pub record: serde_json::Value,
}

/// A switch in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SwitchLine {
    pub scope: String,
    pub mode: String,
    pub by: String,
    pub reason: String,
    pub at: At,
}

/// What deploying a workflow would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowPlan {
    pub workflow: String,
    /// Number and version that are current.
    pub from: Option<(u32, String)>,
    pub version: String,
    pub digest: String,
    /// Findings of the loader and the proofs; it can be deployed when `ok`.
    pub findings: String,
    pub ok: bool,
    pub changes: Vec<String>,
}

/// A deployed version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionLine {
    pub number: u32,
    pub workflow: String,
    pub version: String,
    pub digest: String,
    pub at: At,
    pub current: bool,
}

/// A tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantLine {
    pub name: String,
    pub number: u32,
    pub disabled: bool,
    pub workflows: Vec<String>,
}

/// A door.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointLine {
    pub endpoint: String,
    pub workflow: String,
    pub channel: String,
    pub auth: String,
    pub address: String,
    pub open: bool,
    /// Why it is closed, with the command that opens it.
    pub closed_because: String,
    /// How senders show who they are, a line for each way.
    pub signing: Vec<String>,
    /// Lines of a shell that sign and post a message.
    pub example: Vec<String>,
    pub secrets: Vec<SecretLine>,
}

/// A secret of a door; never its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SecretLine {
    pub kid: String,
    pub not_before: At,
    pub not_after: Option<At>,
    pub active: bool,
    /// Messages that it verified since this node was started.
    pub matched: u64,
    /// The last of them.
    pub matched_at: Option<At>,
    /// A newer one counts as well.
    pub earlier: bool,
}

/// A secret that was just made: the one time it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FreshSecret {
    pub endpoint: String,
    pub kid: String,
    pub secret: String,
    pub address: String,
    /// How senders show who they are, a line for each way.
    pub signing: Vec<String>,
    /// Lines of a shell that sign and post a message with this secret.
    pub example: Vec<String>,
    /// Until when earlier secrets still count.
    pub earlier_until: Option<At>,
}

/// An API key; never its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyLine {
    pub kid: String,
    pub scopes: String,
    pub expires: Option<At>,
    pub active: bool,
}

/// An API key that was just made: the one time it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FreshKey {
    pub kid: String,
    pub key: String,
    pub scopes: String,
    pub expires: Option<At>,
    /// The key that this one takes the place of, and until when that one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<(String, At)>,
}

/// A flag.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagLine {
    pub flag: String,
    pub value: bool,
    pub of: String,
}

/// The installation at a glance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusSheet {
    pub version: String,
    /// A server runs, and since when.
    pub serving_since: Option<At>,
    pub listen: String,
    /// `sqlite` or `postgres`, and where.
    pub store: (String, String),
    pub role: String,
    /// This node, and the nodes that live; one for a file.
    pub node: u32,
    pub nodes: Vec<u32>,
    pub workflows: Vec<VersionLine>,
    /// Workflow, and what its goal asks for.
    pub goals: Vec<(String, String)>,
    pub switches: Vec<SwitchLine>,
    /// Workflow, state, count.
    pub cases: Vec<(String, String, u64)>,
    /// Kind, count, age of the oldest in seconds.
    pub tasks: Vec<(String, u64, i64)>,
    /// Action, state, count, age of the oldest in seconds.
    pub effects: Vec<(String, String, u64, i64)>,
    pub events: u64,
    pub duplicates: u64,
    pub timers: u64,
    pub timers_late_s: i64,
    pub turns: u64,
    pub leaves: u64,
    pub database_bytes: u64,
    pub schedules: Vec<ScheduleLine>,
    pub next: Vec<Next>,
}

/// Where a timetable stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleLine {
    pub workflow: String,
    pub schedule: String,
    pub cron: String,
    pub timezone: String,
    /// An operator closed it, or messages are switched off.
    pub closed: bool,
    /// The instant of its last message.
    pub last: Option<At>,
    pub next: Option<At>,
    /// The next instant by the clock of its zone.
    pub next_local: String,
}

/// What time it is for the engine, and for the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClockSheet {
    pub engine: At,
    /// Of the machine, or of the database that nodes share.
    pub clock: At,
    /// `machine` or `database`.
    pub of: String,
    /// How far the clock is ahead of engine time, in seconds; negative: behind it.
    pub ahead_s: i64,
    /// `ahead`: engine time is held; `behind`: it waits; `none`.
    pub alarm: String,
    pub since: Option<At>,
    pub next: Vec<Next>,
}

/// Turns of the audit, in commit order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditPage {
    pub turns: Vec<serde_json::Value>,
    /// Ask again after this; `None` at the end.
    pub after: Option<u64>,
}

/// What a verifier needs beside the turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditHead {
    pub tenant: String,
    /// Ed25519 key that signs the checkpoints, hexadecimal.
    pub public_key: String,
    /// Oldest first.
    pub checkpoints: Vec<CheckpointLine>,
}

/// A signed statement about a tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckpointLine {
    pub size: u64,
    pub root: String,
    pub signature: String,
    pub at: At,
}

/// A message that is stored already.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Repeat {
    pub event: String,
    pub case: Option<String>,
    pub taken_at: Option<At>,
    /// By what it is known.
    pub recognised_by: String,
    pub same_bytes: bool,
}

/// What would happen to a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    /// What is needed to know about the doors, and whether it would join.
    pub notes: Vec<String>,
    /// The stored message that it repeats.
    pub duplicate: Option<Repeat>,
    /// The case that it would join.
    pub joins: Option<String>,
    pub explanation: Explanation,
}
