//! The inbox, a task with its context, and the decision about it.

use tl_console::Trouble;
use tl_console::views::{
    Arrived, Decided, Decision, Inbox, InboxFilter, Proposal, Sends, TaskPage, TaskRow, Who,
};
use tl_document::{Declared, Document, Unread};
use tl_engine::tenant::Bundle;
use tl_kernel::case::{Ai, Case, CaseEffect};
use tl_kernel::decide::{Command, CommandKind, Input};
use tl_kernel::digest::hex;
use tl_kernel::effect::Class;
use tl_kernel::id::{EffectId, TaskId};
use tl_kernel::journal::{Actor, Entry};
use tl_kernel::program::{ActionKind, RecipientCheck};
use tl_kernel::turn::StoredEvent;
use tl_kernel::value::Value;
use tl_store::contract::{TaskFilter, TaskRow as Stored};

use super::case::Known;
use super::words::{about, fields, line, pace, plain_words, text_at, trouble, turns, unread};
use super::{Rooms, said};
use crate::control::Request;
use crate::control::request::Decide;
use crate::explain::{Explanation, Side, arguments, policy_place};
use crate::text::{one_line, safe};

/// Rows of an inbox.
const ROWS: u32 = 100;
/// First words of a row, characters.
const PREVIEW: usize = 140;
/// Messages that a task shows.
const MESSAGES: usize = 5;

impl Rooms {
    pub(super) async fn inbox_of(&self, who: &Who, filter: InboxFilter) -> Result<Inbox, Trouble> {
        let view = self.view().await?;
        let store = self.app.desk.store();
        let now = self.app.desk.now();
        let stats = store.stats(now).await.map_err(unread)?;
        let kinds: Vec<(String, u64)> = stats
            .tasks
            .iter()
            .filter(|t| t.0 == view.id)
            .map(|t| (t.1.clone(), t.2))
            .collect();
        let stored = TaskFilter {
            tenant: Some(view.id),
            owners: filter.mine.then(|| who.name.clone()).into_iter().collect(),
            limit: ROWS,
            ..TaskFilter::default()
        };
        let mut rows = Vec::new();
        for task in store.tasks(stored).await.map_err(unread)? {
            if filter.kind.as_ref().is_none_or(|k| *k == task.kind) {
                let case = self.app.desk.load(view.id, task.task.case).await;
                let case = case.map_err(|e| trouble(e.into()))?;
                let bundle = self.app.desk.bundle(view.id, case.definition).await;
                let bundle = bundle.map_err(|e| trouble(e.into()))?;
                rows.push(row(&task, (&case, &bundle), (who, now)));
            }
        }
        Ok(Inbox {
            rows,
            all: kinds.iter().map(|k| k.1).sum(),
            kinds,
        })
    }

    pub(super) async fn task_page(&self, who: &Who, id: &str) -> Result<TaskPage, Trouble> {
        let id = parsed(id)?;
        let known = self.known(id.case).await?;
        let (case, bundle, now) = (&known.case, &known.bundle, self.app.desk.now());
        let filter = TaskFilter {
            tenant: Some(known.tenant),
            case: Some(id.case),
            closed: true,
            limit: 10_000,
            ..TaskFilter::default()
        };
        let tasks = self.app.desk.store().tasks(filter).await.map_err(unread)?;
        let stored = tasks.iter().find(|t| t.task == id);
        let stored = stored.ok_or_else(|| Trouble::missing(format!("There is no {id}.")))?;
        let events = self.app.desk.store().events(known.tenant, id.case).await;
        let events = events.map_err(unread)?;
        let explained = self.explained(id.case).await?;
        let (why, rule) = why(stored, &explained);
        let sends = match stored.effect {
            Some(n) => self.sends(&known, n).await?,
            None => None,
        };
        Ok(TaskPage {
            row: row(stored, (case, bundle), (who, now)),
            closed: stored.closed.as_ref().map(|(_, how)| how.clone()),
            state: bundle.program.state_name(case.state).to_owned(),
            version: bundle.program.version.clone(),
            arrived: arrived(&known, &events),
            record: fields(case, bundle),
            why,
            rule,
            proposal: proposal(&known),
            allowed: allowed(&stored.kind)
                .iter()
                .filter(|a| **a != "edit" || sends.as_ref().is_none_or(|s| s.is_message))
                .map(|a| (*a).to_owned())
                .collect(),
            turns: turns(&explained, &known.people),
            sends,
        })
    }

    /// What an approval of an effect sends.
    async fn sends(&self, known: &Known, n: u32) -> Result<Option<Sends>, Trouble> {
        let Some(effect) = known.case.effects.get(&n) else {
            return Ok(None);
        };
        let gate = self.app.desk.store().gate(known.tenant).await;
        let switches = gate.map_err(unread)?.switches;
        let covers = [
            "everything".to_owned(),
            "tenant".to_owned(),
            format!("workflow:{}", known.bundle.program.id),
            format!("action:{}", effect.name),
        ];
        let held = switches.into_iter().find(|s| covers.contains(&s.scope));
        Ok(Some(Sends {
            held: held.map(|s| s.scope),
            ..sends_of(known, n, effect)
        }))
    }

    pub(super) async fn decide_task(
        &self,
        who: &Who,
        id: &str,
        d: Decision,
    ) -> Result<Decided, Trouble> {
        let task = parsed(id)?;
        let before = self.task_page(who, id).await?;
        let edited = d.set.len();
        let request = Request::TaskDecide(Decide {
            id: id.to_owned(),
            decision: d.decision.clone(),
            reason: d.reason,
            note: Some(d.note).filter(|n| !n.is_empty()),
            set: d.set,
            digest: Some(d.digest).filter(|d| !d.is_empty()),
        });
        said(self.ask(who, request).await?)?;
        let view = self.view().await?;
        let filter = TaskFilter {
            tenant: Some(view.id),
            case: Some(task.case),
            limit: 10,
            ..TaskFilter::default()
        };
        let open = self.app.desk.store().tasks(filter).await.map_err(unread)?;
        let title = before.row.title;
        let said = match d.decision.as_str() {
            "approve" if before.sends.is_some() => format!("Approved, and on its way: {title}"),
            "approve" => "Approved: the case is decided with your word".to_owned(),
            "edit" if before.sends.is_some() => {
                format!("Approved in your words, and on its way: {title}")
            }
            "edit" if edited == 0 => "Decided again, with nothing corrected".to_owned(),
            "edit" => format!("Corrected, and decided again: {title}"),
            "reject" => format!("Sent back, nothing goes out: {title}"),
            "accept" => format!("Taken on: {title}"),
            _ => format!("Closed: {title}"),
        };
        Ok(Decided {
            said,
            next: open.first().map(|t| t.task.to_string()),
        })
    }

    pub(super) async fn assign_task(&self, who: &Who, id: &str, to: &str) -> Result<(), Trouble> {
        let task = parsed(id)?;
        let view = self.view().await?;
        let input = Input::Command(Command {
            by: Actor::Person(who.name.clone()),
            reason: "taken_over".into(),
            what: CommandKind::Assign(to.to_owned()),
        });
        let desk = &self.app.desk;
        let done = desk.advance((view.id, task.case), input, Vec::new(), None);
        done.await.map(|_| ()).map_err(|e| trouble(e.into()))
    }
}

fn parsed(id: &str) -> Result<TaskId, Trouble> {
    let wrong = |_| Trouble::missing("That is no id of a task.").then("Inbox", "/inbox");
    id.parse::<TaskId>().map_err(wrong)
}

/// What may be decided about a kind of task.
fn allowed(kind: &str) -> &'static [&'static str] {
    match kind {
        "approve" => &["approve", "edit", "reject"],
        "review" | "missing" => &["approve", "edit", "reject"],
        "hand_off" => &["accept", "reject"],
        _ => &["accept", "close"],
    }
}

/// A task as the inbox shows it.
pub(super) fn row(
    task: &Stored,
    (case, bundle): (&Case, &Bundle),
    (who, now): (&Who, i64),
) -> TaskRow {
    let program = &bundle.program;
    let effect = task.effect.and_then(|n| case.effects.get(&n));
    let outgoing = effect
        .and_then(|e| e.args.as_ref())
        .and_then(|a| text_at(a, &["text"]));
    let written = |name: &str| Some(safe(&case.record.get(name)?.value.to_string()));
    let incoming = case.message.as_ref().and_then(|m| text_at(m, &["text"]));
    let incoming = incoming
        .or_else(|| written("message"))
        .or_else(|| written("body"));
    let first = match task.kind.as_str() {
        "approve" => outgoing.or(incoming),
        _ => incoming,
    };
    let due = task.due.or(case.due);
    TaskRow {
        id: task.task.to_string(),
        case: task.task.case.to_string(),
        kind: task.kind.clone(),
        title: title(task, case, bundle),
        about: one_line(&about(case), 80),
        preview: one_line(first.unwrap_or_default().trim(), PREVIEW),
        why: reason_words(task),
        owner: task.owner.clone(),
        mine: task.owner == who.name,
        workflow: program.id.clone(),
        due,
        opened_at: task.opened_at,
        line: line(program, case.state, pace(task.opened_at, due, now)),
    }
}

/// What is asked, as a person would say it.
pub(super) fn title(task: &Stored, case: &Case, bundle: &Bundle) -> String {
    let record = bundle.program.record.name.replace('_', " ");
    let effect = task.effect.and_then(|n| case.effects.get(&n));
    match (task.kind.as_str(), effect) {
        ("approve", Some(e)) => format!("Approve {}", lowered(&effect_title(bundle, e))),
        ("review", _) => format!("Review the {record}"),
        ("missing", _) => {
            let missing = tl_kernel::decide::missing(&bundle.program, &case.record);
            match missing.is_empty() {
                true => format!("Complete the {record}"),
                false => format!("Missing: {}", missing.join(", ").replace('_', " ")),
            }
        }
        ("hand_off", _) => format!("Take on the {record}"),
        (_, Some(e)) => format!("Look into `{}`", e.name).replace('`', ""),
        _ => format!("Look into the {record}"),
    }
}

/// Why a task was opened.
fn reason_words(task: &Stored) -> String {
    match (task.kind.as_str(), task.reason.as_str()) {
        ("approve", "policy" | "approval") => "the policy asks for an approval first".into(),
        (_, reason) => plain_words(reason),
    }
}

fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_lowercase().to_string());
    format!("{}{}", first.unwrap_or_default(), chars.as_str())
}

fn kind_of<'a>(bundle: &'a Bundle, effect: &CaseEffect) -> Option<&'a ActionKind> {
    bundle.program.action(effect.action).map(|a| &a.kind)
}

/// `E-mail to dana@acme.example`, `Write with crm_upsert`.
fn effect_title(bundle: &Bundle, effect: &CaseEffect) -> String {
    let to = effect.args.as_ref().and_then(|a| text_at(a, &["to"]));
    match (kind_of(bundle, effect), to) {
        (Some(ActionKind::Message(m)), Some(to)) => {
            let channel = match m.channel.word() {
                "email" => "E-mail",
                "sms" => "Text message",
                other => other,
            };
            format!("{channel} to {to}")
        }
        (Some(ActionKind::RecordStore { .. }), _) => {
            format!("Write to the record store ({})", effect.name)
        }
        (Some(ActionKind::Rest(w)), _) => format!("Write to {} ({})", w.connection, effect.name),
        (_, Some(to)) => format!("{} to {to}", effect.name),
        _ => effect.name.clone(),
    }
}

fn sends_of(known: &Known, n: u32, effect: &CaseEffect) -> Sends {
    let (case, bundle) = (&known.case, &known.bundle);
    let is_message = matches!(kind_of(bundle, effect), Some(ActionKind::Message(_)));
    let args = effect.args.as_ref();
    let text = |name: &str| args.and_then(|a| text_at(a, &[name])).unwrap_or_default();
    let after = args.map(arguments).unwrap_or_default();
    let seen = case.seen.get(&effect.name).and_then(|s| s.values.as_ref());
    let before = seen.map(arguments).unwrap_or_default();
    let shown_above = ["to", "subject", "text", "channel", "via"];
    let fields = after
        .into_iter()
        .filter(|(name, _)| !is_message || !shown_above.contains(&name.as_str()))
        .map(|(name, value)| {
            let own = before.iter().find(|(n, _)| name.ends_with(n.as_str()));
            let before = own.map_or_else(String::new, |(_, v)| safe(v));
            (name, before, safe(&value))
        })
        .collect();
    Sends {
        effect: EffectId { case: case.id, n }.to_string(),
        action: effect.name.clone(),
        title: effect_title(bundle, effect),
        button: match is_message {
            true => "Approve and send".into(),
            false => "Approve and write".into(),
        },
        is_message,
        checked: checked(bundle, effect).into(),
        subject: if is_message {
            text("subject")
        } else {
            String::new()
        },
        text: if is_message {
            text("text")
        } else {
            String::new()
        },
        fields,
        digest: hex(&effect.digest),
        promise: promise(effect.class).into(),
        policy: format!(
            "{}, {}",
            effect.verdict.word(),
            policy_place(bundle, effect.line)
        ),
        held: None,
    }
}

/// How the recipient of a message is known.
fn checked(bundle: &Bundle, effect: &CaseEffect) -> &'static str {
    match kind_of(bundle, effect) {
        Some(ActionKind::Message(m)) => match &m.check {
            Some(RecipientCheck::VerifiedSender) => "verified sender",
            None => "",
        },
        _ => "",
    }
}

/// What a guarantee class promises.
fn promise(class: Class) -> &'static str {
    match class {
        Class::E0 => "It happens exactly once.",
        Class::E1 => "The other side knows our key: it happens at most once.",
        Class::E2 => "It changes exactly the version that was read, or nothing.",
        Class::E3 => "It is sent once; if no answer comes, we look before we send again.",
        Class::E4 => "The other side cannot tell a repeat: it is not sent twice by itself.",
        Class::E5 => "Repeating it does no harm.",
    }
}

/// Why it stopped: the reason of the task and what the numbers say; and the rule behind it, line by line.
fn why(task: &Stored, explained: &Explanation) -> (Vec<String>, Vec<String>) {
    let mut plain = vec![reason_words(task)];
    if let Some(first) = plain.first_mut().and_then(|w| w.get_mut(..1)) {
        first.make_ascii_uppercase();
    }
    let mut rule = Vec::new();
    let lines = explained.turns.iter().rev().flat_map(|t| t.lines.iter());
    let decided = lines
        .filter(|l| l.side == Side::Decision)
        .find(|l| l.text.starts_with("branch "));
    if let Some(line) = decided {
        rule.push(safe(&line.text));
        for detail in line.detail.iter().map(|d| safe(d)) {
            match detail.starts_with("confidence ") && detail.contains('<') {
                true => plain.push(detail),
                false => rule.push(detail),
            }
        }
    }
    (plain, rule)
}

fn proposal(known: &Known) -> Option<Proposal> {
    let case = &known.case;
    let model = case.asks.values().next_back().map(|(m, _)| m.clone());
    let decided = known.entries().rev().find_map(|e| match e {
        Entry::Decided(d) => Some(d),
        _ => None,
    });
    let (confidence, fields, failed) = match &case.ai {
        Ai::NotAsked => return None,
        Ai::Asked => (
            None,
            Vec::new(),
            "The model has not answered yet".to_owned(),
        ),
        Ai::Failed(why) => (None, Vec::new(), plain_words(why)),
        Ai::Answered {
            confidence,
            proposal,
        } => {
            let parts = proposal.as_ref().map(arguments).unwrap_or_default();
            let shown = parts.into_iter().filter(|(n, _)| n != "calibrated");
            let parts = shown.map(|(n, v)| (n, safe(&v))).collect();
            (*confidence, parts, String::new())
        }
    };
    Some(Proposal {
        model: model.unwrap_or_else(|| "model".into()),
        confidence,
        threshold: decided.map(|d| d.threshold),
        fields,
        failed,
    })
}

/// The messages of a case, the newest first.
fn arrived(known: &Known, events: &[(tl_kernel::id::TenantId, StoredEvent)]) -> Vec<Arrived> {
    let newest = events.len();
    let numbered = (1..).zip(events.iter().map(|(_, e)| e));
    let mut out: Vec<Arrived> = numbered
        .map(|(n, e)| one_arrived(known, e, (n, n as usize == newest)))
        .collect();
    out.reverse();
    out.truncate(MESSAGES);
    out
}

/// A page is shown at once: of an earlier message its documents are listed, and not read again.
fn not_again(_: &[u8], _: &Declared) -> Result<Document, Unread> {
    let why = "an earlier message is shown without its documents".to_owned();
    Err(Unread::NotTried { why })
}

fn one_arrived(known: &Known, stored: &StoredEvent, (n, newest): (u32, bool)) -> Arrived {
    let endpoint = known.bundle.program.endpoint(&stored.endpoint);
    let event = endpoint.and_then(|e| tl_web::stored_event(e, stored, not_again));
    let at = |path: &[&str]| event.as_ref().and_then(|e| text_at(e, path));
    let shown = match (&known.case.message, newest) {
        (Some(message), true) => message.at(&["text"]).and_then(Value::as_text),
        _ => None,
    };
    // Spans count the bytes of exactly this text, so it is shown as it is where it is harmless.
    let text = shown
        .map(safe)
        .or_else(|| at(&["text"]))
        .unwrap_or_default();
    let whole = at(&["body", "text"]).unwrap_or_default();
    let newest_text = at(&["text"]).unwrap_or_default();
    let quoted = match whole.find(newest_text.trim()) {
        Some(from) if !newest_text.trim().is_empty() => whole
            .get(from + newest_text.trim().len()..)
            .unwrap_or_default(),
        _ => "",
    };
    let from = match (at(&["from_name"]), at(&["from"])) {
        (Some(name), Some(address)) if name != address => Some(format!("{name} <{address}>")),
        (_, address) => address,
    };
    let head = [("from", from), ("subject", at(&["subject"]))];
    let head = head
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    let attachments = event.as_ref().and_then(|e| e.at(&["body", "attachments"]));
    let body = event.as_ref().and_then(|e| e.at(&["body"]));
    Arrived {
        n,
        at: stored.received_at,
        channel: endpoint.map_or_else(String::new, |e| e.channel.word().to_owned()),
        endpoint: stored.endpoint.clone(),
        verified: match stored.kid.as_str() {
            "" => "not verified".into(),
            kid => format!("yes, with key {kid}"),
        },
        head,
        quoted: quoted.trim().to_owned(),
        attachments: attachments.map(listed).unwrap_or_default(),
        parts: match text.is_empty() {
            true => body.map(arguments).unwrap_or_default(),
            false => Vec::new(),
        }
        .into_iter()
        .map(|(name, value)| (name, safe(&value)))
        .collect(),
        text,
    }
}

fn listed(value: &Value) -> Vec<String> {
    let Value::List(all) = value else {
        return Vec::new();
    };
    let one = |v: &Value| {
        let name = text_at(v, &["name"]).unwrap_or_else(|| "without a name".into());
        let kind = text_at(v, &["media_type"]).unwrap_or_default();
        match v.at(&["size"]) {
            Some(size) => format!("{name} ({kind}, {size} bytes)"),
            None => format!("{name} ({kind})"),
        }
    };
    all.iter().map(one).collect()
}
