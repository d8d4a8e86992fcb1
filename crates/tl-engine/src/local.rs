//! Effects in our own database: the record store and the outbox. One unit holds gate, effect and outcome, so
//! they happen exactly once and are never uncertain.

use std::collections::BTreeMap;
use std::time::Instant;

use tl_kernel::decide::Input;
use tl_kernel::effect::EffectState;
use tl_kernel::payload::{object_to_json, parse_json, to_json};
use tl_kernel::value::Value;
use tl_store::contract::{EffectRow, Guard, OutboxMessage, RecordWrite, Refused, Row, Unit};

use crate::deliver::{Slot, arguments, settlement};
use crate::desk::{DeskError, gate_guard};
use crate::telemetry::Observed;
use crate::tenant::Tenant;
use crate::worker::Worker;

/// Who the record store names as the writer of what a workflow wrote.
pub const WRITER: &str = "throughline";

impl Worker {
    /// Delivers an effect of class E0. False when a guard refused it: the gate is asked again.
    pub(crate) async fn deliver_local(
        &self,
        row: &EffectRow,
        view: &Tenant,
        slot: Option<Slot>,
    ) -> Result<bool, DeskError> {
        let begun = Instant::now();
        let args = arguments(row);
        let mut unit = Unit::new(row.tenant);
        unit.guards.push(gate_guard(view));
        unit.guards.extend(slot.map(Slot::guard));
        let mut settled = settlement(row, EffectState::Succeeded, "", "transaction");
        settled.attempts = row.attempt + 1;
        let text = |name: &str| args.at(&[name]).map(Value::to_string).unwrap_or_default();
        if args.at(&["key"]).is_some() {
            let (kind, id) = (text("kind"), text("key"));
            let write = self.record_write(row, kind, id, args.at(&["body"])).await?;
            settled.seen = Some((format!("\"v{}\"", write.version), None));
            unit.guards.push(Guard::RecordAt {
                kind: write.kind.clone(),
                id: write.id.clone(),
                version: write.version - 1,
            });
            unit.rows.push(Row::Record(write));
        } else if args.at(&["to"]).is_some() {
            unit.rows.push(Row::Outbox(OutboxMessage {
                effect: row.effect,
                channel: text("channel"),
                to: text("to"),
                subject: text("subject"),
                text: text("text"),
                at: self.desk.now(),
            }));
        } else {
            unit.rows.push(Row::Outbox(OutboxMessage {
                effect: row.effect,
                channel: "event".into(),
                to: String::new(),
                subject: text("type"),
                text: to_json(&args),
                at: self.desk.now(),
            }));
        }
        let mut done = self.change(row, EffectState::Succeeded, self.desk.now());
        done.attempt = row.attempt + 1;
        unit.rows.push(Row::Effect(done));
        let at = (row.tenant, row.effect.case);
        match self
            .desk
            .advance_in(unit, at, Input::EffectSettled(settled))
            .await
        {
            Ok(()) => {
                self.observe(row, Observed::Begun).await;
                self.observe(row, Observed::Ended("succeeded", "", begun.elapsed()))
                    .await;
                Ok(true)
            }
            Err(DeskError::Store(Refused::GateMoved)) => {
                self.desk.reload(row.tenant).await?;
                Ok(false)
            }
            Err(DeskError::Store(Refused::SlotTaken | Refused::RecordMoved { .. })) => Ok(false),
            Err(DeskError::Store(Refused::EffectMoved { .. })) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// The record's next version: what is there, with our properties over it, except those that somebody else
    /// set last.
    async fn record_write(
        &self,
        row: &EffectRow,
        kind: String,
        id: String,
        body: Option<&Value>,
    ) -> Result<RecordWrite, DeskError> {
        let stored = self
            .desk
            .store()
            .record(row.tenant, kind.clone(), id.clone())
            .await;
        let stored = stored.map_err(crate::desk::read_error)?;
        let parse = |bytes: &[u8]| match parse_json(bytes) {
            Ok(Value::Record(map)) => map,
            _ => BTreeMap::new(),
        };
        let mut fields = stored.as_ref().map(|r| parse(&r.body)).unwrap_or_default();
        let mut provenance = stored
            .as_ref()
            .map(|r| parse(&r.provenance))
            .unwrap_or_default();
        let now = self.desk.now();
        if let Some(Value::Record(ours)) = body {
            for (name, value) in ours {
                let by = provenance
                    .get(name)
                    .and_then(|p| p.at(&["by"]))
                    .map(Value::to_string);
                let theirs = by.is_some_and(|by| by != WRITER);
                if theirs && fields.get(name).is_some_and(|v| !v.is_blank()) {
                    continue;
                }
                fields.insert(name.clone(), value.clone());
                let mark = [
                    ("by", Value::text(WRITER)),
                    ("at", Value::Time(now)),
                    ("source", Value::text(row.effect.to_string())),
                ];
                let mark = mark.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                provenance.insert(name.clone(), Value::Record(mark));
            }
        }
        Ok(RecordWrite {
            kind,
            id,
            version: stored.map_or(0, |r| r.version) + 1,
            body: object_to_json(&fields).into_bytes(),
            provenance: object_to_json(&provenance).into_bytes(),
            by: WRITER.into(),
            at: now,
            key: Some(row.key),
        })
    }
}
