//! Connections of the versions in force: where they lead, who answers for them, what uses them, and whether they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use tl_connect::call::says_error;
use tl_connect::client::{Client, Connection, Options};
use tl_connect::exchange::{self, To};
use tl_connect::knowledge::{Knowledge, Sent};
use tl_engine::outward::Connections as _;
use tl_engine::tenant::Tenant;
use tl_kernel::connector::{Body, HttpRequest};
use tl_kernel::expr::{Piece, Template};
use tl_lang::{ConnectionKind, SecretRef};

use super::Ctx;
use super::views::{Checked, ConnectionLine, Reply};
use crate::explain::code_words;
use crate::failure::Failure;

/// Time for one check.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection and the workflow by whose version it is known.
struct Known {
    workflow: String,
    declared: tl_lang::Connection,
    used_by: BTreeSet<String>,
}

impl Ctx<'_> {
    /// Every connection of the versions in force, with what uses it.
    fn known_connections(&self, view: &Tenant) -> BTreeMap<String, Known> {
        let mut out: BTreeMap<String, Known> = BTreeMap::new();
        for (workflow, (_, bundle)) in &view.current {
            let program = &bundle.program;
            for declared in tl_lang::connections(&bundle.project).0 {
                let name = declared.name.clone();
                let actions = program.actions.iter().filter(|a| a.connection() == name);
                let mut uses: BTreeSet<String> =
                    actions.map(|a| format!("{workflow}.{}", a.name)).collect();
                if program.ai.as_ref().is_some_and(|ai| ai.model == name) {
                    uses.insert(format!("{workflow}, its model"));
                }
                let known = out.entry(name).or_insert_with(|| Known {
                    workflow: workflow.clone(),
                    declared,
                    used_by: BTreeSet::new(),
                });
                // It is checked as a workflow sees it that uses it.
                if known.used_by.is_empty() && !uses.is_empty() {
                    known.workflow.clone_from(workflow);
                }
                known.used_by.append(&mut uses);
            }
        }
        out
    }

    pub(super) async fn connection_list(&self) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let known = self.known_connections(&view);
        let lines = known.values().map(|k| self.connection_line(&view, k));
        Ok(Reply::Connections(lines.collect()))
    }

    /// Asks each whether it is there and takes its credential.
    pub(super) async fn connection_check(&self, name: Option<&str>) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let mut known = self.known_connections(&view);
        if let Some(name) = name {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            if !names.contains(&name) {
                let all = names.join(", ");
                return Err(Failure::not_found(format!(
                    "TL0703 no workflow in force has a connection `{name}`; there is {}. What is new in connections.yaml \
                     counts after `throughline deploy`",
                    if all.is_empty() { "none" } else { &all }
                )));
            }
            known.retain(|n, _| n == name);
        }
        let client = Client::new(&Options::default());
        let client = client.map_err(|e| Failure::unreachable(e.to_string()))?;
        let switches = self.app.desk.store().gate(view.id).await?.switches;
        let held = |name: &str| {
            let scopes = ["everything", "tenant", &format!("connection:{name}")];
            let switch = switches.iter().find(|s| scopes.contains(&s.scope.as_str()));
            switch.map(|s| s.scope.clone())
        };
        let mut lines = Vec::new();
        for k in known.values() {
            let checked = match held(&k.declared.name) {
                Some(scope) => Checked {
                    fine: None,
                    said: format!("the switch `{scope}` holds it: nothing was asked"),
                    took_ms: 0,
                },
                None => self.check_one(&client, &view, k).await,
            };
            lines.push(ConnectionLine {
                checked: Some(checked),
                ..self.connection_line(&view, k)
            });
        }
        Ok(Reply::Connections(lines))
    }

    async fn check_one(&self, client: &Client, view: &Tenant, known: &Known) -> Checked {
        let declared = &known.declared;
        let unusable = |said| Checked {
            fine: Some(false),
            said,
            took_ms: 0,
        };
        // The credential is read anew where it lies.
        let found = self
            .app
            .connections
            .renew(view, &known.workflow, &declared.name);
        let connection = match found {
            Ok(connection) => connection,
            Err(why) => return unusable(why),
        };
        let asks = match declared.kind {
            ConnectionKind::OpenAi => Some(get("/models")),
            ConnectionKind::Rest => self.asks(view, known),
        };
        let to = To {
            connection: &connection,
            correlation_id: "connection-check",
            trace: None,
            deadline: PATIENCE,
            now: self.now(),
        };
        match exchange::check(client, asks.as_ref(), &to).await {
            Ok(sent) => judged(&connection, &sent, asks.is_some()),
            Err(e) => unusable(e.to_string()),
        }
    }

    /// The request by which a connector is checked.
    fn asks(&self, view: &Tenant, known: &Known) -> Option<HttpRequest> {
        let (_, bundle) = view.current.get(&known.workflow)?;
        let kind = known.declared.connector.as_ref()?;
        tl_lang::connector::find(&bundle.project, kind)?.check
    }

    fn connection_line(&self, view: &Tenant, known: &Known) -> ConnectionLine {
        let c = &known.declared;
        let found = self.app.connections.find(view, &known.workflow, &c.name);
        let kind = match (&c.connector, c.kind) {
            (Some(connector), _) => connector.clone(),
            (None, ConnectionKind::OpenAi) => "openai".into(),
            (None, ConnectionKind::Rest) => "rest".into(),
        };
        let place = |at: &SecretRef| match at {
            SecretRef::Env(name) => format!("env:{name}"),
            SecretRef::File(path) => format!("file:{path}"),
        };
        let secrets = c.secret.iter().chain(c.secrets.values());
        ConnectionLine {
            connection: c.name.clone(),
            kind,
            address: c.base_url.clone(),
            owner: c.owner.clone(),
            secrets: secrets.map(place).collect(),
            used_by: known.used_by.iter().cloned().collect(),
            fault: found.err(),
            checked: None,
        }
    }
}

/// What an answer says about a connection; `asked`: something was asked for that needs the credential.
fn judged(connection: &Connection, sent: &Sent, asked: bool) -> Checked {
    let (fine, said) = match &sent.knowledge {
        Knowledge::NotSent(why) => (Some(false), code_words(why.code())),
        Knowledge::Unknown(why) => (Some(false), code_words(why.code())),
        Knowledge::NotProcessed => (Some(false), "it ended the connection".into()),
        Knowledge::Answered(answer) if says_error(answer) => (
            Some(false),
            "it answered with an error, in a good status: the credential, or its scopes".into(),
        ),
        Knowledge::Answered(answer) => {
            let asked = asked || connection.is_by_mail();
            by_status(answer.status, asked, connection.is_by_mail())
        }
    };
    Checked {
        fine,
        said,
        took_ms: i64::try_from(sent.took.as_millis()).unwrap_or(i64::MAX),
    }
}

fn by_status(status: u16, asked: bool, by_mail: bool) -> (Option<bool>, String) {
    let bad = |said: &str| (Some(false), format!("{said} ({status})"));
    match status {
        530 | 534 | 535 | 538 if by_mail => bad("it refused the credential"),
        400..=599 if by_mail => bad("the mail server refused the session"),
        200..=299 if asked => (Some(true), "it is there, and took the credential".into()),
        200..=299 => (Some(true), "it is there".into()),
        401 => bad("it refused the credential"),
        403 => (
            None,
            "it is there; the credential may not ask this (403), and whether it may do what it is for shows with the \
             first effect"
                .into(),
        ),
        300..=399 => bad("it answered with a redirect, which is not followed: look at the address"),
        404 if asked => bad("it does not know what was asked for: look at the address"),
        429 => (
            None,
            "it is there, and has been asked too often (429)".into(),
        ),
        500..=599 => bad("it is in trouble"),
        _ if asked => bad("it refused the question"),
        _ => (
            None,
            format!(
                "it is there ({status}); whether it takes the credential shows with the first effect"
            ),
        ),
    }
}

fn get(path: &str) -> HttpRequest {
    let fixed = |text: &str| Template {
        source: text.to_owned(),
        parts: vec![Piece::Text(text.to_owned())],
    };
    HttpRequest {
        method: fixed(Method::GET.as_str()),
        path: fixed(path),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::None,
    }
}
