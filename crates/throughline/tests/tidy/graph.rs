//! Edges between the crates, and what comes in from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::code::PURE;
use crate::{none, read, root};

/// Packages in the build of the product.
const PACKAGES: usize = 480;

/// What the pure crates may depend on besides our own crates.
const PURE_MAY_USE: &[&str] = &[
    "annotate-snippets",
    "aws-lc-rs",
    "base64",
    "cel",
    "csv",
    "granit-parser",
    "hayro-interpret",
    "hex",
    "jiff",
    "jsonwebtoken",
    "linkify",
    "mail-parser",
    "minicbor",
    "quick-xml",
    "regex",
    "rust_decimal",
    "serde",
    "serde_json",
    "thiserror",
    "zip",
];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo)
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output();
    let out = out.expect("cargo runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success(),
        "cargo {arguments:?}: `cargo fetch --locked` may help\n{said}"
    );
    String::from_utf8(out.stdout).expect("cargo writes UTF-8")
}

/// A dependency as a manifest declares it.
struct Edge {
    from: String,
    to: String,
    /// Ours: in this workspace.
    ours: bool,
    dev: bool,
}

/// What cargo says of our own crates.
fn manifests() -> Value {
    let text = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    serde_json::from_str(&text).expect("metadata is JSON")
}

fn edges() -> Vec<Edge> {
    let json = manifests();
    let list = |v: &Value, key: &str| v[key].as_array().cloned().unwrap_or_default();
    let word = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    let mut edges = Vec::new();
    for package in list(&json, "packages") {
        for d in list(&package, "dependencies") {
            edges.push(Edge {
                from: word(&package, "name"),
                to: word(&d, "name"),
                ours: d["path"].is_string(),
                dev: d["kind"] == "dev",
            });
        }
    }
    assert!(edges.len() > 20, "the manifests were read");
    edges
}

/// The list in ARCHITECTURE.md: lines such as `tl-lang → tl-kernel` in the block behind the mark `edges`.
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("ARCHITECTURE.md");
    let block = text.split("```edges\n").nth(1).expect("a block ```edges");
    let block = block.split("```").next().unwrap_or_default();
    let line = |l: &str| {
        let (from, to) = l
            .split_once('→')
            .unwrap_or_else(|| panic!("no arrow in `{l}`"));
        let to = to.split(',').map(|t| t.trim().to_owned());
        let to = to
            .filter(|t| !t.is_empty() && t != "nothing of ours")
            .collect();
        (from.trim().to_owned(), to)
    };
    block
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(line)
        .collect()
}

#[test]
fn the_edges_between_our_crates_are_the_ones_in_the_plan() {
    let mut real: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for e in edges() {
        let to = real.entry(e.from).or_default();
        if e.ours && !e.dev {
            to.insert(e.to);
        }
    }
    for own in std::fs::read_dir(root().join("crates"))
        .expect("crates")
        .flatten()
    {
        real.entry(own.file_name().to_string_lossy().into_owned())
            .or_default();
    }
    assert_eq!(
        real,
        declared(),
        "left: the manifests; right: ARCHITECTURE.md"
    );
}

/// Features of the whole workspace: each doubles the builds that nobody tests.
const FEATURES: usize = 2;
/// The crate that may have them.
const WITH_FEATURES: &str = "throughline";

#[test]
fn there_are_few_features_and_only_the_binary_has_them() {
    let json = manifests();
    let packages = json["packages"].as_array().expect("packages");
    assert!(packages.len() > 10, "the manifests were read");
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let features = package["features"].as_object().expect("features");
        let ceiling = if name == WITH_FEATURES { FEATURES } else { 0 };
        if features.len() > ceiling {
            let names: Vec<&String> = features.keys().collect();
            findings.push(format!("{name}: {names:?}, ceiling {ceiling}"));
        }
    }
    none("features", &findings);
}

#[test]
fn pure_crates_depend_only_on_what_is_pure() {
    let strange = edges()
        .into_iter()
        .filter(|e| PURE.contains(&e.from.as_str()) && !e.ours && !e.dev);
    let strange = strange.filter(|e| !PURE_MAY_USE.contains(&e.to.as_str()));
    let findings: Vec<String> = strange.map(|e| format!("{} → {}", e.from, e.to)).collect();
    none("not on the list of what pure crates may use", &findings);
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let used: BTreeSet<String> = edges()
        .into_iter()
        .filter(|e| !e.ours)
        .map(|e| e.to)
        .collect();
    let text = read("docs/dev/dependencies.md");
    let rows = text
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |"));
    let explained: BTreeMap<&str, &str> = rows.collect();
    let mut findings: Vec<String> = Vec::new();
    for name in &used {
        if explained
            .get(name.as_str())
            .is_none_or(|reason| reason.trim_matches([' ', '|']).is_empty())
        {
            findings.push(format!("{name}: no line in docs/dev/dependencies.md"));
        }
    }
    for name in explained.keys().filter(|n| !used.contains(**n)) {
        findings.push(format!("{name}: explained, but nobody uses it"));
    }
    none("direct dependencies", &findings);
}

/// Name and licence of every package for this machine: of the product, or with what only tests need.
fn packages(with_dev: bool) -> BTreeMap<String, String> {
    let kinds = if with_dev {
        "normal,build,dev"
    } else {
        "normal,build"
    };
    let tree = cargo(&[
        "tree",
        "--workspace",
        "-e",
        kinds,
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ]);
    let line = |l: &str| {
        let (package, licence) = l.split_once('|')?;
        Some((
            package.to_owned(),
            licence.trim_end_matches(" (*)").to_owned(),
        ))
    };
    tree.lines().filter_map(line).collect()
}

#[test]
fn the_build_stays_small() {
    let count = packages(false).len();
    assert!(count > 100, "the tree was read");
    assert!(
        count <= PACKAGES,
        "{count} packages in the build, ceiling {PACKAGES}"
    );
}

/// The texts in quotes of a list in deny.toml.
fn deny_list(section: &str) -> Vec<String> {
    let text = read("deny.toml");
    let list = text
        .split(&format!("\n{section} = ["))
        .nth(1)
        .expect("the list");
    let list = list.split("\n]").next().unwrap_or_default();
    let first = |l: &str| l.split('"').nth(1).map(str::to_owned);
    let found: Vec<String> = list.lines().filter_map(first).collect();
    assert!(found.len() > 5, "deny.toml: {section}");
    found
}

#[test]
fn licences_are_on_the_list() {
    let allowed = deny_list("allow");
    let mut findings = Vec::new();
    for (package, licence) in packages(true) {
        if !permits(&licence, &allowed) {
            findings.push(format!("{package}: {licence}"));
        }
    }
    none("licences", &findings);
}

/// Whether a licence expression can be met with what is allowed: one side of every `OR`, both of every `AND`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let mut rest = expression.trim();
    let mut met = true;
    let mut any = false;
    while !rest.is_empty() {
        let (term, after) = term(rest);
        let term_met = match term.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
            Some(inner) => permits(inner, allowed),
            None => allowed.iter().any(|a| a == term),
        };
        met &= term_met;
        match after.trim_start() {
            a if a.starts_with("AND ") => rest = a[4..].trim_start(),
            a if a.starts_with("OR ") => {
                any |= met;
                met = true;
                rest = a[3..].trim_start();
            }
            _ => return any | met,
        }
    }
    false
}

/// The first term of an expression, and what comes after it.
fn term(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut end = text.len();
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0
                && (text[i..].starts_with(" AND ") || text[i..].starts_with(" OR ")) =>
            {
                end = i;
                break;
            }
            _ => {}
        }
    }
    (text[..end].trim(), &text[end..])
}

#[test]
fn licence_expressions_are_read() {
    let allowed: Vec<String> = ["MIT", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    let table = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0/MIT", true),
        ("(GPL-3.0 OR MIT) AND MIT", true),
        ("(GPL-3.0 AND MIT) OR GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("", false),
    ];
    for (expression, want) in table {
        assert_eq!(permits(expression, &allowed), want, "{expression}");
    }
}

#[test]
fn banned_crates_are_absent() {
    let banned = deny_list("deny");
    let name = |package: &String| package.split(' ').next().unwrap_or_default().to_owned();
    let present: BTreeSet<String> = packages(true).keys().map(name).collect();
    let found: Vec<String> = banned.into_iter().filter(|b| present.contains(b)).collect();
    none("banned crates", &found);
}
