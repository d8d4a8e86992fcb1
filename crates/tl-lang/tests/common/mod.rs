//! What the tests of this crate share: projects from directories and from text.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::disallowed_methods,
    reason = "the cases of the tests are files"
)]

use std::path::Path;

use tl_lang::{Loaded, Project, load};

/// The project of a directory below `tests`.
pub fn directory(name: &str) -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    let mut project = Project::default();
    collect(&root, &root, &mut project);
    project
}

fn collect(root: &Path, dir: &Path, into: &mut Project) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            into.files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

/// The findings as a person would see them, for the message of a failing test.
pub fn shown(project: &Project, loaded: &Loaded) -> String {
    tl_lang::render(&loaded.diags, |f| project.text(f), false)
}

/// The program of a workflow that loads.
pub fn program(project: &Project, id: &str) -> tl_kernel::program::Program {
    let loaded = load(project, id);
    match loaded.program {
        Some(p) => p,
        None => panic!(
            "{id} does not load:\n{}",
            tl_lang::render(&loaded.diags, |f| project.text(f), false)
        ),
    }
}
