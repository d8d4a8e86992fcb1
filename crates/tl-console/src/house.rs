//! What the console asks of the rest of the product. The binary answers it: no page reaches the engine or the store.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use crate::trouble::Trouble;
use crate::views::*;

/// A boxed future, so that the trait can be an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// An account as it is stored.
#[derive(Clone)]
pub struct Account {
    /// Who.
    pub who: Who,
    /// Hash of the password as a PHC string.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.who.name)
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Digest of the token that the browser holds.
    pub token: [u8; 32],
    /// Account name.
    pub account: String,
    /// Begun, µs.
    pub begun: i64,
    /// Last seen, µs.
    pub seen: i64,
    /// Over at this instant, µs.
    pub ends: i64,
}

/// What happens to a session.
#[derive(Debug, Clone)]
pub enum SessionChange {
    /// Somebody signed in: recorded.
    Begins(Session),
    /// It was used: not recorded.
    Seen(Session),
    /// Somebody signed out: recorded.
    Ends {
        /// Digest of the token.
        token: [u8; 32],
        /// Whose.
        account: String,
    },
}

/// What the console asks.
pub trait House: Send + Sync + 'static {
    /// Engine time, µs.
    fn now(&self) -> i64;
    /// Random bytes.
    fn random(&self) -> Result<[u8; 32], Trouble>;

    /// The account of a name.
    fn account<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Account>>;
    /// All accounts.
    fn people(&self) -> Answer<'_, Vec<Person>>;
    /// Adds or changes an account; its sessions end. `by` is who does it.
    fn put_account<'a>(&'a self, account: Account, by: &'a str) -> Answer<'a, ()>;
    /// The session of a token's digest.
    fn session(&self, token: [u8; 32]) -> Answer<'_, Option<Session>>;
    /// Changes a session.
    fn change_session(&self, change: SessionChange) -> Answer<'_, ()>;
    /// Somebody failed to sign in as this account, which exists: recorded.
    fn sign_in_failed<'a>(&'a self, account: &'a str) -> Answer<'a, ()>;

    /// What stands around every page.
    fn frame(&self) -> Answer<'_, Frame>;
    /// The first page.
    fn health(&self) -> Answer<'_, HealthPage>;
    /// The inbox of somebody.
    fn inbox<'a>(&'a self, who: &'a Who, filter: InboxFilter) -> Answer<'a, Inbox>;
    /// A task.
    fn task<'a>(&'a self, who: &'a Who, id: &'a str) -> Answer<'a, TaskPage>;
    /// Decides a task.
    fn decide<'a>(&'a self, who: &'a Who, id: &'a str, decision: Decision) -> Answer<'a, Decided>;
    /// Gives the case of a task to somebody.
    fn assign<'a>(&'a self, who: &'a Who, id: &'a str, to: &'a str) -> Answer<'a, ()>;
    /// Cases.
    fn cases(&self, filter: CaseFilter) -> Answer<'_, Cases>;
    /// A case; also found by the id of one of its tasks, effects or messages.
    fn case<'a>(&'a self, id: &'a str) -> Answer<'a, CasePage>;
    /// What failed and what is uncertain.
    fn failures(&self) -> Answer<'_, Failures>;
    /// Sends failed effects again: all with a code, or one. Says how many.
    fn redrive<'a>(&'a self, who: &'a Who, group: &'a str, reason: &'a str) -> Answer<'a, String>;
    /// Says what became of an effect.
    fn resolve<'a>(
        &'a self,
        who: &'a Who,
        effect: &'a str,
        became: (Became, String),
    ) -> Answer<'a, String>;
    /// Messages that went to the outbox, newest first.
    fn outbox(&self) -> Answer<'_, Vec<Sent>>;
    /// Workflows: id and version.
    fn workflows(&self) -> Answer<'_, Vec<(String, String)>>;
    /// A workflow.
    fn workflow<'a>(&'a self, id: &'a str) -> Answer<'a, WorkflowPage>;
    /// The state graph of a workflow as an SVG document.
    fn graph<'a>(&'a self, id: &'a str) -> Answer<'a, String>;
    /// Forms for notes.
    fn notes(&self) -> Answer<'_, Vec<NoteForm>>;
    /// Keeps a note of somebody: the form's name, the key of the page that was filled in, and the answers by name.
    fn note<'a>(
        &'a self,
        who: &'a Who,
        form: (&'a str, &'a str),
        answers: BTreeMap<String, String>,
    ) -> Answer<'a, Noted>;
    /// What a switch can cover.
    fn scopes(&self) -> Answer<'_, Vec<String>>;
    /// Sets a switch in a mode, or clears it where there is none. Says what is the case now.
    fn switch<'a>(
        &'a self,
        who: &'a Who,
        scope: &'a str,
        set: (Option<&'a str>, &'a str),
    ) -> Answer<'a, String>;
}
