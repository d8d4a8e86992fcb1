//! The console's house: what its pages ask, answered from the desk, the store and the one list of requests that the
//! command line uses too.

mod case;
mod flows;
mod notes;
mod ops;
mod people;
mod task;
mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tl_console::house::{Account, Answer, House, Session, SessionChange};
use tl_console::views::{
    Became, CaseFilter, CasePage, Cases, Decided, Decision, Failures, Frame, HealthPage, Inbox,
    InboxFilter, NoteForm, Noted, Person, Sent, TaskPage, Who, WorkflowPage,
};
use tl_console::{Console, Setting, Trouble};
use tl_engine::tenant::Tenant;
use tl_kernel::journal::Actor;
use tl_web::SignedIn;

use self::flows::Sample;
use self::words::trouble;
use crate::app::{App, DEFAULT_TENANT};
use crate::control::{Reply, Request, handle_by};
use crate::failure::Failure;
use crate::keys::random;

/// The rooms of one installation that the console looks into: those of the default tenant.
pub struct Rooms {
    app: Arc<App>,
    /// Shares of the newest cases, kept for a moment.
    sample: Mutex<Option<Sample>>,
    /// Forms behind the sign-in.
    forms: SignedIn,
}

/// The console of an opened installation.
pub fn console(app: &Arc<App>, forms: SignedIn) -> Arc<Console> {
    let base = match &app.config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", app.listen()),
    };
    let rooms = Rooms {
        app: Arc::clone(app),
        sample: Mutex::default(),
        forms,
    };
    Console::new(Setting {
        house: Arc::new(rooms),
        base,
    })
}

impl Rooms {
    async fn view(&self) -> Result<Arc<Tenant>, Trouble> {
        self.app.tenant(DEFAULT_TENANT).await.map_err(trouble)
    }

    /// Asks as the command line does, in the name of a person.
    async fn ask(&self, who: &Who, request: Request) -> Result<Reply, Trouble> {
        let by = Actor::Person(who.name.clone());
        handle_by(&self.app, DEFAULT_TENANT.to_owned(), by, request)
            .await
            .map_err(trouble)
    }

    /// As `ask`, for what is only read.
    async fn read(&self, request: Request) -> Result<Reply, Trouble> {
        handle_by(&self.app, DEFAULT_TENANT.to_owned(), Actor::Engine, request)
            .await
            .map_err(trouble)
    }
}

/// The reply is of another kind than the request asks for.
fn strange() -> Trouble {
    Trouble::unavailable("An error of ours: the answer was of another kind than the question.")
}

/// What a reply says was done.
fn said(reply: Reply) -> Result<String, Trouble> {
    match reply {
        Reply::Done(done) => Ok(done.said),
        _ => Err(strange()),
    }
}

impl House for Rooms {
    fn now(&self) -> i64 {
        self.app.desk.now()
    }

    fn random(&self) -> Result<[u8; 32], Trouble> {
        random::<32>().map_err(trouble)
    }

    fn account<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Account>> {
        Box::pin(self.find_account(name))
    }

    fn people(&self) -> Answer<'_, Vec<Person>> {
        Box::pin(self.all_people())
    }

    fn put_account<'a>(&'a self, account: Account, by: &'a str) -> Answer<'a, ()> {
        Box::pin(self.keep_account(account, by))
    }

    fn session(&self, token: [u8; 32]) -> Answer<'_, Option<Session>> {
        Box::pin(self.find_session(token))
    }

    fn change_session(&self, change: SessionChange) -> Answer<'_, ()> {
        Box::pin(self.keep_session(change))
    }

    fn sign_in_failed<'a>(&'a self, account: &'a str) -> Answer<'a, ()> {
        Box::pin(self.record_failed_sign_in(account))
    }

    fn frame(&self) -> Answer<'_, Frame> {
        Box::pin(self.frame_now())
    }

    fn health(&self) -> Answer<'_, HealthPage> {
        Box::pin(self.health_now())
    }

    fn inbox<'a>(&'a self, who: &'a Who, filter: InboxFilter) -> Answer<'a, Inbox> {
        Box::pin(self.inbox_of(who, filter))
    }

    fn task<'a>(&'a self, who: &'a Who, id: &'a str) -> Answer<'a, TaskPage> {
        Box::pin(self.task_page(who, id))
    }

    fn decide<'a>(&'a self, who: &'a Who, id: &'a str, decision: Decision) -> Answer<'a, Decided> {
        Box::pin(self.decide_task(who, id, decision))
    }

    fn assign<'a>(&'a self, who: &'a Who, id: &'a str, to: &'a str) -> Answer<'a, ()> {
        Box::pin(self.assign_task(who, id, to))
    }

    fn cases(&self, filter: CaseFilter) -> Answer<'_, Cases> {
        Box::pin(self.case_rows(filter))
    }

    fn case<'a>(&'a self, id: &'a str) -> Answer<'a, CasePage> {
        Box::pin(self.case_page(id))
    }

    fn failures(&self) -> Answer<'_, Failures> {
        Box::pin(self.failures_now())
    }

    fn redrive<'a>(&'a self, who: &'a Who, group: &'a str, reason: &'a str) -> Answer<'a, String> {
        let request = Request::Redrive {
            ids: Vec::new(),
            group: Some(group.to_owned()),
            reason: reason.to_owned(),
        };
        Box::pin(async move { said(self.ask(who, request).await?) })
    }

    fn resolve<'a>(
        &'a self,
        who: &'a Who,
        effect: &'a str,
        became: (Became, String),
    ) -> Answer<'a, String> {
        Box::pin(self.resolve_effect(who, effect, became))
    }

    fn outbox(&self) -> Answer<'_, Vec<Sent>> {
        Box::pin(self.sent())
    }

    fn workflows(&self) -> Answer<'_, Vec<(String, String)>> {
        Box::pin(async move {
            let view = self.view().await?;
            let all = view.current.iter();
            Ok(all
                .map(|(id, (_, b))| (id.clone(), b.program.version.clone()))
                .collect())
        })
    }

    fn workflow<'a>(&'a self, id: &'a str) -> Answer<'a, WorkflowPage> {
        Box::pin(self.workflow_page(id))
    }

    fn graph<'a>(&'a self, id: &'a str) -> Answer<'a, String> {
        Box::pin(async move {
            let view = self.view().await?;
            let found = view.current.get(id);
            let (_, bundle) = found.ok_or_else(|| words::no_workflow(id))?;
            Ok(tl_lang::graph::svg(&bundle.program))
        })
    }

    fn notes(&self) -> Answer<'_, Vec<NoteForm>> {
        Box::pin(async move { Ok(self.note_forms().await) })
    }

    fn note<'a>(
        &'a self,
        who: &'a Who,
        form: (&'a str, &'a str),
        answers: BTreeMap<String, String>,
    ) -> Answer<'a, Noted> {
        Box::pin(self.keep_note(who, form, answers))
    }

    fn scopes(&self) -> Answer<'_, Vec<String>> {
        Box::pin(self.switch_scopes())
    }

    fn switch<'a>(
        &'a self,
        who: &'a Who,
        scope: &'a str,
        set: (Option<&'a str>, &'a str),
    ) -> Answer<'a, String> {
        Box::pin(self.change_switch(who, scope, set))
    }
}

/// The line that tells whoever started the server how the first account is made; nothing once there is one.
pub async fn first_sign_in(console: &Console) -> Result<Option<String>, Failure> {
    let link = console.first_link().await;
    link.map_err(|t| Failure::unreachable(t.said))
}
