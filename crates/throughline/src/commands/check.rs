//! `check`: what a compiler would say about the files, what was proven, and what a reader should know.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;

use tl_kernel::program::{Endpoint, Program, Proof};
use tl_lang::effective_policy_text;
use tl_wire::signature::Maker;

use super::Shell;
use crate::checked::{Checked, LISTED, check};
use crate::control::Reply;
use crate::control::doors::auth_words;
use crate::control::request::Request;
use crate::control::vendor::{row, signs_address};
use crate::failure::Failure;
use crate::page::Page;
use crate::project::{Target, find};
use crate::text::count;

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
    Ok(())
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
                "policy": c.program.as_ref().map(effective_policy_text),
            })
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
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
    out.push_str("\nendpoints\n");
    let known = opened(shell, target, program);
    let names = program.endpoints.iter().map(|e| e.name.chars().count());
    let width = names.max().unwrap_or(0);
    for e in &program.endpoints {
        let (note, command) = endpoint_note(shell, e, &known);
        let _ = writeln!(out, "  {:width$}  {:<8} {note}", e.name, e.channel.word());
        if let Some(command) = command {
            let _ = writeln!(out, "  {:width$}    {command}", "");
        }
    }
    print!("{}", Page::of_stdout().fit(&out));
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
    if !there || program.endpoints.is_empty() {
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
