//! What one evaluation of an expression may take at most: time and memory, measured over expressions that want to take
//! all they can get. Its steps are asserted beside the evaluator; here is what they come to on a machine.
//!
//! The time is that of the processor, and counts in an optimised build:
//! `cargo test --release -p tl-lang --test expression_budget -- --nocapture`

#![allow(
    clippy::disallowed_methods,
    reason = "what an evaluation takes is read from the machine"
)]
#![cfg(target_os = "linux")]

mod processor;

use std::time::Duration;

use tl_kernel::expr::{EvalError, Expr, Found, Scope};
use tl_kernel::payload::parse_json;
use tl_kernel::value::{Label, Type, Value};
use tl_lang::cel::{Schema, compile};

/// Longest time of one evaluation, in an optimised build.
const MAX_TIME: Duration = Duration::from_millis(10);
/// The same where a pattern runs over a text that somebody has made for it.
const MAX_PATTERN_TIME: Duration = Duration::from_millis(50);
/// Most memory of one evaluation, KiB: what its values may take, and what the allocator adds.
const MAX_MEMORY: i64 = 5 * 1024;
/// Evaluations of one expression; the fastest counts, because the machine may do other things in between.
const TRIES: usize = 5;
/// Bytes of the long text: larger than any message.
const TEXT: usize = 4 << 20;

/// Bytes of the text that the lightest pattern runs over: what its budget pays for.
const PATTERN_TEXT: usize = 1_590_000;

struct Hostile(Value);

impl Scope for Hostile {
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a> {
        match self.0.at(&names[1..]) {
            Some(value) => Found::borrowed(value, Label::Untrusted),
            None => Found::absent(Label::Untrusted),
        }
    }
}

fn hostile() -> Hostile {
    let ints = |n| Value::List((0..n).map(Value::Int).collect());
    let texts = (0..100_000).map(|i| Value::text(i.to_string()));
    let parts = (0..20_000).map(|i| (format!("part {i}"), Value::Int(i)));
    let decimals = (1..100_000).map(decimal);
    let body = [
        ("long", ints(100_000)),
        ("texts", Value::List(texts.collect())),
        ("parts", Value::Record(parts.collect())),
        ("decimals", Value::List(decimals.collect())),
        ("ab", Value::text("ab".repeat(TEXT / 2))),
        ("mixed", Value::text("aÄb ß語 ".repeat(PATTERN_TEXT / 12))),
        ("half", Value::text("aÄb ß語 ".repeat(PATTERN_TEXT / 24))),
        ("spaces", Value::text(" ".repeat(TEXT))),
        ("digits", Value::text("9".repeat(TEXT))),
    ];
    let body = body.into_iter().map(|(name, v)| (name.to_owned(), v));
    Hostile(Value::Record(body.collect()))
}

/// Letters `a` and `b` without a period: what a pattern has learnt of one place helps it at no other.
fn coins(length: usize) -> String {
    let mut state = 0x7468_726f_7567_6821_u64;
    let toss = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state.is_multiple_of(2) { 'a' } else { 'b' }
    };
    (0..length).map(toss).collect()
}

fn decimal(i: i64) -> Value {
    parse_json(format!("0.{i:028}").as_bytes()).expect("a decimal")
}

/// Each goes as far as its budget lets it.
const ROWS: &[&str] = &[
    "event.long.all(x, x >= 0)",
    "event.long.map(x, x * 2 + 1 - 3)",
    "event.long.filter(x, x % 2 == 0).map(x, x / 3)",
    "event.long.map(x, string(x))",
    "event.long.map(x, {'a': x, 'b': x})",
    "event.long.map(x, [x, x, x])",
    "event.long.map(x, event.parts)",
    "event.long.all(x, event.long[x] == x)",
    "event.long.all(x, event.long != event.texts)",
    "event.long.exists(x, 100001 in event.long)",
    "event.decimals.map(d, d * d / 7)",
    "event.decimals.map(d, double(d) / 7)",
    "event.decimals.all(d, d != double('0.1'))",
    "event.texts.all(t, int(t) >= 0)",
    "event.texts.map(t, t + t)",
    "event.texts.map(t, t.upper())",
    "event.parts.map(name, event.parts[name])",
    "event.parts == event.parts",
    "event.ab.contains('abb')",
    "event.ab.contains('ababababababababababababababababababababb')",
    "event.spaces.trim()",
    "event.half.upper()",
    "event.half.lower()",
    "size(event.mixed)",
    "event.long.exists(x, size(event.mixed) < 0)",
    "int(event.digits)",
    "event.ab + event.ab",
    "event.long + event.long",
    "event",
    "event.texts.all(t, !t.matches('x$'))",
    "event.texts.all(t, !t.matches('[ab]*a[ab]{60}c'))",
];

/// Patterns that are hard, over the longest text that their budget pays for.
const PATTERNS: &[&str] = &[
    "event.run.matches('x$')",
    "event.run.matches('(a|b)*c')",
    "event.run.matches('\\\\b\\\\w+@\\\\w+\\\\b')",
    "event.run.matches('[ab]{8}[^ab]')",
    "event.run.matches('a[ab]{7}[^ab]')",
    "event.run.matches('a[ab]{12}[^ab]')",
    "event.run.matches('[ab]*a[ab]{60}[^ab]')",
    "event.run.matches('a[ab]{200}[^ab]')",
    "event.run.matches('a[ab]{200}b[ab]{100}[^ab]')",
    "event.run.matches('([ab]*a[ab]{60}){1,3}[^ab]')",
    "event.run.matches('(a[ab]{20}){1,15}[^ab]')",
    "event.run.matches('aba.{0,50}bab[^ab]')",
    "event.run.matches('(a|b|ab)*(ba|b|aab)*[cd]{40}[^ab]')",
    "event.run.matches('((a?){20}b?){9}[^ab]')",
    "event.run.matches('(a{0,20}b{0,20}){0,20}[^ab]')",
    "event.run.matches('(?i)(straße|[^x]{1,80}){3}[yz]')",
    "event.run.matches('.*.*.*.*.*[=:].*')",
    "event.run.capture('([ab]*a[ab]{60})[^ab]')",
    "event.run.capture('(a[ab]{200})[^ab]')",
    "event.run.capture('(a|b)*?(b{2,60})')",
    "event.run.capture('([ab]*)')",
    "event.run.capture('((a|b)*a(a|b){40})')",
    "event.run.capture('(((a|b)*)*a([ab]{3,90}))')",
];

/// The longest beginning of a text over which the budget lets an expression come to something.
fn longest(expr: &Expr, text: &str) -> (Hostile, usize) {
    let mut length = text.len();
    loop {
        let run = Value::text(&text[..length]);
        let scope = Hostile(Value::Record([("run".to_owned(), run)].into()));
        if !matches!(expr.eval(&scope), Err(EvalError::Budget)) {
            return (scope, length);
        }
        length = length / 20 * 19;
    }
}

/// A figure of this process from the kernel, KiB.
fn memory(of: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|l| l.strip_prefix(of));
    let figure = line.and_then(|l| l.split_whitespace().next()?.parse().ok());
    figure.expect("a figure")
}

/// The shortest time of an evaluation on its processor, and the most memory that one took beyond what was there before, KiB.
fn measured(expr: &Expr, scope: &Hostile) -> (Duration, i64, &'static str) {
    let (mut best, mut most, mut came) = (Duration::MAX, 0, "");
    for _ in 0..TRIES {
        // The kernel forgets the peak.
        let forgets = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        let before = memory("VmRSS:");
        let begun = processor::time();
        let got = expr.eval(scope);
        best = best.min(processor::time() - begun);
        if forgets {
            most = most.max(memory("VmHWM:") - before);
        }
        came = match got {
            Ok(_) => "a value",
            Err(EvalError::Budget) => "the budget's end",
            Err(_) => "an error",
        };
    }
    (best, most, came)
}

#[test]
fn an_evaluation_takes_ten_milliseconds_and_four_mebibytes_at_most() {
    let scope = hostile();
    let schema = Schema {
        root: [("event".to_owned(), Type::Any)].into(),
    };
    let compiled = |source: &str| match compile(source, &schema, &Type::Any) {
        Ok(expr) => expr,
        Err(errors) => panic!("{source}: {:?}", errors[0]),
    };
    let (mut slowest, mut largest) = ((Duration::ZERO, ""), (0, ""));
    for source in ROWS {
        let (took, memory, came) = measured(&compiled(source), &scope);
        println!("{took:>12.1?} {memory:>6} KiB  {came:<16}  {source}");
        slowest = slowest.max((took, *source));
        largest = largest.max((memory, *source));
    }
    let (text, mut hardest) = (coins(PATTERN_TEXT), (Duration::ZERO, ""));
    for source in PATTERNS {
        let expr = compiled(source);
        let (scope, length) = longest(&expr, &text);
        let (took, _, _) = measured(&expr, &scope);
        println!("{took:>12.1?} {length:>10} bytes of text      {source}");
        hardest = hardest.max((took, *source));
    }
    println!("slowest {slowest:?}, hardest pattern {hardest:?}, largest {largest:?} KiB");
    assert!(largest.0 <= MAX_MEMORY, "{largest:?} KiB");
    if !cfg!(debug_assertions) {
        assert!(slowest.0 <= MAX_TIME, "{slowest:?}");
        assert!(hardest.0 <= MAX_PATTERN_TIME, "{hardest:?}");
    }
}
