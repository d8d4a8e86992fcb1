//! A task with everything needed to decide it: what came in, what is known, why it stopped, and what will happen.

use maud::{Markup, html};

use super::record;
use super::timeline::timeline;
use crate::access::{Action, Role};
use crate::parts::{due_badge, kind_words, several, share, short_id, small_line, words};
use crate::shell::Page;
use crate::time;
use crate::views::{Arrived, By, FieldRow, Proposal, Sends, TaskPage, Who};

/// Reasons that are offered for sending something back.
const REJECT: [(&str, &str); 5] = [
    ("wrong_text", "The text is wrong"),
    ("wrong_recipient", "The wrong recipient"),
    ("wrong_facts", "The facts are wrong"),
    ("not_ours", "Not for us, or spam"),
    ("done_by_hand", "I have done it by hand"),
];

/// The page.
pub(crate) fn page(t: &TaskPage, who: &Who, now: i64) -> Page {
    let open = t.closed.is_none();
    let decides = open && who.role.may(Action::Decide);
    // Times of the engine are on the line below.
    let known: Vec<FieldRow> = t
        .record
        .iter()
        .filter(|f| f.by != By::Engine)
        .cloned()
        .collect();
    Page {
        title: t.row.title.clone(),
        place: "/inbox",
        body: html! {
            div class="head task-head" {
                p class="crumb" { a href="/inbox" data-key="u" { "Inbox" } " / " (kind_words(&t.row.kind)) }
                h1 { (t.row.title) @if !t.row.about.is_empty() { span class="soft" dir="auto" { " · " (t.row.about) } } }
                p class="facts" {
                    @if open { (due_badge(t.row.due, now, t.row.line.pace)) } @else { span class="due soft" { "decided" } }
                    span { @if t.row.mine { "with you" } @else { "with " (t.row.owner) } }
                    span { (small_line(&t.row.line)) " " (words(&t.state)) }
                    a href={ "/cases/" (t.row.case) } { (short_id(&t.row.case)) }
                    span class="soft" { (t.row.workflow) "@" (t.version) }
                }
            }
            @if let Some(how) = &t.closed { p class="notice" { "This task is closed: " strong { (words(how)) } ". " a href={ "/cases/" (t.row.case) } { "See what came of it" } } }
            div class="packet" {
                div class="left" {
                    (why(t))
                    @for a in &t.arrived { (arrived(a, &t.record, t.arrived.len())) }
                    section { h2 { "Record" } (record::table(&known)) }
                    @if let Some(p) = &t.proposal { (proposal(p)) }
                    details class="so-far" {
                        summary { "Line so far: " (several(t.turns.len() as u64, "step")) }
                        (timeline(&t.turns))
                    }
                }
                div class="right" {
                    section class="decision" aria-label="Decision" {
                        @match &t.sends {
                            Some(s) => (what_will_happen(s)),
                            None => (no_effect(t)),
                        }
                        @if decides { (actions(t)) } @else if open { (may_not(who.role)) }
                    }
                    @if open && who.role.may(Action::Claim) { (hand_over(t)) }
                }
            }
        },
        keys: keys(t),
    }
}

fn keys(t: &TaskPage) -> Vec<(&'static str, &'static str)> {
    let may = |d: &str| t.allowed.iter().any(|a| a == d);
    let all = [
        (
            may("approve") || may("accept"),
            ("a", "approve, or take on"),
        ),
        (
            may("edit"),
            match &t.sends {
                Some(_) => ("e", "change the words, and send"),
                None => ("e", "correct fields"),
            },
        ),
        (
            may("reject") || may("close"),
            ("r", "send back with a reason"),
        ),
        (true, ("c", "take over")),
        (true, ("u", "back to the inbox")),
        (true, ("Ctrl Enter", "send the form that is open")),
    ];
    all.into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, k)| k)
        .collect()
}

fn why(t: &TaskPage) -> Markup {
    html! {
        @if !t.why.is_empty() {
            section class="why" {
                h2 { "Why it stopped" }
                ul { @for w in &t.why { li { (crate::parts::sentence(w)) } } }
                @if !t.rule.is_empty() {
                    details class="more-why" {
                        summary { "The rule, line by line" }
                        ul { @for r in &t.rule { li { (crate::parts::sentence(r)) } } }
                    }
                }
            }
        }
    }
}

fn arrived(a: &Arrived, fields: &[FieldRow], of: usize) -> Markup {
    html! {
        section class="arrived" {
            h2 {
                "What arrived"
                @if of > 1 { " " span class="soft" { "message " (a.n) " of " (of) } }
                span class="tag outside" { "untrusted, from outside" }
            }
            div class="inert" {
                dl class="mail-head" {
                    @for (name, value) in &a.head { dt { (name) } dd dir="auto" { (value) } }
                    dt { "received" } dd { (time::instant(a.at)) ", " (a.channel) " through " code { (a.endpoint) } }
                    dt { "verified" } dd { (a.verified) }
                }
                @if !a.text.is_empty() { pre class="text" dir="auto" { (marked(&a.text, fields)) } }
                @if !a.quoted.is_empty() {
                    details class="quoted" { summary { "Quoted text below" } pre class="text" dir="auto" { (a.quoted) } }
                }
                @if a.text.is_empty() && !a.parts.is_empty() {
                    dl class="parts" { @for (name, value) in &a.parts { dt { (name) } dd dir="auto" { (value) } } }
                }
                @if !a.attachments.is_empty() { p class="soft" { "Attached: " (a.attachments.join(", ")) } }
            }
        }
    }
}

/// A text with marks where fields were read from it.
fn marked(text: &str, fields: &[FieldRow]) -> Markup {
    let mut spans: Vec<(usize, usize, &str)> = fields
        .iter()
        .filter_map(|f| f.span.map(|(from, to)| (from, to, f.name.as_str())))
        .filter(|(from, to, _)| from < to && text.get(*from..*to).is_some())
        .collect();
    spans.sort_unstable();
    // Of two that overlap the first is marked.
    let mut at = 0;
    let mut pieces = Vec::new();
    for (from, to, name) in spans {
        if from >= at {
            pieces.push((&text[at..from], &text[from..to], (from, name)));
            at = to;
        }
    }
    html! {
        @for (before, marked, (from, name)) in pieces {
            (before) mark data-span=(from) title=(words(name)) { (marked) }
        }
        (text[at..])
    }
}

fn proposal(p: &Proposal) -> Markup {
    html! {
        section class="proposal" {
            h2 { "What the AI proposed" span class="by by-ai" { (p.model) } }
            @if !p.failed.is_empty() { p { (crate::parts::sentence(&p.failed)) } }
            @if let Some(c) = p.confidence {
                p { "Confidence " strong { (share(c)) }
                    @if let Some(t) = p.threshold {
                        @if c < t { ", below the threshold of " (share(t)) ": a person decides" } @else { ", above the threshold of " (share(t)) }
                    }
                }
            }
            @if !p.fields.is_empty() {
                dl class="parts" { @for (name, value) in &p.fields { dt { (words(name)) } dd dir="auto" { (value) } } }
            }
        }
    }
}

/// Rendered from the effect's arguments: what an approval covers, and nothing else.
fn what_will_happen(s: &Sends) -> Markup {
    html! {
        h2 { "What will happen" }
        p class="effect-title" { (s.title) @if !s.checked.is_empty() { " " span class="tag ok" { (s.checked) } } }
        @if !s.subject.is_empty() { p class="subject" { span class="label" { "Subject" } span dir="auto" { (s.subject) } } }
        @if !s.text.is_empty() { pre class="outgoing" dir="auto" { (s.text) } }
        @if !s.fields.is_empty() {
            table class="change" {
                thead { tr { th { "Field" } th { "Now" } th { "Then" } } }
                tbody {
                    @for (name, before, after) in &s.fields {
                        tr class=[(before == after).then_some("same")] {
                            th scope="row" { (words(name)) }
                            td dir="auto" { @if before.is_empty() { span class="soft" { "–" } } @else { (before) } }
                            td dir="auto" { (after) }
                        }
                    }
                }
            }
        }
        @if let Some(held) = &s.held { p class="held" { "A switch holds this: " code { (held) } ". Approved, it waits until the switch is cleared." } }
        p class="covers soft" {
            "An approval covers exactly this text and address. " (s.promise) " Policy: " (s.policy) "."
            br; "Digest " code title=(s.digest) { (s.digest.get(..12).unwrap_or(&s.digest)) }
        }
    }
}

fn no_effect(t: &TaskPage) -> Markup {
    let words = match t.row.kind.as_str() {
        "missing" => {
            "Fill in what is missing. The case is then decided again, by the same rules as any other."
        }
        "review" => {
            "Approve what is known as it stands, or correct it. The case is then decided again, with your word instead of the model's."
        }
        "hand_off" => "The case is handed to you. Take it on, or send it back.",
        _ => "Nothing is sent by this decision. Say how it ends.",
    };
    html! {
        h2 { "What will happen" }
        p { (words) }
    }
}

fn actions(t: &TaskPage) -> Markup {
    let may = |d: &str| t.allowed.iter().any(|a| a == d);
    let action = format!("/tasks/{}/decide", t.row.id);
    let digest = t.sends.as_ref().map_or("", |s| s.digest.as_str());
    let yes = if may("approve") { "approve" } else { "accept" };
    let no = if may("reject") { "reject" } else { "close" };
    let lacking = t.record.iter().any(|f| f.required && f.value.is_empty());
    let button = match (&t.sends, t.row.kind.as_str()) {
        (Some(s), "approve") => s.button.as_str(),
        (_, "review") => "Approve as it is",
        (_, "missing") => "Decide without it",
        (_, "hand_off") => "Take it on",
        _ => "Mark as seen",
    };
    // Where something is missing, filling it in is the one thing to do.
    let edit_first = may("edit") && lacking && t.sends.is_none();
    html! {
        @if edit_first { (edit(t, action.as_str(), true)) }
        div class="buttons" {
            @if may("approve") || may("accept") {
                form method="post" action=(action) {
                    input type="hidden" name="decision" value=(yes);
                    input type="hidden" name="digest" value=(digest);
                    input type="hidden" name="reason" value="checked";
                    button type="submit" id="act-approve" class={ @if !edit_first { "primary" } } data-key="a" { (button) kbd { "a" } }
                }
            }
            @match &t.sends {
                Some(s) if may("edit") => (reword(s, action.as_str())),
                None if may("edit") && !edit_first => (edit(t, action.as_str(), false)),
                _ => {}
            }
            @if may("reject") || may("close") {
                details class="act" id="act-reject" {
                    summary class="button" data-key="r" { @if no == "reject" { "Send back" } @else { "Close it" } kbd { "r" } }
                    form method="post" action=(action) class="stack" {
                        input type="hidden" name="decision" value=(no);
                        fieldset {
                            legend { "Why" }
                            @for (i, (code, words)) in REJECT.iter().enumerate() {
                                label class="choice" { input type="radio" name="reason" value=(code) checked[i == 0]; (words) }
                            }
                        }
                        (note("", ""))
                        button type="submit" class="danger" { @if no == "reject" { "Send back, nothing goes out" } @else { "Close the task" } kbd { "Ctrl Enter" } }
                    }
                }
            }
        }
    }
}

/// The form that corrects fields; open and without a button of its own where filling in is the one thing to do.
fn edit(t: &TaskPage, action: &str, first: bool) -> Markup {
    html! {
        details class="act" id="act-edit" open[first] {
            summary class={ @if first { "away" } @else { "button" } } data-key="e" { "Correct fields" kbd { "e" } }
            form method="post" action=(action) class="stack" {
                input type="hidden" name="decision" value="edit";
                div { (record::editor(&t.record)) }
                (note("reason", "corrected"))
                button type="submit" class={ @if first { "primary" } } { "Keep and decide again" kbd { "Ctrl Enter" } }
            }
        }
    }
}

/// The form that approves a message in other words.
fn reword(s: &Sends, action: &str) -> Markup {
    let rows = s.text.lines().count().clamp(6, 24);
    html! {
        details class="act" id="act-edit" {
            summary class="button" data-key="e" { "Edit" kbd { "e" } }
            form method="post" action=(action) class="stack reword" {
                input type="hidden" name="decision" value="edit";
                input type="hidden" name="digest" value=(s.digest);
                @if !s.subject.is_empty() {
                    label { span { "Subject" } input name="set.subject" value=(s.subject) dir="auto" autocomplete="off"; }
                    input type="hidden" name="was.subject" value=(s.subject);
                }
                label { span { "Text" } textarea name="set.text" rows=(rows) dir="auto" { (s.text) } }
                input type="hidden" name="was.text" value=(s.text);
                (note("reason", "reworded"))
                button type="submit" class="primary" { "Approve and send these words" kbd { "Ctrl Enter" } }
            }
        }
    }
}

fn note(reason: &str, value: &str) -> Markup {
    html! {
        @if !reason.is_empty() { input type="hidden" name=(reason) value=(value); }
        label { span { "Note " span class="soft" { "stays with the case" } } textarea name="note" rows="2" dir="auto" {} }
    }
}

fn may_not(role: Role) -> Markup {
    html! { p class="notice" { "You look on as " (role.word()) ": owners and reviewers decide tasks." } }
}

fn hand_over(t: &TaskPage) -> Markup {
    html! {
        div class="hand-over" {
            @if t.row.mine { span class="soft" { "The task is yours." } } @else {
                form method="post" action={ "/tasks/" (t.row.id) "/claim" } { button type="submit" class="plain" data-key="c" { "Take over" kbd { "c" } } }
            }
        }
    }
}

/// The page after an approval whose digest no longer fits.
pub(crate) fn stale(t: &TaskPage, code: &str) -> Page {
    Page {
        title: "Something changed".into(),
        place: "/inbox",
        body: html! {
            div class="problem" {
                h1 { "What you saw is not what would go out now" }
                p { "Since the page was shown, the text, the recipient or a value changed: another message arrived, somebody corrected a field, or the case was decided again." }
                p { strong { "Nothing was approved and nothing was sent." } " Look at what would go out now, and decide that." }
                p { a class="button primary" href={ "/tasks/" (t.row.id) } data-key="Enter" autofocus { "Look at it again" kbd { "Enter" } } " " a href={ "/cases/" (t.row.case) } { "See what changed" } }
                p class="soft" { (code) ": an approval is bound to the digest of exactly what was shown." }
            }
        },
        keys: vec![("Enter", "look at it again")],
    }
}
