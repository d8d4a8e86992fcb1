//! What happened to a case, on its line: what came in at the left edge, what was decided on the line, what was done
//! at the right.

use maud::{Markup, html};

use crate::parts::sentence;
use crate::time;
use crate::views::{Side, Turn};

/// The timeline, oldest first.
pub(crate) fn timeline(turns: &[Turn]) -> Markup {
    html! {
        ol class="timeline" {
            @for (i, turn) in turns.iter().enumerate() {
                @let gap = i.checked_sub(1).and_then(|b| turns.get(b)).map(|b| turn.at - b.at);
                li class={ "turn" @if turn.person { " person" } } id={ "turn-" (turn.n) } {
                    p class="turn-head" {
                        span class="turn-n" { (turn.n) }
                        strong { (turn.actor) }
                        (time::instant(turn.at))
                        @if let Some(gap) = gap.filter(|g| *g >= 1_000_000) { span class="soft" { "after " (time::lasting(gap)) } }
                    }
                    ul {
                        @for (side, text, detail) in &turn.entries { (entry(*side, text, detail)) }
                    }
                }
            }
        }
    }
}

fn entry(side: Side, text: &str, detail: &[String]) -> Markup {
    let (class, word) = match side {
        Side::Input => ("in", "came in"),
        Side::Decision => ("decided", "decided"),
        Side::Action => ("did", "did"),
        Side::Clock => ("clock", "clock"),
    };
    html! {
        li class={ "entry " (class) } {
            span class="side" { (word) }
            @match detail.is_empty() {
                true => p { (sentence(text)) },
                false => details open[detail.len() <= 2] {
                    summary { (sentence(text)) }
                    ul { @for d in detail { li { (sentence(d)) } } }
                }
            }
        }
    }
}
