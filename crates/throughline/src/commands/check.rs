//! `check`: what a compiler would say about the files, what was proven, and what a reader should know.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use tl_kernel::program::{Auth, Endpoint, Program, Proof, Schedule};
use tl_kernel::time::rfc3339;
use tl_kernel::timetable::EVERY_HOUR;
use tl_lang::effective_policy_text;
use tl_wire::signature::Maker;

use super::Shell;
use super::print::now;
use crate::checked::{Checked, LISTED, check};
use crate::config::Config;
use crate::control::Reply;
use crate::control::doors::auth_words;
use crate::control::request::Request;
use crate::control::vendor::{row, signs_address};
use crate::failure::Failure;
use crate::page::Page;
use crate::project::{Target, find};
use crate::text::count;

/// Instants of a timetable that are shown: enough to see that it means what was meant.
const SHOWN_INSTANTS: usize = 3;

/// Checks a directory or a file.
pub fn run(shell: &Shell, path: Option<&Path>, strict: bool) -> Result<(), Failure> {
    let target = find(path.unwrap_or(&shell.dir))?;
    let results: Vec<(&String, Checked)> = target
        .workflows
        .iter()
        .map(|id| (id, check(&target.project, id)))
        .collect();
    let errors: usize = results
        .iter()
        .map(|(_, c)| if c.ok() { 0 } else { c.errors().max(1) })
        .sum();
    let warnings: usize = results
        .iter()
        .map(|(_, c)| c.diags.len() - c.errors())
        .sum();
    if shell.json {
        print_json(&results);
    } else {
        for (id, checked) in &results {
            print_text(shell, &target, id, checked);
        }
    }
    if errors > 0 || (strict && warnings > 0) {
        return Err(Failure::refused(format!(
            "the check found {} and {}",
            count(errors as u64, "error"),
            count(warnings as u64, "warning")
        )));
    }
    // The settings beside the project are read too: with wrong ones it would not start.
    Config::load(&target.dir, |name| std::env::var(name).ok()).map(drop)
}

fn print_json(results: &[(&String, Checked)]) {
    let all: Vec<serde_json::Value> = results
        .iter()
        .map(|(id, c)| {
            serde_json::json!({
                "workflow": id,
                "ok": c.ok(),
                "findings": &c.diags[..c.diags.len().min(LISTED)],
                "findings_left_out": c.diags.len().saturating_sub(LISTED),
                "notes": c.notes,
                "schedules": c.program.as_ref().map(next_instants),
                "policy": c.program.as_ref().map(effective_policy_text),
            })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
}

/// The next instants of each timetable.
fn next_instants(program: &Program) -> BTreeMap<&str, Vec<String>> {
    let all = program.schedules.iter();
    all.map(|s| (s.name.as_str(), instants(s).map(rfc3339).collect()))
        .collect()
}

fn print_text(shell: &Shell, target: &Target, id: &str, checked: &Checked) {
    let color = std::io::stdout().is_terminal();
    print!("{}", checked.findings(&target.project, color));
    let Some(program) = checked.program.as_ref().filter(|_| checked.ok()) else {
        println!("{id}: {}", count(checked.errors().max(1) as u64, "error"));
        return;
    };
    let mut out = format!(
        "{id} version {}: loads, and its proofs hold\n",
        program.version
    );
    for note in &checked.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    for note in closed_connections(shell, target) {
        let _ = writeln!(out, "  note: {note}");
    }
    out.push_str("\neffective policy\n");
    for line in effective_policy_text(program).lines() {
        let _ = writeln!(out, "  {line}");
    }
    let names = program.endpoints.iter().map(|e| e.name.chars().count());
    let width = names.max().unwrap_or(0);
    if program.doors().next().is_some() {
        out.push_str("\nendpoints\n");
    }
    let known = opened(shell, target, program);
    for e in program.doors() {
        let (note, command) = endpoint_note(shell, e, &known);
        let _ = writeln!(out, "  {:width$}  {:<8} {note}", e.name, e.channel.word());
        if let Some(command) = command {
            let _ = writeln!(out, "  {:width$}    {command}", "");
        }
    }
    schedules(program, width, &mut out);
    print!("{}", Page::of_stdout().fit(&out));
}

/// The timetables, each with its next instants by its own clock.
fn schedules(program: &Program, width: usize, out: &mut String) {
    if !program.schedules.is_empty() {
        out.push_str("\nschedules\n");
    }
    for s in &program.schedules {
        let (cron, zone, catch_up) = (&s.cron, &s.table.zone, s.catch_up.word());
        let _ = writeln!(
            out,
            "  {:width$}  {cron} {zone}, catch_up {catch_up}",
            s.name
        );
        for at in instants(s) {
            let _ = writeln!(out, "  {:width$}    {}", "", s.table.local_text(at));
        }
    }
    let of_the_clock = |s: &Schedule| s.table.hours != EVERY_HOUR && s.table.zone != "UTC";
    if program.schedules.iter().any(of_the_clock) {
        out.push_str("  where clocks are put forward or back: a time that is skipped runs at the jump, one that comes twice runs once\n");
    }
}

/// The next instants of a timetable, µs.
fn instants(s: &Schedule) -> impl Iterator<Item = i64> {
    let next = |at: &i64| s.table.next_after(*at);
    std::iter::successors(next(&now()), next).take(SHOWN_INSTANTS)
}

/// Connections without TLS that the settings of this directory do not allow: their writes would wait.
fn closed_connections(shell: &Shell, target: &Target) -> Vec<String> {
    let Some(config) = shell.config().ok().filter(|c| c.dir == target.dir) else {
        return Vec::new();
    };
    let (all, _) = tl_lang::connections(&target.project);
    let closed = all
        .iter()
        .filter(|c| c.base_url.starts_with("http://") && !config.allow_private.contains(&c.name));
    closed
        .map(|c| {
            format!(
                "connection `{name}` has no TLS ({url}): nothing is sent there before throughline.toml says \
                 `allow_private_connections = [\"{name}\"]`",
                name = c.name,
                url = c.base_url
            )
        })
        .collect()
}

/// What an installation has to verify senders with.
#[derive(Default)]
struct Opened {
    /// Endpoints that are open.
    doors: Vec<String>,
    /// Somebody has an API key for messages.
    key: bool,
}

/// What is said of an endpoint, and the command that opens it.
fn endpoint_note(shell: &Shell, e: &Endpoint, opened: &Opened) -> (String, Option<String>) {
    let auth = auth_words(&e.auth);
    let closed = |why: &str, command: Option<String>| (format!("{auth}; closed{why}"), command);
    if e.auth.is_empty() {
        let note = "has no way to know its senders: it stays closed";
        return (note.into(), None);
    }
    let unset = || shell.config().is_ok_and(|c| c.public_url.is_none());
    if e.auth.contains(&Auth::Link) {
        let lead = match unset() {
            true => "; set `public_url` in throughline.toml, or the links lead to this machine",
            false => "",
        };
        return (
            format!("{auth}, in the message that asks for missing fields{lead}"),
            None,
        );
    }
    if !e.auth.iter().all(Auth::proves_sender) {
        let note = format!("{auth}; open to anybody: nothing about the sender is proven");
        return (note, None);
    }
    if e.auth.contains(&Auth::SignIn) {
        return (format!("{auth}; for people of the console"), None);
    }
    if e.auth.iter().any(signs_address) && unset() {
        let why = " until `public_url` is set in throughline.toml: its vendor signs the address";
        return closed(why, None);
    }
    let by = |proof: Proof| e.auth.iter().any(|a| a.proof() == proof);
    let has_key = by(Proof::ApiKey) && opened.key;
    if by(Proof::KeySet) || has_key || opened.doors.contains(&e.name) {
        return (auth, None);
    }
    if by(Proof::Secret) {
        let mut command = format!("throughline endpoint rotate {}/{}", shell.tenant, e.name);
        if row(e).is_some_and(|r| r.maker == Maker::Vendor) {
            command.push_str(" --secret-file FILE");
        }
        return closed(" until it has a secret", Some(command));
    }
    if by(Proof::ApiKey) {
        let command = "throughline key create --scope events";
        return closed(": nobody has a key for it", Some(command.into()));
    }
    closed(
        " until its `jwt` has keys to verify with: set `jwt: { issuer, audience, keys }`",
        None,
    )
}

/// What the installation has, where there is one that can be asked. A check works without.
fn opened(shell: &Shell, target: &Target, program: &Program) -> Opened {
    let mut out = Opened::default();
    let there = shell
        .config()
        .is_ok_and(|c| c.store.may_hold_data() && c.dir == target.dir);
    if !there || program.doors().next().is_none() {
        return out;
    }
    if let Ok(Reply::Endpoints(all)) = shell.ask(Request::EndpointList) {
        let open = all.into_iter().filter(|e| e.open);
        out.doors = open.map(|e| e.endpoint).collect();
    }
    if let Ok(Reply::Keys(keys)) = shell.ask(Request::KeyList) {
        let for_events = |scopes: &str| scopes.split(' ').any(|s| s == "events");
        out.key = keys.iter().any(|k| k.active && for_events(&k.scopes));
    }
    out
}
