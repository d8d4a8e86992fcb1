//! Notes: what somebody said on the phone, written down by a person who has signed in.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::shell::Page;
use crate::views::{Asked, NoteForm, Question};

/// What was typed, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// Answers by name.
    pub(crate) answers: BTreeMap<String, String>,
    /// The position of the question, where there is one, and what to do.
    pub(crate) wrong: Vec<(Option<usize>, String)>,
}

/// The page of a form. `key` names this page: it is taken once.
pub(crate) fn page(forms: &[NoteForm], form: &NoteForm, (key, typed): (&str, &Typed)) -> Page {
    Page {
        title: form.title.clone(),
        place: "/notes",
        body: html! {
            div class="head" {
                h1 { (form.title) }
                p class="soft" { @if let Some(intro) = &form.intro { (intro) } @else { "What somebody said, in your name" } }
            }
            @if forms.len() > 1 {
                nav class="tabs" aria-label="Forms" {
                    @for f in forms {
                        a href={ "/notes/" (f.name) } aria-current=[(f.name == form.name).then_some("page")] { (f.title) }
                    }
                }
            }
            section class="narrow" {
                @if !typed.wrong.is_empty() { (summary(typed)) }
                form method="post" action={ "/notes/" (form.name) } class="stack" novalidate {
                    input type="hidden" name="key" value=(key);
                    @for (at, q) in form.questions.iter().enumerate() { (question(at, q, typed)) }
                    button type="submit" class="primary" { "Keep this note" }
                }
            }
        },
        keys: vec![("Ctrl Enter", "keep the note")],
    }
}

fn summary(typed: &Typed) -> Markup {
    html! {
        div class="notice faults" role="alert" tabindex="-1" autofocus {
            strong { "Not kept yet" }
            ul {
                @for (at, text) in &typed.wrong {
                    li { @match at { Some(at) => a href={ "#q" (at) } { (text) }, None => (text) } }
                }
            }
        }
    }
}

fn question(at: usize, q: &Question, typed: &Typed) -> Markup {
    let fault = typed
        .wrong
        .iter()
        .find(|(of, _)| *of == Some(at))
        .map(|(_, text)| text);
    let (id, beside) = (format!("q{at}"), format!("q{at}-beside"));
    let about = (fault.is_some() || q.hint.is_some()).then_some(beside.as_str());
    let invalid = fault.map(|_| "true");
    let name = format!("set.{}", q.name);
    let value = typed.answers.get(&q.name).map_or("", String::as_str);
    let control = match &q.asked {
        Asked::Line(kind) => html! {
            input id=(id) name=(name) type=(kind) value=(value) required[q.required] autocomplete="off"
                aria-describedby=[about] aria-invalid=[invalid];
        },
        Asked::Area => html! {
            textarea id=(id) name=(name) rows="6" required[q.required] aria-describedby=[about] aria-invalid=[invalid] { (value) }
        },
        Asked::Choice(all) => html! {
            select id=(id) name=(name) required[q.required] aria-describedby=[about] aria-invalid=[invalid] {
                option value="" { "Choose…" }
                @for (v, shown) in all { option value=(v) selected[v == value] { (shown) } }
            }
        },
        Asked::Tick => html! {
            input id=(id) name=(name) type="checkbox" value="true" checked[value == "true"] required[q.required]
                aria-describedby=[about] aria-invalid=[invalid];
        },
    };
    let tick = q.asked == Asked::Tick;
    html! {
        div class={ "question" @if tick { " tick" } } {
            @if tick { (control) }
            label for=(id) { (q.label) @if q.required { " " span class="late" aria-hidden="true" { "*" } } }
            @if !tick { (control) }
            @if let Some(text) = fault {
                p class="hint late" id=(beside) { (text) }
            } @else if let Some(hint) = &q.hint {
                p class="hint" id=(beside) { (hint) }
            }
        }
    }
}

/// Where no workflow has such a form.
pub(crate) fn none() -> Page {
    Page {
        title: "Notes".into(),
        place: "/notes",
        body: html! {
            div class="head" { h1 { "Notes" } p class="soft" { "What somebody said, in your name" } }
            div class="empty" {
                h2 { "No form for notes" }
                p { "A workflow has one when it has a channel such as " code { "phone_note: { channel: form, auth: sign_in }" } "." }
            }
        },
        keys: Vec::new(),
    }
}
