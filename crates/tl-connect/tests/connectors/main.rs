//! Connectors as data: connector files alone against servers with the habits of real systems, and the files that come
//! with the product against what the vendors' own libraries send.

mod contracts;
mod cut;
mod pages;
mod shipped;
mod stand;
mod traits;
