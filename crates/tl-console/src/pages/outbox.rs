//! Messages that were sent to the outbox.

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
            div class="head" { h1 { "Outbox" } p class="soft" { "What went out, newest first: each message as it was sent" } }
            @if sent.is_empty() { div class="empty" { h2 { "Nothing has gone out" } p { "Messages appear here once they are sent, with the case that sent them." } } }
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
