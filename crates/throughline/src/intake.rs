//! The doors' way in: what they need to know of a tenant, with its secrets opened, and the hand-over of a message
//! to the desk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tl_document::{Declared, Document, Unread};
use tl_engine::admit::{self, Message, SavedAnswer};
use tl_engine::desk::DeskError;
use tl_engine::tenant::{Bundle, Tenant};
use tl_kernel::follow_up;
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::program::{Auth, Endpoint, Program};
use tl_kernel::time::SECOND;
use tl_store::contract::{Refused, SecretRow};
use tl_web::accepted_body;
use tl_web::intake::{
    Admission, AdmitError, Admitted, Answer, ApiKey, Door, Intake, TenantView, Waiting,
};
use tl_wire::jwt::KeySet;
use tl_wire::signature::{MAX_SECRETS, Secret};

use crate::app::App;
use crate::control::doors::secrets_of;
use crate::issuers::{Fetched, Issuers};
use crate::keys::{Place, door_key, random};

/// A unit that waits longer than this to become durable means that the store does not keep up.
pub(crate) const QUEUE_AGE: Duration = Duration::from_secs(1);
/// Effects that wait longer than this for their turn mean that messages come faster than they can be worked off, µs.
pub(crate) const BACKLOG_AGE: i64 = 10_000_000;
/// Seconds after which a sender comes again.
const RETRY: u32 = 5;
/// How often an unknown key id makes us look for new tenants, µs.
const LOOK_FOR_TENANTS: i64 = 1_000_000;

/// The way in.
#[derive(Debug)]
pub struct DeskIntake {
    app: Arc<App>,
    views: RwLock<BTreeMap<TenantId, Cached>>,
    programs: Mutex<BTreeMap<(TenantId, u32), Arc<Program>>>,
    names: Mutex<(i64, Vec<(TenantId, String)>)>,
    /// Key sets of token issuers.
    pub issuers: Issuers,
    /// The disk has no room for messages.
    pub disk_full: AtomicBool,
}

#[derive(Debug)]
struct Cached {
    source: Arc<Tenant>,
    /// A secret begins or ends to count then, µs.
    until: i64,
    fetches: u64,
    view: Arc<TenantView>,
}

impl DeskIntake {
    /// The way in of an opened installation.
    pub fn new(app: Arc<App>) -> DeskIntake {
        DeskIntake {
            app,
            views: RwLock::default(),
            programs: Mutex::default(),
            names: Mutex::default(),
            issuers: Issuers::default(),
            disk_full: AtomicBool::new(false),
        }
    }

    async fn view(&self, id: TenantId) -> Result<Arc<TenantView>, DeskError> {
        let source = self.app.desk.tenant(id).await?;
        let now = self.app.desk.now();
        let fetches = self.issuers.fetches();
        {
            let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
            let fresh = |c: &&Cached| {
                Arc::ptr_eq(&c.source, &source) && now < c.until && c.fetches == fetches
            };
            if let Some(c) = views.get(&id).filter(fresh) {
                return Ok(Arc::clone(&c.view));
            }
        }
        let (view, until) = self.build(&source, now);
        let view = Arc::new(view);
        let cached = Cached {
            source,
            until,
            fetches,
            view: Arc::clone(&view),
        };
        self.views
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, cached);
        Ok(view)
    }

    /// The view of a tenant, and when it ends to be true.
    fn build(&self, tenant: &Tenant, now: i64) -> (TenantView, i64) {
        let edges = tenant
            .rows
            .secrets
            .iter()
            .flat_map(|s| [Some(s.not_before), s.not_after]);
        let until = edges
            .flatten()
            .filter(|at| *at > now)
            .min()
            .unwrap_or(i64::MAX);
        let mut doors = BTreeMap::new();
        for (number, bundle) in tenant.current.values() {
            let program = self.program(tenant.id, *number, bundle);
            for (i, endpoint) in bundle.program.endpoints.iter().enumerate() {
                let secrets = self.secrets(tenant, endpoint, now);
                let fetched = self.fetched(&endpoint.auth);
                let keys_read = fetched.iter().map(|(i, f)| (*i, f.at)).collect();
                let mut key_sets = own_key_sets(bundle, &endpoint.auth, &secrets, now);
                key_sets.extend(fetched.into_iter().map(|(i, f)| (i, f.keys)));
                let Entry::Vacant(free) = doors.entry(endpoint.name.clone()) else {
                    tracing::error!(
                        endpoint = endpoint.name,
                        workflow = bundle.program.id,
                        "TL0211 another workflow has an endpoint of this name: nothing comes to this one"
                    );
                    continue;
                };
                free.insert(Door {
                    program: Arc::clone(&program),
                    definition: *number,
                    endpoint: i,
                    secrets: secrets.into_iter().map(|(s, _)| s).collect(),
                    key_sets,
                    keys_read,
                    disabled: tenant.rows.disabled.contains(&endpoint.name),
                });
            }
        }
        let api_key = |k: &tl_store::contract::ApiKeyRow| {
            let scopes = k.scopes.split(' ').map(str::to_owned).collect();
            (
                k.kid.clone(),
                ApiKey {
                    hash: k.hash,
                    scopes,
                    expires: k.expires,
                },
            )
        };
        let view = TenantView {
            id: tenant.id,
            key: tenant.key,
            doors,
            api_keys: tenant.rows.api_keys.iter().map(api_key).collect(),
            ingest_killed: tenant.ingest_killed(),
        };
        (view, until)
    }

    fn program(&self, tenant: TenantId, number: u32, bundle: &Bundle) -> Arc<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = programs
            .entry((tenant, number))
            .or_insert_with(|| Arc::new(bundle.program.clone()));
        Arc::clone(shared)
    }

    /// The secrets of a door with their texts, the newest five of those that may still count.
    fn secrets(&self, tenant: &Tenant, def: &Endpoint, now: i64) -> Vec<(Secret, String)> {
        let endpoint = def.name.as_str();
        let mut rows: Vec<&SecretRow> = secrets_of(tenant, endpoint)
            .filter(|s| s.not_after.is_none_or(|end| now < end))
            .collect();
        rows.sort_by_key(|s| s.not_before);
        let skip = rows.len().saturating_sub(MAX_SECRETS);
        let mut out = Vec::new();
        for row in rows.into_iter().skip(skip) {
            let place = Place {
                tenant: tenant.id,
                endpoint,
                kid: &row.kid,
            };
            let text = self.app.vault.open_secret(place, &row.sealed);
            let secret = text.as_ref().and_then(|t| {
                door_key(&def.auth, t, &row.kid, (row.not_before, row.not_after)).ok()
            });
            match (secret, text) {
                (Some(secret), Some(text)) => out.push((secret, text)),
                _ => tracing::error!(
                    endpoint,
                    kid = row.kid,
                    "TL0633 a stored secret cannot be opened"
                ),
            }
        }
        out
    }

    /// Key sets of the token alternatives that come from issuers, as far as they are here.
    fn fetched(&self, auth: &[Auth]) -> BTreeMap<usize, Fetched> {
        let addresses = auth.iter().enumerate().filter_map(|(i, auth)| match auth {
            Auth::Jwt {
                keys: Some(url), ..
            } if tl_lang::is_key_address(url) => Some((i, self.issuers.get(url)?)),
            _ => None,
        });
        addresses.collect()
    }

    async fn tenants(&self, look: bool) -> Vec<(TenantId, String)> {
        let now = self.app.desk.now();
        {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            if !names.1.is_empty() && (!look || now - names.0 < LOOK_FOR_TENANTS) {
                return names.1.clone();
            }
        }
        let all = self.app.desk.store().tenants().await.unwrap_or_default();
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = (now, all.clone());
        all
    }

    async fn holder_of(&self, kid: &str) -> Option<Arc<TenantView>> {
        for look in [false, true] {
            for (id, _) in self.tenants(look).await {
                if let Ok(view) = self.view(id).await
                    && view.api_keys.contains_key(kid)
                {
                    return Some(view);
                }
            }
        }
        None
    }

    /// Counts which secret verified a message, and says where that is one which has a successor.
    fn matched(&self, view: &TenantView, a: &Admission) {
        let secrets = view.doors.get(&a.endpoint).map(|d| d.secrets.as_slice());
        let mut of_door = secrets.unwrap_or_default().iter();
        if of_door.any(|s| s.kid() == a.kid) {
            let now = self.app.desk.now();
            // In order of their beginnings: what is left comes after it.
            let earlier = of_door.any(|s| s.is_active(now));
            let of = (a.tenant, a.endpoint.as_str(), a.kid.as_str());
            if self.app.matched.count(of, now, earlier) {
                tracing::warn!(
                    tenant = a.tenant.0,
                    endpoint = a.endpoint,
                    kid = a.kid,
                    "senders still use an earlier secret of this endpoint"
                );
            }
        }
    }

    async fn take(&self, mut a: Admission) -> Result<Admitted, AdmitError> {
        let view = self.view(a.tenant).await;
        let view = view.map_err(|e| refusal(e, a.id))?;
        let door = view.doors.get(&a.endpoint);
        let door =
            door.ok_or_else(|| AdmitError::Refused("TL0711", "the endpoint is gone".into()))?;
        self.matched(&view, &a);
        let seed = random::<16>().map_err(|_| AdmitError::Unavailable)?;
        let (id, case, consent) = (a.id, a.case, a.consent.take());
        let message = message_of(a, &door.program.id, seed);
        let desk = &self.app.desk;
        let admitted = match (case, consent) {
            (Some(case), _) => desk.admit_follow_up(message, case).await,
            (None, Some(consent)) => desk.admit_consent(message, consent).await,
            (None, None) => desk.admit(message).await,
        };
        match admitted {
            Ok(admit::Admitted::Accepted { case, joined }) => {
                Ok(Admitted::Accepted { case, joined })
            }
            Ok(admit::Admitted::Duplicate { event, variant }) => {
                Ok(Admitted::Duplicate { event, variant })
            }
            // The same command was committed in between; its saved answer is the answer.
            Err(DeskError::Store(Refused::KeyUsed)) => Ok(Admitted::Duplicate {
                event: id,
                variant: false,
            }),
            Err(e) => Err(refusal(e, id)),
        }
    }
}

/// Key sets of the token alternatives that are here anyway: from a file of the bundle, or the door's own secrets.
fn own_key_sets(
    bundle: &Bundle,
    auth: &[Auth],
    secrets: &[(Secret, String)],
    now: i64,
) -> BTreeMap<usize, Arc<KeySet>> {
    let mut out = BTreeMap::new();
    for (i, auth) in auth.iter().enumerate() {
        let Auth::Jwt {
            keys, algorithms, ..
        } = auth
        else {
            continue;
        };
        let found = match keys {
            Some(path) => {
                let beside = tl_lang::Project::directory(&bundle.program.id);
                let bytes = bundle.project.files.get(&format!("{beside}{path}"));
                bytes.and_then(|b| KeySet::from_jwks(b).ok()).map(Arc::new)
            }
            None if algorithms.iter().any(|a| a == "HS256") => {
                let active = secrets.iter().filter(|(s, _)| s.is_active(now));
                let sets = active
                    .filter_map(|(s, text)| KeySet::hs256(Some(s.kid()), text.as_bytes()).ok());
                sets.reduce(KeySet::and).map(Arc::new)
            }
            None => None,
        };
        out.extend(found.map(|keys| (i, keys)));
    }
    out
}

fn refusal(e: DeskError, message: EventId) -> AdmitError {
    match e {
        DeskError::Refused(r) => AdmitError::Refused(r.code, r.message),
        DeskError::Store(Refused::Faulty { id, .. }) => AdmitError::Faulty(id),
        other => {
            tracing::error!(error = %other, event_id = %message, "a message could not be admitted");
            AdmitError::Unavailable
        }
    }
}

impl Intake for DeskIntake {
    fn read_document(
        &self,
        bytes: Vec<u8>,
        declared: Declared,
    ) -> Answer<'_, Option<Result<Document, Unread>>> {
        Box::pin(Arc::clone(&self.app.readers).read(bytes, declared))
    }

    fn tenant<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(async move {
            let id = self.app.desk.tenant_id(name).await.ok().flatten()?;
            self.view(id).await.ok()
        })
    }

    fn tenant_of_key<'a>(&'a self, kid: &'a str) -> Answer<'a, Option<Arc<TenantView>>> {
        Box::pin(self.holder_of(kid))
    }

    fn admit(&self, admission: Admission) -> Answer<'_, Result<Admitted, AdmitError>> {
        Box::pin(self.take(admission))
    }

    fn waiting(&self, tenant: TenantId, case: CaseId) -> Answer<'_, Option<Waiting>> {
        Box::pin(async move {
            let case = self.app.desk.load(tenant, case).await.ok()?;
            let bundle = self.app.desk.bundle(tenant, case.definition).await.ok()?;
            let (ask, fields) = follow_up::waits_for(&bundle.program, &case)?;
            Some(Waiting {
                endpoint: follow_up::endpoint(&bundle.program)?.name.clone(),
                record: bundle.program.record.clone(),
                ask,
                fields,
            })
        })
    }

    fn now(&self) -> i64 {
        self.app.desk.now()
    }

    fn wall(&self) -> i64 {
        self.app.desk.clock().wall()
    }

    fn clock_ahead(&self) -> i64 {
        self.app.desk.clock().alarm().map_or(0, |a| a.ahead)
    }

    fn keys_wanted(&self, address: &str) {
        self.issuers.want(address);
    }

    fn leaving(&self) -> bool {
        self.app.is_leaving()
    }

    fn backlog(&self, tenant: TenantId) -> Option<u32> {
        backlog_wait(self.app.desk.backlog_age(tenant))
    }

    fn overloaded(&self) -> Option<(&'static str, u32)> {
        if self.app.desk.is_draining() {
            return Some(("draining", RETRY));
        }
        if !self.app.desk.may_send() {
            return Some(("lease", RETRY));
        }
        if self.disk_full.load(Ordering::Relaxed) {
            return Some(("disk", 60));
        }
        (self.app.desk.store().queue_age() > QUEUE_AGE).then_some(("store", RETRY))
    }
}

/// What a door has taken, as the desk wants it.
pub(crate) fn message_of(a: Admission, workflow: &str, seed: [u8; 16]) -> Message {
    let expires = a.received_at.saturating_add(DEDUPE_KEEP);
    let answer = a
        .idempotent
        .map(|(principal, key, fingerprint)| SavedAnswer {
            principal,
            key,
            fingerprint,
            status: 202,
            body: accepted_body,
            expires,
        });
    Message {
        tenant: a.tenant,
        workflow: workflow.to_owned(),
        endpoint: a.endpoint,
        event: a.event,
        id: a.id,
        seed,
        keys: a.keys,
        key_source: a.key_source,
        expires: a.expires,
        kid: a.kid,
        received_at: a.received_at,
        content_type: a.content_type,
        payload: a.payload,
        answer,
        pending: false,
    }
}

/// When a sender comes again while the oldest effect has waited for so long, µs: after as long again, in seconds. Where
/// the backlog is short, nobody waits.
fn backlog_wait(age: i64) -> Option<u32> {
    (age > BACKLOG_AGE).then(|| u32::try_from(age / SECOND).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_the_backlog_the_later_a_sender_comes_again() {
        let table = [
            (0, None),
            (10, None),
            (11, Some(11)),
            (41, Some(41)),
            (3_600, Some(3_600)),
        ];
        for (seconds, want) in table {
            assert_eq!(backlog_wait(seconds * SECOND), want, "{seconds} s");
        }
    }
}
