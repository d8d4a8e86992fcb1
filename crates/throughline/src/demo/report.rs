//! What the demo shows in the end: a table for a process owner, what came out wrong, three cases explained, and
//! where to look next.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tl_kernel::effect::EffectState;
use tl_store::contract::Stats;

use super::corpus::Outcome;
use super::invariants::{Line, Writes};
use super::judge::Verdict;
use super::scene::Scene;
use crate::page::Page;

/// Everything the report is made from.
#[derive(Debug)]
pub struct Report {
    /// What was played.
    pub scene: &'static Scene,
    /// Messages sent.
    pub sent: usize,
    /// From the first message until everything was at rest.
    pub took: Duration,
    /// One verdict per message.
    pub verdicts: Vec<Verdict>,
    /// Name, what was counted, violations.
    pub invariants: Vec<Line>,
    /// First touches, µs, in order.
    pub first_touch: Vec<i64>,
    /// Writes to the CRM.
    pub writes: Writes,
    /// Messages that are stored.
    pub events: u64,
    /// Messages in the outbox.
    pub messages: usize,
    /// The store's counts.
    pub stats: Stats,
    /// Writes that met a newer version.
    pub conflicts: u64,
    /// Requests that met the CRM's outage.
    pub turned_away: u64,
    /// Message id and the screen about its case.
    pub explained: Vec<(String, String)>,
    /// The project directory.
    pub dir: PathBuf,
    /// It stays.
    pub kept: bool,
    /// The server's address.
    pub url: String,
    /// The server runs on after the report.
    pub stays: bool,
}

impl Report {
    /// An invariant does not hold.
    pub fn broken(&self) -> bool {
        self.invariants
            .iter()
            .any(|(_, _, violations)| !violations.is_empty())
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.verdicts
            .iter()
            .filter(|v| v.got == Some(outcome))
            .count()
    }

    fn right(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|v| v.differs.is_empty())
            .count()
    }

    fn effects(&self, state: EffectState) -> u64 {
        self.stats
            .effects
            .iter()
            .filter(|(_, s, _)| *s == state)
            .map(|(_, _, n)| n)
            .sum()
    }

    /// The n-th percentile of the first touches, µs.
    fn touch(&self, percent: usize) -> i64 {
        match self.first_touch.len() {
            0 => 0,
            n => self.first_touch[(n - 1) * percent / 100],
        }
    }

    /// The report for machines.
    pub fn json(&self) -> Json {
        let wrong: Vec<Json> = self
            .verdicts
            .iter()
            .filter(|v| !v.differs.is_empty())
            .map(|v| json!({ "message": v.id, "case": v.case.map(|c| c.to_string()), "differs": v.differs }))
            .collect();
        let invariants: Vec<Json> = self
            .invariants
            .iter()
            .map(|(name, counted, violations)| json!({ "name": name, "counted": counted, "violations": violations }))
            .collect();
        json!({
            "template": self.scene.template.name(),
            "messages": self.sent,
            "seconds": self.took.as_secs_f64(),
            "right": self.right(),
            "wrong": wrong,
            "hot": self.count(Outcome::Hot),
            "answered": self.count(Outcome::Answered),
            "valid": self.count(Outcome::Valid),
            "automated": self.count(Outcome::Automated),
            "follow_up": self.count(Outcome::FollowUp),
            "review": self.count(Outcome::Review),
            "closed": self.count(Outcome::ClosedSpam),
            "joined": self.count(Outcome::Joined),
            "duplicate": self.count(Outcome::Duplicate),
            "refused": self.count(Outcome::Refused),
            "first_touch_p50_us": self.touch(50),
            "first_touch_p95_us": self.touch(95),
            "messages_stored": self.events,
            "messages_sent": self.messages,
            "writes_succeeded": self.writes.succeeded,
            "writes_in_crm": self.writes.in_crm,
            "uncertain": self.effects(EffectState::Uncertain),
            "dead": self.effects(EffectState::Dead) + self.effects(EffectState::Failed),
            "conflicts": self.conflicts,
            "crm_refused": self.turned_away,
            "invariants": invariants,
            "directory": self.dir,
        })
    }

    /// The report for people.
    pub fn text(&self, page: Page) -> String {
        let mut out = String::new();
        self.table(&mut out);
        self.differences(&mut out);
        for (id, screen) in &self.explained {
            let _ = write!(
                out,
                "\n── one case explained: the message {id} ──\n\n{screen}\n"
            );
        }
        self.proofs(&mut out);
        self.where_next(&mut out);
        page.fit(&out)
    }

    /// The rows of the table: what, how many, what it means.
    fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let accepted = self.sent - self.count(Outcome::Refused) - self.count(Outcome::Duplicate);
        let one = |name, outcome, note| (name, self.count(outcome).to_string(), note);
        let mut rows = vec![
            ("messages sent", self.sent.to_string(), self.scene.sent),
            ("accepted", accepted.to_string(), "signed, well formed, new"),
            one(
                "duplicate",
                Outcome::Duplicate,
                "recognised; nothing happened twice",
            ),
            one(
                "refused",
                Outcome::Refused,
                "bad signature or body: nothing stored",
            ),
            one("joined a case", Outcome::Joined, self.scene.joined),
        ];
        for (name, outcomes, note) in self.scene.outcomes {
            let n: usize = outcomes.iter().map(|o| self.count(*o)).sum();
            rows.push((name, n.to_string(), note));
        }
        rows.push((
            "came out right",
            format!("{} of {}", self.right(), self.verdicts.len()),
            "record and outcome as expected",
        ));
        if !self.scene.answers.is_empty() {
            rows.push((
                "first touch p50 / p95",
                format!("{} / {}", ms(self.touch(50)), ms(self.touch(95))),
                "message in to acknowledgment out",
            ));
        }
        rows.push((
            "writes",
            self.writes.succeeded.to_string(),
            self.scene.writes,
        ));
        if !self.scene.answers.is_empty() {
            let messages = self.messages.to_string();
            rows.push(("messages to people", messages, "in the outbox"));
        }
        rows.extend([
            (
                "CRM conflicts (412)",
                self.conflicts.to_string(),
                "a person's edit was met, and kept",
            ),
            (
                "uncertain / dead",
                format!(
                    "{} / {}",
                    self.effects(EffectState::Uncertain),
                    self.effects(EffectState::Dead) + self.effects(EffectState::Failed)
                ),
                "not known to have happened; given up",
            ),
        ]);
        rows
    }

    fn table(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n{}, in {:.1} s\n",
            self.scene.title,
            self.took.as_secs_f64()
        );
        for (name, value, note) in self.rows() {
            let _ = writeln!(out, "  {name:<21}  {value:>14}  {note}");
        }
        if self.turned_away > 0 {
            let _ = writeln!(
                out,
                "  {:<21}  {:>14}  while it was down; all arrived once",
                "refused by the CRM", self.turned_away
            );
        }
    }

    fn differences(&self, out: &mut String) {
        let wrong: Vec<&Verdict> = self
            .verdicts
            .iter()
            .filter(|v| !v.differs.is_empty())
            .collect();
        if wrong.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nNot as expected ({}):", wrong.len());
        for v in wrong {
            let case = v.case.map_or_else(String::new, |c| format!("  {c}"));
            let _ = writeln!(out, "  {}: {}{case}", v.id, v.differs.join("; "));
        }
    }

    fn proofs(&self, out: &mut String) {
        let _ = writeln!(out, "\nInvariants");
        for (name, counted, violations) in &self.invariants {
            let mark = if violations.is_empty() {
                "holds"
            } else {
                "BROKEN"
            };
            let _ = writeln!(out, "  {name}  {mark:<7} {counted}");
            for v in violations.iter().take(10) {
                let _ = writeln!(out, "       {v}");
            }
        }
    }

    fn where_next(&self, out: &mut String) {
        let dir = self.dir.display();
        let _ = writeln!(out, "\nWhere to look next");
        if self.kept {
            let _ = writeln!(out, "  cd {dir}");
        } else if self.stays && !self.broken() {
            let _ = writeln!(
                out,
                "  The server still runs at {}; ctrl-c ends it.",
                self.url
            );
            let _ = writeln!(out, "  In another terminal:");
            let _ = writeln!(out, "  export THROUGHLINE_DIR={dir}");
        } else {
            let _ = writeln!(
                out,
                "  The project is gone with this run; `--keep DIR` keeps it. In a project:"
            );
        }
        if let Some(dir) = off_the_path() {
            let _ = writeln!(out, "  export PATH=\"$PATH:{}\"", dir.display());
        }
        let workflow = format!(
            "$THROUGHLINE_DIR/workflows/{}/workflow.yaml",
            self.scene.template.workflow()
        );
        for (command, what) in [
            ("throughline task list", "what waits for a person"),
            ("throughline case list", "all cases"),
            ("throughline explain CASE", "why a case is where it is"),
            ("throughline kill set everything --reason drill", "stop all"),
            (&workflow, "the whole process"),
        ] {
            // Only where the line above sets the variable it leads anywhere.
            let command = match self.stays && !self.kept && !self.broken() {
                true => command,
                false => command.trim_start_matches("$THROUGHLINE_DIR/"),
            };
            let _ = writeln!(out, "  {command:<53}  {what}");
        }
    }
}

/// Where the program lies, when a shell would not find it by its name: it was built here and never installed.
fn off_the_path() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let (dir, name) = (program.parent()?.to_owned(), program.file_name()?);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|p| p.join(name).is_file());
    let ours = |p: &PathBuf| p.canonicalize().ok() == dir.canonicalize().ok();
    (!found.as_ref().is_some_and(ours)).then_some(dir)
}

fn ms(us: i64) -> String {
    if us >= 1_000_000 {
        format!("{:.1} s", us as f64 / 1e6)
    } else {
        format!("{:.0} ms", us as f64 / 1e3)
    }
}
