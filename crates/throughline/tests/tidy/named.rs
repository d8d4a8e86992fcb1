//! What the pages for developers name is there: tests, source files, planted bugs.

use std::collections::BTreeSet;

use crate::{files, none, read};

/// What stands between single back ticks in the text of a page, with its line. Blocks of code are left out.
fn ticked(page: &str) -> Vec<(usize, String)> {
    let (mut found, mut in_code) = (Vec::new(), false);
    for (n, line) in read(page).lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let inside = line.split('`').skip(1).step_by(2);
            found.extend(inside.map(|word| (n + 1, word.to_owned())));
        }
    }
    found
}

fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !text.is_empty() && text.chars().all(plain)
}

/// Whether a page's word names a test: `module::name`, or a name of three words and more after one.
fn names_a_test(word: &str) -> bool {
    let parts: Vec<&str> = word.split("::").collect();
    let words = parts.iter().all(|p| is_word(p));
    words && (parts.len() > 1 || word.matches('_').count() >= 2)
}

/// The functions and modules of all sources, each with the names of the directories and files that it lies in.
struct Sources(Vec<(BTreeSet<String>, String)>);

impl Sources {
    fn read() -> Sources {
        let rust = files("crates").into_iter().filter(|f| f.ends_with(".rs"));
        Sources(
            rust.map(|path| {
                let places = path.trim_end_matches(".rs").split('/');
                (places.map(str::to_owned).collect(), read(&path))
            })
            .collect(),
        )
    }

    /// Whether there is a function, or a module, of this name in this module.
    fn has(&self, word: &str) -> bool {
        let parts: Vec<&str> = word.split("::").collect();
        let (name, modules) = parts.split_last().expect("one part at least");
        let function = format!("fn {name}(");
        self.0.iter().any(|(places, text)| {
            let within = |m: &str| places.contains(m) || text.contains(&format!("mod {m} {{"));
            let here = text.contains(&function) || places.contains(*name);
            here && modules.iter().copied().all(within)
        })
    }
}

#[test]
fn every_test_that_the_page_on_testing_names_is_there() {
    let page = "docs/dev/testing.md";
    let sources = Sources::read();
    let named: Vec<(usize, String)> = ticked(page)
        .into_iter()
        .filter(|(_, word)| names_a_test(word))
        .collect();
    assert!(named.len() > 50, "the page was read: {}", named.len());
    let gone = named.iter().filter(|(_, word)| !sources.has(word));
    let findings: Vec<String> = gone
        .map(|(n, word)| format!("{page}:{n}: no test `{word}`"))
        .collect();
    none("tests that a page names", &findings);
}

#[test]
fn every_source_file_that_a_page_names_is_there() {
    let sources: Vec<String> = files("crates")
        .into_iter()
        .map(|path| format!("/{path}"))
        .collect();
    let mut findings = Vec::new();
    for page in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/dev/testing.md",
        "docs/dev/simulation.md",
        "docs/reliability.md",
    ] {
        for (n, word) in ticked(page) {
            let path = word.strip_prefix("crates/").unwrap_or(&word);
            let is_file = path.ends_with(".rs") && !path.contains(['*', ' ', '{']);
            if is_file && !sources.iter().any(|s| s.ends_with(&format!("/{path}"))) {
                findings.push(format!("{page}:{n}: no file `{word}`"));
            }
        }
    }
    none("source files that pages name", &findings);
}

#[test]
fn every_planted_bug_is_listed() {
    let page = "docs/reliability.md";
    let listed: BTreeSet<String> = ticked(page).into_iter().map(|(_, word)| word).collect();
    let name = |path: &String| {
        let name = path.strip_prefix("crates/tl-sim/planted/")?;
        Some(name.strip_suffix(".patch")?.to_owned())
    };
    let planted: Vec<String> = files("crates/tl-sim/planted")
        .iter()
        .filter_map(name)
        .collect();
    assert!(planted.len() > 40, "the patches were found");
    let missing = planted.iter().filter(|p| !listed.contains(*p));
    let findings: Vec<String> = missing
        .map(|p| format!("{page} does not list `{p}`"))
        .collect();
    none("planted bugs", &findings);
}

#[test]
fn a_name_that_is_nowhere_is_found_out() {
    let sources = Sources::read();
    for (word, there) in [
        ("tidy::every_planted_bug_is_listed", true),
        ("named::every_planted_bug_is_listed", true),
        ("elsewhere::every_planted_bug_is_listed", false),
        (concat!("named::every_planted_bug_", "was_listed"), false),
        ("cel::tests::hostile", true),
    ] {
        assert!(names_a_test(word), "{word}");
        assert_eq!(sources.has(word), there, "{word}");
    }
    for word in ["on_unknown", "TL_LONG=1", "event.body", "Guard::Slot"] {
        assert!(!names_a_test(word), "{word}");
    }
}
