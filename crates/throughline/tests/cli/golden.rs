//! Help and project templates as a person sees them.

use super::bench::{Bench, golden};

#[test]
fn help_is_written_for_a_person() {
    let bench = Bench::empty();
    let commands = [
        "",
        "serve",
        "demo",
        "init",
        "check",
        "send",
        "import",
        "explain",
        "deploy",
        "rollback",
        "case",
        "task",
        "effect",
        "outbox",
        "record",
        "dead",
        "kill",
        "endpoint",
        "key",
        "flag",
        "tenant",
        "audit",
        "suppression",
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
fn every_template_is_a_whole_project_with_a_message_to_try() {
    // The template, its message and endpoint, and what is said of the message.
    let table = [
        ("lead", "lead.json", "leads", "Ada Byron"),
        ("ticket", "ticket.json", "desk", "how_to"),
        (
            "document",
            "invoice.json",
            "scanner",
            "Nordlicht Papier GmbH",
        ),
    ];
    for (template, message, endpoint, said) in table {
        let bench = Bench::empty();
        let tried = format!("throughline try {message} --endpoint {endpoint}");
        bench
            .run(&["init", template, "p"])
            .expect(0, &["holds a project now", &tried]);
        bench
            .run(&["--dir", "p", "check", "--strict"])
            .expect(0, &["its proofs hold"]);
        let file = format!("p/{message}");
        bench
            .run(&["--dir", "p", "try", &file, "--endpoint", endpoint])
            .expect(0, &["nothing was stored", said]);
        // A template's name alone is the template, not a directory of leads.
        let named = bench.json(&["init", template]);
        assert_eq!(named["template"], template);
        assert!(bench.path().join(template).join(message).is_file());
    }
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

#[test]
fn words_of_a_decision_are_explained() {
    let bench = Bench::empty();
    let table: [(&str, &[&str]); 6] = [
        (
            "needs_human",
            &["is true when there is at least one reason", "| `unsure` |"],
        ),
        (
            "policy_allows",
            &["on *every* effect that this branch would plan"],
        ),
        (
            "unsure",
            &[
                "As a reason: the model is not sure enough.",
                "below the threshold",
            ],
        ),
        ("deny", &["nothing is sent; a review task opens"]),
        ("accept", &["somebody has taken it over"]),
        // The page says nothing of it, and the engine gives it all the same.
        ("quiet_hours", &["As a reason: quiet hours."]),
    ];
    for (word, parts) in table {
        bench.run(&["explain", word]).expect(0, parts);
    }
    let said = bench.json(&["explain", "threshold"]);
    assert_eq!(said["says"][0]["section"], "The words");
    assert!(said["reason"].is_null(), "{said:#}");
}
