//! A connection of a connector in `connections.yaml`: address, settings, way to log in, secrets.

use std::collections::BTreeMap;

use tl_kernel::connector::Connector;
use tl_kernel::expr::Template;
use tl_kernel::value::{Label, Value};

use super::{find, names};
use crate::cx::{Cx, Keys};
use crate::diag::{Mend, Problem};
use crate::project::{
    BY_HTTP, BY_MAIL, Connection, ConnectionAuth, ConnectionKind, OPERATORS, Reading, SecretRef,
    base_url, owner, secret,
};
use crate::suggest::{listed, nearest};
use crate::tree::Node;

/// A connection whose `kind` names a connector.
pub(crate) fn connection(
    cx: &mut Cx<'_>,
    keys: Keys<'_>,
    (node, read): (&Node, &Reading<'_>),
) -> Option<Connection> {
    let kind = node.text()?;
    let Some(connector) = find(read.project, kind) else {
        unknown_kind(cx, node, read);
        return None;
    };
    if let Some(n) = keys.get("model") {
        let p = Problem::new(
            "TL0209",
            keys.key_span("model"),
            "only `kind: openai` has a `model`",
        );
        cx.push(p.mend(n.removal("take it out")));
    }
    let settings = settings(cx, keys, &connector);
    let base_url = address(cx, keys, &connector, &settings)?;
    let (secret, secrets) = secrets(cx, keys, read.name);
    let scheme = scheme(cx, keys, &connector);
    let shown = connector
        .auth
        .iter()
        .find(|s| scheme.as_ref().is_none_or(|n| *n == s.name));
    let needs =
        shown.is_some_and(|s| reads_secret(&s.present.value) || s.login.is_some() || s.signs);
    if needs && secret.is_none() && secrets.is_empty() {
        let var = read.name.to_uppercase().replace('-', "_");
        cx.missing(keys, "secret", &format!("env:{var}_SECRET"));
    }
    let owner = match keys.get("owner") {
        None => OPERATORS.to_owned(),
        Some(n) => owner(cx, n, read.owners)?,
    };
    Some(Connection {
        name: read.name.to_owned(),
        kind: ConnectionKind::Rest,
        connector: Some(connector.name),
        scheme,
        settings,
        base_url,
        auth: ConnectionAuth::None,
        secret,
        secrets,
        model: None,
        owner,
        line: read.line,
    })
}

fn reads_secret(template: &Template) -> bool {
    template
        .reads()
        .iter()
        .any(|p| p.first().is_some_and(|r| r == "secret"))
}

fn unknown_kind(cx: &mut Cx<'_>, node: &Node, read: &Reading<'_>) {
    let text = node.text().unwrap_or_default();
    let mut known = names(read.project);
    known.extend(["rest".to_owned(), "openai".to_owned()]);
    let p = Problem::new(
        "TL0415",
        node.span,
        format!("there is no connector `{text}`"),
    )
    .why(format!(
        "a connection is of kind {}, or of a connector whose file connectors/{text}.yaml is right",
        listed(known.iter().map(String::as_str))
    ));
    let best = nearest(text, known.iter().map(String::as_str)).unwrap_or("rest");
    cx.push(p.mend(Mend::replace(node.span, best, format!("write `{best}`"))));
}

/// What the connector asks for, and nothing else.
fn settings(cx: &mut Cx<'_>, keys: Keys<'_>, connector: &Connector) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let given = keys.get("settings").and_then(|n| cx.mapping(n));
    for e in given.iter().flat_map(|k| &k.map.entries) {
        if connector.settings.contains_key(&e.key) {
            out.extend(cx.text(&e.value).map(|v| (e.key.clone(), v)));
            continue;
        }
        let known = connector.settings.keys().map(String::as_str);
        let p = Problem::new(
            "TL0201",
            e.key_span,
            format!("`{}` has no setting `{}`", connector.name, e.key),
        );
        let p = p.why(format!("its settings are {}", listed(known.clone())));
        cx.push(match nearest(&e.key, known) {
            Some(k) => p.mend(Mend::replace(e.key_span, k, format!("did you mean `{k}`?"))),
            None => p.mend(e.value.removal("take it out")),
        });
    }
    let all_read = connector.base_url.iter().flat_map(Template::reads);
    for path in all_read {
        let [_, name] = path.as_slice() else { continue };
        if !out.contains_key(name) && keys.get("base_url").is_none() {
            match given {
                Some(g) => cx.missing(g, name, "acme"),
                None => cx.missing(keys, "settings", &format!("{{ {name}: acme }}")),
            }
        }
    }
    out
}

/// The address: the connection's own, or the connector's with the settings in it.
fn address(
    cx: &mut Cx<'_>,
    keys: Keys<'_>,
    connector: &Connector,
    settings: &BTreeMap<String, String>,
) -> Option<String> {
    let (schemes, example) = match connector.is_by_mail() {
        true => (BY_MAIL, "smtps://mail.example.com"),
        false => (BY_HTTP, "https://crm.example.com/api"),
    };
    let Some(node) = keys.get("base_url") else {
        let Some(template) = &connector.base_url else {
            cx.missing(keys, "base_url", example);
            return None;
        };
        return rendered(template, settings);
    };
    let url = base_url(cx, node, schemes)?;
    let host = host_of(&url);
    let fits = connector.hosts.is_empty() || connector.hosts.iter().any(|h| matches_host(h, host));
    // Loopback is for a stand-in of the vendor; the installation's owner has to allow private addresses for it.
    if !fits && !["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        let known = connector.hosts.iter().map(String::as_str);
        let p = Problem::new(
            "TL0418",
            node.span,
            format!("`{host}` is none of the hosts of {}", connector.title),
        );
        cx.push(
            p.why(format!(
                "the connector's credential goes to {} only",
                listed(known)
            ))
            .mend(node.removal("leave it out")),
        );
        return None;
    }
    Some(url)
}

/// The host of an address, without its port.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, r)| r);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether a host is one that a pattern names.
fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(end) => host
            .strip_suffix(end)
            .is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

fn rendered(template: &Template, settings: &BTreeMap<String, String>) -> Option<String> {
    let values = settings.iter().map(|(k, v)| (k.clone(), Value::text(v)));
    let scope = BTreeMap::from([(
        "connection".to_owned(),
        (Value::Record(values.collect()), Label::Config),
    )]);
    let out = template.render(&scope).ok()?;
    out.absent.is_empty().then_some(out.text)
}

fn scheme(cx: &mut Cx<'_>, keys: Keys<'_>, connector: &Connector) -> Option<String> {
    let node = keys.get("auth")?;
    let text = cx.text(node)?;
    if connector.auth.iter().any(|s| s.name == text) {
        return Some(text);
    }
    let known = connector.auth.iter().map(|s| s.name.as_str());
    cx.unknown("TL0418", node, "the way to log in", known);
    None
}

/// One secret, or several by name.
fn secrets(
    cx: &mut Cx<'_>,
    keys: Keys<'_>,
    name: &str,
) -> (Option<SecretRef>, BTreeMap<String, SecretRef>) {
    let mut out = BTreeMap::new();
    let Some(node) = keys.get("secret") else {
        return (None, out);
    };
    if node.text().is_some() {
        return (secret(cx, node, name), out);
    }
    if let Some(keys) = cx.mapping(node) {
        for e in &keys.map.entries {
            if let Some(at) = secret(cx, &e.value, &format!("{name}_{}", e.key)) {
                out.insert(e.key.clone(), at);
            }
        }
    }
    (None, out)
}
