//! The real binary in real directories: what an operator types, and what comes back.

mod cli {
    mod again;
    pub mod bench;
    mod connectors;
    mod doors;
    mod errors;
    mod eval;
    mod examples;
    mod golden;
    mod hanging;
    mod life;
    mod newcomer;
    mod operators;
    mod schema;
    mod signing;
    mod words;
}
