//! Judging the demo: what came of each message beside what was expected of it, from the journal alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tl_engine::desk::Desk;
use tl_engine::tenant::Bundle;
use tl_kernel::case::{Case, CaseEffect, fold};
use tl_kernel::effect::EffectState;
use tl_kernel::gate::is_dry_run;
use tl_kernel::id::{CaseId, TenantId};
use tl_kernel::journal::{Entry as Turned, Sealed, open};
use tl_kernel::program::canonical;
use tl_kernel::value::Value;

use super::corpus::{Entry, Outcome};
use super::sender::Answered;

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
    /// The engine's desk.
    pub desk: &'a Desk,
    /// The demo's tenant.
    pub tenant: TenantId,
    /// Message id → case.
    pub cases: &'a BTreeMap<String, CaseId>,
    /// The server knew some messages from an earlier run.
    pub resumed: bool,
}

impl Bench<'_> {
    /// Judges one message.
    pub async fn judge(&self, entry: &Entry, answered: &Answered) -> anyhow::Result<Verdict> {
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
        let Some(id) = verdict.case else {
            verdict.differs.push("no case was opened".into());
            return Ok(verdict);
        };
        if let Some(other) = &entry.expect.same_case_as
            && self.cases.get(other) != Some(&id)
        {
            verdict
                .differs
                .push(format!("it did not join the case of {other}"));
        }
        let journal = self.desk.store().journal(self.tenant, id).await?;
        let case = fold(self.tenant, id, &until_second_event(&journal))?;
        let got = if outcome == Outcome::Joined {
            Outcome::Joined
        } else {
            rest_of(&case)
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
        let whole = fold(self.tenant, id, &journal)?;
        let record = if outcome == Outcome::Joined {
            &whole
        } else {
            &case
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

/// Where a case came to rest, in the demo's words.
fn rest_of(case: &Case) -> Outcome {
    let open = |kind: &str| {
        case.tasks
            .values()
            .any(|t| t.kind == kind && t.closed.as_deref() != Some("answered"))
    };
    let wrote = case.effects.values().any(|e| e.name == "crm_upsert");
    if open("hand_off") && wrote {
        Outcome::Hot
    } else if case.tasks.values().any(|t| t.kind == "missing") {
        Outcome::FollowUp
    } else if open("review") || open("exception") {
        Outcome::Review
    } else if wrote {
        Outcome::Automated
    } else if case.state == canonical::CLOSED {
        Outcome::ClosedSpam
    } else {
        Outcome::Review
    }
}

fn why(case: &Case) -> String {
    let tasks: Vec<String> = case
        .tasks
        .values()
        .map(|t| format!("{} ({})", t.kind, t.reason))
        .collect();
    let intent = case
        .record
        .get("intent")
        .map(|f| f.value.to_string())
        .unwrap_or_default();
    let confidence = case
        .confidence()
        .map_or("none".into(), |c| format!("0.{c:03}"));
    format!(
        "intent {intent}, confidence {confidence}, {} {}",
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

/// The invariants of a finished run, each with what was counted; a violation is a line.
pub async fn invariants(
    bench: &Bench<'_>,
    acked: &BTreeSet<String>,
) -> anyhow::Result<Vec<(&'static str, String, Vec<String>)>> {
    let store = bench.desk.store();
    let mut out = Vec::new();
    let cases = all_cases(bench).await?;
    let mut events = BTreeSet::new();
    let (mut turns, mut effects, mut settled) = (0usize, 0usize, 0usize);
    let (mut i2, mut i4, mut i6, mut i7, mut i8) = (vec![], vec![], vec![], vec![], vec![]);
    for id in &cases {
        let journal = store.journal(bench.tenant, *id).await?;
        turns += journal.len();
        let case = match fold(bench.tenant, *id, &journal) {
            Ok(case) => case,
            Err(e) => {
                i4.push(format!("{id}: {e}"));
                continue;
            }
        };
        let bundle = bench.desk.bundle(bench.tenant, case.definition).await?;
        i4.extend(undeclared(&bundle, &journal).map(|m| format!("{id}: {m}")));
        for e in &case.events {
            if !events.insert(e.id.to_string()) {
                i2.push(format!("{} is in two cases", e.id));
            }
        }
        for (n, e) in &case.effects {
            effects += 1;
            let task = case.open_tasks().any(|(_, t)| t.effect == Some(*n));
            settled += usize::from(e.state.is_settled());
            let at_rest = e.state.is_settled() || (e.state == EffectState::Uncertain && task);
            if !at_rest {
                i7.push(format!("{id}: effect {n} is {}", e.state.word()));
            }
        }
        written_once(bench, &case, &mut i6, &mut i8).await?;
    }
    let lost = acked
        .iter()
        .filter(|a| !events.contains(*a))
        .map(|a| format!("{a} was acknowledged and is gone"));
    out.push((
        "I1",
        format!("{} acknowledged messages are stored", acked.len()),
        lost.collect(),
    ));
    out.push((
        "I2",
        format!("{} messages, each in one case", events.len()),
        i2,
    ));
    let phantom = events
        .iter()
        .filter(|e| !acked.contains(*e))
        .map(|e| format!("{e} was never acknowledged"));
    out.push((
        "I3",
        "every stored message was sent and signed".into(),
        phantom.collect(),
    ));
    out.push(("I4", format!("{turns} turns fold along declared edges"), i4));
    let stats = store.stats(bench.desk.now()).await?;
    let unplaced = stats.turns.saturating_sub(stats.leaves);
    let i5 = (unplaced > 0).then(|| format!("{unplaced} turns have no audit leaf"));
    out.push((
        "I5",
        format!("{} turns, {} audit leaves", stats.turns, stats.leaves),
        i5.into_iter().collect(),
    ));
    out.push(("I6", "no write of an effect was applied twice".into(), i6));
    out.push((
        "I7",
        format!("{settled} of {effects} effects are settled, the rest have a task"),
        i7,
    ));
    out.push((
        "I8",
        "what the ledger says is what the CRM holds".into(),
        i8,
    ));
    Ok(out)
}

/// Every case of the tenant.
async fn all_cases(bench: &Bench<'_>) -> anyhow::Result<Vec<CaseId>> {
    let mut out: Vec<CaseId> = Vec::new();
    loop {
        let filter = tl_store::contract::CaseFilter {
            tenant: Some(bench.tenant),
            before: out.last().copied(),
            limit: 200,
            ..Default::default()
        };
        let page = bench.desk.store().cases(filter).await?;
        if page.is_empty() {
            return Ok(out);
        }
        out.extend(page.iter().map(|c| c.case));
    }
}

fn undeclared<'a>(bundle: &'a Bundle, journal: &'a [Sealed]) -> impl Iterator<Item = String> + 'a {
    journal
        .iter()
        .filter_map(|t| open(t).ok())
        .flat_map(move |(head, _)| {
            let moves = head.entries.into_iter().filter_map(move |e| match e {
                Turned::Moved { from, to, .. } if bundle.program.edge(from, to).is_none() => {
                    Some(format!("moved from {from} to {to} without an edge"))
                }
                _ => None,
            });
            moves.collect::<Vec<_>>()
        })
}

/// Compares the ledger with the versions that the CRM keeps: each write carries its effect's key.
async fn written_once(
    bench: &Bench<'_>,
    case: &Case,
    twice: &mut Vec<String>,
    wrong: &mut Vec<String>,
) -> anyhow::Result<()> {
    let view = bench.desk.tenant(bench.tenant).await?;
    let history = bench
        .desk
        .store()
        .record_history(bench.tenant, "lead".into(), case.id.to_string())
        .await?;
    let filter = tl_store::contract::EffectFilter {
        tenant: Some(bench.tenant),
        case: Some(case.id),
        limit: 100,
        ..Default::default()
    };
    for row in bench.desk.store().effects(filter).await? {
        if row.action != "crm_upsert" {
            continue;
        }
        let vendor_key = tl_kernel::digest::hex(&row.key);
        let applied = history
            .iter()
            .filter(|v| wrote(&view.key, v, &vendor_key))
            .count();
        if applied > 1 {
            twice.push(format!(
                "{}: {} was applied {applied} times",
                case.id, row.effect
            ));
        }
        let happened = row.state == EffectState::Succeeded;
        if happened != (applied == 1) && row.state != EffectState::Superseded {
            wrong.push(format!(
                "{}: {} is {} and was applied {applied} times",
                case.id,
                row.effect,
                row.state.word()
            ));
        }
    }
    Ok(())
}

/// Writes to the CRM, counted twice.
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// Those that the ledger knows as succeeded.
    pub succeeded: u64,
    /// Versions in the CRM that bear our credential.
    pub in_crm: u64,
}

/// Counts the writes to the CRM: in the ledger, and in the CRM by the id of the key that they came with.
pub async fn writes(bench: &Bench<'_>, kid: &str) -> anyhow::Result<Writes> {
    let store = bench.desk.store();
    let mut out = Writes {
        succeeded: 0,
        in_crm: 0,
    };
    for id in all_cases(bench).await? {
        let case = bench.desk.load(bench.tenant, id).await?;
        let happened = |e: &&CaseEffect| {
            e.name == "crm_upsert" && e.state == EffectState::Succeeded && !is_dry_run(&e.code)
        };
        out.succeeded += case.effects.values().filter(happened).count() as u64;
        let history = store
            .record_history(bench.tenant, "lead".into(), id.to_string())
            .await?;
        out.in_crm += history.iter().filter(|v| v.by == kid).count() as u64;
    }
    Ok(out)
}

/// Whether a version was written under an idempotency key.
fn wrote(tenant_key: &[u8; 32], version: &tl_store::contract::RecordWrite, key: &str) -> bool {
    let principal = format!("key:{}", version.by);
    version.key
        == Some(tl_web::write_mark(
            tenant_key,
            (&version.kind, &version.id),
            (&principal, key),
        ))
}

/// First touch of the hot cases, µs after the message arrived, in order.
pub async fn first_touches(bench: &Bench<'_>) -> anyhow::Result<Vec<i64>> {
    let mut out = Vec::new();
    for id in all_cases(bench).await? {
        let case = bench.desk.load(bench.tenant, id).await?;
        let time = |f: &str| match case.record.get(f).map(|v| &v.value) {
            Some(Value::Time(t)) => Some(*t),
            _ => None,
        };
        if let (Some(a), Some(b)) = (time("received_at"), time("first_touched_at")) {
            out.push(b - a);
        }
    }
    out.sort_unstable();
    Ok(out)
}
