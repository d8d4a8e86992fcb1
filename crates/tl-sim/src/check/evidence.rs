//! The accounts of a finished run, read once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tl_engine::tenant::unpack;
use tl_kernel::case::{Case, fold};
use tl_kernel::id::{CaseId, EventId, TenantId};
use tl_kernel::journal::{Head, JournalError, Sealed, open};
use tl_kernel::program::{Action, Program};
use tl_kernel::turn::StoredEvent;
use tl_store::contract::{
    Attempt, CaseFilter, CaseRow, Checkpoint, EffectFilter, EffectRow, OutboxMessage, RecordWrite,
    TaskFilter, TaskRow, TimerRow, TreeRow,
};
use tl_store::{Reader, StoreError};

use crate::outside::Outside;
use crate::people::{Shown, TENANTS};
use crate::vendor::{Applied, Arrived};
use crate::workload::{Letter, compiled};
use crate::world::Seen;

/// The time in which nothing goes wrong any more.
#[derive(Debug, Clone, Default)]
pub struct Calm {
    /// Since when, µs of the world.
    pub from: i64,
    /// Times that passed at once, so that nobody could do anything: when, and how long, µs.
    pub leaps: Vec<(i64, i64)>,
}

impl Calm {
    /// For how long of this span somebody could have done something while nothing went wrong, µs.
    pub fn awake(&self, since: i64, until: i64) -> i64 {
        let since = since.max(self.from);
        let asleep = self.leaps.iter().map(|(at, time)| {
            let (from, to) = ((*at).max(since), (at + time).min(until));
            (to - from).max(0)
        });
        (until - since).max(0) - asleep.sum::<i64>()
    }
}

/// Where the accounts come from.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The database.
    pub reader: &'a Reader,
    /// What was to be delivered.
    pub letters: &'a [Letter],
    /// What senders were told.
    pub acked: BTreeMap<u32, EventId>,
    /// What people saw of what they approved.
    pub shown: Vec<Shown>,
    /// What vendors did.
    pub applied: Vec<Applied>,
    /// What reached vendors.
    pub arrived: Vec<Arrived>,
    /// The order of commits.
    pub witness: Vec<Seen>,
    /// What the metrics of the last lives showed.
    pub metrics: Vec<String>,
    /// What did not come to rest.
    pub stuck: Option<String>,
    /// When nothing went wrong any more.
    pub calm: Calm,
    /// The checkpoint files of the nodes.
    pub outside: Vec<Outside>,
    /// The end of the run, µs.
    pub now: i64,
}

/// One case with everything the database has about it.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// Its derived row.
    pub row: CaseRow,
    /// Its journal.
    pub journal: Vec<Sealed>,
    /// The heads of its journal.
    pub heads: Vec<Head>,
    /// The case as its journal folds.
    pub case: Result<Case, JournalError>,
    /// Its effects in the ledger, by number.
    pub effects: BTreeMap<u32, EffectRow>,
    /// Their finished attempts.
    pub attempts: BTreeMap<u32, Vec<Attempt>>,
    /// Its tasks.
    pub tasks: Vec<TaskRow>,
    /// Its messages.
    pub events: Vec<StoredEvent>,
    /// What it sent to the outbox.
    pub outbox: Vec<OutboxMessage>,
}

/// A tenant's audit tree.
#[derive(Debug, Clone)]
pub struct TreeFile {
    /// Its state.
    pub row: TreeRow,
    /// Its leaves.
    pub leaves: Vec<[u8; 32]>,
    /// Its checkpoints, newest first.
    pub checkpoints: Vec<Checkpoint>,
    /// The leaves of committed turns, in commit order.
    pub turns: Vec<[u8; 32]>,
}

/// The accounts of a run.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Every case.
    pub cases: Vec<CaseFile>,
    /// Events that no case has taken yet.
    pub pending: Vec<(TenantId, StoredEvent)>,
    /// What was to be delivered, by number.
    pub letters: BTreeMap<u32, Letter>,
    /// What senders were told.
    pub acked: BTreeMap<u32, EventId>,
    /// The event known by each letter's key.
    pub known: BTreeMap<u32, EventId>,
    /// What people saw of what they approved.
    pub shown: Vec<Shown>,
    /// What vendors did.
    pub applied: Vec<Applied>,
    /// What reached vendors.
    pub arrived: Vec<Arrived>,
    /// The order of commits.
    pub witness: Vec<Seen>,
    /// The compiled workflows by tenant and number.
    pub programs: BTreeMap<(TenantId, u32), Arc<Program>>,
    /// Trees by tenant.
    pub trees: BTreeMap<TenantId, TreeFile>,
    /// Timers that are still set.
    pub timers: Vec<TimerRow>,
    /// Versions of records that workflows wrote, newest first per record.
    pub records: BTreeMap<(TenantId, String), Vec<RecordWrite>>,
    /// What each node's metrics showed in the end.
    pub metrics: Vec<String>,
    /// What did not come to rest.
    pub stuck: Option<String>,
    /// When nothing went wrong any more.
    pub calm: Calm,
    /// The checkpoint files of the nodes.
    pub outside: Vec<Outside>,
    /// The end of the run, µs.
    pub now: i64,
}

impl Evidence {
    /// Reads everything.
    pub fn gather(s: Sources<'_>) -> anyhow::Result<Evidence> {
        let r = s.reader;
        let mut out = Evidence {
            cases: Vec::new(),
            pending: r.pending_joins(10_000)?,
            letters: s.letters.iter().map(|l| (l.n, l.clone())).collect(),
            acked: s.acked,
            known: BTreeMap::new(),
            shown: s.shown,
            applied: s.applied,
            arrived: s.arrived,
            witness: s.witness,
            programs: BTreeMap::new(),
            trees: BTreeMap::new(),
            timers: r.due_timers(i64::MAX, 10_000)?,
            records: BTreeMap::new(),
            metrics: s.metrics,
            stuck: s.stuck,
            calm: s.calm,
            outside: s.outside,
            now: s.now,
        };
        for letter in s.letters {
            let (tenant, door) = (TenantId(letter.tenant), letter.flow.endpoint);
            let keys = [crate::event::key_of(letter)];
            if let Some((event, _)) = r.known_event(tenant, (door, &keys), s.now)? {
                out.known.insert(letter.n, event);
            }
        }
        for tenant in TENANTS {
            for bundle in r.bundles(tenant)? {
                let files = r.bundle(tenant, bundle.number)?;
                let project = files.and_then(|b| unpack(&b.files));
                let program = project.map(|p| compiled(&p, &bundle.workflow));
                out.programs
                    .extend(program.transpose()?.map(|p| ((tenant, bundle.number), p)));
            }
            for row in r.cases(&everything(tenant))? {
                out.cases.push(case_file(r, row)?);
            }
        }
        for tenant in [TenantId::SYSTEM].into_iter().chain(TENANTS) {
            out.trees.insert(tenant, tree_file(r, tenant)?);
        }
        let written: Vec<(TenantId, String)> = out
            .effects()
            .filter(|(_, e)| e.action == "crm_upsert" && e.connection.is_empty())
            .filter_map(|(_, e)| Some((e.tenant, super::effects::argument(e, "key")?)))
            .collect();
        for (tenant, id) in written {
            let history = r.record_history(tenant, "lead", &id)?;
            out.records.insert((tenant, id), history);
        }
        Ok(out)
    }

    /// Every row of the ledger with its case.
    pub fn effects(&self) -> impl Iterator<Item = (&CaseFile, &EffectRow)> {
        self.cases
            .iter()
            .flat_map(|c| c.effects.values().map(move |e| (c, e)))
    }

    /// The action of an effect, as the workflow that planned it declares it.
    pub fn action(&self, row: &EffectRow) -> Option<&Action> {
        let program = self.programs.get(&(row.tenant, row.definition))?;
        program.actions.iter().find(|a| a.name == row.action)
    }

    /// Effects and asks by class.
    pub fn by_class(&self) -> BTreeMap<&'static str, u64> {
        let mut out = BTreeMap::new();
        for (_, e) in self.effects() {
            *out.entry(e.class.word()).or_default() += 1;
        }
        out
    }

    /// The end of a run in one line; it enters the trace's hash.
    pub fn summary(&self) -> String {
        let mut parts = vec![format!("cases {}", self.cases.len())];
        for (tenant, tree) in &self.trees {
            let last = tree.leaves.last().map_or(0, |l| l[0]);
            parts.push(format!("tree {} {} {last:02x}", tenant.0, tree.row.size));
        }
        for (_, e) in self.effects() {
            parts.push(format!("{}={}/{}", e.effect, e.state.word(), e.attempt));
        }
        parts.join(" ")
    }
}

fn everything(tenant: TenantId) -> CaseFilter {
    CaseFilter {
        tenant: Some(tenant),
        limit: 10_000,
        ..CaseFilter::default()
    }
}

fn case_file(r: &Reader, row: CaseRow) -> Result<CaseFile, StoreError> {
    let (tenant, case) = (row.tenant, row.case);
    let journal = r.journal(tenant, case)?;
    let filter = EffectFilter {
        tenant: Some(tenant),
        case: Some(case),
        limit: 1_000,
        ..EffectFilter::default()
    };
    let effects: BTreeMap<u32, EffectRow> = r
        .effects(&filter)?
        .into_iter()
        .map(|e| (e.effect.n, e))
        .collect();
    let mut attempts = BTreeMap::new();
    for e in effects.values() {
        attempts.insert(e.effect.n, r.attempts(tenant, e.effect)?);
    }
    let tasks = TaskFilter {
        tenant: Some(tenant),
        case: Some(case),
        closed: true,
        limit: 1_000,
        ..TaskFilter::default()
    };
    Ok(CaseFile {
        heads: journal
            .iter()
            .filter_map(|s| Some(open(s).ok()?.0))
            .collect(),
        case: fold(tenant, case, &journal),
        effects,
        attempts,
        tasks: r.tasks(&tasks)?,
        events: events(r, tenant, case)?,
        outbox: r.outbox(tenant, Some(case), 1_000)?,
        journal,
        row,
    })
}

fn events(r: &Reader, tenant: TenantId, case: CaseId) -> Result<Vec<StoredEvent>, StoreError> {
    Ok(r.events(tenant, case)?
        .into_iter()
        .map(|(_, e)| e)
        .collect())
}

fn tree_file(r: &Reader, tenant: TenantId) -> Result<TreeFile, StoreError> {
    Ok(TreeFile {
        row: r.tree(tenant)?,
        leaves: r.leaves(tenant, 0, 100_000)?,
        checkpoints: r.checkpoints(tenant, 1_000)?,
        turns: r
            .turns((0, 100_000), Some(tenant), false)?
            .into_iter()
            .map(|(.., turn)| turn.leaf)
            .collect(),
    })
}
