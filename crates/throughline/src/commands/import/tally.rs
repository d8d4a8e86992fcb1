//! What became of the rows, counted, and the first ones that were not taken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cli::Import;
use crate::control::import::{Outcome, RowLine};
use crate::page::Page;
use crate::text::{count, one_line};

/// Longest reason of a row, characters.
const WIDEST: usize = 300;

/// The count.
#[derive(Debug)]
pub struct Tally {
    file: String,
    endpoint: String,
    dry_run: bool,
    most_errors: usize,
    /// Rows of the file.
    pub rows: u64,
    /// Rows that were dealt with.
    pub dealt: u64,
    /// Columns that nothing reads.
    pub unread: Vec<String>,
    counts: BTreeMap<Outcome, u64>,
    errors: Vec<Wrong>,
    /// Keys of the rows of a rehearsal: one that comes again is a repeat.
    seen: BTreeSet<String>,
    natural: BTreeSet<String>,
}

/// A row that was not taken.
#[derive(Debug)]
struct Wrong {
    line: u64,
    code: String,
    why: String,
}

/// The outcomes, with what each means.
const WORDS: [(Outcome, &str, &str); 5] = [
    (Outcome::New, "new", "each opens a case"),
    (Outcome::Joined, "joined", "a case that was there"),
    (
        Outcome::Known,
        "there already",
        "recognised; nothing happens twice",
    ),
    (
        Outcome::Differs,
        "other content",
        "there under the same key with other content, which stays",
    ),
    (Outcome::Refused, "not taken", "see below"),
];

impl Tally {
    /// Nothing is counted yet.
    pub fn new(args: &Import, rows: u64) -> Tally {
        Tally {
            file: args.file.display().to_string(),
            endpoint: args.to.clone(),
            dry_run: args.dry_run,
            most_errors: args.errors,
            rows,
            dealt: 0,
            unread: Vec::new(),
            counts: BTreeMap::new(),
            errors: Vec::new(),
            seen: BTreeSet::new(),
            natural: BTreeSet::new(),
        }
    }

    /// Rows that were not taken.
    pub fn refused(&self) -> u64 {
        self.of(Outcome::Refused)
    }

    fn of(&self, outcome: Outcome) -> u64 {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    /// Counts a row that is no message.
    pub fn no_message(&mut self, line: u64, why: String) {
        self.wrong(line, String::new(), why);
        self.count(Outcome::Refused);
    }

    /// Counts what became of a row.
    pub fn take(&mut self, row: RowLine) {
        let mut outcome = row.outcome;
        // Nothing is stored in a rehearsal, so a repeat within the file is seen here.
        if outcome == Outcome::New || outcome == Outcome::Joined {
            if row.keys.iter().any(|k| self.seen.contains(k)) {
                outcome = Outcome::Known;
            } else if row.natural.iter().any(|k| self.natural.contains(k)) {
                outcome = Outcome::Joined;
            }
        }
        if outcome == Outcome::Refused {
            self.wrong(row.line, row.code, row.why);
        } else {
            self.seen.extend(row.keys);
            self.natural.extend(row.natural);
        }
        self.count(outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        *self.counts.entry(outcome).or_default() += 1;
        self.dealt += 1;
    }

    fn wrong(&mut self, line: u64, code: String, why: String) {
        if self.errors.len() < self.most_errors {
            self.errors.push(Wrong { line, code, why });
        }
    }

    /// Prints the count.
    pub fn print(&mut self, by_machine: bool) {
        self.errors.sort_by_key(|e| e.line);
        if by_machine {
            println!("{}", self.json());
        } else {
            print!("{}", Page::of_stdout().fit(&self.text()));
        }
    }

    fn json(&self) -> serde_json::Value {
        let errors: Vec<serde_json::Value> = self
            .errors
            .iter()
            .map(|e| json!({ "line": e.line, "code": e.code, "why": e.why }))
            .collect();
        json!({
            "file": self.file,
            "endpoint": self.endpoint,
            "dry_run": self.dry_run,
            "rows": self.rows,
            "new": self.of(Outcome::New),
            "joined": self.of(Outcome::Joined),
            "there_already": self.of(Outcome::Known),
            "other_content": self.of(Outcome::Differs),
            "not_taken": self.refused(),
            "errors": errors,
            "unread_columns": self.unread,
        })
    }

    fn text(&self) -> String {
        let mut out = format!(
            "{} of {} {} `{}`{}\n",
            count(self.rows, "row"),
            self.file,
            if self.dry_run {
                "would go to"
            } else {
                "went to"
            },
            self.endpoint,
            if self.dry_run {
                "; nothing was stored"
            } else {
                ""
            }
        );
        for (outcome, word, note) in WORDS {
            let n = self.of(outcome);
            if n > 0 || outcome == Outcome::New {
                out.push_str(&format!("  {word:<14} {n:>9}  {note}\n"));
            }
        }
        if !self.unread.is_empty() {
            out.push_str(&format!(
                "Columns that `{}` does not read; they stay in the messages: {}\n",
                self.endpoint,
                self.unread.join(", ")
            ));
        }
        if self.refused() == 0 {
            return out;
        }
        out.push_str(if self.dry_run {
            "Would not be taken\n"
        } else {
            "Not taken\n"
        });
        for e in &self.errors {
            let code = match e.code.as_str() {
                "" => String::new(),
                code => format!("{code} "),
            };
            let why = one_line(&e.why, WIDEST);
            out.push_str(&format!("  line {:<7} {code}{why}\n", e.line));
        }
        let more = self.refused() - self.errors.len() as u64;
        if more > 0 {
            out.push_str(&format!("  and {more} more; --errors N prints N of them\n"));
        }
        if let Some(e) = self.errors.iter().find(|e| !e.code.is_empty()) {
            out.push_str(&format!("more: throughline explain {}\n", e.code));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn args() -> Import {
        Import {
            file: PathBuf::from("rows.csv"),
            to: "web".into(),
            key: None,
            dry_run: true,
            column: Vec::new(),
            format: None,
            errors: 1,
        }
    }

    fn row(line: u64, outcome: Outcome, key: &str) -> RowLine {
        RowLine {
            line,
            outcome,
            code: String::new(),
            why: "`seats` must be of type integer".into(),
            keys: vec![format!("k{key}")],
            natural: vec![format!("n{key}")],
        }
    }

    #[test]
    fn a_rehearsal_sees_repeats_within_the_file() {
        let mut tally = Tally::new(&args(), 6);
        tally.take(row(2, Outcome::New, "a"));
        tally.take(row(3, Outcome::New, "a"));
        let mut same_person = row(4, Outcome::New, "b");
        same_person.natural = vec!["na".into()];
        tally.take(same_person);
        tally.take(row(5, Outcome::Refused, "c"));
        tally.take(row(6, Outcome::New, "c"));
        tally.no_message(7, "has 1 cells".into());
        let told = tally.json();
        let counted = ["new", "there_already", "joined", "not_taken"].map(|k| told[k].as_u64());
        assert_eq!(counted, [Some(2), Some(1), Some(1), Some(2)], "{told}");
        let text = tally.text();
        assert!(
            text.contains("line 5") && !text.contains("line 7"),
            "{text}"
        );
        assert!(text.contains("and 1 more"), "{text}");
    }
}
