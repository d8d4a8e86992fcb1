//! The web console: pages rendered on the server, one small script, sign-in, and what each role may do.
//!
//! The console holds no rule of the domain and opens neither the store nor a socket: everything that it shows or
//! changes it asks of [`house::House`], which the binary answers. Pages are functions from what is shown to HTML, so
//! that each can be looked at in every state without a server.

pub mod access;
pub mod house;
pub mod views;

mod assets;
mod forms;
mod guard;
mod pages;
mod parts;
mod password;
mod routes;
mod session;
mod shell;
mod time;
mod trouble;

pub use routes::{Console, Setting, router};
pub use trouble::Trouble;
