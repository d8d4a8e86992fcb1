//! When a machine's answers may go through without a person: bounds on an error rate from reviewed cases, a threshold
//! whose error is bounded with a stated level of confidence, and a watch that notices when the rate has risen.
//!
//! The bounds hold for cases like the reviewed ones: drawn at random from the traffic that they are to speak for, and
//! judged right. They hold for any model, also one that lies about its confidence; such a model only loses coverage.

mod batch;
mod binomial;
mod drift;
mod ladder;

pub use batch::{Evidence, Judgement, Target, certify_batch};
pub use binomial::{fewest_cases, lower_limit, share_at_most, upper_limit};
pub use drift::{DriftLevel, DriftWatch};
pub use ladder::{Ladder, Rung, evidence_against};
