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
        Some(Database::on(Server::of_this_process()?))
    }

    /// A new database on this server.
    pub fn on(server: &'static Server) -> Database {
        let name = server.new_name();
        let create = format!("CREATE DATABASE {name}");
        server.sql("postgres", &create).unwrap();
        Database { name, server }
    }

    /// Ends the server as an accident of its machine would, and starts it again.
    pub fn crash_server(&self) {
        self.server.crash();
    }

    /// Its address, with a password that nobody asks for and nobody may see.
    pub fn url(&self) -> String {
        self.url_over(self.server.sockets())
    }

    /// The same over another directory with a socket in it.
    pub fn url_over(&self, sockets: &Path) -> String {
        // The port names the socket, wherever that lies.
        format!(
            "postgres://tl:{PASSWORD}@/{}?host={}&port={}",
            self.name,
            sockets.display(),
            self.server.port()
        )
    }

    /// A number that the database knows, asked past the product.
    pub fn number(&self, sql: &str) -> u64 {
        let said = self.server.sql(&self.name, sql).unwrap();
        said.parse().unwrap_or_else(|_| panic!("{sql}: {said}"))
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.server.socket()
    }
}
