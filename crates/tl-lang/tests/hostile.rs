//! Hostile files: whatever a project holds, loading and proving it ends soon and in little memory, with a finding
//! and not with a crash. Each file is loaded by a process of its own, which says how long it took and how much
//! memory it had at most; a regular file says what a process needs anyway.

#![allow(
    clippy::disallowed_methods,
    reason = "each file is loaded by a process of its own"
)]
#![cfg(target_os = "linux")]

mod processor;

use std::process::Command;
use std::time::Duration;

use tl_lang::proof::{Sources, prove};
use tl_lang::{Project, Severity, load};

/// Most memory beyond what a regular file needs, KiB.
const MAX_MEMORY: u64 = 64 * 1024;
/// Longest time on a processor, in this build.
const MAX_TIME: Duration = Duration::from_secs(5);
/// Names the file that a process of its own loads.
const WHICH: &str = "TL_HOSTILE";

const HEAD: &str = "workflow: { id: case, version: \"1\" }\ningress: { channels: [form] }\n";
const DECISION: &str = "decision: { branches: [{ default: human_queue }] }\n";

/// What is made, and the code that is found; `None` where the file is only large, and loads.
type Row = (&'static str, fn() -> Project, Option<&'static str>);

const ROWS: &[Row] = &[
    ("regular", || workflow(DECISION), None),
    (
        "regular, of 500 lines",
        || workflow(&five_hundred_lines()),
        None,
    ),
    (
        "flow nested 100,000 deep",
        || workflow(&format!("{DECISION}tasks: {}\n", "[".repeat(100_000))),
        Some("TL0106"),
    ),
    (
        "mappings nested 2,000 deep",
        || {
            let deep = (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i)));
            workflow(&deep.collect::<String>())
        },
        Some("TL0106"),
    ),
    (
        "aliases of aliases",
        || {
            let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
            for i in 1..9 {
                let before = format!("*a{}", i - 1);
                let nine = [before.as_str(); 9].join(", ");
                text.push_str(&format!("a{i}: &a{i} [{nine}]\n"));
            }
            workflow(&text)
        },
        Some("TL0104"),
    ),
    (
        "3,000 timetables",
        || {
            let one = |n| format!("  s{n}: {{ cron: '* * * * *' }}\n");
            let all: String = (0..3_000).map(one).collect();
            workflow(&format!("{DECISION}schedules:\n{all}"))
        },
        Some("TL0206"),
    ),
    (
        "a file of 64 MB",
        || workflow(&"# nothing\n".repeat(6_400_000)),
        Some("TL0106"),
    ),
    (
        "200,000 values",
        || workflow(&format!("{DECISION}tasks: [{}]\n", "1,".repeat(100_000))),
        Some("TL0106"),
    ),
    (
        "20,000 keys that do not exist",
        || {
            let keys = (0..15_000).map(|i| format!("k{i}: 1\n"));
            workflow(&format!("{DECISION}{}", keys.collect::<String>()))
        },
        Some("TL0201"),
    ),
    (
        "an expression of 100,000 bytes",
        || condition(&format!("confidence > 0{}", " + 0".repeat(25_000))),
        Some("TL0311"),
    ),
    (
        "an expression nested 900 deep",
        || condition(&format!("{}true{}", "(".repeat(900), ")".repeat(900))),
        Some("TL0311"),
    ),
    (
        "an expression of 2,000 alternatives",
        || condition(&vec!["needs_human"; 2_000].join(" || ")),
        Some("TL0311"),
    ),
    (
        "a pattern that repeats a repetition",
        || condition("record.name.matches('(a*)*(a*)*(a*)*(a*)*b')"),
        None,
    ),
    (
        "a pattern of 10^9 states",
        || condition("record.name.matches('((((a{999}){999}){999}){999})')"),
        Some("TL0309"),
    ),
    (
        "500 branches about 20 fields",
        || {
            let branches = (0..500).map(|i| {
                let (a, b) = (i % 20, (i * 7 + 3) % 20);
                format!("    - {{ condition: record.f{a} == {i} || record.f{b} > {i}, action: human_queue }}\n")
            });
            let fields = (0..20).map(|i| format!("    f{i}: {{ type: int }}\n"));
            let (fields, branches): (String, String) = (fields.collect(), branches.collect());
            workflow(&format!(
                "record:\n  type: lead\n  fields:\n{fields}decision:\n  branches:\n{branches}    - {{ default: human_queue }}\n"
            ))
        },
        Some("TL0106"),
    ),
    (
        "60 states, each with a transition to each",
        || {
            let states = (0..55).map(|i| format!("  s{i}: {{ owner: operators, sla: 1h }}\n"));
            let names: Vec<String> = (0..55).map(|i| format!("s{i}")).collect();
            let mut edges = String::new();
            for from in names.iter().map(String::as_str).chain(["needs_human"]) {
                for to in names.iter().map(String::as_str).chain(["needs_human"]) {
                    edges.push_str(&format!("  - {{ from: {from}, to: {to} }}\n"));
                }
            }
            for (from, to) in CANONICAL {
                edges.push_str(&format!("  - {{ from: {from}, to: {to} }}\n"));
            }
            let states: String = states.collect();
            workflow(&format!("states:\n{states}transitions:\n{edges}{DECISION}"))
        },
        None,
    ),
    (
        "a table of 2,000 rows of numbers",
        || numbers("unique"),
        None,
    ),
    (
        "a table of 2,000 rows of numbers, the first taken",
        || numbers("first"),
        None,
    ),
    (
        "a table of 100,000 rows",
        || table("unique", &"1,1,1,1,1,1,1,1,x\n".repeat(50_000)),
        Some("TL0411"),
    ),
    (
        "a table of 20 MB",
        || table("unique", &"1,1,1,1,1,1,1,1,x\n".repeat(1_100_000)),
        Some("TL0411"),
    ),
    (
        "a table with a row of 500,000 cells",
        || table("unique", &"1,".repeat(500_000)),
        Some("TL0408"),
    ),
];

const CANONICAL: [(&str, &str); 10] = [
    ("pending", "triaged"),
    ("pending", "needs_human"),
    ("triaged", "automated"),
    ("triaged", "needs_human"),
    ("triaged", "closed"),
    ("automated", "closed"),
    ("automated", "needs_human"),
    ("needs_human", "automated"),
    ("needs_human", "triaged"),
    ("needs_human", "closed"),
];

fn workflow(rest: &str) -> Project {
    let mut project = Project::default();
    let text = format!("{HEAD}{rest}").into_bytes();
    project
        .files
        .insert("workflows/case/workflow.yaml".into(), text);
    project
}

/// A file as large as people write them, with something of everything.
fn five_hundred_lines() -> String {
    let lines = |n: usize, line: fn(usize) -> String| (0..n).map(line).collect::<String>();
    let edges = CANONICAL.map(|(from, to)| format!("  - {{ from: {from}, to: {to} }}\n"));
    let fields = lines(100, |i| match i % 3 {
        0 => format!("    f{i}: {{ type: int }}\n"),
        1 => format!("    f{i}: {{ type: bool }}\n"),
        _ => format!("    f{i}: {{ type: enum, values: [a, b, c, d] }}\n"),
    });
    let parts = [
        "record:\n  type: lead\n  fields:\n    email: { type: email, required: true }\n".to_owned(),
        fields,
        "states:\n".into(),
        lines(20, |i| {
            format!("  s{i}: {{ owner: operators, sla: {}h }}\n", i + 1)
        }),
        "transitions:\n".into(),
        edges.concat(),
        lines(20, |i| format!("  - {{ from: needs_human, to: s{i} }}\n")),
        lines(20, |i| format!("  - {{ from: s{i}, to: needs_human }}\n")),
        "worker:\n  rules:\n".into(),
        lines(100, |i| {
            let test = [">", "<", "=="][i % 3];
            format!(
                "    - {{ when: record.f{} {test} {i}, then: needs_human }}\n",
                i % 33 * 3
            )
        }),
        "decision:\n  branches:\n".into(),
        lines(90, |i| {
            let (number, word) = (i % 33 * 3, i % 33 * 3 + 2);
            format!(
                "    - {{ condition: \"record.f{number} > {i} && record.f{word} == 'b'\", action: m{} }}\n",
                i % 30
            )
        }),
        "    - default: human_queue\npolicy:\n".into(),
        lines(30, |i| format!("  m{i}: approve\n")),
        "side_effects:\n  messaging:\n".into(),
        lines(30, |i| {
            format!("    m{i}: {{ to: record.email, text: Message {i} }}\n")
        }),
        lines(60, |_| "# A line of comment, as files have them.\n".into()),
    ];
    parts.concat()
}

fn condition(text: &str) -> Project {
    workflow(&format!(
        "decision:\n  branches:\n    - condition: {text}\n      action: human_queue\n    - default: human_queue\n"
    ))
}

fn table(hit: &str, rows: &str) -> Project {
    let fields: String = (0..8)
        .map(|i| format!("    n{i}: {{ type: int }}\n"))
        .collect();
    let mut project = workflow(&format!(
        "record:\n  type: lead\n  fields:\n{fields}    out: {{ type: string, from: rules }}\n{DECISION}worker:\n  \
         tables:\n    - {{ file: tables/t.csv, hit: {hit}, outputs: [out] }}\n"
    ));
    let text = format!("n0,n1,n2,n3,n4,n5,n6,n7,out\n{rows}");
    project
        .files
        .insert("workflows/case/tables/t.csv".into(), text.into_bytes());
    project
}

/// Rows whose ranges differ in every column and overlap in nearly all of them: as many boxes as there can be.
fn numbers(hit: &str) -> Project {
    let mut rows = String::new();
    for r in 0..2_000i64 {
        for c in 0..8 {
            let from = (r * (7 + 2 * c) + 13 * c) % 4_001;
            rows.push_str(&format!("{from}..{},", from + 1_000 + r));
        }
        rows.push_str(&format!("row{r}\n"));
    }
    table(hit, &rows)
}

/// Loads and proves a project; the codes that are found.
fn check(project: &Project) -> Vec<&'static str> {
    let loaded = load(project, "case");
    let mut found: Vec<_> = loaded.diags.iter().map(|d| d.code).collect();
    if let Some(program) = &loaded.program {
        let file = "workflows/case/workflow.yaml";
        let text = project.text(file).unwrap_or_default();
        let sources = Sources {
            workflow: file,
            workflow_text: text,
            policy: file,
            policy_text: text,
        };
        let all = prove(program, &sources);
        let errors = all.iter().filter(|d| d.severity == Severity::Error);
        found.extend(errors.map(|d| d.code));
    }
    found
}

/// The most memory that this process had, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .expect("a peak");
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number")
}

/// What a process of its own does: it loads the file that is named, and says what it took beyond the file.
#[test]
fn one_file_alone() {
    let Ok(which) = std::env::var(WHICH) else {
        return;
    };
    let (_, make, _) = ROWS[which.parse::<usize>().expect("a position")];
    let project = make();
    let before = peak();
    let begun = processor::time();
    let found = check(&project);
    let took = (processor::time() - begun).as_millis();
    println!("took {took} {} {}", peak() - before, found.join(","));
}

#[test]
fn hostile_files_are_refused_soon_and_in_little_memory() {
    let mut wrong = Vec::new();
    for (i, (name, _, code)) in ROWS.iter().enumerate() {
        let exe = std::env::current_exe().expect("this program");
        let run = Command::new(exe)
            .args(["--exact", "one_file_alone", "--nocapture"])
            .env(WHICH, i.to_string())
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let said = text
            .lines()
            .find_map(|l| l.split_once("took ").map(|(_, s)| s));
        let Some(said) = said else {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&run.stderr)));
            continue;
        };
        println!("{name}: {said}");
        let mut parts = said.splitn(3, ' ');
        let mut number = || {
            parts
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .expect("a number")
        };
        let (took, memory) = (number(), number());
        let found = parts.next().unwrap_or_default();
        if Duration::from_millis(took) > MAX_TIME || memory > MAX_MEMORY {
            wrong.push(format!("{name}: {took} ms, {memory} KiB"));
        }
        if code.is_some_and(|c| !found.split(',').any(|f| f == c)) {
            wrong.push(format!("{name}: {found:.200}, not {code:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
