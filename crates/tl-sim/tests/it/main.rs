//! The simulation in the ordinary test run: seeds that must hold, the same seed twice, and a checker that sees what
//! is wrong.

mod seeds;
mod tampered;
