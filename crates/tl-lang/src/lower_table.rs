//! `worker.tables`: decision tables in CSV, from their head to their cells.

use rust_decimal::Decimal;
use tl_kernel::program::{CellTest, HitPolicy, Table, TableRow};
use tl_kernel::value::{Type, Value};

use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span};
use crate::keys::{HIT, TABLE};
use crate::literal;
use crate::load::Lower;
use crate::rows::{Cell, Row, rows};
use crate::suggest::{listed, nearest};
use crate::table_check::{self, Finding, MAX_INPUTS, MAX_ROWS};
use crate::tree::Node;

/// One table of the file, read and proven.
pub(crate) fn table(l: &mut Lower<'_>, node: &Node) -> Option<Table> {
    let keys = l.cx.section(node, &TABLE)?;
    let file = match keys.get("file") {
        Some(n) => l.beside(n),
        None => {
            l.cx.missing(keys, "file", "tables/owner.csv");
            None
        }
    };
    let hit = match keys.get("hit").and_then(|n| l.cx.word(n, HIT)) {
        Some("unique") => HitPolicy::Unique,
        Some("collect") => HitPolicy::Collect,
        _ => HitPolicy::First,
    };
    if keys.get("outputs").is_none() {
        l.cx.missing(keys, "outputs", "[owner]");
    }
    let (path, text) = file?;
    let outputs = columns(l, keys, "outputs")?;
    let inputs = columns(l, keys, "inputs");
    let mut csv = Csv {
        l,
        path,
        text,
        hit: keys.get("hit").map(|n| n.span),
        broken: false,
    };
    let table = csv.table(keys, hit, inputs, &outputs)?;
    csv.prove(&table);
    (!csv.broken).then_some(table)
}

/// The field names under a key, each with its place in the workflow file.
fn columns(l: &mut Lower<'_>, keys: Keys<'_>, key: &str) -> Option<Vec<(String, Node)>> {
    let nodes = l.cx.name_nodes(keys.get(key)?);
    Some(
        nodes
            .into_iter()
            .filter_map(|n| Some((n.text()?.to_owned(), n)))
            .collect(),
    )
}

/// Longest file of a table, bytes: the most rows of the most columns have room.
const MAX_FILE: usize = 1024 * 1024;
const TOO_LARGE: &str = "the table is too large to be proven";

struct Csv<'l, 'a> {
    l: &'l mut Lower<'a>,
    path: String,
    text: &'a str,
    /// Where the hit policy stands.
    hit: Option<Span>,
    broken: bool,
}

impl Csv<'_, '_> {
    fn push(&mut self, p: Problem) {
        self.broken |= p.severity == crate::diag::Severity::Error;
        let diag = p.in_file(&self.path, self.text);
        self.l.others.push(diag);
    }

    fn table(
        &mut self,
        keys: Keys<'_>,
        hit: HitPolicy,
        inputs: Option<Vec<(String, Node)>>,
        outputs: &[(String, Node)],
    ) -> Option<Table> {
        if self.text.len() > MAX_FILE {
            let file = keys.get("file")?;
            let p = Problem::new("TL0411", file.span, TOO_LARGE);
            self.l
                .cx
                .push(p.why(format!("its file may have {MAX_FILE} bytes; split it")));
            return None;
        }
        let mut all = rows(self.text).into_iter();
        let Some(head) = all.next() else {
            let n = keys.get("file")?;
            let p = Problem::new("TL0407", n.span, format!("{} is empty", self.path));
            self.l
                .cx
                .push(p.mend(keys.node.removal("take the table out")));
            return None;
        };
        let types = self.head(&head, hit)?;
        if hit == HitPolicy::Collect {
            self.collected(outputs);
        }
        let at = |name: &str| head.cells.iter().position(|c| c.text == name);
        for (name, node) in inputs.iter().flatten().chain(outputs) {
            if at(name).is_none() {
                let known: Vec<&str> = head.cells.iter().map(|c| c.text.as_str()).collect();
                self.l
                    .cx
                    .unknown("TL0407", node, "the column", known.iter().copied());
                self.broken = true;
            }
        }
        let out: Vec<usize> = outputs.iter().filter_map(|(n, _)| at(n)).collect();
        let ins: Vec<usize> = match &inputs {
            Some(names) => names.iter().filter_map(|(n, _)| at(n)).collect(),
            None => (0..head.cells.len()).filter(|i| !out.contains(i)).collect(),
        };
        let body: Vec<Row> = all.collect();
        if ins.len() > MAX_INPUTS || body.len() > MAX_ROWS {
            let why =
                format!("a table has at most {MAX_INPUTS} inputs and {MAX_ROWS} rows; split it");
            self.push(Problem::new("TL0411", head.span, TOO_LARGE).why(why));
            return None;
        }
        let rows = body
            .iter()
            .filter_map(|r| self.row(r, &head, &types, (&ins, &out)))
            .collect();
        Some(Table {
            file: self.path.clone(),
            hit,
            inputs: ins
                .iter()
                .map(|i| (head.cells[*i].text.clone(), types[*i].clone()))
                .collect(),
            outputs: out.iter().map(|i| head.cells[*i].text.clone()).collect(),
            rows,
        })
    }

    /// All rows that match give a value each: the field that takes them is a list.
    fn collected(&mut self, outputs: &[(String, Node)]) {
        for (name, node) in outputs {
            let Some(ty) = self.l.record.field(name).map(|f| f.ty.clone()) else {
                continue;
            };
            if matches!(ty, Type::List(_)) {
                continue;
            }
            let p = Problem::new(
                "TL0407",
                node.span,
                format!("`{name}` cannot take the values of several rows"),
            )
            .why(format!(
                "`hit: collect` gives a list, and `{name}` is of type {}; give it the type `list of {}`, or take \
                 the first row that matches",
                ty.word(),
                ty.word()
            ));
            let p = match self.hit {
                Some(hit) => p.mend(Mend::replace(hit, "first", "write `hit: first`")),
                None => p,
            };
            self.l.cx.push(p);
            self.broken = true;
        }
    }

    /// The type of each column, from the record.
    fn head(&mut self, head: &Row, hit: HitPolicy) -> Option<Vec<Type>> {
        let mut types = Vec::new();
        for c in &head.cells {
            match self.l.record.field(&c.text) {
                Some(f) => types.push(match &f.ty {
                    Type::List(of) if hit == HitPolicy::Collect => (**of).clone(),
                    other => other.clone(),
                }),
                None => {
                    let names: Vec<String> = self
                        .l
                        .record
                        .fields
                        .iter()
                        .map(|f| f.name.clone())
                        .collect();
                    let known = names.iter().map(String::as_str);
                    let p = Problem::new(
                        "TL0407",
                        c.span,
                        format!("the record has no field `{}`", c.text),
                    )
                    .why(format!("the fields are {}", listed(known.clone())));
                    self.push(match nearest(&c.text, known) {
                        Some(k) => p.mend(Mend::replace(c.span, k, format!("did you mean `{k}`?"))),
                        None => p,
                    });
                }
            }
        }
        (types.len() == head.cells.len()).then_some(types)
    }

    fn row(
        &mut self,
        row: &Row,
        head: &Row,
        types: &[Type],
        (ins, out): (&[usize], &[usize]),
    ) -> Option<TableRow> {
        if row.cells.len() != head.cells.len() {
            let (have, want) = (row.cells.len(), head.cells.len());
            let p = Problem::new(
                "TL0408",
                row.span,
                format!("{have} cells in a table of {want} columns"),
            );
            self.push(if have < want {
                p.mend(Mend::insert(
                    row.span.end,
                    ",-".repeat(want - have),
                    "fill the row up with `-`",
                ))
            } else {
                let gone = Span::new(row.cells[want - 1].span.end, row.span.end);
                p.mend(Mend::replace(gone, "", "take the last cells out"))
            });
            return None;
        }
        let tests: Vec<Option<CellTest>> = ins
            .iter()
            .map(|i| self.test(&row.cells[*i], &types[*i]))
            .collect();
        let values: Vec<Option<Value>> = out
            .iter()
            .map(|i| self.output(&head.cells[*i].text, &row.cells[*i], &types[*i]))
            .collect();
        Some(TableRow {
            tests: tests.into_iter().collect::<Option<_>>()?,
            values: values.into_iter().collect::<Option<_>>()?,
            line: row.line,
        })
    }

    /// What a row gives a field.
    fn output(&mut self, field: &str, cell: &Cell, ty: &Type) -> Option<Value> {
        let value = self.value(cell, ty)?;
        let name = match &value {
            Value::Text(name) => name.as_str(),
            _ => return Some(value),
        };
        match self.l.unknown_in_field(field, name, cell.span) {
            Some(p) => {
                self.push(p);
                None
            }
            None => Some(value),
        }
    }

    fn value(&mut self, cell: &Cell, ty: &Type) -> Option<Value> {
        if cell.text.is_empty() || cell.text == "-" {
            return Some(Value::Null);
        }
        literal::value(&cell.text, ty)
            .map_err(|b| self.bad_cell(cell.span, b))
            .ok()
    }

    fn bad_cell(&mut self, span: Span, bad: literal::Bad) {
        let p = Problem::new("TL0408", span, bad.message).why(bad.why);
        self.push(match bad.instead {
            Some(w) => p.mend(Mend::replace(span, &w, format!("did you mean `{w}`?"))),
            None => p.mend(Mend::replace(span, "-", "write `-`: any value")),
        });
    }

    fn test(&mut self, cell: &Cell, ty: &Type) -> Option<CellTest> {
        let text = cell.text.as_str();
        if text.is_empty() || text == "-" {
            return Some(CellTest::Any);
        }
        if matches!(ty, Type::Int | Type::Dec | Type::Float)
            && let Some(range) = range(text, ty)
        {
            if let CellTest::Range(Some(a), Some(b)) = &range
                && a >= b
            {
                let p = Problem::new("TL0408", cell.span, format!("the range `{text}` is empty"))
                    .why("a range goes from its first number up to, but not including, its second");
                self.push(p.mend(Mend::replace(
                    cell.span,
                    format!("{b}..{a}"),
                    format!("write `{b}..{a}`"),
                )));
                return None;
            }
            return Some(range);
        }
        let mut values = Vec::new();
        let mut at = cell.span.start;
        for part in text.split('|') {
            let trimmed = part.trim();
            match literal::value(trimmed, ty) {
                Ok(v) => values.push(v),
                Err(b) => {
                    let start = self.text[at..].find(trimmed).map_or(at, |n| at + n);
                    self.bad_cell(
                        Span::new(start, (start + trimmed.len()).min(cell.span.end)),
                        b,
                    );
                    return None;
                }
            }
            at += part.len();
        }
        Some(CellTest::OneOf(values))
    }

    fn too_many(&mut self, all: &[Row]) {
        if let Some(head) = all.first() {
            let p = Problem::new("TL0411", head.span, TOO_LARGE);
            self.push(p.why(
                "its rows cut its columns into more combinations than can be looked at; split it, or take a \
                 column out",
            ));
        }
    }

    fn prove(&mut self, table: &Table) {
        if self.broken {
            return;
        }
        let all = rows(self.text);
        let place = |line: u32| all.iter().find(|r| r.line == line);
        for finding in table_check::check(table, &self.l.record) {
            match finding {
                Finding::Overlap {
                    first,
                    second,
                    example,
                } => {
                    let Some(row) = place(second) else { continue };
                    let p = Problem::new(
                        "TL0409",
                        row.span,
                        format!("this row and line {first} match the same case"),
                    )
                    .why(format!("`hit: unique` allows one; both match {example}"));
                    self.push(p.mend(Mend::replace(
                        row.whole,
                        "",
                        "take this row out, or narrow one of the two",
                    )));
                }
                Finding::Shadowed { line, by } => {
                    let Some(row) = place(line) else { continue };
                    let by: Vec<String> = by.iter().map(u32::to_string).collect();
                    let (lines, match_) = match by.len() {
                        1 => ("line", "matches"),
                        _ => ("lines", "match"),
                    };
                    let p = Problem::new("TL0414", row.span, format!("line {line} is never taken"))
                        .why(format!(
                            "`hit: first` takes the first row that matches, and {lines} {} {match_} every case that \
                             this row matches",
                            by.join(", ")
                        ));
                    let p = p.warning();
                    self.push(p.mend(Mend::replace(
                        row.whole,
                        "",
                        "take this row out, or move it up",
                    )));
                }
                Finding::Gap { example } => {
                    let Some(head) = all.first() else { continue };
                    let p = Problem::new("TL0410", head.span, format!("no row matches {example}"))
                        .why("the fields that the table sets would stay absent for such a case");
                    self.push(match catch_all(table, &all) {
                        Some(row) => {
                            let end = self.text.trim_end().len();
                            p.mend(Mend::insert(end, row, "add a last row for everything else"))
                        }
                        None => p.mend(Mend {
                            edits: Vec::new(),
                            say: "add a row for it, or write `hit: first` and a last row of `-`"
                                .into(),
                        }),
                    });
                }
                Finding::TooMany => self.too_many(&all),
            }
        }
    }
}

/// A last row that matches everything, with the outputs of the row before it. A unique table can have none:
/// it would match what the others match.
fn catch_all(table: &Table, all: &[Row]) -> Option<String> {
    let (head, last) = (all.first()?, all.last()?);
    if table.hit == HitPolicy::Unique || all.len() < 2 {
        return None;
    }
    let cells: Vec<&str> = head
        .cells
        .iter()
        .zip(&last.cells)
        .map(|(h, c)| {
            if table.outputs.contains(&h.text) {
                c.text.as_str()
            } else {
                "-"
            }
        })
        .collect();
    Some(format!("\n{}", cells.join(",")))
}

/// `10..50`, `..50`, `10..`, `>=10`, `<5`; also `>10` and `<=5` for whole numbers.
fn range(text: &str, ty: &Type) -> Option<CellTest> {
    let number = |t: &str| t.trim().parse::<Decimal>().ok();
    let next = |t: &str| {
        number(t)
            .filter(|_| *ty == Type::Int)
            .map(|d| d + Decimal::ONE)
    };
    if let Some(t) = text.strip_prefix(">=") {
        return Some(CellTest::Range(Some(number(t)?), None));
    }
    if let Some(t) = text.strip_prefix("<=") {
        return Some(CellTest::Range(None, Some(next(t)?)));
    }
    if let Some(t) = text.strip_prefix('>') {
        return Some(CellTest::Range(Some(next(t)?), None));
    }
    if let Some(t) = text.strip_prefix('<') {
        return Some(CellTest::Range(None, Some(number(t)?)));
    }
    let (a, b) = text.split_once("..")?;
    let open = |t: &str| {
        if t.trim().is_empty() {
            Some(None)
        } else {
            number(t).map(Some)
        }
    };
    Some(CellTest::Range(open(a)?, open(b)?))
}
