//! `explain`: a case, an error code, or a word of a decision. What a word means stands on the page about decisions, which
//! the binary carries; nothing of it is said a second time here.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::Shell;
use crate::control::request::Request;
use crate::embedded::{self, DECISION};
use crate::explain::{CODES, meaning};
use crate::failure::{Failure, is_code};
use crate::page::Page;
use crate::text::nearest;

/// Where the page lies.
const PAGE: &str = "docs/concepts/decision.md";
/// How ids begin.
const IDS: [&str; 4] = ["case_", "task_", "eff_", "evt_"];

/// Explains what was typed.
pub fn run(shell: &Shell, typed: String) -> Result<(), Failure> {
    let text = typed.trim();
    let upper = text.to_uppercase();
    let number = upper.strip_prefix("TL").unwrap_or_default();
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        return code(shell, &upper);
    }
    if IDS.iter().any(|id| text.starts_with(id)) {
        return shell.print(Request::Explain { id: typed });
    }
    word(shell, text)
}

fn code(shell: &Shell, code: &str) -> Result<(), Failure> {
    let Some(page) = embedded::page(code).filter(|_| is_code(code)) else {
        let known = embedded::PAGES.iter().map(|(c, _)| *c);
        let hint = nearest(code, known).map_or(String::new(), |n| format!("; did you mean {n}?"));
        return Err(Failure::not_found(format!("there is no code {code}{hint}")));
    };
    if shell.json {
        println!("{}", json!({ "code": code, "page": page }));
    } else {
        print!("{}", Page::of_stdout().fit(page));
    }
    Ok(())
}

fn word(shell: &Shell, typed: &str) -> Result<(), Failure> {
    let all = entries(DECISION);
    let said: Vec<&Entry> = all.iter().filter(|e| e.defines(typed)).collect();
    let reason = meaning(typed);
    if said.is_empty() && reason.is_none() {
        return Err(unknown(typed, &all));
    }
    if shell.json {
        println!(
            "{:#}",
            json!({ "word": typed, "reason": reason, "page": PAGE, "says": said })
        );
        return Ok(());
    }
    let mut out = format!("# {typed}\n");
    if let Some(reason) = reason {
        out.push_str(&format!("\nAs a reason: {reason}.\n"));
    }
    for entry in &said {
        out.push_str(&format!("\n## {}\n\n{}\n", entry.section, entry.text));
    }
    if !said.is_empty() {
        out.push_str(&format!("\nThe whole page: {PAGE}\n"));
    }
    print!("{}", Page::of_stdout().fit(&out));
    Ok(())
}

fn unknown(typed: &str, all: &[Entry]) -> Failure {
    let words: BTreeSet<&str> = all.iter().flat_map(|e| e.words.iter().copied()).collect();
    let codes = CODES.iter().flat_map(|(codes, _)| *codes).copied();
    let hint = match nearest(typed, words.iter().copied().chain(codes)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "an id looks like case_…, task_…, eff_… or evt_… (`throughline case list` shows cases), a code like TL0701, \
             and the words of a decision are {}",
            words.into_iter().collect::<Vec<_>>().join(", ")
        ),
    };
    Failure::usage(format!(
        "`{typed}` is no id, no code and no word of a decision; {hint}"
    ))
}

/// A part of the page that says what one word means, or several together.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(skip)]
    words: Vec<&'static str>,
    section: &'static str,
    text: String,
}

impl Entry {
    fn defines(&self, word: &str) -> bool {
        self.words.contains(&word)
    }
}

/// What the page defines: a paragraph that begins with its word in bold, with everything up to the next; and each row of a
/// table whose first column names the word, or whose second does as a decision. An empty cell repeats the one above it.
fn entries(page: &'static str) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut section = "";
    let mut head: Vec<&str> = Vec::new();
    // The entry of a paragraph that goes on, and what the row before begins with.
    let (mut open, mut above): (Option<usize>, &str) = (None, "");
    for line in page.lines() {
        if let Some(title) = line.strip_prefix('#') {
            section = title.trim_start_matches('#').trim();
            open = None;
        } else if line.starts_with("**`") {
            let bold = line.split("**").nth(1).unwrap_or_default();
            open = Some(out.len());
            out.push(Entry {
                words: marked(bold).collect(),
                section,
                text: String::new(),
            });
        }
        if let Some(entry) = open {
            out[entry].text.push_str(line);
            out[entry].text.push('\n');
        }
        let Some(mut cells) = cells(line) else {
            head.clear();
            continue;
        };
        if head.is_empty() {
            head = cells;
        } else if !cells[0].starts_with("---") {
            if cells[0].is_empty() {
                cells[0] = above;
            }
            above = cells[0];
            let naming = if head[1] == "Decision" { 2 } else { 1 };
            let words = cells[..naming].iter().copied().flat_map(marked);
            let lines = head.iter().zip(&cells);
            let lines: Vec<String> = lines.map(|(h, cell)| format!("{h}: {cell}")).collect();
            out.push(Entry {
                words: words.collect(),
                section,
                text: lines.join("\n"),
            });
        }
    }
    for entry in &mut out {
        entry.text.truncate(entry.text.trim_end().len());
    }
    out.retain(|e| !e.words.is_empty());
    out
}

/// The cells of a table's row; `None` for another line.
fn cells(line: &'static str) -> Option<Vec<&'static str>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split(" | ").map(str::trim).collect())
}

/// The words between marks of code.
fn marked(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_kernel::reason::is_of_the_engine;

    fn said(word: &str) -> Vec<String> {
        let all = entries(DECISION);
        let of_word = all.into_iter().filter(|e| e.defines(word));
        of_word
            .map(|e| format!("{}: {}", e.section, e.text))
            .collect()
    }

    #[test]
    fn words_are_explained_from_the_page() {
        // A word, how many parts of the page define it, and what they say.
        let table = [
            ("confidence", 1, "a number from 0 to 1, or absent"),
            ("threshold", 1, "`decision.threshold` names"),
            ("policy_allows", 1, "asked later, at the\ngate"),
            ("needs_human", 1, "at least one reason"),
            ("needs_human", 1, "a person's word for the record holds"),
            ("missing", 5, "Reason: `missing`\nWhen: a required field"),
            ("missing", 5, "is the list of required fields"),
            ("unsure", 1, "below the threshold"),
            ("deny", 1, "What happens: nothing is sent"),
            ("never", 1, "Verdict: `never`"),
            ("exception", 2, "Decision: `close`"),
            ("accept", 2, "Task: `hand_off`\nDecision: `accept`"),
            ("edit", 1, "Task: `review`, `missing`"),
            ("record", 1, "are described in the"),
            ("settings", 1, "are described in the"),
        ];
        for (word, parts, text) in table {
            let all = said(word);
            assert_eq!(all.len(), parts, "{word}: {all:#?}");
            assert!(all.iter().any(|s| s.contains(text)), "{word}: {all:#?}");
        }
        // A row stands on its own, and a paragraph ends where the next word begins.
        assert!(!said("confidence")[0].contains("policy's verdict"));
        assert!(said("a word that nobody uses").is_empty());
    }

    #[test]
    fn the_page_lists_the_reasons_that_a_file_may_share() {
        let all = entries(DECISION);
        let rows = all.iter().filter(|e| e.text.starts_with("Reason: "));
        let reasons: Vec<&str> = rows.flat_map(|e| e.words.iter().copied()).collect();
        let shared = [
            "missing",
            "ai_off",
            "no_confidence",
            "ai_failed",
            "unsure",
            "rule",
        ];
        assert_eq!(reasons, shared);
        for reason in reasons {
            assert!(!is_of_the_engine(reason), "`{reason}` is refused in files");
            assert!(meaning(reason).is_some(), "`{reason}` has no words");
        }
    }
}
