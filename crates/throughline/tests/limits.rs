//! What is too large, half written, misplaced or newer than this build: each ends with its exit code and a sentence
//! that says what to do, and a version that runs goes on running.

#[allow(dead_code, reason = "each suite uses its own part of the bench")]
#[path = "cli/bench.rs"]
mod bench;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use bench::{Bench, WORKFLOW};

/// How long a file may keep `check` busy, whatever stands in it.
const BUSY: Duration = Duration::from_secs(10);

fn states(n: usize) -> String {
    let mut out = format!("{WORKFLOW}states:\n");
    for i in 0..n {
        let _ = writeln!(out, "  s{i}: {{ sla: 1h }}");
    }
    out
}

fn with(from: &str, to: &str) -> String {
    assert!(WORKFLOW.contains(from), "{from}");
    WORKFLOW.replace(from, to)
}

fn condition(expression: &str) -> String {
    with("record.message == 'please write'", expression)
}

fn nested(depth: usize) -> String {
    format!(
        "{WORKFLOW}settings: {}1{}\n",
        "[".repeat(depth),
        "]".repeat(depth)
    )
}

/// Files that cost their reader more than they should, each with the code of its refusal and what to do about it.
#[test]
fn a_workflow_file_cannot_exhaust_its_reader() {
    let regex = |pattern: &str| condition(&format!("record.message.matches('{pattern}')"));
    let long = |n: usize, part: &str, join: &str| vec![part; n].join(join);
    let chain = |n: usize| {
        let mut t = format!("{WORKFLOW}states:\n");
        for k in 0..n {
            let _ = writeln!(t, "  s{k}: {{ sla: 1h }}");
        }
        t.push_str("transitions:\n  - { from: pending, to: triaged }\n  - { from: triaged, to: needs_human }\n  - { from: triaged, to: automated }\n  - { from: automated, to: closed }\n  - { from: needs_human, to: s0 }\n  - { from: automated, to: needs_human }\n");
        for k in 0..n {
            let next = if k + 1 < n {
                format!("s{}", k + 1)
            } else {
                "closed".into()
            };
            let _ = writeln!(
                t,
                "  - {{ from: s{k}, to: {next} }}\n  - {{ from: s{k}, to: needs_human }}"
            );
        }
        t
    };
    let rules = |n: usize| {
        let mut t = format!("{WORKFLOW}worker:\n  rules:\n");
        for k in 0..n {
            let _ = writeln!(
                t,
                "    - {{ when: \"record.message == 'a{k}'\", then: close }}"
            );
        }
        t
    };
    let branches = |n: usize| {
        let mut b = String::new();
        for k in 0..n {
            let _ = writeln!(
                b,
                "    - {{ condition: \"record.message == 'a{k}' || record.email == 'b{k}'\", action: close }}"
            );
        }
        WORKFLOW.replace(
            "    - default: human_queue",
            &format!("{b}    - default: human_queue"),
        )
    };
    let bools = |n: usize| {
        let mut f = String::new();
        for k in 0..n {
            let _ = writeln!(f, "    b{k}: {{ type: bool }}");
        }
        let all: Vec<String> = (0..n).map(|k| format!("record.b{k}")).collect();
        WORKFLOW
            .replace("  fields:\n", &format!("  fields:\n{f}"))
            .replace(
                "record.message == 'please write'",
                &format!("\"{}\"", all.join(" || ")),
            )
            .replace(
                "crm_upsert: auto",
                &format!(
                    "crm_upsert: {{ auto: true, never: \"{}\" }}",
                    all.join(" && ")
                ),
            )
    };
    let q = |e: String| condition(&format!("\"{e}\""));
    let messages = |n: usize| {
        let mut m = String::new();
        for k in 0..n {
            let _ = writeln!(
                m,
                "    m{k}: {{ to: record.email, subject: \"Hi\", text: \"Hi\" }}"
            );
        }
        let names: Vec<String> = (0..n).map(|k| format!("m{k}")).collect();
        WORKFLOW
            .replace("  messaging:\n", &format!("  messaging:\n{m}"))
            .replace(
                "[crm_upsert, reply]",
                &format!("[crm_upsert, reply, {}]", names.join(", ")),
            )
    };
    let fields = |n: usize| {
        let mut f = String::new();
        for k in 0..n {
            let _ = writeln!(f, "    b{k}: {{ type: string, required: true }}");
        }
        WORKFLOW.replace("  fields:\n", &format!("  fields:\n{f}"))
    };
    let channels = |n: usize| {
        let mut f = String::new();
        for k in 0..n {
            let _ = writeln!(f, "    c{k}: {{ channel: form }}");
        }
        WORKFLOW.replace("  channels:\n", &format!("  channels:\n{f}"))
    };
    let sets = |n: usize| {
        let mut t = format!("{WORKFLOW}worker:\n  rules:\n");
        for k in 0..n {
            let _ = writeln!(
                t,
                "    - {{ when: \"record.b{k} == 'a{k}'\", set: {{ c{k}: x }} }}"
            );
        }
        let mut f = String::new();
        for k in 0..n {
            let _ = writeln!(
                f,
                "    b{k}: {{ type: string }}\n    c{k}: {{ type: string, from: rules }}"
            );
        }
        t.replace("  fields:\n", &format!("  fields:\n{f}"))
    };
    let spread = |n: usize| {
        let (mut m, mut b) = (String::new(), String::new());
        for k in 0..n {
            let _ = writeln!(m, "    m{k}: {{ to: record.email, subject: \"Hi\", text: \"Hi\" }}");
            let _ = writeln!(b, "    - {{ condition: \"record.message == 'a{k}'\", action: [crm_upsert, m{k}] }}");
        }
        WORKFLOW.replace("  messaging:\n", &format!("  messaging:\n{m}")).replace("    - default: human_queue", &format!("{b}    - default: human_queue"))
    };
    let _ = (fields(1), channels(1), sets(1), branches(1));
    let table: Vec<(&str, String, &[&str])> = vec![
        ("messages 4", messages(4), &[""]),
        ("messages 8", messages(8), &[""]),
        ("messages 12", messages(12), &[""]),
        ("messages 16", messages(16), &[""]),
        ("messages 24", messages(24), &[""]),
        ("messages 32", messages(32), &[""]),
        ("messages 64", messages(64), &[""]),
        ("messages 128", messages(128), &[""]),
        ("spread 50", spread(50), &[""]),
        ("spread 100", spread(100), &[""]),
        ("spread 200", spread(200), &[""]),
    ];
    let _ = (chain(1), rules(1), bools(1), regex("x"));
    let _ = q("x".into());
    let _ = (long, nested(3));
    let bench = Bench::project();
    for (what, text, parts) in table {
        bench.write("workflows/lead/workflow.yaml", &text);
        let begun = Instant::now();
        let answer = bench.run(&["check"]);
        println!(
            "{what}: {:?} {} {}{}",
            begun.elapsed(),
            answer.code,
            answer.out.chars().take(700).collect::<String>(),
            answer.err.chars().take(300).collect::<String>()
        );
        let _ = parts;
    }
}
