//! The report as one HTML page that needs nothing else: no script, no style sheet, no font from outside.

use std::fmt::Write as _;

use tl_learn::eval::reliability_svg;

use super::{Judged, Outcome, comparison, coverage, summary};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#16202b}\
    h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}\
    th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #dde3ea}th:first-child,td:first-child{text-align:left}\
    pre{white-space:pre-wrap;font:inherit}";

/// The page.
pub fn html(outcome: &Outcome) -> String {
    let title = escape(&format!("Evaluation of {}", outcome.workflow));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
         <body>\n<h1>{title}</h1>\n"
    );
    if outcome.known > 0 {
        let _ = writeln!(
            out,
            "<p>{} messages were left out because they stand among the examples.</p>",
            outcome.known
        );
    }
    if let Some((other, paired)) = &outcome.against {
        let _ = writeln!(
            out,
            "<h2>Compared with version {}</h2>\n<p>{}</p>",
            escape(&other.name),
            escape(&comparison(paired))
        );
    }
    version(&mut out, &outcome.version);
    if let Some((other, _)) = &outcome.against {
        version(&mut out, other);
    }
    out.push_str("</body></html>\n");
    out
}

fn version(out: &mut String, judged: &Judged) {
    let report = &judged.report;
    let _ = writeln!(
        out,
        "<h2>Version {}: {} messages</h2>\n<ul>",
        escape(&judged.name),
        report.cases
    );
    for line in summary(judged) {
        let _ = writeln!(out, "<li>{}</li>", escape(&line));
    }
    out.push_str("</ul>\n<h3>What could go through unattended</h3>\n<ul>\n");
    for row in &report.coverage {
        let _ = writeln!(out, "<li>{}</li>", escape(&coverage(row)));
    }
    out.push_str("</ul>\n<h3>Stated confidence and what was right</h3>\n");
    out.push_str(&reliability_svg(report));
    out.push_str(
        "<h3>Labels</h3>\n<table><tr><th>label</th><th>messages</th><th>said</th><th>right</th>\
         <th>precision</th><th>recall</th><th>F1</th></tr>\n",
    );
    for l in &report.labels {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3}</td><td>{:.3}</td><td>{:.3}</td></tr>",
            escape(&l.label),
            l.cases,
            l.said,
            l.right,
            l.precision,
            l.recall,
            l.f1
        );
    }
    out.push_str("</table>\n<h3>Mistakes</h3>\n<table><tr><th>right</th><th>taken for</th><th>messages</th></tr>\n");
    for c in &report.confusions {
        let said = if c.said.is_empty() {
            "no opinion"
        } else {
            &c.said
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&c.truth),
            escape(said),
            c.cases
        );
    }
    out.push_str("</table>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
