//! The real binary in real directories: what an operator types, and what comes back.

mod cli {
    pub mod bench;
    mod errors;
    mod golden;
    mod life;
    mod schema;
}
