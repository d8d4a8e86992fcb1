//! What can go wrong apart from a refused unit. Each error has a code and says what the reader can do.

/// Why a store cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened for writing or created.
    #[error(
        "TL0610 cannot write {path}: {why}. Check that the directory exists, that this account may write in it \
         and that the disk is not mounted read-only."
    )]
    Unwritable {
        /// The file.
        path: String,
        /// The database's words.
        why: String,
    },
    /// Something else is in the file.
    #[error(
        "TL0611 {path} is no Throughline database. Choose another directory, or move the file away."
    )]
    NotOurs {
        /// The file.
        path: String,
    },
    /// A newer release has written it.
    #[error(
        "TL0612 the database has schema {found}, this program knows {known}. Run the newer release again, or \
         restore the backup that was made before the upgrade."
    )]
    Newer {
        /// Schema of the file.
        found: u32,
        /// Newest schema this program knows.
        known: u32,
    },
    /// A migration was applied in another form than the one this program carries.
    #[error(
        "TL0613 schema step {version} of the database is not the one this program carries. Run the release that \
         wrote it, or restore a backup."
    )]
    Edited {
        /// Which step.
        version: u32,
    },
    /// The linked SQLite library is too old to be safe.
    #[error(
        "TL0614 SQLite {found} is linked; 3.51.3 or later is needed. Build with the bundled library."
    )]
    Library {
        /// Its version.
        found: String,
    },
    /// Another process holds the write lock for long.
    #[error(
        "TL0615 another process is writing to {path}. Stop it, or talk to the running server instead."
    )]
    Busy {
        /// The file.
        path: String,
    },
    /// A guest does not migrate.
    #[error(
        "TL0616 the database has schema {found}, this program needs {known}. Start the server once with this \
         release; it brings the database up to date."
    )]
    Older {
        /// Schema of the file.
        found: u32,
        /// Schema this program needs.
        known: u32,
    },
    /// The PostgreSQL server cannot be used.
    #[error(
        "TL0618 {path} cannot be used: {why}. Check the address, that the server runs, and that the account may \
         connect and create tables."
    )]
    Server {
        /// Which database, without the password.
        path: String,
        /// The server's words.
        why: String,
    },
    /// The way to the server is not encrypted as the address demands.
    #[error(
        "TL0608 {path}: the connection cannot be encrypted as it must be: {why}. Switch on `ssl` in the server and \
         name the authority of its certificate (sslmode=verify-full, sslrootcert=FILE), or write sslmode=disable \
         into the address where nobody listens on the network between."
    )]
    Encryption {
        /// Which database, without the password.
        path: String,
        /// What is missing, or what is wrong with the certificate.
        why: String,
    },
    /// The role as which the product works cannot be had.
    #[error(
        "TL0619 {path}: the role `throughline` is not there and cannot be created or taken: {why}. Let an \
         administrator run: CREATE ROLE throughline NOLOGIN; GRANT throughline TO the account that connects."
    )]
    Role {
        /// Which database.
        path: String,
        /// The server's words.
        why: String,
    },
    /// Row-level security does not hold.
    #[error(
        "TL0609 {path}: tenants are not kept apart: {why}. Nothing is started; let an administrator put that right."
    )]
    Exposed {
        /// Which database.
        path: String,
        /// What stands open, in names of tables and roles.
        why: String,
    },
    /// The server cannot do what the product needs.
    #[error(
        "TL0624 {path}: PostgreSQL {found} is too old; {needed} or later is needed. Upgrade the server, or name \
         another one."
    )]
    OldServer {
        /// Which database.
        path: String,
        /// The server's version.
        found: String,
        /// The oldest version that will do.
        needed: u32,
    },
    /// Anything else.
    #[error(
        "TL0617 {path} cannot be used: {why}. If the disk is well, restore the newest backup and compare it \
         with the external checkpoint."
    )]
    Database {
        /// The file.
        path: String,
        /// The database's words.
        why: String,
    },
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be read at the moment. Ask again later.
    #[error("TL0603 the store cannot be read now: {why}")]
    Unavailable {
        /// Kind of fault.
        why: String,
    },
    /// A stored value has no meaning for this program. Restore, or run the release that wrote it.
    #[error("TL0604 a stored {what} cannot be read: {why}")]
    Damaged {
        /// What kind of row.
        what: String,
        /// What is wrong with it, without values.
        why: String,
    },
    /// The store was closed. Nothing more can be asked of it.
    #[error("TL0605 the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> StoreError {
        match &e {
            rusqlite::Error::SqliteFailure(..) => StoreError::Unavailable { why: e.to_string() },
            rusqlite::Error::FromSqlConversionFailure(column, ..)
            | rusqlite::Error::IntegralValueOutOfRange(column, _)
            | rusqlite::Error::InvalidColumnType(column, ..) => StoreError::Damaged {
                what: "row".into(),
                why: format!("column {column} holds another type or range"),
            },
            _ => StoreError::Damaged {
                what: "row".into(),
                why: "it has another shape".into(),
            },
        }
    }
}
