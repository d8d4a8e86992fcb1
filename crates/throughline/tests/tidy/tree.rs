//! The tree of files: its root, the pages of the error codes, links, and what no file may name.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{crate_of, is_test};
use crate::source::{Blank, blank, without_tests};
use crate::{files, none, read, root};

/// Visible entries at the root.
const ROOT_ENTRIES: usize = 16;

#[test]
fn the_root_stays_short() {
    let entries = std::fs::read_dir(root()).expect("the root");
    let names = entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned());
    let visible: Vec<String> = names
        .filter(|n| !n.starts_with('.') && n != "target")
        .collect();
    assert!(
        visible.len() <= ROOT_ENTRIES,
        "{} entries at the root: {visible:?}",
        visible.len()
    );
}

/// The codes `TLnnnn` in a text.
fn codes(text: &str) -> BTreeSet<String> {
    let code = |at: usize| {
        let digits: String = text[at + 2..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        (digits.len() == 4).then(|| format!("TL{digits}"))
    };
    text.match_indices("TL")
        .filter_map(|(at, _)| code(at))
        .collect()
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for path in files("crates") {
        if !path.ends_with(".rs") || is_test(&path) {
            continue;
        }
        let code = without_tests(&blank(&read(&path), Blank::Comments));
        for found in codes(&code) {
            used.entry(found).or_insert_with(|| path.clone());
        }
    }
    assert!(used.len() > 20, "the sources were read");
    let page = |f: &String| {
        Some(
            f.strip_prefix("docs/errors/")?
                .strip_suffix(".md")?
                .to_owned(),
        )
    };
    let pages: BTreeSet<String> = files("docs/errors")
        .iter()
        .filter_map(page)
        .filter(|p| p != "README")
        .collect();
    let mut findings = Vec::new();
    for (code, path) in &used {
        if !pages.contains(code) {
            findings.push(format!("{code} ({path}) has no page docs/errors/{code}.md"));
        }
    }
    for page in &pages {
        if !used.contains_key(page) {
            findings.push(format!("docs/errors/{page}.md: no source uses the code"));
        }
        if !read(&format!("docs/errors/{page}.md")).starts_with(&format!("# {page}")) {
            findings.push(format!(
                "docs/errors/{page}.md does not begin with `# {page}`"
            ));
        }
    }
    none("error codes", &findings);
}

/// Codes that two crates may raise, because they mean the same in both.
const SHARED_CODES: [&str; 2] = ["TL0603", "TL0801"];

#[test]
fn a_code_means_one_thing() {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files("crates") {
        // The binary repeats the codes of what it calls.
        if !path.ends_with(".rs") || is_test(&path) || crate_of(&path) == "throughline" {
            continue;
        }
        let code = without_tests(&blank(&read(&path), Blank::Comments));
        for found in codes(&code) {
            owners
                .entry(found)
                .or_default()
                .insert(crate_of(&path).to_owned());
        }
    }
    let twice = owners
        .into_iter()
        .filter(|(code, crates)| crates.len() > 1 && !SHARED_CODES.contains(&code.as_str()));
    let findings: Vec<String> = twice
        .map(|(code, crates)| format!("{code}: {crates:?}"))
        .collect();
    none("codes with more than one meaning", &findings);
}

/// Text files that people read or that run.
fn texts() -> Vec<String> {
    let ends = [
        ".rs",
        ".md",
        ".toml",
        ".yaml",
        ".yml",
        ".csv",
        ".py",
        ".sh",
        "justfile",
        "scripts/test",
        ".ci/run",
    ];
    let text = |f: &String| ends.iter().any(|e| f.ends_with(e));
    files("").into_iter().filter(text).collect()
}

#[test]
fn no_file_names_a_machine() {
    let places = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/Us", "ers/"),
        concat!("/tmp/", "bash"),
    ];
    let mut findings = Vec::new();
    for path in texts() {
        for (n, line) in read(&path).lines().enumerate() {
            let named = places.iter().any(|place| {
                line.match_indices(place).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '}' || c == '>')
                })
            });
            if named {
                findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    none("paths of somebody's machine", &findings);
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut findings = Vec::new();
    for path in files("").into_iter().filter(|f| f.ends_with(".md")) {
        let text = read(&path);
        let mut in_code = false;
        for (n, line) in text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            if in_code {
                continue;
            }
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                let file = target.split('#').next().unwrap_or_default();
                if file.is_empty() || file.contains("://") {
                    continue;
                }
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                if !root().join(dir).join(file).exists() {
                    findings.push(format!("{path}:{}: no file behind {target}", n + 1));
                }
            }
        }
    }
    none("links", &findings);
}
