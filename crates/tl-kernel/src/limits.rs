//! Every limit of the kernel, with its unit and reason.

use crate::time::{DAY, MINUTE, SECOND};

/// Longest text of one field, bytes: a long mail fits, an attachment does not.
pub const MAX_TEXT: usize = 256 * 1024;
/// Longest single line (addresses, names), bytes.
pub const MAX_LINE: usize = 2_000;
/// Longest correlation id, characters.
pub const MAX_CORRELATION: usize = 128;
/// Turns of one case: a loop between systems stops here and a person is asked.
pub const MAX_TURNS: u32 = 1_000;
/// Messages of one case. The next one is refused, so that a loop between systems stops here; only one that was acknowledged
/// before has a case of its own.
pub const MAX_EVENTS: usize = 200;
/// Natural keys that one expression may list: a thread of mails that is longer names its first and its last ones.
pub const MAX_LISTED_KEYS: usize = 40;
/// Model calls of one case.
pub const MAX_ASKS: usize = 8;
/// Times a conflicting write is decided again before a person is asked.
pub const MAX_CONFLICTS: u32 = 3;
/// Attempts of one effect before it is dead.
pub const MAX_ATTEMPTS: u32 = 16;
/// Crashes during one effect before it is dead (`poison`).
pub const MAX_CRASHES: u32 = 3;
/// An attempt counts as uncertain after this, µs.
pub const ATTEMPT_DEADLINE: i64 = 30 * SECOND;
/// Outward actions are not sent later than this after they were planned unless the file says otherwise, µs.
pub const DEFAULT_VALID_FOR: i64 = DAY;
/// A model may take this long unless the file says otherwise, µs.
pub const DEFAULT_MODEL_TIMEOUT: i64 = MINUTE;
/// Dedupe keys are kept at least this long, µs.
pub const DEDUPE_KEEP: i64 = 90 * DAY;
/// Deepest nesting of an inbound JSON body.
pub const MAX_JSON_DEPTH: usize = 32;
/// Most values in an inbound JSON body.
pub const MAX_JSON_NODES: usize = 20_000;
/// Timetables of one workflow.
pub const MAX_SCHEDULES: usize = 32;
/// Missed instants of one timetable that are made up for at once; earlier ones are left out.
pub const MAX_CATCH_UP: usize = 100;
