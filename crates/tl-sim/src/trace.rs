//! What happened in a run, in order: a hash over all of it, and the lines themselves where somebody wants to read.

use std::sync::{Mutex, PoisonError};

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    hash: u64,
    count: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines, or only their hash.
    pub fn new(keep: bool) -> Trace {
        Trace {
            inner: Mutex::new(Inner {
                hash: 0xcbf2_9ce4_8422_2325,
                count: 0,
                lines: keep.then(Vec::new),
            }),
        }
    }

    /// Notes what happened at an instant (µs of the world). Every argument enters the hash.
    pub fn note(&self, at: i64, what: &str, detail: std::fmt::Arguments<'_>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = Fnv(inner.hash);
        hasher.eat(&at.to_be_bytes());
        hasher.eat(what.as_bytes());
        let _ = std::fmt::write(&mut hasher, detail);
        inner.hash = hasher.0;
        inner.count += 1;
        if let Some(lines) = &mut inner.lines {
            let (s, us) = (at / 1_000_000, at % 1_000_000);
            lines.push(format!("{s:>7}.{us:06} {what:<9} {detail}"));
        }
    }

    /// Hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .hash
    }

    /// Takes the kept lines.
    pub fn take_lines(&self) -> Vec<String> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.take().unwrap_or_default()
    }
}

/// FNV-1a: the same on every machine and in every build.
struct Fnv(u64);

impl Fnv {
    fn eat(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl std::fmt::Write for Fnv {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.eat(s.as_bytes());
        Ok(())
    }
}
