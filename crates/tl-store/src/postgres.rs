//! The PostgreSQL engine.

pub(crate) mod ddl;
