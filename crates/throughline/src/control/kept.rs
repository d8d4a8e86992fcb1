//! What our own systems hold: messages in the outbox, records in the built-in store. Read and never changed here.

use tl_kernel::id::EffectId;
use tl_store::contract::OutboxMessage;

use super::Ctx;
use super::effects::effect_id;
use super::views::{OutboxLine, OutboxSheet, RecordSheet, Reply};
use crate::failure::Failure;
use crate::text::At;

/// Messages of one case that are looked through at most.
const MANY: u32 = 10_000;

impl Ctx<'_> {
    pub(super) async fn outbox_list(
        &self,
        case: Option<String>,
        limit: u32,
    ) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let case = match &case {
            Some(id) => Some(self.case_id(&view, id).await?),
            None => None,
        };
        let all = self.app.desk.store().outbox(view.id, case, limit).await?;
        Ok(Reply::Outbox(all.iter().map(outbox_line).collect()))
    }

    pub(super) async fn outbox_show(&self, effect: &str) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let id: EffectId = effect_id(effect)?;
        let store = self.app.desk.store();
        let all = store.outbox(view.id, Some(id.case), MANY).await?;
        let Some(found) = all.into_iter().find(|m| m.effect == id) else {
            return Err(Failure::not_found(format!(
                "TL0703 {id} has put no message into the outbox. `throughline outbox list` shows what is there"
            )));
        };
        Ok(Reply::OutboxMessage(OutboxSheet {
            line: outbox_line(&found),
            text: found.text,
        }))
    }

    pub(super) async fn record_show(&self, kind: String, id: String) -> Result<Reply, Failure> {
        let view = self.view().await?;
        let store = self.app.desk.store();
        let found = store.record(view.id, kind.clone(), id.clone()).await?;
        let Some(found) = found else {
            return Err(Failure::not_found(format!(
                "TL0703 the record store has no `{kind}` with the id `{id}`. `throughline effect show` of a write \
                 names both"
            )));
        };
        let record = serde_json::from_slice(&found.body)
            .map_err(|e| Failure::refused(format!("the record cannot be read: {e}")))?;
        Ok(Reply::Record(RecordSheet {
            record_type: found.kind,
            id: found.id,
            version: found.version,
            at: At(found.at),
            by: found.by,
            record,
        }))
    }
}

fn outbox_line(m: &OutboxMessage) -> OutboxLine {
    OutboxLine {
        effect: m.effect.to_string(),
        channel: m.channel.clone(),
        to: m.to.clone(),
        subject: m.subject.clone(),
        at: At(m.at),
    }
}
