//! `init`: a project directory from a template.

use std::path::{Path, PathBuf};

use super::{Shell, schema};
use crate::config::FILE;
use crate::embedded::LEAD;
use crate::failure::Failure;
use crate::text::nearest;

/// The templates: name, what it is, its files.
type Template = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static [u8])],
);
const TEMPLATES: &[Template] = &[("lead", "inbound lead to qualified opportunity", LEAD)];

/// The settings of a new project: every key with its default, to be uncommented.
const SETTINGS: &str = "\
# Settings of this installation. `throughline config` shows what is in force and where it came from.
# listen = \"127.0.0.1:8480\"
# public_url = \"https://hooks.example.com\"
# data_dir = \"data\"
# allow_private_connections = [\"crm\"]
";

/// A message to try the template with.
const MESSAGE_FILE: &str = "lead.json";
const MESSAGE: &str = r#"{
  "external_id": "web-1",
  "contact": { "name": "Ada Byron", "email": "ada@example.org", "company": "Engines Ltd", "country": "GB" },
  "message": "Could you show us your dispatch planning? We run 40 trucks."
}
"#;

/// What is no part of the project.
const IGNORE: &str = "/data/\n";

/// Makes the project.
pub fn run(shell: &Shell, target: &[String]) -> Result<(), Failure> {
    let (name, dir) = match target {
        [dir] => ("lead", dir),
        [name, dir] => (name.as_str(), dir),
        _ => return Err(Failure::usage("write: throughline init [TEMPLATE] DIR")),
    };
    let Some((name, what, files)) = TEMPLATES.iter().find(|t| t.0 == name) else {
        let names: Vec<&str> = TEMPLATES.iter().map(|t| t.0).collect();
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is {}", names.join(", ")),
        };
        return Err(Failure::not_found(format!(
            "there is no template `{name}`; {hint}"
        )));
    };
    let dir = PathBuf::from(dir);
    if dir.read_dir().is_ok_and(|mut d| d.next().is_some()) {
        return Err(Failure::conflict(format!(
            "{} is not empty: choose a new directory",
            dir.display()
        )));
    }
    let shape = schema::text();
    let own = [
        (FILE, SETTINGS.as_bytes()),
        (".gitignore", IGNORE.as_bytes()),
        (schema::FILE, shape.as_bytes()),
        (MESSAGE_FILE, MESSAGE.as_bytes()),
    ];
    for (path, bytes) in files.iter().chain(&own) {
        if path.ends_with("/workflow.yaml") {
            write(
                &dir.join(path),
                &[schema::EDITOR_LINE.as_bytes(), bytes].concat(),
            )?;
        } else {
            write(&dir.join(path), bytes)?;
        }
    }
    if shell.json {
        let files: Vec<&str> = files.iter().chain(&own).map(|(p, _)| *p).collect();
        println!(
            "{}",
            serde_json::json!({ "dir": dir, "template": name, "files": files })
        );
        return Ok(());
    }
    println!("{} holds a project now: {what}", dir.display());
    println!("next         look at it, then check it");
    println!("               cd {} && throughline check", dir.display());
    println!("             make a secret for its endpoint, and run it");
    println!("               throughline endpoint list && throughline serve");
    println!("             see what would happen to a message, of which lead.json is one");
    println!("               throughline try lead.json --endpoint leads");
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| {
        Failure::unreachable(format!("TL0610 cannot write {}: {e}", path.display()))
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(cannot)?;
    }
    std::fs::write(path, bytes).map_err(cannot)
}
