//! The picture of a graph: well-formed, complete, and nothing on top of anything else.

mod common;
mod world;

use tl_kernel::program::{Goal, Program};
use tl_kernel::time::HOUR;
use tl_lang::graph::{mermaid, svg};
use world::{Parts, Rng, base};

/// The elements of a document with their attributes; panics where tags do not close each other.
fn elements(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (mut open, mut out, mut rest) = (Vec::new(), Vec::new(), xml);
    while let Some(start) = rest.find('<') {
        assert!(
            !rest[..start].contains('>'),
            "a stray `>` before {}",
            &rest[start..]
        );
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing tags match");
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let name = tag.split_whitespace().next().expect("a name").to_owned();
        let mut attributes = Vec::new();
        let mut left = tag[name.len()..].trim();
        while !left.is_empty() {
            let (key, value) = left.split_once("=\"").expect("a quoted value");
            let (value, more) = value.split_once('"').expect("a closing quote");
            assert!(!value.contains('<'), "{value}");
            attributes.push((key.trim().to_owned(), value.to_owned()));
            left = more.trim();
        }
        if !closed {
            open.push(name.clone());
        }
        out.push((name, attributes));
    }
    assert!(open.is_empty(), "{open:?} stay open");
    out
}

fn number(attributes: &[(String, String)], key: &str) -> i32 {
    let (_, v) = attributes.iter().find(|(k, _)| k == key).expect(key);
    v.parse().expect("a number")
}

fn check(p: &Program) {
    let xml = svg(p);
    let all = elements(&xml);
    let boxes: Vec<_> = all
        .iter()
        .filter(|(n, _)| n == "rect")
        .map(|(_, a)| {
            (
                number(a, "x"),
                number(a, "y"),
                number(a, "width"),
                number(a, "height"),
            )
        })
        .collect();
    assert_eq!(boxes.len(), p.states.len());
    for (i, a) in boxes.iter().enumerate() {
        for b in &boxes[..i] {
            let apart =
                a.0 + a.2 <= b.0 || b.0 + b.2 <= a.0 || a.1 + a.3 <= b.1 || b.1 + b.3 <= a.1;
            assert!(apart, "{a:?} and {b:?} overlap");
        }
    }
    let (_, root) = &all[0];
    let inside = |(x, y, w, h): &(i32, i32, i32, i32)| {
        *x >= 0 && *y >= 0 && x + w <= number(root, "width") && y + h <= number(root, "height")
    };
    assert!(boxes.iter().all(inside));
    for e in &p.edges {
        let (from, to) = (p.state_name(e.from), p.state_name(e.to));
        assert!(
            xml.contains(&format!("data-from=\"{from}\" data-to=\"{to}\"")),
            "{from} to {to}"
        );
    }
    let text = mermaid(p);
    for (i, s) in p.states.iter().enumerate() {
        assert!(text.contains(&format!("  s{i} : {}", s.name)), "{text}");
    }
    for e in &p.edges {
        assert!(
            text.contains(&format!("  s{} --> s{}", e.from, e.to)),
            "{text}"
        );
    }
}

#[test]
fn every_state_and_edge_is_there_and_no_box_covers_another() {
    check(&base());
    let (parts, mut rng) = (Parts::new(), Rng(11));
    for _ in 0..300 {
        check(&parts.program(&mut rng).0);
    }
}

#[test]
fn owners_slas_and_breaches_are_written_down() {
    let xml = svg(&base());
    for part in [
        "<title id=\"tl-graph-title\">States of lead</title>",
        "needs_human",
        "ops, 1h",
        "SLA missed",
        "prefers-color-scheme:dark",
        "role=\"img\"",
    ] {
        assert!(xml.contains(part), "{part} in\n{xml}");
    }
    assert!(
        !xml.contains("http://") || xml.matches("http://").count() == 1,
        "only the name space"
    );
    assert!(mermaid(&base()).contains("s1 : triaged<br/>ops, 1h"));
}

#[test]
fn names_from_the_file_cannot_break_out() {
    let mut p = base();
    p.id = "<script>\"&'".into();
    p.states[3].owner = "a<b>&\"c".into();
    let xml = svg(&p);
    elements(&xml);
    assert!(xml.contains("&lt;script&gt;&quot;&amp;&#39;") && !xml.contains("<script"));
    assert!(!mermaid(&p).contains("<b>"));
}

#[test]
fn the_same_graph_gives_the_same_picture() {
    let project = common::directory("../../throughline/demo/project");
    let p = common::program(&project, "inbound_lead");
    check(&p);
    assert_eq!(svg(&p), svg(&p));
}

#[test]
fn the_goal_stands_at_its_end() {
    let mut p = base();
    assert!(!mermaid(&p).contains("goal") && !svg(&p).contains("goal"));
    p.goal = Some(Goal {
        start: 0,
        end: 4,
        sla: 2 * HOUR,
        owner: "ops".into(),
    });
    check(&p);
    assert!(mermaid(&p).contains("\n  note right of s4 : goal, within 2h from pending, ops\n"));
    assert!(svg(&p).contains("closed is the goal, within 2h from pending, ops."));
}
