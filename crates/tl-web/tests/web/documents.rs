//! Documents at the doors: posted as they are, as files of a form, attached to mails.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tl_kernel::value::Value;
use tl_web::Carried;
use tl_web::limits::MAX_DOCUMENTS;

use crate::support::{Req, Server, server};

const INVOICE: &[u8] = include_bytes!("../../../throughline/demo/documents/files/invoice.pdf");
const SCAN: &[u8] = include_bytes!("../../../throughline/demo/documents/files/scan.pdf");
const WORD: &[u8] = include_bytes!("../../../throughline/demo/documents/files/invoice.docx");
const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

fn post(media_type: &str, bytes: &[u8]) -> Req {
    Req::new("POST", "/hooks/acme/files")
        .header("content-type", media_type)
        .body(bytes)
        .signed()
}

/// What `event` was of the last message, as text.
fn at(server: &Server, path: &[&str]) -> String {
    let event = server.world.last().event;
    event.at(path).map_or(String::new(), Value::to_string)
}

fn document(server: &Server, n: usize, name: &str) -> String {
    let event = server.world.last().event;
    let Some(Value::List(documents)) = event.at(&["documents"]) else {
        return String::new();
    };
    let found = documents.get(n).and_then(|d| d.at(&[name]));
    found.map_or(String::new(), Value::to_string)
}

#[tokio::test]
async fn a_door_takes_documents_and_reads_them() {
    #[rustfmt::skip]
    let table: [(&str, &[u8], u16, &str, &str); 8] = [
        ("application/pdf", INVOICE, 202, "Invoice No. HS-4410", ""),
        (DOCX, WORD, 202, "Total\tEUR 59.50", ""),
        ("text/csv", b"Total;EUR 7\n", 202, "Total\tEUR 7", ""),
        ("text/plain; charset=iso-8859-1", b"Caf\xe9", 202, "Caf\u{e9}", ""),
        ("application/pdf", SCAN, 202, "", "TL1103"),
        ("application/pdf", b"no PDF", 202, "", "TL1101"),
        ("application/json", b"{}", 415, "", ""),
        ("image/png", b"\x89PNG", 415, "", ""),
    ];
    let server = server().await;
    for (media_type, bytes, status, text, code) in table {
        let answer = server.send(post(media_type, bytes)).await;
        assert_eq!(answer.status, status, "{media_type}: {}", answer.text());
        if status == 202 {
            assert!(at(&server, &["text"]).contains(text), "{media_type}");
            assert_eq!(
                at(&server, &["text"]),
                document(&server, 0, "text"),
                "{media_type}"
            );
            assert_eq!(document(&server, 0, "error"), code, "{media_type}");
            assert_eq!(document(&server, 0, "reason").is_empty(), code.is_empty());
            assert_eq!(
                at(&server, &["body", "digest"]),
                document(&server, 0, "digest")
            );
            // What is stored are the bytes; read again they are the same event.
            let last = server.world.last();
            assert_eq!(last.payload, bytes);
            let again = server.world.read_again();
            assert_eq!(again.at(&["documents"]), last.event.at(&["documents"]));
        }
    }
    // The same bytes are the same message.
    assert_eq!(
        server.send(post("application/pdf", INVOICE)).await.status,
        200
    );
}

#[tokio::test]
async fn a_sender_comes_again_where_no_reader_is_free() {
    let server = server().await;
    server.world.no_reader.store(true, Ordering::Relaxed);
    let answer = server.send(post("application/pdf", INVOICE)).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(server.stored().await, 0);
    server.world.no_reader.store(false, Ordering::Relaxed);
    assert_eq!(
        server.send(post("application/pdf", INVOICE)).await.status,
        202
    );
}

#[tokio::test]
async fn the_files_of_a_form_are_read() {
    let mut body = b"--b\r\ncontent-disposition: form-data; name=\"email\"\r\n\r\nada@example.com\r\n\
        --b\r\ncontent-disposition: form-data; name=\"bill\"; filename=\"bill.pdf\"\r\ncontent-type: application/pdf\r\n\r\n"
        .to_vec();
    body.extend(INVOICE);
    body.extend(
        b"\r\n--b\r\ncontent-disposition: form-data; name=\"face\"; filename=\"me.png\"\r\n\
        content-type: image/png\r\n\r\npng\r\n--b--\r\n",
    );
    let request = Req::new("POST", "/forms/acme/upload")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body)
        .signed();
    let server = server().await;
    let answer = server.send(request).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(document(&server, 0, "field"), "bill");
    assert_eq!(document(&server, 0, "name"), "bill.pdf");
    assert_eq!(document(&server, 0, "pages"), "1");
    assert!(document(&server, 0, "text").contains("HS-4410"));
    assert_eq!(document(&server, 1, "name"), "", "a picture is no document");
}

fn attached(name: &str, media_type: &str, bytes: &[u8]) -> String {
    format!(
        "--p\r\nContent-Type: {media_type}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        STANDARD.encode(bytes)
    )
}

fn mail(id: &str, parts: &[String]) -> Vec<u8> {
    let head = format!(
        "From: ada@example.com\r\nTo: us@example.com\r\nSubject: Bill\r\nMessage-ID: <{id}@example.com>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=p\r\n\r\n--p\r\n\r\nAttached.\r\n"
    );
    format!("{head}{}--p--\r\n", parts.concat()).into_bytes()
}

#[tokio::test]
async fn the_documents_of_a_mail_are_read() {
    let server = server().await;
    let parts = [
        attached("photo.png", "image/png", b"png"),
        attached("bill.pdf", "application/octet-stream", INVOICE),
        attached("scan.pdf", "application/pdf", SCAN),
    ];
    let carrier = &server.carrier;
    let taken = carrier
        .deliver(("acme", "mail"), mail("m1", &parts), "test")
        .await;
    assert_eq!(taken, Carried::Taken { known: false });
    assert_eq!(at(&server, &["text"]), "Attached.");
    assert_eq!(document(&server, 0, "name"), "bill.pdf");
    assert_eq!(document(&server, 0, "kind"), "pdf");
    assert!(document(&server, 0, "text").contains("HS-4410"));
    assert_eq!(document(&server, 1, "error"), "TL1103");
    // Of very many the first ones.
    let one = attached("a.txt", "text/plain", b"a");
    let many = vec![one; MAX_DOCUMENTS + 1];
    let taken = carrier
        .deliver(("acme", "mail"), mail("m2", &many), "test")
        .await;
    assert_eq!(taken, Carried::Taken { known: false });
    assert_eq!(document(&server, MAX_DOCUMENTS - 1, "text"), "a");
    assert_eq!(document(&server, MAX_DOCUMENTS, "error"), "TL1109");
    // Its sender comes again where nobody can read it now.
    server.world.no_reader.store(true, Ordering::Relaxed);
    let later = carrier
        .deliver(("acme", "mail"), mail("m3", &parts), "test")
        .await;
    assert_eq!(later, Carried::Later("documents"));
}
