//! Embeds what the binary carries: the error pages and the project templates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let pages = root.join("../../docs/errors");
    let lead = root.join("demo/project");
    let mut out = String::new();

    let mut names = files(&pages);
    names.retain(|p| p.extension().is_some_and(|e| e == "md"));
    out.push_str("/// The error pages: code and text.\npub static PAGES: &[(&str, &str)] = &[\n");
    for path in &names {
        let stem = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        if stem.starts_with("TL") {
            writeln!(out, "    ({stem:?}, include_str!({:?})),", absolute(path))
                .expect("writing to a string");
        }
    }
    out.push_str(
        "];\n/// The files of the template `lead`.\npub static LEAD: &[(&str, &[u8])] = &[\n",
    );
    for path in files(&lead) {
        let within = path
            .strip_prefix(&lead)
            .expect("it was found below")
            .to_string_lossy()
            .replace('\\', "/");
        writeln!(
            out,
            "    ({within:?}, include_bytes!({:?})),",
            absolute(&path)
        )
        .expect("writing to a string");
    }
    out.push_str("];\n");
    let target = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    fs::write(target, out).expect("OUT_DIR can be written");
}

fn absolute(path: &Path) -> String {
    path.canonicalize()
        .expect("the file is there")
        .display()
        .to_string()
}

/// All files below a directory, sorted, and asks cargo to look again when one changes.
fn files(dir: &Path) -> Vec<PathBuf> {
    println!("cargo:rerun-if-changed={}", dir.display());
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            out.extend(files(&path));
        } else {
            println!("cargo:rerun-if-changed={}", path.display());
            out.push(path);
        }
    }
    out
}
