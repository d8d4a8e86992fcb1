//! A process under test: it says lines, and is ended in one way or the other.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A process that runs until it ends, is ended, or this value is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it; what it says on its standard output is read here.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Process { child, out }
    }

    /// Waits for its next line; `None` where it says nothing more, because it has ended.
    ///
    /// # Panics
    /// When what it says is no text.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).expect("text");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits for the line that begins so, and gives the rest of it; `None` where it ends without.
    ///
    /// # Panics
    /// As `line`.
    pub fn ready(&mut self, begins: &str) -> Option<String> {
        while let Some(line) = self.line() {
            if let Some(rest) = line.strip_prefix(begins) {
                return Some(rest.to_owned());
            }
        }
        None
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(status.expect("kill starts").success(), "{name}");
    }

    /// Ends it in the moment, as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("a kill");
        self.child.wait().expect("it is gone");
    }

    /// Asks it to stop and waits for the end: its exit code.
    ///
    /// # Panics
    /// As `signal`.
    pub fn stop(self) -> i32 {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end: its exit code; -1 where a signal ended it.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn wait(mut self) -> i32 {
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
