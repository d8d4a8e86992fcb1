//! The pages that people fill in: one document each, without a script and without anything from elsewhere.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use tl_kernel::digest::sha256;

use super::controls::{Control, Form, Kind, autocomplete};
use super::reading::{Fault, TOKEN, TRAP, Typed};

const STYLE: &str = include_str!("style.css");

/// Nothing runs and nothing is loaded; the one style is named by its digest; the form goes to ourselves alone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(sha256(&[STYLE.as_bytes()]));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// A form as it is shown.
pub(crate) struct Page<'a> {
    /// What is asked.
    pub(crate) form: &'a Form,
    /// Token of the page; absent where the address itself is one.
    pub(crate) token: Option<&'a str>,
    /// What was typed before.
    pub(crate) typed: &'a Typed,
    /// What is wrong with it.
    pub(crate) faults: &'a [Fault],
    /// What else there is to say.
    pub(crate) note: Option<&'a str>,
}

/// A form as an answer.
pub(crate) fn shown(status: StatusCode, page: &Page<'_>) -> Response {
    answer(status, form(page))
}

/// The document of a form.
fn form(page: &Page<'_>) -> Markup {
    let wrong = !page.faults.is_empty() || page.note.is_some();
    let title = match wrong {
        true => format!("Not sent yet: {}", page.form.title),
        false => page.form.title.clone(),
    };
    let marked = page.form.controls.iter().any(|c| c.required);
    document(
        &title,
        html! {
            h1 { (page.form.title) }
            @if let Some(intro) = &page.form.intro { p.intro { (intro) } }
            @if wrong { (summary(page)) }
            form method="post" novalidate {
                @if marked { p.marks { "Questions with " span.mark { "*" } " have to be answered." } }
                @for (at, control) in page.form.controls.iter().enumerate() {
                    (question(page, at, control))
                }
                @if let Some(token) = page.token {
                    input type="hidden" name=(TOKEN) value=(token);
                    div.trap aria-hidden="true" {
                        label for="trap" { "Leave this empty" }
                        input #trap type="text" name=(TRAP) tabindex="-1" autocomplete="off";
                    }
                }
                button type="submit" { "Send" }
            }
        },
    )
}

/// What is wrong, on top of the page, where a screen reader begins to read.
fn summary(page: &Page<'_>) -> Markup {
    html! {
        div.summary role="alert" tabindex="-1" autofocus aria-labelledby="summary" {
            h2 #summary {
                @match (page.note, page.faults.len()) {
                    (Some(_), _) => "Not sent yet",
                    (None, 1) => "There is one thing to mend",
                    (None, n) => { "There are " (n) " things to mend" },
                }
            }
            @if let Some(note) = page.note { p { (note) } }
            @if !page.faults.is_empty() {
                ul {
                    @for fault in page.faults {
                        li {
                            @match fault.control {
                                Some(at) => a href=(format!("#q{at}")) { (fault.text) },
                                None => (fault.text),
                            }
                        }
                    }
                }
            }
        }
    }
}

fn question(page: &Page<'_>, at: usize, control: &Control) -> Markup {
    let fault = page.faults.iter().find(|f| f.control == Some(at));
    let id = format!("q{at}");
    let (hint_id, fault_id) = (format!("{id}-hint"), format!("{id}-fault"));
    let hint = control.hint.as_deref();
    let about: Vec<&str> = [
        hint.map(|_| hint_id.as_str()),
        fault.map(|_| fault_id.as_str()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let field = Field {
        id: &id,
        control,
        about: (!about.is_empty()).then(|| about.join(" ")),
        wrong: fault.is_some(),
        value: page.typed.get(&control.name).map_or("", String::as_str),
    };
    let label = html! {
        label for=(id) {
            (control.label)
            @if control.required { " " span.mark aria-hidden="true" { "*" } }
        }
    };
    let beside = html! {
        @if let Some(hint) = hint { p.hint id=(hint_id) { (hint) } }
        @if let Some(fault) = fault { p.fault id=(fault_id) { (fault.text) } }
    };
    html! {
        div.question.wrong[fault.is_some()].tick[control.kind == Kind::Tick] {
            @match control.kind {
                Kind::Tick => { (beside) div.pair { (field.input()) (label) } },
                _ => { (label) (beside) (field.input()) },
            }
        }
    }
}

/// The control of a question.
struct Field<'a> {
    id: &'a str,
    control: &'a Control,
    about: Option<String>,
    wrong: bool,
    value: &'a str,
}

impl Field<'_> {
    fn input(&self) -> Markup {
        let (control, id, about) = (self.control, self.id, self.about.as_deref());
        let invalid = self.wrong.then_some("true");
        let fill = autocomplete(control);
        match &control.kind {
            Kind::Area => html! {
                textarea id=(id) name=(control.name) rows="6" required[control.required]
                    aria-describedby=[about] aria-invalid=[invalid] { (self.value) }
            },
            Kind::Choice(all) => html! {
                select id=(id) name=(control.name) required[control.required]
                    aria-describedby=[about] aria-invalid=[invalid] {
                    option value="" { "Choose…" }
                    @for (value, shown) in all {
                        option value=(value) selected[value == self.value] { (shown) }
                    }
                }
            },
            Kind::Tick => html! {
                input id=(id) name=(control.name) type="checkbox" value="true"
                    checked[self.value == "true"] required[control.required]
                    aria-describedby=[about] aria-invalid=[invalid];
            },
            kind => {
                let (ty, mode) = line(kind);
                html! {
                    input id=(id) name=(control.name) type=(ty) inputmode=[mode] value=(self.value)
                        class=[mode.filter(|m| *m == "numeric" || *m == "decimal")]
                        autocomplete=[fill] required[control.required]
                        aria-describedby=[about] aria-invalid=[invalid];
                }
            }
        }
    }
}

/// Type and keyboard of a one-line control.
fn line(kind: &Kind) -> (&'static str, Option<&'static str>) {
    match kind {
        Kind::Email => ("email", None),
        Kind::Phone => ("tel", None),
        Kind::Url => ("url", None),
        Kind::Whole => ("text", Some("numeric")),
        Kind::Fraction => ("text", Some("decimal")),
        Kind::Day => ("date", None),
        Kind::Moment => ("datetime-local", None),
        Kind::Line | Kind::Area | Kind::Choice(_) | Kind::Tick => ("text", None),
    }
}

/// A page that only says something.
pub(crate) fn notice(title: &str, text: &str) -> Markup {
    document(
        title,
        html! {
            h1 { (title) }
            p.intro { (text) }
        },
    )
}

fn document(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    }
}

/// A document as an answer.
pub(crate) fn answer(status: StatusCode, document: Markup) -> Response {
    let mut response = Response::new(Body::from(document.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
