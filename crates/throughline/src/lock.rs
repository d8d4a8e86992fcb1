//! One process at a time uses a data directory. Its lock file says who, and where a running server listens for
//! commands, so that every other command finds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Name of the lock file in the data directory.
const FILE: &str = "lock";

/// Who holds a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Where it takes commands; `None` for a command that finishes by itself.
    pub socket: Option<PathBuf>,
    /// The address of its doors.
    pub listen: Option<String>,
}

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// What became of the attempt to take a data directory.
#[derive(Debug)]
pub enum Taken {
    /// It is ours.
    Ours(Lock),
    /// It is somebody else's; `None` while they have not said who they are.
    Theirs(Option<Holder>),
}

/// Takes a data directory, creating it where it is not there.
pub fn take(data_dir: &Path) -> Result<Taken, Failure> {
    std::fs::create_dir_all(data_dir).map_err(|e| unwritable(data_dir, &e))?;
    let path = data_dir.join(FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| unwritable(data_dir, &e))?;
    match file.try_lock() {
        Ok(()) => {
            let mut lock = Lock { file };
            lock.announce(None, None)
                .map_err(|e| unwritable(data_dir, &e))?;
            Ok(Taken::Ours(lock))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // A holder that is just writing is read again by the caller.
            let _ = file.read_to_string(&mut text);
            Ok(Taken::Theirs(serde_json::from_str(&text).ok()))
        }
        Err(TryLockError::Error(e)) => Err(unwritable(data_dir, &e)),
    }
}

fn unwritable(data_dir: &Path, e: &std::io::Error) -> Failure {
    let why = match e.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "this account may not write there. Give it the right, or choose another data_dir in throughline.toml"
                .to_owned()
        }
        ErrorKind::StorageFull => "the disk is full. Make room and start again".to_owned(),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file stands where the directory should be. Choose another data_dir in throughline.toml".to_owned()
        }
        _ => format!(
            "{e}. Choose a directory that can be made there: data_dir in throughline.toml, or THROUGHLINE_DATA_DIR"
        ),
    };
    Failure::unreachable(format!(
        "TL0610 cannot write the data directory {}: {why}",
        data_dir.display()
    ))
}

impl Lock {
    /// Says who holds the directory and where it can be reached.
    pub fn announce(&mut self, socket: Option<&Path>, listen: Option<&str>) -> std::io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            socket: socket.map(Path::to_owned),
            listen: listen.map(str::to_owned),
        };
        let text = serde_json::to_string(&holder).unwrap_or_default();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_learns_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let Taken::Ours(mut lock) = take(dir.path()).unwrap() else {
            panic!("nobody else is here");
        };
        lock.announce(Some(Path::new("/x/control.sock")), Some("127.0.0.1:1"))
            .unwrap();
        let Taken::Theirs(Some(holder)) = take(dir.path()).unwrap() else {
            panic!("the lock is held");
        };
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(holder.socket.as_deref(), Some(Path::new("/x/control.sock")));
        drop(lock);
        assert!(matches!(take(dir.path()).unwrap(), Taken::Ours(_)));
    }

    #[test]
    fn whatever_is_wrong_with_the_place_it_says_what_to_do() {
        let table = [
            ErrorKind::PermissionDenied,
            ErrorKind::NotADirectory,
            ErrorKind::NotFound,
            ErrorKind::InvalidInput,
            ErrorKind::Other,
        ];
        for kind in table {
            let e = unwritable(Path::new("/proc/nope"), &kind.into());
            assert_eq!(e.code, "TL0610", "{kind}");
            assert!(e.message.contains("/proc/nope"), "{kind}: {}", e.message);
            assert!(e.message.contains("data_dir in"), "{kind}: {}", e.message);
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        std::fs::write(&path, "x").unwrap();
        let e = take(&path).unwrap_err();
        assert_eq!((e.code.as_str(), e.kind.exit_code()), ("TL0610", 4));
    }
}
