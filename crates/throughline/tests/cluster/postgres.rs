//! A PostgreSQL database of the test's own.

use std::path::{Path, PathBuf};

use tl_trial::postgres::Server;

/// Stands in every address.
pub const PASSWORD: &str = "sesame-open";

/// A new database.
pub struct Database {
    name: String,
    server: &'static Server,
}

impl Database {
    /// `None`, said aloud, where PostgreSQL is not installed.
    pub fn fresh() -> Option<Database> {
        let server = Server::of_this_process()?;
        let name = server.new_name();
        let create = format!("CREATE DATABASE {name}");
        server.sql("postgres", &create).unwrap();
        Some(Database { name, server })
    }

    /// Its address, with a password that nobody asks for and nobody may see.
    pub fn url(&self) -> String {
        self.url_over(self.server.sockets())
    }

    /// The same over another directory with a socket in it.
    pub fn url_over(&self, sockets: &Path) -> String {
        format!(
            "postgres://tl:{PASSWORD}@/{}?host={}",
            self.name,
            sockets.display()
        )
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.server.socket()
    }
}
