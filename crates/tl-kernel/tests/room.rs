//! What one evaluation holds in memory at once, measured: never more than it may, whatever the expression and
//! however large the values it reads. A test binary of its own, because the measure is of the whole process.
#![allow(
    clippy::disallowed_types,
    reason = "how long evaluations take is printed, and never decides"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use tl_kernel::expr::{
    At, Each, EvalError, Expr, Found, MAX_BYTES, MAX_STEPS, Node, Op, Pattern, Scope,
};
use tl_kernel::limits::{MAX_JSON_DEPTH, MAX_JSON_NODES, MAX_TEXT};
use tl_kernel::value::{Label, Value};

#[path = "properties/rng.rs"]
mod rng;
use rng::Rng;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Random expressions besides the table.
const RANDOM: u64 = 4_000;
/// The largest body of a message, bytes.
const BODY: usize = 1024 * 1024;

/// What one pattern may hold between two searches, bytes.
const PATTERN_ROOM: usize = 1024 * 1024;
/// The measure is of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const AT: At = At { start: 0, end: 0 };

fn path(dotted: &str) -> Node {
    Node::Path {
        names: dotted.split('.').map(str::to_owned).collect(),
        at: AT,
    }
}

fn item(dotted: &str) -> Node {
    Node::Item {
        names: dotted
            .split('.')
            .filter(|n| !n.is_empty())
            .map(str::to_owned)
            .collect(),
        at: AT,
    }
}

fn call(op: Op, args: Vec<Node>) -> Node {
    Node::Call { op, args, at: AT }
}

fn int(n: i64) -> Node {
    Node::Literal(Value::Int(n), AT)
}

fn each(what: Each, over: Node, body: Node) -> Node {
    let (over, body) = (Box::new(over), Box::new(body));
    Node::Each {
        what,
        over,
        body,
        at: AT,
    }
}

fn map(over: Node, body: Node) -> Node {
    each(Each::Map, over, body)
}

fn matches(text: Node, pattern: &str, capture: bool) -> Node {
    Node::Matches {
        text: Box::new(text),
        pattern: Pattern::new(pattern).expect("a pattern"),
        capture,
        at: AT,
    }
}

fn one(name: &str, node: Node) -> Node {
    Node::Map(vec![(name.to_owned(), node)], AT)
}

/// The node put into itself so many times over.
fn again(times: usize, mut node: Node, wrap: impl Fn(Node) -> Node) -> Node {
    for _ in 0..times {
        node = wrap(node);
    }
    node
}

/// The largest values that a case may hold, by name.
struct Large {
    values: BTreeMap<String, Value>,
    /// How often a name was asked for: each costs a step.
    asked: Cell<u32>,
}

impl Large {
    fn new() -> Self {
        let list = |n, f: &dyn Fn(usize) -> Value| Value::List((0..n).map(f).collect());
        let single = |name: &str, v| Value::Record(BTreeMap::from([(name.to_owned(), v)]));
        let deep = (0..MAX_JSON_DEPTH).fold(Value::Null, |inner, _| single("a", inner));
        let values = [
            ("text", Value::text("x".repeat(MAX_TEXT))),
            ("body", Value::text("a".repeat(BODY))),
            // Two bytes each, six as capitals.
            ("greek", Value::text("\u{390}".repeat(BODY / 2))),
            // Two bytes each, three in small letters.
            ("dotted", Value::text("\u{130}".repeat(BODY / 2))),
            ("digits", Value::text("7".repeat(BODY))),
            ("nulls", list(MAX_JSON_NODES, &|_| Value::Null)),
            ("numbers", list(MAX_JSON_NODES, &|n| Value::Int(n as i64))),
            ("floats", list(MAX_JSON_NODES, &|_| Value::Float(5e-324))),
            (
                "words",
                list(MAX_JSON_NODES, &|n| Value::text(format!("word {n}"))),
            ),
            (
                "records",
                list(MAX_JSON_NODES / 2, &|_| single("a", Value::Null)),
            ),
            (
                "wide",
                Value::Record(
                    (0..MAX_JSON_NODES)
                        .map(|n| (n.to_string(), Value::Null))
                        .collect(),
                ),
            ),
            ("few", list(40, &|n| Value::Int(n as i64))),
            (
                "deep",
                list(MAX_JSON_NODES / MAX_JSON_DEPTH, &|_| deep.clone()),
            ),
        ];
        Large {
            values: values.map(|(n, v)| (n.to_owned(), v)).into(),
            asked: Cell::new(0),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.values.keys().cloned().collect();
        names.extend(["made".to_owned(), "absent".to_owned()]);
        names
    }
}

impl Scope for Large {
    fn lookup<'a>(&'a self, names: &[String]) -> Found<'a> {
        self.asked.set(self.asked.get() + 1);
        let (root, rest) = names.split_first().expect("a name");
        if root == "made" {
            let list = Value::List(vec![Value::text("a field"); 40]);
            return Found::owned(list, Label::Config);
        }
        match self.values.get(root).and_then(|v| v.at(rest)) {
            Some(v) => Found::borrowed(v, Label::Untrusted),
            None => Found::absent(Label::Config),
        }
    }
}

/// Expressions of which each tries to hold more than it is charged for.
fn hostile() -> Vec<(&'static str, Node)> {
    let absent = || path("absent");
    vec![
        (
            "a list of lists with nothing in them",
            map(
                path("numbers"),
                Node::List((0..500).map(|_| absent()).collect(), AT),
            ),
        ),
        (
            "a record per element",
            map(path("numbers"), one("a", item(""))),
        ),
        (
            "records in records",
            map(path("few"), again(60, item(""), |n| one("a", n))),
        ),
        (
            "a long name per element",
            map(path("numbers"), one(&"n".repeat(400), item(""))),
        ),
        (
            "filters that keep nothing",
            Node::List(
                (0..200)
                    .map(|_| {
                        each(
                            Each::Filter,
                            path("numbers"),
                            Node::Literal(Value::Bool(false), AT),
                        )
                    })
                    .collect(),
                AT,
            ),
        ),
        (
            "mappings to nothing",
            Node::List((0..200).map(|_| map(path("nulls"), absent())).collect(), AT),
        ),
        (
            "a text added to itself",
            again(12, path("text"), |n| call(Op::Add, vec![n.clone(), n])),
        ),
        (
            "a list added to itself",
            again(8, path("words"), |n| call(Op::Add, vec![n.clone(), n])),
        ),
        (
            "texts side by side",
            Node::List((0..100).map(|_| path("text")).collect(), AT),
        ),
        (
            "records copied",
            Node::List((0..100).map(|_| path("records")).collect(), AT),
        ),
        (
            "wide records copied",
            Node::List((0..100).map(|_| path("wide")).collect(), AT),
        ),
        (
            "deep records copied",
            Node::List((0..100).map(|_| path("deep")).collect(), AT),
        ),
        ("names of a record", map(path("wide"), item(""))),
        (
            "names of a record, many times",
            Node::List((0..100).map(|_| map(path("wide"), item(""))).collect(), AT),
        ),
        ("capitals", call(Op::Upper, vec![path("greek")])),
        (
            "capitals of a part",
            call(
                Op::Upper,
                vec![call(Op::Add, vec![path("text"), path("greek")])],
            ),
        ),
        ("small letters", call(Op::Lower, vec![path("dotted")])),
        (
            "trimmed",
            Node::List(
                (0..10)
                    .map(|_| call(Op::Trim, vec![path("body")]))
                    .collect(),
                AT,
            ),
        ),
        (
            "numbers as text",
            map(path("numbers"), call(Op::Text, vec![item("")])),
        ),
        (
            "small numbers as text",
            map(path("floats"), call(Op::Text, vec![item("")])),
        ),
        ("a long duration", call(Op::Duration, vec![path("digits")])),
        ("a long instant", call(Op::Timestamp, vec![path("digits")])),
        ("a long number", call(Op::Decimal, vec![path("digits")])),
        (
            "a long number, many times",
            map(path("numbers"), call(Op::Int, vec![path("digits")])),
        ),
        (
            "captures",
            Node::List(
                (0..20)
                    .map(|_| matches(path("body"), "(a+)", true))
                    .collect(),
                AT,
            ),
        ),
        (
            "made for the look-up",
            Node::List((0..2_000).map(|_| path("made")).collect(), AT),
        ),
        (
            "a part of what goes away",
            map(
                path("records"),
                Node::Select {
                    of: Box::new(one("a", path("text"))),
                    name: "a".into(),
                    at: AT,
                },
            ),
        ),
        (
            "an element of what goes away",
            call(
                Op::Index,
                vec![
                    map(path("words"), Node::List(vec![item(""), item("")], AT)),
                    int(0),
                ],
            ),
        ),
        (
            "compared with each other",
            map(
                path("few"),
                call(
                    Op::In,
                    vec![
                        path("wide"),
                        Node::List(vec![path("wide"), path("wide")], AT),
                    ],
                ),
            ),
        ),
        (
            "a refusal that names its operands",
            call(Op::Sub, vec![path("wide"), path("text")]),
        ),
        (
            "a condition over all of it",
            call(
                Op::And,
                vec![
                    each(
                        Each::All,
                        map(path("words"), one("a", item(""))),
                        call(Op::Ne, vec![item("a"), path("text")]),
                    ),
                    call(
                        Op::Eq,
                        vec![map(path("numbers"), one("b", item(""))), path("records")],
                    ),
                ],
            ),
        ),
    ]
}

/// One way of evaluating an expression.
type Way<'a> = dyn Fn() -> Result<(), EvalError> + 'a;

/// An expression that nobody would write.
fn random(rng: &mut Rng, depth: usize, looped: bool, names: &[String]) -> Node {
    const UNARY: [Op; 12] = [
        Op::Not,
        Op::Neg,
        Op::Size,
        Op::Lower,
        Op::Upper,
        Op::Trim,
        Op::Int,
        Op::Decimal,
        Op::Double,
        Op::Text,
        Op::Duration,
        Op::Timestamp,
    ];
    const BINARY: [Op; 12] = [
        Op::Add,
        Op::Add,
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Index,
        Op::Eq,
        Op::Lt,
        Op::In,
        Op::Contains,
        Op::And,
        Op::Or,
    ];
    const EACH: [Each; 5] = [
        Each::Map,
        Each::Map,
        Each::Filter,
        Each::Exists,
        Each::ExistsOne,
    ];
    if depth == 0 || rng.share(10) {
        return match rng.below(5) {
            0 => int(rng.below(50) as i64),
            1 if looped => item(if rng.share(30) { "a" } else { "" }),
            2 => Node::Literal(Value::text("word"), AT),
            _ => path(&rng.pick(names)),
        };
    }
    let a = random(rng, depth - 1, looped, names);
    let b = random(rng, depth - 1, looped, names);
    match rng.below(8) {
        0 => call(rng.pick(&UNARY), vec![a]),
        1 | 2 => call(rng.pick(&BINARY), vec![a, b]),
        3 => Node::List(vec![a.clone(), b, a], AT),
        4 => Node::Map(vec![("a".into(), a), ("b".into(), b)], AT),
        5 => call(Op::Cond, vec![a.clone(), a, b]),
        6 => {
            let pattern = rng.pick(&["a+b", "(x+)x", "(?:word )?(\\d+)"]);
            matches(a, pattern, rng.share(50))
        }
        _ if looped => Node::Has(Box::new(a), AT),
        _ => {
            let body = random(rng, depth - 1, true, names);
            each(rng.pick(&EACH), a, body)
        }
    }
}

/// What evaluations came to.
#[derive(Default)]
struct Worst {
    bytes: usize,
    time: Duration,
    asked: u32,
    spent: u32,
    done: u32,
}

impl Worst {
    /// Evaluates in each of the three ways, and says what it held where it held too much.
    fn measure(&mut self, expr: &Expr, scope: &Large) -> Result<(), String> {
        // What a pattern needs to search is the pattern's and stays with it.
        let _ = expr.eval(scope);
        let ways: [(&str, &Way<'_>); 3] = [
            ("eval", &|| expr.eval(scope).map(drop)),
            ("holds", &|| expr.holds(scope).map(drop)),
            ("truth", &|| expr.truth(scope).map(drop)),
        ];
        for (way, run) in ways {
            scope.asked.set(0);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let start = Instant::now();
            let got = run();
            let time = start.elapsed();
            let held = MEMORY.peak_usage() - before;
            self.bytes = self.bytes.max(held);
            self.time = self.time.max(time);
            self.asked = self.asked.max(scope.asked.get());
            self.spent += u32::from(got == Err(EvalError::Budget));
            self.done += u32::from(got.is_ok());
            if held > MAX_BYTES {
                return Err(format!("{way} held {held} bytes"));
            }
            // `truth` evaluates once more, for the reader.
            if scope.asked.get() > 2 * MAX_STEPS {
                return Err(format!("{way} looked up {} names", scope.asked.get()));
            }
        }
        Ok(())
    }

    fn say(&self, what: &str) {
        println!(
            "{what}: at most {} bytes of {MAX_BYTES}, {} look-ups, {:?}; {} with a result, {} over the budget",
            self.bytes, self.asked, self.time, self.done, self.spent
        );
    }
}

fn expr(root: Node) -> Expr {
    let source = String::new();
    Expr { source, root }
}

#[test]
fn an_evaluation_never_holds_more_than_it_may() {
    let _alone = ALONE.lock();
    let large = Large::new();
    let mut table = Worst::default();
    let mut findings = Vec::new();
    for (name, root) in hostile() {
        if let Err(e) = table.measure(&expr(root), &large) {
            findings.push(format!("{name}: {e}"));
        }
    }
    table.say("the table");
    let (names, mut drawn) = (large.names(), Worst::default());
    for seed in 1..=RANDOM {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let depth = 2 + rng.below(5);
        let expr = expr(random(&mut rng, depth, false, &names));
        if let Err(e) = drawn.measure(&expr, &large) {
            findings.push(format!("seed {seed}: {e}"));
        }
    }
    drawn.say("at random");
    assert!(findings.is_empty(), "{findings:#?}");
    // Where nothing comes near the bound, nothing is shown of it.
    assert!(table.bytes > MAX_BYTES / 2 && table.spent > 10 && table.done > 3);
    assert!(drawn.done > RANDOM as u32 / 10 && drawn.spent > RANDOM as u32 / 100);
}

/// The pattern's own memory is bounded too, and does not grow with the text.
#[test]
fn a_pattern_holds_little_however_long_the_text() {
    let _alone = ALONE.lock();
    let table = [
        ("a+", false),
        (r"^[\w.+-]+@[\w-]+\.[\w.]+$", false),
        (r"(\w+)\s+(\d+)", true),
        (r"(?i)(invoice|order)[ #]*(\d{4,9})", true),
        (r"(?-u:[ab]{0,40}c){1,9}d", false),
    ];
    let text = "ab c abb@a.b order 12 \u{e9}a".repeat(BODY / 32);
    let scope = BTreeMap::from([("text".to_owned(), (Value::text(text), Label::Untrusted))]);
    for (pattern, capture) in table {
        let expr = expr(matches(path("text"), pattern, capture));
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let _ = expr.eval(&scope);
        let held = MEMORY.peak_usage() - before;
        println!("{pattern}: {held} bytes");
        assert!(held <= PATTERN_ROOM, "{pattern}: {held}");
    }
}
