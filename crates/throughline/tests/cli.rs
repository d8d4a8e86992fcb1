//! The real binary in real directories: what an operator types, and what comes back.

mod cli {
    mod again;
    pub mod bench;
    mod errors;
    mod golden;
    mod life;
    mod operators;
    mod schema;
    mod signing;
}
