//! A wire between a node and the server that breaks when it is told to.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread;

use tempfile::TempDir;

use super::postgres::Database;

/// What becomes of the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Nothing.
    Never,
    /// It arrives; its answer does not, and the connection ends.
    Answer,
    /// It does not arrive, and the connection ends.
    Commit,
}

/// Passes bytes on. The breaks are used up as they happen.
pub struct Wire {
    dir: TempDir,
    server: String,
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    next: AtomicU8,
    /// Connections that are ended as soon as they are made.
    hang_ups: AtomicU32,
}

impl Plan {
    /// Takes the break that is planned for a COMMIT.
    fn take(&self) -> Break {
        match self.next.swap(0, Ordering::SeqCst) {
            0 => Break::Never,
            1 => Break::Answer,
            _ => Break::Commit,
        }
    }
}

impl Wire {
    pub fn to(database: &Database) -> Wire {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let sockets = database.sockets();
        let server = database.url.clone();
        let plan = Arc::<Plan>::default();
        let planned = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let less = |n: u32| n.checked_sub(1);
                let hang_ups = &planned.hang_ups;
                if hang_ups
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
                    .is_ok()
                {
                    continue;
                }
                join(client, &sockets, Arc::clone(&planned));
            }
        });
        Wire { dir, server, plan }
    }

    /// The database's address over this wire.
    pub fn url(&self) -> String {
        let (before, _) = self.server.split_once("host=").unwrap();
        format!("{before}host={}", self.dir.path().display())
    }

    /// The next COMMIT breaks it, and so many connections after that come to nothing.
    pub fn breaks(&self, how: Break, hang_ups: u32) {
        self.plan.hang_ups.store(hang_ups, Ordering::SeqCst);
        self.plan.next.store(how as u8, Ordering::SeqCst);
    }

    /// Fails unless everything that was planned has happened.
    pub fn has_broken(&self) {
        assert_eq!(self.plan.next.load(Ordering::SeqCst), 0, "no COMMIT came");
        let left = self.plan.hang_ups.load(Ordering::SeqCst);
        assert_eq!(left, 0, "nobody tried again");
    }
}

fn holds_commit(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|w| w == b"COMMIT\0")
}

fn join(client: UnixStream, sockets: &Path, plan: Arc<Plan>) {
    let server = UnixStream::connect(sockets.join(".s.PGSQL.5432")).unwrap();
    let cut = Arc::new(AtomicU8::new(0));
    let (mut asks, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let cutting = Arc::clone(&cut);
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(n @ 1..) = asks.read(&mut bytes) {
            let planned = match holds_commit(&bytes[..n]) {
                true => plan.take(),
                false => Break::Never,
            };
            cutting.store(planned as u8, Ordering::SeqCst);
            if planned == Break::Commit || to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        // The client is gone, or is to think so.
        let _ = to.shutdown(Shutdown::Both);
        let _ = asks.shutdown(Shutdown::Both);
    });
    let (mut answers, mut back) = (server, client);
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(n @ 1..) = answers.read(&mut bytes) {
            let cut = cut.load(Ordering::SeqCst) == Break::Answer as u8;
            if cut && holds_commit(&bytes[..n]) {
                break;
            }
            if !cut && back.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = back.shutdown(Shutdown::Both);
    });
}
