//! SQLite as a `World`.

use std::fs;
use std::mem;
use std::path::PathBuf;

use tempfile::TempDir;
use tl_store::{Backend, CommitAnswer, Options, Query, Reply, Unit};

use super::World;

/// A database in a directory of its own.
pub struct Sqlite {
    pub dir: TempDir,
    pub backend: Backend,
}

fn open(dir: &TempDir) -> Backend {
    Backend::open(&dir.path().join("tl.db"), &Options::default()).unwrap()
}

impl Sqlite {
    pub fn fresh() -> Sqlite {
        let dir = tempfile::tempdir().unwrap();
        let backend = open(&dir);
        Sqlite { dir, backend }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("tl.db")
    }
}

impl World for Sqlite {
    fn commit(&mut self, units: Vec<Unit>) -> Vec<CommitAnswer> {
        self.backend.commit(units)
    }

    fn query(&self, query: Query) -> Reply {
        self.backend.query(query).unwrap()
    }

    /// What a killed process leaves is what the files hold at that moment: closing would tidy them up.
    fn crash(&mut self) {
        let after = tempfile::tempdir().unwrap();
        for name in ["tl.db", "tl.db-wal"] {
            fs::copy(self.dir.path().join(name), after.path().join(name)).unwrap();
        }
        self.backend = open(&after);
        drop(mem::replace(&mut self.dir, after));
    }

    fn guest(&mut self, unit: Unit) -> CommitAnswer {
        let options = Options {
            node: None,
            ..Options::default()
        };
        let mut guest = Backend::open(&self.path(), &options).unwrap();
        guest.commit(vec![unit]).remove(0)
    }

    fn epoch(&self) -> u64 {
        self.backend.epoch()
    }

    fn integrity(&self) -> String {
        self.backend.integrity().unwrap()
    }
}
