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
