//! Rows of `schedules`. The clock begins at 11:06:40 UTC.

use tl_kernel::time::MINUTE;

use super::Row;
use crate::acts::Act;

/// Until 11:11:40.
const FIVE_MINUTES: &[Act] = &[Act::Wait(5 * MINUTE)];

#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    ("schedules", "", "schedules: { tick: { cron: '10 * * * *' } }", FIVE_MINUTES, "0 cases", "1 cases"),
    ("schedules.*.cron", "schedules: { tick: { cron: '12 11 * * *' } }", "schedules: { tick: { cron: '10 11 * * *' } }", FIVE_MINUTES, "0 cases", "1 cases"),
    ("schedules.*.timezone", "schedules: { tick: { cron: '10 12 * * *' } }", "schedules: { tick: { cron: '10 12 * * *', timezone: Europe/Berlin } }", FIVE_MINUTES, "0 cases", "1 cases"),
    ("schedules.*.catch_up", "schedules: { tick: { cron: '* * * * *' } }", "schedules: { tick: { cron: '* * * * *', catch_up: all } }", FIVE_MINUTES, "1 cases", "5 cases"),
    ("schedules.*.catch_up", "schedules: { tick: { cron: '8 * * * *' } }", "schedules: { tick: { cron: '8 * * * *', catch_up: none } }", FIVE_MINUTES, "1 cases", "0 cases"),
    ("schedules.*.data", "schedules: { tick: { cron: '10 * * * *' } }", "schedules: { tick: { cron: '10 * * * *', data: { name: Report } } }", FIVE_MINUTES, "", "field name = Text(\"Report\")"),
];
