//! Addresses whose owners want nothing more: what they say at a door is done there, and asked before each send.

use tl_kernel::connector::Control;
use tl_kernel::contact::{Consent, Wish, normalise_email, normalise_phone, object, subject};
use tl_kernel::journal::{Actor, Entry, seal_control};
use tl_kernel::program::{ActionKind, Channel};
use tl_kernel::turn::EffectKind;
use tl_kernel::value::{Type, Value};
use tl_store::contract::{EffectRow, Refused, Row, Suppression, Unit};

use crate::admit::{Admitted, Known, Message, event_row, keys_free};
use crate::deliver::arguments;
use crate::desk::{Desk, DeskError, gate_guard, read_error};
use crate::tenant::{Bundle, Tenant};
use crate::worker::Worker;

/// Why an address is suppressed whose owner said so.
pub const STOP: &str = "stop";

impl Desk {
    /// Whether what the owner of an address says is done at the door: a stop is, and a start that takes the owner's own
    /// stop back. Any other start is a message like all others.
    pub async fn heeds(&self, view: &Tenant, consent: &Consent) -> Result<bool, DeskError> {
        match consent.wish {
            Wish::Stop => Ok(true),
            Wish::Start => {
                let subject = subject(&view.key, consent.channel, &consent.address);
                let known = self.store().suppressed(view.id, subject).await;
                Ok(known.map_err(read_error)?.iter().any(|s| s.by_owner))
            }
        }
    }

    /// Admits a message in which the owner of an address says whether to be written to. What is heeded opens no case.
    pub async fn admit_consent(
        &self,
        message: Message,
        consent: Consent,
    ) -> Result<Admitted, DeskError> {
        loop {
            let view = self.tenant(message.tenant).await?;
            if !self.heeds(&view, &consent).await? {
                return self.admit(message).await;
            }
            let subject = subject(&view.key, consent.channel, &consent.address);
            let (row, action) = match consent.wish {
                Wish::Stop => {
                    let stop = Suppression {
                        subject,
                        by_owner: true,
                        channel: consent.channel.to_owned(),
                        address: consent.address.clone(),
                        by: format!("endpoint {}", message.endpoint),
                        reason: STOP.to_owned(),
                        at: message.received_at,
                    };
                    (Row::Suppressed(stop), "suppression.add")
                }
                Wish::Start => {
                    let by_owner = true;
                    let row = Row::Unsuppressed { subject, by_owner };
                    (row, "suppression.remove")
                }
            };
            let mut unit = Unit::new(message.tenant);
            unit.guards.push(keys_free(&message));
            // A stop holds whatever has been changed meanwhile; a start has looked at what is there.
            if consent.wish == Wish::Start {
                unit.guards.push(gate_guard(&view));
            }
            unit.rows.push(event_row(&message, None));
            unit.rows.push(Row::EventApart { event: message.id });
            unit.rows.push(row);
            let by = Actor::Endpoint {
                name: message.endpoint.clone(),
                kid: message.kid.clone(),
            };
            let told = Entry::Control {
                action: action.to_owned(),
                object: object(consent.channel, &subject),
                detail: format!("event {}", message.id),
            };
            let at = message.received_at;
            unit.control
                .push(seal_control(message.tenant, at, by, vec![told]));
            match self.commit(unit).await? {
                Ok(_) => {
                    self.reload(message.tenant).await?;
                    return Ok(Admitted::Accepted {
                        case: None,
                        joined: None,
                    });
                }
                Err(Refused::Duplicate { event, payload }) => {
                    return self.repeated(&message, Known { event, payload }).await;
                }
                Err(Refused::GateMoved) => {
                    self.reload(message.tenant).await?;
                }
                Err(other) => return Err(DeskError::Store(other)),
            }
        }
    }

    /// Whether the recipient of an action's message wants nothing more. As of the view: whoever sends carries its epoch as
    /// a guard.
    pub async fn is_suppressed(
        &self,
        (view, bundle): (&Tenant, &Bundle),
        action: &str,
        args: &Value,
    ) -> Result<bool, DeskError> {
        if !view.rows.suppresses {
            return Ok(false);
        }
        for (channel, address) in recipients((view, bundle), action, args) {
            let subject = subject(&view.key, channel, &address);
            let known = self.store().suppressed(view.id, subject).await;
            if !known.map_err(read_error)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Worker {
    /// The same of an effect in the ledger.
    pub(crate) async fn goes_to_suppressed(
        &self,
        row: &EffectRow,
        view: &Tenant,
    ) -> Result<bool, DeskError> {
        if !view.rows.suppresses || row.kind != EffectKind::Effect {
            return Ok(false);
        }
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let args = arguments(row);
        self.desk
            .is_suppressed((view, &bundle), &row.action, &args)
            .await
    }
}

/// The addresses to which an action's message goes, each with its channel.
fn recipients(
    (view, bundle): (&Tenant, &Bundle),
    action: &str,
    args: &Value,
) -> Vec<(&'static str, String)> {
    let program = &bundle.program;
    let Some(action) = program.actions.iter().find(|a| a.name == action) else {
        return Vec::new();
    };
    let found = |channel: Channel, path: &[&str]| {
        let text = args.at(path).map(Value::to_string).unwrap_or_default();
        addresses(channel, &text)
    };
    let mut all = match &action.kind {
        ActionKind::Message(message) => found(message.channel, &["to"]),
        _ => Vec::new(),
    };
    let Some(call) = action.call() else {
        return all;
    };
    // The call is made as the newest file has it, and was planned as the pinned one had it.
    let newest = view.current.get(&program.id).map(|(_, b)| b.as_ref());
    let files = [Some(bundle), newest].into_iter().flatten();
    for operation in files.filter_map(|b| b.operation(&call.connector, &call.operation)) {
        let who = operation.arguments.iter();
        for a in who.filter(|a| a.control == Control::Sensitive) {
            let channel = match a.ty {
                Type::Phone => Channel::Sms,
                Type::Email => Channel::Email,
                _ => continue,
            };
            all.extend(found(channel, &["with", &a.name]));
        }
    }
    all
}

/// The addresses in a text, each in its normal form and with its channel: `a@x.example`, `Ada <a@x.example>`, or several
/// with commas between them.
fn addresses(channel: Channel, text: &str) -> Vec<(&'static str, String)> {
    let parts = text.split([',', ';']).map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let bare = part
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'));
            let bare = bare.map_or(part, |(inner, _)| inner.trim());
            let normal = match channel {
                Channel::Sms => normalise_phone(bare, None),
                _ => normalise_email(bare),
            };
            (channel.word(), normal.unwrap_or_else(|| bare.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_as_they_are_written() {
        let table: [(Channel, &str, &[&str]); 6] = [
            (Channel::Email, "Ada@X.example", &["ada@x.example"]),
            (Channel::Email, "Ada <ada@x.example>", &["ada@x.example"]),
            (
                Channel::Email,
                "ada@x.example, \"Z\" <zoe@x.example>;",
                &["ada@x.example", "zoe@x.example"],
            ),
            (Channel::Sms, "+43 660 12345678", &["+4366012345678"]),
            (Channel::Sms, "gateway 7", &["gateway 7"]),
            (Channel::Email, "", &[]),
        ];
        for (channel, text, want) in table {
            let got = addresses(channel, text);
            let got: Vec<&str> = got.iter().map(|(_, address)| address.as_str()).collect();
            assert_eq!(got, want, "{text}");
        }
    }
}
