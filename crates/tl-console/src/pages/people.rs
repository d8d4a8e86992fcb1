//! Who may sign in, and inviting others.

use maud::html;

use crate::access::Role;
use crate::shell::Page;
use crate::time;
use crate::views::Person;

/// The page. `link`: a one-time link that was just made.
pub(crate) fn page(people: &[Person], link: Option<(&str, &str)>, now: i64) -> Page {
    Page {
        title: "People".into(),
        place: "/people",
        body: html! {
            div class="head" { h1 { "People" } p class="soft" { "Who may sign in, and what for" } }
            @if let Some((name, link)) = link {
                div class="notice" {
                    p { "Give this link to " strong { (name) } ". It works once, for a day, until the server restarts:" }
                    pre class="command" { (link) }
                }
            }
            div class="scroll" {
                table class="list" {
                    thead { tr { th { "Name" } th { "Signs in as" } th { "Role" } th { "Since" } th { "By" } } }
                    tbody {
                        @for p in people {
                            tr {
                                td { (p.who.shown) }
                                td { code { (p.who.name) } }
                                td { (p.who.role.word()) span class="soft" { ": " (p.who.role.words()) } }
                                td { (time::ago(p.at, now)) }
                                td { (p.by) }
                            }
                        }
                    }
                }
            }
            section class="narrow" {
                h2 { "Invite somebody, or give a new password or role" }
                form method="post" action="/people/invite" class="stack" {
                    label { "Name" input name="shown" required placeholder="Ana Horvat" autocomplete="off"; }
                    label { "Short name" input name="name" required placeholder="ana" pattern="[a-z][a-z0-9.\\-]{1,39}" autocapitalize="none" autocomplete="off" spellcheck="false"; span class="hint" { "The journal uses it for good." } }
                    fieldset {
                        legend { "Role" }
                        @for r in Role::ALL { label class="choice" { input type="radio" name="role" value=(r.word()) checked[r == Role::Reviewer]; span { strong { (r.word()) } ": " (r.words()) } } }
                    }
                    button type="submit" class="primary" { "Make a one-time link" }
                }
            }
        },
        keys: Vec::new(),
    }
}
