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
/// Most combinations looked at in the search for a gap.
const MAX_STEPS: usize = 200_000;
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

/// One column: the boxes and, per row, which of them it holds.
struct Column<'t> {
    name: &'t str,
    boxes: Vec<String>,
    rows: Vec<Vec<bool>>,
}

/// Proves a table.
pub fn check(table: &Table, record: &RecordType) -> Vec<Finding> {
    let columns: Vec<Column<'_>> = (0..table.inputs.len())
        .map(|i| column(table, record, i))
        .collect();
    let mut out = Vec::new();
    if table.hit == HitPolicy::Unique {
        out.extend(overlaps(table, &columns));
    }
    if table.hit == HitPolicy::First {
        out.extend(shadowed(table, &columns));
    }
    if table.hit != HitPolicy::Collect && !table.rows.is_empty() {
        let mut search = Search {
            columns: &columns,
            steps: 0,
        };
        let all: Vec<usize> = (0..table.rows.len()).collect();
        match search.gap(0, &all) {
            Some(chosen) => out.push(Finding::Gap {
                example: case(&columns, &chosen),
            }),
            None if search.steps > MAX_STEPS => out.push(Finding::TooMany),
            None => {}
        }
    }
    out
}

/// Rows that are never taken: every case that they match is matched by an earlier row.
fn shadowed(table: &Table, columns: &[Column<'_>]) -> Vec<Finding> {
    let mut out = Vec::new();
    for row in 1..table.rows.len() {
        let meets = |a: &usize| {
            let shared =
                |c: &Column<'_>| (0..c.boxes.len()).any(|x| c.rows[*a][x] && c.rows[row][x]);
            columns.iter().all(shared)
        };
        let earlier: Vec<usize> = (0..row).filter(meets).collect();
        // The boxes of this row alone, and what the earlier rows hold of them.
        let own: Vec<Column<'_>> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let held: Vec<usize> = (0..c.boxes.len()).filter(|x| c.rows[row][*x]).collect();
                let mut own = Column {
                    name: c.name,
                    boxes: held.iter().map(|x| c.boxes[*x].clone()).collect(),
                    rows: (c.rows.iter())
                        .map(|r| held.iter().map(|x| r[*x]).collect())
                        .collect(),
                };
                // `-` also matches what is absent, or no value that the file names: a case of its own.
                if table.rows[row].tests[i] == CellTest::Any {
                    own.boxes.push("absent".into());
                    for (r, cells) in own.rows.iter_mut().enumerate() {
                        cells.push(table.rows[r].tests[i] == CellTest::Any);
                    }
                }
                own
            })
            .collect();
        let mut search = Search {
            columns: &own,
            steps: 0,
        };
        if search.gap(0, &earlier).is_none() && search.steps <= MAX_STEPS {
            out.push(Finding::Shadowed {
                line: table.rows[row].line,
                by: earlier.iter().map(|a| table.rows[*a].line).collect(),
            });
        }
    }
    out
}

fn column<'t>(table: &'t Table, record: &RecordType, i: usize) -> Column<'t> {
    let (name, ty) = &table.inputs[i];
    let tests: Vec<&CellTest> = table.rows.iter().map(|r| &r.tests[i]).collect();
    let numeric = matches!(ty, Type::Int | Type::Dec | Type::Float);
    let (boxes, rows) = if numeric {
        numbers(&tests)
    } else {
        let declared = record.field(name).map(|f| &f.ty).unwrap_or(ty);
        words(&tests, declared)
    };
    Column { name, boxes, rows }
}

/// Boxes of a column of words: the enum's values, both truths, or the values that occur.
fn words(tests: &[&CellTest], ty: &Type) -> (Vec<String>, Vec<Vec<bool>>) {
    let mut boxes: Vec<String> = match ty {
        Type::Enum(values) => values.clone(),
        Type::Bool => vec!["true".into(), "false".into()],
        _ => Vec::new(),
    };
    for t in tests {
        if let CellTest::OneOf(values) = t {
            for v in values.iter().map(Value::to_string) {
                if !boxes.contains(&v) {
                    boxes.push(v);
                }
            }
        }
    }
    if boxes.is_empty() {
        boxes.push("anything".into());
    }
    let rows = tests
        .iter()
        .map(|t| match t {
            CellTest::OneOf(values) => {
                let held: Vec<String> = values.iter().map(Value::to_string).collect();
                boxes.iter().map(|b| held.contains(b)).collect()
            }
            _ => vec![true; boxes.len()],
        })
        .collect();
    (boxes, rows)
}

/// Boxes of a column of numbers: the numbers that occur and the stretches between them.
fn numbers(tests: &[&CellTest]) -> (Vec<String>, Vec<Vec<bool>>) {
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
    // Below the first number, then each number and the stretch after it.
    let mut boxes: Vec<(String, Option<Decimal>, Option<Decimal>)> = Vec::new();
    match cuts.first() {
        None => boxes.push(("any number".into(), None, None)),
        Some(first) => boxes.push((format!("below {first}"), None, Some(*first))),
    }
    for (i, c) in cuts.iter().enumerate() {
        boxes.push((c.to_string(), Some(*c), Some(*c)));
        let name = match cuts.get(i + 1) {
            Some(n) => format!("between {c} and {n}"),
            None => format!("above {c}"),
        };
        boxes.push((name, Some(*c), cuts.get(i + 1).copied()));
    }
    let rows = tests
        .iter()
        .map(|t| boxes.iter().map(|(_, a, b)| holds(t, *a, *b)).collect())
        .collect();
    (boxes.into_iter().map(|(n, ..)| n).collect(), rows)
}

/// Whether a cell holds a box: a single number where both ends are the same, else the open stretch.
fn holds(test: &CellTest, low: Option<Decimal>, high: Option<Decimal>) -> bool {
    match test {
        CellTest::Any => true,
        CellTest::OneOf(values) => {
            low.is_some()
                && low == high
                && values.iter().filter_map(decimal).any(|v| Some(v) == low)
        }
        CellTest::Range(from, to) => {
            let starts = from.is_none_or(|f| low.is_some_and(|l| l >= f));
            let point = low.is_some() && low == high;
            let ends = to.is_none_or(|t| high.is_some_and(|h| if point { h < t } else { h <= t }));
            starts && ends
        }
    }
}

fn decimal(v: &Value) -> Option<Decimal> {
    match v {
        Value::Int(i) => Some(Decimal::from(*i)),
        Value::Dec(d) => Some(*d),
        Value::Float(x) => x.to_string().parse().ok(),
        _ => None,
    }
}

fn overlaps(table: &Table, columns: &[Column<'_>]) -> Vec<Finding> {
    let mut out = Vec::new();
    for b in 1..table.rows.len() {
        for a in 0..b {
            let shared: Option<Vec<usize>> = columns
                .iter()
                .map(|c| (0..c.boxes.len()).find(|x| c.rows[a][*x] && c.rows[b][*x]))
                .collect();
            if let Some(chosen) = shared {
                out.push(Finding::Overlap {
                    first: table.rows[a].line,
                    second: table.rows[b].line,
                    example: case(columns, &chosen),
                });
                if out.len() == MAX_OVERLAPS {
                    return out;
                }
                break;
            }
        }
    }
    out
}

struct Search<'c, 't> {
    columns: &'c [Column<'t>],
    steps: usize,
}

impl Search<'_, '_> {
    /// A choice of boxes for the columns from `i` on that none of the rows holds.
    fn gap(&mut self, i: usize, rows: &[usize]) -> Option<Vec<usize>> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return None;
        }
        let Some(column) = self.columns.get(i) else {
            return rows.is_empty().then(Vec::new);
        };
        if rows.is_empty() {
            return Some(vec![0; self.columns.len() - i]);
        }
        // Boxes that the same rows hold have the same gaps: one of them is enough.
        let mut seen: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for x in 0..column.boxes.len() {
            let held: Vec<usize> = rows
                .iter()
                .copied()
                .filter(|r| column.rows[*r][x])
                .collect();
            seen.entry(held).or_insert(x);
        }
        for (held, x) in seen {
            if let Some(mut rest) = self.gap(i + 1, &held) {
                rest.insert(0, x);
                return Some(rest);
            }
        }
        None
    }
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
