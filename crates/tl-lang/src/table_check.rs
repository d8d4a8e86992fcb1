//! Decision tables, proven: does every declared case match a row, and does a unique table match one at most?
//!
//! Each column is cut into boxes on which every cell of the column says the same: the values of an enum, the
//! stretches between the numbers that occur, the texts that occur. A row is then a set of boxes per column,
//! two rows overlap when they share a box in every column, and a gap is a choice of boxes that no row holds.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tl_kernel::program::{CellTest, HitPolicy, RecordType, Table};
use tl_kernel::value::{Type, Value};

/// Most input columns of a table.
pub const MAX_INPUTS: usize = 8;
/// Most rows of a table.
pub const MAX_ROWS: usize = 2_000;
/// Most work of a proof, in words of 64 rows looked at: a tenth of a second. What needs more is not proven.
const MAX_WORK: usize = 50_000_000;
/// Most overlaps reported for one table.
const MAX_OVERLAPS: usize = 5;

/// What the proof found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Two rows of a unique table match the same case: their lines, and such a case.
    Overlap {
        /// Line of the earlier row.
        first: u32,
        /// Line of the later row.
        second: u32,
        /// A case that both match.
        example: String,
    },
    /// Earlier rows of a table that takes the first match leave a row nothing.
    Shadowed {
        /// Line of the row.
        line: u32,
        /// Lines of the earlier rows that match something of what it matches.
        by: Vec<u32>,
    },
    /// No row matches a case.
    Gap {
        /// Such a case.
        example: String,
    },
    /// Too many combinations to tell whether there is a gap.
    TooMany,
}

/// Some of a table's rows, one bit each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Rows(Vec<u64>);

impl Rows {
    fn none(of: usize) -> Rows {
        Rows(vec![0; of.div_ceil(64)])
    }

    /// The rows before one.
    fn before(row: usize, of: usize) -> Rows {
        let mut out = Rows::none(of);
        (0..row).for_each(|r| out.insert(r));
        out
    }

    fn insert(&mut self, row: usize) {
        self.0[row / 64] |= 1 << (row % 64);
    }

    fn has(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 == 1
    }

    fn first(&self) -> Option<usize> {
        let word = self.0.iter().position(|w| *w != 0)?;
        Some(word * 64 + self.0[word].trailing_zeros() as usize)
    }

    fn and(&self, other: &Rows) -> Rows {
        Rows(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }

    fn add(&mut self, other: &Rows) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len() * 64).filter(|r| self.has(*r))
    }
}

/// One column: the boxes, which rows hold each of them, and the rows that say nothing about it.
struct Column<'t> {
    name: &'t str,
    boxes: Vec<String>,
    held: Vec<Rows>,
    any: Rows,
}

/// What may still be looked at.
struct Work(usize);

impl Work {
    /// Takes the work of looking at so many sets of rows. `None`: there is none left.
    fn take(&mut self, sets: usize, rows: &Rows) -> Option<()> {
        self.0 = self.0.checked_sub(sets * rows.0.len().max(1))?;
        Some(())
    }
}

/// Proves a table.
pub fn check(table: &Table, record: &RecordType) -> Vec<Finding> {
    let columns: Vec<Column<'_>> = (0..table.inputs.len())
        .map(|i| column(table, record, i))
        .collect();
    let (mut out, mut work) = (Vec::new(), Work(MAX_WORK));
    if table.hit != HitPolicy::Collect && !table.rows.is_empty() {
        let all = Rows::before(table.rows.len(), table.rows.len());
        match gap((&columns, None), &all, &mut work) {
            Ok(Some(chosen)) => out.push(Finding::Gap {
                example: case(&columns, &chosen),
            }),
            Ok(None) => {}
            Err(TooMuch) => out.push(Finding::TooMany),
        }
    }
    let more = match table.hit {
        HitPolicy::Unique => overlaps(table, &columns, &mut work),
        HitPolicy::First => shadowed(table, &columns, &mut work),
        HitPolicy::Collect => Ok(Vec::new()),
    };
    match more {
        // Overlaps come first: mending one may open the gap.
        Ok(mut found) => {
            found.append(&mut out);
            out = found;
        }
        Err(TooMuch) => out = vec![Finding::TooMany],
    }
    out
}

/// The proof would take too long.
struct TooMuch;

/// Rows that are never taken: every case that they match is matched by an earlier row.
fn shadowed(
    table: &Table,
    columns: &[Column<'_>],
    work: &mut Work,
) -> Result<Vec<Finding>, TooMuch> {
    let mut out = Vec::new();
    for row in 1..table.rows.len() {
        let earlier = met(columns, row, work)?;
        if earlier.first().is_some() && gap((columns, Some(row)), &earlier, work)?.is_none() {
            out.push(Finding::Shadowed {
                line: table.rows[row].line,
                by: earlier.all().map(|a| table.rows[a].line).collect(),
            });
        }
    }
    Ok(out)
}

/// The rows before one that share a box with it in every column.
fn met(columns: &[Column<'_>], row: usize, work: &mut Work) -> Result<Rows, TooMuch> {
    let of = columns.first().map_or(row + 1, |c| c.any.0.len() * 64);
    let mut out = Rows::before(row, of);
    for c in columns.iter().filter(|c| !c.any.has(row)) {
        work.take(c.held.len(), &out).ok_or(TooMuch)?;
        let mut shares = c.any.clone();
        for held in c.held.iter().filter(|h| h.has(row)) {
            shares.add(held);
        }
        out = out.and(&shares);
    }
    Ok(out)
}

fn column<'t>(table: &'t Table, record: &RecordType, i: usize) -> Column<'t> {
    let (name, ty) = &table.inputs[i];
    let tests: Vec<&CellTest> = table.rows.iter().map(|r| &r.tests[i]).collect();
    let numeric = matches!(ty, Type::Int | Type::Dec | Type::Float);
    let (boxes, held) = if numeric {
        numbers(&tests, *ty == Type::Int)
    } else {
        let declared = record.field(name).map(|f| &f.ty).unwrap_or(ty);
        words(&tests, declared)
    };
    let mut any = Rows::none(tests.len());
    let says_nothing = |t: &&CellTest| **t == CellTest::Any;
    let free = tests.iter().enumerate().filter(|(_, t)| says_nothing(t));
    free.for_each(|(r, _)| any.insert(r));
    Column {
        name,
        boxes,
        held,
        any,
    }
}

/// Boxes of a column of words: the enum's values, both truths, or the values that occur.
fn words(tests: &[&CellTest], ty: &Type) -> (Vec<String>, Vec<Rows>) {
    let mut boxes: Vec<String> = match ty {
        Type::Enum(values) => values.clone(),
        Type::Bool => vec!["true".into(), "false".into()],
        _ => Vec::new(),
    };
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    boxes.iter().enumerate().for_each(|(i, b)| {
        at.entry(b.clone()).or_insert(i);
    });
    for t in tests {
        if let CellTest::OneOf(values) = t {
            for v in values.iter().map(Value::to_string) {
                if !at.contains_key(&v) {
                    at.insert(v.clone(), boxes.len());
                    boxes.push(v);
                }
            }
        }
    }
    if boxes.is_empty() {
        boxes.push("anything".into());
    }
    let mut held = vec![Rows::none(tests.len()); boxes.len()];
    for (r, t) in tests.iter().enumerate() {
        match t {
            CellTest::OneOf(values) => {
                let all = values.iter().filter_map(|v| at.get(&v.to_string()));
                all.for_each(|x| held[*x].insert(r));
            }
            _ => held.iter_mut().for_each(|h| h.insert(r)),
        }
    }
    (boxes, held)
}

/// Boxes of a column of numbers: the numbers that occur and the stretches between them. The stretch below the
/// first number is box 0; the number at position `i` is box `2i + 1`, and the stretch after it the next. Where
/// numbers are whole, a stretch between neighbours is no box.
fn numbers(tests: &[&CellTest], whole: bool) -> (Vec<String>, Vec<Rows>) {
    let mut cuts: Vec<Decimal> = Vec::new();
    for t in tests {
        match t {
            CellTest::Range(a, b) => cuts.extend(a.iter().chain(b)),
            CellTest::OneOf(values) => cuts.extend(values.iter().filter_map(decimal)),
            CellTest::Any => {}
        }
    }
    cuts.sort();
    cuts.dedup();
    let mut boxes = vec![match cuts.first() {
        None => "any number".to_owned(),
        Some(first) => format!("below {first}"),
    }];
    for (i, c) in cuts.iter().enumerate() {
        boxes.push(c.to_string());
        boxes.push(match cuts.get(i + 1) {
            Some(n) => format!("between {c} and {n}"),
            None => format!("above {c}"),
        });
    }
    let at = |d: &Decimal| 2 * cuts.partition_point(|c| c < d) + 1;
    let mut held = vec![Rows::none(tests.len()); boxes.len()];
    for (r, t) in tests.iter().enumerate() {
        match t {
            CellTest::Any => held.iter_mut().for_each(|h| h.insert(r)),
            CellTest::OneOf(values) => {
                let all = values.iter().filter_map(decimal);
                all.for_each(|d| held[at(&d)].insert(r));
            }
            CellTest::Range(from, to) => {
                let from = from.as_ref().map_or(0, at);
                let to = to.as_ref().map_or(boxes.len(), at);
                held.iter_mut()
                    .take(to)
                    .skip(from)
                    .for_each(|h| h.insert(r));
            }
        }
    }
    let is_empty = |x: usize| {
        let neighbours = x.checked_sub(2).and_then(|n| cuts.get(n / 2..n / 2 + 2));
        whole && x.is_multiple_of(2) && neighbours.is_some_and(|n| n[1] - n[0] <= Decimal::ONE)
    };
    let kept = boxes.into_iter().zip(held).enumerate();
    kept.filter(|(x, _)| !is_empty(*x))
        .map(|(_, both)| both)
        .unzip()
}

fn decimal(v: &Value) -> Option<Decimal> {
    match v {
        Value::Int(i) => Some(Decimal::from(*i)),
        Value::Dec(d) => Some(*d),
        Value::Float(x) => x.to_string().parse().ok(),
        _ => None,
    }
}

fn overlaps(
    table: &Table,
    columns: &[Column<'_>],
    work: &mut Work,
) -> Result<Vec<Finding>, TooMuch> {
    let mut out = Vec::new();
    for b in 1..table.rows.len() {
        let Some(a) = met(columns, b, work)?.first() else {
            continue;
        };
        let both = |c: &Column<'_>| c.held.iter().position(|h| h.has(a) && h.has(b));
        let chosen: Option<Vec<usize>> = columns.iter().map(both).collect();
        out.push(Finding::Overlap {
            first: table.rows[a].line,
            second: table.rows[b].line,
            example: case(columns, &chosen.unwrap_or_default()),
        });
        if out.len() == MAX_OVERLAPS {
            break;
        }
    }
    Ok(out)
}

/// A choice of boxes for the columns that none of the rows holds; of one row's own boxes, where one is named.
fn gap(
    (columns, own): (&[Column<'_>], Option<usize>),
    rows: &Rows,
    work: &mut Work,
) -> Result<Option<Vec<usize>>, TooMuch> {
    let Some((column, rest)) = columns.split_first() else {
        return Ok(rows.first().is_none().then(Vec::new));
    };
    if rows.first().is_none() {
        return Ok(Some(vec![0; columns.len()]));
    }
    work.take(column.held.len(), rows).ok_or(TooMuch)?;
    let is_own = |h: &&Rows| own.is_none_or(|row| h.has(row));
    let mut sets: Vec<&Rows> = column.held.iter().filter(is_own).collect();
    // `-` also matches what is absent, or no value that the file names: a case of its own.
    sets.extend(own.filter(|row| column.any.has(*row)).map(|_| &column.any));
    // Boxes that the same rows hold have the same gaps: one of them is enough.
    let mut seen: BTreeMap<Rows, usize> = BTreeMap::new();
    for (x, held) in sets.into_iter().enumerate() {
        seen.entry(rows.and(held)).or_insert(x);
    }
    for (held, x) in seen {
        if let Some(mut chosen) = gap((rest, own), &held, work)? {
            chosen.insert(0, x);
            return Ok(Some(chosen));
        }
    }
    Ok(None)
}

/// A case in words: `intent: demo, budget: below 10`.
fn case(columns: &[Column<'_>], chosen: &[usize]) -> String {
    let parts: Vec<String> = columns
        .iter()
        .zip(chosen)
        .map(|(c, x)| {
            format!(
                "{}: {}",
                c.name,
                c.boxes.get(*x).map_or("anything", String::as_str)
            )
        })
        .collect();
    if parts.is_empty() {
        "any case".into()
    } else {
        parts.join(", ")
    }
}
