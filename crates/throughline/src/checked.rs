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
        diags.extend(doors_twice(project, program));
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

/// The same, of a project that comes to workflows which are deployed already.
pub fn check_beside<'p>(
    deployed: impl IntoIterator<Item = &'p Program>,
    project: &Project,
    workflow: &str,
) -> Checked {
    let mut checked = check(project, workflow);
    if let Some(program) = &checked.program {
        let replaced = project.workflows();
        let others = deployed.into_iter().filter(|p| !replaced.contains(&p.id));
        let others: Vec<&Program> = others.collect();
        checked.diags.extend(clashes(project, program, &others));
    }
    checked
}

/// The first endpoint, timetables included, that two workflows have by the same name.
pub fn same_door<'p>(one: &'p Program, other: &Program) -> Option<&'p Endpoint> {
    let mut doors = one.endpoints.iter();
    doors.find(|e| one.id != other.id && other.endpoint(&e.name).is_some())
}

/// Endpoints that another workflow of the project has too.
fn doors_twice(project: &Project, program: &Program) -> Vec<Diag> {
    let others = project
        .workflows()
        .into_iter()
        .filter(|id| *id != program.id);
    let others: Vec<Program> = others
        .filter_map(|id| tl_lang::load(project, &id).program)
        .collect();
    clashes(project, program, &others.iter().collect::<Vec<_>>())
}

/// A message says its tenant and the name of an endpoint, and nothing of a workflow.
fn clashes(project: &Project, program: &Program, others: &[&Program]) -> Vec<Diag> {
    let file = format!("{}workflow.yaml", Project::directory(&program.id));
    let text = project.text(&file).unwrap_or_default();
    let clash = |other: &&Program| {
        let door = same_door(program, other)?;
        let line = door.line.max(1);
        let start = text
            .split_inclusive('\n')
            .take(line as usize - 1)
            .map(str::len);
        let start: usize = start.sum();
        let end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        Some(Diag {
            code: "TL0211",
            severity: Severity::Error,
            file: file.clone(),
            line,
            column: 1,
            start,
            end,
            message: same_door_words(&door.name, [&program.id, &other.id]),
            why: "the endpoints and timetables of all workflows of a tenant share one set of names: a message would \
                  reach one of the two workflows alone"
                .into(),
            mend: None,
        })
    };
    others.iter().filter_map(clash).collect()
}

/// What is said of an endpoint that two workflows have.
pub fn same_door_words(door: &str, [one, other]: [&str; 2]) -> String {
    format!("the endpoint `{door}` is declared by two workflows, `{one}` and `{other}`")
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
    fn an_endpoint_belongs_to_one_workflow() {
        let file = |id: &str, door: &str| {
            let text = format!(
                "workflow: {{ id: {id}, version: '1' }}\n\
                 record: {{ type: lead, fields: {{ name: {{ type: string }} }} }}\n\
                 ingress: {{ gateway: {{ auth: api_key }}, channels: {{ {id}_api: {{ channel: api }} }} }}\n\
                 {door}\n\
                 decision: {{ branches: [{{ default: human_queue }}] }}\n"
            );
            (format!("workflows/{id}/workflow.yaml"), text.into_bytes())
        };
        let at_six = "schedules: { nightly: { cron: '0 6 * * *' } }";
        let at_two = "schedules: { nightly: { cron: '0 2 * * *' } }";
        // Workflow `a`, what its project has beside it, what is deployed; the workflow that has the same door.
        let table = [
            (at_six, vec![], vec![], None),
            (at_six, vec![("b", "")], vec![("c", "")], None),
            (at_six, vec![("b", at_two)], vec![], Some("`b`")),
            (at_six, vec![], vec![("c", at_six)], Some("`c`")),
            (at_six, vec![], vec![("a", at_two)], None),
            // The deployed version goes with this deployment.
            (at_six, vec![("c", "")], vec![("c", at_six)], None),
            ("", vec![("b", at_six)], vec![("c", at_two)], None),
        ];
        for (doors, beside, deployed, want) in table {
            let mut project = Project::default();
            project.files.extend([file("a", doors)]);
            project
                .files
                .extend(beside.iter().map(|(id, d)| file(id, d)));
            let programs: Vec<Program> = deployed
                .iter()
                .map(|(id, doors)| {
                    let files = [file(id, doors)].into_iter().collect();
                    tl_lang::load(&Project { files }, id).program.unwrap()
                })
                .collect();
            let checked = check_beside(&programs, &project, "a");
            let twice: Vec<&Diag> = checked
                .diags
                .iter()
                .filter(|d| d.code == "TL0211")
                .collect();
            assert!(want.is_none() || !checked.ok(), "{beside:?} {deployed:?}");
            assert_eq!(
                twice.len(),
                usize::from(want.is_some()),
                "{beside:?} {deployed:?}"
            );
            for diag in twice {
                let named = diag.message.contains("`a`") && diag.message.contains(want.unwrap());
                assert!(named && diag.line == 4, "{diag:?}");
            }
        }
    }

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
