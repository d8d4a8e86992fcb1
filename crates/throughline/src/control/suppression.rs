//! Addresses to which nothing is sent: who asked for it, and since when.

use tl_kernel::contact::{normalise_email, normalise_phone, object, subject};
use tl_kernel::digest::Digest;
use tl_store::contract::{Row, Suppression};
use tl_wire::sms::Party;

use super::Ctx;
use super::views::{Done, Reply, SuppressionLine};
use crate::app::Change;
use crate::failure::Failure;
use crate::text::At;

/// An address in its normal form, and the channel that it belongs to.
struct Address {
    channel: &'static str,
    text: String,
}

impl Address {
    fn read(text: &str) -> Result<Address, Failure> {
        let (channel, normal) = match text.contains('@') {
            true => ("email", normalise_email(text)),
            // A number may have got on the list that no country's plan has.
            false => (
                "sms",
                normalise_phone(text, None).or_else(|| plain_number(text)),
            ),
        };
        match normal {
            Some(text) => Ok(Address { channel, text }),
            None => Err(Failure::usage(format!(
                "`{text}` is no address: an e-mail address, or a phone number with its country, such as +4366012345"
            ))),
        }
    }
}

/// `+` and digits, as a provider of text messages gives a number.
fn plain_number(text: &str) -> Option<String> {
    match Party::parse(text.trim()) {
        Some(Party::Phone(number)) => Some(number),
        _ => None,
    }
}

impl Ctx<'_> {
    pub(super) async fn suppression_list(&self, limit: u32) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let all = self.app.desk.store().suppressions(view.id, limit).await?;
        let line = |s: Suppression| SuppressionLine {
            object: object(&s.channel, &s.subject),
            by_owner: s.by_owner,
            address: s.address,
            channel: s.channel,
            reason: s.reason,
            by: s.by,
            since: At(s.at),
        };
        Ok(Reply::Suppressions(all.into_iter().map(line).collect()))
    }

    pub(super) async fn suppression_add(
        &self,
        address: &str,
        reason: &str,
    ) -> Result<Reply, Failure> {
        let Address { channel, text } = Address::read(address)?;
        let reason = self.reason(reason)?;
        let view = self.view().await?;
        let subject = subject(&view.key, channel, &text);
        let row = Row::Suppressed(Suppression {
            subject,
            by_owner: false,
            channel: channel.to_owned(),
            address: text.clone(),
            by: self.by.text(),
            reason: reason.clone(),
            at: self.now(),
        });
        let change = changed("suppression.add", (channel, &subject), reason);
        self.app
            .change(view.id, &self.by, vec![row], vec![change])
            .await?;
        Ok(Reply::Done(
            Done::new(format!("nothing is sent to {text} from now on")).then(
                "what is on its way cannot be called back; see it",
                "throughline effect list --state dispatching",
            ),
        ))
    }

    pub(super) async fn suppression_remove(
        &self,
        address: &str,
        reason: &str,
        over_stop: bool,
    ) -> Result<Reply, Failure> {
        let Address { channel, text } = Address::read(address)?;
        let reason = self.reason(reason)?;
        let view = self.view().await?;
        let subject = subject(&view.key, channel, &text);
        let known = self.app.desk.store().suppressed(view.id, subject).await?;
        if known.is_empty() {
            return Err(Failure::not_found(format!(
                "{text} is not suppressed; `throughline suppression list` shows what is"
            )));
        }
        if known.iter().any(|s| s.by_owner) && !over_stop {
            return Err(Failure::conflict(format!(
                "whoever has {text} wants nothing more and has said so; START, from there, takes that back. Where they have \
                 told you otherwise, pass --over-stop"
            )));
        }
        let rows = known.iter().map(|s| Row::Unsuppressed {
            subject,
            by_owner: s.by_owner,
        });
        let change = changed("suppression.remove", (channel, &subject), reason);
        self.app
            .change(view.id, &self.by, rows.collect(), vec![change])
            .await?;
        Ok(Reply::Done(Done::new(format!(
            "{text} may be written to again; what was cancelled meanwhile is not sent"
        ))))
    }
}

fn changed(action: &'static str, (channel, subject): (&str, &Digest), reason: String) -> Change {
    Change {
        action,
        object: object(channel, subject),
        detail: reason,
    }
}
