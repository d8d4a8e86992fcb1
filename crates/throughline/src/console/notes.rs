//! Forms behind the sign-in, as the console shows them.

use std::collections::BTreeMap;

use tl_console::Trouble;
use tl_console::views::{Asked, NoteForm, Noted, Question, Who};
use tl_web::{Control, FilledIn, Form, Kind, NotTaken};

use super::Rooms;
use crate::app::DEFAULT_TENANT;

impl Rooms {
    pub(super) async fn note_forms(&self) -> Vec<NoteForm> {
        let forms = self.forms.forms(DEFAULT_TENANT).await;
        forms.into_iter().map(note_form).collect()
    }

    pub(super) async fn keep_note(
        &self,
        who: &Who,
        (form, key): (&str, &str),
        answers: BTreeMap<String, String>,
    ) -> Result<Noted, Trouble> {
        let filled = FilledIn {
            tenant: DEFAULT_TENANT,
            form,
            person: &who.name,
            key,
            answers,
        };
        match self.forms.take(filled).await {
            Ok(false) => Ok(Noted::Kept),
            Ok(true) => Ok(Noted::Before),
            Err(NotTaken::Changed) => Ok(Noted::Changed),
            Err(NotTaken::Wrong(wrong)) => Ok(Noted::Wrong(wrong)),
            Err(NotTaken::NoForm) => {
                let said = format!("There is no form for notes called `{form}`.");
                Err(Trouble::missing(said))
            }
            Err(NotTaken::Refused(code, said)) => Err(Trouble::refused(code, said)),
        }
    }
}

fn note_form((name, form): (String, Form)) -> NoteForm {
    NoteForm {
        name,
        title: form.title,
        intro: form.intro,
        questions: form.controls.into_iter().map(question).collect(),
    }
}

fn question(control: Control) -> Question {
    let asked = match control.kind {
        Kind::Area => Asked::Area,
        Kind::Choice(all) => Asked::Choice(all),
        Kind::Tick => Asked::Tick,
        Kind::Email => Asked::Line("email"),
        Kind::Phone => Asked::Line("tel"),
        Kind::Url => Asked::Line("url"),
        Kind::Day => Asked::Line("date"),
        Kind::Moment => Asked::Line("datetime-local"),
        Kind::Line | Kind::Whole | Kind::Fraction => Asked::Line("text"),
    };
    Question {
        name: control.name,
        label: control.label,
        hint: control.hint,
        asked,
        required: control.required,
    }
}
