//! What changed in a decision table: its rows, as they read in the file.

use std::collections::BTreeMap;

use tl_kernel::program::{CellTest, HitPolicy, Program, Table, TableRow};
use tl_kernel::value::Value;

/// Changed rows that are shown of one table; the rest is counted.
const SHOWN: usize = 20;

/// The differences between the tables of two versions, one line each.
pub fn tables(old: &Program, new: &Program, out: &mut Vec<String>) {
    let by_file = |p: &'_ Program| -> BTreeMap<String, Table> {
        let pair = |t: &Table| (t.file.clone(), t.clone());
        p.tables.iter().map(pair).collect()
    };
    let (was, is) = (by_file(old), by_file(new));
    for (file, table) in &is {
        match was.get(file) {
            None => out.push(format!("table `{file}` is new: {}", words(table))),
            Some(before) => changed(file, before, table, out),
        }
    }
    let gone = was.keys().filter(|file| !is.contains_key(*file));
    out.extend(gone.map(|file| format!("table `{file}` is gone")));
}

fn changed(file: &str, old: &Table, new: &Table, out: &mut Vec<String>) {
    if words(old) != words(new) {
        out.push(format!("table `{file}`: {} => {}", words(old), words(new)));
    }
    let rows = |t: &Table| -> Vec<String> { t.rows.iter().map(|r| row(t, r)).collect() };
    let (was, is) = (rows(old), rows(new));
    let mut all: Vec<String> = Vec::new();
    let gone = was.iter().filter(|r| !is.contains(r));
    all.extend(gone.map(|r| format!("row is gone: {r}")));
    let came = is.iter().filter(|r| !was.contains(r));
    all.extend(came.map(|r| format!("row is new: {r}")));
    if all.is_empty() && was != is {
        all.push("the rows are the same in another order".into());
    }
    let more = all.len().saturating_sub(SHOWN);
    out.extend(
        all.iter()
            .take(SHOWN)
            .map(|c| format!("table `{file}`: {c}")),
    );
    if more > 0 {
        out.push(format!("table `{file}`: and {more} more rows that changed"));
    }
}

fn words(t: &Table) -> String {
    let hit = match t.hit {
        HitPolicy::First => "the first that matches counts",
        HitPolicy::Unique => "at most one matches",
        HitPolicy::Collect => "all that match are collected",
    };
    let inputs: Vec<&str> = t.inputs.iter().map(|(name, _)| name.as_str()).collect();
    format!(
        "{} rows from {} to {}; {hit}",
        t.rows.len(),
        inputs.join(", "),
        t.outputs.join(", ")
    )
}

fn row(t: &Table, row: &TableRow) -> String {
    let tests = t.inputs.iter().zip(&row.tests);
    let tests: Vec<String> = tests
        .filter(|(_, test)| **test != CellTest::Any)
        .map(|((name, _), test)| format!("{name} {}", test_words(test)))
        .collect();
    let sets = t.outputs.iter().zip(&row.values);
    let sets: Vec<String> = sets
        .filter(|(_, value)| **value != Value::Null)
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let tests = match tests.is_empty() {
        true => "anything".to_owned(),
        false => tests.join(", "),
    };
    format!("{tests} => {}", sets.join(", "))
}

fn test_words(test: &CellTest) -> String {
    match test {
        CellTest::Any => "-".into(),
        CellTest::OneOf(values) => {
            let all: Vec<String> = values.iter().map(Value::to_string).collect();
            all.join("|")
        }
        CellTest::Range(from, to) => {
            let from = from.map_or(String::new(), |d| d.to_string());
            let to = to.map_or(String::new(), |d| d.to_string());
            format!("{from}..{to}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tl_lang::Project;

    const WORKFLOW: &str = "workflow: { id: a, version: \"1\" }\ningress: { channels: [form] }\nworker: { tables: [{ file: t.csv, outputs: [territory] }] }\ndecision: { branches: [{ default: human_queue }] }\n";

    fn program(table: &str) -> Program {
        let mut project = Project::default();
        let files = [("workflow.yaml", WORKFLOW), ("t.csv", table)];
        for (name, text) in files {
            let path = format!("workflows/a/{name}");
            project.files.insert(path, text.into());
        }
        let loaded = tl_lang::load(&project, "a");
        loaded
            .program
            .unwrap_or_else(|| panic!("{:?}", loaded.diags))
    }

    #[test]
    fn changed_rows_are_shown_as_they_read() {
        const HEAD: &str = "company,territory\n";
        let old = program(&format!("{HEAD}Acme,north\nOther,south\n"));
        let table: [(&str, &[&str]); 4] = [
            ("Acme,north\nOther,south\n", &[]),
            (
                "Acme,west\nOther,south\n",
                &[
                    "row is gone: company Acme => territory north",
                    "row is new: company Acme => territory west",
                ],
            ),
            ("Other,south\nAcme,north\n", &["in another order"]),
            (
                "Acme,north\nOther,south\n-,rest\n",
                &["3 rows from", "row is new: anything => territory rest"],
            ),
        ];
        for (rows, want) in table {
            let mut got = Vec::new();
            tables(&old, &program(&format!("{HEAD}{rows}")), &mut got);
            assert_eq!(got.is_empty(), want.is_empty(), "{rows}: {got:?}");
            for part in want {
                let found = got.iter().any(|line| line.contains(part));
                assert!(found, "{rows}: `{part}` in {got:?}");
            }
        }
    }
}
