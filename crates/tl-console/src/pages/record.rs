//! The record of a case: each field with its value, who gave it and how sure that is.

use maud::{Markup, html};

use crate::parts::{by_words, share, words};
use crate::views::{By, FieldRow};

/// Fields to look at.
pub(crate) fn table(fields: &[FieldRow]) -> Markup {
    html! {
        table class="record" {
            thead class="away" { tr { th { "Field" } th { "Value" } th { "From" } } }
            tbody {
                @for f in fields { (row(f)) }
            }
        }
        @if fields.is_empty() { p class="soft" { "Nothing is known yet." } }
    }
}

fn row(f: &FieldRow) -> Markup {
    let (by, class) = by_words(f.by);
    let span = f.span.map(|(from, _)| from);
    html! {
        tr class=[(f.by == By::Nobody && f.required).then_some("lacking")] data-span=[span] {
            th scope="row" { (words(&f.name)) @if f.control { " " span class="tag" title="may address an effect" { "address" } } }
            td dir="auto" { @if let Some(at) = f.instant { (crate::time::instant(at)) } @else if !f.value.is_empty() { (f.value) } @else if f.required { em { "missing" } } @else { span class="soft" { "–" } } }
            td class="from" {
                @if f.by != By::Nobody || f.required { span class={ "by " (class) } title=(f.source) { (by) } }
                @if let Some(c) = f.confidence { span class="conf" title="confidence" { (share(c)) } }
                @if f.span.is_some() { span class="spanned" title="read from the message: point here to see where" { "⇠ text" } }
            }
        }
    }
}

/// Fields to correct. Where required ones are missing, those stand in front and the others behind a fold.
pub(crate) fn editor(fields: &[FieldRow]) -> Markup {
    let lacking = |f: &&FieldRow| f.editable && f.required && f.value.is_empty();
    let first: Vec<&FieldRow> = fields.iter().filter(lacking).collect();
    let other: Vec<&FieldRow> = fields
        .iter()
        .filter(|f| f.editable && !lacking(f))
        .collect();
    html! {
        @if first.is_empty() {
            (inputs(&other))
        } @else {
            (inputs(&first))
            details class="other-fields" { summary { "Other fields" } (inputs(&other)) }
        }
    }
}

fn inputs(fields: &[&FieldRow]) -> Markup {
    html! {
        div class="edit-fields" {
            @for f in fields {
                @let name = format!("set.{}", f.name);
                label class=[(f.required && f.value.is_empty()).then_some("lacking")] {
                    span { (words(&f.name)) @if f.required && f.value.is_empty() { span class="tag warn" { "missing" } } }
                    input type="hidden" name={ "was." (f.name) } value=(f.value);
                    @if !f.choices.is_empty() {
                        select name=(name) {
                            option value="" selected[f.value.is_empty()] { "—" }
                            @for c in &f.choices { option value=(c) selected[*c == f.value] { (words(c)) } }
                        }
                    } @else if f.long {
                        textarea name=(name) rows="4" dir="auto" { (f.value) }
                    } @else {
                        input name=(name) value=(f.value) dir="auto" autocomplete="off";
                    }
                }
            }
        }
    }
}
