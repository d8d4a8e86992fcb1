//! What stands around every page: the rail with the places, the top line with search and account, the banner of the
//! kill switches, and the list of keys.

use maud::{DOCTYPE, Markup, html};

use crate::access::Action;
use crate::assets;
use crate::parts::several;
use crate::time;
use crate::views::{Frame, Who};

/// A place of the console.
struct Place {
    name: &'static str,
    path: &'static str,
    key: &'static str,
    needs: Action,
}

const PLACES: [Place; 9] = [
    place("Inbox", "/inbox", "i", Action::SeeContents),
    place("Cases", "/cases", "c", Action::SeeStates),
    place("Notes", "/notes", "n", Action::Note),
    place("Health", "/health", "h", Action::SeeStates),
    place("Failures", "/failures", "f", Action::SeeStates),
    place("Workflows", "/workflows", "w", Action::SeeStates),
    place("Outbox", "/outbox", "o", Action::SeeContents),
    place("Switches", "/switches", "s", Action::SeeStates),
    place("People", "/people", "p", Action::People),
];

/// Places of the bottom bar on a phone; the rest stands behind "More".
const FIRST: usize = 4;

const fn place(name: &'static str, path: &'static str, key: &'static str, needs: Action) -> Place {
    Place {
        name,
        path,
        key,
        needs,
    }
}

/// A page, ready to be put into its shell.
pub(crate) struct Page {
    /// Its title.
    pub(crate) title: String,
    /// The place it belongs to, by path.
    pub(crate) place: &'static str,
    /// What it shows.
    pub(crate) body: Markup,
    /// Keys that work on it: key and what it does.
    pub(crate) keys: Vec<(&'static str, &'static str)>,
}

/// Around the page: who looks, and what just happened.
pub(crate) struct Around<'a> {
    /// Tenant, switches, counts.
    pub(crate) frame: &'a Frame,
    /// Who looks.
    pub(crate) who: &'a Who,
    /// What the last action came to, in a sentence.
    pub(crate) said: Option<&'a str>,
}

/// A page for somebody who is signed in.
pub(crate) fn signed_in(around: &Around<'_>, page: &Page) -> Markup {
    let (frame, who) = (around.frame, around.who);
    let there = |p: &&Place| p.path != "/notes" || frame.notes;
    let places = || {
        PLACES
            .iter()
            .filter(|p| who.role.may(p.needs))
            .filter(there)
    };
    document(
        &page.title,
        html! {
            a class="skip" href="#main" { "Skip to the page" }
            div class="shell" {
                header class="rail" {
                    a class="brand" href="/" { (mark()) span { "Throughline" } }
                    nav aria-label="Places" {
                        @for (i, p) in places().enumerate() {
                            (place_link(p, page, frame, i >= FIRST))
                        }
                        details class="more" {
                            summary { "More" }
                            div {
                                @for p in places().skip(FIRST) {
                                    (place_link(p, page, frame, false))
                                }
                            }
                        }
                    }
                    p class="rail-foot" { "Press " kbd { "?" } " for all keys" }
                }
                div class="column" {
                    (top_line(frame, who))
                    (banner(frame))
                    @if let Some(said) = around.said {
                        p class="said" role="status" { (crate::parts::sentence(said)) }
                    }
                    main id="main" tabindex="-1" { (page.body) }
                }
            }
            (key_list(page))
        },
        Some(frame),
    )
}

fn place_link(p: &Place, page: &Page, frame: &Frame, late: bool) -> Markup {
    let n = match p.path {
        "/inbox" => frame.tasks,
        "/failures" => frame.failures,
        _ => 0,
    };
    let here = (p.path == page.place).then_some("page");
    html! {
        a class={ "place" @if late { " later" } } href=(p.path) aria-current=[here] data-go=(p.key) {
            span { (p.name) }
            @if n > 0 { span class="n" { (crate::parts::count(n)) } }
        }
    }
}

fn top_line(frame: &Frame, who: &Who) -> Markup {
    html! {
        div class="top" {
            form class="search" action="/search" role="search" {
                input type="search" name="q" placeholder="Find by id" aria-label="Find a case by any of its ids"
                    data-search autocomplete="off" spellcheck="false";
                kbd { "/" }
            }
            span class="tenant" title="Tenant" { (frame.tenant) }
            details class="account" {
                summary { (who.shown) }
                div class="menu" {
                    p { strong { (who.shown) } br; span class="soft" { (who.name) ", " (who.role.word()) } }
                    form method="post" action="/sign-out" { button type="submit" class="plain" { "Sign out" } }
                }
            }
        }
    }
}

fn banner(frame: &Frame) -> Markup {
    html! {
        @if !frame.switches.is_empty() {
            section class="banner" aria-label="Kill switches" {
                @for s in frame.switches.iter().take(2) {
                    p {
                        strong { (mode_words(&s.mode)) } " " code { (s.scope) }
                        span class="soft" { ", set by " (s.by) " " (time::ago(s.at, frame.now)) ": " (s.reason) }
                    }
                }
                @if frame.switches.len() > 2 {
                    p { "and " (several(frame.switches.len() as u64 - 2, "more switch").replace("switchs", "switches")) }
                }
                a href="/switches" { "All switches" }
            }
        }
    }
}

/// What a switch in force does.
pub(crate) fn mode_words(mode: &str) -> &'static str {
    match mode {
        "cancel" => "Cancelling",
        "dry-run" => "Dry run for",
        _ => "Holding",
    }
}

/// Keys that work everywhere.
const KEYS: [(&str, &str); 3] = [
    ("g then a letter", "go to a place: its first letter"),
    ("/", "find a case"),
    ("?", "this list"),
];

fn key_list(page: &Page) -> Markup {
    html! {
        dialog id="keys" aria-label="Keys" {
            h2 { "Keys" }
            dl {
                @for (key, does) in page.keys.iter().chain(KEYS.iter()) {
                    dt { kbd { (key) } } dd { (does) }
                }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// A page for somebody who is not signed in: one column, one thing to do.
pub(crate) fn alone(title: &str, body: Markup) -> Markup {
    document(
        title,
        html! {
            main id="main" class="alone" {
                p class="brand" { (mark()) span { "Throughline" } }
                (body)
            }
        },
        None,
    )
}

/// The mark: a line with a station on it.
fn mark() -> Markup {
    html! {
        svg class="mark" width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" {
            path d="M1 10H6M14 10H19" {}
            circle cx="10" cy="10" r="4" {}
        }
    }
}

fn document(title: &str, body: Markup, frame: Option<&Frame>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Throughline" }
                link rel="stylesheet" href=(assets::style());
                link rel="icon" href=(assets::icon());
                script src=(assets::script()) defer {}
            }
            body data-tasks=[frame.map(|f| f.tasks)] { (body) }
        }
    }
}
