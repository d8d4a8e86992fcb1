//! Replies as text for people, or as JSON for scripts.

mod lists;
mod sheets;

use crate::control::Reply;
use crate::explain::{next_text, render};
use crate::page::Page;
use crate::text::safe;

pub use sheets::what_is_sent;

/// Prints a reply.
pub fn reply(reply: &Reply, json: bool) {
    if json {
        println!("{}", as_json(reply));
    } else {
        print!("{}", as_text(reply, now(), Page::of_stdout()));
    }
}

/// The data of a reply, without the name of its kind.
pub fn as_json(reply: &Reply) -> String {
    let value = serde_json::to_value(reply).unwrap_or_default();
    let data = value.get("data").cloned().unwrap_or_default();
    serde_json::to_string_pretty(&data).unwrap_or_default()
}

/// What the calendar of this machine says, µs.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_micros() as i64)
}

fn as_text(reply: &Reply, now: i64, page: Page) -> String {
    let text = match reply {
        Reply::Cases(cases) => lists::cases(cases, now, page),
        Reply::Case(sheet) => sheets::case(sheet, now, page),
        Reply::Explanation(e) => render(e),
        Reply::Tasks(tasks) => lists::tasks(tasks, now, page),
        Reply::Task(sheet) => sheets::task(sheet, now),
        Reply::Effects(effects) => lists::effects(effects, now, page),
        Reply::Effect(sheet) => sheets::effect(sheet, now, page),
        Reply::Connections(all) => lists::connections(all),
        Reply::Groups(groups) => lists::groups(groups, now, page),
        Reply::Group(sheet) => sheets::group(sheet, now),
        Reply::Outbox(messages) => lists::outbox(messages, now, page),
        Reply::OutboxMessage(sheet) => sheets::outbox_message(sheet),
        Reply::Record(sheet) => sheets::record(sheet),
        Reply::Switches(switches) => lists::switches(switches, page),
        Reply::Suppressions(all) => lists::suppressions(all, now, page),
        // Findings underline parts of lines: they stay as they are.
        Reply::Plan(plans) => return plans.iter().map(sheets::plan).collect(),
        Reply::Versions(versions) => lists::versions(versions, page),
        Reply::Tenants(tenants) => lists::tenants(tenants, page),
        Reply::Endpoints(endpoints) => lists::endpoints(endpoints, now),
        Reply::Secret(secret) => sheets::fresh_secret(secret, now),
        Reply::Keys(keys) => lists::keys(keys, page),
        Reply::Key(key) => sheets::fresh_key(key),
        Reply::Flags(flags) => lists::flags(flags, page),
        Reply::Status(sheet) => sheets::status(sheet, now),
        Reply::Clock(sheet) => sheets::clock(sheet),
        Reply::Tried(tried) => sheets::tried(tried),
        Reply::Done(done) => format!("{}\n{}", safe(&done.said), next_text(&done.next)),
        Reply::AuditPage(_)
        | Reply::AuditHead(_)
        | Reply::Taken(_)
        | Reply::Imported(_)
        | Reply::Outcomes(_) => {
            return as_json(reply) + "\n";
        }
    };
    page.fit(&text)
}
