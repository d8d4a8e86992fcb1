//! The spanned tree: limits, and that nothing a person may leave half-written makes the loader fall over.

mod common;

use common::directory;
use tl_lang::tree::{self, Kind, MAX_DEPTH, MAX_FILE, MAX_NODES};
use tl_lang::{Project, apply_mend, load};

#[test]
fn limits_are_findings() {
    let deep = format!(
        "a: {}x{}",
        "[".repeat(MAX_DEPTH + 1),
        "]".repeat(MAX_DEPTH + 1)
    );
    let very_deep = format!("a: {}", "[".repeat(5_000));
    let wide = format!("a: [{}]", "1,".repeat(MAX_NODES + 1));
    let large = format!("a: {}", "x".repeat(MAX_FILE));
    for (name, source) in [
        ("deep", deep),
        ("very deep", very_deep),
        ("wide", wide),
        ("large", large),
    ] {
        let (tree, diags) = tree::parse("f", &source);
        assert!(tree.is_none(), "{name}");
        assert_eq!(
            diags.iter().map(|d| d.code).collect::<Vec<_>>(),
            ["TL0106"],
            "{name}: {diags:?}"
        );
    }
}

#[test]
fn every_key_and_value_knows_its_place() {
    let source = "a: 1\nb:\n  - 'x y'\n  - { c: \"ü\", d: }\n";
    let (tree, diags) = tree::parse("f", source);
    assert!(diags.is_empty(), "{diags:?}");
    let tree = tree.unwrap();
    let b = tree.get("b").unwrap().list().unwrap();
    let texts: Vec<&str> = b.items.iter().map(|n| n.span.of(source)).collect();
    assert_eq!(texts, ["'x y'", "{ c: \"ü\", d: }"]);
    let c = b.items[1].get("c").unwrap();
    assert_eq!((c.text(), c.span.of(source)), (Some("ü"), "\"ü\""));
    assert_eq!(b.items[1].get("d").unwrap().kind, Kind::Null);
    assert_eq!(tree.map().unwrap().entries[1].key_span.of(source), "b");
    assert_eq!(b.items[0].cut.span.of(source), "'x y'\n  - ");
}

#[test]
fn several_findings_come_in_one_run_in_file_order() {
    let source = "workflow: { id: w, version: 1, colour: red }\ningress: { channels: [form], gateway: { auth: jwtt } }\n\
        decision:\n  branches:\n    - { condition: \"record.nme == 'x'\", action: close }\n    - condition: !needs_human\n      action: closed\n    - default: denied\n";
    let mut project = Project::default();
    project
        .files
        .insert("workflows/w/workflow.yaml".into(), source.into());
    let loaded = load(&project, "w");
    let seen: Vec<(&str, u32)> = loaded.diags.iter().map(|d| (d.code, d.line)).collect();
    assert_eq!(
        seen,
        [
            ("TL0201", 1),
            ("TL0204", 2),
            ("TL0303", 5),
            ("TL0103", 6),
            ("TL0403", 7),
            ("TL0204", 8)
        ]
    );
    assert!(loaded.program.is_none());
}

#[test]
fn no_beginning_of_a_file_makes_the_loader_panic() {
    for name in ["short", "long"] {
        let whole = directory(name);
        let path = "workflows/support_ticket_triage/workflow.yaml";
        let source = whole.text(path).unwrap().to_owned();
        for end in (0..source.len())
            .filter(|i| source.is_char_boundary(*i))
            .step_by(7)
        {
            let mut project = whole.clone();
            project
                .files
                .insert(path.into(), source.as_bytes()[..end].to_vec());
            let loaded = load(&project, "support_ticket_triage");
            for d in &loaded.diags {
                assert!(d.start <= d.end && d.line >= 1 && d.column >= 1, "{d:?}");
            }
            common::shown(&project, &loaded);
        }
    }
}

#[test]
fn a_workflow_without_a_file_says_which_there_are() {
    let loaded = load(&directory("short"), "billing");
    assert_eq!(loaded.diags[0].code, "TL0109");
    assert!(loaded.diags[0].why.contains("support_ticket_triage"));
    let mut project = Project::default();
    project
        .files
        .insert("workflows/w/workflow.yaml".into(), vec![b'a', b':', 0xff]);
    assert_eq!(load(&project, "w").diags[0].code, "TL0101");
}

#[test]
fn no_stray_character_makes_the_loader_panic() {
    let mut project = directory("short");
    let path = "workflows/support_ticket_triage/workflow.yaml";
    let source = project.text(path).unwrap().to_owned();
    let places = (0..source.len()).filter(|i| source.is_char_boundary(*i));
    for (n, at) in places.step_by(5).enumerate() {
        let stray = [
            "!", "&", "*", "[", "}", "\"", "'", ":", "\t", "#", "- ", "|", ">", "%", "${", "ü",
        ][n % 16];
        let text = format!("{}{stray}{}", &source[..at], &source[at..]);
        project.files.insert(path.into(), text.into_bytes());
        let loaded = load(&project, "support_ticket_triage");
        common::shown(&project, &loaded);
    }
}

/// A mended condition says what was written, to the last sign.
#[test]
fn an_unquoted_expression_never_loads_as_its_opposite() {
    let written = [
        "!record.vip && policy_allows",
        "!needs_human",
        "!needs_human || policy_allows",
        "!(needs_human)",
        "!(record.intent in ['spam', 'job'])",
        "!record.name.contains('x') && needs_human",
        "!has(record.email)",
        "!needs_human ? policy_allows : false",
    ];
    for condition in written {
        let source = format!(
            "workflow: {{ id: w, version: 1 }}\ningress: {{ channels: [form] }}\nrecord:\n  type: lead\n  fields:\n    \
             vip: {{ type: bool }}\n    name: {{ type: string }}\n    email: {{ type: email }}\n    \
             intent: {{ type: enum, values: [spam, job] }}\ndecision:\n  branches:\n    - condition: {condition}\n      \
             action: close\n    - default: deny\n"
        );
        let path = "workflows/w/workflow.yaml";
        let mut project = Project::default();
        project
            .files
            .insert(path.into(), source.clone().into_bytes());
        let loaded = load(&project, "w");
        let seen = common::shown(&project, &loaded);
        assert!(
            loaded.program.is_none() && loaded.diags.len() == 1,
            "{condition}\n{seen}"
        );
        assert_eq!(loaded.diags[0].code, "TL0103", "{seen}");
        let mended = apply_mend(&source, loaded.diags[0].mend.as_ref().unwrap());
        project.files.insert(path.into(), mended.into_bytes());
        let program = common::program(&project, "w");
        let read = program.decision.branches[0].condition.as_ref().unwrap();
        assert_eq!(read.source, condition);
    }
}
