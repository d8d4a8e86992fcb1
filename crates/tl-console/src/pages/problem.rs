//! What went wrong, as a page.

use maud::{Markup, html};

use crate::shell::{Page, alone};
use crate::trouble::Trouble;

fn body(t: &Trouble) -> Markup {
    html! {
        div class="problem" {
            h1 { (t.title) }
            p { (crate::parts::sentence(&t.said)) }
            @if let Some((words, to)) = &t.next { p { a class="button primary" href=(to) { (words) } } }
            @if !t.code.is_empty() { p class="soft" { (t.code) ": " code { "throughline explain " (t.code) } " prints its runbook" } }
        }
    }
}

/// For somebody who is signed in.
pub(crate) fn page(t: &Trouble) -> Page {
    Page {
        title: t.title.clone(),
        place: "",
        body: body(t),
        keys: Vec::new(),
    }
}

/// For somebody who is not.
pub(crate) fn outside(t: &Trouble) -> Markup {
    alone(
        &t.title,
        html! { (body(t)) @if t.next.is_none() { p { a href="/" { "To the first page" } } } },
    )
}
