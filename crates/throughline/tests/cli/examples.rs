//! The workflows under `examples`, as they are: real messages through a running server, and what becomes of each.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::bench::Bench;

/// A message, and what its case comes to.
struct Row {
    message: Value,
    state: &'static str,
    /// Kind, reason and owner of the task that is open; empty for none.
    task: [&'static str; 3],
    /// Actions that were carried out.
    done: &'static [&'static str],
    /// Fields of the record.
    record: &'static [(&'static str, &'static str)],
}

/// A directory of its own with the files of an example.
fn bench(example: &str) -> Bench {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(example);
    let bench = Bench::empty();
    let mut open: Vec<PathBuf> = vec![root.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let to = bench.write(name, "");
            std::fs::copy(&path, to).unwrap();
        }
    }
    bench
}

/// Sends each message of an example and waits for what it comes to.
fn run(example: &str, endpoint: &str, rows: &[Row]) {
    let bench = bench(example);
    bench
        .run(&["check", "--strict"])
        .expect(0, &["its proofs hold"]);
    bench.run(&["deploy", "--yes"]).expect(0, &[]);
    let secret = bench.secret(endpoint);
    let server = bench.serve();
    let to = format!("{}/hooks/default/{endpoint}", server.url);
    for row in rows {
        let what = row.message.to_string();
        bench.write("m.json", &what);
        let sent = bench.json(&["send", "m.json", "--to", &to, "--secret", &secret]);
        let case = sent["answer"]["case_id"].as_str().expect(&what).to_owned();
        let there = |c: &Value| c["state"] == row.state && c["open_effects"] == 0;
        let case = bench.until(&["case", "show", &case], &what, there);
        let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
        let record = list("record");
        for (name, value) in row.record {
            let field = record.iter().find(|f| f["name"] == *name);
            let field = field.unwrap_or_else(|| panic!("{what}: no {name}: {case:#}"));
            assert_eq!(field["value"], *value, "{what}: {name}");
        }
        let open: Vec<Value> = list("tasks");
        let open: Vec<[&Value; 3]> = open
            .iter()
            .map(|t| ["kind", "reason", "owner"].map(|key| &t[key]))
            .collect();
        match row.task {
            ["", ..] => assert!(open.is_empty(), "{what}: {open:?}"),
            task => assert_eq!(open, [task.map(Value::from).each_ref()], "{what}"),
        }
        let effects = list("effects").into_iter();
        let done = effects.filter(|e| e["sort"] == "effect" && e["state"] == "succeeded");
        let mut done: Vec<String> = done
            .map(|e| e["action"].as_str().unwrap().to_owned())
            .collect();
        done.sort();
        assert_eq!(done, row.done, "{what}");
    }
    drop(server);
}

#[test]
fn a_ticket_gets_its_first_response_or_a_person() {
    let ticket = |id: u32, text: &str| json!({ "id": format!("t{id}"), "from": "kim@example.com", "subject": "Question", "text": text });
    let asked = |id, text, reason, topic| Row {
        message: ticket(id, text),
        state: "needs_human",
        task: ["review", reason, "support"],
        done: &[],
        record: topic,
    };
    let answered = |id, text| Row {
        message: ticket(id, text),
        state: "closed",
        task: [""; 3],
        done: &["crm_upsert", "first_response"],
        record: &[("topic", "how_to"), ("email", "kim@example.com")],
    };
    let rows = [
        answered(1, "How can I change the language of the calendar?"),
        asked(
            2,
            "You charged my card twice, please refund one payment",
            "refund",
            &[("topic", "refund")],
        ),
        asked(
            3,
            "The mobile app crashes with an error when I save",
            "bug",
            &[("topic", "bug")],
        ),
        asked(4, "Zebra lasagne", "unsure", &[]),
        answered(
            5,
            "Where do I find the page to invite a guest to our workspace?",
        ),
    ];
    run("support_tickets", "desk", &rows);
}

#[test]
fn the_text_of_an_invoice_becomes_a_validated_record() {
    let invoice = |id: &str, lines: &[&str]| json!({ "document": id, "text": lines.join("\n") });
    let asked = |message, reason, record| Row {
        message,
        state: "needs_human",
        task: ["review", reason, "accounting"],
        done: &[],
        record,
    };
    let rows = [
        Row {
            message: invoice(
                "scan-1",
                &[
                    "From: Nordlicht Papier GmbH",
                    "Invoice No. NP-2026/118",
                    "Net: EUR 200.00",
                    "Tax: EUR 38.00",
                    "Total: EUR 238.00",
                    "Due: 2026-12-31",
                ],
            ),
            state: "automated",
            task: ["hand_off", "valid", "accounting"],
            done: &["crm_upsert"],
            record: &[
                ("number", "NP-2026/118"),
                ("supplier", "Nordlicht Papier GmbH"),
                ("currency", "EUR"),
                ("total", "238.00"),
                ("owner", "accounting"),
            ],
        },
        Row {
            message: invoice(
                "scan-2",
                &[
                    "From: Hudson Cranes Inc.",
                    "Invoice Number: 77120",
                    "Net: USD 12500.00",
                    "Tax: USD 0.00",
                    "Total: USD 12500.00",
                ],
            ),
            state: "automated",
            task: ["hand_off", "valid", "directors"],
            done: &["crm_upsert"],
            record: &[("number", "77120"), ("owner", "directors")],
        },
        asked(
            invoice(
                "scan-3",
                &[
                    "From: Nordlicht Papier GmbH",
                    "Invoice No. NP-2026/119",
                    "Net: EUR 200.00",
                    "Tax: EUR 38.00",
                    "Total: EUR 283.00",
                ],
            ),
            "sum",
            &[("total", "283.00")],
        ),
        asked(
            invoice("scan-4", &["a page that nobody can read"]),
            "incomplete",
            &[("document", "scan-4")],
        ),
    ];
    run("supplier_invoices", "scanner", &rows);
}
