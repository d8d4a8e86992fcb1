//! What the pages show. Times are µs since the Unix epoch; text from outside has been made harmless for display
//! (no control characters, no direction overrides) by whoever fills these in.

use crate::access::Role;

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Account name.
    pub name: String,
    /// Name as people write it.
    pub shown: String,
    /// What they may do.
    pub role: Role,
}

/// What stands around every page.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Tenant's name.
    pub tenant: String,
    /// Engine time.
    pub now: i64,
    /// Switches in force.
    pub switches: Vec<Switch>,
    /// Open tasks.
    pub tasks: u64,
    /// Effects that failed, were given up or are uncertain.
    pub failures: u64,
    /// There are forms for notes.
    pub notes: bool,
}

/// A form for people who have signed in: a phone note.
#[derive(Debug, Clone)]
pub struct NoteForm {
    /// Name of its door.
    pub name: String,
    /// Heading.
    pub title: String,
    /// What stands below it.
    pub intro: Option<String>,
    /// What is asked.
    pub questions: Vec<Question>,
}

/// A question of a note.
#[derive(Debug, Clone)]
pub struct Question {
    /// Name of the answer.
    pub name: String,
    /// What is asked.
    pub label: String,
    /// What helps to answer.
    pub hint: Option<String>,
    /// How it is asked.
    pub asked: Asked,
    /// It has to be answered.
    pub required: bool,
}

/// How a question is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A line: the type of its control.
    Line(&'static str),
    /// Several lines.
    Area,
    /// One of these: the value, and what is shown.
    Choice(Vec<(String, String)>),
    /// A box to tick.
    Tick,
}

/// What became of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It is kept.
    Kept,
    /// It was kept before: the page was sent twice.
    Before,
    /// The page was sent before with other answers: those are kept, and these are not.
    Changed,
    /// Answers to mend: the position of the question, where there is one, and what to do.
    Wrong(Vec<(Option<usize>, String)>),
}

/// A kill switch in force.
#[derive(Debug, Clone)]
pub struct Switch {
    /// What it covers.
    pub scope: String,
    /// `hold`, `cancel`, `dry-run`.
    pub mode: String,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: i64,
}

/// How a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Nothing runs.
    None,
    /// In time.
    OnTime,
    /// Less than a fifth of the time is left.
    Warn,
    /// Past due.
    Late,
}

/// The line of a case in small: its stations, where it is, how its clock stands.
#[derive(Debug, Clone)]
pub struct Line {
    /// Names of the stations, in the order of the workflow file.
    pub stations: Vec<String>,
    /// Where the case is.
    pub at: usize,
    /// How its clock stands.
    pub pace: Pace,
    /// A person is or was at it.
    pub person: bool,
    /// It has ended.
    pub closed: bool,
}

/// A task in the inbox.
#[derive(Debug, Clone)]
pub struct TaskRow {
    /// Its id.
    pub id: String,
    /// Its case.
    pub case: String,
    /// `approve`, `review`, `missing`, `hand_off`, `exception`.
    pub kind: String,
    /// What is asked, as a person would say it.
    pub title: String,
    /// Whom it is about: company or name; empty where nobody is known.
    pub about: String,
    /// First words of what goes out or came in.
    pub preview: String,
    /// Why it stopped, in few words.
    pub why: String,
    /// Person or team.
    pub owner: String,
    /// The owner is who looks.
    pub mine: bool,
    /// Workflow id.
    pub workflow: String,
    /// When it should be done.
    pub due: Option<i64>,
    /// Opened.
    pub opened_at: i64,
    /// The case in small.
    pub line: Line,
}

/// The inbox.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Tasks by what breaches first.
    pub rows: Vec<TaskRow>,
    /// All open tasks, where `rows` is a part of them.
    pub all: u64,
    /// Counts by kind.
    pub kinds: Vec<(String, u64)>,
}

/// What the inbox may be narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxFilter {
    /// Only those of who looks.
    pub mine: bool,
    /// Only of this kind.
    pub kind: Option<String>,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Number within the case, from 1.
    pub n: u32,
    /// When.
    pub at: i64,
    /// `form`, `email`, …
    pub channel: String,
    /// The door.
    pub endpoint: String,
    /// How the sender was verified.
    pub verified: String,
    /// Sender, subject and whatever else stands in front of the text.
    pub head: Vec<(String, String)>,
    /// The text that was read: byte spans of fields point into it.
    pub text: String,
    /// Text below it that was not read: what was quoted or forwarded.
    pub quoted: String,
    /// Attachments: name, type and size.
    pub attachments: Vec<String>,
    /// The whole body as names and values, where there is no text.
    pub parts: Vec<(String, String)>,
}

/// Who gave a field its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The sender.
    Sender,
    /// A model.
    Model,
    /// A rule or a table.
    Rule,
    /// A person.
    Person,
    /// The system of record.
    Crm,
    /// The engine.
    Engine,
    /// Nobody yet.
    Nobody,
}

/// A field of the record.
#[derive(Debug, Clone)]
pub struct FieldRow {
    /// Its name.
    pub name: String,
    /// Its value as text; empty where absent.
    pub value: String,
    /// Its value where it is an instant.
    pub instant: Option<i64>,
    /// Who gave it.
    pub by: By,
    /// Where it came from, in words.
    pub source: String,
    /// Thousandths.
    pub confidence: Option<u16>,
    /// Bytes of the last message's text.
    pub span: Option<(usize, usize)>,
    /// Must have a value.
    pub required: bool,
    /// May address an effect.
    pub control: bool,
    /// Can be corrected by a person.
    pub editable: bool,
    /// What it may be, where it is one of a few.
    pub choices: Vec<String>,
    /// Takes several lines.
    pub long: bool,
}

/// What an approval sends: exactly this.
#[derive(Debug, Clone)]
pub struct Sends {
    /// Effect id.
    pub effect: String,
    /// Action name.
    pub action: String,
    /// `E-mail to dana@acme.example`, `Write lead case_01…`.
    pub title: String,
    /// The button: `Approve and send`, `Approve and write`.
    pub button: String,
    /// It is said to somebody: its words can be changed while it is approved.
    pub is_message: bool,
    /// How the recipient is known; empty where there is none.
    pub checked: String,
    /// Subject; empty where there is none.
    pub subject: String,
    /// Full text; empty where there is none.
    pub text: String,
    /// Further arguments: name, value before, value after.
    pub fields: Vec<(String, String, String)>,
    /// Digest of what is shown, hexadecimal.
    pub digest: String,
    /// What the guarantee class promises, in words.
    pub promise: String,
    /// What the policy says, and where.
    pub policy: String,
    /// A switch would hold it.
    pub held: Option<String>,
}

/// What a model proposed, and what the decision made of it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Model.
    pub model: String,
    /// Thousandths.
    pub confidence: Option<u16>,
    /// Thousandths.
    pub threshold: Option<u16>,
    /// Names and values.
    pub fields: Vec<(String, String)>,
    /// What became of the step where there is no proposal: off, failed.
    pub failed: String,
}

/// A task with everything needed to decide it.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// As lists show it.
    pub row: TaskRow,
    /// How it was closed, where it was.
    pub closed: Option<String>,
    /// State of the case.
    pub state: String,
    /// Version of the workflow.
    pub version: String,
    /// Messages, the newest first.
    pub arrived: Vec<Arrived>,
    /// The record.
    pub record: Vec<FieldRow>,
    /// Why it stopped, the plainest first.
    pub why: Vec<String>,
    /// The rule behind it, line by line.
    pub rule: Vec<String>,
    /// What a model proposed.
    pub proposal: Option<Proposal>,
    /// What an approval sends.
    pub sends: Option<Sends>,
    /// Decisions that are allowed.
    pub allowed: Vec<String>,
    /// The case so far.
    pub turns: Vec<Turn>,
}

/// Where an entry stands on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Came in.
    Input,
    /// Was decided.
    Decision,
    /// Was done.
    Action,
    /// A clock.
    Clock,
}

/// A turn of a case.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Number.
    pub n: u32,
    /// When.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// A person.
    pub person: bool,
    /// What happened: where it stands, the sentence, details.
    pub entries: Vec<(Side, String, Vec<String>)>,
}

/// A case in a list.
#[derive(Debug, Clone)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// Workflow id.
    pub workflow: String,
    /// State.
    pub state: String,
    /// Owner.
    pub owner: String,
    /// Reason of the state.
    pub reason: String,
    /// When the state should have ended.
    pub due: Option<i64>,
    /// Opened.
    pub opened_at: i64,
    /// Changed.
    pub updated_at: i64,
    /// In small.
    pub line: Line,
    /// Open tasks.
    pub tasks: u32,
    /// Open effects.
    pub effects: u32,
}

/// Cases.
#[derive(Debug, Clone, Default)]
pub struct Cases {
    /// Newest first.
    pub rows: Vec<CaseRow>,
    /// State names that can be chosen.
    pub states: Vec<String>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What the list of cases may be narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// In this state.
    pub state: Option<String>,
    /// Opened before this case.
    pub before: Option<String>,
}

/// A step that can be taken about a case.
#[derive(Debug, Clone)]
pub struct Step {
    /// Why.
    pub why: String,
    /// The command that does it at a terminal; empty where there is none.
    pub command: String,
}

/// A case with everything that happened.
#[derive(Debug, Clone)]
pub struct CasePage {
    /// As lists show it.
    pub row: CaseRow,
    /// Whom it is about; empty where nobody is known.
    pub about: String,
    /// `lead@1.0.0`.
    pub version: String,
    /// Bundle's number and short digest.
    pub bundle: String,
    /// Correlation id.
    pub correlation: String,
    /// What is the matter, in one sentence without a value of the record.
    pub summary: String,
    /// What else is worth knowing about it, values among it.
    pub notes: Vec<String>,
    /// Goal and how it stands; empty without one.
    pub goal: String,
    /// What to do next.
    pub next: Vec<Step>,
    /// Open tasks: id and title.
    pub tasks: Vec<(String, String)>,
    /// Everything that happened.
    pub turns: Vec<Turn>,
    /// The record.
    pub record: Vec<FieldRow>,
    /// Effects of the case.
    pub effects: Vec<EffectRow>,
}

/// An effect in a list.
#[derive(Debug, Clone)]
pub struct EffectRow {
    /// Its id.
    pub id: String,
    /// Its case.
    pub case: String,
    /// Action name.
    pub action: String,
    /// Connection; empty for the built-in ones.
    pub connection: String,
    /// State.
    pub state: String,
    /// Error or reason code.
    pub code: String,
    /// The code in words.
    pub words: String,
    /// Guarantee class.
    pub class: String,
    /// Attempts.
    pub attempts: u32,
    /// Planned.
    pub planned_at: i64,
    /// Changed.
    pub updated_at: i64,
}

/// Failures.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// Uncertain: may or may not have happened.
    pub uncertain: Vec<EffectRow>,
    /// Failed or given up, by cause.
    pub dead: Vec<Cause>,
}

/// Effects that failed at the same.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Its fingerprint.
    pub group: String,
    /// Workflow and action.
    pub what: String,
    /// What they failed at, in words.
    pub words: String,
    /// The newest first.
    pub rows: Vec<EffectRow>,
}

/// A message of the outbox.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The effect.
    pub effect: String,
    /// Its case.
    pub case: String,
    /// Channel.
    pub channel: String,
    /// To whom.
    pub to: String,
    /// Subject.
    pub subject: String,
    /// Text.
    pub text: String,
    /// When.
    pub at: i64,
}

/// A figure with how many it stands on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    /// How many of them.
    pub of: u64,
    /// Out of how many.
    pub n: u64,
}

/// A state with what stands in it.
#[derive(Debug, Clone)]
pub struct Station {
    /// Name.
    pub name: String,
    /// Who owns it.
    pub owner: String,
    /// Open cases in it; for an end state, all that ended.
    pub n: u64,
    /// When the oldest of them was opened.
    pub oldest: Option<i64>,
    /// Its SLA, µs.
    pub sla: Option<i64>,
    /// It ends the line.
    pub terminal: bool,
}

/// How a workflow does.
#[derive(Debug, Clone)]
pub struct Health {
    /// Workflow id.
    pub workflow: String,
    /// Version.
    pub version: String,
    /// What its goal asks for; empty without one.
    pub goal: String,
    /// Who answers for it.
    pub owner: String,
    /// Its states, in order.
    pub stations: Vec<Station>,
    /// How many of the newest cases the shares are taken from.
    pub sample: u64,
    /// The oldest of them was opened then.
    pub since: Option<i64>,
    /// From arrival to the first touch, µs: the half, nine in ten, and n.
    pub first_touch: Option<(i64, i64, u64)>,
    /// First touches by the hour or the day, oldest first: for the small chart.
    pub arrivals: Vec<u64>,
    /// What one column of the chart stands for.
    pub arrivals_step: String,
    /// Cases whose goal was met.
    pub goal_met: Share,
    /// Closed cases that no person touched.
    pub automated: Share,
    /// Open tasks by kind: count and age of the oldest, µs.
    pub tasks: Vec<(String, u64, i64)>,
}

/// What waits for somebody, across workflows.
#[derive(Debug, Clone, Default)]
pub struct HealthPage {
    /// One for each workflow.
    pub flows: Vec<Health>,
    /// Things that ask for somebody: words and where to go.
    pub asks: Vec<(String, String)>,
    /// Events accepted, and repeats that were recognised.
    pub events: (u64, u64),
    /// The server runs since.
    pub since: i64,
    /// Its version.
    pub build: String,
}

/// A workflow.
#[derive(Debug, Clone)]
pub struct WorkflowPage {
    /// Id.
    pub id: String,
    /// Version.
    pub version: String,
    /// Number and digest of the bundle.
    pub bundle: String,
    /// Deployed.
    pub at: i64,
    /// Goal.
    pub goal: String,
    /// States with counts.
    pub stations: Vec<Station>,
    /// Action, guarantee class, what the policy says and where.
    pub policy: Vec<(String, String, String, String)>,
    /// Doors: name, channel, how senders show who they are, open.
    pub doors: Vec<(String, String, String, bool)>,
    /// Deployed versions: number, version, digest, when, current.
    pub versions: Vec<(u32, String, String, i64, bool)>,
}

/// A person with an account.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub who: Who,
    /// Made or changed by.
    pub by: String,
    /// When.
    pub at: i64,
}

/// What came of a decision.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What is the case now, in a sentence.
    pub said: String,
    /// A task of the same case that is open now.
    pub next: Option<String>,
}

/// A person's decision about a task, as the form gives it.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// `approve`, `edit`, `reject`, `accept`, `close`.
    pub decision: String,
    /// Reason code.
    pub reason: String,
    /// Words beside it.
    pub note: String,
    /// Fields corrected.
    pub set: Vec<(String, String)>,
    /// Digest of what was shown.
    pub digest: String,
}

/// What a person says became of an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It happened; the other system's name for it.
    Happened(String),
    /// It did not: send it.
    SendAgain,
    /// It did not, and shall not.
    Drop,
}
