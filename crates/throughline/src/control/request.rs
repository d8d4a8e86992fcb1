//! The requests, as the command line writes them and the control socket carries them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::import::Rows;

/// A request with whose it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// The tenant's name.
    pub tenant: String,
    /// The operating-system account that asks.
    pub by: String,
    /// What is asked.
    pub request: Request,
    /// Whoever asks has given up by then, ms since the machine started: a server that comes to it later leaves it.
    #[serde(default)]
    pub until: Option<u64>,
    /// The name of this one change: whatever carries it out, it is carried out once.
    #[serde(default)]
    pub once: Option<String>,
}

impl Envelope {
    /// A request that waits for its answer as long as it takes.
    pub fn new(tenant: &str, by: &str, request: Request) -> Envelope {
        Envelope {
            tenant: tenant.to_owned(),
            by: by.to_owned(),
            request,
            until: None,
            once: None,
        }
    }
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    CaseList {
        filter: CaseQuery,
    },
    CaseShow {
        id: String,
    },
    CaseCommand {
        id: String,
        reason: String,
        what: CaseChange,
    },
    Explain {
        id: String,
    },
    TaskList {
        filter: TaskQuery,
    },
    TaskShow {
        id: String,
    },
    TaskDecide(Decide),
    EffectList {
        filter: EffectQuery,
    },
    EffectShow {
        id: String,
    },
    EffectResolve {
        id: String,
        how: How,
        reason: String,
    },
    ConnectionList,
    ConnectionCheck {
        name: Option<String>,
    },
    Groups,
    GroupShow {
        group: String,
        limit: u32,
    },
    /// What became of effects that were sent again for a reason.
    Outcomes {
        ids: Vec<String>,
        reason: String,
    },
    Redrive {
        ids: Vec<String>,
        /// Those of a group, at most a hundred, where none is named.
        group: Option<String>,
        reason: String,
    },
    OutboxList {
        case: Option<String>,
        limit: u32,
    },
    OutboxShow {
        effect: String,
    },
    RecordShow {
        record_type: String,
        id: String,
    },
    KillList,
    KillSet {
        scope: String,
        mode: SwitchMode,
        reason: String,
    },
    KillClear {
        scope: String,
        reason: String,
    },
    SuppressionList {
        limit: u32,
    },
    SuppressionAdd {
        address: String,
        reason: String,
    },
    SuppressionRemove {
        address: String,
        reason: String,
        over_stop: bool,
    },
    Plan {
        files: Files,
    },
    Deploy {
        files: Files,
    },
    Versions,
    Rollback {
        workflow: String,
        number: u32,
        reason: String,
    },
    TenantList,
    TenantCreate {
        name: String,
    },
    TenantDisabled {
        name: String,
        disabled: bool,
        reason: String,
    },
    EndpointList,
    EndpointRotate {
        endpoint: String,
        overlap: i64,
        /// The secret that the vendor made; a fresh one when absent.
        secret: Option<String>,
    },
    EndpointDisabled {
        endpoint: String,
        disabled: bool,
        reason: String,
    },
    KeyList,
    KeyCreate {
        scopes: Vec<String>,
        lives: Option<i64>,
    },
    KeyRotate {
        kid: String,
        overlap: i64,
        lives: Option<i64>,
    },
    KeyDisable {
        kid: String,
        reason: String,
    },
    FlagList,
    FlagSet {
        name: String,
        value: Option<bool>,
        installation: bool,
    },
    Status,
    Clock,
    ClockAccept {
        reason: String,
    },
    AuditPage {
        after: u64,
        limit: u32,
    },
    AuditHead,
    Try(Message),
    ImportLook {
        endpoint: String,
    },
    ImportRows(Rows),
}

impl Request {
    /// How many rows a list shows at most.
    pub fn limit(&self) -> Option<u32> {
        match self {
            Request::CaseList { filter } => Some(filter.limit),
            Request::TaskList { filter } => Some(filter.limit),
            Request::EffectList { filter } => Some(filter.limit),
            Request::OutboxList { limit, .. } => Some(*limit),
            Request::SuppressionList { limit } => Some(*limit),
            _ => None,
        }
    }

    /// The reason of a change, as it was typed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Request::CaseCommand { reason, .. }
            | Request::EffectResolve { reason, .. }
            | Request::Redrive { reason, .. }
            | Request::KillSet { reason, .. }
            | Request::KillClear { reason, .. }
            | Request::SuppressionAdd { reason, .. }
            | Request::SuppressionRemove { reason, .. }
            | Request::Rollback { reason, .. }
            | Request::TenantDisabled { reason, .. }
            | Request::EndpointDisabled { reason, .. }
            | Request::KeyDisable { reason, .. }
            | Request::ClockAccept { reason } => Some(reason),
            Request::TaskDecide(d) => Some(&d.reason),
            _ => None,
        }
    }
}

/// Files of a project: path to base 64.
pub type Files = BTreeMap<String, String>;

/// Which cases.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CaseQuery {
    /// In this state, by name.
    pub state: Option<String>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Open, or closed.
    pub closed: Option<bool>,
    /// Opened before this case.
    pub before: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// What happens to a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseChange {
    /// Along a declared edge.
    Move(String),
    /// To a person or team.
    Assign(String),
    /// To `closed`.
    Close,
    /// Open again and decide again.
    Reopen,
}

/// Which tasks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TaskQuery {
    /// Owned by one of these.
    pub owners: Vec<String>,
    /// Of this case.
    pub case: Option<String>,
    /// Closed ones too.
    pub closed: bool,
    /// At most so many.
    pub limit: u32,
}

/// A person's decision about a task.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Decide {
    /// The task.
    pub id: String,
    /// `approve`, `edit`, `reject`, `accept`, `close`.
    pub decision: String,
    /// Reason code.
    pub reason: String,
    /// Words beside it.
    pub note: Option<String>,
    /// Fields corrected.
    pub set: Vec<(String, String)>,
    /// The digest of what was shown, or its first 12 digits at least.
    pub digest: Option<String>,
}

/// Which effects.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EffectQuery {
    /// In these states, by name; empty for all.
    pub states: Vec<String>,
    /// Of this case.
    pub case: Option<String>,
    /// Without questions to models.
    #[serde(default)]
    pub no_questions: bool,
    /// At most so many.
    pub limit: u32,
}

/// What a person says became of an effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It happened; the vendor's id where it is known.
    Happened(Option<String>),
    /// It did not: send it.
    SendAgain,
    /// It did not, and shall not.
    Drop,
}

/// What a switch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchMode {
    /// Effects in its scope wait.
    Hold,
    /// Effects in its scope are cancelled.
    Cancel,
    /// Effects in its scope are settled without being sent.
    DryRun,
}

impl SwitchMode {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            SwitchMode::Hold => "hold",
            SwitchMode::Cancel => "cancel",
            SwitchMode::DryRun => "dry-run",
        }
    }
}

/// A message to be tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// The door.
    pub endpoint: String,
    /// Its content type.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body, base 64.
    pub body: String,
}
