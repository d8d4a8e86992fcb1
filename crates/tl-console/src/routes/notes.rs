//! Notes of people who have signed in.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use tl_kernel::digest::hex;

use super::{Seat, see};
use crate::access::Action;
use crate::forms::Form;
use crate::pages::note as note_page;
use crate::trouble::Trouble;
use crate::views::{NoteForm, Noted};

type Answer = Result<Response, Trouble>;

/// What a person is told who has changed a note that was sent already.
const CHANGED: &str = "An earlier version of this note was kept, and this one is not yet. Press “Keep this note” again \
                       to keep it as a note of its own.";
/// Answers that one note has at most.
const MAX_ANSWERS: usize = 200;

/// `GET /notes`.
pub(super) async fn first(seat: Seat) -> Answer {
    seat.needs(Action::Note)?;
    let forms = seat.house().notes().await?;
    match forms.first() {
        Some(first) => Ok(see(&format!("/notes/{}", first.name))),
        None => Ok(seat.show(&seat.frame().await?, &note_page::none())),
    }
}

/// `GET /notes/{form}`.
pub(super) async fn form(seat: Seat, Path(name): Path<String>) -> Answer {
    seat.needs(Action::Note)?;
    let key = fresh_key(&seat)?;
    shown(&seat, &name, (&key, &note_page::Typed::default())).await
}

/// Names a page that nobody has sent yet.
fn fresh_key(seat: &Seat) -> Result<String, Trouble> {
    Ok(hex(&seat.house().random()?))
}

/// `POST /notes/{form}`: then the empty form, for the next call.
pub(super) async fn keep(seat: Seat, Path(name): Path<String>, form: Form) -> Answer {
    seat.needs(Action::Note)?;
    let answers: BTreeMap<String, String> = form
        .with_prefix("set.")
        .take(MAX_ANSWERS)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let key = form.text("key");
    let noted = seat.house().note(&seat.who, (&name, key), answers.clone());
    match noted.await? {
        Noted::Wrong(wrong) => {
            let typed = note_page::Typed { answers, wrong };
            return mend(&seat, &name, (key, &typed)).await;
        }
        // A page of its own: what is typed there is a note beside the other, if the person wants that.
        Noted::Changed => {
            let wrong = vec![(None, CHANGED.to_owned())];
            let typed = note_page::Typed { answers, wrong };
            return mend(&seat, &name, (&fresh_key(&seat)?, &typed)).await;
        }
        Noted::Kept => seat.say("the note is kept, and its case is on its way"),
        Noted::Before => seat.say("this note was kept before; to keep another, fill in this one"),
    }
    Ok(see(&format!("/notes/{name}")))
}

/// The form again, with what was typed.
async fn mend(seat: &Seat, name: &str, page: (&str, &note_page::Typed)) -> Answer {
    let mut response = shown(seat, name, page).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

async fn shown(seat: &Seat, name: &str, page: (&str, &note_page::Typed)) -> Answer {
    let forms = seat.house().notes().await?;
    let is_it = |f: &&NoteForm| f.name == name;
    let missing = || Trouble::missing(format!("There is no form for notes called `{name}`."));
    let form = forms.iter().find(is_it).ok_or_else(missing)?;
    let frame = seat.frame().await?;
    Ok(seat.show(&frame, &note_page::page(&forms, form, page)))
}
