//! The first page: how the line runs, each figure with how many cases it stands on.

use maud::{Markup, html};

use crate::parts::{columns, count, kind_words, map, several};
use crate::shell::Page;
use crate::time;
use crate::views::{Health, HealthPage, Share};

/// The page.
pub(crate) fn page(h: &HealthPage, now: i64) -> Page {
    Page {
        title: "Health".into(),
        place: "/health",
        body: html! {
            div class="head" {
                h1 { "Health" }
                p class="soft" {
                    (several(h.events.0, "message")) " taken, " (several(h.events.1, "repeat")) " recognised. Up for " (time::lasting(now - h.since)) ", version " (h.build)
                }
            }
            @if h.asks.is_empty() {
                p class="calm" { "Nothing asks for you." }
            } @else {
                ul class="asks" {
                    @for (words, to) in &h.asks { li { a href=(to) { (crate::parts::sentence(words)) } } }
                }
            }
            @for f in &h.flows { (flow(f, now)) }
            @if h.flows.is_empty() {
                div class="empty" {
                    h2 { "No workflow is deployed" }
                    p { "Make a project and deploy it:" }
                    pre class="command" { "throughline init lead my-project\nthroughline --dir my-project deploy" }
                }
            }
        },
        keys: Vec::new(),
    }
}

fn flow(f: &Health, now: i64) -> Markup {
    html! {
        section class="flow" {
            h2 { a href={ "/workflows/" (f.workflow) } { (f.workflow) } span class="soft" { "@" (f.version) }
                @if !f.goal.is_empty() { span class="goal" { "goal: " (crate::parts::sentence(&f.goal)) } }
            }
            dl class="figures" {
                (first_touch(f))
                (figure("Goal met in time", f.goal_met, "no case has met or missed its goal yet"))
                (figure("Closed without a person", f.automated, "no case has closed yet"))
                (waiting(f))
            }
            (map(&f.stations, now, &f.workflow))
            div class="flow-foot" {
                @if f.arrivals.iter().any(|n| *n > 0) {
                    p { (columns(&f.arrivals, &f.arrivals_step)) span class="soft" { "arrivals by the " (f.arrivals_step) } }
                }
                p class="soft sample" {
                    @if f.sample > 0 {
                        "Shares are of the newest " (several(f.sample, "case"))
                        @if let Some(since) = f.since { ", since " (time::instant(since)) }
                        ". Counts are of all."
                    } @else { "No case yet: figures begin with the first one." }
                }
            }
        }
    }
}

fn first_touch(f: &Health) -> Markup {
    html! {
        div class="figure lead" {
            dt { "First touch, half of them within" }
            @match f.first_touch {
                Some((p50, p90, n)) => {
                    dd { (time::lasting(p50)) }
                    dd class="under" { "nine in ten within " strong { (time::lasting(p90)) } ", n = " (count(n)) }
                }
                None => { dd class="none" { "–" } dd class="under" { "nobody was touched yet" } }
            }
        }
    }
}

fn figure(name: &str, share: Share, none: &str) -> Markup {
    html! {
        div class="figure" {
            dt { (name) }
            @if share.n == 0 {
                dd class="none" { "–" } dd class="under" { (none) }
            } @else {
                dd { (percent(share)) }
                dd class="under" { (count(share.of)) " of " (count(share.n)) }
            }
        }
    }
}

fn percent(s: Share) -> String {
    let tenths = (s.of * 1000 + s.n / 2) / s.n;
    match tenths {
        // All and none are said only where it is all and none.
        1000 if s.of < s.n => "99.9 %".to_owned(),
        0 if s.of > 0 => "0.1 %".to_owned(),
        t if t % 10 == 0 => format!("{} %", t / 10),
        t => format!("{}.{} %", t / 10, t % 10),
    }
}

fn waiting(f: &Health) -> Markup {
    let n: u64 = f.tasks.iter().map(|t| t.1).sum();
    let oldest = f.tasks.iter().map(|t| t.2).max();
    html! {
        div class="figure" {
            dt { "Waiting for a person" }
            dd { a href="/inbox" { (count(n)) } }
            dd class="under" {
                @match oldest {
                    Some(age) if n > 0 => {
                        "oldest " (time::lasting(age)) "; "
                        (f.tasks.iter().map(|t| format!("{} {}", count(t.1), kind_words(&t.0))).collect::<Vec<_>>().join(", "))
                    }
                    _ => "nobody waits",
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_do_not_round_to_all_or_nothing() {
        let table = [
            (0, 7, "0 %"),
            (7, 7, "100 %"),
            (1, 2, "50 %"),
            (1, 3, "33.3 %"),
            (9_999, 10_000, "99.9 %"),
            (1, 10_000, "0.1 %"),
        ];
        for (of, n, said) in table {
            assert_eq!(percent(Share { of, n }), said, "{of} of {n}");
        }
    }
}
