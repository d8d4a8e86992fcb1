//! `throughline demo`: a project, a real server on loopback, a corpus of real messages through real HTTP, and a
//! report of what came out beside what was expected.

mod corpus;
mod crm_front;
mod evidence;
mod invariants;
mod judge;
mod ledger;
mod report;
mod scene;
mod sender;
mod stage;
#[cfg(test)]
mod tampered;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tl_engine::follower::Follower;
use tl_kernel::id::{CaseId, EventId};

use self::corpus::{Entry, corpus, key_of};
use self::evidence::Evidence;
use self::invariants::writes;
use self::judge::{Bench, Verdict, first_touches};
use self::ledger::{Ack, Ledger};
use self::report::Report;
use self::scene::{Scene, scene};
use self::sender::{Answered, Sender};
use self::stage::Stage;
use crate::failure::Failure;
use crate::page::Page;
use crate::templates::Template;

/// How long a case may take to come to rest before its follower is sent.
const REST: Duration = Duration::from_secs(10);
/// How long everything may take to come to rest at the end: retries after the outage included.
const ALL_AT_REST: Duration = Duration::from_secs(120);

/// What was asked for on the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is played.
    pub template: Template,
    /// Exit when everything is judged.
    pub once: bool,
    /// The report as JSON.
    pub json: bool,
    /// Keep project and database here; a run that was killed goes on from there.
    pub keep: Option<PathBuf>,
}

/// Runs the demo.
pub async fn run(options: Options) -> Result<(), Failure> {
    if let Some(dir) = &options.keep {
        stage::may_be_used(dir, options.template)?;
    }
    let outcome = play(&options)
        .await
        .map_err(|e| Failure::unreachable(format!("{e:#}")))?;
    if options.json {
        println!("{}", outcome.report.json());
    } else {
        print!("{}", outcome.report.text(Page::of_stdout()));
    }
    let broken = outcome.report.broken();
    if options.once || broken {
        outcome.stage.end().await;
    } else {
        if let Some(link) = outcome
            .stage
            .first_sign_in()
            .await?
            .filter(|_| !options.json)
        {
            println!("\nThe console: make the first account at {link}");
        }
        outcome.stage.stay().await;
    }
    if broken {
        return Err(Failure::refused(
            "an invariant does not hold: see the report above",
        ));
    }
    Ok(())
}

struct Played {
    report: Report,
    stage: Stage,
}

async fn play(options: &Options) -> anyhow::Result<Played> {
    let scene = scene(options.template);
    let entries = corpus(scene)?;
    let begun = Instant::now();
    let stage = Stage::set(options.keep.clone(), scene).await?;
    let sender = Sender::new(stage.doors.clone(), scene.doors)?;
    let bar = progress(entries.len() as u64, options.json);
    if bar.is_hidden() && !options.json {
        eprintln!(
            "{} messages go through a server at {}; the report follows when every case is at rest, in a minute or so",
            entries.len(),
            stage.doors.base
        );
    }
    let answers = send_all((&entries, options.json), &stage, &sender, &bar).await?;
    bar.set_message("waiting until every case is at rest");
    wait_for_rest(&stage, ALL_AT_REST).await?;
    bar.finish_and_clear();
    let took = begun.elapsed();

    if let Some(mut follower) = Follower::new(stage.app().desk.clone(), None) {
        follower.catch_up(true).await?;
    }
    let acks = answers.ledger.acks().to_vec();
    let desk = &stage.app().desk;
    let place = (stage.crm_kid.as_str(), scene.record);
    let evidence = Evidence::gather(desk, stage.tenant, place, acks).await?;
    let mut report = judge_all((scene, &entries), (&answers, &evidence), &stage, took).await?;
    report.stays = !options.once;
    Ok(Played { report, stage })
}

/// The answers of the doors, by message.
struct Answers {
    by_id: BTreeMap<String, Answered>,
    cases: BTreeMap<String, CaseId>,
    ledger: Ledger,
}

async fn send_all(
    (entries, by_machine): (&[Entry], bool),
    stage: &Stage,
    sender: &Sender,
    bar: &ProgressBar,
) -> anyhow::Result<Answers> {
    let by_name: BTreeMap<&str, &Entry> = entries.iter().map(|e| (e.id.as_str(), e)).collect();
    let outage_ends = entries
        .iter()
        .rposition(|e| e.incident.as_deref() == Some("crm_outage"));
    let mut out = Answers {
        by_id: BTreeMap::new(),
        cases: BTreeMap::new(),
        ledger: Ledger::open(stage.dir())?,
    };
    for (i, entry) in entries.iter().enumerate() {
        bar.set_message(entry.id.clone());
        let named = [&entry.after, &entry.repeats, &entry.expect.same_case_as];
        if let Some(case) = named.into_iter().flatten().find_map(|n| out.cases.get(n)) {
            wait_for_case(stage, *case, REST).await?;
        }
        match entry.incident.as_deref() {
            Some("crm_outage") => stage.crm.shut(true),
            Some("crm_conflict") => {
                let case = entry
                    .expect
                    .same_case_as
                    .as_ref()
                    .and_then(|n| out.cases.get(n));
                if let Some(case) = case {
                    stage.a_person_edits(*case).await?;
                }
            }
            _ => {}
        }
        let key = key_of(entry, &by_name);
        let answered = sender
            .send(entry, key, stage.app().desk.now() / 1_000_000)
            .await?;
        if let Some(event) = &answered.event {
            out.ledger.note(Ack {
                message: entry.id.clone(),
                door: entry.door.clone(),
                key: key.to_owned(),
                event: event.clone(),
            })?;
        }
        if bar.is_hidden() && by_machine {
            let done = serde_json::json!({
                "sent": i + 1, "of": entries.len(), "message": entry.id, "status": answered.status,
                "event": answered.event,
            });
            eprintln!("{done}");
        }
        if let Some(event) = answered
            .event
            .as_deref()
            .and_then(|e| e.parse::<EventId>().ok())
        {
            let stored = stage.app().desk.store().event(stage.tenant, event).await?;
            if let Some(case) = stored.and_then(|(_, e)| e.case) {
                out.cases.insert(entry.id.clone(), case);
            }
        }
        out.by_id.insert(entry.id.clone(), answered);
        if outage_ends == Some(i) {
            stage
                .outage_is_met(
                    entries
                        .iter()
                        .filter(|e| e.incident.as_deref() == Some("crm_outage"))
                        .count(),
                )
                .await;
            stage.crm.shut(false);
        }
        bar.inc(1);
    }
    Ok(out)
}

/// Waits until nothing of a case is on its way: effects sent, model answered.
async fn wait_for_case(stage: &Stage, case: CaseId, limit: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + limit;
    loop {
        let case = stage.app().desk.load(stage.tenant, case).await?;
        let asked = case.asks.values().any(|(_, open)| *open);
        let moving = case
            .open_effects()
            .any(|(_, e)| e.state != tl_kernel::effect::EffectState::Planned);
        if !(asked || moving) || stage.crm.is_shut() || Instant::now() > end {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until no effect of any case is on its way.
async fn wait_for_rest(stage: &Stage, limit: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + limit;
    loop {
        let stats = stage
            .app()
            .desk
            .store()
            .stats(stage.app().desk.now())
            .await?;
        let moving = stats
            .effects_open
            .iter()
            .any(|(_, _, state, n, _)| *n > 0 && *state != tl_kernel::effect::EffectState::Planned);
        if !moving || Instant::now() > end {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn judge_all(
    (scene, entries): (&'static Scene, &[Entry]),
    (answers, evidence): (&Answers, &Evidence),
    stage: &Stage,
    took: Duration,
) -> anyhow::Result<Report> {
    let bench = Bench {
        scene,
        evidence,
        cases: &answers.cases,
        resumed: stage.resumed,
    };
    let mut verdicts: Vec<Verdict> = Vec::new();
    for entry in entries {
        if let Some(answered) = answers.by_id.get(&entry.id) {
            verdicts.push(bench.judge(entry, answered)?);
        }
    }
    let mut explained = Vec::new();
    for wanted in scene.explained {
        let shown = verdicts
            .iter()
            .find(|v| v.expected == *wanted && v.differs.is_empty());
        if let Some((v, case)) = shown.and_then(|v| Some((v, v.case?))) {
            explained.push((v.id.clone(), stage.explain(case).await?));
        }
    }
    let stats = stage
        .app()
        .desk
        .store()
        .stats(stage.app().desk.now())
        .await?;
    Ok(Report {
        scene,
        sent: entries.len(),
        took,
        invariants: invariants::all(evidence),
        writes: writes(evidence),
        first_touch: first_touches(evidence),
        verdicts,
        events: evidence.events,
        messages: evidence.outbox.len(),
        stats,
        conflicts: stage.crm.conflicts(),
        turned_away: stage.crm.turned_away(),
        explained,
        dir: stage.dir().to_path_buf(),
        kept: stage.is_kept(),
        url: stage.doors.base.clone(),
        stays: false,
    })
}

fn progress(len: u64, json: bool) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} messages  {msg}") {
        bar.set_style(style);
    }
    bar
}
