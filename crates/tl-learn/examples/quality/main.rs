//! Measures what the local model does on public data sets. The sets are not part of the project: a path names where
//! they lie. `docs/ai-quality.md` says where each can be had and what came out.
//!
//!     cargo run --release -p tl-learn --example quality -- classify TRAIN.csv TEST.csv [OUT_OF_SCOPE.csv]
//!     cargo run --release -p tl-learn --example quality -- trust RUNS
//!     cargo run --release -p tl-learn --example quality -- mail DIRECTORY
//!     cargo run --release -p tl-learn --example quality -- signatures DIRECTORY
//!     cargo run --release -p tl-learn --example quality -- specs DIRECTORY

mod classify;
mod mail;
mod specs;
mod trust;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["classify", train, test, rest @ ..] => classify::run(train, test, rest.first().copied()),
        ["trust", runs] => trust::run(runs.parse().expect("a number of runs")),
        ["mail", dir] => mail::boundaries(dir),
        ["signatures", dir] => mail::signatures(dir),
        ["specs", dir] => specs::run(dir),
        _ => {
            eprintln!(
                "classify TRAIN TEST [OUT_OF_SCOPE] | trust RUNS | mail DIR | signatures DIR | specs DIR"
            );
            std::process::exit(2);
        }
    }
}

/// A file as text; bytes that are no UTF-8 are replaced.
fn read(path: impl AsRef<std::path::Path>) -> String {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8_lossy(&bytes)
        .trim_start_matches('\u{feff}')
        .to_owned()
}

/// The files below a directory, in the order of their names.
fn files(dir: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![std::path::PathBuf::from(dir)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `count` of `total` with its 95 % interval.
fn share(count: usize, total: usize) -> String {
    let share = tl_learn::eval::Share::of(count, total);
    format!(
        "{:.1} % ({:.1} to {:.1}, n {total})",
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}
