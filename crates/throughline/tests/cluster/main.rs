//! Several nodes over one PostgreSQL database: the real binary, a real server of the tests' own, signals for accidents.
//! Where PostgreSQL is not installed each test says that it was left out.

mod balance;
mod behind;
mod benches;
mod brownout;
mod cable;
mod cluster;
mod crashes;
mod drains;
mod figures;
mod full;
mod kills;
mod mail;
mod overload;
mod postgres;
mod rates;
mod rolling;
mod same;
mod schedules;
mod start;
mod survive;
mod switches;
mod wire;
