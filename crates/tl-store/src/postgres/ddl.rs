//! What migrations add for PostgreSQL alone.

use crate::schema::{
    ACCOUNT, API_KEY, ATTEMPT, BUNDLE_FILES, EFFECT_BODY, EVENT_BODY, IDEMPOTENT, OUTBOX_BODY,
    RECORD, RECORD_BODY, SECRET, SESSION, SUPPRESSION, SWITCH, TURN_BODY, Table,
};

/// The role as which the product works once the migrations have run. It owns nothing.
pub(crate) const ROLE: &str = "throughline";

/// The tables that hold what senders, people and vendors said, and secrets, each with the migration that guards it. A
/// row shows to a transaction that names its tenant. What the engine's loops read across tenants is in none of them.
pub(crate) const GUARDED: [(&Table, u32); 15] = [
    (&EVENT_BODY, 1),
    (&TURN_BODY, 1),
    (&EFFECT_BODY, 1),
    (&RECORD_BODY, 1),
    (&OUTBOX_BODY, 1),
    (&IDEMPOTENT, 1),
    (&BUNDLE_FILES, 1),
    (&SECRET, 1),
    (&API_KEY, 1),
    (&ACCOUNT, 1),
    (&SESSION, 1),
    // The id of a record may be an address.
    (&RECORD, 2),
    // What a vendor answered.
    (&ATTEMPT, 2),
    // Why somebody set it, in their words.
    (&SWITCH, 2),
    // Addresses of people.
    (&SUPPRESSION, 4),
];

/// The policy of every guarded table.
pub(crate) const OWN: &str = "own_tenant";
/// One more, of switches: those of the installation hold for every tenant, which may read them.
pub(crate) const SHARED: (&str, &str, &str) = ("of_the_installation", "switch", "(tenant = 0)");

/// The list of tenants is read once per statement, not once per row.
const POLICY: &str =
    "tenant = ANY ((SELECT string_to_array(current_setting('tl.tenants', true), ','))::bigint[])";

/// The journal refuses changes, also from its owner.
const APPEND_ONLY: &str = "\
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$;
CREATE TRIGGER turn_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON turn
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER turn_body_no_update BEFORE UPDATE ON turn_body
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
-- Positions in the journal follow transaction ids, which start again in a restored copy: `base` lifts them.
CREATE TABLE position_base (one BIGINT PRIMARY KEY, base BIGINT NOT NULL);
INSERT INTO position_base VALUES (1, 0);
";

/// Triggers, policies and grants.
pub(crate) fn first_extras() -> String {
    let mut sql = APPEND_ONLY.to_owned();
    sql.push_str(&guards(1));
    sql.push_str(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE};
REVOKE UPDATE, DELETE ON turn FROM {ROLE};
REVOKE UPDATE ON turn_body FROM {ROLE};
REVOKE INSERT, UPDATE, DELETE ON migration FROM {ROLE};
"
    ));
    sql
}

/// What the second one adds.
pub(crate) fn second_extras() -> String {
    let (name, table, whose) = SHARED;
    format!(
        "{}CREATE POLICY {name} ON {table} FOR SELECT USING {whose};\n",
        guards(2)
    )
}

/// What the fourth one adds.
pub(crate) fn fourth_extras() -> String {
    let name = SUPPRESSION.name;
    format!(
        "{}GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {ROLE};\n",
        guards(4)
    )
}

/// Guards the tables of one migration.
fn guards(version: u32) -> String {
    let tables = GUARDED.iter().filter(|(_, since)| *since == version);
    let guard = |(table, _): &(&Table, u32)| {
        let name = table.name;
        format!(
            "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
CREATE POLICY {OWN} ON {name} USING ({POLICY});
"
        )
    };
    tables.map(guard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::*;

    /// The tables that are not guarded, and why nothing in them says in clear what a person or a vendor said. A new
    /// table stands here or among the guarded ones.
    const OPEN: [(&Table, &str); 23] = [
        (&NODE, "of the installation"),
        (&TENANT, "the operator's name for a tenant"),
        (&GATE, "numbers"),
        (&COUNTER, "numbers by workflow, class and state"),
        (&CURSOR, "positions by our own names"),
        (
            &EVENT,
            "ids, times, and the words of the definition and of keys",
        ),
        (&VARIANT, "digest of what differed"),
        (&DEDUPE, "shortened digests"),
        (&NATURAL_KEY, "shortened digests"),
        (
            &TURN,
            "heads: the audit, which the follower reads across tenants; persons are named as accounts are",
        ),
        (
            &CASE_HEAD,
            "words of the definition; the correlation id must hold no personal data",
        ),
        (
            &EFFECT,
            "the queue that the engine reads across tenants: digests, states, and the vendor's own ids",
        ),
        (&TIMER, "times"),
        (
            &TASK,
            "words of the definition, owners as accounts or teams are named, codes",
        ),
        (&SLOT, "keyed digests"),
        (&OUTBOX, "ids, times, a channel"),
        (&FLAG, "names of flags"),
        (&BUNDLE, "digest and the author's version"),
        (&CURRENT, "numbers by workflow"),
        (&DISABLED, "names of endpoints"),
        (&TREE, "hashes of heads"),
        (&PLACED, "hashes of heads"),
        (&CHECKPOINT, "hashes and signatures"),
    ];

    #[test]
    fn every_table_is_guarded_or_known_to_need_no_guard() {
        let guarded = GUARDED.iter().map(|(t, _)| t.name);
        let open = OPEN.iter().map(|(t, _)| t.name);
        let mut judged: Vec<&str> = guarded.chain(open).collect();
        let mut all: Vec<&str> = TABLES.iter().map(|t| t.name).collect();
        judged.sort_unstable();
        all.sort_unstable();
        assert_eq!(judged, all);
    }
}
