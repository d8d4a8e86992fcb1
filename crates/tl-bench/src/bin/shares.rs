//! Adds a profile up to shares of processor time: reads `perf report --stdio --no-children --sort comm,symbol` from
//! its input and prints a table by group of functions, the writer's thread beside all others.
//!
//! A function counts where it is defined, not where it is called from: the allocator shows what it costs to ask it,
//! whoever does.

use std::collections::BTreeMap;
use std::io::{Read, stdin};

use anyhow::{Result, bail};
use tl_bench::rounded;

/// The groups, in the order in which a symbol is tried: the first that names a part of it takes it. What the list does
/// not name is SQLite where it is C, and Rust's library else.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "allocator",
        &["mi_", "malloc", "realloc", "_int_", "cfree", "__rust_alloc"],
    ),
    (
        "copies and comparisons of bytes",
        &["memmove", "memcpy", "memcmp", "memset", "memchr"],
    ),
    (
        "hashes and signatures",
        &["aws_lc", "sha256", "SHA256", "HMAC", "EVP_"],
    ),
    ("deciding: cases, rules, journal", &["tl_kernel"]),
    (
        "engine: admission, delivery, audit",
        &["tl_engine", "tl_connect"],
    ),
    ("doors", &["tl_web", "tl_wire", "throughline"]),
    (
        "store, without SQLite",
        &["tl_store", "rusqlite", "lz4_flex"],
    ),
    (
        "HTTP, both ways",
        &[
            "hyper",
            "http",
            "axum",
            "tower",
            "reqwest",
            "url::",
            "idna",
            "percent_encoding",
            "h2::",
        ],
    ),
    ("CBOR and JSON", &["minicbor", "serde", "rust_decimal"]),
    (
        "tasks, channels, sockets",
        &["tokio", "mio", "futures", "socket2", "parking_lot"],
    ),
    ("metrics and log", &["prometheus", "tracing"]),
];
const SYSTEM: &str = "operating system: sockets, files, wake-ups";
const DATABASE: &str = "SQLite";
const LIBRARY: &str = "texts, lists and maps of the standard library";
/// The thread that holds SQLite and the syncs.
const WRITER: &str = "store-writer";

/// Share of the samples, thread, symbol, and whether it is of the operating system.
struct Line<'a> {
    share: f64,
    thread: &'a str,
    system: bool,
    symbol: &'a str,
}

fn line(text: &str) -> Option<Line<'_>> {
    let (share, rest) = text.trim().split_once('%')?;
    let (thread, rest) = rest.trim().split_once(" [")?;
    let (kind, symbol) = rest.split_once(']')?;
    Some(Line {
        share: share.parse().ok()?,
        thread: thread.trim(),
        system: kind == "k",
        symbol: symbol.trim(),
    })
}

fn group(line: &Line<'_>) -> &'static str {
    if line.system {
        return SYSTEM;
    }
    let named = |(_, parts): &&(&str, &[&str])| parts.iter().any(|part| line.symbol.contains(part));
    match GROUPS.iter().find(named) {
        Some((name, _)) => name,
        None if line.symbol.contains("::") => LIBRARY,
        None => DATABASE,
    }
}

fn main() -> Result<()> {
    let mut report = String::new();
    stdin().read_to_string(&mut report)?;
    let mut shares: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for line in report.lines().filter_map(line) {
        let (writer, others) = shares.entry(group(&line)).or_default();
        match line.thread == WRITER {
            true => *writer += line.share,
            false => *others += line.share,
        }
    }
    if shares.is_empty() {
        bail!("no line of a profile in the input");
    }
    let mut rows: Vec<_> = shares.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| (b.0 + b.1).total_cmp(&(a.0 + a.1)));
    println!("| Group of functions | Writer, % | Other threads, % | Together, % |");
    println!("| --- | --- | --- | --- |");
    for (name, (writer, others)) in rows {
        let all = rounded(writer + others);
        println!(
            "| {name} | {} | {} | {all} |",
            rounded(writer),
            rounded(others)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_fall_into_their_groups() {
        for (text, want) in [
            (
                "  8.25%  tokio-rt-worker  [.] _mi_page_malloc_zero",
                "allocator",
            ),
            (
                "  1.10%  store-writer     [k] copy_folio_from_iter_atomic",
                SYSTEM,
            ),
            ("  1.19%  store-writer     [.] walChecksumBytes", DATABASE),
            (
                "  0.55%  tokio-rt-worker  [.] <alloc::vec::Vec<u8> as minicbor::encode::write::Write>::write_all",
                "CBOR and JSON",
            ),
            (
                "  0.48%  tokio-rt-worker  [.] <alloc::string::String as core::clone::Clone>::clone",
                LIBRARY,
            ),
            (
                "  0.30%  tokio-rt-worker  [.] tl_kernel::decide::decide",
                "deciding: cases, rules, journal",
            ),
        ] {
            assert_eq!(line(text).map(|l| group(&l)), Some(want), "{text}");
        }
        assert!(line("# Samples: 4K of event 'cpu-clock'").is_none());
    }
}
