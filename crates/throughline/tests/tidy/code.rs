//! Sizes and habits of the sources.

use crate::source::{Blank, blank, functions, has_word, without_tests};
use crate::{files, none, read};

/// Lines of a product file.
const PRODUCT_FILE: usize = 800;
/// Lines of a test file.
const TEST_FILE: usize = 1_200;
/// Parameters besides `self`.
const PARAMETERS: usize = 4;

/// Crates whose functions have the lower ceiling, and the ceilings in lines.
const STRICT: [&str; 4] = ["tl-kernel", "tl-lang", "tl-learn", "tl-store"];
const STRICT_FUNCTION: usize = 70;
const FUNCTION: usize = 100;

/// Crates without clock, dice, files, environment, threads and sockets.
pub const PURE: [&str; 5] = ["tl-kernel", "tl-lang", "tl-wire", "tl-learn", "tl-document"];

/// Functions above their ceiling, with their length: matches with an arm for each kind of a closed list. They may
/// only shrink, and leave when they fit.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Functions above the ceiling of parameters, with their number: may only shrink.
const WIDE_FUNCTIONS: &[(&str, &str, usize)] = &[
    // Called by C, which says what the parameters are.
    ("crates/tl-faultdisk/src/vfs.rs", "open", 5),
    ("crates/tl-faultdisk/src/vfs.rs", "shm_map", 5),
    ("crates/tl-kernel/src/decide/branch.rs", "decided", 6),
    ("crates/tl-lang/src/proof/choice.rs", "never_taken", 5),
    ("crates/tl-lang/src/proof/choice.rs", "unhandled", 5),
    ("crates/tl-lang/src/proof/trust.rs", "message", 5),
    ("crates/tl-lang/src/proof/trust.rs", "address", 5),
    ("crates/tl-lang/src/proof/walk.rs", "hop", 5),
    // A trait of the library under TLS says what they are.
    (
        "crates/tl-store/src/postgres/tls.rs",
        "verify_server_cert",
        5,
    ),
];

/// Words that a pure crate's code may not hold.
const IMPURE: [&str; 16] = [
    "SystemTime",
    "std::time",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "rand",
    "thread_rng",
    "getrandom",
    "SystemRandom",
    "tokio",
    "async",
    "HashMap",
    "HashSet",
    "println",
];

fn sources() -> Vec<String> {
    let rust = |f: &String| f.ends_with(".rs");
    files("crates").into_iter().filter(rust).collect()
}

/// Test code: in a `tests` directory of a crate or of a module, or a file called `tests.rs`.
pub fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/examples/") || path.ends_with("/tests.rs")
}

pub fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or("")
}

#[test]
fn files_stay_below_their_ceiling_and_say_what_they_are() {
    let mut findings = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        let ceiling = if is_test(&path) {
            TEST_FILE
        } else {
            PRODUCT_FILE
        };
        if lines > ceiling {
            findings.push(format!(
                "{path}: {lines} lines, ceiling {ceiling}: split it"
            ));
        }
        if !text.starts_with("//! ") {
            findings.push(format!(
                "{path}: does not open with `//! ` and a sentence that says what it is"
            ));
        }
    }
    none("files", &findings);
}

#[test]
fn functions_stay_below_their_ceilings() {
    let mut findings = Vec::new();
    for path in sources().iter().filter(|p| !is_test(p)) {
        let code = without_tests(&blank(&read(path), Blank::CommentsAndText));
        let strict = STRICT.contains(&crate_of(path));
        for f in functions(&code) {
            let allowed = |list: &[(&str, &str, usize)], else_: usize| {
                let named = list
                    .iter()
                    .find(|(file, name, _)| *file == path && *name == f.name);
                named.map_or(else_, |(_, _, n)| *n)
            };
            let lines = allowed(
                LONG_FUNCTIONS,
                if strict { STRICT_FUNCTION } else { FUNCTION },
            );
            if f.lines > lines {
                findings.push(format!(
                    "{path}:{} {} has {} lines, ceiling {lines}",
                    f.line, f.name, f.lines
                ));
            }
            let parameters = allowed(WIDE_FUNCTIONS, PARAMETERS);
            if f.parameters > parameters {
                findings.push(format!(
                    "{path}:{} {} has {} parameters, ceiling {parameters}: make a struct",
                    f.line, f.name, f.parameters
                ));
            }
        }
    }
    none("functions", &findings);
}

#[test]
fn named_exceptions_are_still_needed() {
    let mut findings = Vec::new();
    let wide = WIDE_FUNCTIONS.iter().map(|e| (e, true));
    for ((path, name, _), is_wide) in LONG_FUNCTIONS.iter().map(|e| (e, false)).chain(wide) {
        let code = without_tests(&blank(&read(path), Blank::CommentsAndText));
        let lines = if STRICT.contains(&crate_of(path)) {
            STRICT_FUNCTION
        } else {
            FUNCTION
        };
        let needed = functions(&code).iter().any(|f| {
            f.name == *name
                && if is_wide {
                    f.parameters > PARAMETERS
                } else {
                    f.lines > lines
                }
        });
        if !needed {
            findings.push(format!("{path} {name}: fits now; take the line out"));
        }
    }
    none("exceptions", &findings);
}

#[test]
fn pure_crates_are_pure() {
    let mut findings = Vec::new();
    for path in sources() {
        if !PURE.contains(&crate_of(&path)) || is_test(&path) {
            continue;
        }
        let code = without_tests(&blank(&read(&path), Blank::CommentsAndText));
        for (n, line) in code.lines().enumerate() {
            for word in IMPURE {
                if has_word(line, word) {
                    findings.push(format!("{path}:{}: `{word}` in a pure crate", n + 1));
                }
            }
        }
    }
    none("pure crates", &findings);
    let lists: Vec<String> = PURE
        .iter()
        .map(|c| read(&format!("crates/{c}/clippy.toml")))
        .collect();
    assert!(
        lists.windows(2).all(|w| w[0] == w[1]),
        "the clippy.toml of the pure crates differ"
    );
}

/// Crates in which every public item says what it means. The compiler looks at the items; clippy runs with warnings
/// denied.
const DOCUMENTED: [&str; 3] = ["tl-kernel", "tl-learn", "tl-store"];

#[test]
fn the_compiler_asks_for_documentation_where_others_build_on_it() {
    let without = DOCUMENTED
        .map(|c| format!("crates/{c}/src/lib.rs"))
        .into_iter()
        .filter(|lib| !read(lib).contains("\n#![warn(missing_docs)]\n"));
    none("no `missing_docs`", &without.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let stubs = [
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
        concat!("dbg", "!"),
    ];
    let mut findings = Vec::new();
    for path in sources() {
        let text = read(&path);
        let code = blank(&text, Blank::CommentsAndText);
        for (n, (line, code)) in text.lines().zip(code.lines()).enumerate() {
            if markers.iter().any(|m| has_word(line, m)) || stubs.iter().any(|s| code.contains(s)) {
                findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    none("left for later", &findings);
}

#[test]
fn nothing_sleeps() {
    let mut findings = Vec::new();
    for path in sources() {
        let code = blank(&read(&path), Blank::CommentsAndText);
        for (n, line) in code.lines().enumerate() {
            let in_test = is_test(&path) && line.contains("time::sleep(");
            if line.contains("thread::sleep") || in_test {
                findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
            }
        }
    }
    none("tests move the clock instead of waiting", &findings);
}

/// The one crate that may hold unsafe code, and the file of it that does: a disk for tests, which SQLite calls
/// through C. It is in nobody's build (see the edges in ARCHITECTURE.md).
const UNSAFE_CRATE: &str = "crates/tl-faultdisk/Cargo.toml";
const UNSAFE_FILE: &str = "crates/tl-faultdisk/src/vfs.rs";

#[test]
fn unsafe_code_is_forbidden_everywhere_but_in_one_file() {
    assert!(
        read("Cargo.toml").contains("unsafe_code = \"forbid\""),
        "the workspace forbids unsafe code"
    );
    let manifests = files("crates")
        .into_iter()
        .filter(|f| f.ends_with("/Cargo.toml") && f != UNSAFE_CRATE);
    let without = manifests.filter(|f| !read(f).contains("[lints]\nworkspace = true"));
    none(
        "crates that do not inherit the workspace's lints",
        &without.collect::<Vec<_>>(),
    );
    assert!(
        read(UNSAFE_CRATE).contains("unsafe_code = \"deny\""),
        "{UNSAFE_CRATE} denies unsafe code where it is not allowed by name"
    );
    let allowing = sources().into_iter().filter(|f| {
        let code = blank(&read(f), Blank::CommentsAndText);
        f != UNSAFE_FILE && has_word(&code, "unsafe_code")
    });
    none(
        "unsafe code is allowed in one file alone",
        &allowing.collect::<Vec<_>>(),
    );
}
