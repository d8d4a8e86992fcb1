//! The schema that editors use says of a workflow file what the loader says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bench::{Bench, WORKFLOW};

fn workflows_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            workflows_below(&path, found);
        } else if path.ends_with("workflow.yaml") {
            found.push(path);
        }
    }
}

fn as_json(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn good_files_pass_and_bad_ones_do_not() {
    let bench = Bench::empty();
    bench.run(&["init", "lead", "p"]).expect(0, &[]);
    let printed = bench.run(&["schema"]);
    printed.expect(0, &[]);
    let beside = std::fs::read_to_string(bench.path().join("p/workflow.schema.json")).unwrap();
    assert_eq!(
        beside, printed.out,
        "a new project has the schema beside it"
    );
    let schema =
        jsonschema::draft202012::new(&serde_json::from_str(&printed.out).unwrap()).unwrap();

    let mut good = Vec::new();
    workflows_below(&bench.path().join("p"), &mut good);
    workflows_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples"),
        &mut good,
    );
    assert!(good.len() >= 2, "{good:?}");
    for path in good {
        let text = std::fs::read_to_string(&path).unwrap();
        if let Err(e) = schema.validate(&as_json(&text)) {
            panic!("{}: {}: {e}", path.display(), e.instance_path());
        }
    }

    let small = as_json(WORKFLOW);
    assert!(schema.is_valid(&small));
    let bad = [
        ("a key that is not known", "decision:", "decison:"),
        (
            "a key inside that is not known",
            "natural_key:",
            "natural_kee:",
        ),
        (
            "a verdict that is none",
            "crm_upsert: auto",
            "crm_upsert: always",
        ),
        ("a missing part", "ingress:", "observability:"),
    ];
    for (what, from, to) in bad {
        let text = WORKFLOW.replacen(from, to, 1);
        assert_ne!(text, WORKFLOW, "{what}");
        assert!(!schema.is_valid(&as_json(&text)), "{what} passes");
    }
}

#[test]
fn a_new_workflow_tells_the_editor_where_its_schema_is() {
    let bench = Bench::empty();
    bench.run(&["init", "lead", "p"]).expect(0, &[]);
    let mut files = Vec::new();
    workflows_below(&bench.path().join("p"), &mut files);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{}: {first}", path.display()));
        assert!(path.parent().unwrap().join(schema).is_file(), "{schema}");
    }
}
