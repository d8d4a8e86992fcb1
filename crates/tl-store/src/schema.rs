//! Every table described once: names, columns, types and key. Definitions and insert statements are generated from
//! the description, so that two databases cannot drift apart.
//!
//! Rules that hold for every table: the tenant comes first in every key; a claim index starts with `due`; columns
//! are integers, checked text, or bytes; text that comes from outside is bytes, because databases disagree about
//! which characters a text may hold; personal data lives in tables of its own, beside the heads.

pub(crate) use crate::value::Kind;

/// The two ways to say things that SQL engines say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    fn column_type(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Dialect::Sqlite, Kind::Int) => "INTEGER",
            (Dialect::Sqlite, Kind::Text) => "TEXT",
            (Dialect::Sqlite, Kind::Bytes) => "BLOB",
            (Dialect::Postgres, Kind::Int) => "BIGINT",
            // Text compares by bytes, as in SQLite.
            (Dialect::Postgres, Kind::Text) => "TEXT COLLATE \"C\"",
            (Dialect::Postgres, Kind::Bytes) => "BYTEA",
        }
    }

    /// The column that numbers rows in commit order.
    fn ord_column(self) -> &'static str {
        match self {
            // Exactly this type makes it the row's own number, which costs nothing.
            Dialect::Sqlite => "ord INTEGER PRIMARY KEY",
            Dialect::Postgres => "ord BIGINT PRIMARY KEY",
        }
    }

    /// How a table ends whose rows live in the order of their key.
    fn keyed_form(self) -> &'static str {
        match self {
            Dialect::Sqlite => " WITHOUT ROWID",
            Dialect::Postgres => "",
        }
    }
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) null: bool,
}

impl Column {
    /// The column may be empty.
    const fn null(self) -> Column {
        Column { null: true, ..self }
    }
}

const fn int(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Int,
        null: false,
    }
}

const fn text(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Text,
        null: false,
    }
}

const fn bytes(name: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Bytes,
        null: false,
    }
}

/// How the rows of a table are found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    /// The writer numbers the rows in commit order (`ord`); these columns are unique too.
    Numbered(&'static [&'static str]),
    /// The row carries the `ord` of the row that it belongs to.
    Beside,
    /// Rows live in the order of these columns.
    Own(&'static [&'static str]),
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The migration that creates it.
    pub(crate) since: u32,
    pub(crate) key: Key,
    pub(crate) columns: &'static [Column],
}

impl Table {
    /// Its definition.
    pub(crate) fn create(&self, dialect: Dialect) -> String {
        let mut parts = Vec::new();
        if self.has_ord() {
            parts.push(dialect.ord_column().to_owned());
        }
        for c in self.columns {
            let ty = dialect.column_type(c.kind);
            let null = if c.null { "" } else { " NOT NULL" };
            parts.push(format!("{} {ty}{null}", c.name));
        }
        let form = match self.key {
            Key::Numbered(unique) => {
                parts.push(format!("UNIQUE ({})", unique.join(", ")));
                ""
            }
            Key::Beside => "",
            Key::Own(key) => {
                parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
                dialect.keyed_form()
            }
        };
        format!(
            "CREATE TABLE {} (\n  {}\n){form};\n",
            self.name,
            parts.join(",\n  ")
        )
    }

    fn has_ord(&self) -> bool {
        !matches!(self.key, Key::Own(_))
    }

    /// Names and types of everything that an insert gives, `ord` first where there is one.
    pub(crate) fn all(&self) -> Vec<(&'static str, Kind)> {
        let ord = self.has_ord().then_some(("ord", Kind::Int));
        let columns = self.columns.iter().map(|c| (c.name, c.kind));
        ord.into_iter().chain(columns).collect()
    }

    /// The type of a column, `ord` included.
    pub(crate) fn kind(&self, name: &str) -> Kind {
        let found = self.columns.iter().find(|c| c.name == name);
        found.map_or(Kind::Int, |c| c.kind)
    }
}

macro_rules! tables {
    ($($(#[$doc:meta])* $id:ident = $name:literal since $since:literal, $key:expr, [$($col:expr),* $(,)?];)*) => {
        $($(#[$doc])* pub(crate) const $id: Table = Table {
            name: $name, since: $since, key: $key, columns: &[$($col),*],
        };)*
        /// All of them, in the order of their creation.
        pub(crate) const TABLES: &[Table] = &[$($id),*];
    };
}

tables! {
    /// A process that sends effects: how often it was started, until when it may write (µs of the database's clock;
    /// the end of time where nobody else could take over, 0 once it lapsed), and the last group that it committed.
    NODE = "node" since 1, Key::Own(&["id"]), [
        int("id"), int("epoch"), int("lease_until"), int("last_group"),
    ];
    /// A tenant's name.
    TENANT = "tenant" since 1, Key::Own(&["tenant"]), [int("tenant"), text("name"), int("at")];
    /// The number that every change of switches, flags, keys and policies raises.
    GATE = "gate" since 1, Key::Own(&["tenant"]), [int("tenant"), int("epoch")];
    /// Counts that are kept, so that nobody scans for them.
    /// Each node adds to rows of its own, so that none waits for another; readers add them up.
    COUNTER = "counter" since 1, Key::Own(&["tenant", "what", "name", "state", "node"]),
        [int("tenant"), int("what"), text("name"), int("state"), int("node"), int("n")];
    /// How far a follower has come.
    CURSOR = "cursor" since 1, Key::Own(&["tenant", "name"]), [int("tenant"), text("name"), int("value")];

    /// An accepted message. `joined`: see `backend::Joined`; a case that it opened has its id.
    EVENT = "event" since 1, Key::Numbered(&["tenant", "id"]), [
        int("tenant"), bytes("id"), text("endpoint"), int("received_at"), text("kid"), text("key_source"),
        int("joined"), bytes("case_id").null(), int("duplicates"),
    ];
    /// What the sender wrote.
    EVENT_BODY = "event_body" since 1, Key::Beside, [int("tenant"), bytes("content_type"), bytes("payload")];
    /// A duplicate whose bytes differed.
    VARIANT = "event_variant" since 1, Key::Own(&["tenant", "event", "body"]),
        [int("tenant"), int("event"), bytes("body"), int("at")];
    /// Dedupe keys, shortened: see `backend::short_key`.
    DEDUPE = "dedupe" since 1, Key::Own(&["tenant", "key"]),
        [int("tenant"), bytes("key"), int("event"), int("expires")];
    /// Natural keys that cases hold, shortened.
    NATURAL_KEY = "natural_key" since 1, Key::Own(&["tenant", "key"]),
        [int("tenant"), bytes("key"), bytes("case_id")];

    /// Turn heads in commit order. The leaf is not stored: it is the hash of the head.
    TURN = "turn" since 1, Key::Numbered(&["tenant", "case_id", "seq"]),
        [int("tenant"), bytes("case_id"), int("seq"), bytes("head")];
    /// Turn bodies: what may be personal.
    TURN_BODY = "turn_body" since 1, Key::Beside, [int("tenant"), bytes("body")];
    /// The derived row of a case.
    CASE_HEAD = "case_head" since 1, Key::Own(&["tenant", "case_id"]), [
        int("tenant"), bytes("case_id"), int("seq"), int("state"), text("owner"), int("definition"),
        int("opened_at"), int("updated_at"), int("due").null(), int("closed"), int("open_tasks"),
        int("open_effects"), text("reason"), text("correlation"), text("workflow"),
    ];
    /// The ledger.
    EFFECT = "effect" since 1, Key::Numbered(&["tenant", "case_id", "n"]), [
        int("tenant"), bytes("case_id"), int("n"), int("seq"), int("kind"), text("action"), text("connection"),
        int("class"), bytes("digest"), bytes("vendor_key"), bytes("serial_key").null(), int("planned_at"),
        // From here on: what changes, in the order of `logic::effects::Known::image`.
        int("state"), int("due"), int("valid_until"), text("hold"), bytes("base_version").null(), int("attempt"),
        int("node").null(), int("epoch").null(), int("deadline").null(), int("first_send").null(),
        int("updated_at"), text("code"), bytes("vendor_ref").null(), int("crashes"),
    ];
    /// Arguments of effects, where the body of the turn that planned them (`effect.seq`) does not hold them.
    EFFECT_BODY = "effect_body" since 1, Key::Beside, [int("tenant"), bytes("args")];
    /// Finished attempts.
    ATTEMPT = "attempt" since 1, Key::Own(&["tenant", "case_id", "n", "attempt"]), [
        int("tenant"), bytes("case_id"), int("n"), int("attempt"), int("at"), int("took"),
        text("knowledge"), int("status"), text("code"), bytes("detail"),
    ];
    /// Timers that are set. `kind`: see `backend::timer_number`.
    TIMER = "timer" since 1, Key::Own(&["tenant", "case_id", "n"]),
        [int("tenant"), bytes("case_id"), int("n"), int("kind"), int("due")];
    /// Work for people. Without a due time `due` is the end of time, so that it sorts last everywhere.
    TASK = "task" since 1, Key::Own(&["tenant", "case_id", "n"]), [
        int("tenant"), bytes("case_id"), int("n"), text("kind"), text("owner"), text("reason"), int("due"),
        int("effect").null(), int("opened_at"), int("closed_at").null(), text("decision"),
    ];
    /// Uses of limits.
    SLOT = "slot" since 1, Key::Own(&["tenant", "begins", "action", "subject", "n"]),
        [int("tenant"), int("begins"), text("action"), bytes("subject"), int("n")];

    /// Versions of records in the built-in record store.
    RECORD = "record" since 1, Key::Numbered(&["tenant", "kind", "id", "version"]), [
        int("tenant"), text("kind"), bytes("id"), int("version"), text("by_whom"), int("at"),
        bytes("write_key").null(),
    ];
    /// What the records hold.
    RECORD_BODY = "record_body" since 1, Key::Beside, [int("tenant"), bytes("body"), bytes("provenance")];
    /// Messages that the outbox holds.
    OUTBOX = "outbox" since 1, Key::Numbered(&["tenant", "case_id", "n", "at"]),
        [int("tenant"), bytes("case_id"), int("n"), int("at"), text("channel")];
    /// Recipients and texts.
    OUTBOX_BODY = "outbox_body" since 1, Key::Beside,
        [int("tenant"), bytes("recipient"), bytes("subject"), bytes("body")];
    /// Saved answers of API commands.
    IDEMPOTENT = "idempotent" since 1, Key::Numbered(&["tenant", "principal", "key"]), [
        int("tenant"), text("principal"), bytes("key"), bytes("fingerprint"), int("status"), int("expires"),
        bytes("body"),
    ];

    /// Switches in force.
    SWITCH = "switch" since 1, Key::Own(&["tenant", "scope"]),
        [int("tenant"), text("scope"), text("mode"), text("by_whom"), bytes("reason"), int("at")];
    /// Feature flags.
    FLAG = "flag" since 1, Key::Own(&["tenant", "name"]), [int("tenant"), text("name"), int("value")];
    /// Addresses to which nothing is sent; `subject` is a keyed digest of channel and address. What an address's owner
    /// has said and what somebody here has decided stand beside each other.
    SUPPRESSION = "suppression" since 4, Key::Own(&["tenant", "subject", "by_owner"]), [
        int("tenant"), bytes("subject"), int("by_owner"), text("channel"), bytes("address"), text("by_whom"), bytes("reason"), int("at"),
    ];
    /// Deployed bundles.
    BUNDLE = "bundle" since 1, Key::Numbered(&["tenant", "number"]), [
        int("tenant"), int("number"), text("workflow"), bytes("version"), bytes("digest"), int("at"),
    ];
    /// Their files.
    BUNDLE_FILES = "bundle_files" since 1, Key::Beside, [int("tenant"), bytes("files")];
    /// Which bundle of a workflow is current.
    CURRENT = "current_bundle" since 1, Key::Own(&["tenant", "workflow"]),
        [int("tenant"), text("workflow"), int("number")];
    /// Secrets of endpoints, sealed.
    SECRET = "secret" since 1, Key::Own(&["tenant", "endpoint", "kid"]), [
        int("tenant"), text("endpoint"), text("kid"), bytes("sealed"), int("not_before"),
        int("not_after").null(), text("by_whom"),
    ];
    /// Endpoints that an operator closed.
    DISABLED = "endpoint_disabled" since 1, Key::Own(&["tenant", "endpoint"]), [int("tenant"), text("endpoint")];
    /// API keys, hashed.
    API_KEY = "api_key" since 1, Key::Own(&["tenant", "kid"]), [
        int("tenant"), text("kid"), bytes("hash"), text("scopes"), int("expires").null(), text("by_whom"),
        int("at"),
    ];

    /// People who may sign in. `password`: a PHC string.
    ACCOUNT = "account" since 1, Key::Own(&["tenant", "name"]), [
        int("tenant"), text("name"), bytes("shown"), text("role"), bytes("password"), text("by_whom"), int("at"),
    ];
    /// Signed in: the digest of what the browser holds.
    SESSION = "session" since 1, Key::Own(&["tenant", "token"]), [
        int("tenant"), bytes("token"), text("account"), int("begun"), int("seen"), int("ends"),
    ];

    /// How far a tenant's tree has come.
    TREE = "tree" since 1, Key::Own(&["tenant"]), [int("tenant"), int("size"), int("after"), bytes("frontier")];
    /// Runs of leaves: 32 bytes each, the first one at `pos`.
    PLACED = "placed" since 1, Key::Numbered(&["tenant", "pos"]), [int("tenant"), int("pos"), bytes("leaves")];
    /// Signed sizes and roots.
    CHECKPOINT = "checkpoint" since 1, Key::Own(&["tenant", "size"]),
        [int("tenant"), int("size"), bytes("root"), bytes("sig"), int("at")];
}

/// Condition of the effects that may be sent when due.
pub(crate) const READY: &str = "state = 1";
/// Condition of the effects whose attempt is on its way or whose end is not known; these hold their serial key.
pub(crate) const IN_FLIGHT: &str = "(state = 2 OR state = 3 OR state = 4)";
/// Condition of the effects that a person may want to see: never true on the way of an ordinary effect.
const NOTABLE: &str = "(state = 0 OR state = 3 OR state = 4 OR state = 6 OR state = 10)";

/// Indexes and rows that the first migration adds to its tables.
pub(crate) fn first_extras() -> String {
    format!(
        "CREATE UNIQUE INDEX tenant_name ON tenant (name);
CREATE INDEX event_joined ON event (tenant, case_id) WHERE case_id IS NOT NULL;
CREATE INDEX event_pending ON event (ord) WHERE joined = 0;
CREATE INDEX case_open ON case_head (tenant, state, case_id) WHERE closed = 0;
CREATE INDEX effect_ready ON effect (due, ord) WHERE {READY};
CREATE INDEX effect_in_flight ON effect (due, ord) WHERE {IN_FLIGHT};
CREATE UNIQUE INDEX effect_serial ON effect (tenant, serial_key) WHERE {IN_FLIGHT} AND serial_key IS NOT NULL;
CREATE INDEX effect_notable ON effect (tenant, state, case_id, n) WHERE {NOTABLE};
CREATE INDEX timer_due ON timer (due);
CREATE INDEX task_open ON task (tenant, due, case_id, n) WHERE closed_at IS NULL;
CREATE INDEX outbox_tenant ON outbox (tenant, ord);
CREATE INDEX idempotent_expiry ON idempotent (tenant, expires);
INSERT INTO tenant (tenant, name, at) VALUES (0, 'system', 0);
"
    )
}

/// What the third migration does: of what waits, each tenant's effects on a connection stand together, so that the
/// first ones of all are found without passing those of any.
pub(crate) fn lines() -> String {
    format!(
        "DROP INDEX effect_ready;
DROP INDEX effect_in_flight;
CREATE INDEX effect_ready ON effect (tenant, connection, due, ord) WHERE {READY};
CREATE INDEX effect_in_flight ON effect (tenant, connection, due, ord) WHERE {IN_FLIGHT};
"
    )
}

/// What the fourth migration adds to its table.
pub(crate) const NEWEST_SUPPRESSED: &str =
    "CREATE INDEX suppression_at ON suppression (tenant, at);\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of a key exist, and the tenant leads; a node belongs to the installation.
    #[test]
    fn the_tenant_leads_every_key() {
        for t in TABLES {
            let lead = if t.name == "node" { "id" } else { "tenant" };
            assert_eq!(t.columns[0].name, lead, "{}", t.name);
            if let Key::Own(key) | Key::Numbered(key) = t.key {
                assert_eq!(key[0], lead, "{}", t.name);
                for k in key {
                    let column = t.columns.iter().find(|c| c.name == *k);
                    assert!(column.is_some_and(|c| !c.null), "{}.{k}", t.name);
                }
            }
        }
    }
}
