//! The opened installation: store, key, desk. A running server has one, and so has a command that works while
//! no server runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tl_engine::clock;
use tl_engine::desk::{Desk, Handoff, Setting};
use tl_engine::tenant::Tenant;
use tl_kernel::digest::Digest;
use tl_kernel::id::TenantId;
use tl_kernel::journal::{Actor, Entry, Sealed, seal_control};
use tl_store::contract::{Refused, Row, Unit};
use tl_store::{Options, Store};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::config::Config;
use crate::connections::FromBundles;
use crate::documents::Readers;
use crate::failure::Failure;
use crate::keys::Vault;
use crate::lock::Lock;
use crate::mail_folder::Places;
use crate::matched::Matched;
use crate::place::Place;

/// The tenant that every installation has.
pub const DEFAULT_TENANT: &str = "default";
/// The node of an embedded store.
const NODE: u32 = 1;
/// The least lease of a command that opens a shared database by itself.
const COMMAND: Duration = Duration::from_secs(30);
/// Some free number, where several nodes share a database.
const ANY_NODE: u32 = 0;
/// Name of the cursor that holds the key's fingerprint.
const KEY_CURSOR: &str = "installation-key";

/// For what an installation is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To serve: effects are sent.
    Serving,
    /// For one command while no server runs: what it causes is sent when a server runs again.
    Alone,
    /// Beside a server that does not answer: switches alone.
    Guest,
}

/// The opened installation.
#[derive(Debug)]
pub struct App {
    /// Where every input is decided.
    pub desk: Desk,
    /// The installation's key.
    pub vault: Vault,
    /// The settings.
    pub config: Config,
    /// Connections of the deployed versions.
    pub connections: Arc<FromBundles>,
    /// Which secrets the senders use.
    pub matched: Matched,
    /// Readers of documents.
    pub readers: Arc<Readers>,
    /// How the places do that mail is fetched from.
    pub places: Places,
    /// For what it was opened.
    pub mode: Mode,
    /// Opened, µs.
    pub opened_at: i64,
    leaving: AtomicBool,
    lock: std::sync::Mutex<Option<Lock>>,
    address: std::sync::OnceLock<String>,
}

/// One change that belongs to no case, as the control stream records it.
#[derive(Debug, Clone)]
pub struct Change {
    /// `kill.set`, `deploy`, `key.create`, …
    pub action: &'static str,
    /// What it was changed on.
    pub object: String,
    /// The new value, or the reason code.
    pub detail: String,
}

impl App {
    /// Opens the database of a data directory whose lock the caller holds (a guest holds none).
    pub async fn open(
        config: Config,
        lock: Option<Lock>,
        mode: Mode,
    ) -> Result<(Arc<App>, UnboundedReceiver<Handoff>), Failure> {
        let (store, vault) = open_store(&config, mode).await?;
        let clock = match clock::of_store(&store).await {
            Ok(clock) => clock,
            Err(e) => {
                // As below: what is not started keeps nobody waiting.
                let _ = store.close().await;
                return Err(e.into());
            }
        };
        let slots = if mode == Mode::Serving && config.role.works() {
            config.slots
        } else {
            0
        };
        let (desk, handoff) = Desk::new(Setting {
            clock,
            store,
            key: *vault.key(),
            slots,
            tap: None,
        });
        // A server without a public address says where it listens, once it knows.
        match &config.public_url {
            Some(url) => desk.is_reached_at(url),
            None if mode != Mode::Serving => {
                desk.is_reached_at(&format!("http://{}", config.listen));
            }
            None => {}
        }
        let opened_at = desk.now();
        let connections = FromBundles::new(config.dir.clone(), config.allow_private.clone());
        let app = App {
            connections: Arc::new(connections),
            desk,
            vault,
            config,
            matched: Matched::default(),
            readers: Arc::new(Readers::own()),
            places: Places::default(),
            mode,
            opened_at,
            leaving: AtomicBool::new(false),
            lock: std::sync::Mutex::new(lock),
            address: std::sync::OnceLock::new(),
        };
        if mode != Mode::Guest
            && let Err(failure) = app.prepare().await
        {
            // A node that does not start must not keep others waiting for the end of its lease.
            app.close().await;
            return Err(failure);
        }
        Ok((Arc::new(app), handoff))
    }

    async fn prepare(&self) -> Result<(), Failure> {
        self.check_key().await?;
        self.ensure_default_tenant().await
    }

    /// Says on `/readyz` that this node will be gone soon.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the node has said that it will be gone soon.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// The address of the doors: the one that is open, else the one in the settings.
    pub fn listen(&self) -> String {
        self.address
            .get()
            .cloned()
            .unwrap_or_else(|| self.config.listen.clone())
    }

    /// The doors are open here.
    pub fn listens_on(&self, address: String) {
        // An installation is opened for one server, which has one address.
        let _ = self.address.set(address);
    }

    /// Says where the server takes commands and messages.
    pub fn announce(&self, socket: &Path, listen: &str) -> std::io::Result<()> {
        let mut lock = self
            .lock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match lock.as_mut() {
            Some(lock) => lock.announce(Some(socket), Some(listen)),
            None => Ok(()),
        }
    }

    /// The database must have been written under this key.
    async fn check_key(&self) -> Result<(), Failure> {
        let ours = self.vault.fingerprint();
        let mut known = known_key(self.desk.store()).await?;
        if known == 0 {
            match self
                .desk
                .store()
                .commit(first_key(ours, self.desk.now()))
                .await
            {
                Ok(_) => return Ok(()),
                // Of two nodes that are the first one was faster.
                Err(Refused::KeyUsed) => known = known_key(self.desk.store()).await?,
                Err(other) => return Err(other.into()),
            }
        }
        if known != ours {
            return Err(Failure::unreachable(format!(
                "TL0632 {} is not the key that this database was written with. Restore the right one; nothing was \
                 changed",
                self.config.data_dir.join(crate::keys::FILE).display()
            )));
        }
        Ok(())
    }

    async fn ensure_default_tenant(&self) -> Result<(), Failure> {
        match self.desk.tenant_id(DEFAULT_TENANT).await? {
            Some(_) => Ok(()),
            None => match self.create_tenant(DEFAULT_TENANT, &Actor::Engine).await {
                Ok(_) => Ok(()),
                // Another node has made it just now.
                Err(_) if self.desk.tenant_id(DEFAULT_TENANT).await?.is_some() => Ok(()),
                Err(failure) => Err(failure),
            },
        }
    }

    /// Creates a tenant.
    pub async fn create_tenant(&self, name: &str, by: &Actor) -> Result<TenantId, Failure> {
        let mut id = self
            .desk
            .store()
            .tenants()
            .await?
            .last()
            .map_or(1, |(id, _)| id.0 + 1);
        loop {
            let tenant = TenantId(id);
            let mut unit = Unit::new(tenant);
            unit.rows.push(Row::Tenant {
                name: name.to_owned(),
                at: self.desk.now(),
            });
            let change = Change {
                action: "tenant.create",
                object: name.to_owned(),
                detail: String::new(),
            };
            unit.control.push(self.seal(tenant, by, vec![change]));
            match self.desk.store().commit(unit).await {
                Ok(_) => {
                    self.desk.forget_views();
                    return Ok(tenant);
                }
                Err(Refused::NumberTaken { next }) => id = next,
                Err(Refused::NameTaken) => {
                    return Err(Failure::conflict(format!(
                        "there is a tenant called `{name}` already"
                    )));
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// The view of a tenant by name.
    pub async fn tenant(&self, name: &str) -> Result<Arc<Tenant>, Failure> {
        let Some(id) = self.desk.tenant_id(name).await? else {
            return Err(Failure::not_found(format!(
                "there is no tenant `{name}`. `throughline tenant list` shows them"
            )));
        };
        Ok(self.desk.tenant(id).await?)
    }

    /// Commits rows that change how a tenant works, together with the turn that records it, and forgets what
    /// was cached.
    pub async fn change(
        &self,
        tenant: TenantId,
        by: &Actor,
        rows: Vec<Row>,
        changes: Vec<Change>,
    ) -> Result<(), Failure> {
        let mut unit = Unit::new(tenant);
        unit.rows = rows;
        unit.control.push(self.seal(tenant, by, changes));
        let answer = self.desk.store().commit(unit).await;
        self.desk.forget_views();
        answer.map(|_| ()).map_err(Failure::from)
    }

    /// A turn of the control stream.
    pub fn seal(&self, tenant: TenantId, by: &Actor, changes: Vec<Change>) -> Sealed {
        let entries = changes
            .into_iter()
            .map(|c| Entry::Control {
                action: c.action.to_owned(),
                object: c.object,
                detail: c.detail,
            })
            .collect();
        self.seal_entries(tenant, by, entries)
    }

    /// Entries of the control stream, sealed.
    pub fn seal_entries(&self, tenant: TenantId, by: &Actor, entries: Vec<Entry>) -> Sealed {
        seal_control(tenant, self.desk.now(), by.clone(), entries)
    }

    /// Finishes what is queued and lets go of the database.
    pub async fn close(&self) {
        // A store that is closed already was closed by somebody else in this process.
        let _ = self.desk.store().close().await;
    }
}

/// The database and the key that it was written with. Of a file the key comes first, so that without it nothing is
/// touched; a server has to be asked whether there is anything to open.
async fn open_store(config: &Config, mode: Mode) -> Result<(Store, Vault), Failure> {
    let node = match config.store {
        Place::File(_) => NODE,
        Place::Server(_) => ANY_NODE,
    };
    let options = Options {
        node: (mode != Mode::Guest).then_some(node),
        // A command is over soon and sends nothing; it need not be quick.
        lease: match mode {
            Mode::Serving => config.lease,
            Mode::Alone | Mode::Guest => config.lease.max(COMMAND),
        },
        ..Options::default()
    };
    let location = config.store.location();
    if !config.store.is_shared() {
        let vault = Vault::open(&config.data_dir, config.store.may_hold_data())?;
        return Ok((Store::open_at(&location, &options)?, vault));
    }
    let store = Store::open_at(&location, &options)?;
    let vault = match known_key(&store).await {
        Ok(known) => Vault::open(&config.data_dir, known != 0),
        Err(failure) => Err(failure),
    };
    match vault {
        Ok(vault) => Ok((store, vault)),
        Err(failure) => {
            // It has nothing to finish.
            let _ = store.close().await;
            Err(failure)
        }
    }
}

/// The fingerprint of the key that the database was written with; 0 for a new one.
async fn known_key(store: &Store) -> Result<i64, Failure> {
    let known = store.cursor(TenantId::SYSTEM, KEY_CURSOR.into()).await;
    Ok(known?)
}

/// Notes the fingerprint, once in the life of a database.
fn first_key(fingerprint: i64, now: i64) -> Unit {
    let mut unit = Unit::new(TenantId::SYSTEM);
    unit.rows.push(Row::Idempotent {
        principal: KEY_CURSOR.into(),
        key: KEY_CURSOR.into(),
        fingerprint: Digest::default(),
        status: 0,
        body: Vec::new(),
        expires: now.saturating_add(i64::MAX / 4),
    });
    unit.rows.push(Row::Cursor {
        name: KEY_CURSOR.into(),
        value: fingerprint,
    });
    unit
}
