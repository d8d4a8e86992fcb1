//! The benchmark's project loads without a finding.

use std::collections::BTreeMap;
use std::path::Path;

use tl_lang::{Project, load, render};

#[test]
fn the_golden_path_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/golden_path");
    let names = ["connections.yaml", "workflows/leads/workflow.yaml"];
    let read = |name: &str| std::fs::read(root.join(name)).expect("a readable file");
    let files: BTreeMap<String, Vec<u8>> = names.map(|n| (n.to_owned(), read(n))).into();
    let project = Project { files };
    let loaded = load(&project, "leads");
    let text = render(&loaded.diags, |f| project.text(f), false);
    assert!(
        loaded.program.is_some() && loaded.diags.is_empty(),
        "{text}"
    );
}
