//! Help and project templates as a person sees them.

use super::bench::{Bench, golden};

#[test]
fn help_is_written_for_a_person() {
    let bench = Bench::empty();
    let commands = [
        "", "check", "send", "case", "task", "effect", "kill", "endpoint", "audit",
    ];
    for command in commands {
        let args: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|a| !a.is_empty())
            .collect();
        let answer = bench.run(&args);
        answer.expect(0, &["Usage: throughline"]);
        let name = if command.is_empty() {
            "throughline"
        } else {
            command
        };
        golden(&format!("help-{name}.txt"), &answer.out);
    }
}

#[test]
fn a_new_project_passes_its_check_and_draws_itself() {
    let bench = Bench::empty();
    bench
        .run(&["init", "lead", "p"])
        .expect(0, &["holds a project now", "throughline check"]);
    bench
        .run(&["init", "lead", "p"])
        .expect(5, &["is not empty"]);
    bench
        .run(&["init", "leed", "q"])
        .expect(3, &["did you mean `lead`?"]);
    let args = |rest: &[&'static str]| -> Vec<&'static str> {
        ["--dir", "p"]
            .into_iter()
            .chain(rest.iter().copied())
            .collect()
    };
    bench.run(&args(&["check"])).expect(
        0,
        &[
            "its proofs hold",
            "effective policy",
            "endpoint rotate default/",
        ],
    );
    bench
        .run(&args(&["graph"]))
        .expect(0, &["pending", "-> triaged"]);
    bench
        .run(&args(&["graph", "--mermaid"]))
        .expect(0, &["stateDiagram-v2", "s0 --> s1"]);
    bench
        .run(&args(&["graph", "--svg"]))
        .expect(0, &["<svg", "needs_human", "</svg>"]);
    let config = bench.run(&args(&["config"]));
    config.expect(0, &["data_dir", "default", "allow_private_connections"]);
}

#[test]
fn codes_are_explained() {
    let bench = Bench::empty();
    bench
        .run(&["explain", "TL0701"])
        .expect(0, &["# TL0701", "throughline graph"]);
    bench
        .run(&["explain", "TL0799"])
        .expect(3, &["there is no code TL0799; did you mean TL"]);
    let page = bench.json(&["explain", "TL0725"]);
    assert!(page["page"].as_str().unwrap().contains("digest"));
}
