//! The project that the demo and `init` use loads without a finding.

use std::collections::BTreeMap;
use std::path::Path;

use tl_lang::{Project, load, render};

fn read(dir: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).expect("the directory is there") {
        let entry = entry.expect("an entry");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("a readable file"));
        }
    }
}

#[test]
fn the_demo_project_loads() {
    let mut files = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../throughline/demo/project");
    read(&root, "", &mut files);
    let project = Project { files };
    let loaded = load(&project, "inbound_lead");
    let text = render(&loaded.diags, |f| project.text(f), false);
    assert!(
        loaded.program.is_some() && loaded.diags.is_empty(),
        "{text}"
    );
}
