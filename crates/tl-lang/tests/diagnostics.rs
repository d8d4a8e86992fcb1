//! One mistake per file: its code, its place, and a mend after which the file loads.
//!
//! A case is a file of `tests/diagnostics`. Its first line names what is expected: code, line, column, and
//! the file where that is not the workflow file. `#=== path` begins another file of the case.

#![allow(
    clippy::disallowed_methods,
    reason = "the cases of the tests are files"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::shown;
use tl_lang::proof::{Sources, prove};
use tl_lang::{CODES, Diag, Loaded, Project, Severity, apply_mend, load};

struct Case {
    name: String,
    code: String,
    place: (u32, u32),
    file: String,
    project: Project,
    /// The file as the printed mend leaves it.
    mended: String,
    path: PathBuf,
}

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|p| case(p)).collect()
}

fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let head: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    let [_, code, place, file @ ..] = head.as_slice() else {
        panic!("{name}: the first line must read `# CODE LINE:COLUMN [FILE]`");
    };
    let (line, column) = place.split_once(':').unwrap();
    let mut project = Project::default();
    let mut parts = text.split("#=== ");
    let mut add = |path: &str, content: &str| {
        project
            .files
            .insert(within(path), content.as_bytes().to_vec());
    };
    add("workflow.yaml", parts.next().unwrap());
    let mut mended = String::new();
    for p in parts {
        let (path, content) = p.split_once('\n').unwrap();
        if path == MENDED {
            mended = content.to_owned();
        } else {
            add(path, content);
        }
    }
    Case {
        name,
        code: (*code).to_owned(),
        place: (line.parse().unwrap(), column.parse().unwrap()),
        file: within(file.first().unwrap_or(&"workflow.yaml")),
        project,
        mended,
        path: path.to_owned(),
    }
}

/// The section of a case with the file that its mend makes. `TL_WRITE=1` writes it anew, to be read before it is
/// kept.
const MENDED: &str = "mended";

fn within(path: &str) -> String {
    match path {
        "teams.yaml" | "connections.yaml" => path.to_owned(),
        _ => format!("workflows/case/{path}"),
    }
}

/// Mistakes whose mend was applied, and after which the file passed, at least. The others are mended in words, because
/// only the author knows what was meant.
const MENDED_BY_ITSELF: usize = 160;

#[test]
fn every_mistake_is_found_where_it_is_and_its_mend_mends_it() {
    let mut wrong = Vec::new();
    let (mut mended, mut in_words) = (0, Vec::new());
    for c in cases() {
        match check(&c) {
            Ok(Mended::Applied) => mended += 1,
            Ok(Mended::InWords) => in_words.push(c.name),
            Err(e) => wrong.push(format!("{}: {e}", c.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{mended} mends applied, in words {in_words:?}");
    assert!(
        mended >= MENDED_BY_ITSELF,
        "{mended} mends were applied; in words: {in_words:?}"
    );
}

/// What became of a mistake.
enum Mended {
    /// Its mend was applied, and the file passes.
    Applied,
    /// Its mend is said in words.
    InWords,
}

/// What `check` says of a project: its mistakes, and where it has none, what cannot be proven of it.
fn proven(project: &Project) -> Loaded {
    let mut loaded = load(project, "case");
    if let Some(program) = &loaded.program {
        let file = within("workflow.yaml");
        let text = project.text(&file).unwrap();
        let own = within("policy.yaml");
        let (policy, policy_text) = match project.text(&own) {
            Some(own_text) => (&own, own_text),
            None => (&file, text),
        };
        let sources = Sources {
            workflow: &file,
            workflow_text: text,
            policy,
            policy_text,
        };
        loaded.diags.extend(prove(program, &sources));
    }
    let is_error = |d: &Diag| d.severity == Severity::Error;
    if loaded.diags.iter().any(is_error) {
        loaded.program = None;
    }
    loaded
}

fn check(c: &Case) -> Result<Mended, String> {
    let loaded = proven(&c.project);
    let seen = || shown(&c.project, &loaded);
    let errors: Vec<&Diag> = loaded
        .diags
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .collect();
    let [d] = errors.as_slice() else {
        return Err(format!("{} errors\n{}", errors.len(), seen()));
    };
    if (d.code, (d.line, d.column), &d.file) != (c.code.as_str(), c.place, &c.file) {
        return Err(format!(
            "got {} {}:{} {}\n{}",
            d.code,
            d.line,
            d.column,
            d.file,
            seen()
        ));
    }
    if d.start >= d.end && c.project.files[&d.file].len() > d.end {
        return Err(format!("nothing is underlined\n{}", seen()));
    }
    let Some(mend) = &d.mend else {
        return Err(format!("no mend\n{}", seen()));
    };
    let mut mended = c.project.clone();
    let text = apply_mend(c.project.text(&d.file).unwrap(), mend);
    mended
        .files
        .insert(d.file.clone(), text.clone().into_bytes());
    if text != c.mended {
        if std::env::var_os("TL_WRITE").is_none() {
            return Err(format!("the mend makes\n{text}\nand not\n{}", c.mended));
        }
        let old = std::fs::read_to_string(&c.path).unwrap();
        let before = old.split("#=== mended\n").next().unwrap();
        let line = if before.ends_with('\n') { "" } else { "\n" };
        std::fs::write(&c.path, format!("{before}{line}#=== {MENDED}\n{text}")).unwrap();
    }
    if mend.edits.is_empty() {
        // What is meant only the author knows: the mend is in words.
        return if mend.say.is_empty() {
            Err("the mend says nothing".into())
        } else {
            Ok(Mended::InWords)
        };
    }
    let again = proven(&mended);
    if again.program.is_none() {
        return Err(format!(
            "the mend does not mend it:\n{text}\n{}",
            shown(&mended, &again)
        ));
    }
    Ok(Mended::Applied)
}

#[test]
fn the_mistakes_cover_the_codes() {
    let all = cases();
    let covered: BTreeSet<&str> = all.iter().map(|c| c.code.as_str()).collect();
    // Limits, missing files, the bounds of expressions, connectors and the proofs have tests of their own.
    let elsewhere = [
        "TL0106", "TL0109", "TL0302", "TL0307", "TL0308", "TL0309", "TL0310", "TL0311", "TL0411",
        "TL0414", "TL0415", "TL0416", "TL0417", "TL0418",
    ];
    for (code, _) in CODES {
        assert!(
            covered.contains(code) || elsewhere.contains(code) || code.starts_with("TL05"),
            "{code} has no case"
        );
    }
}

#[test]
fn bytes_that_are_no_text_are_found_where_they_are() {
    let workflow = "workflow: { id: case, version: \"1\" }\ningress: { channels: [form] }\n\
                    decision: { branches: [{ default: human_queue }] }\n";
    // The file, what stands in it, the place, what is said of it.
    type Row = (&'static str, &'static [u8], (u32, u32), &'static str);
    let table: [Row; 6] = [
        ("workflow.yaml", b"a: 1\n# M\xfcller\n", (2, 4), "0xFC"),
        ("workflow.yaml", b"# \xc3\xbc\xff\n", (1, 4), "0xFF"),
        ("workflow.yaml", b"\xff\xfea\0:\0", (1, 1), "UTF-16"),
        ("policy.yaml", b"ack: never # \xe4\n", (1, 14), "0xE4"),
        ("teams.yaml", b"teams:\n  a: [\xe9]\n", (2, 7), "0xE9"),
        ("connections.yaml", b"# cut \xe2\x82", (1, 7), "0xE2"),
    ];
    for (file, bytes, place, said) in table {
        let mut project = Project::default();
        let mut add = |file: &str, bytes: &[u8]| project.files.insert(within(file), bytes.to_vec());
        add("workflow.yaml", workflow.as_bytes());
        add(file, bytes);
        let loaded = load(&project, "case");
        assert!(loaded.program.is_none(), "{file} {bytes:?}");
        let [d] = loaded.diags.as_slice() else {
            panic!("{file} {bytes:?}: {:?}", loaded.diags);
        };
        assert_eq!((d.code, (d.line, d.column)), ("TL0101", place), "{file}");
        assert!(d.start < d.end && d.mend.is_some(), "{file}: {d:?}");
        let shown = tl_lang::render(&loaded.diags, |f| project.shown(f), false);
        let place = format!("{}:{}:{}", d.file, d.line, d.column);
        assert!(shown.contains(&place) && shown.contains(said), "{shown}");
    }
}

#[test]
fn an_empty_file_gets_the_sections_it_cannot_do_without() {
    for text in ["", "\n", "# nothing yet\n", "~\n"] {
        let mut project = Project::default();
        let file = within("workflow.yaml");
        project.files.insert(file.clone(), text.into());
        let loaded = load(&project, "case");
        let [d] = loaded.diags.as_slice() else {
            panic!("{text:?}: {:?}", loaded.diags);
        };
        let mended = apply_mend(text, d.mend.as_ref().expect("a mend"));
        project.files.insert(file, mended.clone().into_bytes());
        assert!(load(&project, "case").program.is_some(), "{mended}");
    }
}
