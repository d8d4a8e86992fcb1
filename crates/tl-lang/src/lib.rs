//! The workflow file: from text to a spanned tree, from the tree to findings and a program.
//!
//! Nothing here opens a file: a [`Project`] holds the contents, [`load`] compiles one workflow of it. All
//! findings of a run come together, each with its place and, nearly always, the edit that mends it.

// The tests inside share programs with those outside, which name the crate.
#[cfg(test)]
extern crate self as tl_lang;

pub mod cel;
mod codes;
pub mod connector;
mod cron;
mod cx;
mod diag;
pub mod graph;
mod hint;
mod keys;
mod literal;
mod load;
mod lower_ai;
mod lower_auth;
mod lower_decision;
mod lower_effects;
mod lower_ingress;
mod lower_policy;
mod lower_public;
mod lower_record;
mod lower_rest;
mod lower_schedules;
mod lower_states;
mod lower_table;
mod lower_tasks;
mod lower_worker;
mod project;
pub mod proof;
mod quote;
mod rows;
mod schema;
mod suggest;
mod syntax;
mod table_check;
pub mod tree;

pub use codes::{CODES, title};
pub use diag::{Diag, Edit, Mend, Severity, Span, apply_mend, render, to_json};
pub use keys::key_paths;
pub use load::{Loaded, load};
pub use lower_auth::{is_key_address, may_fetch_keys};
pub use lower_policy::effective_policy_text;
pub use project::{
    Connection, ConnectionAuth, ConnectionKind, OPERATORS, Owners, Project, SecretRef,
    bundle_digest, connections, owners,
};
pub use schema::{derived_schema, json_schema};
