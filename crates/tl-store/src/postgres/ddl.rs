//! What the first migration adds for PostgreSQL alone.

use crate::schema::{
    ACCOUNT, API_KEY, BUNDLE_FILES, EFFECT_BODY, EVENT_BODY, IDEMPOTENT, OUTBOX_BODY, RECORD_BODY,
    SECRET, SESSION, TURN_BODY, Table,
};

/// The role as which the product works once the migrations have run. It owns nothing.
pub(crate) const ROLE: &str = "throughline";

/// The tables that hold what senders, people and vendors said, and secrets. A row shows to a transaction that names
/// its tenant. What the engine's loops read across tenants is in none of them.
pub(crate) const GUARDED: [&Table; 11] = [
    &EVENT_BODY,
    &TURN_BODY,
    &EFFECT_BODY,
    &RECORD_BODY,
    &OUTBOX_BODY,
    &IDEMPOTENT,
    &BUNDLE_FILES,
    &SECRET,
    &API_KEY,
    &ACCOUNT,
    &SESSION,
];

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
    for table in GUARDED {
        let name = table.name;
        sql.push_str(&format!(
            "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON {name} USING ({POLICY});
"
        ));
    }
    sql.push_str(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE};
REVOKE UPDATE, DELETE ON turn FROM {ROLE};
REVOKE UPDATE ON turn_body FROM {ROLE};
REVOKE INSERT, UPDATE, DELETE ON migration FROM {ROLE};
"
    ));
    sql
}
