//! Doors of people: forms that anybody may fill in, forms behind the console's sign-in, and the form that a one-time
//! link leads to.

use tl_kernel::expr::Expr;
use tl_kernel::program::{
    ActionKind, Auth, Channel, Endpoint, FieldDef, FieldFrom, Format, Idempotency, OnAutomatic,
    Schema, TaskRules,
};
use tl_kernel::value::Type;

use crate::cx::Keys;
use crate::diag::{Mend, Problem};
use crate::load::{Lower, Names};
use crate::schema::derived_schema;
use crate::tree::Node;

/// Largest answer to a follow-up, bytes: a few fields.
const MAX_ANSWER: u32 = 64 * 1024;

/// What the file says of a door, as far as people's forms are concerned.
pub(crate) struct People<'n> {
    /// Name of the door.
    pub(crate) name: &'n str,
    /// Its channel is `form`, and so is what it reads.
    pub(crate) is_form: bool,
    /// Keys of its own.
    pub(crate) own: Option<Keys<'n>>,
    /// Where its `auth` stands.
    pub(crate) auth: Option<&'n Node>,
}

/// Settles a door of people: one that stands alone, that is a form, and that names its websites.
pub(crate) fn settle(l: &mut Lower<'_>, door: &People<'_>, auth: &mut Vec<Auth>) {
    let websites = door.own.and_then(|k| k.get("origins"));
    let of_people = |a: &Auth| matches!(a, Auth::Public { .. } | Auth::SignIn);
    let Some((word, node)) = auth.iter().find(|a| of_people(a)).map(word).zip(door.auth) else {
        if let Some(n) = websites {
            refuse_websites(l, n);
        }
        return;
    };
    if !door.is_form {
        let what = format!(
            "`{word}` belongs to the channel `form`, and `{}` is none",
            door.name
        );
        l.cx.push(
            Problem::new("TL0203", node.span, what)
                .why("people fill in forms; what a program sends is signed")
                .mend(Mend::replace(
                    node.span,
                    "hmac_signature",
                    "write `hmac_signature`",
                )),
        );
        return;
    }
    if auth.len() > 1 {
        let what = format!("`{word}` stands beside another way");
        l.cx.push(
            Problem::new("TL0203", node.span, what)
                .why("what came from people and what was signed is told apart by the door; give programs one of their own")
                .mend(Mend::replace(node.span, word, format!("leave `{word}` alone"))),
        );
        auth.retain(of_people);
        auth.truncate(1);
    }
    match (auth.first_mut(), websites) {
        (Some(Auth::Public { origins }), Some(n)) => *origins = websites_of(l, n),
        (Some(Auth::SignIn), Some(n)) => refuse_websites(l, n),
        _ => {}
    }
    if word == "public" {
        l.note(&format!(
            "endpoint `{}`: anybody may send, and nothing about the sender is proven: a message to an address that was \
             typed there waits for a person's approval",
            door.name
        ));
    }
}

/// Where a door's messages get their dedupe key. The default of all doors does not hold for people: their browsers
/// send no header of ours, and our page has a key of its own.
pub(crate) fn idempotency(auth: &[Auth], own: bool, of_all: Idempotency) -> Idempotency {
    let people = auth
        .iter()
        .any(|a| matches!(a, Auth::Public { .. } | Auth::SignIn));
    match of_all {
        Idempotency::Header if people && !own => Idempotency::Covered,
        other => other,
    }
}

fn word(auth: &Auth) -> &'static str {
    match auth {
        Auth::SignIn => "sign_in",
        _ => "public",
    }
}

fn refuse_websites(l: &mut Lower<'_>, node: &Node) {
    l.cx.push(
        Problem::new("TL0209", node.span, "only a public form has websites")
            .why("`origins` lets pages of other websites post to a door with `auth: public`")
            .mend(node.removal("take it out")),
    );
}

fn websites_of(l: &mut Lower<'_>, node: &Node) -> Vec<String> {
    let mut out = Vec::new();
    for item in l.cx.items(node) {
        let Some(text) = l.cx.text(item) else {
            continue;
        };
        match website(&text) {
            Some(origin) if origin == text => out.push(origin),
            other => {
                let what = format!("`{text}` is no website");
                let problem = Problem::new("TL0203", item.span, what).why(
                    "a website is `https://` and a name, and a port where it has one, as browsers write it: nothing \
                     behind it, and `http://` for this machine alone",
                );
                let mend = other.map(|origin| {
                    let say = format!("write {origin}");
                    Mend::replace(item.span, crate::quote::scalar(&origin), say)
                });
                l.cx.push(match mend {
                    Some(mend) => problem.mend(mend),
                    None => problem.mend(item.removal("take it out")),
                });
            }
        }
    }
    out
}

/// A website as a browser names it in the header `Origin`, from what somebody wrote for one.
fn website(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").unwrap_or(("https", &lower));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() => (name, Some(port)),
        _ => (host, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let sound = !name.is_empty()
        && name.chars().all(plain)
        && (name.contains('.') || name == "localhost")
        && port.is_none_or(|p| p.parse::<u16>().is_ok());
    let here = name == "localhost" || name == "127.0.0.1";
    let scheme = match scheme {
        "http" if here => "http",
        "http" | "https" => "https",
        _ => return None,
    };
    // A browser leaves the scheme's own port out.
    let port = port.filter(|p| !matches!((scheme, *p), ("https", "443") | ("http", "80")));
    let port = port.map(|p| format!(":{p}")).unwrap_or_default();
    sound.then(|| format!("{scheme}://{name}{port}"))
}

/// The door of the structured follow-up, where the message that asks for missing fields shows `${follow_up.link}`.
pub(crate) fn follow_up(
    l: &mut Lower<'_>,
    tree: &Node,
    (id, tasks, others): (&str, &TaskRules, &[Endpoint]),
) -> Option<Endpoint> {
    let shows = |kind: &ActionKind| match kind {
        ActionKind::Message(m) => m.body.reads().iter().any(|p| p[0] == "follow_up"),
        _ => false,
    };
    let mut asks = false;
    let mut elsewhere = Vec::new();
    for (ix, action) in l.actions.iter().enumerate() {
        if shows(&action.kind) {
            match tasks.asks(ix as u16) {
                true => asks = true,
                false => elsewhere.push(action.name.clone()),
            }
        }
    }
    for name in elsewhere {
        let at = tree.at(&["side_effects", "messaging", &name]);
        let what =
            format!("`{name}` shows `${{follow_up.link}}`, and it does not ask for missing fields");
        let problem = Problem::new("TL0209", at.map_or(tree.span, |n| n.span), what).why(
            "a one-time link asks for the fields that a case waits for; the message that does is the one of \
             `tasks: { ask_missing: { message } }`",
        );
        l.cx.push(problem);
    }
    let door = asks.then(|| door(l, id))?;
    if others.iter().any(|other| other.name == door.name) {
        same_name(l, tree, &door.name);
        return None;
    }
    Some(door)
}

/// The door of the follow-up is named after the workflow, so the other one gives way.
fn same_name(l: &mut Lower<'_>, tree: &Node, name: &str) {
    let sections: [&[&str]; 2] = [&["ingress", "channels"], &["schedules"]];
    let maps = sections.iter().filter_map(|path| tree.at(path)?.map());
    let mut entries = maps.flat_map(|m| &m.entries);
    let at = entries.find(|e| e.key == name).map(|e| e.key_span);
    let other = format!("{name}_2");
    let what = format!("the endpoint `{name}` stands here twice");
    let problem = Problem::new("TL0211", at.unwrap_or(tree.span), what)
        .why("the answers to `${follow_up.link}` come through an endpoint of this name");
    l.cx.push(match at {
        Some(at) => problem.mend(Mend::replace(at, &other, format!("call it `{other}`"))),
        None => problem.mend(Mend::words("give it another name")),
    });
}

/// It takes each required field that a message may give, under the field's own name.
fn door(l: &Lower<'_>, id: &str) -> Endpoint {
    let asked = |f: &&FieldDef| f.required && f.from == FieldFrom::Event;
    let fields = l.record.fields.iter().filter(asked);
    let map = fields.filter_map(|f| {
        let own = l.own_path("event.body", &f.name, Names::Event, &f.ty);
        own.map(|e| (f.name.clone(), e))
    });
    let mut out = Endpoint {
        name: format!("{id}_follow_up"),
        channel: Channel::Form,
        format: Format::Form,
        auth: vec![Auth::Link],
        idempotency: Idempotency::Covered,
        schema: None,
        map: map.collect(),
        text: said_before(l),
        automatic: OnAutomatic::Note,
        max_body: MAX_ANSWER,
        line: 0,
    };
    out.schema = Some(Schema {
        json: derived_schema(&out, &l.record),
        derived: true,
    });
    out
}

/// A model that has not read the case yet reads what the sender wrote first, not the missing name.
fn said_before(l: &Lower<'_>) -> Option<Expr> {
    let mut names = ["message", "body"].into_iter();
    let name = names.find(|n| l.record.field(n).is_some())?;
    l.own_path("record", name, Names::Record, &Type::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_website_is_written_as_browsers_write_it() {
        let table = [
            ("https://www.example.com", Some("https://www.example.com")),
            ("https://www.example.com/", Some("https://www.example.com")),
            (
                "https://www.example.com/contact?x",
                Some("https://www.example.com"),
            ),
            (
                "HTTPS://WWW.Example.com:443",
                Some("https://www.example.com"),
            ),
            ("www.example.com", Some("https://www.example.com")),
            ("http://www.example.com", Some("https://www.example.com")),
            (
                "https://www.example.com:8443",
                Some("https://www.example.com:8443"),
            ),
            ("http://localhost:5000", Some("http://localhost:5000")),
            ("*", None),
            ("https://*.example.com", None),
            ("null", None),
            ("ftp://www.example.com", None),
            ("https://a b.example", None),
            ("https://example.com:port", None),
        ];
        for (text, want) in table {
            assert_eq!(website(text).as_deref(), want, "{text}");
        }
    }
}
