//! Completeness of the audit: whatever a commit changes in the database is covered by a turn of the same unit, or is of
//! a kind that is listed here with its reason and told to users in `docs/concepts/journal-and-audit.md`. The database
//! is looked at from outside, table by table, before and after every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tl_engine::follower::Follower;
use tl_engine::tap::{Point, Stopped, Tap};
use tl_store::contract::{CommitAnswer, People, Refused, Row, Unit};
use tl_trial::snapshot::{Snapshot, changed, snapshot};

use crate::world::World;

/// What may be committed without a turn: the words of the documentation, and the tables that it changes.
const ALONE: &[(&str, &[&str])] = &[
    (
        "message that waits for its case",
        &["event", "event_body", "dedupe", "counter"],
    ),
    (
        "duplicate of a message",
        &["event", "event_variant", "dedupe", "counter"],
    ),
    ("step of an effect", &["effect", "counter", "slot"]),
    ("attempt", &["attempt"]),
    ("saved answer", &["idempotent"]),
    ("leaf in the tree", &["placed", "tree"]),
    ("checkpoint", &["checkpoint"]),
    ("position of a follower", &["cursor"]),
    (
        "removal of what has expired",
        &["dedupe", "slot", "idempotent", "natural_key"],
    ),
    ("start of a process", &["node"]),
    ("session of an account", &["session"]),
];

/// The kind of a row that may stand without a turn; `None`: a turn of the same unit has to tell it. A new kind of row
/// does not compile before somebody has said which it is.
fn alone(row: &Row) -> Option<&'static str> {
    match row {
        Row::Event { event, .. } if event.case.is_none() => Some("message that waits for its case"),
        Row::Variant { .. } => Some("duplicate of a message"),
        Row::Effect(change) if !change.to.is_settled() => Some("step of an effect"),
        Row::Attempt(_) => Some("attempt"),
        Row::Idempotent { .. } => Some("saved answer"),
        Row::Placed { .. } => Some("leaf in the tree"),
        Row::Checkpoint(_) => Some("checkpoint"),
        Row::Cursor { .. } => Some("position of a follower"),
        Row::Sweep { .. } => Some("removal of what has expired"),
        Row::People(People::Account(_) | People::SessionsEnd { .. }) => None,
        Row::People(_) => Some("session of an account"),
        Row::Event { .. }
        | Row::Effect(_)
        | Row::Outbox(_)
        | Row::Record(_)
        | Row::Switch { .. }
        | Row::Flag { .. }
        | Row::Suppressed(_)
        | Row::Unsuppressed { .. }
        | Row::Deploy { .. }
        | Row::Rollback { .. }
        | Row::Tenant { .. }
        | Row::Secret { .. }
        | Row::SecretEnds { .. }
        | Row::EndpointDisabled { .. }
        | Row::ApiKey { .. }
        | Row::ApiKeyEnds { .. }
        | Row::EventJoined { .. }
        | Row::EventApart { .. } => None,
    }
}

fn tables_of(kind: &str) -> &'static [&'static str] {
    let known = ALONE.iter().find(|(name, _)| *name == kind);
    known.map_or(&[], |(_, tables)| tables)
}

/// Looks at the database before and after each commit of the desk. Commits that run side by side are looked at
/// together: nothing outside the store can tell whose change is whose.
struct Watch {
    path: PathBuf,
    running: Mutex<Running>,
    seen: Arc<Mutex<Seen>>,
}

/// The commits on their way since there was none.
#[derive(Default)]
struct Running {
    before: Snapshot,
    open: u32,
    answered: Vec<(Unit, CommitAnswer)>,
}

#[derive(Default)]
struct Seen {
    /// Commits with a turn, and the tables that they changed.
    told: u32,
    tables: BTreeSet<String>,
    /// Commits without one, by kind.
    alone: BTreeMap<&'static str, u32>,
    wrong: Vec<String>,
}

impl Tap for Watch {
    fn at(&self, point: Point) -> Result<(), Stopped> {
        if point == Point::BeforeCommit {
            let mut running = self.running.lock().unwrap();
            if running.open == 0 {
                running.before = snapshot(&self.path);
            }
            running.open += 1;
        }
        Ok(())
    }

    fn answered(&self, unit: &Unit, answer: &CommitAnswer) {
        let mut running = self.running.lock().unwrap();
        running.answered.push((unit.clone(), answer.clone()));
        running.open -= 1;
        if running.open == 0 {
            let Running {
                before, answered, ..
            } = std::mem::take(&mut *running);
            let after = snapshot(&self.path);
            let changed = changed(&before, &after);
            self.seen.lock().unwrap().units(&answered, &changed);
        }
    }
}

impl Seen {
    fn units(&mut self, units: &[(Unit, CommitAnswer)], changed: &BTreeSet<&str>) {
        let mut may: BTreeSet<&str> = BTreeSet::new();
        let mut told = false;
        for (unit, answer) in units {
            match answer {
                Err(Refused::Duplicate { .. }) => {
                    may.insert("dedupe");
                }
                Err(_) => {}
                Ok(_) if !unit.turns.is_empty() || !unit.control.is_empty() => {
                    self.told += 1;
                    told = true;
                }
                Ok(_) => {
                    for row in &unit.rows {
                        match alone(row) {
                            Some(kind) => {
                                *self.alone.entry(kind).or_default() += 1;
                                may.extend(tables_of(kind));
                            }
                            None => self.wrong.push(format!("no turn tells of {row:?}")),
                        }
                    }
                }
            }
        }
        let what = || {
            let rows = units.iter().map(|(unit, answer)| (&unit.rows, answer));
            format!("{changed:?} by {:?}", rows.collect::<Vec<_>>())
        };
        if told {
            if !changed.contains("turn") {
                self.wrong
                    .push(format!("a turn that is nowhere: {}", what()));
            }
            self.tables.extend(changed.iter().map(|t| (*t).to_owned()));
        } else if !changed.is_subset(&may) {
            self.wrong.push(format!("no turn tells of {}", what()));
        }
    }
}

/// The follower's own commits, which tell of turns and have none.
async fn follow(w: &World, path: &Path, wrong: &mut Vec<String>) {
    let before = snapshot(path);
    let mut follower = Follower::new(w.desk.clone(), None).expect("a follower");
    follower.catch_up(true).await.expect("the tree grows");
    let after = snapshot(path);
    let kinds = ["leaf in the tree", "checkpoint", "position of a follower"];
    let may: BTreeSet<&str> = kinds.iter().flat_map(|k| tables_of(k)).copied().collect();
    let changed = changed(&before, &after);
    if !changed.is_subset(&may) || !changed.contains("tree") {
        wrong.push(format!("the follower changed {changed:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_has_its_turn() {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let last: Arc<Mutex<PathBuf>> = Arc::default();
    let (all, path) = (Arc::clone(&seen), Arc::clone(&last));
    let watch = move |db: &Path| -> Arc<dyn Tap> {
        *path.lock().unwrap() = db.to_owned();
        Arc::new(Watch {
            path: db.to_owned(),
            running: Mutex::default(),
            seen: Arc::clone(&all),
        })
    };
    let after = async |w: &World| {
        // The same delivery again, with other bytes; then the follower.
        let json = r#"{"email":"zoe@x.example","subject":"s","name":"Z","size":3,"n":3}"#;
        w.send("a", json).await.expect("admitted");
        let db = last.lock().unwrap().clone();
        let mut wrong = Vec::new();
        follow(w, &db, &mut wrong).await;
        seen.lock().unwrap().wrong.extend(wrong);
    };
    crate::crash::watched(watch, after).await;
    let seen = seen.lock().unwrap();
    println!(
        "{} commits with a turn changed {:?}; without one: {:?}",
        seen.told, seen.tables, seen.alone
    );
    assert!(
        seen.wrong.is_empty(),
        "{:#?}",
        &seen.wrong[..seen.wrong.len().min(5)]
    );
    // A run that changes little proves little.
    assert!(seen.told > 150, "{}", seen.told);
    for kind in ["duplicate of a message", "step of an effect", "attempt"] {
        assert!(seen.alone.contains_key(kind), "{kind} did not occur");
    }
    for table in [
        "turn",
        "turn_body",
        "case_head",
        "effect",
        "effect_body",
        "event",
        "task",
        "timer",
        "outbox",
        "record",
        "switch",
        "gate",
        "natural_key",
    ] {
        assert!(seen.tables.contains(table), "{table} was not changed");
    }
}

/// The kinds that have no turn are the ones that users are told of.
#[test]
fn what_has_no_turn_is_documented() {
    let text = include_str!("../../../../docs/concepts/journal-and-audit.md");
    let section = text
        .split("## What has no turn")
        .nth(1)
        .expect("the section");
    let section = section.split("\n## ").next().unwrap_or("");
    let told: BTreeSet<&str> = section
        .lines()
        .filter_map(|l| l.strip_prefix("| ")?.split(" | ").next())
        .filter(|first| !first.starts_with("---") && *first != "What")
        .collect();
    let listed: BTreeSet<&str> = ALONE.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(told, listed);
}
