//! The newest engine time that is stored: what a clock that begins anew must not be before.

use tl_kernel::journal::{Sealed, open};

use super::ledger::{of, with_lines};
use super::{Answer, Reader};
use crate::schema::{IN_FLIGHT, READY};

/// Rows that are looked at from the end of each index: units that were decided one after the other may have been
/// committed in another order, and retries differ in how long they wait.
const LAST: u32 = 64;

/// The latest rows of the ledger whose life goes on, and the latest messages: each from the end of an index. Of the
/// ledger, that is the end of each line.
pub(super) fn newest_sql() -> [String; 3] {
    let effect = |which: &str| {
        let (lines, condition) = (with_lines(which), of("e", which));
        format!(
            "{lines} SELECT (SELECT MAX(at) FROM (SELECT e.updated_at AS at FROM effect e \
             WHERE e.tenant = l.tenant AND e.connection = l.connection AND {condition} \
             ORDER BY e.due DESC LIMIT {LAST}) AS last) FROM line l WHERE l.tenant IS NOT NULL"
        )
    };
    [
        effect(READY),
        effect(IN_FLIGHT),
        format!("SELECT received_at FROM event ORDER BY ord DESC LIMIT {LAST}"),
    ]
}

/// The latest turns, those of the control stream among them.
pub(super) fn heads_sql() -> String {
    format!("SELECT head FROM turn ORDER BY ord DESC LIMIT {LAST}")
}

impl Reader {
    /// The newest engine time that the latest turns, messages and open effects hold, µs; `None` where there are none.
    /// As quick in a database of any size.
    pub fn newest_instant(&self) -> Answer<Option<i64>> {
        let mut newest = None;
        for sql in newest_sql() {
            let instants = self.rows(&sql, &[], |r| r.get::<Option<i64>>(0))?;
            newest = newest.max(instants.into_iter().flatten().max());
        }
        let heads = self.rows(&heads_sql(), &[], |r| {
            Ok(Sealed {
                seq: 0,
                leaf: Default::default(),
                head: r.get(0)?,
                body: None,
            })
        })?;
        // A head that this build cannot read is for whoever folds its case to report.
        let heads = heads.iter().filter_map(|h| open(h).ok());
        Ok(newest.max(heads.map(|(head, _)| head.at).max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, Options};

    /// Each reads the end of an index and stops.
    #[test]
    fn the_newest_is_found_without_a_search() {
        let dir = tempfile::tempdir().unwrap();
        let backend = Backend::open(&dir.path().join("tl.db"), &Options::default()).unwrap();
        let [ready, in_flight, event] = newest_sql();
        for (sql, way) in [
            (
                ready,
                "SEARCH e USING INDEX effect_ready (tenant=? AND connection=?)",
            ),
            (
                in_flight,
                "SEARCH e USING INDEX effect_in_flight (tenant=? AND connection=?)",
            ),
            (event, "SCAN event"),
            (heads_sql(), "SCAN turn"),
        ] {
            let plan: Vec<String> = backend
                .reader()
                .rows(&format!("EXPLAIN QUERY PLAN {sql}"), &[], |r| r.get(3))
                .unwrap();
            let plan: String = plan.join("\n");
            assert!(
                plan.contains(way) && !plan.contains("TEMP B-TREE"),
                "{sql}\n{plan}"
            );
        }
    }
}
