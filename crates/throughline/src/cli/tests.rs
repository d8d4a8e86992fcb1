//! The command line against itself, against its page, and against the lists of what reads and what changes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::failure::Kind;

#[path = "../../tests/completeness/lines.rs"]
mod lines;

const PAGE: &str = include_str!("../../../../docs/reference/cli.md");

#[test]
fn the_command_line_is_sound() {
    Args::command().debug_assert();
    grammar().debug_assert();
}

#[test]
fn help_offers_what_a_command_uses() {
    // A command, and what its help speaks of besides --json.
    let table: [(&[&str], bool, bool); 8] = [
        (&["demo"], false, false),
        (&["bench"], false, false),
        (&["init"], false, false),
        (&["serve"], true, false),
        (&["connector", "show"], true, false),
        (&["tenant", "create"], true, false),
        (&["deploy"], true, true),
        (&["case", "list"], true, true),
    ];
    for (path, dir, tenant) in table {
        let mut found = &mut grammar();
        for name in path {
            found = found.find_subcommand_mut(name).expect("a command");
        }
        let help = found.render_help().to_string();
        for (argument, speaks) in [("--dir", dir), ("--tenant", tenant), ("--json", true)] {
            let spoken_of = help.contains(&format!("{argument} "));
            assert_eq!(spoken_of, speaks, "{path:?}: {help}");
        }
    }
    let read = |line: &[&str]| Args::from_arg_matches(&grammar().get_matches_from(line));
    let args = read(&["throughline", "demo", "--once", "--json"]).unwrap();
    assert!(args.json && matches!(args.command, Command::Demo { once: true, .. }));
    let args = read(&["throughline", "status", "--dir", "x"]).unwrap();
    assert_eq!(args.dir, PathBuf::from("x"));
    // What help does not speak of is still taken.
    assert!(read(&["throughline", "--tenant", "x", "serve"]).is_ok());
}

#[test]
fn pairs_and_durations_are_read() {
    assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
    assert!(pair("=x").is_err() && pair("x").is_err());
    assert_eq!(overlap("0s"), Ok(0));
    assert!(duration("0s").is_err());
}

/// Everything that can be typed, by its words, such as `case list`.
fn commands() -> BTreeMap<String, clap::Command> {
    let mut out = BTreeMap::new();
    collect("", &grammar(), &mut out);
    assert!(out.len() > 50, "{:?}", out.keys());
    out
}

fn collect(above: &str, command: &clap::Command, out: &mut BTreeMap<String, clap::Command>) {
    for below in command.get_subcommands() {
        if below.is_hide_set() || below.get_name() == "help" {
            continue;
        }
        let path = format!("{above} {}", below.get_name()).trim().to_owned();
        if !below.is_subcommand_required_set() {
            out.insert(path.clone(), below.clone());
        }
        collect(&path, below, out);
    }
}

/// The command that a line of words begins with: the one with the most words.
fn begins<'a>(line: &str, commands: &'a BTreeMap<String, clap::Command>) -> Option<&'a str> {
    let fits = |path: &&String| line == path.as_str() || line.starts_with(&format!("{path} "));
    let all = commands.keys().filter(fits);
    all.max_by_key(|path| path.len()).map(String::as_str)
}

#[test]
fn every_command_is_known_to_change_or_to_read() {
    let commands = commands();
    let changes = lines::CHANGES.iter().map(|(line, _)| (*line, "changes"));
    let reads = lines::READS.iter().map(|(line, _)| (*line, "reads"));
    let neither = lines::NEITHER.iter().map(|(line, _)| (*line, "neither"));
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (line, what) in changes.chain(reads).chain(neither) {
        let command = begins(line, &commands).unwrap_or_else(|| panic!("`{line}` is no command"));
        let before = known.insert(command, what);
        assert!(
            before.is_none_or(|b| b == what),
            "`{command}` is on two lists"
        );
    }
    let mut new: Vec<&String> = commands.keys().collect();
    new.retain(|path| !known.contains_key(path.as_str()));
    assert!(
        new.is_empty(),
        "put these on a list of tests/completeness/lines.rs: {new:?}"
    );
}

/// Long options of a command that its help shows, without those that every command has.
fn options(command: &clap::Command) -> BTreeSet<String> {
    let own = command
        .get_arguments()
        .filter(|a| !a.is_global_set() && !a.is_hide_set());
    let long = own.filter_map(|a| a.get_long());
    long.filter(|l| *l != "help" && *l != "version")
        .map(|l| format!("--{l}"))
        .collect()
}

/// What stands between marks of code, with the bar that a table cannot hold as it is.
fn marked(text: &str) -> Vec<String> {
    let inside = text.split('`').skip(1).step_by(2);
    inside.map(|s| s.replace("\\|", "|")).collect()
}

/// Options that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let long = parts.filter(|p| p.starts_with("--") && p.len() > 3);
    long.map(str::to_owned).collect()
}

/// Lines that a first column stands for: `flag set NAME on|off` is one, `tenant create|list` are two.
fn spelled(code: &str, commands: &BTreeMap<String, clap::Command>) -> Vec<String> {
    let mut words = code.split(' ');
    let first = words.next().unwrap_or_default();
    let Some(second) = words.next() else {
        return vec![first.to_owned()];
    };
    let alone = || vec![code.to_owned()];
    let below: Vec<String> = second.split('|').map(|w| format!("{first} {w}")).collect();
    match below.iter().all(|line| commands.contains_key(line)) {
        true => below,
        false => alone(),
    }
}

#[test]
fn the_page_has_every_command_and_option_and_no_other() {
    let commands = commands();
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    let body = PAGE.split("\n## Commands\n").nth(1).expect("the commands");
    for section in body.split("\n### ") {
        let rows = section.lines().filter_map(|l| l.strip_prefix("| `"));
        for row in rows {
            let first = row.split(" | ").next().unwrap_or_default();
            // Options have tables of their own where a command has a section.
            if first.starts_with("--") {
                continue;
            }
            for code in marked(&format!("`{first}")) {
                for line in spelled(&code, &commands) {
                    match begins(&line, &commands) {
                        Some(command) => told.entry(command).or_default().push_str(row),
                        None => wrong.push(format!("there is no command `{line}`")),
                    }
                }
            }
        }
        for (command, text) in &mut told {
            if section.contains(&format!("`throughline {command} ")) {
                text.push_str(section);
            }
        }
    }
    let all: BTreeSet<String> = commands.values().flat_map(options).collect();
    let everywhere = ["--dir", "--tenant", "--json", "--help"].map(str::to_owned);
    for option in named(PAGE) {
        if !all.contains(&option) && !everywhere.contains(&option) {
            wrong.push(format!("no command has the option {option}"));
        }
    }
    for (path, command) in &commands {
        let Some(text) = told.get(path.as_str()) else {
            wrong.push(format!("the page lacks `{path}`"));
            continue;
        };
        let named = named(text);
        for option in options(command).difference(&named) {
            wrong.push(format!("the page lacks {option} of `{path}`"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_page_has_what_every_command_has_and_how_it_may_end() {
    let table = |title: &str| {
        let section = PAGE.split(title).nth(1).expect("the section");
        let rows = section.lines().skip_while(|l| !l.starts_with("| "));
        let rows = rows.take_while(|l| l.starts_with('|')).skip(2);
        rows.map(|l| l.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect::<Vec<Vec<&str>>>()
    };
    let grammar = grammar();
    for row in table("# The command line") {
        let name = marked(row[0]).remove(0);
        let name = name.split(' ').next().unwrap_or_default();
        let arg = grammar
            .get_arguments()
            .find(|a| a.get_long().is_some_and(|l| format!("--{l}") == name))
            .unwrap_or_else(|| panic!("there is no {name}"));
        let env = arg.get_env().map(|e| e.to_string_lossy().into_owned());
        assert_eq!(marked(row[1]), Vec::from_iter(env), "{name}");
        let default = arg.get_default_values().iter();
        let default: Vec<String> = default.map(|d| d.to_string_lossy().into_owned()).collect();
        if arg.get_action().takes_values() {
            assert_eq!(marked(row[2]), default, "{name}");
        }
    }
    // No exit code without its row, and none on the page that nothing ends with.
    let kinds = [
        Kind::Refused,
        Kind::Usage,
        Kind::NotFound,
        Kind::Unreachable,
        Kind::Conflict,
    ];
    let codes: Vec<String> = [0]
        .into_iter()
        .chain(kinds.map(Kind::exit_code))
        .map(|code| code.to_string())
        .collect();
    let rows = table("## Exit codes");
    let listed: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(listed, codes);
    let help = grammar.get_after_help().expect("it says them").to_string();
    for code in codes {
        assert!(help.contains(&format!("{code} ")), "{code}: {help}");
    }
}
