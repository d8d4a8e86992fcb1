//! Addresses whose owners want nothing more: what they say at a door is done there, and asked before each send.

use tl_kernel::connector::Control;
use tl_kernel::contact::{Consent, Wish, normalise_email, normalise_phone, subject};
use tl_kernel::digest::hex;
use tl_kernel::journal::{Actor, Entry, seal_control};
use tl_kernel::program::{ActionKind, Channel};
use tl_kernel::turn::{EffectKind, StoredEvent};
use tl_kernel::value::{Type, Value};
use tl_store::contract::{EffectRow, Guard, Refused, Row, Suppression, Unit};

use crate::admit::{Admitted, Known, Message};
use crate::deliver::arguments;
use crate::desk::{Desk, DeskError, gate_guard, read_error};
use crate::tenant::{Bundle, Tenant};
use crate::worker::Worker;

/// Why an address is suppressed whose owner said so.
pub const STOP: &str = "stop";

impl Desk {
    /// Admits a message in which the owner of an address says whether to be written to. A stop is done and opens no
    /// case; so does a start that takes a stop back. Any other start is a message like all others.
    pub async fn admit_consent(
        &self,
        message: Message,
        consent: Consent,
    ) -> Result<Admitted, DeskError> {
        loop {
            let view = self.tenant(message.tenant).await?;
            let subject = subject(&view.key, consent.channel, &consent.address);
            let (row, action) = match consent.wish {
                Wish::Stop => {
                    let by = format!("endpoint {}", message.endpoint);
                    let stop = Suppression {
                        subject,
                        channel: consent.channel.to_owned(),
                        address: consent.address.clone(),
                        by,
                        reason: STOP.to_owned(),
                        at: message.received_at,
                    };
                    (Row::Suppressed(stop), "suppression.add")
                }
                Wish::Start => {
                    let known = self.store().suppressed(message.tenant, subject).await;
                    let known = known.map_err(read_error)?;
                    // What somebody else has decided is not the owner's to take back.
                    if known.is_none_or(|s| s.reason != STOP) {
                        return self.admit(message).await;
                    }
                    (Row::Unsuppressed { subject }, "suppression.remove")
                }
            };
            let mut unit = Unit::new(message.tenant);
            unit.guards.push(Guard::KeysFree {
                endpoint: message.endpoint.clone(),
                keys: message.keys.clone(),
            });
            unit.guards.push(gate_guard(&view));
            unit.rows.push(Row::Event {
                event: StoredEvent {
                    id: message.id,
                    endpoint: message.endpoint.clone(),
                    received_at: message.received_at,
                    kid: message.kid.clone(),
                    key_source: message.key_source.clone(),
                    case: None,
                    content_type: message.content_type.clone(),
                    payload: message.payload.clone(),
                },
                keys: message.keys.clone(),
                expires: message.expires,
            });
            unit.rows.push(Row::EventApart { event: message.id });
            unit.rows.push(row);
            let by = Actor::Endpoint {
                name: message.endpoint.clone(),
                kid: message.kid.clone(),
            };
            let told = Entry::Control {
                action: action.to_owned(),
                object: format!("{}:{}", consent.channel, &hex(&subject)[..12]),
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
        for (channel, address) in recipients(bundle, action, args) {
            let subject = subject(&view.key, channel, &address);
            let known = self.store().suppressed(view.id, subject).await;
            if known.map_err(read_error)?.is_some() {
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
fn recipients(bundle: &Bundle, action: &str, args: &Value) -> Vec<(&'static str, String)> {
    let mut actions = bundle.program.actions.iter();
    let Some(action) = actions.find(|a| a.name == action) else {
        return Vec::new();
    };
    let address = |channel: Channel, path: &[&str]| {
        let text = args.at(path)?.to_string();
        let normal = match channel {
            Channel::Sms => normalise_phone(&text, None),
            _ => normalise_email(&text),
        };
        Some((channel.word(), normal.unwrap_or(text)))
    };
    match &action.kind {
        ActionKind::Message(message) => address(message.channel, &["to"]).into_iter().collect(),
        ActionKind::Call(call) => {
            let operation = bundle.operation(&call.connector, &call.operation);
            let arguments = operation.iter().flat_map(|o| &o.arguments);
            let who = arguments.filter(|a| a.control == Control::Sensitive);
            let who = who.filter_map(|a| match a.ty {
                Type::Phone => address(Channel::Sms, &["with", &a.name]),
                Type::Email => address(Channel::Email, &["with", &a.name]),
                _ => None,
            });
            who.collect()
        }
        ActionKind::RecordStore { .. } | ActionKind::Rest(_) | ActionKind::DomainEvent => {
            Vec::new()
        }
    }
}
