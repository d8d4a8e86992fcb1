//! The pages: functions from what is shown to HTML.

pub(crate) mod case;
pub(crate) mod door;
pub(crate) mod failures;
pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod note;
pub(crate) mod outbox;
pub(crate) mod people;
pub(crate) mod problem;
pub(crate) mod record;
pub(crate) mod switches;
pub(crate) mod task;
pub(crate) mod timeline;
pub(crate) mod workflow;
