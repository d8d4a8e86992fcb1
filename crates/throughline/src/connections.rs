//! Connections by name: from the current version's `connections.yaml`, with the secret read from where it lies.
//! Only this file reads secrets of connections.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tl_connect::client::{Auth, Connection, Secret};
use tl_engine::outward::Connections;
use tl_engine::tenant::Tenant;
use tl_kernel::id::TenantId;
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
    ) -> Result<tl_lang::Connection, String> {
        let Some((_, bundle)) = tenant.current.get(workflow) else {
            return Err(format!("workflow `{workflow}` is not deployed"));
        };
        let (all, _) = tl_lang::connections(&bundle.project);
        all.into_iter().find(|c| c.name == name).ok_or_else(|| {
            format!("connection `{name}` is not in connections.yaml: add it, then run `throughline deploy`")
        })
    }

    fn secret(&self, name: &str, at: &SecretRef) -> Result<Secret, String> {
        let text = match at {
            SecretRef::Env(var) => std::env::var(var).map_err(|_| {
                format!("the secret of connection `{name}` is missing: set the environment variable {var} and start again")
            })?,
            SecretRef::File(path) => {
                let path = self.dir.join(path);
                std::fs::read_to_string(&path)
                    .map_err(|e| format!("the secret of connection `{name}` cannot be read from {}: {e}", path.display()))?
            }
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(format!("the secret of connection `{name}` is empty"));
        }
        Ok(Secret::new(text))
    }

    fn open(&self, declared: &tl_lang::Connection) -> Result<Connection, String> {
        let name = &declared.name;
        let secret = declared
            .secret
            .as_ref()
            .map(|s| self.secret(name, s))
            .transpose()?;
        let auth = match (&declared.auth, secret) {
            (ConnectionAuth::Bearer, Some(secret)) => Auth::Bearer(secret),
            (ConnectionAuth::Header(header), Some(value)) => Auth::Header {
                name: header.clone(),
                value,
            },
            _ => Auth::None,
        };
        let private = self.allow_private.iter().any(|n| n == name);
        Connection::new(name, &declared.base_url, &auth, private).map_err(|e| {
            let hint = if private {
                ""
            } else {
                "; an address in the own network needs its name in allow_private_connections"
            };
            format!("connection `{name}`: {e}{hint}")
        })
    }
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
        let declared = self.declared(tenant, workflow, name)?;
        let connection = Arc::new(self.open(&declared)?);
        kept.insert(key, (Instant::now(), Arc::clone(&connection)));
        Ok(connection)
    }

    fn model(&self, tenant: &Tenant, workflow: &str, name: &str) -> Option<String> {
        self.declared(tenant, workflow, name).ok()?.model
    }
}
