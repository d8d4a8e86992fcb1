//! A workflow loaded and proven: what `check`, `deploy` and `serve` have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use tl_kernel::program::{Auth, Endpoint, Idempotency, Program};
use tl_lang::proof::{Sources, prove};
use tl_lang::{Diag, Project, Severity};
use tl_wire::jwt::KeySet;

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
        let mut out = tl_lang::render(&shown, |path| project.shown(path), color);
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
    let (mut diags, mut notes) = (loaded.diags, loaded.notes);
    if let Some(program) = &loaded.program {
        diags.extend(schemas(project, program));
        diags.extend(key_sets(project, program));
        notes.extend(replays(program));
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
        notes,
    }
}

/// Doors that would take a captured message again after a while, because nothing that their signature covers tells it
/// from another with the same body.
fn replays(program: &Program) -> Vec<String> {
    let bare = |auth: &Auth| {
        matches!(
            auth,
            Auth::Hmac {
                timestamp_header: None,
                id_header: None,
                ..
            }
        )
    };
    let doors = program.endpoints.iter();
    let open = doors.filter(|e| e.idempotency == Idempotency::Covered && e.auth.iter().any(bare));
    let note = |e: &Endpoint| {
        format!(
            "endpoint `{}`: its signature covers nothing but the body, so the same body is taken again after 24 hours, \
             from whoever has it: sign `{{timestamp}}` or `{{id}}`, or set `idempotency`",
            e.name
        )
    };
    open.map(note).collect()
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
        out.push(of_file(file, ("this schema cannot be used", why)));
    }
    out
}

/// Files of keys that no token could be verified with.
fn key_sets(project: &Project, program: &Program) -> Vec<Diag> {
    let dir = Project::directory(&program.id);
    let named = program.endpoints.iter().flat_map(|e| &e.auth);
    let files: BTreeSet<String> = named
        .filter_map(|auth| match auth {
            Auth::Jwt {
                keys: Some(path), ..
            } if !tl_lang::is_key_address(path) => Some(format!("{dir}{path}")),
            _ => None,
        })
        .collect();
    let fault = |file: &String| {
        let bytes = project.files.get(file)?;
        let why = KeySet::from_jwks(bytes).err()?;
        let message = "no token can be verified with this set of keys";
        Some(of_file(file, (message, why.to_string())))
    };
    files.iter().filter_map(fault).collect()
}

/// A finding about a file as a whole.
fn of_file(file: &str, (message, why): (&str, String)) -> Diag {
    Diag {
        code: "TL0413",
        severity: Severity::Error,
        file: file.to_owned(),
        line: 1,
        column: 1,
        start: 0,
        end: 0,
        message: message.into(),
        why,
        mend: None,
    }
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
