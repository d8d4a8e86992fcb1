//! The guide's page of each shipped connector: what a person wrote, and below it what its file says. The second part is
//! made here: `THROUGHLINE_BLESS=1 cargo test -p tl-connect --test connectors pages` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use tl_kernel::connector::{Connector, Control, Operation, Verified};
use tl_kernel::time::duration_text;
use tl_lang::connector::SHIPPED;

use crate::stand::connector;

const MARK: &str = "<!-- What follows is made from the connector's file. -->\n";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/connectors")
}

#[test]
fn every_connector_has_its_page() {
    let write = std::env::var("THROUGHLINE_BLESS").is_ok();
    let mut stale = Vec::new();
    for (name, source) in SHIPPED {
        let path = folder().join(format!("{name}.md"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Some((own, _)) = text.split_once(MARK) else {
            panic!(
                "{}: write the page and end it with the line\n{MARK}",
                path.display()
            );
        };
        let whole = format!("{own}{MARK}\n{}", made(&connector(name, source)));
        if write {
            std::fs::write(&path, whole).expect("a page");
        } else if whole != text {
            stale.push(*name);
        }
    }
    assert!(
        stale.is_empty(),
        "THROUGHLINE_BLESS=1 makes these pages anew: {stale:?}"
    );
}

#[test]
fn the_index_names_every_connector_with_its_proof() {
    let index = std::fs::read_to_string(folder().join("README.md")).expect("an index");
    for (name, source) in SHIPPED {
        let c = connector(name, source);
        let row = format!(
            "| [{}]({name}.md) | `{name}` | {} |",
            c.title,
            proof(&c.verified)
        );
        assert!(index.contains(&row), "the index lacks\n{row}");
    }
}

fn made(c: &Connector) -> String {
    let mut out = String::from(
        "## What it can do\n\n| `use` | What | Class | Verified |\n| --- | --- | --- | --- |\n",
    );
    for op in c.operations.values() {
        let verified = op.verified.as_ref().unwrap_or(&c.verified);
        let _ = writeln!(
            out,
            "| `{}.{}` | {} | {} | {} |",
            c.name,
            op.name,
            op.title,
            class(op),
            verified.by.word()
        );
    }
    out.push_str("\n## Arguments\n\n| Action | Argument | Type | Control | Meaning |\n| --- | --- | --- | --- | --- |\n");
    for op in c.operations.values() {
        for a in &op.arguments {
            let required = if a.required { ", required" } else { "" };
            let control = if a.control == Control::Content {
                ""
            } else {
                a.control.word()
            };
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {}{required} | {control} | {} |",
                op.name,
                a.name,
                a.ty.word(),
                a.doc
            );
        }
        if let Some(fields) = &op.fields {
            let _ = writeln!(
                out,
                "| `{}` | `map` | properties | | {} |",
                op.name, fields.doc
            );
        }
    }
    out.push_str("\n## The connection\n\n");
    let base = c
        .base_url
        .as_ref()
        .map_or("named by the connection as `base_url`", |b| &b.source);
    let ways: Vec<String> = c.auth.iter().map(|s| format!("`{}`", s.name)).collect();
    let _ = writeln!(out, "| | |\n| --- | --- |\n| address | {} |", code(base));
    let _ = writeln!(out, "| ways to log in | {} |", ways.join(", "));
    for (name, what) in &c.settings {
        let _ = writeln!(out, "| setting `{name}` | {what} |");
    }
    if let Some(rate) = c.rate {
        let per_second = f64::from(rate.per_second_milli) / 1_000.0;
        let _ = writeln!(
            out,
            "| at most | {per_second} requests per second, {} at once |",
            rate.burst
        );
    }
    let _ = writeln!(out, "| verified by | {} |", proof(&c.verified));
    if let Some(docs) = &c.docs {
        let _ = writeln!(out, "| vendor's documentation | <{docs}> |");
    }
    out
}

fn code(base: &str) -> String {
    match base.starts_with("https://") {
        true => format!("`{base}`"),
        false => base.to_owned(),
    }
}

fn proof(v: &Verified) -> String {
    match v.source.as_str() {
        "" => v.by.word().to_owned(),
        source => format!("{}: {source}", v.by.word()),
    }
}

fn class(op: &Operation) -> String {
    match op.key_lifetime {
        Some(lives) => format!("{}, key kept {}", op.class.word(), duration_text(lives)),
        None => op.class.word().to_owned(),
    }
}
