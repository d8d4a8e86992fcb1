//! Every way in which a group writes, described once: the texts of both engines follow from the description, so
//! that they cannot drift apart.
//!
//! SQLite runs a text once per row. PostgreSQL runs it once per group: the rows travel as one array per column and
//! come out of `UNNEST`.

use crate::schema::*;
use crate::value::Val;

/// What a write does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Adds rows; a key that is there is a fault.
    Insert,
    /// Adds rows whose key is not there yet.
    InsertNew,
    /// Adds rows, or replaces what is outside their key.
    Upsert,
    /// Adds rows, or adds their last column to the one that is there.
    Add,
    /// Changes the rows with these keys; a position is found first, and its tenant compared then. An expression says
    /// `v` for the new value and `t` for the old one.
    Set(
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
    ),
    /// Removes the rows for which all comparisons hold.
    Delete(&'static [(&'static str, &'static str)]),
}

/// One write.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) table: &'static Table,
    pub(crate) form: Form,
}

macro_rules! writes {
    ($($(#[$doc:meta])* $id:ident = $table:expr, $form:expr;)*) => {
        /// The writes of a group in the order in which they run: what is added, then what is changed, then what goes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum W { $($(#[$doc])* $id),* }
        /// Their descriptions, in the same order.
        pub(crate) const WRITES: &[Write] = &[$(Write { table: &$table, form: $form }),*];
    };
}

use Form::*;

const NEW: &str = "v";
const IF_GIVEN: &str = "COALESCE(v, t)";

/// What changes in a ledger row, in the order of `logic::effects::Known::image`.
const EFFECT_CHANGES: &[(&str, &str)] = &[
    ("state", NEW),
    ("due", NEW),
    ("valid_until", NEW),
    ("hold", NEW),
    ("base_version", NEW),
    ("attempt", NEW),
    ("node", NEW),
    ("epoch", NEW),
    ("deadline", NEW),
    ("first_send", NEW),
    ("updated_at", NEW),
    ("code", NEW),
    ("vendor_ref", NEW),
    ("crashes", NEW),
];

writes! {
    Tenant = TENANT, Insert;
    Gate = GATE, Upsert;
    Event = EVENT, Insert;
    EventBody = EVENT_BODY, Insert;
    Variant = VARIANT, InsertNew;
    Dedupe = DEDUPE, Insert;
    NaturalKey = NATURAL_KEY, Insert;
    Turn = TURN, Insert;
    TurnBody = TURN_BODY, Insert;
    CaseHead = CASE_HEAD, Insert;
    /// Effects that are not on their way any more, before others take the serial keys that they held.
    EffectLanded = EFFECT, Set(&["ord", "tenant"], EFFECT_CHANGES);
    Effect = EFFECT, Insert;
    EffectBody = EFFECT_BODY, Insert;
    /// Evidence that is reported twice is kept once.
    Attempt = ATTEMPT, InsertNew;
    Timer = TIMER, Insert;
    Task = TASK, Insert;
    Slot = SLOT, Insert;
    Record = RECORD, Insert;
    RecordBody = RECORD_BODY, Insert;
    Outbox = OUTBOX, Insert;
    OutboxBody = OUTBOX_BODY, Insert;
    Idempotent = IDEMPOTENT, Insert;
    Switch = SWITCH, Upsert;
    Flag = FLAG, Upsert;
    Suppression = SUPPRESSION, Upsert;
    Bundle = BUNDLE, Insert;
    BundleFiles = BUNDLE_FILES, Insert;
    Current = CURRENT, Upsert;
    Secret = SECRET, Insert;
    Disabled = DISABLED, InsertNew;
    ApiKey = API_KEY, Insert;
    Account = ACCOUNT, Upsert;
    Session = SESSION, Upsert;
    Tree = TREE, Upsert;
    Placed = PLACED, Insert;
    /// The same size is signed twice when the follower starts again; the first signature stands.
    Checkpoint = CHECKPOINT, InsertNew;
    Cursor = CURSOR, Upsert;
    DedupeSet = DEDUPE, Set(&["tenant", "key"], &[("event", NEW), ("expires", NEW)]);
    EventSet = EVENT, Set(&["ord", "tenant"], &[
        ("duplicates", "t + v"), ("joined", IF_GIVEN), ("case_id", IF_GIVEN),
    ]);
    CaseSet = CASE_HEAD, Set(&["tenant", "case_id"], &[
        ("seq", NEW), ("state", NEW), ("owner", NEW), ("definition", NEW), ("opened_at", NEW), ("updated_at", NEW),
        ("due", NEW), ("closed", NEW), ("open_tasks", NEW), ("open_effects", NEW), ("reason", NEW),
        ("correlation", NEW), ("workflow", NEW),
    ]);
    /// Effects that are on their way afterwards.
    EffectSet = EFFECT, Set(&["ord", "tenant"], EFFECT_CHANGES);
    TaskSet = TASK, Set(&["tenant", "case_id", "n"], &[
        ("owner", IF_GIVEN), ("closed_at", IF_GIVEN), ("decision", IF_GIVEN),
    ]);
    SecretSet = SECRET, Set(&["tenant", "endpoint", "kid"], &[("not_after", NEW)]);
    ApiKeySet = API_KEY, Set(&["tenant", "kid"], &[("expires", NEW)]);
    TimerOff = TIMER, Delete(&[("tenant", "="), ("case_id", "="), ("n", "=")]);
    SwitchOff = SWITCH, Delete(&[("tenant", "="), ("scope", "=")]);
    FlagOff = FLAG, Delete(&[("tenant", "="), ("name", "=")]);
    SuppressionOff = SUPPRESSION, Delete(&[("tenant", "="), ("subject", "="), ("by_owner", "=")]);
    DisabledOff = DISABLED, Delete(&[("tenant", "="), ("endpoint", "=")]);
    SessionOff = SESSION, Delete(&[("tenant", "="), ("token", "=")]);
    SessionsOff = SESSION, Delete(&[("tenant", "="), ("account", "=")]);
    SessionsOver = SESSION, Delete(&[("tenant", "="), ("ends", "<=")]);
    SweepKeys = DEDUPE, Delete(&[("tenant", "="), ("key", ">="), ("key", "<"), ("expires", "<=")]);
    SweepAnswers = IDEMPOTENT, Delete(&[("tenant", "="), ("expires", "<=")]);
    SweepSlots = SLOT, Delete(&[("tenant", "="), ("begins", "<")]);
    Counter = COUNTER, Add;
}

impl Write {
    /// The types of a row's values, in order.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let of = |name: &str| self.table.kind(name);
        match self.form {
            Form::Insert | Form::InsertNew | Form::Upsert | Form::Add => {
                self.table.all().into_iter().map(|c| c.1).collect()
            }
            Form::Set(key, set) => {
                let set = set.iter().map(|s| s.0);
                key.iter().copied().chain(set).map(of).collect()
            }
            Form::Delete(on) => on.iter().map(|c| of(c.0)).collect(),
        }
    }

    /// The text.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        match self.form {
            Form::Insert => self.insert(dialect),
            Form::InsertNew => format!("{} ON CONFLICT DO NOTHING", self.insert(dialect)),
            Form::Upsert => self.replace(dialect, false),
            Form::Add => self.replace(dialect, true),
            Form::Set(key, set) => self.set(dialect, key, set),
            Form::Delete(on) => self.delete(dialect, on),
        }
    }

    fn insert(&self, dialect: Dialect) -> String {
        let columns = self.table.all();
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        let rows = match dialect {
            Dialect::Sqlite => format!("VALUES ({})", holes(columns.len()).join(", ")),
            Dialect::Postgres => format!("SELECT * FROM {}", unnest(&self.kinds())),
        };
        format!(
            "INSERT INTO {} ({}) {rows}",
            self.table.name,
            names.join(", ")
        )
    }

    fn replace(&self, dialect: Dialect, add: bool) -> String {
        let (Key::Own(key) | Key::Numbered(key)) = self.table.key else {
            return self.insert(dialect);
        };
        let table = self.table.name;
        let columns = self.table.columns.iter();
        let set: Vec<String> = columns
            .filter(|c| !key.contains(&c.name))
            .map(|c| match add {
                true => format!("{0} = {table}.{0} + excluded.{0}", c.name),
                false => format!("{0} = excluded.{0}", c.name),
            })
            .collect();
        format!(
            "{} ON CONFLICT ({}) DO UPDATE SET {}",
            self.insert(dialect),
            key.join(", "),
            set.join(", ")
        )
    }

    fn set(&self, dialect: Dialect, key: &[&str], set: &[(&str, &str)]) -> String {
        let table = self.table.name;
        let new = self.values(dialect);
        let sets: Vec<String> = set
            .iter()
            .zip(&new[key.len()..])
            .map(|((column, how), new)| {
                let words: Vec<String> = how
                    .split_inclusive(['(', ',', ' ', ')'])
                    .map(|word| {
                        let bare = word.trim_end_matches(['(', ',', ' ', ')']);
                        let tail = &word[bare.len()..];
                        match bare {
                            "v" => format!("{new}{tail}"),
                            "t" => format!("{table}.{column}{tail}"),
                            _ => word.to_owned(),
                        }
                    })
                    .collect();
                format!("{column} = {}", words.concat())
            })
            .collect();
        let on: Vec<String> = key
            .iter()
            .zip(&new)
            .map(|(k, v)| match (key[0], *k) {
                // No plan, whenever it was made, may look for the tenant instead of the position.
                ("ord", "tenant") => format!("{table}.{k} + 0 = {v}"),
                _ => format!("{table}.{k} = {v}"),
            })
            .collect();
        let from = match dialect {
            Dialect::Sqlite => String::new(),
            Dialect::Postgres => format!(" FROM {}", named_unnest(&self.kinds())),
        };
        format!(
            "UPDATE {table} SET {}{from} WHERE {}",
            sets.join(", "),
            on.join(" AND ")
        )
    }

    fn delete(&self, dialect: Dialect, on: &[(&str, &str)]) -> String {
        let table = self.table.name;
        let values = self.values(dialect);
        let on: Vec<String> = on
            .iter()
            .zip(&values)
            .map(|((column, how), v)| format!("{table}.{column} {how} {v}"))
            .collect();
        let using = match dialect {
            Dialect::Sqlite => String::new(),
            Dialect::Postgres => format!(" USING {}", named_unnest(&self.kinds())),
        };
        format!("DELETE FROM {table}{using} WHERE {}", on.join(" AND "))
    }

    /// What stands for the values of a row.
    fn values(&self, dialect: Dialect) -> Vec<String> {
        let n = self.kinds().len();
        match dialect {
            Dialect::Sqlite => holes(n),
            Dialect::Postgres => (1..=n).map(|i| format!("v.c{i}")).collect(),
        }
    }
}

fn holes(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("?{i}")).collect()
}

/// The name of an array of values in PostgreSQL.
fn array(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint[]",
        Kind::Text => "text[]",
        Kind::Bytes => "bytea[]",
    }
}

/// Rows out of one array per column.
pub(crate) fn unnest(kinds: &[Kind]) -> String {
    let arrays: Vec<String> = (1..)
        .zip(kinds)
        .map(|(i, kind)| format!("${i}::{}", array(*kind)))
        .collect();
    format!("UNNEST({})", arrays.join(", "))
}

/// As `unnest`, as a table `v` with columns `c1`, `c2`, …
pub(crate) fn named_unnest(kinds: &[Kind]) -> String {
    let names: Vec<String> = (1..=kinds.len()).map(|i| format!("c{i}")).collect();
    format!("{} AS v({})", unnest(kinds), names.join(", "))
}

/// The rows of one write.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    width: usize,
    values: Vec<Val<'a>>,
}

impl<'a> Batch<'a> {
    /// Adds a row; returns its position.
    pub(crate) fn push<const N: usize>(&mut self, row: [Val<'a>; N]) -> usize {
        self.width = N;
        self.values.extend(row);
        self.values.len() / N - 1
    }

    /// Overwrites the end of a row, from a column on.
    pub(crate) fn overwrite<const N: usize>(&mut self, row: usize, row_values: [Val<'a>; N]) {
        let from = (row + 1) * self.width - N;
        for (slot, value) in self.values[from..].iter_mut().zip(row_values) {
            *slot = value;
        }
    }

    /// As `overwrite`, for the values that are given.
    pub(crate) fn fill<const N: usize>(&mut self, row: usize, row_values: [Val<'a>; N]) {
        let from = (row + 1) * self.width - N;
        for (slot, value) in self.values[from..].iter_mut().zip(row_values) {
            if value != Val::Null {
                *slot = value;
            }
        }
    }

    /// One value of a row.
    pub(crate) fn get(&self, row: usize, column: usize) -> Option<&Val<'a>> {
        self.values.get(row * self.width + column)
    }

    /// The row whose first values are these, if there is one. For batches of a few rows.
    pub(crate) fn find(&self, key: &[Val<'_>]) -> Option<usize> {
        self.rows().position(|row| row.starts_with(key))
    }

    /// Adds a row, or overwrites the one with the same first values. For batches of a few rows.
    pub(crate) fn put<const N: usize>(&mut self, key: usize, row: [Val<'a>; N]) {
        match self.find(&row[..key]) {
            Some(at) => self.overwrite(at, row),
            None => {
                self.push(row);
            }
        }
    }

    /// Drops the row whose first values are these.
    pub(crate) fn drop(&mut self, key: &[Val<'_>]) {
        if let Some(at) = self.find(key) {
            self.values.drain(at * self.width..(at + 1) * self.width);
        }
    }

    /// The rows.
    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, Val<'a>> {
        self.values.chunks_exact(self.width.max(1))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Everything that a group writes.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    batches: Vec<Batch<'a>>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new() -> Changes<'a> {
        Changes {
            batches: WRITES.iter().map(|_| Batch::default()).collect(),
        }
    }

    /// The rows of a write.
    pub(crate) fn at(&mut self, write: W) -> &mut Batch<'a> {
        &mut self.batches[write as usize]
    }

    /// Puts a row: over its image that this group writes already (`known` names it), else as a change of the row that
    /// is there, else as a new one. Returns where its image stands now.
    pub(crate) fn put<const N: usize>(
        &mut self,
        known: Option<Option<(W, usize)>>,
        (change, insert): (W, W),
        image: [Val<'a>; N],
    ) -> (W, usize) {
        if let Some(Some((write, row))) = known {
            self.at(write).overwrite(row, image);
            return (write, row);
        }
        let write = if known.is_some() { change } else { insert };
        (write, self.at(write).push(image))
    }

    /// The writes that have rows, by position, in the order in which they run.
    pub(crate) fn written(&self) -> impl Iterator<Item = (usize, &Batch<'a>)> {
        let all = self.batches.iter().enumerate();
        all.filter(|(_, batch)| !batch.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per form; both texts follow from one description.
    #[test]
    fn both_texts_follow_from_the_description() {
        let flag = "INSERT INTO flag (tenant, name, value)";
        let arrays = "UNNEST($1::bigint[], $2::text[], $3::bigint[])";
        let cases = [
            (
                W::Flag,
                format!(
                    "{flag} VALUES (?1, ?2, ?3) ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value"
                ),
                format!(
                    "{flag} SELECT * FROM {arrays} ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value"
                ),
            ),
            (
                W::ApiKeySet,
                "UPDATE api_key SET expires = ?3 WHERE api_key.tenant = ?1 AND api_key.kid = ?2".into(),
                format!(
                    "UPDATE api_key SET expires = v.c3 FROM {arrays} AS v(c1, c2, c3) \
                     WHERE api_key.tenant = v.c1 AND api_key.kid = v.c2"
                ),
            ),
            (
                W::FlagOff,
                "DELETE FROM flag WHERE flag.tenant = ?1 AND flag.name = ?2".into(),
                "DELETE FROM flag USING UNNEST($1::bigint[], $2::text[]) AS v(c1, c2) \
                 WHERE flag.tenant = v.c1 AND flag.name = v.c2"
                    .into(),
            ),
            (
                W::EventSet,
                "UPDATE event SET duplicates = event.duplicates + ?3, joined = COALESCE(?4, event.joined), \
                 case_id = COALESCE(?5, event.case_id) WHERE event.ord = ?1 AND event.tenant + 0 = ?2"
                    .into(),
                "UPDATE event SET duplicates = event.duplicates + v.c3, joined = COALESCE(v.c4, event.joined), \
                 case_id = COALESCE(v.c5, event.case_id) FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[], \
                 $4::bigint[], $5::bytea[]) AS v(c1, c2, c3, c4, c5) WHERE event.ord = v.c1 AND event.tenant + 0 = v.c2"
                    .into(),
            ),
        ];
        for (write, sqlite, postgres) in cases {
            let write = &WRITES[write as usize];
            assert_eq!(write.sql(Dialect::Sqlite), sqlite);
            assert_eq!(write.sql(Dialect::Postgres), postgres);
        }
    }
}
