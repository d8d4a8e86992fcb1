//! The generated statements, built once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::backend::{serial_busy_sql, take_key_sql, withdraw_sql};
use crate::schema::{TABLES, Table};

/// Texts that are generated from the description of the tables.
pub(crate) static SQL: LazyLock<Statements> = LazyLock::new(|| Statements {
    insert: TABLES.iter().map(|t| (t.name, t.insert())).collect(),
    insert_new: TABLES.iter().map(|t| (t.name, t.insert_new())).collect(),
    upsert: TABLES.iter().map(|t| (t.name, t.upsert())).collect(),
    serial_busy: serial_busy_sql(),
    take_key: take_key_sql(),
    withdraw: withdraw_sql(),
});

pub(crate) struct Statements {
    insert: BTreeMap<&'static str, String>,
    insert_new: BTreeMap<&'static str, String>,
    upsert: BTreeMap<&'static str, String>,
    /// Whether a serial key is held.
    pub(crate) serial_busy: String,
    /// Takes a dedupe key.
    pub(crate) take_key: String,
    /// Withdraws a ready effect.
    pub(crate) withdraw: String,
}

impl Statements {
    /// Inserts a row.
    pub(crate) fn insert(&self, table: &Table) -> &str {
        &self.insert[table.name]
    }

    /// Inserts a row unless its key is there.
    pub(crate) fn insert_new(&self, table: &Table) -> &str {
        &self.insert_new[table.name]
    }

    /// Inserts a row or replaces it.
    pub(crate) fn upsert(&self, table: &Table) -> &str {
        &self.upsert[table.name]
    }
}
