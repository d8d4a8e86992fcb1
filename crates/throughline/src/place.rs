//! Where the data lies: a file of this machine, or a PostgreSQL database that several nodes share.

use std::path::{Path, PathBuf};

use tl_store::Location;

/// Stands where a password stood.
const HIDDEN: &str = "***";
/// The parameter of an address that holds a password.
const PASSWORD: &str = "password=";

/// A database.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// A PostgreSQL database; its address may hold a password.
    Server(String),
}

/// An address may hold a password.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Place {
    /// Reads a setting: an address of a server, else a path below the project directory.
    pub fn of(text: &str, dir: &Path) -> Place {
        if is_address(text) {
            Place::Server(text.to_owned())
        } else {
            Place::File(dir.join(text))
        }
    }

    /// The same database with a password that was kept apart.
    pub fn with_password(self, password: &str) -> Place {
        match self {
            Place::Server(url) => {
                let with = if url.contains('?') { '&' } else { '?' };
                Place::Server(format!("{url}{with}{PASSWORD}{}", encoded(password)))
            }
            file @ Place::File(_) => file,
        }
    }

    /// Several nodes may use it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Place::Server(_))
    }

    /// There may be data: a file that exists, or a server, which has to be asked.
    pub fn may_hold_data(&self) -> bool {
        match self {
            Place::File(path) => path.exists(),
            Place::Server(_) => true,
        }
    }

    /// As the store takes it.
    pub fn location(&self) -> Location {
        match self {
            Place::File(path) => Location::File(path.clone()),
            Place::Server(url) => Location::Postgres(url.clone()),
        }
    }

    /// For people: without a password.
    pub fn shown(&self) -> String {
        match self {
            Place::File(path) => path.display().to_string(),
            Place::Server(url) => shown(url),
        }
    }

    /// What keeps it, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Place::File(_) => "sqlite",
            Place::Server(_) => "postgres",
        }
    }
}

/// Whether a setting is the address of a server.
pub fn is_address(text: &str) -> bool {
    matches!(text.parse(), Ok(Location::Postgres(_)))
}

/// An address without its password, wherever it stands in it.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (before, parameters) = match rest.split_once('?') {
        Some((before, parameters)) => (before, Some(parameters)),
        None => (rest, None),
    };
    // A password may hold any character but the last `@`.
    let before = match before.rsplit_once('@') {
        Some((who, host)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => before.to_owned(),
        },
        None => before.to_owned(),
    };
    let Some(parameters) = parameters else {
        return format!("{scheme}://{before}");
    };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|p| match p.get(..PASSWORD.len()) {
            Some(name) if name.eq_ignore_ascii_case(PASSWORD) => format!("{PASSWORD}{HIDDEN}"),
            _ => p.to_owned(),
        })
        .collect();
    format!("{scheme}://{before}?{}", parameters.join("&"))
}

/// Text as a parameter of an address.
fn encoded(text: &str) -> String {
    let one = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(b).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let table = [
            ("postgres://tl@db/tl", "postgres://tl@db/tl"),
            ("postgres://tl:secret@db/tl", "postgres://tl:***@db/tl"),
            (
                "postgres://tl:se@cret:@db:5432/tl",
                "postgres://tl:***@db:5432/tl",
            ),
            (
                "postgresql://db/tl?user=tl&password=secret&sslmode=require",
                "postgresql://db/tl?user=tl&password=***&sslmode=require",
            ),
            (
                "postgres://tl:secret@/tl?host=/run&PASSWORD=secret",
                "postgres://tl:***@/tl?host=/run&password=***",
            ),
        ];
        for (url, want) in table {
            let place = Place::of(url, Path::new("/p"));
            assert_eq!(place.shown(), want);
            assert_eq!(format!("{place:?}"), want);
            let with = Place::of(url, Path::new("/p")).with_password("se cret&");
            assert!(!with.shown().contains("cret"), "{}", with.shown());
        }
    }

    #[test]
    fn an_address_is_told_from_a_path() {
        let dir = Path::new("/p");
        let table = [
            ("data/x.db", Place::File("/p/data/x.db".into())),
            ("/var/x.db", Place::File("/var/x.db".into())),
            ("postgres://db/x", Place::Server("postgres://db/x".into())),
        ];
        for (text, want) in table {
            let place = Place::of(text, dir);
            assert_eq!(place, want);
            assert_eq!(place.is_shared(), is_address(text), "{text}");
        }
        let with = Place::Server("postgres://tl@db/x?a=b".into()).with_password("p w%");
        assert_eq!(
            with,
            Place::Server("postgres://tl@db/x?a=b&password=p%20w%25".into())
        );
    }
}
