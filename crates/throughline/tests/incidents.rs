//! Ten incidents, each brought about in a running installation. Whoever sees nothing but the one screen of
//! `throughline explain` can name the cause, and the command it prints does what it says.

mod incidents {
    #[allow(dead_code, reason = "each suite uses its own part of the bench")]
    #[path = "../cli/bench.rs"]
    pub mod bench;
    mod planted;
    mod scene;
}
