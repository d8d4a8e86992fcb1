//! What failed, by cause, and what may or may not have happened.

use maud::{Markup, html};

use crate::parts::{sentence, several, short_id, words};
use crate::shell::Page;
use crate::time;
use crate::views::{EffectRow, Failures};

/// Effects that one press of the button sends again; `dead redrive` sends more of them, and more slowly.
const MOST_AT_ONCE: usize = 100;

/// The page. `may`: who looks may act on it.
pub(crate) fn page(f: &Failures, may: bool, now: i64) -> Page {
    Page {
        title: "Failures".into(),
        place: "/failures",
        body: html! {
            div class="head" { h1 { "Failures" } p class="soft" { "Effects that did not happen, and effects of which nobody knows" } }
            @if f.uncertain.is_empty() && f.dead.is_empty() {
                div class="empty" { h2 { "Nothing has failed" } p { "What fails for a passing reason is tried again by itself. Only what was given up, or what may have happened, is shown here." } }
            }
            @if !f.uncertain.is_empty() {
                section {
                    h2 { "Uncertain: it may or may not have happened" }
                    p class="soft" { "Sending again could do it twice, so nothing is sent until somebody has looked at the other side." }
                    @for e in &f.uncertain { (uncertain(e, may, now)) }
                }
            }
            @for cause in &f.dead {
                @let most = cause.rows.len().min(MOST_AT_ONCE);
                section class="cause" {
                    h2 { (sentence(&cause.words)) " " span class="n" { (cause.rows.len()) } }
                    p class="soft" { (cause.what) " · " code { (cause.group) } }
                    @if may {
                        form method="post" action="/failures/redrive" class="inline" {
                            input type="hidden" name="group" value=(cause.group);
                            button type="submit" { "Send " @if most < cause.rows.len() { "the oldest " (most) } @else { (several(most as u64, "effect")) } " again" }
                            label class="grow" { span class="away" { "Reason" } input name="reason" placeholder="Reason, such as cause_mended" required pattern="[A-Za-z0-9_.:/#\\- ]{1,200}"; }
                        }
                    }
                    (of_cause(&cause.rows, now))
                }
            }
        },
        keys: Vec::new(),
    }
}

fn uncertain(e: &EffectRow, may: bool, now: i64) -> Markup {
    html! {
        div class="uncertain" {
            p { strong { (e.action) } @if !e.connection.is_empty() { " through " code { (e.connection) } } ": " (sentence(&e.words))
                span class="soft" { ", " (time::ago(e.updated_at, now)) ", " (several(e.attempts.into(), "attempt")) ", " a href={ "/cases/" (e.case) } { (short_id(&e.case)) } }
            }
            @if may {
                form method="post" action="/failures/resolve" class="inline" {
                    input type="hidden" name="effect" value=(e.id);
                    label class="grow" { span class="away" { "Reason" } input name="reason" placeholder="What you found, such as seen_in_crm" required pattern="[A-Za-z0-9_.:/#\\- ]{1,200}"; }
                    button type="submit" name="became" value="happened" { "It happened" }
                    button type="submit" name="became" value="again" { "It did not: send now" }
                    button type="submit" name="became" value="drop" { "Drop it" }
                }
            }
        }
    }
}

/// Effects of one cause: what they share is said above.
fn of_cause(rows: &[EffectRow], now: i64) -> Markup {
    html! {
        div class="scroll" {
            table class="list" {
                thead { tr { th { "Effect" } th { "State" } th { "Class" } th class="num" { "Attempts" } th { "Planned" } th { "Changed" } } }
                tbody {
                    @for e in rows {
                        tr {
                            td { a href={ "/cases/" (e.case) } { (short_id(&e.id)) } }
                            td { span class={ "state s-" (e.state) } { (words(&e.state)) } }
                            td { (e.class) }
                            td class="num" { (e.attempts) }
                            td { (time::ago(e.planned_at, now)) }
                            td { (time::ago(e.updated_at, now)) }
                        }
                    }
                }
            }
        }
    }
}

/// Effects as a table.
pub(crate) fn effect_table(rows: &[EffectRow], now: i64) -> Markup {
    html! {
        div class="scroll" {
            table class="list" {
                thead { tr { th { "Effect" } th { "Action" } th { "State" } th { "Why" } th { "Class" } th class="num" { "Attempts" } th { "Planned" } th { "Changed" } } }
                tbody {
                    @for e in rows {
                        tr {
                            td { a href={ "/cases/" (e.case) } { (short_id(&e.id)) } }
                            td { (e.action) }
                            td { span class={ "state s-" (e.state) } { (words(&e.state)) } }
                            td { @if !e.code.is_empty() { (sentence(&e.words)) } }
                            td { (e.class) }
                            td class="num" { (e.attempts) }
                            td { (time::ago(e.planned_at, now)) }
                            td { (time::ago(e.updated_at, now)) }
                        }
                    }
                }
            }
        }
    }
}
