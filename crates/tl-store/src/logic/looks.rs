//! The look-ups that a group needs before it can be decided: by key, described once, in both engines' texts.

use crate::schema::{Dialect, IN_FLIGHT, Kind};
use crate::writes::named_unnest;

/// What keeps others from changing what was read until the group is over. SQLite has one writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    None,
    /// Others may read it under the same lock, and nobody may change it.
    Share,
    /// The group may change it.
    Change,
}

/// One look-up. The columns name the key again, so that an answer says what it is about.
#[derive(Debug)]
pub(crate) struct Look {
    /// The table with its alias.
    table: &'static str,
    alias: &'static str,
    /// What is joined to it.
    joins: &'static str,
    key: &'static [(&'static str, Kind)],
    columns: &'static str,
    /// Only the row with the greatest value in this column.
    newest: Option<&'static str>,
    /// Only effects that hold their serial key; the alias of the effect.
    holds: Option<&'static str>,
    pub(crate) lock: Lock,
}

const TENANT: (&str, Kind) = ("tenant", Kind::Int);
const CASE: (&str, Kind) = ("case_id", Kind::Bytes);
const N: (&str, Kind) = ("n", Kind::Int);

const PLAIN: Look = Look {
    table: "",
    alias: "",
    joins: "",
    key: &[TENANT],
    columns: "",
    newest: None,
    holds: None,
    lock: Lock::None,
};

macro_rules! looks {
    ($($(#[$doc:meta])* $id:ident = $look:expr;)*) => {
        /// The look-ups, in the order in which their locks are taken: the gate before everything that it guards.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum L { $($(#[$doc])* $id),* }
        /// Their descriptions, in the same order.
        pub(crate) const LOOKS: &[(L, Look)] = &[$((L::$id, $look)),*];
    };
}

looks! {
    Node = Look { table: "node a", alias: "a", key: &[("id", Kind::Int)], columns: "a.id, a.epoch",
        lock: Lock::Share, ..PLAIN };
    /// Gate rows that the group raises.
    GateRaised = Look { table: "gate a", alias: "a", columns: "a.tenant, a.epoch", lock: Lock::Change, ..PLAIN };
    /// Gate rows that guards compare with.
    Gate = Look { table: "gate a", alias: "a", columns: "a.tenant, a.epoch", lock: Lock::Share, ..PLAIN };
    Dedupe = Look { table: "dedupe a", alias: "a", key: &[TENANT, ("key", Kind::Bytes)],
        columns: "a.tenant, a.key, a.event, a.expires", lock: Lock::Change, ..PLAIN };
    /// The event that holds a dedupe key, with its payload. Apart from `Dedupe`: almost every key is free.
    Holder = Look { table: "dedupe a", alias: "a",
        joins: "JOIN event e ON e.ord = a.event AND e.tenant + 0 = a.tenant \
                LEFT JOIN event_body b ON b.ord = a.event AND b.tenant = a.tenant",
        key: &[TENANT, ("key", Kind::Bytes)], columns: "a.event, e.id, b.payload", ..PLAIN };
    NaturalKey = Look { table: "natural_key a", alias: "a", key: &[TENANT, ("key", Kind::Bytes)],
        columns: "a.tenant, a.key, a.case_id", ..PLAIN };
    Case = Look { table: "case_head a", alias: "a", key: &[TENANT, CASE],
        columns: "a.tenant, a.case_id, a.seq, a.state", lock: Lock::Change, ..PLAIN };
    Effect = Look { table: "effect a", alias: "a", key: &[TENANT, CASE, N],
        columns: "a.tenant, a.case_id, a.n, a.ord, a.class, a.serial_key, a.state, a.due, a.valid_until, a.hold, \
                  a.base_version, a.attempt, a.node, a.epoch, a.deadline, a.first_send, a.updated_at, a.code, \
                  a.vendor_ref, a.crashes",
        lock: Lock::Change, ..PLAIN };
    /// Whether a serial key is held.
    Serial = Look { table: "effect a", alias: "a", key: &[TENANT, ("serial_key", Kind::Bytes)],
        columns: "a.tenant, a.serial_key", holds: Some("a"), ..PLAIN };
    /// Whether the serial key of an effect is held, where its key cannot be known beforehand.
    SerialOf = Look { table: "effect a", alias: "a",
        joins: "JOIN effect h ON h.tenant = a.tenant AND h.serial_key = a.serial_key",
        key: &[TENANT, CASE, N], columns: "a.tenant, a.serial_key", holds: Some("h"), ..PLAIN };
    /// The length of a control stream.
    Control = Look { table: "turn a", alias: "a", key: &[TENANT, CASE], columns: "a.tenant, a.seq",
        newest: Some("seq"), ..PLAIN };
    Event = Look { table: "event a", alias: "a", key: &[TENANT, ("id", Kind::Bytes)],
        columns: "a.tenant, a.id, a.ord", ..PLAIN };
    Record = Look { table: "record a", alias: "a", key: &[TENANT, ("kind", Kind::Text), ("id", Kind::Bytes)],
        columns: "a.tenant, a.kind, a.id, a.version", newest: Some("version"), ..PLAIN };
    Slot = Look { table: "slot a", alias: "a",
        key: &[TENANT, ("begins", Kind::Int), ("action", Kind::Text), ("subject", Kind::Bytes), N],
        columns: "a.tenant, a.begins, a.action, a.subject, a.n", ..PLAIN };
    Idempotent = Look { table: "idempotent a", alias: "a",
        key: &[TENANT, ("principal", Kind::Text), ("key", Kind::Bytes)],
        columns: "a.tenant, a.principal, a.key", ..PLAIN };
    Tree = Look { table: "tree a", alias: "a", columns: "a.tenant, a.size", lock: Lock::Change, ..PLAIN };
    Cursor = Look { table: "cursor a", alias: "a", key: &[TENANT, ("name", Kind::Text)],
        columns: "a.tenant, a.name, a.value", lock: Lock::Change, ..PLAIN };
    Bundles = Look { table: "bundle a", alias: "a", columns: "a.tenant, a.number, a.workflow", ..PLAIN };
    Secrets = Look { table: "secret a", alias: "a", columns: "a.tenant, a.endpoint, a.kid, a.not_after", ..PLAIN };
    ApiKeys = Look { table: "api_key a", alias: "a", columns: "a.tenant, a.kid, a.expires", ..PLAIN };
    /// All tenants; the key is the reserved one, which comes before all.
    Tenants = Look { table: "tenant r", alias: "r", joins: "JOIN tenant a ON a.tenant >= r.tenant",
        columns: "a.tenant, a.name", ..PLAIN };
}

impl Look {
    /// The types of a key's values.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.key.iter().map(|k| k.1).collect()
    }

    /// The text: for SQLite of one key, for PostgreSQL of an array per column of the key.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        let alias = self.alias;
        let on: Vec<String> = (1..)
            .zip(self.key)
            .map(|(i, (column, _))| match dialect {
                Dialect::Sqlite => format!("{alias}.{column} = ?{i}"),
                Dialect::Postgres => format!("{alias}.{column} = v.c{i}"),
            })
            .collect();
        let mut on = on.join(" AND ");
        if let Some(effect) = self.holds {
            let flight = IN_FLIGHT.replace("state", &format!("{effect}.state"));
            on.push_str(&format!(
                " AND {effect}.serial_key IS NOT NULL AND {flight}"
            ));
        }
        // Of a serial key one effect at most is in flight. Said once more, it keeps PostgreSQL from reading all that are,
        // with everything that has been since the last clean-up, where it need look at one place of an index.
        let one = match (self.newest, self.holds) {
            (Some(column), _) => format!(" ORDER BY {alias}.{column} DESC LIMIT 1"),
            (None, Some(_)) => " LIMIT 1".to_owned(),
            (None, None) => String::new(),
        };
        let (columns, table, joins) = (self.columns, self.table, self.joins);
        let keys = named_unnest(&self.kinds());
        let each = format!("SELECT {columns} FROM {table} {joins} WHERE {on}{one}");
        match dialect {
            Dialect::Sqlite => each,
            Dialect::Postgres if !one.is_empty() => {
                format!("SELECT a.* FROM {keys} CROSS JOIN LATERAL ({each}) a")
            }
            Dialect::Postgres => {
                let lock = self.lock_text();
                format!(
                    "SELECT {columns} FROM {keys} JOIN {table} ON TRUE {joins} WHERE {on}{lock}"
                )
            }
        }
    }

    /// Locks are taken in the order of the keys, so that groups wait for one another and never in a ring.
    fn lock_text(&self) -> String {
        let mode = match self.lock {
            Lock::None => return String::new(),
            Lock::Share => "FOR SHARE",
            Lock::Change => "FOR UPDATE",
        };
        let by: Vec<String> = self
            .key
            .iter()
            .map(|(column, _)| format!("{}.{column}", self.alias))
            .collect();
        format!(" ORDER BY {} {mode} OF {}", by.join(", "), self.alias)
    }
}
