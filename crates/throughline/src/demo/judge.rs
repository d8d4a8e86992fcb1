//! Judging the demo: what came of each message beside what was expected of it, from the evidence alone.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tl_kernel::case::{Case, fold};
use tl_kernel::effect::EffectState;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::{Entry as Turned, Sealed, open};
use tl_kernel::program::canonical;
use tl_kernel::value::Value;

use super::corpus::{Entry, Outcome};
use super::evidence::{CaseFile, Evidence};
use super::scene::Scene;
use super::sender::Answered;

/// The write to the CRM.
const WRITE: &str = "crm_upsert";
/// The structured question for what is missing.
const FOLLOW_UP: &str = "follow_up";

/// One message and what became of it.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The message.
    pub id: String,
    /// What was expected.
    pub expected: Outcome,
    /// What became of it; `None` where it cannot be told (a wrong status).
    pub got: Option<Outcome>,
    /// Its case.
    pub case: Option<CaseId>,
    /// What differs, a line each; empty when it came out right.
    pub differs: Vec<String>,
}

/// What judging needs to know.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What is played.
    pub scene: &'static Scene,
    /// What the run left behind.
    pub evidence: &'a Evidence,
    /// Message id → case.
    pub cases: &'a BTreeMap<String, CaseId>,
    /// The server knew some messages from an earlier run.
    pub resumed: bool,
}

impl Bench<'_> {
    /// Judges one message.
    pub fn judge(&self, entry: &Entry, answered: &Answered) -> anyhow::Result<Verdict> {
        let mut verdict = Verdict {
            id: entry.id.clone(),
            expected: entry.expect.outcome,
            got: None,
            case: self.cases.get(&entry.id).copied(),
            differs: Vec::new(),
        };
        if let Some(line) = self.status_differs(entry, answered) {
            verdict.differs.push(line);
            return Ok(verdict);
        }
        let outcome = entry.expect.outcome;
        if matches!(outcome, Outcome::Refused | Outcome::Duplicate) {
            verdict.got = Some(outcome);
            return Ok(verdict);
        }
        let Some(file) = verdict.case.and_then(|id| self.evidence.case(id)) else {
            verdict.differs.push("no case was opened".into());
            return Ok(verdict);
        };
        if let Some(other) = &entry.expect.same_case_as
            && self.cases.get(other) != Some(&file.id())
        {
            verdict
                .differs
                .push(format!("it did not join the case of {other}"));
        }
        let first = until_second_event(&file.journal);
        let case = fold(self.evidence.tenant, file.id(), &first)?;
        let whole = folded(self.evidence.tenant, file)?;
        let got = match outcome {
            Outcome::Joined => Outcome::Joined,
            _ => self.rest_of(&case),
        };
        verdict.got = Some(got);
        if got != outcome {
            verdict.differs.push(format!(
                "{}, expected {}: {}",
                got.word(),
                outcome.word(),
                why(&case)
            ));
        }
        verdict.differs.extend(self.left_undone(got, &case, &whole));
        let reasons = || case.tasks.values().map(|t| t.reason.as_str());
        if let Some(want) = &entry.expect.reason
            && !reasons().any(|r| r == want)
        {
            let have = reasons().collect::<Vec<_>>().join(", ");
            verdict.differs.push(format!(
                "waits for a person because of {want:?}, not {have:?}"
            ));
        }
        let record = match outcome {
            Outcome::Joined => &whole,
            _ => &case,
        };
        for (field, want) in &entry.expect.record {
            let have = record.record.get(field).map(|f| f.value.to_string());
            if !same(have.as_deref(), want) {
                let have = have.unwrap_or_else(|| "nothing".into());
                verdict
                    .differs
                    .push(format!("{field}: {have}, expected {want}"));
            }
        }
        Ok(verdict)
    }

    /// What an outcome promises and was not done: the acknowledgment, the task for the right owner, the question to a
    /// follow-up, the write.
    fn left_undone(&self, got: Outcome, case: &Case, whole: &Case) -> Vec<String> {
        let went_out = |names: &[&str]| {
            let planned = case.effects.iter();
            planned
                .filter(|(_, e)| names.contains(&e.name.as_str()))
                .any(|(n, _)| {
                    self.evidence.said(EffectId {
                        case: case.id,
                        n: *n,
                    }) == 1
                })
        };
        let has = |field: &str| case.record.get(field).is_some_and(|f| !f.value.is_blank());
        let mut out = Vec::new();
        let written = [
            Outcome::Hot,
            Outcome::Automated,
            Outcome::Answered,
            Outcome::Valid,
        ];
        if written.contains(&got) {
            let done = |e: &tl_kernel::case::CaseEffect| {
                e.name == WRITE && e.state == EffectState::Succeeded
            };
            if !whole.effects.values().any(done) {
                out.push("nothing was written to the CRM".to_owned());
            }
        }
        if matches!(got, Outcome::Hot | Outcome::Answered) && !went_out(self.scene.answers) {
            out.push("no acknowledgment went out".into());
        }
        if matches!(got, Outcome::Hot | Outcome::Valid) {
            let owner = case.record.get("owner").map(|f| f.value.to_string());
            let task = case.tasks.values().find(|t| t.kind == "hand_off");
            if let Some(task) = task.filter(|t| Some(&t.owner) != owner.as_ref()) {
                let owner = owner.unwrap_or_else(|| "nobody".into());
                out.push(format!("the task is {}'s, not {owner}'s", task.owner));
            }
        }
        if got == Outcome::FollowUp && has("email") && !went_out(&[FOLLOW_UP]) {
            out.push("nobody was asked for what is missing".into());
        }
        out
    }

    fn status_differs(&self, entry: &Entry, answered: &Answered) -> Option<String> {
        let again = self.resumed && answered.status == 200 && entry.expect.status == 202;
        let as_expected = answered.status == entry.expect.status || again;
        (!as_expected).then(|| {
            format!(
                "answered {}, expected {}",
                answered.status, entry.expect.status
            )
        })
    }

    /// Where a case came to rest, in the demo's words.
    fn rest_of(&self, case: &Case) -> Outcome {
        let open = |kind: &str| {
            case.tasks
                .values()
                .any(|t| t.kind == kind && t.closed.as_deref() != Some("answered"))
        };
        let wrote = case.effects.values().any(|e| e.name == WRITE);
        if open("hand_off") && wrote {
            self.scene.handed
        } else if case.tasks.values().any(|t| t.kind == "missing") {
            Outcome::FollowUp
        } else if open("review") || open("exception") {
            Outcome::Review
        } else if wrote {
            self.scene.wrote
        } else if case.state == canonical::CLOSED {
            Outcome::ClosedSpam
        } else {
            Outcome::Review
        }
    }
}

fn folded(tenant: TenantId, file: &CaseFile) -> anyhow::Result<Case> {
    Ok(fold(tenant, file.id(), &file.journal)?)
}

/// The turns before the case's second message: what a later one changed is not the first one's outcome.
fn until_second_event(journal: &[Sealed]) -> Vec<Sealed> {
    let second = journal.iter().position(|turn| {
        open(turn).is_ok_and(|(head, _)| {
            head.entries
                .iter()
                .any(|e| matches!(e, Turned::Event { n, .. } if *n > 1))
        })
    });
    journal[..second.unwrap_or(journal.len())].to_vec()
}

fn why(case: &Case) -> String {
    let tasks: Vec<String> = case
        .tasks
        .values()
        .map(|t| format!("{} ({})", t.kind, t.reason))
        .collect();
    let said = ["intent", "topic"].iter().find_map(|f| case.record.get(*f));
    let said = said.map(|f| f.value.to_string()).unwrap_or_default();
    let confidence = case
        .confidence()
        .map_or("none".into(), |c| format!("0.{c:03}"));
    format!(
        "read as {said:?}, confidence {confidence}, {} {}",
        case.reason,
        tasks.join(", ")
    )
}

/// Equal but for white space: a name is the same however its blanks were typed.
fn same(have: Option<&str>, want: &Json) -> bool {
    let squeeze = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    match want {
        Json::Null => have.is_none_or(str::is_empty),
        Json::String(want) => have.is_some_and(|have| squeeze(have) == squeeze(want)),
        other => have == Some(other.to_string().as_str()),
    }
}

/// First touch of the hot cases, µs after the message arrived, in order.
pub fn first_touches(evidence: &Evidence) -> Vec<i64> {
    let mut out = Vec::new();
    for case in evidence.cases.iter().filter_map(|c| c.folded.as_ref().ok()) {
        let time = |f: &str| match case.record.get(f).map(|v| &v.value) {
            Some(Value::Time(t)) => Some(*t),
            _ => None,
        };
        if let (Some(a), Some(b)) = (time("received_at"), time("first_touched_at")) {
            out.push(b - a);
        }
    }
    out.sort_unstable();
    out
}
