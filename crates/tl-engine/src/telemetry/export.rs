//! Sends each case as a trace to an OpenTelemetry receiver. The spans come from the journal and the ledger, not from
//! running code: the exporter follows the commits with a cursor of its own, so that it survives restarts, loses
//! nothing, and never stands in anybody's way. A batch that was taken just before a crash is sent once more, with
//! the same ids.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use tl_connect::backoff::{Backoff, retry_after};
use tl_connect::client::{Client, Connection, Request};
use tl_connect::knowledge::Knowledge;
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::{Head, Sealed};
use tl_kernel::time::SECOND;
use tl_store::StoreError;
use tl_store::contract::{Row, Unit};
use tokio_util::sync::CancellationToken;

use super::span::{Span, export};
use super::story::{Ledger, Story};
use crate::desk::{Desk, DeskError, read_error};

/// Spans in one request.
const BATCH: usize = 512;
/// Turns read in one look.
const LOOK: u32 = 256;
/// How often the exporter looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time for one request.
const DEADLINE: Duration = Duration::from_secs(10);
/// Name of the cursor: the commit position of the last turn whose spans were taken.
const CURSOR: &str = "otlp";
/// How long a receiver that fails is left alone.
const BACKOFF: Backoff = Backoff {
    base: SECOND,
    cap: 60 * SECOND,
};

/// Why spans could not be sent now. They are sent later.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The receiver did not take them.
    #[error("the receiver of traces did not take a batch: {why}")]
    NotTaken {
        /// Status or reason code.
        why: String,
        /// How long it asks to be left alone, µs.
        wait: Option<i64>,
    },
}

/// The exporter of an installation.
#[derive(Debug)]
pub struct Exporter {
    desk: Desk,
    client: Client,
    connection: Connection,
}

/// Cases met in one look, as their journal tells them up to the turn at hand.
type Stories = BTreeMap<(TenantId, CaseId), Story>;

impl Exporter {
    /// An exporter to the receiver at a connection; requests go to `/v1/traces` below its address.
    pub fn new(desk: Desk, client: Client, connection: Connection) -> Exporter {
        Exporter {
            desk,
            client,
            connection,
        }
    }

    /// Runs until the token is cancelled. What is not sent by then is sent after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.catch_up() => result,
            };
            match result {
                Ok(_) if failures > 0 => {
                    tracing::info!(failures, "traces are taken again");
                    (failures, pause) = (0, LOOK_EVERY);
                }
                Ok(_) => {}
                Err(e) => {
                    if failures == 0 {
                        tracing::warn!(error = %e, "traces wait");
                    }
                    let asked = match &e {
                        ExportError::NotTaken { wait, .. } => *wait,
                        ExportError::Desk(_) => None,
                    };
                    let wait = BACKOFF.delay(failures, self.desk.key(), asked);
                    pause = LOOK_EVERY + Duration::from_micros(wait.max(0).unsigned_abs());
                    failures += 1;
                }
            }
        }
    }

    /// Sends the spans of every turn that has none yet. Returns how many were sent.
    pub async fn catch_up(&self) -> Result<usize, ExportError> {
        let store = self.desk.store();
        let tenants = store.tenants().await.map_err(read_error)?;
        let tenants: BTreeMap<TenantId, String> = tenants.into_iter().collect();
        let cursor = store
            .cursor(TenantId::SYSTEM, CURSOR.into())
            .await
            .map_err(read_error)?;
        let mut at = cursor.max(0).unsigned_abs();
        let mut sent = 0;
        loop {
            let turns = store
                .turns(at, LOOK, None, false)
                .await
                .map_err(read_error)?;
            if turns.is_empty() {
                return Ok(sent);
            }
            let mut stories = Stories::new();
            let mut batch = Vec::new();
            for (pos, tenant, case, sealed) in turns {
                let name = tenants.get(&tenant).map_or("?", String::as_str);
                // The control stream belongs to no case.
                let spans = match case {
                    CaseId::CONTROL => Vec::new(),
                    _ => {
                        self.spans(&mut stories, (tenant, name, case), &sealed)
                            .await?
                    }
                };
                if batch.len() + spans.len() > BATCH {
                    sent += self.flush(&mut batch, at).await?;
                }
                batch.extend(spans);
                at = pos;
            }
            sent += self.flush(&mut batch, at).await?;
        }
    }

    /// The spans of one turn.
    async fn spans(
        &self,
        stories: &mut Stories,
        of: (TenantId, &str, CaseId),
        sealed: &Sealed,
    ) -> Result<Vec<Span>, ExportError> {
        let (tenant, name, case) = of;
        let Ok(head) = minicbor::decode::<Head>(&sealed.head) else {
            tracing::warn!(case_id = %case, seq = sealed.seq, "a turn that cannot be read has no span");
            return Ok(Vec::new());
        };
        let bundle = match self.desk.bundle(tenant, head.definition).await {
            Ok(bundle) => Some(bundle),
            // A definition that this build cannot read takes the names with it, not the trace.
            Err(DeskError::Bundle(_) | DeskError::Missing(_)) => None,
            Err(e) => return Err(e.into()),
        };
        let program = bundle.as_ref().map(|b| &b.program);
        let story = match stories.entry((tenant, case)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let mut story = Story::new(name, case);
                if sealed.seq > 1 {
                    let journal = self.desk.store().journal(tenant, case).await;
                    let journal = journal.map_err(read_error)?;
                    for turn in journal.iter().take_while(|t| t.seq < sealed.seq) {
                        if let Ok(head) = minicbor::decode::<Head>(&turn.head) {
                            story.pass(&head, program);
                        }
                    }
                }
                place.insert(story)
            }
        };
        let ledger = self.ledger(tenant, case, &head).await.map_err(read_error)?;
        Ok(story.tell(&head, program, &ledger))
    }

    /// The ledger of the effects that a turn ends.
    async fn ledger(
        &self,
        tenant: TenantId,
        case: CaseId,
        head: &Head,
    ) -> Result<Ledger, StoreError> {
        let mut ledger = Ledger::new();
        for n in Story::ended(head) {
            let id = EffectId { case, n };
            let store = self.desk.store();
            if let Some(row) = store.effect(tenant, id).await? {
                ledger.insert(n, (row, store.attempts(tenant, id).await?));
            }
        }
        Ok(ledger)
    }

    /// Sends what is collected, then moves the cursor. Returns how many spans were sent.
    async fn flush(&self, batch: &mut Vec<Span>, upto: u64) -> Result<usize, ExportError> {
        // A turn with very many attempts is more than one request.
        for spans in batch.chunks(BATCH) {
            self.post(spans).await?;
        }
        let mut unit = Unit::new(TenantId::SYSTEM);
        unit.rows.push(Row::Cursor {
            name: CURSOR.into(),
            value: i64::try_from(upto).unwrap_or(i64::MAX),
        });
        let committed = self.desk.store().commit(unit).await;
        committed.map_err(DeskError::Store)?;
        let sent = batch.len();
        batch.clear();
        Ok(sent)
    }

    async fn post(&self, spans: &[Span]) -> Result<(), ExportError> {
        let request = Request {
            method: http::Method::POST,
            path_and_query: "/v1/traces".into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: Some(export(spans)),
            mail: None,
            deadline: DEADLINE,
        };
        let count = spans.len() as u64;
        let telemetry = self.desk.telemetry();
        let (why, wait) = match self.client.send(&self.connection, request).await.knowledge {
            Knowledge::Answered(a) if (200..300).contains(&a.status) => {
                let rejected = a.body.as_ref().map_or(0, |body| rejected(body)).min(count);
                telemetry.exported("sent", count - rejected);
                telemetry.exported("rejected", rejected);
                return Ok(());
            }
            // The receiver will never take this batch; the ones after it must not wait for it.
            Knowledge::Answered(a) if matches!(a.status, 400 | 413 | 422) => {
                tracing::warn!(
                    status = a.status,
                    spans = count,
                    "the receiver rejects a batch of spans"
                );
                telemetry.exported("rejected", count);
                return Ok(());
            }
            Knowledge::Answered(a) => {
                let after = a.header("retry-after");
                let wait = after.and_then(|v| retry_after(v, a.header("date"), self.desk.now()));
                (format!("http_{}", a.status), wait)
            }
            Knowledge::NotSent(why) => (why.code().to_owned(), None),
            Knowledge::NotProcessed => ("not_processed".to_owned(), None),
            Knowledge::Unknown(why) => (why.code().to_owned(), None),
        };
        telemetry.export_failed();
        Err(ExportError::NotTaken { why, wait })
    }
}

/// Spans that an answer says were not accepted: `partialSuccess.rejectedSpans`, a number or its text.
fn rejected(body: &[u8]) -> u64 {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let count = &answer["partialSuccess"]["rejectedSpans"];
    count
        .as_u64()
        .or_else(|| count.as_str()?.parse().ok())
        .unwrap_or(0)
}
