//! Decision tables against the kernel: random projects with three tables each (unique, first, collect) over enums,
//! truths and numbers, free of gaps and overlaps by construction, with and without one planted mistake. The case
//! that the proof prints is given to `decide`: it really meets no row, or both.

mod common;
mod world;

use std::collections::BTreeMap;

use common::{program, shown};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tl_kernel::case::Case;
use tl_kernel::decide::{Admitted, Facts, Input, decide};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Entry, open};
use tl_kernel::program::{HitPolicy, Program};
use tl_kernel::turn::Decision;
use tl_kernel::value::{Field, Label, Record, Source, Value};
use tl_lang::{Project, load};
use world::Rng;

const PROJECTS: usize = 120;
/// Cases that each table without a mistake is tried with.
const CASES: usize = 40;

const WORKFLOW: &str = r#"workflow: { id: case, version: "1" }
ingress: { channels: [form] }
record:
  type: lead
  fields:
    urgency: { type: enum, values: [low, normal, high] }
    vip: { type: bool }
    amount: { type: int }
    score: { type: decimal }
    anna: { type: string, from: rules }
    bert: { type: string, from: rules }
    all: { type: list of string, from: rules }
decision: { branches: [{ default: human_queue }] }
worker:
  tables:
    - { file: tables/unique.csv, hit: unique, outputs: [anna] }
    - { file: tables/first.csv, hit: first, outputs: [bert] }
    - { file: tables/collect.csv, hit: collect, outputs: [all] }
"#;

const INPUTS: [&str; 4] = ["urgency", "vip", "amount", "score"];
const FILES: [(&str, &str); 3] = [("unique", "anna"), ("first", "bert"), ("collect", "all")];

/// One cell: some of a column's words, or the numbers from one to below another.
#[derive(Debug, Clone)]
enum Cell {
    Words(Vec<&'static str>),
    From(Option<i64>, Option<i64>),
}

impl Cell {
    fn text(&self, i: usize) -> String {
        match self {
            Cell::Words(w) if w.len() == words(i).len() => "-".into(),
            Cell::Words(w) => w.join("|"),
            Cell::From(None, None) => "-".into(),
            // One whole number is written as itself.
            Cell::From(Some(a), Some(b)) if i == 2 && a + 1 == *b => a.to_string(),
            Cell::From(a, b) => {
                let text = |n: &Option<i64>| n.map_or(String::new(), |n| n.to_string());
                format!("{}..{}", text(a), text(b))
            }
        }
    }

    /// Cuts a cell in two, where there is something to cut.
    fn cut(&self, rng: &mut Rng) -> Option<(Cell, Cell)> {
        match self {
            Cell::Words(w) if w.len() > 1 => {
                let (a, b) = w.split_at(1 + rng.below(w.len() - 1));
                Some((Cell::Words(a.to_vec()), Cell::Words(b.to_vec())))
            }
            Cell::Words(_) => None,
            Cell::From(a, b) => {
                let (low, high) = (a.unwrap_or(-100), b.unwrap_or(100));
                let room = high - low - 1;
                let at = low + 1 + rng.below(usize::try_from(room).ok()?.max(1)) as i64;
                (room > 0 && at < high)
                    .then_some((Cell::From(*a, Some(at)), Cell::From(Some(at), *b)))
            }
        }
    }
}

fn words(i: usize) -> Vec<&'static str> {
    match i {
        0 => vec!["low", "normal", "high"],
        _ => vec!["true", "false"],
    }
}

type Row = Vec<Cell>;

/// Rows that meet every case once: one row that meets all, cut again and again.
fn partition(rng: &mut Rng) -> Vec<Row> {
    let whole = |i| match i {
        0 | 1 => Cell::Words(words(i)),
        _ => Cell::From(None, None),
    };
    let mut rows: Vec<Row> = vec![(0..INPUTS.len()).map(whole).collect()];
    for _ in 0..2 + rng.below(8) {
        let (at, column) = (rng.below(rows.len()), rng.below(INPUTS.len()));
        if let Some((a, b)) = rows[at][column].cut(rng) {
            let mut other = rows[at].clone();
            (rows[at][column], other[column]) = (a, b);
            rows.push(other);
        }
    }
    rows
}

/// A table as a file; each row sets a value of its own.
fn csv(rows: &[Row], output: &str) -> String {
    let mut out = format!("{},{output}\n", INPUTS.join(","));
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().enumerate().map(|(i, c)| c.text(i)).collect();
        out.push_str(&format!("{},row{n}\n", cells.join(",")));
    }
    out
}

fn project(tables: &[Vec<Row>; 3]) -> Project {
    let mut project = Project::default();
    let mut add = |path: String, text: String| {
        project
            .files
            .insert(format!("workflows/case/{path}"), text.into_bytes());
    };
    add("workflow.yaml".into(), WORKFLOW.into());
    for ((file, output), rows) in FILES.iter().zip(tables) {
        add(format!("tables/{file}.csv"), csv(rows, output));
    }
    project
}

/// The rows of a table that a case meets, as `decide` has it: each row is tried alone.
fn met(program: &Program, table: usize, case: &Record) -> Vec<usize> {
    let mut alone = program.clone();
    let rows = program.tables[table].rows.clone();
    let meets = |n: &usize| {
        alone.tables[table].rows = vec![rows[*n].clone()];
        !misses(&alone, table, case)
    };
    (0..rows.len()).filter(meets).collect()
}

/// No row of a table meets a case, as `decide` has it.
fn misses(program: &Program, table: usize, record: &Record) -> bool {
    let mut case = Case::new(TenantId(1), CaseId([1; 16]), 1);
    case.record = record.clone();
    let input = Input::EventAdmitted(Admitted {
        id: EventId([1; 16]),
        endpoint: program.endpoints[0].name.clone(),
        kid: "k".into(),
        key_source: "header".into(),
        origin: [1; 32],
        seed: [5; 16],
        matched_key: None,
    });
    let nothing = Value::Record(BTreeMap::new());
    let facts = Facts {
        now: 1,
        tenant: TenantId(1),
        tenant_key: b"key",
        definition: 1,
        policy_number: 1,
        policy: &program.policy,
        threshold: 0.8,
        flags: &BTreeMap::new(),
        switches: &[],
        event: Some(&nothing),
        links: None,
        sender: None,
    };
    let Decision::Turn(turn, _) = decide(program, &case, input, &facts) else {
        panic!("a first message is taken");
    };
    let (head, _) = open(&turn.sealed).expect("the head opens");
    let miss = |e: &Entry| matches!(e, Entry::TableMiss { table: t } if *t as usize == table);
    head.entries.iter().any(miss)
}

fn field(value: Value) -> Field {
    Field {
        value,
        label: Label::Config,
        source: Source::Engine,
    }
}

/// A case of those that a message of the proof means: `urgency: low, amount: between 3 and 9`.
fn case_of(example: &str) -> Record {
    let mut out = Record::new();
    for part in example.split(", ") {
        let (name, text) = part.split_once(": ").expect("a name and a value");
        let number = |t: &str| t.parse::<Decimal>().expect("a number");
        let found = match text.split(' ').collect::<Vec<_>>().as_slice() {
            ["below", n] => Some(number(n) - Decimal::ONE),
            ["above", n] => Some(number(n) + Decimal::ONE),
            ["between", a, "and", b] => Some((number(a) + number(b)) / Decimal::TWO),
            ["any", "number"] => Some(Decimal::ZERO),
            [n] => n.parse().ok(),
            _ => None,
        };
        let value = match (name, found) {
            ("vip", _) => Value::Bool(text == "true"),
            ("amount", Some(n)) => Value::Int(n.floor().to_i64().expect("a small number")),
            (_, Some(n)) => Value::Dec(n),
            _ => Value::text(text),
        };
        out.insert(name.into(), field(value));
    }
    out
}

fn any_case(rng: &mut Rng) -> Record {
    let number = |rng: &mut Rng| rng.below(240) as i64 - 120;
    Record::from([
        ("urgency".into(), field(Value::text(*rng.pick(&words(0))))),
        ("vip".into(), field(Value::Bool(rng.share(50)))),
        ("amount".into(), field(Value::Int(number(rng)))),
        (
            "score".into(),
            field(Value::Dec(Decimal::new(number(rng) * 10 + 5, 1))),
        ),
    ])
}

#[test]
fn what_the_proof_passes_has_one_row_for_every_case() {
    let mut rng = Rng(7);
    for _ in 0..PROJECTS {
        let tables = [0; 3].map(|_| partition(&mut rng));
        let program = program(&project(&tables), "case");
        for _ in 0..CASES {
            let case = any_case(&mut rng);
            for (t, table) in program.tables.iter().enumerate() {
                assert_eq!(met(&program, t, &case).len(), 1, "{case:?}\n{}", table.file);
            }
        }
    }
}

/// What the message of one finding of a table says after some words.
fn said(project: &Project, code: &str, file: &str, before: &str) -> Option<(u32, String)> {
    let loaded = load(project, "case");
    let found: Vec<_> = loaded.diags.iter().filter(|d| d.code == code).collect();
    let [d] = found.as_slice() else {
        panic!(
            "{} findings {code}\n{}",
            found.len(),
            shown(project, &loaded)
        );
    };
    assert!(
        d.file.ends_with(&format!("tables/{file}.csv")),
        "{}",
        d.file
    );
    let text = format!("{}\n{}", d.message, d.why);
    let after = text.split(before).nth(1)?;
    Some((d.line, after.lines().next()?.to_owned()))
}

#[test]
fn a_row_that_is_left_out_leaves_the_case_that_is_printed() {
    let mut rng = Rng(11);
    for _ in 0..PROJECTS {
        let mut tables = [0; 3].map(|_| partition(&mut rng));
        let whole = program(&project(&tables), "case");
        // A table that collects needs no row for a case: a gap there is none.
        let (t, of_collect) = (rng.below(2), tables[2].len());
        tables[2].remove(rng.below(of_collect));
        if tables[t].len() < 2 {
            continue;
        }
        let lost = rng.below(tables[t].len());
        tables[t].remove(lost);
        let (line, example) =
            said(&project(&tables), "TL0410", FILES[t].0, "no row matches ").expect("a case");
        assert_eq!(line, 1, "a gap is shown at the head");
        let mut holed = whole.clone();
        holed.tables[t].rows.remove(lost);
        let case = case_of(&example);
        assert!(
            misses(&holed, t, &case),
            "{example} has a row\n{}",
            csv(&tables[t], "out")
        );
        assert_eq!(met(&whole, t, &case), [lost], "{example} is the lost row's");
    }
}

#[test]
fn a_row_that_is_widened_meets_the_case_that_is_printed_twice() {
    let mut rng = Rng(13);
    let mut found = 0;
    for _ in 0..PROJECTS {
        let mut tables = [0; 3].map(|_| partition(&mut rng));
        let (at, column) = (rng.below(tables[0].len()), rng.below(INPUTS.len()));
        let wide = match column {
            0 | 1 => Cell::Words(words(column)),
            _ => Cell::From(None, None),
        };
        if tables[0][at][column].text(column) == wide.text(column) {
            continue;
        }
        tables[0][at][column] = wide;
        // The same rows are no mistake where the first is taken, or all are.
        tables[2] = tables[0].clone();
        let project = project(&tables);
        let loaded = load(&project, "case");
        let overlaps: Vec<_> = loaded.diags.iter().filter(|d| d.code == "TL0409").collect();
        assert!(!overlaps.is_empty(), "{}", shown(&project, &loaded));
        // A program with these rows, where they are allowed.
        let mut free = project.clone();
        let text = WORKFLOW.replace("hit: unique", "hit: first");
        free.files
            .insert("workflows/case/workflow.yaml".into(), text.into_bytes());
        let overlapping = program(&free, "case");
        assert_eq!(overlapping.tables[0].hit, HitPolicy::First);
        for d in overlaps {
            assert!(d.file.ends_with("tables/unique.csv"), "{}", d.file);
            let example = d.why.split("both match ").nth(1).expect("a case");
            let first = d
                .message
                .split_whitespace()
                .find_map(|w| w.parse::<usize>().ok());
            // Line 2 is the first row.
            let both = [first.expect("a line") - 2, d.line as usize - 2];
            let rows = met(
                &overlapping,
                0,
                &case_of(example.lines().next().expect("a line")),
            );
            assert!(
                both.iter().all(|r| rows.contains(r)),
                "{example}: {rows:?}, not {both:?}"
            );
            found += 1;
        }
    }
    assert!(found > PROJECTS / 2, "{found} overlaps");
}

#[test]
fn a_row_behind_one_that_takes_everything_is_never_taken() {
    let mut rng = Rng(17);
    for _ in 0..PROJECTS {
        let mut tables = [0; 3].map(|_| partition(&mut rng));
        let copied = rng.below(tables[1].len());
        let copy = tables[1][copied].clone();
        tables[1].push(copy);
        let project = project(&tables);
        let last = tables[1].len() - 1;
        let (line, _) = said(&project, "TL0414", "first", "`hit: first` takes").expect("a reason");
        assert_eq!(line as usize, last + 2);
        let program = program(&project, "case");
        for _ in 0..CASES {
            let rows = met(&program, 1, &any_case(&mut rng));
            assert_ne!(rows.first(), Some(&last));
        }
    }
}
