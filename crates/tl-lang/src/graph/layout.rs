//! Where the boxes and lines of a state graph go.

use tl_kernel::program::Program;

/// Width of a box.
pub(super) const BOX_W: i32 = 190;
/// Height of a box.
pub(super) const BOX_H: i32 = 52;
/// Space between boxes of a row.
const GAP_X: i32 = 60;
/// Space between rows; lines and labels run through it.
const GAP_Y: i32 = 64;
/// Space around everything.
const MARGIN: i32 = 20;
/// Distance of the lanes at the right.
const LANE: i32 = 16;
/// Room for a label beside the last lane.
const LABEL: i32 = 190;

/// The left upper corner of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Box {
    pub(super) x: i32,
    pub(super) y: i32,
}

/// The corners of a line, and where its label begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) points: Vec<(i32, i32)>,
    pub(super) label: (i32, i32),
}

/// A whole picture: boxes by state, lines by edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Box>,
    pub(super) lines: Vec<Line>,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// Lays a graph out.
pub(super) fn layout(program: &Program) -> Layout {
    let rows = rows(program);
    let last = rows.iter().copied().max().unwrap_or(0);
    let mut in_row = vec![0; last + 1];
    let places: Vec<(usize, i32)> = rows
        .iter()
        .map(|r| {
            in_row[*r] += 1;
            (*r, in_row[*r] - 1)
        })
        .collect();
    let widest = in_row.iter().copied().max().unwrap_or(1);
    let inner = widest * BOX_W + (widest - 1) * GAP_X;
    let boxes: Vec<Box> = places
        .iter()
        .map(|(row, at)| {
            let n = in_row[*row];
            let width = n * BOX_W + (n - 1) * GAP_X;
            Box {
                x: MARGIN + (inner - width) / 2 + at * (BOX_W + GAP_X),
                y: MARGIN + *row as i32 * (BOX_H + GAP_Y),
            }
        })
        .collect();
    let right = MARGIN + inner;
    let mut lines = Vec::new();
    let mut lanes = 0;
    for (i, e) in program.edges.iter().enumerate() {
        let (Some(from), Some(to)) = (boxes.get(usize::from(e.from)), boxes.get(usize::from(e.to)))
        else {
            lines.push(Line {
                points: Vec::new(),
                label: (0, 0),
            });
            continue;
        };
        let (row, next) = (rows[usize::from(e.from)], rows[usize::from(e.to)]);
        if next == row + 1 {
            lines.push(down(i, *from, *to));
        } else {
            lanes += 1;
            lines.push(around(i, *from, *to, right + lanes * LANE));
        }
    }
    Layout {
        boxes,
        lines,
        width: right + lanes * LANE + LABEL,
        height: MARGIN * 2 + (last as i32 + 1) * (BOX_H + GAP_Y) - GAP_Y + LANE * 2,
    }
}

/// The row of each state: its distance from the first; terminal states come last, unreachable ones below all
/// others that are not terminal.
fn rows(program: &Program) -> Vec<usize> {
    let n = program.states.len();
    let mut rows = vec![usize::MAX; n];
    let mut open = std::collections::VecDeque::from([(0usize, 0usize)]);
    while let Some((at, row)) = open.pop_front() {
        if at >= n || rows[at] != usize::MAX {
            continue;
        }
        rows[at] = row;
        if program.states[at].terminal {
            continue;
        }
        let next = program.edges.iter().filter(|e| usize::from(e.from) == at);
        open.extend(next.map(|e| (usize::from(e.to), row + 1)));
    }
    let inner = |i: &usize| !program.states[*i].terminal;
    let reached = (0..n)
        .filter(inner)
        .map(|i| rows[i])
        .filter(|r| *r != usize::MAX)
        .max()
        .unwrap_or(0);
    let lost = (0..n).filter(inner).any(|i| rows[i] == usize::MAX);
    for (row, state) in rows.iter_mut().zip(&program.states) {
        if state.terminal {
            *row = reached + 1 + usize::from(lost);
        } else if *row == usize::MAX {
            *row = reached + 1;
        }
    }
    rows
}

/// Small shifts keep lines of one box apart.
fn shift(i: usize) -> i32 {
    (i as i32 % 7 - 3) * 18
}

/// From a box to one in the next row, with one bend between the rows.
fn down(i: usize, from: Box, to: Box) -> Line {
    let (x1, x2) = (from.x + BOX_W / 2 + shift(i), to.x + BOX_W / 2 + shift(i));
    let (y1, y2) = (from.y + BOX_H, to.y);
    let bend = y1 + 14 + (i as i32 % 4) * 11;
    Line {
        points: vec![(x1, y1), (x1, bend), (x2, bend), (x2, y2)],
        label: (x2 + 6, y2 - 8),
    }
}

/// From a box to any other, or back to itself, along a lane at the right.
fn around(i: usize, from: Box, to: Box, lane: i32) -> Line {
    let (x1, x2) = (
        from.x + BOX_W / 2 + shift(i),
        to.x + BOX_W / 2 + shift(i + 2),
    );
    let below = from.y + BOX_H + 8 + (i as i32 % 5) * 9;
    let above = to.y - 8 - (i as i32 % 3) * 4;
    Line {
        points: vec![
            (x1, from.y + BOX_H),
            (x1, below),
            (lane, below),
            (lane, above),
            (x2, above),
            (x2, to.y),
        ],
        label: (lane + 4, (below + above) / 2 + 4 + (i as i32 % 3 - 1) * 14),
    }
}
