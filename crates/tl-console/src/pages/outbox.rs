//! Messages in the outbox.

use maud::html;

use crate::parts::short_id;
use crate::shell::Page;
use crate::time;
use crate::views::Sent;

/// The page.
pub(crate) fn page(sent: &[Sent], now: i64) -> Page {
    Page {
        title: "Outbox".into(),
        place: "/outbox",
        body: html! {
            div class="head" { h1 { "Outbox" } p class="soft" { "Messages that wait here for a system of yours, newest first. What a connection sends stands with its case" } }
            @if sent.is_empty() { div class="empty" { h2 { "Nothing waits here" } p { "Messages without a connection appear here, with the case that wrote them." } } }
            ol class="rows sent" data-list {
                @for m in sent {
                    li class="row" data-item {
                        details {
                            summary data-open {
                                span class="c-about" { (m.channel) }
                                span class="c-what" { span class="title" dir="auto" { (m.to) } span class="preview" dir="auto" { @if m.subject.is_empty() { (m.text) } @else { (m.subject) } } }
                                span class="c-age" { (time::ago(m.at, now)) }
                            }
                            @if !m.subject.is_empty() { p { strong dir="auto" { (m.subject) } } }
                            pre class="outgoing" dir="auto" { (m.text) }
                            p class="soft" { a href={ "/cases/" (m.case) } { (short_id(&m.case)) } ", effect " (short_id(&m.effect)) ", " (time::instant(m.at)) }
                        }
                    }
                }
            }
        },
        keys: vec![("j k", "next, previous"), ("Enter o", "open")],
    }
}
