//! Which address leads where, and who may go there.

mod begin;
mod notes;
mod ops;
mod work;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::Markup;
use tl_kernel::digest::Digest;

use crate::access::Action;
use crate::assets;
use crate::forms::Form;
use crate::guard::guard;
use crate::house::{House, Session, SessionChange};
use crate::pages::problem;
use crate::password::Passwords;
use crate::session::{Attempts, Cookie, IDLE, Link, Links, SEEN_EVERY, digest_of};
use crate::shell::{Around, Page, signed_in};
use crate::trouble::Trouble;
use crate::views::{Frame, Who};

/// What the console is built from.
pub struct Setting {
    /// The rest of the product.
    pub house: Arc<dyn House>,
    /// The address under which people reach it, without a slash at the end.
    pub base: String,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// The console.
pub struct Console {
    house: Arc<dyn House>,
    base: String,
    cookie: Cookie,
    passwords: Passwords,
    links: Links,
    attempts: Attempts,
    /// What the last action of a session came to, until its next page.
    said: Mutex<BTreeMap<Digest, String>>,
    /// One account is begun at a time, so that there is one first owner.
    beginning: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// A console. Its cookie is bound to https where its address is.
    pub fn new(setting: Setting) -> Arc<Console> {
        let secure = setting.base.starts_with("https://");
        Arc::new(Console {
            house: setting.house,
            base: setting.base,
            cookie: Cookie { secure },
            passwords: Passwords::default(),
            links: Links::default(),
            attempts: Attempts::default(),
            said: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
        })
    }

    /// The one-time link that makes the first account; `None` once there is one.
    pub async fn first_link(&self) -> Result<Option<String>, Trouble> {
        if !self.house.people().await?.is_empty() {
            return Ok(None);
        }
        let (random, now) = (self.house.random()?, self.house.now());
        let token = self.links.make(Link::FirstOwner, random, now);
        Ok(Some(format!("{}/begin/{token}", self.base)))
    }

    fn house(&self) -> &dyn House {
        self.house.as_ref()
    }

    /// Whoever is signed in, by the cookie of a request.
    async fn seat(self: &Arc<Console>, headers: &HeaderMap) -> Result<Option<Seat>, Trouble> {
        let Some(token) = self.cookie.read(headers) else {
            return Ok(None);
        };
        let token = digest_of(&token);
        let (now, house) = (self.house.now(), self.house());
        let session = house.session(token).await?;
        let Some(session) = session.filter(|s| now < s.ends && now < s.seen + IDLE) else {
            return Ok(None);
        };
        let Some(account) = house.account(&session.account).await? else {
            return Ok(None);
        };
        if now >= session.seen + SEEN_EVERY {
            let seen = SessionChange::Seen(Session {
                seen: now,
                ..session
            });
            house.change_session(seen).await?;
        }
        Ok(Some(Seat {
            console: Arc::clone(self),
            who: account.who,
            token,
        }))
    }
}

/// Somebody who is signed in.
pub(crate) struct Seat {
    console: Arc<Console>,
    pub(crate) who: Who,
    token: Digest,
}

impl Seat {
    fn house(&self) -> &dyn House {
        self.console.house()
    }

    /// Refuses unless the role allows it.
    fn needs(&self, action: Action) -> Result<(), Trouble> {
        if self.who.role.may(action) {
            return Ok(());
        }
        Err(Trouble::forbidden(format!(
            "You are signed in as {}, and that role may not {}. An owner can change what you may do, under People.",
            self.who.role.word(),
            action.words()
        )))
    }

    /// Says on the next page what came of an action.
    fn say(&self, words: impl Into<String>) {
        let said = &self.console.said;
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(self.token, words.into());
    }

    async fn frame(&self) -> Result<Frame, Trouble> {
        self.house().frame().await
    }

    /// A page in its shell.
    fn show(&self, frame: &Frame, page: &Page) -> Response {
        let said = {
            let said = &self.console.said;
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.remove(&self.token)
        };
        let around = Around {
            frame,
            who: &self.who,
            said: said.as_deref(),
        };
        html(signed_in(&around, page))
    }
}

impl FromRequestParts<Arc<Console>> for Seat {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Seat, Response> {
        match console.seat(&parts.headers).await {
            Ok(Some(seat)) => Ok(seat),
            Ok(None) => {
                let asked = parts.uri.path_and_query().map_or("/", |p| p.as_str());
                let to = match parts.method {
                    Method::GET if asked != "/" => format!("/sign-in?to={}", encoded(asked)),
                    _ => "/sign-in".to_owned(),
                };
                Err(see(&to))
            }
            Err(trouble) => Err(trouble.into_response()),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Trouble;

    async fn from_request(request: Request, _: &S) -> Result<Form, Trouble> {
        Form::of(request).await
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = html(problem::outside(&self));
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// Puts what went wrong into the shell of whoever is signed in.
async fn problems(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let response = next.run(request).await;
    let Some(trouble) = response.extensions().get::<Trouble>() else {
        return response;
    };
    let (Ok(Some(seat)), Ok(frame)) = (console.seat(&headers).await, console.house.frame().await)
    else {
        return response;
    };
    let mut page = seat.show(&frame, &problem::page(trouble));
    *page.status_mut() = response.status();
    page
}

/// The pages of the console. Whoever serves them puts nothing else at these addresses.
pub fn router(console: Arc<Console>) -> Router {
    Router::new()
        .route("/", get(begin::first_page))
        .route("/sign-in", get(begin::sign_in_page).post(begin::sign_in))
        .route("/sign-out", post(begin::sign_out))
        .route("/begin/{token}", get(begin::link_page).post(begin::link))
        .route("/people", get(begin::people))
        .route("/people/invite", post(begin::invite))
        .route("/inbox", get(work::inbox))
        .route("/tasks/{id}", get(work::task))
        .route("/tasks/{id}/decide", post(work::decide))
        .route("/tasks/{id}/claim", post(work::claim))
        .route("/cases", get(work::cases))
        .route("/cases/{id}", get(work::case))
        .route("/search", get(work::search))
        .route("/live", get(work::live))
        .route("/notes", get(notes::first))
        .route("/notes/{form}", get(notes::form).post(notes::keep))
        .route("/health", get(ops::health))
        .route("/workflows", get(ops::workflows))
        .route("/workflows/{id}", get(ops::workflow))
        .route("/workflows/{id}/graph.svg", get(ops::graph))
        .route("/failures", get(ops::failures))
        .route("/failures/redrive", post(ops::redrive))
        .route("/failures/resolve", post(ops::resolve))
        .route("/outbox", get(ops::outbox))
        .route("/switches", get(ops::switches))
        .route("/switches/set", post(ops::set_switch))
        .route("/switches/clear", post(ops::clear_switch))
        .route("/assets/{name}", get(assets::serve))
        .layer(from_fn_with_state(Arc::clone(&console), problems))
        .layer(from_fn(guard))
        .with_state(console)
}

fn html(markup: Markup) -> Response {
    let mut response = markup.into_string().into_response();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Go there, with a request that changes nothing.
fn see(to: &str) -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// An address as the value of a query.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
    let one = |b: u8| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}
