//! Questions about the ledger and about time: what may be sent, what went stale, which timers are due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use tl_kernel::digest::Digest;
use tl_kernel::effect::{Class, EffectState};
use tl_kernel::id::{CaseId, EffectId, TenantId};
use tl_kernel::journal::args_in;
use tl_kernel::turn::EffectKind;

use super::{Answer, Reader, outside, outside_maybe};
use crate::contract::{Attempt, EffectRow, Line, TimerRow};
use crate::keys::{NEVER, timer_kind};
use crate::logic::state;
use crate::packed::Unpacked;
use crate::schema::{IN_FLIGHT, READY};
use crate::value::{Fields, damaged, vals};

/// A ledger row, what its case is pinned to, and where its arguments are; a condition follows.
pub(super) const EFFECT: &str = "SELECT e.case_id, e.n, e.tenant, e.kind, c.workflow, c.definition, c.correlation, \
    e.action, e.connection, e.class, e.state, e.due, e.valid_until, e.hold, e.digest, e.vendor_key, \
    e.base_version, e.attempt, e.node, e.epoch, e.deadline, e.first_send, e.planned_at, e.updated_at, e.code, \
    e.vendor_ref, e.crashes, e.serial_key, e.ord, t.ord FROM effect e \
    JOIN case_head c ON c.tenant = e.tenant AND c.case_id = e.case_id \
    LEFT JOIN turn t ON t.tenant = e.tenant AND t.case_id = e.case_id AND t.seq = e.seq";

/// The serial key of a ready effect is held by none whose attempt is on its way.
fn not_blocked() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM effect f WHERE f.tenant = e.tenant AND f.serial_key = e.serial_key \
         AND f.serial_key IS NOT NULL AND {})",
        IN_FLIGHT.replace("state", "f.state")
    )
}

pub(super) fn of(alias: &str, condition: &str) -> String {
    condition.replace("state", &format!("{alias}.state"))
}

/// The lines of effects that meet a condition, each a tenant and a connection: `line`, of which the last is empty.
/// From one to the next is a step in the index, however many effects stand in between; a comparison of both columns at
/// once would pass all of them.
pub(super) fn with_lines(condition: &str) -> String {
    let condition = of("e", condition);
    let first = |column: &str, after: &str| {
        format!(
            "(SELECT e.{column} FROM effect e WHERE {condition}{after} ORDER BY e.tenant, e.connection LIMIT 1)"
        )
    };
    let start = [first("tenant", ""), first("connection", "")].join(", ");
    let within = first(
        "connection",
        " AND e.tenant = l.tenant AND e.connection > l.connection",
    );
    let [tenant, connection] =
        ["tenant", "connection"].map(|column| first(column, " AND e.tenant > l.tenant"));
    format!(
        "WITH RECURSIVE line (tenant, connection) AS (SELECT {start} UNION ALL \
         SELECT CASE WHEN {within} IS NULL THEN {tenant} ELSE l.tenant END, COALESCE({within}, {connection}) \
         FROM line l WHERE l.tenant IS NOT NULL)"
    )
}

/// What makes an effect in flight somebody's business: it waits for a look-up, or nobody is at it any more.
const UNATTENDED: &str = "(e.state <> 2 OR e.deadline <= ?1 OR e.epoch <> \
    COALESCE((SELECT w.epoch FROM node w WHERE w.id = e.node), 0))";

/// Who has ready effects, and who has effects in flight, each with when the earliest was due that may be taken up now, or
/// NULL.
pub(super) fn lines_sql() -> [String; 2] {
    let not_blocked = not_blocked();
    [(READY, not_blocked.as_str()), (IN_FLIGHT, UNATTENDED)].map(|(which, and)| {
        let lines = with_lines(which);
        let first = first_in_line(which, &format!("e.due <= ?1 AND {and}"));
        format!(
            "{lines} SELECT l.tenant, l.connection, {first} FROM line l WHERE l.tenant IS NOT NULL"
        )
    })
}

/// When the earliest effect of the line `l` is due that meets these conditions.
fn first_in_line(which: &str, and: &str) -> String {
    let condition = of("e", which);
    format!(
        "(SELECT e.due FROM effect e WHERE e.tenant = l.tenant AND e.connection = l.connection AND {condition} \
         AND {and} ORDER BY e.due LIMIT 1)"
    )
}

/// The effects of one line that meet a condition, after a place in it, oldest first.
fn page_sql(condition: &str) -> String {
    format!(
        "{EFFECT} WHERE e.tenant = ?2 AND e.connection = ?3 AND {condition} AND e.due <= ?1 AND e.due >= ?4 \
         AND (e.due > ?4 OR e.ord > ?5) ORDER BY e.due, e.ord LIMIT ?6"
    )
}

/// Ready and due effects of one line.
fn candidates_sql() -> String {
    page_sql(&format!("{} AND {}", of("e", READY), not_blocked()))
}

/// Effects of one line in flight that somebody must look after.
fn stale_sql() -> String {
    page_sql(&format!("{} AND {UNATTENDED}", of("e", IN_FLIGHT)))
}

/// The earliest instants at which something is to be done: timers, ready effects, look-ups.
pub(super) fn next_due_sql() -> [String; 3] {
    let first = |which: &str, and: &str| {
        let (lines, first) = (with_lines(which), first_in_line(which, and));
        format!("{lines} SELECT MIN(due) FROM (SELECT {first} AS due FROM line l) AS first")
    };
    [
        "SELECT MIN(due) FROM timer".to_owned(),
        first(READY, &not_blocked()),
        first(IN_FLIGHT, "e.state <> 2"),
    ]
}

/// Rows that are read at once where those before them may not be taken up, apart from what is asked for.
const PAGE: u32 = 64;

static CANDIDATES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let [ready, _] = lines_sql();
    [ready, candidates_sql()]
});
static STALE: LazyLock<[String; 2]> = LazyLock::new(|| {
    let [_, in_flight] = lines_sql();
    [in_flight, stale_sql()]
});

/// A place in a line, up to which it was read.
struct Reading {
    line: Line,
    last: (i64, i64),
    /// Rows that were taken from it.
    taken: u32,
}

/// Timers that are due.
pub(super) const DUE_TIMERS: &str = "SELECT tenant, case_id, n, kind, due FROM timer WHERE due <= ?1 \
     ORDER BY due, tenant, case_id, n LIMIT ?2";

impl Reader {
    /// Effects that may be sent now: ready and due at `now` (µs), oldest first, asks included; one per serial key,
    /// none whose serial key is held. Lines share the limit, so that none keeps another from being seen: each tenant's
    /// effects on a connection are one, and of each at least one is found. Those of `but` are left out.
    pub fn candidates(&self, now: i64, limit: u32, but: &BTreeSet<Line>) -> Answer<Vec<EffectRow>> {
        self.in_lines(&CANDIDATES, (now, limit), but)
    }

    /// Effects in flight that somebody must look after at `now` (µs): attempts past their deadline or of a node
    /// that was started again, look-ups that are due, call-backs that are overdue. Lines share the limit as above.
    pub fn stale(&self, now: i64, limit: u32, but: &BTreeSet<Line>) -> Answer<Vec<EffectRow>> {
        self.in_lines(&STALE, (now, limit), but)
    }

    /// What is stale, and after it the candidates, in one go. They share the limit as lines do.
    pub fn to_take_up(&self, now: i64, limit: u32, but: &BTreeSet<Line>) -> Answer<Vec<EffectRow>> {
        let mut rows = self.stale(now, limit, but)?;
        let found = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        rows.extend(self.candidates(now, limit.saturating_sub(found), but)?);
        Ok(rows)
    }

    /// Since when the oldest effect of each tenant may be sent that nobody has taken at `now`, µs.
    pub fn backlog(&self, now: i64) -> Answer<BTreeMap<TenantId, i64>> {
        let mut since = BTreeMap::new();
        for ((tenant, _), due) in self.lines(&CANDIDATES[0], now)? {
            let known = since.entry(tenant).or_insert(due);
            *known = due.min(*known);
        }
        Ok(since)
    }

    /// The lines in which something may be taken up at `now` (µs), each with since when.
    fn lines(&self, sql: &str, now: i64) -> Answer<Vec<(Line, i64)>> {
        let all: Vec<(Line, Option<i64>)> = self.rows(sql, &vals![now], |r| {
            Ok(((TenantId(r.get(0)?), r.get(1)?), r.get(2)?))
        })?;
        let due = all.into_iter().filter_map(|(line, due)| Some((line, due?)));
        Ok(due.collect())
    }

    fn in_lines(
        &self,
        [lines, page]: &[String; 2],
        (now, limit): (i64, u32),
        but: &BTreeSet<Line>,
    ) -> Answer<Vec<EffectRow>> {
        let lines = self.lines(lines, now)?.into_iter();
        let lines = lines.filter(|(line, _)| !but.contains(line));
        let mut open: Vec<Reading> = lines
            .map(|(line, _)| Reading {
                line,
                last: (i64::MIN, i64::MIN),
                taken: 0,
            })
            .collect();
        let each = limit
            .checked_div(u32::try_from(open.len()).unwrap_or(u32::MAX))
            .map_or(1, |each| each.max(1));
        let mut size = each;
        let mut serials = BTreeSet::new();
        let mut found = Vec::new();
        while !open.is_empty() {
            let keys: Vec<_> = open
                .iter()
                .map(|Reading { line, last, .. }| {
                    let (tenant, connection) = line;
                    let key = vals![now, tenant.0, connection.as_str(), last.0, last.1, size];
                    (*tenant, key.to_vec())
                })
                .collect();
            let mut pages = self.each(page, &keys, Found::read)?.into_iter();
            open.retain_mut(|Reading { last, taken, .. }| {
                let page = pages.next().unwrap_or_default();
                let more = page.len() == size as usize;
                for effect in page {
                    *last = (effect.row.due, effect.ord);
                    let free = *taken < each
                        && effect
                            .serial
                            .is_none_or(|serial| serials.insert((effect.row.tenant, serial)));
                    if free {
                        *taken += 1;
                        found.push(effect);
                    }
                }
                more && *taken < each
            });
            size = each.max(PAGE);
        }
        found.sort_by_key(|f| (f.row.due, f.ord));
        self.with_args(found)
    }

    /// One effect.
    pub fn effect(&self, tenant: TenantId, effect: EffectId) -> Answer<Option<EffectRow>> {
        let sql = format!("{EFFECT} WHERE e.tenant = ?1 AND e.case_id = ?2 AND e.n = ?3");
        let key = vals![tenant.0, effect.case.0, effect.n];
        let found = self.rows(&sql, &key, Found::read)?;
        Ok(self.with_args(found)?.pop())
    }

    /// The effects with their arguments: from the body of the turn that planned them, or from a row of their own
    /// where that does not hold them. They are gone once erased.
    pub(super) fn with_args(&self, found: Vec<Found>) -> Answer<Vec<EffectRow>> {
        let sql = "SELECT 1, args FROM effect_body WHERE ord = ?1 AND tenant = ?3 UNION ALL \
                   SELECT 0, body FROM turn_body WHERE ord = ?2 AND tenant = ?3";
        let keys: Vec<_> = found
            .iter()
            .map(|f| (f.row.tenant, vals![f.ord, f.turn, f.row.tenant.0].to_vec()))
            .collect();
        let bodies = self.each(sql, &keys, |r| {
            let own = r.get(0)?;
            let bytes = match own {
                true => r.get(1)?,
                false => r.get::<Unpacked>(1)?.0,
            };
            Ok((own, bytes))
        })?;
        let with_args = |(mut found, bodies): (Found, Vec<(bool, Vec<u8>)>)| {
            for (own, bytes) in bodies {
                if own {
                    found.row.args = bytes;
                } else if let Some(args) = args_in(&bytes, found.row.effect.n) {
                    found.row.args = args.to_vec();
                }
            }
            found.row
        };
        Ok(found.into_iter().zip(bodies).map(with_args).collect())
    }

    /// Finished attempts of an effect, in order.
    pub fn attempts(&self, tenant: TenantId, effect: EffectId) -> Answer<Vec<Attempt>> {
        let sql = "SELECT case_id, n, attempt, at, took, knowledge, status, code, detail FROM attempt \
                   WHERE tenant = ?1 AND case_id = ?2 AND n = ?3 ORDER BY attempt";
        let key = vals![tenant.0, effect.case.0, effect.n];
        self.rows_of(tenant, (sql, &key), |r| {
            Ok(Attempt {
                effect: effect_id(r, 0)?,
                n: r.get(2)?,
                at: r.get(3)?,
                took: r.get(4)?,
                knowledge: r.get(5)?,
                status: r.get(6)?,
                code: r.get(7)?,
                detail: outside(r, 8)?,
            })
        })
    }

    /// Timers that are due at `now` (µs), earliest first.
    pub fn due_timers(&self, now: i64, limit: u32) -> Answer<Vec<TimerRow>> {
        self.rows(DUE_TIMERS, &vals![now, limit], |r| {
            let number = r.get(3)?;
            Ok(TimerRow {
                tenant: TenantId(r.get(0)?),
                case: CaseId(r.get(1)?),
                n: r.get(2)?,
                kind: timer_kind(number).ok_or_else(|| damaged(3))?,
                due: r.get(4)?,
            })
        })
    }

    /// When the next timer, ready effect or look-up is due, µs.
    pub fn next_due(&self) -> Answer<Option<i64>> {
        let mut next = NEVER;
        for sql in next_due_sql() {
            let due: Option<Option<i64>> = self.row(&sql, &[], |r| r.get(0))?;
            next = next.min(due.flatten().unwrap_or(NEVER));
        }
        Ok((next != NEVER).then_some(next))
    }
}

/// The id of an effect from two columns.
pub(super) fn effect_id(r: &Fields<'_>, column: usize) -> Answer<EffectId> {
    Ok(EffectId {
        case: CaseId(r.get(column)?),
        n: r.get(column + 1)?,
    })
}

/// A ledger row without its arguments.
pub(super) struct Found {
    pub(super) row: EffectRow,
    serial: Option<Digest>,
    ord: i64,
    /// `ord` of the turn that planned it.
    turn: Option<i64>,
}

impl Found {
    pub(super) fn read(r: &Fields<'_>) -> Answer<Found> {
        Ok(Found {
            row: effect_row(r)?,
            serial: r.get(27)?,
            ord: r.get(28)?,
            turn: r.get(29)?,
        })
    }
}

fn effect_row(r: &Fields<'_>) -> Answer<EffectRow> {
    let state = state(10, r.get(10)?)?;
    let claim: (Option<u32>, Option<u64>, Option<i64>) = (r.get(18)?, r.get(19)?, r.get(20)?);
    Ok(EffectRow {
        effect: effect_id(r, 0)?,
        tenant: TenantId(r.get(2)?),
        kind: match r.get::<i64>(3)? {
            0 => EffectKind::Effect,
            _ => EffectKind::Ask,
        },
        workflow: r.get(4)?,
        definition: r.get(5)?,
        correlation: r.get(6)?,
        action: r.get(7)?,
        connection: r.get(8)?,
        class: Class::from_number(r.get(9)?).ok_or_else(|| damaged(9))?,
        state,
        due: r.get(11)?,
        valid_until: r.get(12)?,
        hold: r.get(13)?,
        args: Vec::new(),
        digest: r.get(14)?,
        key: r.get(15)?,
        base_version: outside_maybe(r, 16)?,
        attempt: r.get(17)?,
        claim: match (state, claim) {
            (EffectState::Dispatching, (Some(node), Some(epoch), Some(deadline))) => {
                Some((node, epoch, deadline))
            }
            _ => None,
        },
        first_send: r.get(21)?,
        planned_at: r.get(22)?,
        updated_at: r.get(23)?,
        code: r.get(24)?,
        vendor_ref: outside_maybe(r, 25)?,
        crashes: r.get(26)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Options};
    use crate::logic::looks::{L, LOOKS};
    use crate::read::lists::open_cases_sql;
    use crate::schema::Dialect;

    fn text_of(wanted: L) -> String {
        LOOKS[wanted as usize].1.sql(Dialect::Sqlite)
    }

    /// What the loops ask many times a second reads an index that holds nothing but what may answer, in the order
    /// in which it answers.
    #[test]
    fn claims_use_their_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let backend = Backend::open(&dir.path().join("tl.db"), &Options::default()).unwrap();
        let [timer, ready, look_up] = next_due_sql();
        let [ready_lines, lines_in_flight] = lines_sql();
        for (sql, index) in [
            (ready_lines, "effect_ready (tenant=? AND connection>?)"),
            (
                lines_in_flight,
                "effect_in_flight (tenant=? AND connection>?)",
            ),
            (candidates_sql(), "effect_ready (tenant=? AND connection=? AND due>? AND due<?)"),
            (stale_sql(), "effect_in_flight (tenant=? AND connection=? AND due>? AND due<?)"),
            (timer, "timer_due"),
            (ready, "effect_ready"),
            (look_up, "effect_in_flight"),
            (text_of(L::Serial), "effect_serial"),
            (
                format!("{EFFECT} WHERE e.tenant = 1 AND e.state = 4 ORDER BY e.case_id DESC, e.n DESC"),
                "effect_notable",
            ),
            (open_cases_sql(""), "case_open"),
            (
                "SELECT 1 FROM task WHERE tenant = 1 AND closed_at IS NULL ORDER BY due, case_id, n".to_owned(),
                "task_open",
            ),
            ("SELECT 1 FROM event WHERE joined = 0 ORDER BY ord".to_owned(), "event_pending"),
            (
                "SELECT 1 FROM turn WHERE ord > 1 AND +tenant = 1 ORDER BY ord".to_owned(),
                "INTEGER PRIMARY KEY (rowid>?)",
            ),
        ] {
            let sql = sql.replace("?1", "1").replace("?2", "2").replace("?3", "3").replace("?4", "4").replace("?5", "5").replace("?6", "6");
            let plan: Vec<String> = backend
                .reader()
                .rows(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |r| r.get(3))
                .unwrap();
            let plan: String = plan.join("\n");
            assert!(plan.contains(index), "{sql}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
        }
    }
}
