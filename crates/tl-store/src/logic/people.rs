//! Applies the rows of people: accounts, and the sessions in which they are signed in.

use tl_kernel::id::TenantId;

use super::Out;
use crate::contract::People;
use crate::value::vals;
use crate::writes::W;

impl<'a> Out<'_, 'a> {
    /// Applies a change. Within a group a later change of the same session or account wins.
    pub(super) fn people(&mut self, tenant: TenantId, people: &'a People) {
        let t = tenant.0;
        match people {
            People::Account(a) => {
                let (shown, password) = (a.shown.as_bytes(), a.password.as_bytes());
                let row = vals![t, &a.name, shown, &a.role, password, &a.by, a.at];
                self.changes.at(W::Account).put(2, row);
            }
            People::Session(s) => {
                let row = vals![t, &s.token, &s.account, s.begun, s.seen, s.ends];
                self.changes.at(W::Session).put(2, row);
            }
            People::SessionEnds { token } => {
                self.changes.at(W::Session).drop(&vals![t, token]);
                self.changes.at(W::SessionOff).put(2, vals![t, token]);
            }
            People::SessionsEnd { account } => {
                self.changes.at(W::SessionsOff).put(2, vals![t, account]);
            }
            People::SessionsOver { now } => {
                self.changes.at(W::SessionsOver).put(1, vals![t, *now]);
            }
        }
    }
}
