//! Every command by what it does to the database. The command line itself is compared with these lists, so that a new
//! command is on one of them before anything passes.

/// Commands that change something, and a table that each is about. CASE, TASK and KEY are put in.
pub const CHANGES: &[(&str, &str)] = &[
    ("tenant create acme", "tenant"),
    ("tenant disable acme --reason gone", "switch"),
    ("tenant enable acme --reason back", "switch"),
    ("endpoint rotate default/web", "secret"),
    ("endpoint rotate default/web", "secret"),
    ("endpoint disable web --reason drill", "endpoint_disabled"),
    ("endpoint enable web --reason over", "endpoint_disabled"),
    ("key create --scope events", "api_key"),
    ("key rotate KEY", "api_key"),
    ("key disable KEY --reason lost", "api_key"),
    ("flag set beta on", "flag"),
    ("flag set beta off", "flag"),
    ("flag set beta remove", "flag"),
    ("flag set beta on --installation", "flag"),
    ("case assign CASE operators --reason drill", "case_head"),
    ("case close CASE --reason drill", "case_head"),
    ("case reopen CASE --reason drill", "case_head"),
    ("case move CASE closed --reason drill", "case_head"),
    ("case reopen CASE --reason drill", "case_head"),
    ("task decide TASK close --reason drill", "task"),
    ("kill set action:reply --reason drill", "switch"),
    ("kill set everything --reason drill", "switch"),
    ("kill clear action:reply --reason over", "switch"),
    ("kill clear everything --reason over", "switch"),
    (
        "suppression add ada@example.com --reason drill",
        "suppression",
    ),
    (
        "suppression remove ada@example.com --reason over",
        "suppression",
    ),
    ("deploy --yes", "bundle"),
    ("rollback lead 1 --reason too_strict", "current_bundle"),
    ("import rows.csv --to web", "event"),
];

/// Commands that read, each with what it prints for a script. CASE, TASK, EFFECT, SENT, DEAD, RECORD and
/// EXPORT are put in.
pub const READS: &[(&str, Prints)] = &[
    ("status", Prints::Json),
    ("clock", Prints::Json),
    ("config", Prints::Json),
    ("check", Prints::Json),
    ("schema", Prints::Json),
    ("connector list", Prints::Json),
    ("connector show hubspot", Prints::Json),
    ("connector check", Prints::Json),
    ("connector schema", Prints::Json),
    ("graph lead", Prints::Json),
    ("try m.json --endpoint web", Prints::Json),
    ("case list", Prints::Json),
    ("case show CASE", Prints::Json),
    ("explain CASE", Prints::Json),
    ("explain EFFECT", Prints::Json),
    ("explain TL0701", Prints::Json),
    ("explain needs_human", Prints::Json),
    ("task list", Prints::Json),
    ("task list --all", Prints::Json),
    ("task show TASK", Prints::Json),
    ("effect list", Prints::Json),
    ("effect show EFFECT", Prints::Json),
    ("dead list", Prints::Json),
    ("dead groups", Prints::Json),
    ("dead show DEAD", Prints::Json),
    ("outbox list", Prints::Json),
    ("outbox show SENT", Prints::Json),
    ("record show lead RECORD", Prints::Json),
    ("connection list", Prints::Json),
    ("kill list", Prints::Json),
    ("flag list", Prints::Json),
    ("suppression list", Prints::Json),
    ("key list", Prints::Json),
    ("endpoint list", Prints::Json),
    ("tenant list", Prints::Json),
    ("versions", Prints::Json),
    ("audit export", Prints::Lines),
    ("audit verify EXPORT", Prints::Json),
];

/// What a command prints with `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// One document.
    Json,
    /// A document a line.
    Lines,
}

/// Commands that are on neither list, and why.
pub const NEITHER: &[(&str, &str)] = &[
    (
        "effect resolve",
        "changes; `incidents` follows it where another system plays",
    ),
    (
        "dead redrive",
        "changes; `incidents` follows it where another system plays",
    ),
    (
        "clock accept",
        "changes; `cli::clock` lets a machine's clock jump first",
    ),
    (
        "connection check",
        "asks other systems, and changes nothing; `cli::connections` has some",
    ),
    ("serve", "runs until it is ended"),
    ("demo", "makes an installation of its own"),
    ("bench", "makes an installation of its own"),
    ("init", "writes files of a project, and knows no database"),
    (
        "connector new",
        "writes a file of the project, and knows no database",
    ),
    ("send", "goes through a door, as any sender does"),
    ("eval", "reads files of the project, and knows no database"),
    ("migrate", "opens the database, as every command does"),
];
