//! Connections by name: from the current version's `connections.yaml`, with the secret read from where it lies.
//! Only this file reads secrets of connections.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tl_connect::client::ConnectionError;
use tl_connect::client::{Auth, Connection, Secret};
use tl_connect::login::Credentials;
use tl_engine::outward::Connections;
use tl_engine::tenant::Tenant;
use tl_kernel::connector::{Connector, Scheme};
use tl_kernel::id::TenantId;
use tl_kernel::value::Value;
use tl_lang::{ConnectionAuth, SecretRef};

/// How long a connection is used before its secret is read again: a rotated secret counts after this.
const FRESH: Duration = Duration::from_secs(10);

type Key = (TenantId, String, u32, String);

/// Connections of the deployed versions.
#[derive(Debug)]
pub struct FromBundles {
    dir: PathBuf,
    allow_private: Vec<String>,
    kept: Mutex<BTreeMap<Key, (Instant, Arc<Connection>)>>,
}

impl FromBundles {
    /// Secret files are found below `dir`; `allow_private` names the connections that may reach private addresses.
    pub fn new(dir: PathBuf, allow_private: Vec<String>) -> FromBundles {
        FromBundles {
            dir,
            allow_private,
            kept: Mutex::default(),
        }
    }

    fn declared(
        &self,
        tenant: &Tenant,
        workflow: &str,
        name: &str,
    ) -> Result<(tl_lang::Connection, Option<Connector>), String> {
        let Some((_, bundle)) = tenant.current.get(workflow) else {
            return Err(format!("workflow `{workflow}` is not deployed"));
        };
        let (all, _) = tl_lang::connections(&bundle.project);
        let found = all.into_iter().find(|c| c.name == name).ok_or_else(|| {
            format!("connection `{name}` is not in connections.yaml: add it, then run `throughline deploy`")
        })?;
        let connector = match &found.connector {
            None => None,
            Some(kind) => Some(tl_lang::connector::find(&bundle.project, kind).ok_or_else(|| {
                format!("connection `{name}` is of kind `{kind}`, and the file of that connector is not right: run `throughline connector check`")
            })?),
        };
        Ok((found, connector))
    }

    fn secret(&self, of: &tl_lang::Connection, at: &SecretRef) -> Result<String, String> {
        let name = &of.name;
        let text = match at {
            SecretRef::Env(var) => std::env::var(var).map_err(|_| {
                format!("the secret of connection `{name}` is missing: set the environment variable {var} and start again")
            })?,
            SecretRef::File(path) => {
                let path = self.dir.join(path);
                std::fs::read_to_string(&path).map_err(|e| unread(of, &path, &e))?
            }
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(format!("the secret of connection `{name}` is empty"));
        }
        Ok(text.to_owned())
    }

    fn open(
        &self,
        declared: &tl_lang::Connection,
        connector: Option<&Connector>,
    ) -> Result<Connection, String> {
        let name = &declared.name;
        let secret = declared
            .secret
            .as_ref()
            .map(|s| self.secret(declared, s))
            .transpose()?;
        let auth = match (&declared.auth, &secret) {
            (ConnectionAuth::Bearer, Some(secret)) => Auth::Bearer(Secret::new(secret)),
            (ConnectionAuth::Header(header), Some(value)) => Auth::Header {
                name: header.clone(),
                value: Secret::new(value),
            },
            _ => Auth::None,
        };
        let private = self.allow_private.iter().any(|n| n == name);
        let failed = |e: ConnectionError| {
            let hint = if private {
                ""
            } else {
                "; an address in the own network needs its name in allow_private_connections"
            };
            format!("connection `{name}`: {e}{hint}")
        };
        let plain = Connection::new(name, &declared.base_url, &auth, private).map_err(failed)?;
        let Some(connector) = connector else {
            return Ok(plain);
        };
        let credentials = self.credentials(declared, secret)?;
        let named = |s: &&Scheme| declared.scheme.as_ref().is_none_or(|n| *n == s.name);
        let scheme = connector.auth.iter().find(named);
        let opened = Connection::of_connector(plain, scheme, credentials, connector.rate);
        Ok(opened.map_err(failed)?.of_kind(&connector.name))
    }

    /// What a connector's log-in is made of.
    fn credentials(
        &self,
        declared: &tl_lang::Connection,
        secret: Option<String>,
    ) -> Result<Credentials, String> {
        let mut several = BTreeMap::new();
        for (part, at) in &declared.secrets {
            let text = self.secret(declared, at)?;
            several.insert(part.clone(), Value::Text(text));
        }
        let secret = match secret {
            Some(text) => Value::Text(text),
            None => Value::Record(several),
        };
        Ok(Credentials {
            settings: declared.settings.clone(),
            secret,
        })
    }
}

/// Why a secret's file gave none, with its whole path: whoever reads this may stand in another directory.
fn unread(of: &tl_lang::Connection, path: &Path, error: &std::io::Error) -> String {
    let whole = std::path::absolute(path);
    let path = whole.as_deref().unwrap_or(path).display();
    let why = match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => {
            "the account that the server runs as may not read it".to_owned()
        }
        _ => error.to_string(),
    };
    format!(
        "the secret of connection `{}` (connections.yaml:{}) cannot be read from {path}: {why}",
        of.name, of.line
    )
}

fn key(tenant: &Tenant, workflow: &str, name: &str) -> Key {
    let number = tenant.current.get(workflow).map_or(0, |(n, _)| *n);
    (tenant.id, workflow.to_owned(), number, name.to_owned())
}

impl Connections for FromBundles {
    fn renew(
        &self,
        tenant: &Tenant,
        workflow: &str,
        name: &str,
    ) -> Result<Arc<Connection>, String> {
        let key = key(tenant, workflow, name);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&key);
        drop(kept);
        self.find(tenant, workflow, name)
    }

    fn find(&self, tenant: &Tenant, workflow: &str, name: &str) -> Result<Arc<Connection>, String> {
        let key = key(tenant, workflow, name);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, connection)) = kept.get(&key)
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(connection));
        }
        let (declared, connector) = self.declared(tenant, workflow, name)?;
        let connection = Arc::new(self.open(&declared, connector.as_ref())?);
        // The same credential keeps its connection, and with it the token of its session.
        let connection = match kept.get(&key) {
            Some((_, before)) if before.is_same(&connection) => Arc::clone(before),
            _ => connection,
        };
        kept.insert(key, (Instant::now(), Arc::clone(&connection)));
        Ok(connection)
    }

    fn model(&self, tenant: &Tenant, workflow: &str, name: &str) -> Option<String> {
        self.declared(tenant, workflow, name).ok()?.0.model
    }
}
