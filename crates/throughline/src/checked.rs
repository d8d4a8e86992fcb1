//! A workflow loaded and proven: what `check`, `deploy` and `serve` have in common.

use tl_kernel::program::Program;
use tl_lang::proof::{Sources, prove};
use tl_lang::{Diag, Project, Severity};

/// The result of looking at one workflow.
#[derive(Debug)]
pub struct Checked {
    /// The program, unless something is wrong with it.
    pub program: Option<Program>,
    /// What was found, proofs included.
    pub diags: Vec<Diag>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl Checked {
    /// Nothing stands against running it.
    pub fn ok(&self) -> bool {
        self.program.is_some() && self.errors() == 0
    }

    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.diags
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    }

    /// The findings as text.
    pub fn findings(&self, project: &Project, color: bool) -> String {
        tl_lang::render(&self.diags, |path| project.text(path), color)
    }
}

/// Loads a workflow of a project and proves what can be proven.
pub fn check(project: &Project, workflow: &str) -> Checked {
    let loaded = tl_lang::load(project, workflow);
    let mut diags = loaded.diags;
    if let Some(program) = &loaded.program {
        diags.extend(schemas(project, program));
        let dir = Project::directory(workflow);
        let workflow_file = format!("{dir}workflow.yaml");
        let own_policy = format!("{dir}policy.yaml");
        let policy_file = if project.files.contains_key(&own_policy) {
            &own_policy
        } else {
            &workflow_file
        };
        diags.extend(prove(
            program,
            &Sources {
                workflow: &workflow_file,
                workflow_text: project.text(&workflow_file).unwrap_or_default(),
                policy: policy_file,
                policy_text: project.text(policy_file).unwrap_or_default(),
            },
        ));
    }
    Checked {
        program: loaded.program,
        diags,
        notes: loaded.notes,
    }
}

/// Schema files that the doors could not use.
fn schemas(project: &Project, program: &Program) -> Vec<Diag> {
    let mut out: Vec<Diag> = Vec::new();
    let own = program
        .endpoints
        .iter()
        .filter_map(|e| e.schema.as_ref())
        .filter(|s| !s.derived);
    for schema in own {
        let file = project
            .files
            .iter()
            .find(|(_, bytes)| bytes.as_slice() == schema.json.as_bytes());
        let file = file.map_or("", |(path, _)| path.as_str());
        let Some(why) =
            tl_web::schema_fault(&schema.json).filter(|_| out.iter().all(|d| d.file != file))
        else {
            continue;
        };
        out.push(Diag {
            code: "TL0413",
            severity: Severity::Error,
            file: file.to_owned(),
            line: 1,
            column: 1,
            start: 0,
            end: 0,
            message: "this schema cannot be used".into(),
            why,
            mend: None,
        });
    }
    out
}
