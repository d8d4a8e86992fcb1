//! The store on a disk that loses power, fills up and fails.

mod faults;
mod power;
mod promises;
mod space;
mod torn;
mod world;
