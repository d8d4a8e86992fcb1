//! Parts that several pages share: the small line, words for codes, text from outside made harmless to look at.

use maud::{Markup, html};

use crate::time;
use crate::views::{By, Line, Pace, Station};

/// Distance between two stations of a small line.
const STEP: usize = 14;

/// The small line of a case: stations, filled up to where it is, the current one in the colour of its clock.
pub(crate) fn small_line(line: &Line) -> Markup {
    let n = line.stations.len().max(1);
    let width = (n - 1) * STEP + 12;
    let name = line.stations.get(line.at).map_or("", String::as_str);
    let pace = match (line.closed, line.pace) {
        (true, _) => "done",
        (_, Pace::None | Pace::OnTime) => "ontime",
        (_, Pace::Warn) => "warn",
        (_, Pace::Late) => "late",
    };
    let x = |i: usize| 6 + i * STEP;
    let last = x(line.at.min(n - 1));
    html! {
        svg class={ "line line-" (pace) } width=(width) height="12" viewBox={ "0 0 " (width) " 12" } role="img"
            aria-label={ (name) ", station " (line.at + 1) " of " (n) } {
            title { (name) }
            path class="way" d={ "M6 6H" (x(n - 1)) } {}
            path class="gone" d={ "M6 6H" (last) } {}
            @for i in 0..n {
                @let class = if i < line.at { "past" } else if i == line.at { "here" } else { "ahead" };
                circle class=(class) cx=(x(i)) cy="6" r=(if i == line.at { "4" } else { "2.5" }) {}
            }
            @if line.person {
                path class="notch" d={ "M" (last) " 0v3" } {}
            }
        }
    }
}

/// How a due time stands, words first.
pub(crate) fn due_badge(due: Option<i64>, now: i64, pace: Pace) -> Markup {
    let class = match pace {
        Pace::Late => "due late",
        Pace::Warn => "due warn",
        _ => "due",
    };
    html! {
        @match due {
            Some(at) => {
                time class=(class) datetime=(tl_kernel::time::rfc3339(at)) title={ "due " (time::clock(at)) } {
                    (time::due(at, now))
                }
            }
            None => span class="due soft" { "no due time" },
        }
    }
}

/// What a kind of task is called.
pub(crate) fn kind_words(kind: &str) -> &str {
    match kind {
        "approve" => "approval",
        "review" => "review",
        "missing" => "missing data",
        "hand_off" => "hand-off",
        "exception" => "exception",
        other => other,
    }
}

/// A name of the files as words: `needs_human` is needs human.
pub(crate) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// Who gave a value, as a word and a class.
pub(crate) fn by_words(by: By) -> (&'static str, &'static str) {
    match by {
        By::Sender => ("sender", "by-sender"),
        By::Model => ("AI", "by-ai"),
        By::Rule => ("rule", "by-rule"),
        By::Person => ("person", "by-person"),
        By::Crm => ("CRM", "by-rule"),
        By::Engine => ("engine", "by-rule"),
        By::Nobody => ("missing", "by-nobody"),
    }
}

/// Thousandths as a number between 0 and 1.
pub(crate) fn share(thousandths: u16) -> String {
    format!("{:.2}", f64::from(thousandths) / 1000.0)
}

/// A count with separated thousands.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(d);
    }
    out
}

/// So many of a thing.
pub(crate) fn several(n: u64, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {one}s", count(n)),
    }
}

/// A sentence with parts in back quotes as code.
pub(crate) fn sentence(text: &str) -> Markup {
    let text = text.replace("->", "→");
    html! {
        @for (i, part) in text.split('`').enumerate() {
            @if i % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// An id cut to what tells it apart, with the whole on hover.
pub(crate) fn short_id(id: &str) -> Markup {
    let tail: String = id.chars().rev().take(6).collect();
    let tail: String = tail.chars().rev().collect();
    let kind = id.split_once('_').map_or("", |(kind, _)| kind);
    html! { span class="id" title=(id) { (kind) "…" (tail) } }
}

/// The map of a workflow: its states with counts and the age of the oldest case in each.
pub(crate) fn map(stations: &[Station], now: i64, workflow: &str) -> Markup {
    html! {
        ol class="map" {
            @for s in stations {
                @let age = s.oldest.filter(|_| !s.terminal).map(|at| now - at);
                @let late = age.zip(s.sla).is_some_and(|(age, sla)| age > sla);
                li class={ @if s.terminal { "end" } @else if s.n == 0 { "idle" } @else if late { "over" } @else { "live" } } {
                    a href={ "/cases?state=" (s.name) "&workflow=" (workflow) } {
                        span class="map-dot" {}
                        span class="map-name" { (words(&s.name)) }
                        span class="map-n" { (count(s.n)) }
                        span class="map-age" {
                            @match age {
                                Some(age) if s.n > 0 => { "oldest " (time::lasting(age)) }
                                _ if s.terminal => { "ended here" }
                                _ => { "empty" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Small columns without an axis: a shape to see, with the numbers in words for everybody else.
pub(crate) fn columns(values: &[u64], step: &str) -> Markup {
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    let width = values.len() * 6;
    html! {
        svg class="columns" width=(width) height="24" viewBox={ "0 0 " (width) " 24" } role="img"
            aria-label={ "arrivals by the " (step) ": " (values.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) } {
            @for (i, v) in values.iter().enumerate() {
                @let h = (v * 22).div_ceil(top).max(1);
                rect class=(if *v == 0 { "none" } else { "some" }) x=(i * 6) y=(24 - h) width="4" height=(h) { title { (v) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sentences_read_well() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(
            (several(1, "task"), several(2, "task")),
            ("1 task".into(), "2 tasks".into())
        );
        assert_eq!(
            sentence("state `a<b` is").into_string(),
            "state <code>a&lt;b</code> is"
        );
    }
}
