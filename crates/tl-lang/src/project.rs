//! The files of a project: workflows with what belongs to them, teams, connections.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::digest::sha256;
use tl_kernel::program::OUTBOX;

use crate::connector;
use crate::cx::{Cx, Keys};
use crate::diag::{Diag, Mend, Problem, Span};
use crate::keys::{CONNECTION, CONNECTION_AUTH, CONNECTIONS_FILE, KINDS, PLAIN_AUTHS, TEAMS_FILE};
use crate::suggest::{listed, nearest};
use crate::syntax;
use crate::tree::{self, Kind, Node};

/// The files of a project by their paths relative to its root, with `/` between directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// Contents by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Project {
    /// The text of a file; `None` where there is none or it is not UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// The text of a file as it can be shown: where bytes are no UTF-8, a mark stands for them.
    pub fn shown(&self, path: &str) -> Option<Cow<'_, str>> {
        Some(String::from_utf8_lossy(self.files.get(path)?))
    }

    /// What is wrong with the bytes of the files that a workflow is read from.
    pub(crate) fn not_text(&self, workflow: &str) -> Vec<Diag> {
        let dir = Project::directory(workflow);
        let own = ["workflow.yaml", "policy.yaml"].map(|file| format!("{dir}{file}"));
        let shared = ["teams.yaml", "connections.yaml"].map(str::to_owned);
        let find = |path: &String| syntax::not_utf8(path, self.files.get(path)?);
        own.iter().chain(&shared).filter_map(find).collect()
    }

    /// The ids of the workflows that have a file.
    pub fn workflows(&self) -> Vec<String> {
        let ids = self.files.keys().filter_map(|p| {
            let id = p
                .strip_prefix("workflows/")?
                .strip_suffix("/workflow.yaml")?;
            (!id.contains('/')).then(|| id.to_owned())
        });
        ids.collect()
    }

    /// The directory of a workflow, with a slash at its end.
    pub fn directory(workflow: &str) -> String {
        format!("workflows/{workflow}/")
    }
}

/// The digest of everything that decides in a workflow: each file of its directory but the tests, and the
/// teams, with path and content, in order of the paths.
pub fn bundle_digest(project: &Project, workflow: &str) -> [u8; 32] {
    let dir = Project::directory(workflow);
    let tests = format!("{dir}tests/");
    let mut parts: Vec<u8> = Vec::new();
    for (path, content) in &project.files {
        let decides = path.starts_with(&dir) && !path.starts_with(&tests);
        if decides || path == "teams.yaml" || path.starts_with("calendars/") {
            for part in [path.as_bytes(), content.as_slice()] {
                parts.extend_from_slice(&(part.len() as u64).to_be_bytes());
                parts.extend_from_slice(part);
            }
        }
    }
    sha256(&[&parts])
}

/// People and teams that may own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    /// The teams with their people.
    pub teams: BTreeMap<String, Vec<String>>,
    /// All people.
    pub people: BTreeSet<String>,
}

/// The team that always exists.
pub const OPERATORS: &str = "operators";

impl Owners {
    /// Whether a person or team of this name exists.
    pub fn knows(&self, name: &str) -> bool {
        self.teams.contains_key(name) || self.people.contains(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self
            .teams
            .keys()
            .chain(&self.people)
            .map(String::as_str)
            .collect();
        all.into_iter().collect()
    }
}

/// Reads `teams.yaml`. Without it there is the team `operators`.
pub fn owners(project: &Project) -> (Owners, Vec<Diag>) {
    let mut out = Owners {
        teams: BTreeMap::from([(OPERATORS.to_owned(), Vec::new())]),
        people: BTreeSet::new(),
    };
    let Some(source) = project.text("teams.yaml") else {
        return (out, Vec::new());
    };
    let (tree, diags) = tree::parse("teams.yaml", source);
    let mut cx = Cx::new("teams.yaml", source);
    cx.diags = diags;
    if let Some(keys) = tree.as_ref().and_then(|t| root(&mut cx, t, &TEAMS_FILE)) {
        if let Some(n) = keys.get("people") {
            out.people.extend(people(&mut cx, n));
        }
        if let Some(teams) = keys.get("teams").and_then(|n| cx.mapping(n)) {
            for e in &teams.map.entries {
                cx.check_name(&e.key, e.key_span);
                let members = match &e.value.kind {
                    Kind::Null => Vec::new(),
                    _ => people(&mut cx, &e.value),
                };
                out.people.extend(members.iter().cloned());
                out.teams.insert(e.key.clone(), members);
            }
        }
    }
    (out, cx.diags)
}

fn people(cx: &mut Cx<'_>, node: &Node) -> Vec<String> {
    let nodes = cx.name_nodes(node);
    nodes.iter().filter_map(|n| cx.text(n)).collect()
}

/// The top of a file: a mapping, or nothing at all.
fn root<'n>(cx: &mut Cx<'_>, tree: &'n Node, section: &crate::keys::Section) -> Option<Keys<'n>> {
    match tree.kind {
        Kind::Null => None,
        _ => cx.section(tree, section),
    }
}

/// What a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// An HTTP system of record or provider.
    Rest,
    /// A model behind the interface that OpenAI made common.
    OpenAi,
}

/// Where the secret goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionAuth {
    /// There is none.
    None,
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of this name.
    Header(String),
}

/// A place where a secret lies; never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file.
    File(String),
}

/// A credential and the address it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// What it leads to.
    pub kind: ConnectionKind,
    /// The connector whose file says how it is spoken to.
    pub connector: Option<String>,
    /// The connector's way to log in, where it is not the usual one.
    pub scheme: Option<String>,
    /// What the connector asks for.
    pub settings: BTreeMap<String, String>,
    /// Base address, without a slash at its end.
    pub base_url: String,
    /// Where the secret goes.
    pub auth: ConnectionAuth,
    /// Where the secret is.
    pub secret: Option<SecretRef>,
    /// Where several secrets are, by their names in the connector's file.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Name of the model, for `openai`.
    pub model: Option<String>,
    /// Who answers for the credential.
    pub owner: String,
    /// Line in `connections.yaml`, from 1.
    pub line: u32,
}

/// Reads `connections.yaml`.
pub fn connections(project: &Project) -> (Vec<Connection>, Vec<Diag>) {
    const FILE: &str = "connections.yaml";
    let Some(source) = project.text(FILE) else {
        return (Vec::new(), Vec::new());
    };
    let (known, _) = owners(project);
    let (tree, diags) = tree::parse(FILE, source);
    let mut cx = Cx::new(FILE, source);
    cx.diags = diags;
    let mut out = Vec::new();
    if let Some(keys) = tree
        .as_ref()
        .and_then(|t| root(&mut cx, t, &CONNECTIONS_FILE))
        && let Some(all) = keys.get("connections").and_then(|n| cx.mapping(n))
    {
        for e in &all.map.entries {
            cx.check_name(&e.key, e.key_span);
            if e.key == OUTBOX {
                let p = Problem::new("TL0211", e.key_span, "`outbox` is built in");
                cx.push(
                    p.why("a message with `via: outbox` waits in the database for a system that takes it")
                        .mend(Mend::replace(e.key_span, "mail", "write `mail`")),
                );
                continue;
            }
            if let Some(keys) = cx.section(&e.value, &CONNECTION) {
                let line = cx.line(e.key_span);
                let read = Reading {
                    project,
                    name: &e.key,
                    line,
                    owners: &known,
                };
                out.extend(connection(&mut cx, keys, &read));
            }
        }
    }
    (out, cx.diags)
}

/// A connection that is being read.
pub(crate) struct Reading<'a> {
    pub(crate) project: &'a Project,
    pub(crate) name: &'a str,
    pub(crate) line: u32,
    pub(crate) owners: &'a Owners,
}

fn connection(cx: &mut Cx<'_>, keys: Keys<'_>, read: &Reading<'_>) -> Option<Connection> {
    let (name, line, known) = (read.name, read.line, read.owners);
    let named = keys
        .get("kind")
        .filter(|n| n.text().is_some_and(|t| !KINDS.contains(&t)));
    if let Some(node) = named {
        return connector::connection(cx, keys, (node, read));
    }
    let kind = match keys.get("kind") {
        Some(n) => cx.word(n, KINDS)?,
        None => "rest",
    };
    let kind = if kind == "openai" {
        ConnectionKind::OpenAi
    } else {
        ConnectionKind::Rest
    };
    let base_url = match keys.get("base_url") {
        Some(n) => base_url(cx, n, BY_HTTP),
        None => {
            cx.missing(keys, "base_url", "https://crm.example.com/api");
            None
        }
    };
    if let Some(n) = keys.get("settings") {
        let p = Problem::new(
            "TL0209",
            keys.key_span("settings"),
            "`settings` belong to a connector",
        );
        cx.push(p.mend(n.removal("take them out")));
    }
    let secret = keys.get("secret").and_then(|n| secret(cx, n, name));
    let auth = match keys.get("auth") {
        None if secret.is_some() => ConnectionAuth::Bearer,
        None => ConnectionAuth::None,
        Some(n) => connection_auth(cx, n),
    };
    if auth != ConnectionAuth::None && keys.get("secret").is_none() {
        cx.missing(keys, "secret", &format!("env:{}_SECRET", shout(name)));
    }
    let owner = match keys.get("owner") {
        None => OPERATORS.to_owned(),
        Some(n) => owner(cx, n, known)?,
    };
    Some(Connection {
        name: name.to_owned(),
        kind,
        connector: None,
        scheme: None,
        settings: BTreeMap::new(),
        base_url: base_url?,
        auth,
        secret,
        secrets: BTreeMap::new(),
        model: keys.get("model").and_then(|n| cx.text(n)),
        owner,
        line,
    })
}

/// A person or team who exists.
pub(crate) fn owner(cx: &mut Cx<'_>, node: &Node, known: &Owners) -> Option<String> {
    let text = cx.text(node)?;
    if known.knows(&text) {
        return Some(text);
    }
    cx.push(unknown_owner(&text, node.span, (known, "")));
    None
}

/// Nobody is called so; `why` stands before the names that are known.
pub(crate) fn unknown_owner(text: &str, span: Span, (known, why): (&Owners, &str)) -> Problem {
    let names = known.names();
    let best = nearest(text, names.iter().copied()).unwrap_or(OPERATORS);
    Problem::new(
        "TL0401",
        span,
        format!("no person or team is called `{text}`"),
    )
    .why(format!(
        "{why}teams.yaml knows {}",
        listed(names.iter().copied())
    ))
    .mend(Mend::replace(
        span,
        best,
        format!("write `{best}`, or add `{text}` to teams.yaml"),
    ))
}

/// The schemes of an address: the encrypted one, and the one beside it.
pub(crate) type Schemes = [&'static str; 2];
pub(crate) const BY_HTTP: Schemes = ["https", "http"];
pub(crate) const BY_MAIL: Schemes = ["smtps", "smtp"];

pub(crate) fn base_url(cx: &mut Cx<'_>, node: &Node, schemes: Schemes) -> Option<String> {
    let text = cx.text(node)?;
    let known = text.split_once("://").filter(|(s, _)| schemes.contains(s));
    let host = known.map(|(_, host)| host);
    if host.is_some_and(|h| !h.is_empty() && !h.contains([' ', '@', '?', '#'])) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    let bare = text.split("://").last().unwrap_or_default();
    let bare = bare.split(['?', '#', ' ']).next().unwrap_or_default();
    let bare = bare.rsplit('@').next().unwrap_or_default();
    let [usual, other] = schemes;
    let guess = format!(
        "{usual}://{}",
        if bare.is_empty() { "example.com" } else { bare }
    );
    cx.push(
        Problem::new(
            "TL0203",
            node.span,
            format!("`{text}` is not a base address"),
        )
        .why(format!(
            "a base address starts with {usual}:// or {other}:// and names no user, query or fragment"
        ))
        .mend(Mend::replace(node.span, &guess, format!("write {guess}"))),
    );
    None
}

fn connection_auth(cx: &mut Cx<'_>, node: &Node) -> ConnectionAuth {
    if node.text().is_some() {
        return match cx.word(node, PLAIN_AUTHS) {
            Some("bearer") => ConnectionAuth::Bearer,
            _ => ConnectionAuth::None,
        };
    }
    let header = cx
        .section(node, &CONNECTION_AUTH)
        .and_then(|k| k.get("header"))
        .and_then(|n| cx.text(n));
    header.map_or(ConnectionAuth::None, ConnectionAuth::Header)
}

pub(crate) fn secret(cx: &mut Cx<'_>, node: &Node, name: &str) -> Option<SecretRef> {
    let text = cx.text(node)?;
    match text.split_once(':') {
        Some(("env", n)) if !n.is_empty() => return Some(SecretRef::Env(n.to_owned())),
        Some(("file", n)) if !n.is_empty() => return Some(SecretRef::File(n.to_owned())),
        _ => {}
    }
    let guess = format!("env:{}_SECRET", shout(name));
    cx.push(
        Problem::new(
            "TL0412",
            node.span,
            format!("the secret of `{name}` stands in the file"),
        )
        .why("a secret is named, never written: env:NAME or file:PATH. Change it at its vendor now")
        .mend(Mend::replace(
            node.span,
            &guess,
            format!("write {guess} and set that variable"),
        )),
    );
    None
}

fn shout(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
