//! The reliability table as a picture: stated confidence against the share that was right.

use std::fmt::Write as _;

use super::{Bar, Report};

const SIDE: f64 = 320.0;
const MARGIN: f64 = 44.0;

/// An SVG picture of a report's reliability table. A bar reaches to the share that was right, its whisker spans the
/// 95 % interval; on the diagonal the model says what it knows. Needs no style sheet and no script.
pub fn reliability_svg(report: &Report) -> String {
    let size = SIDE + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" width=\"{size}\" height=\"{size}\" \
         role=\"img\" aria-label=\"Reliability diagram\" font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\n"
    );
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let (x, y) = (across(share), up(share));
        let _ = writeln!(
            out,
            "<path d=\"M{MARGIN} {y:.1}H{:.1}\" stroke=\"#dde3ea\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#3b4a5a\">{share:.1}</text>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#3b4a5a\">{share:.1}</text>",
            across(1.0),
            MARGIN - 6.0,
            y + 4.0,
            up(0.0) + 16.0,
        );
    }
    let most = report
        .reliability
        .iter()
        .map(|b| b.cases)
        .max()
        .unwrap_or(0);
    for (i, bar) in report.reliability.iter().enumerate() {
        if bar.cases > 0 {
            out.push_str(&drawn(bar, i, report.reliability.len(), most));
        }
    }
    let _ = writeln!(
        out,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"#3b4a5a\" stroke-dasharray=\"4 4\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#3b4a5a\">stated confidence</text>\n\
         <text transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"#3b4a5a\">share right</text>\n\
         </svg>",
        across(0.0),
        up(0.0),
        across(1.0),
        up(1.0),
        across(0.5),
        up(0.0) + 34.0,
        up(0.5),
    );
    out
}

/// A bar; the fewer cases it stands for, the paler it is.
fn drawn(bar: &Bar, at: usize, of: usize, most: usize) -> String {
    let width = SIDE / of as f64;
    let left = across(at as f64 / of as f64);
    let middle = left + 0.5 * width;
    let top = up(bar.right.value);
    let weight = 0.25 + 0.75 * bar.cases as f64 / most as f64;
    format!(
        "<g><title>{} cases, stated {:.3}, right {:.3} ({:.3} to {:.3})</title>\
         <rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#2f6fab\" fill-opacity=\"{weight:.2}\"/>\
         <path d=\"M{middle:.1} {:.1}V{:.1}\" stroke=\"#16324f\"/></g>\n",
        bar.cases,
        bar.confidence,
        bar.right.value,
        bar.right.low,
        bar.right.high,
        left + 1.0,
        width - 2.0,
        up(0.0) - top,
        up(bar.right.low),
        up(bar.right.high),
    )
}

fn across(share: f64) -> f64 {
    MARGIN + share * SIDE
}

fn up(share: f64) -> f64 {
    MARGIN + (1.0 - share) * SIDE
}
