//! Documents and the process that reads them, with the real binary: what hurts costs a document its text, and nobody
//! anything else.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::bench::{Bench, Server};

const WORKFLOW: &str = "\
workflow: { id: bills, version: \"1\" }
record:
  type: bill
  fields:
    document: { type: string, required: true }
    text:     { type: text, untrusted: true }
    number:   { type: string, required: true, from: rules }
ingress:
  channels:
    files: { channel: webhook, format: document, auth: hmac_signature, max_body: 25MiB, map: { document: event.body.digest, text: event.text } }
    mail:  { channel: email, auth: hmac_signature, map: { document: event.message_id, text: \"event.documents[0].text\" } }
worker:
  rules:
    - { when: \"has(record.text)\", set: { number: \"${record.text.capture('No. ([A-Z0-9-]+)')}\" } }
decision: { branches: [{ condition: 'size(missing) > 0', action: human_queue, reason: incomplete }, { default: close }] }
";

const INVOICE: &[u8] = include_bytes!("../../demo/documents/files/invoice.pdf");
const SCAN: &[u8] = include_bytes!("../../demo/documents/files/scan.pdf");
const WORD: &[u8] = include_bytes!("../../demo/documents/files/invoice.docx");
const PDF: &str = "application/pdf";
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
/// Changed files that are read by a process each.
const CHANGED: usize = 60;

/// A page whose drawing is twelve megabytes that unpack to seven hundred: more memory than a reader has.
fn bomb() -> Vec<u8> {
    let packed = [129u8, b' '].repeat(6 * 1024 * 1024);
    let head = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Count 1 /Kids \
                [3 0 R] >>\nendobj\n3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>\nendobj\n";
    let stream = format!(
        "4 0 obj\n<< /Filter /RunLengthDecode /Length {} >>\nstream\n",
        packed.len()
    );
    let mut out = [head.as_bytes(), stream.as_bytes(), &packed].concat();
    out.extend(b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n");
    out
}

/// Runs the reader as the server does; what it says, where it says something.
fn reader(media_type: &str, bytes: &[u8]) -> Option<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .arg("read-document")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let declared = json!({ "media_type": media_type });
    // One that has ended reads no more.
    let _ = pipe.write_all(format!("{declared}\n").as_bytes());
    let _ = pipe.write_all(bytes);
    drop(pipe);
    let out = child.wait_with_output().unwrap();
    serde_json::from_slice(&out.stdout).ok()
}

#[test]
fn a_reader_answers_or_ends() {
    let said = reader(PDF, INVOICE).expect("an answer");
    assert!(said["Ok"]["pages"][0].as_str().unwrap().contains("HS-4410"));
    assert_eq!(
        reader(PDF, SCAN).expect("an answer"),
        json!({ "Err": "NoText" })
    );
    assert_eq!(reader(PDF, &bomb()), None, "it has not the memory");
    let mut at = 7usize;
    for i in 0..CHANGED {
        let (media_type, whole) = [(PDF, INVOICE), (DOCX, WORD)][i % 2];
        let mut bytes = whole.to_vec();
        for _ in 0..3 {
            at = at
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let place = (at >> 20) % bytes.len();
            bytes[place] = (at >> 8) as u8;
        }
        // That it comes back at all is what counts; the server takes silence for a reason.
        drop(reader(media_type, &bytes));
    }
}

fn send(bench: &Bench, server: &Server, bytes: &[u8], secret: &str) -> String {
    std::fs::write(bench.path().join("sent.pdf"), bytes).unwrap();
    let to = format!("{}/hooks/default/files", server.url);
    let send = ["send", "sent.pdf", "--to", &to, "--secret", secret];
    let answer = bench.json(&send);
    answer["answer"]["case_id"].as_str().unwrap().to_owned()
}

#[test]
fn what_hurts_costs_a_document_its_text_and_the_server_goes_on() {
    let bench = Bench::empty();
    bench.write("workflows/bills/workflow.yaml", WORKFLOW);
    let server = bench.serve();
    let secret = bench.secret("files");
    #[rustfmt::skip]
    let table: [(&str, Vec<u8>, &[&str]); 4] = [
        ("a scan", SCAN.to_vec(), &["TL1103", "number", "incomplete"]),
        ("a bomb", bomb(), &["TL110", "has no text", "incomplete"]),
        ("no PDF", b"hello".to_vec(), &["TL1101"]),
        ("an invoice", INVOICE.to_vec(), &["HS-4410"]),
    ];
    for (what, bytes, parts) in table {
        let case = send(&bench, &server, &bytes, &secret);
        let explained = bench.run(&["explain", &case]);
        assert_eq!(explained.code, 0, "{what}");
        explained.expect(0, parts);
    }
    // `try` reads a document as the door would.
    std::fs::write(bench.path().join("bill.pdf"), INVOICE).unwrap();
    let tried = ["try", "bill.pdf", "--endpoint", "files"];
    bench.run(&tried).expect(0, &["HS-4410"]);
    assert_eq!(server.stop(), 0);
}

fn attached(name: &str, bytes: &[u8]) -> String {
    format!(
        "--p\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=\"{name}\"\n\
         Content-Transfer-Encoding: base64\n\n{}\n",
        STANDARD.encode(bytes)
    )
}

#[test]
fn attachments_of_fetched_mail_are_read() {
    let bench = Bench::empty();
    bench.write("workflows/bills/workflow.yaml", WORKFLOW);
    bench.write("throughline.toml", "mail_folders = [\"mail=in\"]\n");
    for dir in ["in/new", "in/cur"] {
        std::fs::create_dir_all(bench.path().join(dir)).unwrap();
    }
    let table = [
        ("bill", attached("bill.pdf", INVOICE), "HS-4410"),
        (
            "scan",
            attached("scan.pdf", SCAN),
            "(scan.pdf) of the last message has no text: TL1103",
        ),
    ];
    for (id, part, _) in &table {
        let mail = format!(
            "From: ada@example.com\nTo: us@example.com\nSubject: Bill\nMessage-ID: <{id}@example.com>\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=p\n\n--p\n\nAttached.\n{part}--p--\n"
        );
        bench.write(&format!("in/new/{id}"), &mail);
    }
    let server = bench.serve();
    let both = |all: &Value| all.as_array().is_some_and(|all| all.len() == table.len());
    let cases = bench.until(&["case", "list"], "a case of each mail", both);
    let explained: Vec<String> = cases
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["id"].as_str().or_else(|| c["case"].as_str()))
        .map(|case| bench.run(&["explain", case]).out)
        .collect();
    for (id, _, part) in table {
        assert!(
            explained.iter().any(|e| e.contains(part)),
            "{id}: {explained:#?}"
        );
    }
    assert_eq!(server.stop(), 0);
}
