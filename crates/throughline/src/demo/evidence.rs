//! What a finished run left behind, gathered once. The checks are functions of this account and ask nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tl_engine::desk::Desk;
use tl_engine::tenant::Bundle;
use tl_kernel::case::{Case, fold};
use tl_kernel::digest::{Digest, hex};
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::{Head, Sealed, open};
use tl_kernel::turn::StoredEvent;
use tl_store::contract::{
    CaseFilter, CaseRow, EffectFilter, EffectRow, OutboxMessage, RecordWrite, TaskFilter, TaskRow,
};

use super::ledger::Ack;

/// Rows of a page.
const PAGE: u32 = 1_000;
/// More than any case or tenant of the demo has.
const ALL: u32 = 1_000_000;

/// Everything that is judged.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The tenant.
    pub tenant: TenantId,
    /// Key id of the credential that the CRM is written with.
    pub crm_kid: String,
    /// The cases, newest first.
    pub cases: Vec<CaseFile>,
    /// What senders saw acknowledged, in this run and those before.
    pub acks: Vec<Ack>,
    /// Events that the database holds.
    pub events: u64,
    /// Turns in commit order: case, number, leaf.
    pub turns: Vec<(CaseId, u32, Digest)>,
    /// Leaves of the audit's tree, in order.
    pub leaves: Vec<Digest>,
    /// Messages that went out.
    pub outbox: Vec<OutboxMessage>,
}

/// One case with all its rows.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// Its row.
    pub row: CaseRow,
    /// Its journal.
    pub journal: Vec<Sealed>,
    /// The heads of its journal.
    pub heads: Vec<Head>,
    /// What its journal folds to.
    pub folded: Result<Case, String>,
    /// The version that it is pinned to.
    pub bundle: Arc<Bundle>,
    /// Its messages.
    pub events: Vec<StoredEvent>,
    /// Its rows of the ledger, questions to models included.
    pub effects: Vec<EffectRow>,
    /// For each of those its mark in the CRM, where it has written there.
    pub marks: BTreeMap<EffectId, Digest>,
    /// Its tasks.
    pub tasks: Vec<TaskRow>,
    /// The versions of its record in the CRM.
    pub records: Vec<RecordWrite>,
}

impl CaseFile {
    /// Its id.
    pub fn id(&self) -> CaseId {
        self.row.case
    }

    /// How often the CRM was written by an effect.
    pub fn written(&self, effect: EffectId) -> usize {
        let mark = self.marks.get(&effect).copied();
        self.records
            .iter()
            .filter(|v| v.key.is_some() && v.key == mark)
            .count()
    }
}

impl Evidence {
    /// Gathers it from a tenant whose effects are at rest and whose tree has caught up, with the key id that the CRM is
    /// written with and the type of its records.
    pub async fn gather(
        desk: &Desk,
        tenant: TenantId,
        (crm_kid, record): (&str, &str),
        acks: Vec<Ack>,
    ) -> anyhow::Result<Evidence> {
        let store = desk.store();
        let key = desk.tenant(tenant).await?.key;
        let mut cases = Vec::new();
        for row in all_cases(desk, tenant).await? {
            cases.push(case_file((desk, &key), (crm_kid, record), row).await?);
        }
        let mut turns = Vec::new();
        let mut after = 0;
        loop {
            let page = store.turns(after, PAGE, Some(tenant), false).await?;
            let Some((last, ..)) = page.last() else {
                break;
            };
            after = *last;
            turns.extend(page.iter().map(|(_, _, case, t)| (*case, t.seq, t.leaf)));
        }
        Ok(Evidence {
            tenant,
            crm_kid: crm_kid.to_owned(),
            cases,
            acks,
            events: store.stats(desk.now()).await?.events,
            turns,
            leaves: store.leaves(tenant, 0, ALL).await?,
            outbox: store.outbox(tenant, None, ALL).await?,
        })
    }

    /// The file of a case.
    pub fn case(&self, id: CaseId) -> Option<&CaseFile> {
        self.cases.iter().find(|c| c.id() == id)
    }

    /// How many messages an effect left in the outbox.
    pub fn said(&self, effect: EffectId) -> usize {
        self.outbox.iter().filter(|m| m.effect == effect).count()
    }

    /// The events that senders know of.
    pub fn acked(&self) -> BTreeSet<&str> {
        self.acks.iter().map(|a| a.event.as_str()).collect()
    }
}

async fn all_cases(desk: &Desk, tenant: TenantId) -> anyhow::Result<Vec<CaseRow>> {
    let mut out: Vec<CaseRow> = Vec::new();
    loop {
        let filter = CaseFilter {
            tenant: Some(tenant),
            before: out.last().map(|c| c.case),
            limit: 200,
            ..Default::default()
        };
        let page = desk.store().cases(filter).await?;
        if page.is_empty() {
            return Ok(out);
        }
        out.extend(page);
    }
}

async fn case_file(
    (desk, tenant_key): (&Desk, &[u8; 32]),
    (crm_kid, record): (&str, &str),
    row: CaseRow,
) -> anyhow::Result<CaseFile> {
    let store = desk.store();
    let (tenant, id) = (row.tenant, row.case);
    let journal = store.journal(tenant, id).await?;
    let heads: Result<Vec<Head>, _> = journal.iter().map(|t| open(t).map(|(h, _)| h)).collect();
    let ledger = EffectFilter {
        tenant: Some(tenant),
        case: Some(id),
        limit: PAGE,
        ..Default::default()
    };
    let effects = store.effects(ledger).await?;
    let work = TaskFilter {
        tenant: Some(tenant),
        case: Some(id),
        closed: true,
        limit: PAGE,
        ..Default::default()
    };
    // A write bears the mark of its credential and its effect's key.
    let principal = format!("key:{crm_kid}");
    let name = id.to_string();
    let mark = |e: &EffectRow| {
        let key = hex(&e.key);
        tl_web::write_mark(tenant_key, (record, &name), (&principal, &key))
    };
    Ok(CaseFile {
        folded: fold(tenant, id, &journal).map_err(|e| e.to_string()),
        heads: heads?,
        journal,
        bundle: desk.bundle(tenant, row.head.definition).await?,
        events: store
            .events(tenant, id)
            .await?
            .into_iter()
            .map(|(_, e)| e)
            .collect(),
        marks: effects.iter().map(|e| (e.effect, mark(e))).collect(),
        effects,
        tasks: store.tasks(work).await?,
        records: store
            .record_history(tenant, record.into(), name.clone())
            .await?,
        row,
    })
}
