//! What an effect calls: the operation as its connector's file says it today, and what is found of a call without an
//! answer.
//!
//! Connector files are not pinned with a workflow's version: a mended file counts for open cases. One that promises
//! another guarantee class than the effect was planned with is not used for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_connect::call::{Call, CallError, Facts, Found};
use tl_connect::client::Connection;
use tl_connect::exchange::{LookUpOutcome, ReadOutcome, To, WriteOutcome, look_up, read, write};
use tl_connect::rest;
use tl_kernel::connector::Operation;
use tl_kernel::digest::hex;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::limits::ATTEMPT_DEADLINE;
use tl_kernel::program::{Action, ActionKind};
use tl_kernel::time::{DAY, HOUR, MINUTE};
use tl_kernel::value::Value;
use tl_store::contract::{EffectFilter, EffectRow};

use crate::again::{Again, NOT_APPLIED, first_send};
use crate::deliver::{Finished, Outcome, arguments, settlement};
use crate::desk::{DeskError, read_error};
use crate::lanes::Pass;
use crate::telemetry::traceparent;
use crate::tenant::Bundle;
use crate::worker::Worker;

/// The base version of a write that creates: the read found nothing.
pub(crate) const ABSENT: &str = "";
/// A vendor's key is trusted for this long after the first send (0.8 of a day), where nothing says how long it is.
const KEY_WINDOW: i64 = DAY / 10 * 8;
/// The code of a look-up that found nothing for the first time.
const NOT_FOUND_ONCE: &str = "not_found_once";
/// Two look-ups that find nothing lie so far apart, µs.
const APART: i64 = MINUTE;
/// The code of a look-up that said nothing.
const NO_LOOK: &str = "not_looked_up";
/// After this, µs, a look-up that still says nothing is left to a person: by then the other system is down, and somebody
/// has to know what nobody knows.
const LOOK_FOR: i64 = HOUR;
/// Look-ups that say nothing lie at most so far apart, µs.
const LOOKS_APART: i64 = 15 * MINUTE;
/// Succeeded effects among which the ids are sought that are known already.
const KNOWN: u32 = 1_000;

/// Everything one attempt needs.
pub(crate) struct Target<'a> {
    pub(crate) action: &'a Action,
    pub(crate) operation: Arc<Operation>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) pass: Pass,
    args: Value,
    /// The record's properties.
    pub(crate) body: Value,
    /// The vendor recognises a repetition.
    pub(crate) is_keyed: bool,
}

impl Worker {
    /// The operation that an effect calls, as it stands today.
    async fn operation(
        &self,
        row: &EffectRow,
        action: &Action,
        pinned: &Bundle,
    ) -> Result<Option<Arc<Operation>>, DeskError> {
        if let ActionKind::Rest(rest) = &action.kind {
            let operation = rest::operation(rest, action.class, action.on_unknown);
            return Ok(Some(Arc::new(operation)));
        }
        let Some(call) = action.call() else {
            return Ok(None);
        };
        let view = self.desk.tenant(row.tenant).await?;
        let current = view.current.get(&row.workflow).map(|(_, b)| b.as_ref());
        let newest = current.and_then(|b| b.operation(&call.connector, &call.operation));
        Ok(newest.or_else(|| pinned.operation(&call.connector, &call.operation)))
    }

    /// What the attempt is aimed at; `Err(finished)` where it cannot be made.
    pub(crate) async fn target<'b>(
        &self,
        row: &EffectRow,
        bundle: &'b Bundle,
        pass: Pass,
    ) -> Result<Result<Target<'b>, Box<Finished>>, DeskError> {
        let action = bundle.program.actions.iter().find(|a| a.name == row.action);
        let operation = match action {
            Some(a) => self.operation(row, a, bundle).await?,
            None => None,
        };
        let (Some(action), Some(operation), Some(connection)) = (action, operation, pass.to())
        else {
            let why = format!("no connector for `{}` in this build", row.action);
            return Ok(Err(Box::new(self.failed(row, &why))));
        };
        if let (Some(call), Some(kind)) = (action.call(), connection.connector())
            && call.connector != kind
        {
            let why = format!(
                "TL0810 the effect was planned for `{}`, and the connection `{}` is of kind `{kind}` now: what speaks to one \
                 does not speak to the other",
                call.connector,
                connection.name()
            );
            return Ok(Err(Box::new(self.failed(row, &why))));
        }
        if operation.class != row.class {
            let why = format!(
                "TL0808 the effect was planned with class {}, and its connector's file now says {}",
                row.class.word(),
                operation.class.word()
            );
            return Ok(Err(Box::new(self.failed(row, &why))));
        }
        let args = arguments(row);
        let Some(with) = called_with(action, &operation, &args) else {
            let why = format!(
                "TL0808 the connector's file does not say any more that `{}` sends a message",
                operation.name
            );
            return Ok(Err(Box::new(self.failed(row, &why))));
        };
        let body = args.at(&["body"]).cloned().unwrap_or(Value::Null);
        let is_keyed = match &action.kind {
            ActionKind::Rest(rest) => rest.idempotency_header.is_some(),
            _ => operation.class == Class::E1,
        };
        Ok(Ok(Target {
            action,
            operation,
            connection,
            pass,
            args: with,
            body,
            is_keyed,
        }))
    }

    /// How long after its first send the key of an effect is trusted, µs.
    pub(crate) async fn key_window(&self, row: &EffectRow) -> Result<i64, DeskError> {
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let Some(action) = bundle.program.action_named(&row.action) else {
            return Ok(KEY_WINDOW);
        };
        Ok(
            match (action.call(), self.operation(row, action, &bundle).await?) {
                (Some(_), Some(operation)) => operation
                    .key_lifetime
                    .map_or(i64::MAX / 2, |lives| lives / 10 * 8),
                _ => KEY_WINDOW,
            },
        )
    }

    pub(crate) async fn write_once(
        &self,
        row: &EffectRow,
        target: &Target<'_>,
    ) -> Result<WriteOutcome, CallError> {
        let (words, client) = (Words::of(row), &self.outward.client);
        write(
            client,
            &words.call(row, target),
            &self.to(row, target, &words),
        )
        .await
    }

    pub(crate) async fn read_once(
        &self,
        row: &EffectRow,
        target: &Target<'_>,
    ) -> Result<ReadOutcome, CallError> {
        let (words, client) = (Words::of(row), &self.outward.client);
        read(
            client,
            &words.call(row, target),
            &self.to(row, target, &words),
        )
        .await
    }

    async fn look_once(
        &self,
        row: &EffectRow,
        target: &Target<'_>,
    ) -> Result<LookUpOutcome, CallError> {
        let (words, client) = (Words::of(row), &self.outward.client);
        look_up(
            client,
            &words.call(row, target),
            &self.to(row, target, &words),
        )
        .await
    }

    fn to<'a>(&self, row: &'a EffectRow, target: &'a Target<'_>, words: &'a Words) -> To<'a> {
        To {
            connection: &target.connection,
            correlation_id: &row.correlation,
            trace: Some(&words.trace),
            // Half of the attempt's deadline: a read and a write fit into it.
            deadline: std::time::Duration::from_micros((ATTEMPT_DEADLINE / 2) as u64),
            // It dates what is signed, and whoever checks that knows nothing of engine time.
            now: self.desk.clock().wall(),
        }
    }

    /// Looks for a call without an answer by what it said. Found once: it happened. Not found, twice and apart, at a
    /// vendor that documents that what was written can be read: it did not. A look that says nothing is made again, at
    /// growing distance, for an hour. Anything else is a person's.
    pub(crate) async fn by_looking(
        &self,
        row: &EffectRow,
        target: &mut Target<'_>,
    ) -> Result<Outcome, DeskError> {
        let uncertain =
            |code| Outcome::Settle(settlement(row, EffectState::Uncertain, code, "look_up"));
        let looked = match self.look_once(row, target).await {
            Ok(looked) => looked,
            Err(e) => return Ok(self.failed(row, &e.to_string()).outcome),
        };
        self.saw(target, &looked.observation, &Default::default());
        let Found::These(ids) = looked.found else {
            let waited = self.desk.now() - self.last_sent(row).await?;
            return Ok(match waited {
                LOOK_FOR.. => uncertain(NO_LOOK),
                // As long again as it has been so far.
                _ => Outcome::LookAgain(NO_LOOK, waited.clamp(APART, LOOKS_APART)),
            });
        };
        let Some(fresh) = self.not_known(row, ids).await? else {
            return Ok(uncertain("ambiguous"));
        };
        let certain = target
            .operation
            .look_up
            .as_ref()
            .is_some_and(|l| l.absent_is_certain);
        Ok(match (fresh.as_slice(), row.code.as_str()) {
            ([one], _) => {
                let mut s = settlement(row, EffectState::Succeeded, "", "look_up");
                s.vendor_ref = Some(one.clone());
                Outcome::Settle(s)
            }
            ([], NOT_FOUND_ONCE) if certain => Outcome::Retry(Again::new(NOT_APPLIED, None)),
            ([], _) if certain => Outcome::LookAgain(NOT_FOUND_ONCE, APART),
            ([], _) => uncertain("not_found"),
            _ => uncertain("ambiguous"),
        })
    }

    /// When its last attempt was over, µs.
    async fn last_sent(&self, row: &EffectRow) -> Result<i64, DeskError> {
        let tries = self.tries(row).await?;
        let ends = tries.iter().map(|a| a.at.saturating_add(a.took));
        Ok(ends.max().or(first_send(row)).unwrap_or(row.planned_at))
    }

    /// The ids that no other effect on this connection has; `None` where that cannot be told.
    async fn not_known(
        &self,
        row: &EffectRow,
        ids: Vec<String>,
    ) -> Result<Option<Vec<String>>, DeskError> {
        if ids.is_empty() {
            return Ok(Some(ids));
        }
        let filter = EffectFilter {
            tenant: Some(row.tenant),
            states: vec![EffectState::Succeeded],
            limit: KNOWN,
            ..EffectFilter::default()
        };
        let known = self
            .desk
            .store()
            .effects(filter)
            .await
            .map_err(read_error)?;
        let begun = first_send(row).unwrap_or(row.planned_at) - 5 * MINUTE;
        let whole = known.len() < KNOWN as usize || known.iter().any(|e| e.planned_at < begun);
        let of_others = |id: &String| {
            known
                .iter()
                .any(|e| e.connection == row.connection && e.vendor_ref.as_ref() == Some(id))
        };
        Ok(whole.then(|| ids.into_iter().filter(|id| !of_others(id)).collect()))
    }
}

/// What an operation is called with: the arguments that were planned, and the parts of a message where the connector's
/// file says that they go. `None`: it does not say that.
fn called_with(action: &Action, operation: &Operation, args: &Value) -> Option<Value> {
    let with = args.at(&["with"]).unwrap_or(args);
    let ActionKind::Message(_) = action.kind else {
        return Some(with.clone());
    };
    let parts = operation.message.as_ref()?;
    let mut out = match with {
        Value::Record(with) => with.clone(),
        _ => BTreeMap::new(),
    };
    let subject = parts.subject.as_ref().map(|name| ("subject", name));
    let placed = [("to", &parts.to), ("text", &parts.text)];
    for (part, name) in placed.into_iter().chain(subject) {
        if let Some(value) = args.at(&[part]) {
            out.insert(name.clone(), value.clone());
        }
    }
    Some(Value::Record(out))
}

/// The texts that a call borrows.
struct Words {
    id: String,
    key: String,
    trace: String,
}

impl Words {
    fn of(row: &EffectRow) -> Words {
        Words {
            id: row.effect.to_string(),
            key: hex(&row.key),
            trace: traceparent(row),
        }
    }

    fn call<'a>(&'a self, row: &'a EffectRow, target: &'a Target<'_>) -> Call<'a> {
        Call {
            operation: &target.operation,
            args: &target.args,
            fields: &target.body,
            settings: target.connection.settings(),
            effect: Facts {
                id: &self.id,
                key: &self.key,
                base_version: based_on(row),
                create: row.base_version.as_deref() == Some(ABSENT),
                attempt: row.attempt,
            },
        }
    }
}

/// The version that the write is based on; none for one that creates.
pub(crate) fn based_on(row: &EffectRow) -> Option<&str> {
    row.base_version.as_deref().filter(|b| *b != ABSENT)
}
