//! Project directories: reading one, finding the one a file belongs to, and starting one from a template.

use std::path::{Path, PathBuf};

use tl_lang::Project;

use crate::failure::Failure;

/// Largest project file that is read, bytes; the loader has tighter limits of its own.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// What is said of a directory without a workflow.
pub fn no_workflow(dir: &Path) -> String {
    format!(
        "TL0109 {} has no workflow: there is no workflows/<id>/workflow.yaml. `throughline init` makes a project",
        dir.display()
    )
}

/// Reads the files of a project that decide: workflows, teams, connections, calendars, connectors.
pub fn read(dir: &Path) -> Result<Project, Failure> {
    let mut project = Project::default();
    for name in ["teams.yaml", "connections.yaml"] {
        let path = dir.join(name);
        if path.is_file() {
            project.files.insert(name.to_owned(), read_file(&path)?);
        }
    }
    for name in ["workflows", "calendars", "connectors"] {
        walk(&dir.join(name), name, &mut project)?;
    }
    Ok(project)
}

fn walk(dir: &Path, prefix: &str, project: &mut Project) -> Result<(), Failure> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unreadable(dir, &e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| unreadable(dir, &e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|n| !n.starts_with('.')) else {
            continue;
        };
        let (path, within) = (entry.path(), format!("{prefix}/{name}"));
        if path.is_dir() {
            walk(&path, &within, project)?;
        } else {
            project.files.insert(within, read_file(&path)?);
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let size = std::fs::metadata(path)
        .map_err(|e| unreadable(path, &e))?
        .len();
    if size > MAX_FILE {
        return Err(Failure::refused(format!(
            "{} is larger than {MAX_FILE} bytes",
            path.display()
        )));
    }
    std::fs::read(path).map_err(|e| unreadable(path, &e))
}

fn unreadable(path: &Path, e: &std::io::Error) -> Failure {
    Failure::unreachable(format!("TL0620 cannot read {}: {e}", path.display()))
}

/// What `check` looks at: a project and the workflow of it, or all of them.
#[derive(Debug)]
pub struct Target {
    /// The project directory, where there is one.
    pub dir: PathBuf,
    /// Its files.
    pub project: Project,
    /// The workflows to look at.
    pub workflows: Vec<String>,
}

/// The project of a directory, or of one workflow file. A file outside a project is checked alone.
pub fn find(path: &Path) -> Result<Target, Failure> {
    if path.is_dir() {
        let project = read(path)?;
        let workflows = project.workflows();
        if workflows.is_empty() {
            return Err(Failure::not_found(no_workflow(path)));
        }
        return Ok(Target {
            dir: path.to_owned(),
            project,
            workflows,
        });
    }
    if !path.exists() {
        return Err(Failure::not_found(format!(
            "there is no {}",
            path.display()
        )));
    }
    let absolute = std::path::absolute(path).map_err(|e| unreadable(path, &e))?;
    if let Some((root, id)) = within_project(&absolute) {
        let project = read(&root)?;
        return Ok(Target {
            dir: root,
            project,
            workflows: vec![id],
        });
    }
    let bytes = read_file(path)?;
    let id = declared_id(&bytes).unwrap_or_else(|| "workflow".into());
    let mut project = Project::default();
    project
        .files
        .insert(format!("{}workflow.yaml", Project::directory(&id)), bytes);
    let dir = absolute.parent().map_or_else(PathBuf::new, Path::to_owned);
    Ok(Target {
        dir,
        project,
        workflows: vec![id],
    })
}

/// `…/workflows/ID/workflow.yaml` belongs to the project `…`.
fn within_project(file: &Path) -> Option<(PathBuf, String)> {
    let id = file.parent()?;
    let workflows = id.parent()?;
    let ok = file.file_name()? == "workflow.yaml" && workflows.file_name()? == "workflows";
    ok.then_some((
        workflows.parent()?.to_owned(),
        id.file_name()?.to_str()?.to_owned(),
    ))
}

/// The `id` that a lone file declares below `workflow:`.
fn declared_id(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (tree, _) = tl_lang::tree::parse("workflow.yaml", text);
    let id = tree?.at(&["workflow", "id"])?.text()?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    (!id.is_empty() && id.chars().all(plain)).then_some(id)
}

/// The files of one workflow version: what is deployed together.
pub fn bundle(project: &Project, workflow: &str) -> Project {
    let dir = Project::directory(workflow);
    let belongs = |path: &str| {
        path.starts_with(&dir)
            || path.starts_with("calendars/")
            || path.starts_with(tl_lang::connector::FOLDER)
            || path == "teams.yaml"
            || path == "connections.yaml"
    };
    let files = project.files.iter().filter(|(path, _)| belongs(path));
    Project {
        files: files.map(|(p, b)| (p.clone(), b.clone())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_file_says_its_id() {
        let table = [
            ("workflow:\n  id: a_b\n  version: \"1\"\n", Some("a_b")),
            (
                "# x\nworkflow: { id: lead, version: \"1\" }\n",
                Some("lead"),
            ),
            ("workflow:\n  version: \"1\"\n  id: \"q\"\n", Some("q")),
            ("record: x\n", None),
        ];
        for (text, want) in table {
            assert_eq!(declared_id(text.as_bytes()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_workflow_file_finds_its_project_and_a_bundle_holds_what_belongs_to_it() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("workflows/a/workflow.yaml", "workflow: { id: a }"),
            ("workflows/a/prompts/p.md", "x"),
            ("workflows/b/workflow.yaml", "workflow: { id: b }"),
            ("teams.yaml", ""),
            ("data/x", "not ours"),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let t = find(&dir.path().join("workflows/a/workflow.yaml")).unwrap();
        assert_eq!(t.workflows, ["a"]);
        assert_eq!(t.project.files.len(), 4);
        let names: Vec<String> = bundle(&t.project, "a").files.into_keys().collect();
        assert_eq!(
            names,
            [
                "teams.yaml",
                "workflows/a/prompts/p.md",
                "workflows/a/workflow.yaml"
            ]
        );
        assert_eq!(
            find(&dir.path().join("nothing"))
                .unwrap_err()
                .kind
                .exit_code(),
            3
        );
    }
}
