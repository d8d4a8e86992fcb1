//! What must not be found where people read who have nothing to do with a case: log lines, errors, metrics, codes.
//!
//! Every message of a run, every address and every credential carries a mark. Log lines are read while they are
//! written, errors when somebody is told, the rest when the run is over.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

use crate::world::Shared;

/// The credential of every connection.
pub const SECRET: &str = "secret-of-a-connection";

/// What names, addresses, texts and credentials of a run hold, and nothing else does.
const MARKS: [&str; 5] = [
    SECRET,
    "canary-of-tenant",
    "x1.example",
    "x2.example",
    "I write about",
];

/// The first mark in a text.
pub fn mark_in(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    MARKS.into_iter().find(|mark| text.contains(mark))
}

/// Reads everything that this thread logs from now on, until the guard is dropped.
pub fn read_log(shared: &Arc<Shared>) -> DefaultGuard {
    tracing::subscriber::set_default(Log(Arc::clone(shared)))
}

/// Whoever reads the log.
struct Log(Arc<Shared>);

/// The fields of a line.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text does not fail.
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Log {
    fn read(&self, line: &Line) {
        self.0.lines.fetch_add(1, Ordering::Relaxed);
        self.0.told("the log", &line.0);
    }
}

impl Subscriber for Log {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target().starts_with("tl_")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line::default();
        span.record(&mut line);
        self.read(&line);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        self.read(&line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.read(&line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
