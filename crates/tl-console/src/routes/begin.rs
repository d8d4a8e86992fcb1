//! Signing in and out, one-time links, and the people of a tenant.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, Uri, header};
use tl_kernel::time::MINUTE;

use super::{Console, Seat, html, see};
use crate::access::{Action, Role};
use crate::forms::Form;
use crate::house::{Account, Session, SessionChange};
use crate::pages::{door, people as pages};
use crate::password::fault;
use crate::session::{LONGEST, Link, token};
use crate::trouble::Trouble;
use crate::views::Who;

type Answer = Result<Response, Trouble>;

/// `GET /`: reviewers begin with their work, everybody else with how the line runs.
pub(super) async fn first_page(seat: Seat) -> Response {
    match seat.who.role {
        Role::Reviewer => see("/inbox"),
        _ => see("/health"),
    }
}

/// `GET /sign-in`.
pub(super) async fn sign_in_page(State(console): State<Arc<Console>>, uri: Uri) -> Answer {
    if console.house().people().await?.is_empty() {
        return Ok(html(door::no_account()));
    }
    let query = Form::of_query(uri.query());
    Ok(html(door::sign_in(own_path(query.text("to")), "", None)))
}

/// `POST /sign-in`.
pub(super) async fn sign_in(State(console): State<Arc<Console>>, form: Form) -> Answer {
    let name = form.text("name").to_lowercase();
    let to = own_path(form.text("to"));
    let (now, house) = (console.house.now(), console.house());
    if let Some(wait) = console.attempts.wait(&name, now) {
        let minutes = (wait + MINUTE - 1) / MINUTE;
        let said = format!(
            "Too many attempts for this name. Wait {minutes} min, or ask an owner for a new link."
        );
        let mut response = html(door::sign_in(to, &name, Some(&said)));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return Ok(response);
    }
    let account = house.account(&name).await?;
    let phc = account.as_ref().map(|a| a.password.clone());
    let password = form.raw("password").to_owned();
    if !console.passwords.fits(password, phc).await? {
        console.attempts.failed(&name, now);
        match account {
            Some(_) => house.sign_in_failed(&name).await?,
            None => tracing::warn!(target: "security", "sign-in for a name that is not there"),
        }
        let said = "Name or password is wrong.";
        let mut response = html(door::sign_in(to, &name, Some(said)));
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    }
    console.attempts.forget(&name);
    enter(&console, &name, to).await
}

/// Begins a session and goes on.
async fn enter(console: &Console, name: &str, to: &str) -> Answer {
    let now = console.house.now();
    let (text, digest) = token(console.house.random()?);
    let session = Session {
        token: digest,
        account: name.to_owned(),
        begun: now,
        seen: now,
        ends: now + LONGEST,
    };
    let begins = SessionChange::Begins(session);
    console.house().change_session(begins).await?;
    let mut response = see(if to.is_empty() { "/" } else { to });
    if let Some(cookie) = console.cookie.write(Some(&text)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /sign-out`.
pub(super) async fn sign_out(seat: Seat) -> Answer {
    let ends = SessionChange::Ends {
        token: seat.token,
        account: seat.who.name.clone(),
    };
    seat.house().change_session(ends).await?;
    let mut response = see("/sign-in");
    if let Some(cookie) = seat.console.cookie.write(None) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /begin/{token}`: looking at a link does not use it up, because programs that scan mail look too.
pub(super) async fn link_page(
    State(console): State<Arc<Console>>,
    Path(token): Path<String>,
) -> Response {
    match console.links.find(&token, console.house.now()) {
        Some(link) => html(door::begin(invited(&link), ("", ""), None)),
        None => gone(),
    }
}

fn gone() -> Response {
    let mut response = html(door::link_gone());
    *response.status_mut() = StatusCode::GONE;
    response
}

fn invited(link: &Link) -> Option<(&str, &str, Role)> {
    match link {
        Link::FirstOwner => None,
        Link::Invited {
            name, shown, role, ..
        } => Some((name, shown, *role)),
    }
}

/// `POST /begin/{token}`.
pub(super) async fn link(
    State(console): State<Arc<Console>>,
    Path(token): Path<String>,
    form: Form,
) -> Answer {
    let _one = console.beginning.lock().await;
    let Some(link) = console.links.find(&token, console.house.now()) else {
        return Ok(gone());
    };
    let (who, by) = match &link {
        Link::FirstOwner => {
            let (name, shown) = (form.text("name").to_lowercase(), form.text("shown"));
            (named(&name, shown, Role::Owner), name)
        }
        Link::Invited {
            name,
            shown,
            role,
            by,
        } => (named(name, shown, *role), by.clone()),
    };
    let password = form.raw("password");
    let wrong = match &who {
        Err(wrong) => Some(*wrong),
        Ok(who) => fault(password, &who.name),
    };
    let given = (form.text("name"), form.text("shown"));
    let who = match (who, wrong) {
        (Ok(who), None) => who,
        (_, wrong) => {
            let mut response = html(door::begin(invited(&link), given, wrong));
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(response);
        }
    };
    if link == Link::FirstOwner && !console.house().people().await?.is_empty() {
        return Ok(gone());
    }
    let salt = console.house.random()?;
    let hash = console.passwords.hash(password.to_owned(), salt).await?;
    let name = who.name.clone();
    let account = Account {
        who,
        password: hash,
    };
    console.house().put_account(account, &by).await?;
    console.links.take(&token);
    console.attempts.forget(&name);
    enter(&console, &name, "").await
}

/// A person by a name that the journal can hold.
fn named(name: &str, shown: &str, role: Role) -> Result<Who, &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    let fits = (2..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain);
    if !fits {
        return Err(
            "The short name has 2 to 40 lower-case letters, digits, dots and hyphens, a letter first.",
        );
    }
    if shown.is_empty() || shown.chars().count() > 80 {
        return Err("Write the name as people write it, at most 80 characters.");
    }
    Ok(Who {
        name: name.to_owned(),
        shown: shown.to_owned(),
        role,
    })
}

/// `GET /people`.
pub(super) async fn people(seat: Seat) -> Answer {
    seat.needs(Action::People)?;
    let (frame, people) = (seat.frame().await?, seat.house().people().await?);
    Ok(seat.show(&frame, &pages::page(&people, None, frame.now)))
}

/// `POST /people/invite`.
pub(super) async fn invite(seat: Seat, form: Form) -> Answer {
    seat.needs(Action::People)?;
    let role = Role::parse(form.text("role"));
    let role = role.ok_or_else(|| Trouble::malformed("There is no such role."))?;
    let who = named(&form.text("name").to_lowercase(), form.text("shown"), role)
        .map_err(|e| Trouble::malformed(e).then("Back to People", "/people"))?;
    let people = seat.house().people().await?;
    let owners = people.iter().filter(|p| p.who.role == Role::Owner).count();
    let last_owner = owners == 1
        && people
            .iter()
            .any(|p| p.who.name == who.name && p.who.role == Role::Owner);
    if last_owner && role != Role::Owner {
        let said = "This is the only owner. Invite another owner first.";
        return Err(Trouble::refused("", said).then("Back to People", "/people"));
    }
    let shown = who.shown.clone();
    let link = Link::Invited {
        name: who.name,
        shown: who.shown,
        role,
        by: seat.who.name.clone(),
    };
    let (random, now) = (seat.house().random()?, seat.house().now());
    let token = seat.console.links.make(link, random, now);
    let link = format!("{}/begin/{token}", seat.console.base);
    let frame = seat.frame().await?;
    let page = pages::page(&people, Some((&shown, &link)), frame.now);
    Ok(seat.show(&frame, &page))
}

/// A path of ours, or nothing: a link into the sign-in page leads to no other site.
fn own_path(to: &str) -> &str {
    let other = to.starts_with("//") || to.contains('\\') || to.contains(char::is_control);
    if to.starts_with('/') && !other {
        to
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_gone_to() {
        for (to, kept) in [
            ("/tasks/task_1?x=1", true),
            ("//evil.example", false),
            ("/\\evil.example", false),
            ("https://evil.example", false),
            ("", false),
        ] {
            assert_eq!(own_path(to) == to && !to.is_empty(), kept, "{to}");
        }
    }

    #[test]
    fn names_fit_the_journal() {
        for (name, fine) in [
            ("ana", true),
            ("a.b-9", true),
            ("a", false),
            ("9a", false),
            ("Ana", false),
            ("a b", false),
        ] {
            assert_eq!(named(name, "Ana", Role::Viewer).is_ok(), fine, "{name}");
        }
        assert!(named("ana", "", Role::Viewer).is_err());
    }
}
