//! What lies between a node and the database server: it passes bytes on, late, or not at all.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// What it does with the bytes.
#[derive(Clone, Copy, PartialEq)]
pub enum Passes {
    AtOnce,
    /// What goes to the server waits so long.
    Late(Duration),
    /// Nothing arrives, and nobody is told.
    Nothing,
}

/// How it is, and how to wait until it is another way.
type State = Arc<(Mutex<Passes>, Condvar)>;

/// A socket of its own before the server's.
pub struct Cable {
    dir: TempDir,
    state: State,
}

impl Cable {
    pub fn to(server: PathBuf) -> Cable {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let state: State = Arc::new((Mutex::new(Passes::AtOnce), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&server) else {
                    return;
                };
                let ends = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (is_to_server, (from, to)) in [true, false].into_iter().zip(ends) {
                    let state = Arc::clone(&shared);
                    thread::spawn(move || carry((from, to), is_to_server, &state));
                }
            }
        });
        Cable { dir, state }
    }

    /// The directory of its socket.
    pub fn sockets(&self) -> &Path {
        self.dir.path()
    }

    /// From now on it does this.
    pub fn now(&self, passes: Passes) {
        *self.state.0.lock().unwrap() = passes;
        self.state.1.notify_all();
    }
}

fn carry(
    (mut from, mut to): (UnixStream, UnixStream),
    is_to_server: bool,
    (state, changed): &(Mutex<Passes>, Condvar),
) {
    let mut bytes = [0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let mut passes = state.lock().unwrap();
        if let (Passes::Late(delay), true) = (*passes, is_to_server) {
            let late = |p: &mut Passes| *p == Passes::Late(delay);
            passes = changed.wait_timeout_while(passes, delay, late).unwrap().0;
        }
        let nothing = |p: &mut Passes| *p == Passes::Nothing;
        drop(changed.wait_while(passes, nothing).unwrap());
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    // The other end has gone.
    let _ = to.shutdown(Shutdown::Both);
}
