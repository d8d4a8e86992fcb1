//! The text of documents is read in a process of its own: a file that brings the reader down, holds it for ever or eats
//! its memory costs that file its text, and the server nothing.
//!
//! The process is this program with one word as its argument. It bounds itself before it reads a byte; it has nothing of our
//! environment, opens no file and no socket. The document comes in and its text goes out through pipes.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use tl_document::{Declared, Document, Limits, Unread};
use tokio::sync::Semaphore;

/// The argument by which the program is a reader, and nothing else.
pub const WORD: &str = "read-document";

/// Time for one document, of the clock and of its own: two hundred full pages need less even in a build for debugging.
const TIME: Duration = Duration::from_secs(5);
/// Memory of a reader, bytes.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Readers at a time: each may take a core and its memory.
const AT_ONCE: usize = 2;
/// How long a message waits for a reader, before its sender is asked to come again.
const WAIT: Duration = Duration::from_secs(10);
/// Largest answer of a reader, bytes: the longest text with every letter escaped.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;
/// How a reader ends that could not bound itself.
const UNBOUNDED: u8 = 3;
/// The signal for a process that has used up its time.
const OUT_OF_TIME: i32 = 24;

/// Starts readers.
#[derive(Debug)]
pub struct Readers {
    program: PathBuf,
    arguments: Vec<String>,
    time: Duration,
    places: Arc<Semaphore>,
}

impl Readers {
    /// Of this very program, even after a newer one has taken its place on the disk.
    pub fn own() -> Readers {
        let itself = PathBuf::from("/proc/self/exe");
        Readers {
            program: match itself.exists() {
                true => itself,
                false => std::env::current_exe().unwrap_or_default(),
            },
            arguments: vec![WORD.to_owned()],
            time: TIME,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Reads a document when there is a reader for it; `None` where there is none for too long.
    pub async fn read(
        self: Arc<Self>,
        bytes: Vec<u8>,
        declared: Declared,
    ) -> Option<Result<Document, Unread>> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(WAIT, place).await.ok()?.ok()?;
        let task = tokio::task::spawn_blocking(move || {
            let _place = place;
            self.read_now(&bytes, &declared)
        });
        Some(task.await.unwrap_or(Err(Unread::ReaderDied)))
    }

    /// Reads a document, and waits for it.
    pub fn read_now(&self, bytes: &[u8], declared: &Declared) -> Result<Document, Unread> {
        let most = Limits::default().max_bytes;
        if bytes.len() > most {
            return Err(Unread::TooLarge { most });
        }
        let started = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            // What its allocator sets apart would count as its memory.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.answer(child, (bytes, declared)),
            Err(e) => {
                tracing::warn!(error = %e, "a reader of documents cannot be started");
                let why = "no reader could be started".to_owned();
                Err(Unread::NotTried { why })
            }
        }
    }

    fn answer(&self, mut child: Child, asked: (&[u8], &Declared)) -> Result<Document, Unread> {
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (tell, told) = channel();
        let said = std::thread::scope(|scope| {
            scope.spawn(move || {
                // Nobody reads on where the reader has ended.
                let _ = stdin.map(|pipe| ask(pipe, asked));
            });
            scope.spawn(move || {
                let mut said = Vec::new();
                let read = stdout.map(|pipe| pipe.take(MAX_ANSWER).read_to_end(&mut said));
                let _ = tell.send(read.and_then(Result::ok).map(|_| said));
            });
            let said = told.recv_timeout(self.time);
            // It has answered or its time is up; the threads end with it.
            let _ = child.kill();
            said
        });
        let ended = child.wait();
        let Ok(said) = said else {
            return Err(self.too_slow());
        };
        let said = said.as_deref().unwrap_or_default();
        if let Ok(answer) = serde_json::from_slice(said) {
            return answer;
        }
        let ended = ended.ok();
        if ended.and_then(|e| e.code()) == Some(i32::from(UNBOUNDED)) {
            let why = "the reader could not be bounded".to_owned();
            return Err(Unread::NotTried { why });
        }
        match ended.and_then(|e| std::os::unix::process::ExitStatusExt::signal(&e)) {
            Some(OUT_OF_TIME) => Err(self.too_slow()),
            _ => Err(Unread::ReaderDied),
        }
    }

    fn too_slow(&self) -> Unread {
        Unread::TooSlow {
            seconds: self.time.as_secs(),
        }
    }
}

/// A line says what the bytes are declared to be, and the bytes follow.
fn ask(mut pipe: impl Write, (bytes, declared): (&[u8], &Declared)) -> std::io::Result<()> {
    serde_json::to_writer(&mut pipe, declared)?;
    pipe.write_all(b"\n")?;
    pipe.write_all(bytes)
}

/// The reader's side: one document, and the end.
pub fn serve() -> ExitCode {
    if bound_itself().is_err() {
        return ExitCode::from(UNBOUNDED);
    }
    match read_one() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn bound_itself() -> rustix::io::Result<()> {
    let bounds = [
        (Resource::Core, 0),
        (Resource::Cpu, TIME.as_secs()),
        // What it has of its own, and not what its allocator only sets apart.
        (Resource::Data, MEMORY),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
    ];
    for (resource, most) in bounds {
        let most = Rlimit {
            current: Some(most),
            // A second more, so that it is told why before it is killed.
            maximum: Some(most + u64::from(resource == Resource::Cpu)),
        };
        setrlimit(resource, most)?;
    }
    Ok(())
}

fn read_one() -> std::io::Result<()> {
    let mut asked = Vec::new();
    std::io::stdin().lock().read_to_end(&mut asked)?;
    let end = asked.iter().position(|b| *b == b'\n').unwrap_or(0);
    let declared: Declared = serde_json::from_slice(&asked[..end])?;
    let bytes = asked.get(end + 1..).unwrap_or_default();
    let answer = tl_document::read(bytes, &declared, &Limits::default());
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers(script: &str, time: Duration) -> Readers {
        Readers {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            time,
            places: Arc::new(Semaphore::new(1)),
        }
    }

    const LOOP: &str = "while :; do :; done";
    const FLOOD: &str =
        "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done";
    const ANSWER: &str = r#"echo '{"Ok":{"kind":"text","pages":["a"],"cut":false}}'"#;
    /// Long enough for a shell to end by itself on a busy machine.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn whatever_a_reader_does_has_an_end_and_a_code() {
        #[rustfmt::skip]
        let table = [
            ("answers", ANSWER, LONG, ""),
            ("refuses", r#"echo '{"Err":"NoText"}'"#, LONG, "TL1103"),
            ("loops", LOOP, Duration::from_millis(50), "TL1107"),
            ("is out of time", "kill -XCPU $$", LONG, "TL1107"),
            ("crashes", "kill -SEGV $$", LONG, "TL1108"),
            ("is killed", "kill -KILL $$", LONG, "TL1108"),
            ("says nothing", "exit 0", LONG, "TL1108"),
            ("says no JSON", "echo hello", LONG, "TL1108"),
            ("never stops talking", FLOOD, LONG, "TL1108"),
            ("is not bounded", "exit 3", LONG, "TL1109"),
        ];
        // More than a pipe holds: nobody need read it.
        let bytes = vec![b'x'; 1024 * 1024];
        for (what, script, time, want) in table {
            let read = readers(script, time).read_now(&bytes, &Declared::default());
            let code = read.map_or_else(|why| why.code(), |_| "");
            assert_eq!(code, want, "{what}");
        }
        let nobody = Readers {
            program: PathBuf::from("/nowhere/at/all"),
            ..readers("", LONG)
        };
        let read = nobody.read_now(b"x", &Declared::default());
        assert_eq!(read.unwrap_err().code(), "TL1109");
        let large = vec![0; Limits::default().max_bytes + 1];
        let read = nobody.read_now(&large, &Declared::default());
        assert_eq!(read.unwrap_err().code(), "TL1105");
    }
}
