//! `init`: a project directory from a template.

use std::path::{Path, PathBuf};

use super::{Shell, schema};
use crate::config::FILE;
use crate::failure::Failure;
use crate::templates::Template;
use crate::text::nearest;

/// The settings of a new project: every key with its default, to be uncommented.
const SETTINGS: &str = "\
# Settings of this installation. `throughline config` shows what is in force and where it came from.
# listen = \"127.0.0.1:8480\"
# public_url = \"https://hooks.example.com\"
# data_dir = \"data\"
# allow_private_connections = [\"crm\"]
";

/// What is no part of the project.
const IGNORE: &str = "/data/\n";

/// Makes the project.
pub fn run(shell: &Shell, target: &[String]) -> Result<(), Failure> {
    let (template, dir) = match target {
        // A template's name alone is that template, in a directory of its name.
        [dir] => (named(dir).unwrap_or_default(), dir),
        [name, dir] => (named(name)?, dir),
        _ => return Err(Failure::usage("write: throughline init [TEMPLATE] DIR")),
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
    ];
    let files = template.files();
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
            serde_json::json!({ "dir": dir, "template": template.name(), "files": files })
        );
        return Ok(());
    }
    let (message, endpoint) = template.message();
    println!("{} holds a project now: {}", dir.display(), template.what());
    println!("next         look at it, then check it");
    println!("               cd {} && throughline check", dir.display());
    println!("             see what would happen to a message, of which {message} is one");
    println!("               throughline try {message} --endpoint {endpoint}");
    println!(
        "             make a secret for an endpoint; it is printed once, with lines that sign and post a message"
    );
    println!("               throughline endpoint rotate {endpoint}");
    println!(
        "             run it; `throughline send {message} --to ADDRESS --secret SECRET` beside it sends the message"
    );
    println!("               throughline serve");
    Ok(())
}

/// The template of a name.
fn named(name: &str) -> Result<Template, Failure> {
    let known = Template::ALL.into_iter().find(|t| t.name() == name);
    known.ok_or_else(|| {
        let names = Template::ALL.map(Template::name);
        let hint = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Failure::not_found(format!("there is no template `{name}`; {hint}"))
    })
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
