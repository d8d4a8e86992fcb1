//! Kill switches: what is held, and how to hold more or let go.

use maud::html;

use crate::shell::{Page, mode_words};
use crate::time;
use crate::views::Frame;

/// The page.
pub(crate) fn page(frame: &Frame, scopes: &[String], may: bool) -> Page {
    Page {
        title: "Switches".into(),
        place: "/switches",
        body: html! {
            div class="head" { h1 { "Kill switches" } p class="soft" { "A switch counts from the moment it is set. What is already on its way cannot be called back." } }
            @if frame.switches.is_empty() {
                div class="empty" { h2 { "No switch is set" } p { "Effects go out as the policy allows." } }
            } @else {
                ul class="switch-list" {
                    @for s in &frame.switches {
                        li {
                            p { strong { (mode_words(&s.mode)) " " code { (s.scope) } } br; span class="soft" { "set by " (s.by) " " (time::ago(s.at, frame.now)) ", reason: " (s.reason) } }
                            @if may {
                                form method="post" action="/switches/clear" class="inline" {
                                    input type="hidden" name="scope" value=(s.scope);
                                    label class="grow" { span class="away" { "Reason" } input name="reason" placeholder="Reason, such as checked" required pattern="[A-Za-z0-9_.:/#\\- ]{1,200}"; }
                                    button type="submit" { "Clear " (s.scope) }
                                }
                            }
                        }
                    }
                }
            }
            @if may {
                section class="narrow" {
                    h2 { "Set a switch" }
                    form method="post" action="/switches/set" class="stack" {
                        label { "What it covers"
                            select name="scope" { @for s in scopes { option value=(s) { (s) } } }
                        }
                        fieldset {
                            legend { "What it does" }
                            label class="choice" { input type="radio" name="mode" value="hold" checked; span { strong { "Hold" } ": effects wait and go out when it is cleared" } }
                            label class="choice" { input type="radio" name="mode" value="cancel"; span { strong { "Cancel" } ": effects are dropped, for good" } }
                            label class="choice" { input type="radio" name="mode" value="dry-run"; span { strong { "Dry run" } ": effects are recorded as if sent, and are not" } }
                        }
                        label { "Reason" input name="reason" required placeholder="wrong_price_list" pattern="[A-Za-z0-9_.:/#\\- ]{1,200}"; span class="hint" { "Stays in the audit for good: a code, no names." } }
                        button type="submit" class="danger" { "Set the switch" }
                    }
                }
            }
        },
        keys: Vec::new(),
    }
}
