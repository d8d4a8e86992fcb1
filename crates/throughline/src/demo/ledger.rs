//! The senders' own account of what was acknowledged. It outlives a run that is killed, so that the next one can
//! tell whether anything of it was lost, or taken a second time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Name of the file in the demo's directory.
const FILE: &str = "demo-acknowledged.jsonl";

/// One acknowledgment, as its sender saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The message.
    pub message: String,
    /// The door it was sent to.
    pub door: String,
    /// What it is known by there: a re-send has the key of the message that it repeats.
    pub key: String,
    /// The event that the door named.
    pub event: String,
}

/// The account, a line for each acknowledgment.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    acks: Vec<Ack>,
}

impl Ledger {
    /// Opens the account of a directory, with what earlier runs wrote into it.
    pub fn open(dir: &Path) -> anyhow::Result<Ledger> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(FILE))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A run that was killed may have left half a line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let acks: Result<Vec<Ack>, _> = text[..whole].lines().map(serde_json::from_str).collect();
        Ok(Ledger { file, acks: acks? })
    }

    /// Writes one down.
    pub fn note(&mut self, ack: Ack) -> anyhow::Result<()> {
        let line = format!("{}\n", serde_json::to_string(&ack)?);
        self.file.write_all(line.as_bytes())?;
        self.acks.push(ack);
        Ok(())
    }

    /// All of them, of every run.
    pub fn acks(&self) -> &[Ack] {
        &self.acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_there_for_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let ack = |n: u32| Ack {
            message: format!("m{n}"),
            door: "leads".into(),
            key: format!("k{n}"),
            event: format!("evt_{n}"),
        };
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.note(ack(1)).unwrap();
        // Killed in the middle of a line.
        ledger.file.write_all(b"{\"message\":\"m2").unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        assert_eq!(ledger.acks(), [ack(1)]);
        ledger.note(ack(3)).unwrap();
        assert_eq!(Ledger::open(dir.path()).unwrap().acks(), [ack(1), ack(3)]);
    }
}
