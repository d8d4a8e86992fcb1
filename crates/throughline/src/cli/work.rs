//! What is typed about cases, tasks, effects and switches.

use clap::{Subcommand, ValueEnum};

use super::pair;
use crate::control::request::SwitchMode;

/// `case`.
#[derive(Debug, Subcommand)]
pub enum Case {
    /// List cases, newest first
    List {
        /// In this state
        #[arg(long)]
        state: Option<String>,
        /// Of this workflow
        #[arg(long)]
        workflow: Option<String>,
        /// Only open ones
        #[arg(long, conflicts_with = "closed")]
        open: bool,
        /// Only closed ones
        #[arg(long)]
        closed: bool,
        /// Opened before this case
        #[arg(long, value_name = "CASE")]
        before: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a case: record, tasks, effects
    Show {
        /// The case
        case: String,
    },
    /// Move a case along a declared transition
    Move {
        /// The case
        case: String,
        /// The state to move to
        state: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Give a case to a person or team
    Assign {
        /// The case
        case: String,
        /// The person or team
        owner: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Close a case
    Close {
        /// The case
        case: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Open a closed case again and decide it again
    Reopen {
        /// The case
        case: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// `task`.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// List tasks, what is due first at the top
    List {
        /// Owned by this person or team; may be given several times
        #[arg(long)]
        owner: Vec<String>,
        /// Of this case
        #[arg(long)]
        case: Option<String>,
        /// Decided ones too
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a task with everything needed to decide it: for an approval exactly what will be sent
    Show {
        /// The task
        task: String,
    },
    /// Decide a task
    ///
    /// Which decision fits: approve: approve, edit, reject. review and missing: approve, edit, reject, close.
    /// hand_off: accept, reject, close. exception: accept, close; where nobody knows what became of an effect,
    /// `effect resolve` comes first. Where each leads is in docs/concepts/decision.md: accepting a hand-off, for
    /// example, closes the case once nothing else of it is open.
    Decide {
        /// The task
        task: String,
        /// What is decided
        decision: Decision,
        /// Why, as a code
        #[arg(long)]
        reason: String,
        /// The digest that `task show` printed: an approval covers exactly what was shown
        #[arg(long)]
        digest: Option<String>,
        /// Correct a field; of a message that waits for an approval: subject or text. May be given several times
        #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
        set: Vec<(String, String)>,
        /// Words beside the decision
        #[arg(long)]
        note: Option<String>,
    },
}

/// What a person decides about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Decision {
    /// Yes: decide it anew with the person's word, or send exactly this
    Approve,
    /// Go on with corrected fields, or send the message in these words
    Edit,
    /// No: nothing is sent; with nothing else open, the case is closed
    Reject,
    /// Taken over: with nothing else open, the case is closed
    Accept,
    /// Nothing more to do: the case is closed
    Close,
}

/// `effect`.
#[derive(Debug, Subcommand)]
pub enum Effect {
    /// List effects, newest case first
    List {
        /// In this state; may be given several times
        #[arg(long)]
        state: Vec<String>,
        /// Of this case
        #[arg(long)]
        case: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show an effect: arguments, attempts, what is known
    Show {
        /// The effect
        effect: String,
    },
    /// Say what became of an effect that nobody else can know about
    ///
    /// For one effect that is uncertain, failed or dead. Many that failed for the same reason: `dead redrive`.
    Resolve {
        /// The effect
        effect: String,
        /// What became of it
        how: How,
        /// The other system's name for it
        #[arg(long = "ref", value_name = "REF")]
        reference: Option<String>,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
}

/// What a person says became of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    /// It happened
    Happened,
    /// It did not: send it, with the same id and key
    SendAgain,
    /// It did not, and shall not
    Drop,
}

/// `outbox`.
#[derive(Debug, Subcommand)]
pub enum Outbox {
    /// List messages, newest first
    List {
        /// Of this case
        #[arg(long)]
        case: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a message with its text
    Show {
        /// The effect that wrote it
        effect: String,
    },
}

/// `record`.
#[derive(Debug, Subcommand)]
pub enum Record {
    /// Show a record as it is now
    Show {
        /// The type of the record, such as lead
        #[arg(value_name = "TYPE")]
        record_type: String,
        /// Its id, as `effect show` of the write names it
        id: String,
    },
}

/// `dead`.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// List what failed or was given up; questions to models are not among them, `case reopen` asks again
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one with its attempts
    Show {
        /// The effect
        effect: String,
    },
    /// Group what failed, was given up or may have happened by what it came to grief at
    Groups,
    /// Send again: those named, or a group, some each second, until too many fail anew
    Redrive(Redrive),
}

/// `dead redrive`.
#[derive(Debug, clap::Args)]
pub struct Redrive {
    /// The effects, at most 100
    #[arg(required_unless_present = "group")]
    pub effects: Vec<String>,
    /// A group, by the fingerprint that `dead groups` shows
    #[arg(long, conflicts_with = "effects")]
    pub group: Option<String>,
    /// Why, as a code
    #[arg(long, required_unless_present = "dry_run")]
    pub reason: Option<String>,
    /// Show what would be sent, what holds it, and what has happened already; send nothing
    #[arg(long, requires = "group")]
    pub dry_run: bool,
    /// At most so many of the group, the oldest first
    #[arg(long, default_value_t = 1_000, requires = "group", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// So many each second
    #[arg(long, value_name = "N", default_value_t = 5, requires = "group", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub per_second: u32,
    /// Stop when so many of a hundred fail again
    #[arg(long, value_name = "PERCENT", default_value_t = 20, requires = "group", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub stop_at: u32,
    /// You have looked: none of a group that may have happened has happened
    #[arg(long, requires = "group")]
    pub none_happened: bool,
}

/// `suppression`.
#[derive(Debug, Subcommand)]
pub enum Suppression {
    /// List the addresses, the newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Send nothing to an address from now on
    Add {
        /// An e-mail address, or a phone number such as +4366012345
        address: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Let an address be written to again
    Remove {
        /// The address
        address: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
        /// Although its owner has said STOP
        #[arg(long)]
        over_stop: bool,
    },
}

/// `kill`.
#[derive(Debug, Subcommand)]
pub enum Kill {
    /// Set a switch: it covers effects, and questions to models as well
    ///
    /// With everything, tenant, workflow:ID or model:NAME no model is asked either: with `hold` the questions wait
    /// and so do their cases; with `cancel` or `dry-run` people get the cases at once. connection:built_in is the record store, connection:outbox the outbox. In a dry run the cases go on as if
    /// everything had been sent; the ledger marks what was not with dry_run:SCOPE, and it is not sent later.
    Set {
        /// everything, tenant, ingest, workflow:ID, action:NAME, connection:NAME or model:NAME
        scope: String,
        /// What happens to effects in its scope
        #[arg(long, default_value = "hold")]
        mode: SwitchMode,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// Clear a switch
    Clear {
        /// Its scope
        scope: String,
        /// Why, as a code
        #[arg(long)]
        reason: String,
    },
    /// List the switches in force
    List,
}
