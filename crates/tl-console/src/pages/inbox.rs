//! The inbox: open tasks, what breaches first at the top.

use maud::{Markup, html};

use crate::parts::{count, due_badge, kind_words, several, small_line};
use crate::shell::Page;
use crate::time;
use crate::views::{Inbox, InboxFilter, TaskRow};

/// Keys that work on the list.
const KEYS: [(&str, &str); 7] = [
    ("j k", "next, previous"),
    ("Enter o", "open"),
    ("a", "open, ready to approve"),
    ("e", "open, ready to correct"),
    ("r", "open, ready to send back"),
    ("c", "take over"),
    ("m", "only mine, or everybody's"),
];

/// The page.
pub(crate) fn page(inbox: &Inbox, filter: &InboxFilter, now: i64) -> Page {
    Page {
        title: "Inbox".into(),
        place: "/inbox",
        body: html! {
            div class="head" {
                h1 { "Inbox" }
                p class="soft" { (summary(inbox, filter, now)) }
            }
            @if inbox.all > 0 { (filters(inbox, filter)) }
            @if inbox.rows.is_empty() {
                (empty(inbox, filter))
            } @else {
                ol class="rows tasks" data-list {
                    @for row in &inbox.rows { (task_row(row, now)) }
                }
                @if inbox.all > inbox.rows.len() as u64 && filter == &InboxFilter::default() {
                    p class="soft after" { "The first " (inbox.rows.len()) " of " (count(inbox.all)) ", by what is due first. The rest follows as these are decided." }
                }
            }
            p class="keys-line" aria-hidden="true" {
                kbd { "j" } kbd { "k" } " move " kbd { "Enter" } " open " kbd { "a" } " approve " kbd { "e" } " correct "
                kbd { "r" } " send back " kbd { "c" } " take over " kbd { "?" } " all keys"
            }
        },
        keys: KEYS.to_vec(),
    }
}

fn summary(inbox: &Inbox, filter: &InboxFilter, now: i64) -> String {
    if inbox.rows.is_empty() {
        return String::new();
    }
    let late = inbox
        .rows
        .iter()
        .filter(|r| r.due.is_some_and(|d| d < now))
        .count() as u64;
    let narrowed = filter != &InboxFilter::default();
    let n = if narrowed {
        inbox.rows.len() as u64
    } else {
        inbox.all
    };
    let waits = format!("{} for a person", several(n, "task"));
    match late {
        0 => format!("{waits}, none late"),
        late => format!("{waits}, {} late", count(late)),
    }
}

fn filters(inbox: &Inbox, filter: &InboxFilter) -> Markup {
    let link = |mine: bool, kind: Option<&str>| {
        let mut parts = Vec::new();
        if mine {
            parts.push("mine=1".to_owned());
        }
        if let Some(kind) = kind {
            parts.push(format!("kind={kind}"));
        }
        match parts.is_empty() {
            true => "/inbox".to_owned(),
            false => format!("/inbox?{}", parts.join("&")),
        }
    };
    let kind = filter.kind.as_deref();
    let here = |it: bool| it.then_some("true");
    html! {
        nav class="filters" aria-label="Narrow the list" {
            a href=(link(false, kind)) aria-current=[here(!filter.mine)] data-key=[filter.mine.then_some("m")] { "Everybody's" }
            a href=(link(true, kind)) aria-current=[here(filter.mine)] data-key=[(!filter.mine).then_some("m")] { "Mine" }
            span class="gap" {}
            a href=(link(filter.mine, None)) aria-current=[here(kind.is_none())] { "All kinds" }
            @for (k, n) in &inbox.kinds {
                a href=(link(filter.mine, Some(k))) aria-current=[here(kind == Some(k))] { (kind_words(k)) " " span class="n" { (count(*n)) } }
            }
        }
    }
}

fn empty(inbox: &Inbox, filter: &InboxFilter) -> Markup {
    html! {
        div class="empty" {
            @if filter == &InboxFilter::default() {
                h2 { "Nothing waits for a person" }
                p { "Cases that need a decision appear here, what is due first at the top. The rest runs by itself." }
                p { a href="/health" { "See how the line runs" } }
            } @else {
                h2 { "Nothing of this kind waits" }
                p { @if inbox.all > 0 { a href="/inbox" { "All " (several(inbox.all, "task")) } } @else { "Nothing else waits either." } }
            }
        }
    }
}

fn task_row(row: &TaskRow, now: i64) -> Markup {
    html! {
        li class="row" data-item {
            span class="c-due" { (due_badge(row.due, now, row.line.pace)) }
            span class="c-about" dir="auto" { (row.about) }
            span class="c-what" {
                a class="title" href={ "/tasks/" (row.id) } data-open { (row.title) }
                @if !row.preview.is_empty() { span class="preview" dir="auto" { (row.preview) } }
            }
            span class="c-line" { (small_line(&row.line)) }
            span class="c-owner" { @if row.mine { strong { "you" } } @else { (row.owner) } }
            span class="c-why" title=(row.why) { (row.why) }
            span class="c-age" title={ "opened " (time::clock(row.opened_at)) } { (time::age(row.opened_at, now)) }
            @if !row.mine {
                form class="claim" method="post" action={ "/tasks/" (row.id) "/claim" } { button type="submit" class="plain" data-claim { "Take over" } }
            }
        }
    }
}
