//! A workflow loaded and proven: what `check`, `deploy` and `serve` have in common.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tl_kernel::program::Program;
use tl_lang::proof::{Sources, prove};
use tl_lang::{Diag, Project, Severity};

/// Findings that are printed; one mistake can have thousands of consequences, and nobody reads them.
const PRINTED: usize = 50;
/// Findings that `check --json` gives to a script.
pub const LISTED: usize = 10_000;

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

    /// The code of the first error; empty without one.
    pub fn first_error(&self) -> &'static str {
        let mut errors = self.diags.iter().filter(|d| d.severity == Severity::Error);
        errors.next().map_or("", |d| d.code)
    }

    /// The findings as text: the first of them, errors before warnings, and how many more there are of what.
    pub fn findings(&self, project: &Project, color: bool) -> String {
        let (shown, more) = most_pressing(&self.diags, PRINTED);
        let mut out = tl_lang::render(&shown, |path| project.text(path), color);
        if more.is_empty() {
            return out;
        }
        let total = self.diags.len() - shown.len();
        let kinds: Vec<String> = more.iter().map(|(code, n)| format!("{n} {code}")).collect();
        let _ = writeln!(
            out,
            "and {total} more findings that are not shown ({}); `throughline check --json` lists them\n",
            kinds.join(", ")
        );
        out
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

/// So many of the findings, errors before warnings, in the order of the file; and how many of each code are left.
fn most_pressing(all: &[Diag], most: usize) -> (Vec<Diag>, BTreeMap<&'static str, usize>) {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|i| all[*i].severity != Severity::Error);
    let mut left = BTreeMap::new();
    for i in order.drain(most.min(all.len())..) {
        *left.entry(all[i].code).or_default() += 1;
    }
    order.sort_unstable();
    (order.into_iter().map(|i| all[i].clone()).collect(), left)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_before_warnings_and_the_rest_is_counted() {
        let diag = |letter: char, i: usize| Diag {
            code: if letter == 'e' { "TL0501" } else { "TL0515" },
            severity: if letter == 'e' {
                Severity::Error
            } else {
                Severity::Warning
            },
            file: String::new(),
            line: i as u32,
            column: 0,
            start: 0,
            end: 0,
            message: String::new(),
            why: String::new(),
            mend: None,
        };
        // Findings in order, e for an error and w for a warning; the lines that are shown; what is left.
        let table: [(&str, &[u32], &str); 5] = [
            ("", &[], "{}"),
            ("wew", &[0, 1, 2], "{}"),
            ("wwwwe", &[0, 1, 4], "{\"TL0515\": 2}"),
            ("eweee", &[0, 2, 3], "{\"TL0501\": 1, \"TL0515\": 1}"),
            ("eeeee", &[0, 1, 2], "{\"TL0501\": 2}"),
        ];
        for (kinds, want, left) in table {
            let all: Vec<Diag> = kinds.chars().zip(0..).map(|(k, i)| diag(k, i)).collect();
            let (shown, more) = most_pressing(&all, 3);
            let lines: Vec<u32> = shown.iter().map(|d| d.line).collect();
            assert_eq!(lines, want, "{kinds}");
            assert_eq!(format!("{more:?}"), left, "{kinds}");
        }
    }
}
