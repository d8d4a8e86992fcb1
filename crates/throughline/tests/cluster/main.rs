//! Several nodes over one PostgreSQL database: the real binary, a real server of the tests' own, signals for accidents.
//! Where PostgreSQL is not installed each test says that it was left out.

mod balance;
mod cluster;
mod postgres;
mod rolling;
mod same;
mod start;
mod survive;
mod switches;
mod wire;
