//! Signing in, and the one-time links with which an account begins.

use maud::{Markup, html};

use crate::access::Role;
use crate::shell::alone;

/// The form for signing in.
pub(crate) fn sign_in(to: &str, name: &str, wrong: Option<&str>) -> Markup {
    alone(
        "Sign in",
        html! {
            h1 { "Sign in" }
            (fault(wrong))
            form method="post" action="/sign-in" class="stack" {
                input type="hidden" name="to" value=(to);
                label { "Name"
                    input name="name" value=(name) autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus[name.is_empty()];
                }
                label { "Password"
                    input name="password" type="password" autocomplete="current-password" required autofocus[!name.is_empty()];
                }
                button type="submit" class="primary" { "Sign in" }
            }
        },
    )
}

/// No account exists yet: the link that makes the first one is printed where the server was started.
pub(crate) fn no_account() -> Markup {
    alone(
        "First sign-in",
        html! {
            h1 { "Nobody can sign in yet" }
            p { "The server prints a one-time link when it starts. Open that link to make the first account: it becomes the owner." }
            p class="soft" { "The link is lost? Restart the server; it prints a new one until an account exists." }
        },
    )
}

/// The page of a one-time link. `invited`: name and role that somebody else chose.
pub(crate) fn begin(
    invited: Option<(&str, &str, Role)>,
    given: (&str, &str),
    wrong: Option<&str>,
) -> Markup {
    let (title, words) = match invited {
        None => (
            "Make the first account",
            "You become the owner of this installation. The journal calls you by the short name: keep it for good.",
        ),
        Some(_) => (
            "Choose your password",
            "Then you are signed in. This link works once.",
        ),
    };
    alone(
        title,
        html! {
            h1 { (title) }
            p class="soft" { (words) }
            (fault(wrong))
            form method="post" class="stack" {
                @match invited {
                    None => {
                        label { "Your name"
                            input name="shown" value=(given.1) autocomplete="name" placeholder="Ana Horvat" required autofocus;
                        }
                        label { "Short name"
                            input name="name" value=(given.0) autocomplete="username" autocapitalize="none" spellcheck="false" placeholder="ana" pattern="[a-z][a-z0-9.\\-]{1,39}" required;
                            span class="hint" { "Lower-case letters, digits, dots and hyphens." }
                        }
                    }
                    Some((name, shown, role)) => {
                        p { strong { (shown) } ", signs in as " code { (name) } ", " (role.word()) ": " (role.words()) }
                        input type="hidden" name="username" autocomplete="username" value=(name);
                    }
                }
                label { "Password"
                    input name="password" type="password" autocomplete="new-password" minlength="12" required autofocus[invited.is_some()];
                    span class="hint" { "At least 12 characters. Four plain words are fine." }
                }
                button type="submit" class="primary" { @if invited.is_none() { "Make the account and sign in" } @else { "Keep the password and sign in" } }
            }
        },
    )
}

/// A link that is used up, replaced or too old.
pub(crate) fn link_gone() -> Markup {
    alone(
        "This link is over",
        html! {
            h1 { "This link is over" }
            p { "It was used, a newer one replaced it, or a day has passed, or the server was restarted. Nothing was changed." }
            p { a href="/sign-in" { "Sign in" } " if you have an account; else ask an owner for a new link." }
        },
    )
}

fn fault(wrong: Option<&str>) -> Markup {
    html! { @if let Some(wrong) = wrong { p class="fault" role="alert" { (wrong) } } }
}
