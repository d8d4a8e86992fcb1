//! Teams, connections, digests, decision tables, schemas: what stands beside the workflow file.

#![allow(
    clippy::disallowed_methods,
    reason = "the cases of the tests are files"
)]

mod common;

use common::{directory, program, shown};
use tl_lang::{
    CODES, ConnectionAuth, ConnectionKind, Project, SecretRef, bundle_digest, connections,
    json_schema, key_paths, load, owners, title,
};

fn project(files: &[(&str, &str)]) -> Project {
    let mut out = Project::default();
    for (path, content) in files {
        out.files
            .insert((*path).to_owned(), content.as_bytes().to_vec());
    }
    out
}

#[test]
fn the_operators_always_exist() {
    let (none, diags) = owners(&Project::default());
    assert!(diags.is_empty());
    assert_eq!(none.names(), ["operators"]);
    let (some, diags) = owners(&directory("long"));
    assert!(diags.is_empty(), "{diags:?}");
    assert_eq!(
        some.names(),
        [
            "anna",
            "ben",
            "carla",
            "dora",
            "operators",
            "support-lead",
            "tier-1"
        ]
    );
    assert_eq!(some.teams["tier-1"], ["anna", "ben"]);
}

#[test]
fn connections_name_their_secrets_and_never_hold_them() {
    let p = project(&[(
        "connections.yaml",
        "connections:\n  crm: { base_url: 'https://crm.example.com/api/', secret: env:CRM_TOKEN }\n  \
         gpt: { kind: openai, base_url: 'http://127.0.0.1:8080', auth: { header: x-key }, secret: file:/run/secrets/k, model: m1 }\n  \
         open: { base_url: 'https://open.example.com' }\n",
    )]);
    let (all, diags) = connections(&p);
    assert!(diags.is_empty(), "{diags:?}");
    assert_eq!(all[0].base_url, "https://crm.example.com/api");
    assert_eq!(
        (all[0].kind, &all[0].auth),
        (ConnectionKind::Rest, &ConnectionAuth::Bearer)
    );
    assert_eq!(all[0].secret, Some(SecretRef::Env("CRM_TOKEN".into())));
    assert_eq!(all[1].auth, ConnectionAuth::Header("x-key".into()));
    assert_eq!(
        all[1].secret,
        Some(SecretRef::File("/run/secrets/k".into()))
    );
    assert_eq!((all[1].model.as_deref(), all[1].line), (Some("m1"), 3));
    assert_eq!(
        (&all[2].auth, &all[2].secret, all[2].owner.as_str()),
        (&ConnectionAuth::None, &None, "operators")
    );
}

#[test]
fn the_digest_is_of_what_decides() {
    let p = directory("long");
    let base = bundle_digest(&p, "support_ticket_triage");
    let with = |path: &str, content: &str| {
        let mut q = p.clone();
        q.files.insert(path.to_owned(), content.as_bytes().to_vec());
        bundle_digest(&q, "support_ticket_triage")
    };
    for path in [
        "workflow.yaml",
        "prompts/intent.md",
        "templates/ack.md",
        "policy.yaml",
        "tables/new.csv",
    ] {
        assert_ne!(
            with(&format!("workflows/support_ticket_triage/{path}"), "x"),
            base,
            "{path}"
        );
    }
    assert_ne!(with("teams.yaml", "people: [eve]"), base);
    for path in [
        "workflows/support_ticket_triage/tests/a.yaml",
        "workflows/other/workflow.yaml",
        "connections.yaml",
    ] {
        assert_eq!(with(path, "x"), base, "{path}");
    }
}

const HEAD: &str = "workflow: { id: w, version: 1 }\ningress: { channels: [form] }\ndecision: { branches: [{ default: deny }] }\n\
    record:\n  type: deal\n  fields:\n    size: { type: int }\n    kind: { type: enum, values: [new, old] }\n    vip: { type: bool }\n    owner: { type: string, from: rules }\n";

/// Code and a part of the message.
type Finding = (&'static str, &'static str);

/// Hit policy, table, and what the proof says.
const TABLES: &[(&str, &str, &[Finding])] = &[
    ("unique", "kind,owner\nnew,a\nold,b\n", &[]),
    ("first", "kind,owner\nnew,a\n", &[("TL0410", "kind: old")]),
    (
        "unique",
        "kind,owner\nnew|old,a\nold,b\n",
        &[("TL0409", "line 2")],
    ),
    (
        "first",
        "kind,owner\nnew|old,a\nold,b\n",
        &[("TL0414", "line 3 is never taken")],
    ),
    (
        "collect",
        "kind,owner\nnew,a\n-,b\n",
        &[("TL0407", "cannot take the values of several rows")],
    ),
    ("unique", "size,owner\n<10,a\n10..50,b\n>=50,c\n", &[]),
    (
        "unique",
        "size,owner\n<10,a\n11..50,b\n>=50,c\n",
        &[("TL0410", "size: 10")],
    ),
    (
        "unique",
        "size,owner\n<=10,a\n10..50,b\n>=50,c\n",
        &[("TL0409", "line 2")],
    ),
    (
        "unique",
        "size,owner\n..10,a\n>10,b\n",
        &[("TL0410", "size: 10")],
    ),
    (
        "unique",
        "kind,vip,owner\nnew,true,a\nnew,false,b\nold,-,c\n",
        &[],
    ),
    (
        "unique",
        "kind,vip,owner\nnew,true,a\nold,-,c\n",
        &[("TL0410", "kind: new, vip: false")],
    ),
    (
        "unique",
        "kind,size,owner\nnew,<5,a\n-,5..9,b\nold,<5,c\n-,>=9,d\n",
        &[],
    ),
];

#[test]
fn tables_are_proven_with_a_counter_example() {
    for (hit, csv, want) in TABLES {
        let source = format!(
            "{HEAD}worker: {{ tables: [{{ file: t.csv, hit: {hit}, outputs: [owner] }}] }}\n"
        );
        let p = project(&[
            ("workflows/w/workflow.yaml", &source),
            ("workflows/w/t.csv", csv),
        ]);
        let loaded = load(&p, "w");
        let codes: Vec<&str> = loaded.diags.iter().map(|d| d.code).collect();
        assert_eq!(
            codes,
            want.iter().map(|(c, _)| *c).collect::<Vec<_>>(),
            "{csv}\n{}",
            shown(&p, &loaded)
        );
        for (d, (_, part)) in loaded.diags.iter().zip(*want) {
            assert!(
                d.message.contains(part) || d.why.contains(part),
                "{part} in {d:?}"
            );
        }
    }
}

#[test]
fn a_table_has_bounds() {
    let rows = "new,a\n".repeat(2_001);
    let source = format!("{HEAD}worker: {{ tables: [{{ file: t.csv, outputs: [owner] }}] }}\n");
    let csv = format!("kind,owner\n{rows}");
    let p = project(&[
        ("workflows/w/workflow.yaml", &source),
        ("workflows/w/t.csv", &csv),
    ]);
    assert_eq!(load(&p, "w").diags[0].code, "TL0411");
}

#[test]
fn a_derived_schema_describes_what_the_mapping_reads() {
    let p = program(&directory("short"), "support_ticket_triage");
    let schema: serde_json::Value =
        serde_json::from_str(&p.endpoints[0].schema.as_ref().unwrap().json).unwrap();
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["properties"]["email"]["type"], "string");
    assert!(
        schema["properties"]["intent"].is_null(),
        "the AI step sets it, not the body"
    );
    assert!(
        schema["required"].is_null(),
        "a missing field is asked for, not refused"
    );
}

#[test]
fn the_editor_schema_knows_every_key() {
    let schema = json_schema();
    for path in key_paths() {
        let mut here = vec![&schema];
        for part in path.split('.') {
            here = here.into_iter().flat_map(|s| step(s, part)).collect();
            assert!(!here.is_empty(), "{part} of {path}");
        }
    }
}

/// The schemas one part of a path further, through all alternatives.
fn step<'s>(schema: &'s serde_json::Value, part: &str) -> Vec<&'s serde_json::Value> {
    let mut found = Vec::new();
    let next = match part {
        "*" => [&schema["additionalProperties"], &schema["items"]]
            .into_iter()
            .find(|s| s.is_object()),
        name => Some(&schema["properties"][name]).filter(|s| s.is_object()),
    };
    found.extend(next);
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        found.extend(step(inner, part));
    }
    found
}

#[test]
fn every_code_has_a_page_and_every_key_is_in_the_reference() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (code, what) in CODES {
        let page =
            std::fs::read_to_string(docs.join(format!("errors/{code}.md"))).unwrap_or_default();
        assert!(
            page.starts_with(&format!("# {code}: {what}")),
            "docs/errors/{code}.md"
        );
        assert_eq!(title(code), Some(*what));
    }
    let reference = std::fs::read_to_string(docs.join("reference/workflow-file.md")).unwrap();
    for path in key_paths() {
        let path = path.replace("ingress.channels.*.auth.", "ingress.gateway.auth.");
        assert!(
            reference.contains(&format!("`{path}`")),
            "{path} is not in the reference"
        );
    }
}
