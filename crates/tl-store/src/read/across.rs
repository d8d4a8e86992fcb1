//! The statements that go across tenants, each with its reason. None of them reads payload: what they read of a table
//! that row-level security guards is the greatest position in it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::{ledger, lists, newest, nodes, settings, stats};
use crate::logic::Numbered;
use crate::logic::looks::{L, LOOKS};
use crate::postgres;
use crate::schema::Dialect;
use crate::sqlite;

/// Why statements name no tenant, and their texts.
type Across = (&'static str, fn() -> Vec<String>);

const ACROSS: &[Across] = &[
    (
        "who the tenants are: a name is unique among them, and lists of the installation are merged from theirs",
        || {
            let look = &LOOKS[L::Tenants as usize].1;
            let mut texts = vec![settings::TENANTS.to_owned(), lists::TENANTS.to_owned()];
            texts.extend([Dialect::Sqlite, Dialect::Postgres].map(|d| look.sql(d)));
            texts
        },
    ),
    (
        "whose gate has moved: a node keeps the views of all tenants and asks for numbers alone",
        || vec![nodes::GATES.to_owned()],
    ),
    (
        "what the loops of the engine find due, whoever it belongs to: ids, times and states, oldest first",
        || {
            let mut texts = vec![super::PENDING.to_owned(), ledger::DUE_TIMERS.to_owned()];
            texts.extend(ledger::lines_sql());
            texts.extend(ledger::next_due_sql());
            texts
        },
    ),
    (
        "the follower takes the heads of all tenants in the order of their commits; bodies are asked for apart",
        || {
            ["", postgres::SETTLED]
                .map(|s| super::turns_sql("", s))
                .into()
        },
    ),
    (
        "the latest instant that anything holds, which no clock may be before",
        || {
            let mut texts = vec![newest::heads_sql()];
            texts.extend(newest::newest_sql());
            texts
        },
    ),
    (
        "counts and ages of the whole installation, for its operator",
        stats::texts,
    ),
    (
        "whether rows belong together, in the whole database: answers yes or no",
        || super::COHERENCE.map(|(_, sql)| sql.to_owned()).into(),
    ),
    (
        "the next position: rows are numbered in the order of commits, which is one for all tenants",
        || {
            let mut texts: Vec<String> = Numbered::ALL.map(|t| sqlite::number_sql(t).into()).into();
            texts.extend(postgres::lift_sql());
            texts
        },
    ),
];

static LISTED: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| ACROSS.iter().flat_map(|(_, texts)| texts()).collect());

/// Whether a statement is known to go across tenants.
pub(crate) fn lists(sql: &str) -> bool {
    LISTED.contains(sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::ddl::GUARDED;
    use crate::tenancy::{tables, unnamed};

    #[test]
    fn nothing_across_tenants_reads_payload() {
        for (why, texts) in ACROSS {
            assert!(!why.is_empty());
            for sql in texts() {
                assert!(!unnamed(&sql).is_empty(), "it need not be listed: {sql}");
                let positions = |table: &str| {
                    sql.matches(&format!("SELECT MAX(ord) FROM {table})"))
                        .count()
                        + usize::from(
                            sql == format!("SELECT COALESCE(MAX(ord), 0) + 1 FROM {table}"),
                        )
                };
                for (table, _) in GUARDED {
                    let used = tables(&sql).into_iter().filter(|t| *t == table.name);
                    assert_eq!(
                        used.count(),
                        positions(table.name),
                        "{} in {sql}",
                        table.name
                    );
                }
            }
        }
        println!("{} statements go across tenants", LISTED.len());
    }

    /// Joins of such a statement stay within a tenant: with one table named, all are.
    #[test]
    fn joins_across_tenants_keep_to_one_each() {
        for (_, sql) in super::super::COHERENCE {
            let alias = if sql.contains(" e ") { "e" } else { "c" };
            let sql = sql.replacen("WHERE ", &format!("WHERE {alias}.tenant = 1 AND "), 1);
            assert_eq!(unnamed(&sql), [""; 0], "{sql}");
        }
    }
}
