//! Cases: the list, and one with everything that happened to it.

use maud::{Markup, html};

use super::failures::effect_table;
use super::record;
use super::timeline::timeline;
use crate::parts::{due_badge, sentence, several, short_id, small_line, words};
use crate::shell::Page;
use crate::time;
use crate::views::{CaseFilter, CasePage, CaseRow, Cases};

/// The list.
pub(crate) fn list(cases: &Cases, filter: &CaseFilter, now: i64) -> Page {
    let here = |it: bool| it.then_some("true");
    Page {
        title: "Cases".into(),
        place: "/cases",
        body: html! {
            div class="head" { h1 { "Cases" } p class="soft" { "Newest first" } }
            nav class="filters" aria-label="Narrow the list" {
                a href="/cases" aria-current=[here(filter.state.is_none())] { "All" }
                @for s in &cases.states {
                    a href={ "/cases?state=" (s) } aria-current=[here(filter.state.as_deref() == Some(s))] { (words(s)) }
                }
            }
            @if cases.rows.is_empty() {
                div class="empty" {
                    h2 { "No case here" }
                    p { @if filter.state.is_some() { "Nothing is in this state right now." } @else { "The first message that arrives opens the first case." } }
                }
            } @else {
                ol class="rows cases" data-list {
                    @for row in &cases.rows { (case_row(row, now)) }
                }
                @if let Some(next) = &cases.next {
                    p class="after" { a href={ "/cases?before=" (next) @if let Some(s) = &filter.state { "&state=" (s) } } { "Older cases" } }
                }
            }
        },
        keys: vec![("j k", "next, previous"), ("Enter o", "open")],
    }
}

fn case_row(row: &CaseRow, now: i64) -> Markup {
    html! {
        li class="row" data-item {
            span class="c-line" { (small_line(&row.line)) }
            span class="c-state" { (words(&row.state)) }
            span class="c-what" {
                a class="title" href={ "/cases/" (row.id) } data-open { (short_id(&row.id)) }
                span class="preview" { (words(&row.reason)) }
            }
            span class="c-about" { (row.workflow) }
            span class="c-owner" { (row.owner) }
            span class="c-why" {
                @if row.tasks > 0 { (several(row.tasks.into(), "task")) " " }
                @if row.effects > 0 { (several(row.effects.into(), "effect")) " under way" }
            }
            span class="c-due" { @if !row.line.closed && row.due.is_some() { (due_badge(row.due, now, row.line.pace)) } }
            span class="c-age" { (time::ago(row.updated_at, now)) }
        }
    }
}

/// One case.
pub(crate) fn page(c: &CasePage, contents: bool, now: i64) -> Page {
    Page {
        title: format!("Case {}", c.row.id),
        place: "/cases",
        body: html! {
            div class="head" {
                p class="crumb" { a href="/cases" data-key="u" { "Cases" } " / " (c.row.workflow) }
                h1 class="case-title" dir="auto" { @if contents && !c.about.is_empty() { (c.about) span class="soft" { " · " (words(&c.row.state)) } } @else { (words(&c.row.state)) } }
                p class="summary" { (sentence(&c.summary)) }
                @if contents { @for note in &c.notes { p class="summary soft" { (sentence(note)) } } }
                p class="facts" {
                    (small_line(&c.row.line))
                    @if !c.row.line.closed { (due_badge(c.row.due, now, c.row.line.pace)) }
                    span { "with " (c.row.owner) }
                    span { "opened " (time::ago(c.row.opened_at, now)) }
                    @if !c.goal.is_empty() { span { "goal " (sentence(&c.goal)) } }
                }
            }
            @if !c.tasks.is_empty() && contents {
                div class="notice" {
                    @for (id, title) in &c.tasks { p { a class="button primary" href={ "/tasks/" (id) } { "Decide" } " " (title) } }
                }
            }
            @if contents {
                div class="packet case-packet" {
                    div class="left" { section { h2 { "What happened" } (timeline(&c.turns)) } }
                    div class="right" {
                        section { h2 { "Record" } (record::table(&c.record)) }
                        @if !c.next.is_empty() {
                            details class="next" {
                                summary { "What can be done, at a terminal" }
                                ul {
                                    @for s in &c.next {
                                        li { @if !s.why.is_empty() { (sentence(&s.why)) } @if !s.command.is_empty() { pre class="command" { (s.command) } } }
                                    }
                                }
                            }
                        }
                        section {
                            h2 { "Pinned" }
                            dl class="parts" {
                                dt { "case" } dd { code { (c.row.id) } }
                                dt { "workflow" } dd { a href={ "/workflows/" (c.row.workflow) } { (c.version) } }
                                dt { "bundle" } dd { code { (c.bundle) } }
                                dt { "correlation" } dd { code { (c.correlation) } }
                            }
                        }
                    }
                }
                @if !c.effects.is_empty() {
                    section { h2 { "Effects" } (effect_table(&c.effects, now)) }
                }
            } @else {
                p class="notice" { "What this case holds is not shown to viewers." }
            }
        },
        keys: vec![("u", "back to the list")],
    }
}
