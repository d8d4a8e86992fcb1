//! Everything that an SQLite database holds, for tests that ask what a step has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

/// The rows of every table, by its name, in the order in which SQLite gives them.
pub type Snapshot = BTreeMap<String, Vec<Vec<Value>>>;

/// Reads all of a database. Another process may be writing to it: each table is read at one moment, not all of them.
///
/// # Panics
/// When the file is no database that can be read.
pub fn snapshot(path: &Path) -> Snapshot {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opens");
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut names = db.prepare(names).expect("the tables");
    let names = names
        .query_map([], |r| r.get::<_, String>(0))
        .expect("names");
    let mut out = Snapshot::new();
    for name in names.map(|n| n.expect("a name")) {
        let mut all = db
            .prepare(&format!("SELECT * FROM \"{name}\""))
            .expect("rows");
        let width = all.column_count();
        let rows = all.query_map([], |r| (0..width).map(|i| r.get(i)).collect());
        let rows = rows.expect("rows").map(|r| r.expect("a row"));
        out.insert(name, rows.collect());
    }
    out
}

/// The tables whose rows differ.
pub fn changed<'a>(before: &Snapshot, after: &'a Snapshot) -> BTreeSet<&'a str> {
    let differs = |(name, rows): &(&'a String, &Vec<Vec<Value>>)| before.get(*name) != Some(*rows);
    let tables = after.iter().filter(differs);
    tables.map(|(name, _)| name.as_str()).collect()
}
