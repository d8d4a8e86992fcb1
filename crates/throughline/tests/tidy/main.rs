//! Keeps the house tidy: edges between the crates, sizes, what pure crates may not hold, dependencies,
//! licences, documentation of codes. The numbers here may be tightened, not loosened.

mod code;
mod graph;
mod named;
mod source;
mod steps;
mod tree;
mod verifier;

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("two levels above the crate")
        .to_owned()
}

/// Reads a file of the repository.
pub fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|e| panic!("{}: {e}", full.display()))
}

/// Every file below a directory, as paths from the root with `/`, sorted. Build output and data are left out.
pub fn files(below: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&root().join(below), &mut found);
    let root = root();
    let relative = |p: PathBuf| {
        let path = p.strip_prefix(&root).expect("below the root").to_owned();
        path.to_string_lossy().replace('\\', "/")
    };
    let mut names: Vec<String> = found.into_iter().map(relative).collect();
    names.sort();
    names
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if ["target", ".git", "data"].iter().any(|skip| name == *skip) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found)
        } else {
            found.push(path)
        }
    }
}

/// Fails with all findings at once, each on its line.
pub fn none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}", findings.join("\n  "));
}
