//! `connector`: which systems can be spoken to, what each file says, and whether an own one is right.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tl_kernel::connector::{Connector, Operation};
use tl_kernel::time::duration_text;
use tl_lang::Severity;
use tl_lang::connector::{FOLDER, connector_schema, names, path, read, shipped, source};

use super::Shell;
use crate::cli::Connector as Asked;
use crate::failure::Failure;
use crate::page::Page;
use crate::project;
use crate::text::{count, nearest};

/// What an own file begins with.
const BEGINNING: &str = include_str!("connector/beginning.yaml");

/// Runs a command about connectors.
pub fn run(shell: &Shell, asked: Asked) -> Result<(), Failure> {
    match asked {
        Asked::List => list(shell),
        Asked::Show { name } => show(shell, &name),
        Asked::Check { files } => check(shell, &files),
        Asked::New { name, from } => new(shell, &name, from.as_deref()),
        Asked::Schema => {
            println!("{:#}", connector_schema());
            Ok(())
        }
    }
}

/// The connectors that are right; a file that is not is named by `check`.
fn all(shell: &Shell) -> Result<Vec<(Connector, bool)>, Failure> {
    let project = project::read(&shell.dir)?;
    let own = |name: &str| project.files.contains_key(&path(name));
    let found = names(&project).into_iter().filter_map(|name| {
        let text = source(&project, &name)?;
        let connector = read(&path(&name), text).connector?;
        Some((connector, own(&name)))
    });
    Ok(found.collect())
}

fn list(shell: &Shell) -> Result<(), Failure> {
    let all = all(shell)?;
    if shell.json {
        let all: Vec<Json> = all.iter().map(|(c, own)| summary(c, *own)).collect();
        println!("{}", serde_json::to_string_pretty(&all).unwrap_or_default());
        return Ok(());
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(c, own)| {
            vec![
                c.name.clone(),
                c.title.clone(),
                c.operations.len().to_string(),
                c.verified.by.word().to_owned(),
                if *own { "this project" } else { "the product" }.to_owned(),
            ]
        })
        .collect();
    let page = Page::of_stdout();
    let head = ["connector", "system", "actions", "verified", "from"];
    print!("{}", page.fit(&page.table(&head, &rows, "")));
    Ok(())
}

fn summary(c: &Connector, own: bool) -> Json {
    json!({
        "connector": c.name,
        "title": c.title,
        "from": if own { "project" } else { "product" },
        "verified": { "by": c.verified.by.word(), "source": c.verified.source },
        "actions": c.operations.keys().collect::<Vec<_>>(),
    })
}

fn show(shell: &Shell, name: &str) -> Result<(), Failure> {
    let all = all(shell)?;
    let (of, action) = name.split_once('.').unwrap_or((name, ""));
    let Some((connector, own)) = all.iter().find(|(c, _)| c.name == of) else {
        let known = all.iter().map(|(c, _)| c.name.as_str());
        let hint = nearest(of, known).map_or(String::new(), |n| format!("; did you mean {n}?"));
        return Err(Failure::not_found(format!(
            "there is no connector {of}{hint}; `throughline connector list` names them"
        )));
    };
    let shown: Vec<&Operation> = connector
        .operations
        .values()
        .filter(|o| action.is_empty() || o.name == action)
        .collect();
    if shown.is_empty() {
        let known = connector.operations.keys().map(String::as_str);
        let hint =
            nearest(action, known).map_or(String::new(), |n| format!("; did you mean {of}.{n}?"));
        return Err(Failure::not_found(format!(
            "{of} has no action {action}{hint}"
        )));
    }
    if shell.json {
        let mut out = summary(connector, *own);
        out["docs"] = json!(connector.docs);
        out["base_url"] = json!(connector.base_url.as_ref().map(|b| &b.source));
        out["hosts"] = json!(connector.hosts);
        out["settings"] = json!(connector.settings);
        out["auth"] = json!(connector.auth.iter().map(|s| &s.name).collect::<Vec<_>>());
        out["actions"] = shown.iter().map(|o| action_json(connector, o)).collect();
        println!("{}", serde_json::to_string_pretty(&out).unwrap_or_default());
        return Ok(());
    }
    let mut out = String::new();
    if action.is_empty() {
        head(&mut out, connector);
    }
    for op in shown {
        action_text(&mut out, connector, op);
    }
    print!("{}", Page::of_stdout().fit(&out));
    Ok(())
}

fn action_json(connector: &Connector, op: &Operation) -> Json {
    let arguments: Vec<Json> = op
        .arguments
        .iter()
        .map(|a| {
            json!({
                "name": a.name,
                "type": a.ty.word(),
                "required": a.required,
                "control": a.control.word(),
                "doc": a.doc,
            })
        })
        .collect();
    let verified = op.verified.as_ref().unwrap_or(&connector.verified);
    json!({
        "use": format!("{}.{}", connector.name, op.name),
        "title": op.title,
        "class": op.class.word(),
        "key_lifetime": op.key_lifetime.map(duration_text),
        "arguments": arguments,
        "fields": op.fields.as_ref().map(|f| &f.doc),
        "method": op.request.method.source,
        "path": op.request.path.source,
        "verified": { "by": verified.by.word(), "source": verified.source },
    })
}

fn head(out: &mut String, c: &Connector) {
    let _ = writeln!(out, "{}: {}", c.name, c.title);
    let base = c
        .base_url
        .as_ref()
        .map_or("given by the connection", |b| b.source.as_str());
    let _ = writeln!(out, "  address   {base}");
    for (name, what) in &c.settings {
        let _ = writeln!(out, "  setting   {name}: {what}");
    }
    let ways: Vec<&str> = c.auth.iter().map(|s| s.name.as_str()).collect();
    let _ = writeln!(out, "  log-in    {}", ways.join(", "));
    if let Some(rate) = c.rate {
        let per_second = f64::from(rate.per_second_milli) / 1_000.0;
        let _ = writeln!(
            out,
            "  at most   {per_second} requests per second, {} at once",
            rate.burst
        );
    }
    let _ = writeln!(out, "  verified  {}", verified(c, None));
    if let Some(docs) = &c.docs {
        let _ = writeln!(out, "  vendor    {docs}");
    }
}

fn verified(c: &Connector, op: Option<&Operation>) -> String {
    let v = op.and_then(|o| o.verified.as_ref()).unwrap_or(&c.verified);
    match v.source.as_str() {
        "" => v.by.word().to_owned(),
        source => format!("{}: {source}", v.by.word()),
    }
}

fn action_text(out: &mut String, c: &Connector, op: &Operation) {
    let _ = writeln!(out, "\n{}.{}: {}", c.name, op.name, op.title);
    let (method, path) = (&op.request.method.source, &op.request.path.source);
    let request = match op.request.body {
        tl_kernel::connector::Body::Mail(_) => "a mail, by SMTP".to_owned(),
        _ => format!("{method} {path}"),
    };
    let _ = writeln!(out, "  request   {request}");
    let _ = writeln!(out, "  class     {}", class(op));
    for a in &op.arguments {
        let required = if a.required { ", required" } else { "" };
        let control = match a.control {
            tl_kernel::connector::Control::Content => String::new(),
            other => format!(", {}", other.word()),
        };
        let doc = if a.doc.is_empty() {
            String::new()
        } else {
            format!("; {}", a.doc)
        };
        let _ = writeln!(
            out,
            "  with      {}: {}{required}{control}{doc}",
            a.name,
            a.ty.word()
        );
    }
    if let Some(fields) = &op.fields {
        let _ = writeln!(out, "  map       {}", fields.doc);
    }
    if op.verified.is_some() {
        let _ = writeln!(out, "  verified  {}", verified(c, Some(op)));
    }
}

/// The promise of an operation in words.
fn class(op: &Operation) -> String {
    use tl_kernel::effect::Class;
    let words = match op.class {
        Class::E0 => "exactly once",
        Class::E1 => match op.key_lifetime {
            Some(lives) => {
                return format!(
                    "E1: at most one effect, while the vendor knows the key ({})",
                    duration_text(lives)
                );
            }
            None => "at most one effect: the same request again changes nothing more",
        },
        Class::E2 => "no lost update: the version goes back with the write",
        Class::E3 => "at most one effect: what got no answer is looked up",
        Class::E4 => "what got no answer waits for a person, unless `on_unknown` says otherwise",
        Class::E5 => "does no harm when it is repeated",
    };
    format!("{}: {words}", op.class.word())
}

fn check(shell: &Shell, files: &[PathBuf]) -> Result<(), Failure> {
    let files = match files {
        [] => own_files(&shell.dir)?,
        given => given.to_vec(),
    };
    let mut errors = 0;
    let mut told = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::not_found(format!("there is no {}", file.display()))
            }
            _ => Failure::unreachable(format!("TL0620 cannot read {}: {e}", file.display())),
        })?;
        let name = file
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let found = read(&format!("{FOLDER}{name}"), &text);
        errors += found
            .diags
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        if shell.json {
            told.push(
                json!({ "file": file, "ok": found.connector.is_some(), "findings": found.diags }),
            );
            continue;
        }
        let color = std::io::stdout().is_terminal();
        print!(
            "{}",
            tl_lang::render(&found.diags, |_| Some(text.as_str()), color)
        );
        if let Some(c) = &found.connector {
            let actions = count(c.operations.len() as u64, "action");
            println!(
                "{}: right, {actions}, {}",
                file.display(),
                c.verified.by.word()
            );
        }
    }
    if shell.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&told).unwrap_or_default()
        );
    } else if files.is_empty() {
        println!(
            "the project has no connectors of its own; `throughline connector new NAME` begins one"
        );
    }
    match errors {
        0 => Ok(()),
        n => Err(Failure::refused(format!(
            "the check found {}",
            count(n as u64, "error")
        ))),
    }
}

fn own_files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let project = project::read(dir)?;
    let own = project
        .files
        .keys()
        .filter(|p| p.starts_with(FOLDER) && p.ends_with(".yaml"));
    Ok(own.map(|p| dir.join(p)).collect())
}

fn new(shell: &Shell, name: &str, from: Option<&str>) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let good = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain);
    if !good {
        return Err(Failure::usage(format!(
            "`{name}` is not a name: write lower-case letters, digits, `_` and `-`, and begin with a letter"
        )));
    }
    let text = match from {
        None => BEGINNING.replace("our_crm", name),
        Some(of) => {
            let Some(text) = shipped(of) else {
                return Err(Failure::not_found(format!(
                    "there is no connector {of}; `throughline connector list` names them"
                )));
            };
            text.replacen(
                &format!("connector: {of}\n"),
                &format!("connector: {name}\n"),
                1,
            )
        }
    };
    let file = shell.dir.join(path(name));
    let cannot = |e: std::io::Error| {
        Failure::unreachable(format!("TL0620 cannot write {}: {e}", file.display()))
    };
    if file.exists() {
        return Err(Failure::conflict(format!(
            "{} is there already",
            file.display()
        )));
    }
    std::fs::create_dir_all(shell.dir.join(FOLDER)).map_err(cannot)?;
    std::fs::write(&file, text).map_err(cannot)?;
    if shell.json {
        println!("{}", json!({ "file": file }));
    } else {
        println!(
            "{}: change it, then: throughline connector check\nA connection of it in connections.yaml has `kind: {name}`",
            file.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_right() {
        let found = read("connectors/our_crm.yaml", BEGINNING);
        assert!(found.diags.is_empty(), "{:?}", found.diags);
        assert_eq!(found.connector.map(|c| c.operations.len()), Some(2));
    }
}
