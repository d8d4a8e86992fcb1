//! A workflow: its states with what stands in them, its policy, its doors, its versions.

use maud::{Markup, html};

use crate::parts::{map, words};
use crate::shell::Page;
use crate::time;
use crate::views::WorkflowPage;

/// The list; with one workflow the reader is sent to it.
pub(crate) fn list(all: &[(String, String)]) -> Page {
    Page {
        title: "Workflows".into(),
        place: "/workflows",
        body: html! {
            div class="head" { h1 { "Workflows" } }
            @if all.is_empty() { div class="empty" { h2 { "No workflow is deployed" } p { code { "throughline deploy" } " in a project directory deploys what is there." } } }
            ol class="rows" data-list { @for (id, version) in all { li class="row plain-row" data-item { a class="title" href={ "/workflows/" (id) } data-open { (id) } span class="soft" { "@" (version) } } } }
        },
        keys: vec![("j k", "next, previous"), ("Enter o", "open")],
    }
}

/// One workflow.
pub(crate) fn page(w: &WorkflowPage, now: i64) -> Page {
    Page {
        title: w.id.clone(),
        place: "/workflows",
        body: html! {
            div class="head" {
                p class="crumb" { a href="/workflows" { "Workflows" } }
                h1 { (w.id) span class="soft" { "@" (w.version) } }
                p class="facts" { span { "deployed " (time::ago(w.at, now)) } span { "bundle " code { (w.bundle) } } @if !w.goal.is_empty() { span { "goal: " (crate::parts::sentence(&w.goal)) } } }
            }
            (map(&w.stations, now, &w.id))
            section { h2 { "States" } p class="graph" { img src={ "/workflows/" (w.id) "/graph.svg" } alt={ "States and transitions of " (w.id) }; } }
            (policy(w))
            section { h2 { "Doors" }
                div class="scroll" { table class="list" { thead { tr { th { "Endpoint" } th { "Channel" } th { "Senders show" } th { "State" } } }
                    tbody { @for (name, channel, auth, open) in &w.doors { tr { td { code { (name) } } td { (channel) } td { (auth) } td { @if *open { "open" } @else { span class="tag warn" { "closed" } } } } } } } }
            }
            section { h2 { "Versions" }
                div class="scroll" { table class="list" { thead { tr { th class="num" { "Number" } th { "Version" } th { "Digest" } th { "Deployed" } th { "" } } }
                    tbody { @for (n, version, digest, at, current) in &w.versions { tr { td class="num" { (n) } td { (version) } td { code { (digest.get(..12).unwrap_or(digest)) } } td { (time::ago(*at, now)) } td { @if *current { strong { "current" } } } } } } } }
            }
        },
        keys: Vec::new(),
    }
}

fn policy(w: &WorkflowPage) -> Markup {
    html! {
        section { h2 { "What may happen by itself" }
            div class="scroll" { table class="list" { thead { tr { th { "Action" } th { "Policy" } th { "Guarantee" } th { "Line" } } }
                tbody { @for (action, class, verdict, place) in &w.policy { tr { td { (action) } td { strong { (words(verdict)) } } td { (class) } td { code { (place) } } } } } } }
        }
    }
}
