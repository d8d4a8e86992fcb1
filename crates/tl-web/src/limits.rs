//! Every limit of the web side, with its unit and reason.

use std::time::Duration;

use tl_kernel::time::{DAY, MINUTE, SECOND};

use crate::state::Rate;

/// Longest request target, bytes: a proxy's own limit is about this.
pub const MAX_TARGET: usize = 8 * 1024;
/// Largest request head, bytes: signatures, tokens and tracing headers fit several times over.
pub const MAX_HEAD: usize = 32 * 1024;
/// Most header lines of one request.
pub const MAX_HEADER_LINES: usize = 100;
/// Bytes that a connection may hold unread; above `MAX_HEAD`, so that our answer says what is too long.
pub const MAX_READ_BUFFER: usize = 64 * 1024;
/// Time for a whole request head, and for the next one on an idle connection.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Time for a whole request body.
pub const BODY_DEADLINE: Duration = Duration::from_secs(30);
/// Time for a commit: after it the sender is asked to come again rather than kept waiting.
pub const COMMIT_DEADLINE: Duration = Duration::from_secs(3);
/// Time for a question to the store, of the API and of probes.
pub const QUERY_DEADLINE: Duration = Duration::from_secs(3);
/// How long a second request with the same Idempotency-Key waits for the first.
pub const SAME_KEY_WAIT: Duration = Duration::from_secs(2);
/// How long open requests may go on after the order to stop.
pub const DRAIN_GRACE: Duration = Duration::from_secs(25);
/// How long the rest of a refused request is read, so that the sender sees the answer instead of a reset.
pub const LINGER: Duration = Duration::from_secs(1);
/// How much of a refused request is read, bytes.
pub const MAX_LINGER: usize = 1024 * 1024;
/// Pause of the accept loop when the process has no free file descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Open connections; the next one waits in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 4_096;
/// Requests between admission and answer.
pub const MAX_IN_FLIGHT: usize = 1_024;
/// Bodies in memory at once, KiB.
pub const MAX_BODIES_KIB: usize = 256 * 1024;
/// Largest body of an API call, bytes.
pub const MAX_API_BODY: u32 = 1024 * 1024;
/// Largest record, bytes: what a system of record takes in one write.
pub const MAX_RECORD: u32 = 256 * 1024;
/// Longest record id, bytes.
pub const MAX_RECORD_ID: usize = 200;
/// Longest record type, bytes.
pub const MAX_RECORD_TYPE: usize = 64;
/// Longest Idempotency-Key, characters.
pub const MAX_IDEMPOTENCY_KEY: usize = 255;
/// Wrong fields named in one answer; a body with more is no near miss.
pub const MAX_FIELD_PROBLEMS: usize = 100;
/// Longest JSON pointer in an answer, bytes.
pub const MAX_POINTER: usize = 300;
/// Compiled schemas kept.
pub const MAX_SCHEMAS: usize = 1_000;
/// Longest schema of a door, bytes.
pub const MAX_SCHEMA: usize = 256 * 1024;
/// Parts of a schema with its references followed.
pub const MAX_SCHEMA_PARTS: usize = 10_000;
/// Size of one compiled pattern of a schema, bytes.
pub const MAX_PATTERN: usize = 1024 * 1024;
/// Versions in an answer about a record's history.
pub const MAX_HISTORY: usize = 200;
/// Cases in one page.
pub const MAX_CASES: u32 = 200;
/// Documents of one message that are read: an invoice with its delivery notes.
pub const MAX_DOCUMENTS: usize = 10;
/// Time for all documents of a message; those that were not begun by then are not read.
pub const DOCUMENTS_DEADLINE: Duration = Duration::from_secs(15);
/// When a sender comes again for whose document no reader was free, seconds.
pub const NO_READER: u32 = 10;
/// Longest delivery id or Message-ID that makes a dedupe key, bytes.
pub const MAX_DELIVERY_ID: usize = 1_000;
/// Of the mails that a mail refers to, the first ones that its thread is known by: the root is among them.
pub const THREAD_FIRST: usize = 4;
/// And the last ones.
pub const THREAD_LAST: usize = 20;
/// Answers of one sender with one subject at one door within the window; what comes after them is a loop.
pub const MAX_ECHOES: u32 = 10;
/// Over which such answers are counted, µs.
pub const ECHO_WINDOW: i64 = 10 * MINUTE;
/// Most letters of a mark such as `Re:` or `Antw:` before a subject.
pub const REPLY_PREFIX: usize = 4;
/// Longest `Retry-After` of an overload, seconds.
pub const RETRY_MOST: u32 = 60;
/// Shortest `Retry-After` of an overload, seconds.
pub const RETRY_LEAST: u32 = 5;
/// Lines of the security log per door and minute: enough to see an attack, too few to fill a disk.
pub const SECURITY_LINES: u32 = 6;
/// Over which the lines of the security log are counted, µs.
pub const SECURITY_WINDOW: i64 = MINUTE;
/// Doors that the security log and the pace are counted for at once.
pub const MAX_COUNTED: usize = 10_000;
/// A key set that was fetched so short a time ago is the issuer's present one: a token with another key is refused, and
/// the issuer is not asked again, µs.
pub const KEYS_FRESH: i64 = 10 * SECOND;
/// The dedupe keys of a message whose signature says no time live as long as their door: nothing else keeps a captured
/// message from being taken again.
pub const KEEP_FOR_EVER: i64 = i64::MAX;
/// A weak dedupe key (nothing but the body) lives this long, µs: a person may really send the same text again.
pub const WEAK_KEEP: i64 = DAY;
/// Pace of a door whose senders prove nothing: more people than that do not write at once, and a program that does is
/// held up before it fills the disk.
pub const PUBLIC_RATE: Rate = Rate {
    per_second: 20,
    burst: 100,
};
/// A form that comes back sooner was filled in by no person, µs.
pub const FORM_LEAST: i64 = 2 * SECOND;
/// A page that was open for longer is shown again before it is taken, µs.
pub const FORM_MOST: i64 = DAY;
