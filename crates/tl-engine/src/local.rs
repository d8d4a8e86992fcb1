//! Effects in our own database: the record store and the outbox. One unit holds gate, effect and outcome, so
//! they happen exactly once and are never uncertain.

use std::collections::BTreeMap;
use std::time::Instant;

use tl_kernel::case::Case;
use tl_kernel::decide::Input;
use tl_kernel::effect::EffectState;
use tl_kernel::expr::Expr;
use tl_kernel::id::EffectId;
use tl_kernel::payload::{object_to_json, parse_json, to_json};
use tl_kernel::program::{ActionKind, Program};
use tl_kernel::value::{Source, Value};
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
        let case = self.desk.load(row.tenant, row.effect.case).await?;
        let bundle = self.desk.bundle(row.tenant, row.definition).await?;
        let origins = origins(&bundle.program, row, &case);
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
                    ("by", Some(Value::text(WRITER))),
                    ("at", Some(Value::Time(now))),
                    ("source", Some(Value::text(row.effect.to_string()))),
                    ("from", origins.get(name).map(Value::text)),
                ];
                let known = mark
                    .into_iter()
                    .filter_map(|(k, v)| Some((k.to_owned(), v?)));
                let mark = known.collect();
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

/// From where the case has each property that is one of its fields as it stands; what is computed has no single origin.
fn origins(program: &Program, row: &EffectRow, case: &Case) -> BTreeMap<String, String> {
    let action = program.actions.iter().find(|a| a.name == row.action);
    let Some(ActionKind::RecordStore { map, .. }) = action.map(|a| &a.kind) else {
        return BTreeMap::new();
    };
    let from = |(property, expr): &(String, Expr)| {
        let name = expr.source.trim().strip_prefix("record.")?;
        let field = case.record.get(name)?;
        Some((property.clone(), origin(&field.source, (program, case))))
    };
    map.iter().filter_map(from).collect()
}

/// Where a value came from, in words without content.
fn origin(source: &Source, (program, case): (&Program, &Case)) -> String {
    match source {
        Source::Event(n) => match n.checked_sub(1).and_then(|i| case.events.get(i as usize)) {
            Some(event) => format!("message {}", event.id),
            None => "message".into(),
        },
        Source::Model { ask, .. } => format!(
            "model {}",
            EffectId {
                case: case.id,
                n: *ask
            }
        ),
        Source::Rule(i) => match program.rules.get(*i as usize) {
            Some(rule) => format!("rule line {}", rule.line),
            None => "rule".into(),
        },
        Source::Table(t, _) => match program.tables.get(*t as usize) {
            Some(table) => format!("table {}", table.file),
            None => "table".into(),
        },
        Source::Person => "person".into(),
        Source::Crm(_) => "system of record".into(),
        Source::Engine => "engine".into(),
    }
}
