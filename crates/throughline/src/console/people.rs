//! Accounts and sessions, kept in the store; every change of an account, every sign-in and every failed one stands
//! in the control stream.

use tl_console::Trouble;
use tl_console::access::Role;
use tl_console::house::{Account, Session, SessionChange};
use tl_console::views::{Person, Who};
use tl_kernel::id::TenantId;
use tl_kernel::journal::Actor;
use tl_store::contract::{AccountRow, People, Row, SessionRow, Unit};

use super::Rooms;
use super::words::{trouble, unread};
use crate::app::Change;

impl Rooms {
    pub(super) async fn find_account(&self, name: &str) -> Result<Option<Account>, Trouble> {
        let view = self.view().await?;
        let store = self.app.desk.store();
        let found = store.accounts(view.id, Some(name.to_owned())).await;
        let found = found.map_err(unread)?.into_iter().next();
        // A role that this build does not know opens nothing.
        Ok(found.and_then(|row| {
            Some(Account {
                who: who(&row)?,
                password: row.password,
            })
        }))
    }

    pub(super) async fn all_people(&self) -> Result<Vec<Person>, Trouble> {
        let view = self.view().await?;
        let rows = self.app.desk.store().accounts(view.id, None).await;
        let rows = rows.map_err(unread)?;
        let person = |row: &AccountRow| {
            Some(Person {
                who: who(row)?,
                by: row.by.clone(),
                at: row.at,
            })
        };
        Ok(rows.iter().filter_map(person).collect())
    }

    pub(super) async fn keep_account(&self, account: Account, by: &str) -> Result<(), Trouble> {
        let tenant = self.view().await?.id;
        let Account { who, password } = account;
        let change = Change {
            action: "account.set",
            object: who.name.clone(),
            detail: who.role.word().to_owned(),
        };
        let ended = People::SessionsEnd {
            account: who.name.clone(),
        };
        let row = People::Account(AccountRow {
            name: who.name,
            shown: who.shown,
            role: who.role.word().to_owned(),
            password,
            by: by.to_owned(),
            at: self.app.desk.now(),
        });
        self.keep(tenant, by, (vec![row, ended], Some(change)))
            .await
    }

    pub(super) async fn find_session(&self, token: [u8; 32]) -> Result<Option<Session>, Trouble> {
        let tenant = self.view().await?.id;
        let found = self.app.desk.store().session(tenant, token).await;
        Ok(found.map_err(unread)?.map(|s| Session {
            token: s.token,
            account: s.account,
            begun: s.begun,
            seen: s.seen,
            ends: s.ends,
        }))
    }

    pub(super) async fn keep_session(&self, change: SessionChange) -> Result<(), Trouble> {
        let tenant = self.view().await?.id;
        let recorded = |action, account: &str| {
            Some(Change {
                action,
                object: account.to_owned(),
                detail: String::new(),
            })
        };
        let (account, rows, change) = match change {
            SessionChange::Begins(s) => {
                let over = People::SessionsOver { now: s.begun };
                let change = recorded("session.begin", &s.account);
                (s.account.clone(), vec![over, row(s)], change)
            }
            SessionChange::Seen(s) => (s.account.clone(), vec![row(s)], None),
            SessionChange::Ends { token, account } => {
                let change = recorded("session.end", &account);
                (account, vec![People::SessionEnds { token }], change)
            }
        };
        self.keep(tenant, &account, (rows, change)).await
    }

    pub(super) async fn record_failed_sign_in(&self, account: &str) -> Result<(), Trouble> {
        let tenant = self.view().await?.id;
        let change = Change {
            action: "session.refused",
            object: account.to_owned(),
            detail: "password".to_owned(),
        };
        // Who it was is not known: nobody signed in.
        let sealed = self.app.seal(tenant, &Actor::Engine, vec![change]);
        let mut unit = Unit::new(tenant);
        unit.control.push(sealed);
        let done = self.app.desk.store().commit(unit).await;
        done.map(|_| ()).map_err(|e| trouble(e.into()))
    }

    /// Commits rows of people with the turn that records them. The gate does not move, so nothing cached is wrong.
    async fn keep(
        &self,
        tenant: TenantId,
        by: &str,
        (rows, change): (Vec<People>, Option<Change>),
    ) -> Result<(), Trouble> {
        let mut unit = Unit::new(tenant);
        unit.rows = rows.into_iter().map(Row::People).collect();
        if let Some(change) = change {
            let by = Actor::Person(by.to_owned());
            unit.control.push(self.app.seal(tenant, &by, vec![change]));
        }
        let done = self.app.desk.store().commit(unit).await;
        done.map(|_| ()).map_err(|e| trouble(e.into()))
    }
}

fn who(row: &AccountRow) -> Option<Who> {
    Some(Who {
        name: row.name.clone(),
        shown: row.shown.clone(),
        role: Role::parse(&row.role)?,
    })
}

fn row(s: Session) -> People {
    People::Session(SessionRow {
        token: s.token,
        account: s.account,
        begun: s.begun,
        seen: s.seen,
        ends: s.ends,
    })
}
