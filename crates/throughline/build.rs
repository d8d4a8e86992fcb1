//! Embeds what the binary carries: the error pages and the project templates.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The templates of `init`: name, directory. They are the projects that the demo and the examples are.
const TEMPLATES: [(&str, &str); 3] = [
    ("LEAD", "demo/project"),
    ("TICKET", "../../examples/support_tickets"),
    ("DOCUMENT", "../../examples/supplier_invoices"),
];
/// Settings are written anew for each project.
const SETTINGS: &str = "throughline.toml";

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let pages = root.join("../../docs/errors");
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
    out.push_str("];\n");
    for (name, dir) in TEMPLATES {
        template(&mut out, name, &root.join(dir));
    }
    let target = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    fs::write(target, out).expect("OUT_DIR can be written");
}

/// The files of a project, as a table of paths and bytes.
fn template(out: &mut String, name: &str, dir: &Path) {
    let shown = name.to_lowercase();
    write!(
        out,
        "/// The files of the template `{shown}`.\npub static {name}: &[(&str, &[u8])] = &[\n"
    )
    .expect("writing to a string");
    for path in files(dir) {
        let within = path
            .strip_prefix(dir)
            .expect("it was found below")
            .to_string_lossy()
            .replace('\\', "/");
        if within == SETTINGS || within.starts_with("data/") {
            continue;
        }
        writeln!(
            out,
            "    ({within:?}, include_bytes!({:?})),",
            absolute(&path)
        )
        .expect("writing to a string");
    }
    out.push_str("];\n");
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
