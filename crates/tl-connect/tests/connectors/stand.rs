//! What the tests share: a server whose habit is a function, and a call that a connector file alone describes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tl_connect::call::{Call, Facts};
use tl_connect::classify::{Action, classify};
use tl_connect::client::{Auth, Client, Connection, Options};
use tl_connect::exchange::{ReadOutcome, To, WriteOutcome, read, write};
use tl_connect::fake::http::{Answer, Received, Reply, Server};
use tl_connect::login::Credentials;
use tl_kernel::connector::Connector;
use tl_kernel::payload::parse_json;
use tl_kernel::value::Value;

/// Our clock.
pub const NOW: i64 = 1_795_000_000_000_000;

/// A server on loopback that keeps what it was asked.
pub struct Stand {
    server: Server,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Stand {
    /// Answers each request by a function of it and of how many came before.
    pub async fn start(
        habit: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static,
    ) -> Stand {
        Stand::replying(move |request, n| Reply::Answer(habit(request, n))).await
    }

    /// The same, with the connection in its hands too.
    pub async fn replying(
        habit: impl Fn(&Received, usize) -> Reply + Send + Sync + 'static,
    ) -> Stand {
        let seen: Arc<Mutex<Vec<Received>>> = Arc::default();
        let kept = seen.clone();
        let server = Server::start(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Arc::new(move |request: Received| {
                let mut kept = kept.lock().expect("a lock");
                let reply = habit(&request, kept.len());
                kept.push(request);
                Box::pin(async move { reply })
            }),
        );
        Stand {
            server: server.await.expect("a port"),
            seen,
        }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.server.addr())
    }

    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().expect("a lock").clone()
    }

    /// The requests as one line each: method and target.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .map(|r| format!("{} {}", r.method, r.target))
            .collect()
    }

    pub fn last_body(&self) -> String {
        let seen = self.seen();
        String::from_utf8(seen.last().expect("a request").body.clone()).expect("text")
    }
}

/// The connector of a file, which has to be right.
pub fn connector(name: &str, yaml: &str) -> Connector {
    let read = tl_lang::connector::read(&format!("connectors/{name}.yaml"), yaml);
    let words: Vec<String> = read
        .diags
        .iter()
        .map(|d| {
            format!(
                "{}:{} {} {}: {}",
                d.line, d.column, d.code, d.message, d.why
            )
        })
        .collect();
    read.connector
        .unwrap_or_else(|| panic!("{name}: {}", words.join("\n")))
}

pub fn json(text: &str) -> Value {
    parse_json(text.as_bytes()).expect("JSON")
}

/// A connector with a connection to a stand.
pub struct Desk {
    pub connector: Connector,
    pub connection: Connection,
    pub client: Client,
}

impl Desk {
    pub fn new(connector: Connector, stand: &Stand) -> Desk {
        Desk::with(connector, stand, "{}", "\"s3cret\"")
    }

    /// With settings and secrets, as JSON.
    pub fn with(connector: Connector, stand: &Stand, settings: &str, secret: &str) -> Desk {
        let Value::Record(settings) = json(settings) else {
            panic!("settings are a mapping");
        };
        let settings: BTreeMap<String, String> = settings
            .into_iter()
            .map(|(k, v)| (k, v.to_string()))
            .collect();
        let plain =
            Connection::new(&connector.name, &stand.base(), &Auth::None, true).expect("an address");
        let credentials = Credentials {
            settings,
            secret: json(secret),
        };
        let scheme = connector.auth.first();
        let connection = Connection::of_connector(plain, scheme, credentials, connector.rate)
            .expect("a connection");
        Desk {
            connector,
            connection,
            client: Client::new(&Options::default()).expect("a client"),
        }
    }

    fn to(&self) -> To<'_> {
        To {
            connection: &self.connection,
            correlation_id: "corr-1",
            trace: None,
            deadline: Duration::from_secs(20),
            now: NOW,
        }
    }

    fn call<'a>(&'a self, what: &'a Try) -> Call<'a> {
        Call {
            operation: self
                .connector
                .operations
                .get(what.operation)
                .expect("an operation"),
            args: &what.args,
            fields: &what.fields,
            settings: self.connection.settings(),
            effect: Facts {
                id: "eff_1",
                key: "k-1",
                base_version: what.version.as_deref(),
                create: what.create,
                attempt: what.attempt,
            },
        }
    }

    pub async fn write(&self, what: &Try) -> WriteOutcome {
        write(&self.client, &self.call(what), &self.to())
            .await
            .expect("a request")
    }

    pub async fn read(&self, what: &Try) -> ReadOutcome {
        read(&self.client, &self.call(what), &self.to())
            .await
            .expect("a request")
    }

    pub async fn look_up(&self, what: &Try) -> tl_connect::call::Found {
        tl_connect::exchange::look_up(&self.client, &self.call(what), &self.to())
            .await
            .expect("a request")
            .found
    }

    /// Why nothing is sent.
    pub fn refusal(&self, what: &Try) -> String {
        let refused = self.call(what).write();
        refused.expect_err("no request").to_string()
    }

    /// What a write leads to.
    pub async fn does(&self, what: &Try) -> Action {
        let outcome = self.write(what).await;
        let op = &self.connector.operations[what.operation];
        classify(
            op.class,
            op.on_unknown,
            &outcome.observation,
            &outcome.overrides,
        )
    }
}

/// One call.
#[derive(Clone)]
pub struct Try {
    pub operation: &'static str,
    pub args: Value,
    pub fields: Value,
    pub version: Option<String>,
    pub create: bool,
    pub attempt: u32,
}

/// A call with arguments and properties, as JSON.
pub fn of(operation: &'static str, args: &str, fields: &str) -> Try {
    Try {
        operation,
        args: json(args),
        fields: json(fields),
        version: None,
        create: false,
        attempt: 1,
    }
}

impl Try {
    pub fn on(mut self, version: &str) -> Try {
        self.version = Some(version.to_owned());
        self
    }
}

pub fn answer(status: u16, body: &str) -> Answer {
    Answer::json(status, &serde_json::from_str(body).expect("JSON"))
}
