//! Input that wants to hang, overflow or exhaust.

use super::*;
use crate::cel::{ErrorKind, MAX_DEPTH, MAX_SOURCE, compile_template};

fn kind(source: &str) -> Option<ErrorKind> {
    compile(source, &schema(), &Type::Any)
        .err()
        .map(|e| e[0].code)
}

/// Runs in a thread with half the stack of the smallest one we start, so that what passes here has room.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(test)
        .expect("a thread")
        .join()
        .expect("no overflow");
}

#[test]
fn deep_input_is_refused_before_it_is_parsed() {
    on_a_small_stack(|| {
        for opener in [
            "(", "!", "-", "[", "{", "a.", "f(", "1+", "a?b:", "[[", "a[", "x.map(y,",
        ] {
            for n in [100, 1_000, 100_000] {
                let source = opener.repeat(n) + "1";
                let got = kind(&source);
                assert!(
                    matches!(
                        got,
                        Some(ErrorKind::TooDeep | ErrorKind::TooLong | ErrorKind::Syntax)
                    ),
                    "{opener} x {n}: {got:?}"
                );
            }
        }
    });
}

#[test]
fn the_deepest_allowed_input_parses_and_runs() {
    on_a_small_stack(|| {
        let n = MAX_DEPTH - 1;
        let table = [
            "(".repeat(n) + "1" + &")".repeat(n),
            "[".repeat(n) + "1" + &"]".repeat(n),
            "!".repeat(n) + "true",
            "1".to_string() + &" + 1".repeat(n),
            "true ? 1 : ".repeat(n / 2) + "1",
            "{'a': ".repeat(n / 2) + "1" + &"}".repeat(n / 2),
            "event.body".to_string() + &".a".repeat(n - 1),
        ];
        for source in &table {
            let expr = compile(source, &schema(), &Type::Any).expect(source);
            assert!(expr.eval(&Names::with("")).is_ok(), "{source}");
        }
    });
}

#[test]
fn a_flat_run_of_conditions_is_not_deep() {
    let parts = vec!["record.count == 1"; 90].join(" || ");
    assert_eq!(kind(&parts), None);
    let listed = format!("record.count in [{}]", vec!["1"; 400].join(", "));
    assert_eq!(kind(&listed), None);
}

#[test]
fn size_is_bounded() {
    let long = format!("record.name == '{}'", "x".repeat(MAX_SOURCE));
    assert_eq!(kind(&long), Some(ErrorKind::TooLong));
    let many = format!("[{}]", vec!["1"; 600].join(","));
    assert_eq!(kind(&many), Some(ErrorKind::TooMany));
    let template = "x".repeat(100_000);
    assert_eq!(
        compile_template(&template, &schema()).unwrap_err()[0].code,
        ErrorKind::TooLong
    );
    let hole = format!("${{{}}}", " ".repeat(50_000));
    assert_eq!(
        compile_template(&hole, &schema()).unwrap_err()[0].code,
        ErrorKind::TooLong
    );
}

#[test]
fn every_evaluation_ends_within_its_budget() {
    let long = Value::List((0..100_000).map(Value::Int).collect());
    let texts = Value::List((0..100_000).map(|i| Value::text(i.to_string())).collect());
    let huge = Value::text("ab".repeat(2_000_000));
    let names = Names::with("")
        .set(
            "event.body",
            Value::Record([("long".to_string(), long), ("texts".to_string(), texts)].into()),
        )
        .set("record.body", huge);
    let table = [
        ("event.body.long.exists(x, x == 5)", "true"),
        ("event.body.long.exists(x, x < 0)", "!budget"),
        ("event.body.long.all(x, x >= 0)", "!budget"),
        ("event.body.long.map(x, x * 2)", "!budget"),
        ("event.body.long.filter(x, true).size()", "100000"),
        ("100001 in event.body.long", "false"),
        ("event.body.long == event.body.long", "true"),
        (
            "event.body.long + event.body.long + event.body.long",
            "!budget",
        ),
        ("event.body.texts.exists(t, t.matches('x$'))", "!budget"),
        ("record.body.contains('abc')", "false"),
        ("record.body.matches('(a|b)*c')", "!budget"),
        ("(record.body + record.body).size()", "!budget"),
        ("event.body.long.exists(x, x < 0) || true", "!budget"),
        ("[1, 2].map(x, record.body).size()", "!budget"),
        ("event.body", "!budget"),
    ];
    for (source, want) in table {
        assert_eq!(outcome(source, &names), want, "{source}");
    }
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_can_break_the_compiler(source in "\\PC{0,80}") {
            let _ = compile(&source, &schema(), &Type::Any);
            let _ = compile_template(&source, &schema());
        }

        #[test]
        fn no_run_of_tokens_can_break_the_compiler(
            tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..40)
        ) {
            let source = tokens.join(" ");
            match compile(&source, &schema(), &Type::Any) {
                Ok(expr) => { let _ = expr.eval(&Names::with("")); }
                Err(errors) => for e in errors {
                    prop_assert!(e.start <= e.end && e.end <= source.len());
                    prop_assert!(source.is_char_boundary(e.start) && source.is_char_boundary(e.end));
                },
            }
        }
    }

    const TOKENS: &[&str] = &[
        "record", ".", "name", "count", "(", ")", "[", "]", "{", "}", "'a'", "1", "1.5", "-", "!",
        "&&", "||", "==", "<", "in", "?", ":", ",", "+", "/", "has", "exists", "x", "map", "true",
        "null", "event", "body", "size", "matches", "tags", "'ü'", "\n", "$", "=",
    ];
}
