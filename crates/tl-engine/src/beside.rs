//! The file of checkpoints beside the database. It is a list of blocks with an empty line after each, and an auditor
//! reads it years later: a block is there whole or it is taken away again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The last blocks are within so many bytes of the end.
const TAIL: u64 = 4096;
/// What ends a block.
const END: &[u8] = b"\n\n";
/// Lines of a block: origin, size, root, signature.
const LINES: usize = 4;
/// Hexadecimal digits of a signature.
const SIGNATURE: usize = 128;

/// An open file, as the machine has it or a simulated one.
pub trait Beside {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Reads from a position; fails where less is there.
    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()>;
    /// Cuts it off.
    fn cut(&self, size: u64) -> io::Result<()>;
    /// Writes at a position.
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// What was written survives a loss of power.
    fn sync(&self) -> io::Result<()>;
}

impl Beside for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let mut file = self;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(to)
    }

    fn cut(&self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Appends a block, and makes it durable. What a full disk or a loss of power has left of an earlier one is taken away:
/// it says nothing, and would spoil what comes after it.
pub fn append(file: &impl Beside, block: &str) -> io::Result<()> {
    let size = file.size()?;
    let end = whole(file, size)?;
    if end < size {
        file.cut(end)?;
    }
    let written = file.write(end, block.as_bytes()).and_then(|()| file.sync());
    if written.is_err() {
        // Where this fails too, the next one takes it away.
        let _ = file.cut(end);
    }
    written
}

/// Where the last whole block ends; the end of the file where none is near it.
fn whole(file: &impl Beside, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(TAIL);
    let mut tail = vec![0; (size - from) as usize];
    file.read(from, &mut tail)?;
    let mut end = tail.len();
    while let Some(at) = tail[..end].windows(2).rposition(|w| w == END) {
        let begin = tail[..at].windows(2).rposition(|w| w == END);
        let begin = begin.map_or(0, |b| b + END.len());
        if is_block(&tail[begin..at]) {
            return Ok(from + (at + END.len()) as u64);
        }
        end = at + 1;
    }
    Ok(if from == 0 { 0 } else { size })
}

/// Whether this is a checkpoint, without the line break and the empty line after it.
pub fn is_block(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let hex = |line: &str| line.bytes().all(|b| b.is_ascii_hexdigit());
    lines.len() == LINES
        && lines[0].starts_with("throughline/")
        && lines[1].parse::<u64>().is_ok()
        && hex(lines[2])
        && hex(lines[3])
        && lines[3].len() == SIGNATURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(size: u64) -> String {
        let (root, sig) = ("ab".repeat(32), "cd".repeat(64));
        format!("throughline/t\n{size}\n{root}\n{sig}\n\n")
    }

    #[test]
    fn whatever_is_left_of_a_block_the_next_ones_can_be_read() {
        let (one, two) = (block(1), block(2));
        let many: String = (0..40).map(block).collect();
        let holes = one.replace("ab", "\0\0");
        // What is there, and what of it stays.
        let table = [
            ("nothing", String::new(), ""),
            ("one", one.clone(), one.as_str()),
            ("a beginning alone", one[..90].to_owned(), ""),
            ("half a block", format!("{one}{}", &two[..50]), &one),
            (
                "all but the last byte",
                format!("{one}{}", &two[..two.len() - 1]),
                &one,
            ),
            ("a block with a hole", format!("{one}{holes}"), &one),
            ("two torn ones", format!("{one}{holes}{}", &two[..9]), &one),
            (
                "more than is looked at",
                format!("{many}{}", &two[..70]),
                &many,
            ),
        ];
        for (what, there, stays) in table {
            let file = tempfile::tempfile().unwrap();
            file.write(0, there.as_bytes()).unwrap();
            append(&file, &two).unwrap();
            let mut text = vec![0; file.size().unwrap() as usize];
            Beside::read(&file, 0, &mut text).unwrap();
            assert_eq!(
                String::from_utf8(text).unwrap(),
                format!("{stays}{two}"),
                "{what}"
            );
        }
    }
}
