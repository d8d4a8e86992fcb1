//! What can be asked of an installation: one list of requests, one list of replies, handled in one place. The
//! command line asks through the socket of a running server, or opens the store itself; the answer is the same.

pub mod audit;
mod cases;
mod clock;
mod connections;
pub mod deploy;
pub mod doors;
mod effects;
mod explained;
pub mod groups;
pub mod import;
mod kept;
mod kill;
mod lists;
pub mod rehearse;
pub mod request;
mod signing;
pub mod socket;
mod status;
mod suppression;
mod tasks;
pub mod vendor;
pub mod views;

use tl_kernel::journal::Actor;

use crate::app::{App, Mode};
use crate::failure::Failure;
pub use request::{Envelope, Request};
pub use views::Reply;

/// Answers a request.
pub async fn handle(app: &App, envelope: Envelope) -> Result<Reply, Failure> {
    let Envelope {
        tenant,
        by,
        request,
        until: _,
        once,
    } = envelope;
    let only_switches = matches!(
        request,
        Request::KillSet { .. } | Request::KillClear { .. } | Request::KillList
    );
    if app.mode == Mode::Guest && !only_switches {
        return Err(Failure::conflict(
            "a server holds this data directory and does not answer",
        ));
    }
    let ctx = Ctx {
        app,
        tenant,
        by: Actor::Operator(by),
        once,
    };
    ctx.answer(request).await
}

/// Answers a request of whoever has been recognised already: a person at the console.
pub async fn handle_by(
    app: &App,
    tenant: String,
    by: Actor,
    request: Request,
) -> Result<Reply, Failure> {
    let ctx = Ctx {
        app,
        tenant,
        by,
        once: None,
    };
    ctx.answer(request).await
}

/// One request's surroundings.
pub(crate) struct Ctx<'a> {
    app: &'a App,
    tenant: String,
    by: Actor,
    /// The name of this one change, where it may come in two ways.
    once: Option<String>,
}

impl Ctx<'_> {
    async fn answer(&self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::CaseList { filter } => self.case_list(filter).await,
            Request::CaseShow { id } => self.case_show(&id).await,
            Request::CaseCommand { id, reason, what } => self.case_command(&id, reason, what).await,
            Request::Explain { id } => self.explain(&id).await,
            Request::TaskList { filter } => self.task_list(filter).await,
            Request::TaskShow { id } => self.task_show(&id).await,
            Request::TaskDecide(decision) => self.task_decide(decision).await,
            Request::EffectList { filter } => self.effect_list(filter).await,
            Request::EffectShow { id } => self.effect_show(&id).await,
            Request::EffectResolve { id, how, reason } => {
                self.effect_resolve(&id, how, reason).await
            }
            Request::ConnectionList => self.connection_list().await,
            Request::ConnectionCheck { name } => self.connection_check(name.as_deref()).await,
            Request::Groups => self.group_list().await,
            Request::GroupShow { group, limit } => self.group_show(&group, limit).await,
            Request::Outcomes { ids, reason } => self.outcomes(&ids, &reason).await,
            Request::Redrive { ids, group, reason } => self.redrive(ids, group, reason).await,
            Request::OutboxList { case, limit } => self.outbox_list(case, limit).await,
            Request::OutboxShow { effect } => self.outbox_show(&effect).await,
            Request::RecordShow { record_type, id } => self.record_show(record_type, id).await,
            Request::KillList => self.kill_list().await,
            Request::KillSet {
                scope,
                mode,
                reason,
            } => self.kill_set(&scope, mode, &reason).await,
            Request::KillClear { scope, reason } => self.kill_clear(&scope, &reason).await,
            Request::SuppressionList { limit } => self.suppression_list(limit).await,
            Request::SuppressionAdd { address, reason } => {
                self.suppression_add(&address, &reason).await
            }
            Request::SuppressionRemove {
                address,
                reason,
                over_stop,
            } => self.suppression_remove(&address, &reason, over_stop).await,
            Request::Plan { files } => self.plan(files).await,
            Request::Deploy { files } => self.deploy(files).await,
            Request::Versions => self.versions().await,
            Request::Rollback {
                workflow,
                number,
                reason,
            } => self.rollback(&workflow, number, &reason).await,
            Request::TenantList => self.tenant_list().await,
            Request::TenantCreate { name } => self.tenant_create(&name).await,
            Request::TenantDisabled {
                name,
                disabled,
                reason,
            } => self.tenant_disabled(&name, disabled, &reason).await,
            Request::EndpointList => self.endpoint_list().await,
            Request::EndpointRotate {
                endpoint,
                overlap,
                secret,
            } => {
                self.endpoint_rotate(&endpoint, overlap, secret.as_deref())
                    .await
            }
            Request::EndpointDisabled {
                endpoint,
                disabled,
                reason,
            } => self.endpoint_disabled(&endpoint, disabled, &reason).await,
            Request::KeyList => self.key_list().await,
            Request::KeyCreate { scopes, lives } => self.key_create(&scopes, lives).await,
            Request::KeyRotate {
                kid,
                overlap,
                lives,
            } => self.key_rotate(&kid, overlap, lives).await,
            Request::KeyDisable { kid, reason } => self.key_disable(&kid, &reason).await,
            Request::FlagList => self.flag_list().await,
            Request::FlagSet {
                name,
                value,
                installation,
            } => self.flag_set(&name, value, installation).await,
            Request::Status => self.status().await,
            Request::Clock => Ok(self.clock()),
            Request::ClockAccept { reason } => self.clock_accept(&reason).await,
            Request::AuditPage { after, limit } => self.audit_page(after, limit).await,
            Request::AuditHead => self.audit_head().await,
            Request::Try(message) => self.rehearse(message).await,
            Request::ImportLook { endpoint } => self.import_look(&endpoint).await,
            Request::ImportRows(rows) => self.import_rows(rows).await,
        }
    }

    fn now(&self) -> i64 {
        self.app.desk.now()
    }

    /// A change by a person needs a reason that fits into the audit: a code, no prose, no personal data.
    fn reason(&self, reason: &str) -> Result<String, Failure> {
        let code = reason.split_whitespace().collect::<Vec<_>>().join("_");
        let fits = |c: char| c.is_alphanumeric() || "_-.:/#".contains(c);
        // A command that was pasted as a screen prints it says nothing about why.
        let blank = matches!(code.as_str(), "REASON" | "CODE");
        if code.is_empty() || blank || code.len() > 200 || !code.chars().all(fits) {
            return Err(Failure::usage(
                "TL0721 a change needs a reason of your own: pass --reason CODE, letters, digits and _ - . : / #, at most 200. \
                 It stays in the audit for good, so a person's name or address does not belong in it",
            ));
        }
        Ok(code)
    }
}
