//! The real binary in real directories: what an operator types, and what comes back.

mod cli {
    mod again;
    pub mod bench;
    mod clock;
    mod connections;
    mod connectors;
    mod documents;
    mod doors;
    mod errors;
    mod eval;
    mod examples;
    mod golden;
    mod hanging;
    mod import;
    mod life;
    mod mail;
    mod mailbox;
    mod mailbox_odd;
    mod messages;
    mod newcomer;
    mod operators;
    mod postfix;
    mod schedules;
    mod schema;
    mod signing;
    mod suppression;
    mod words;
}
