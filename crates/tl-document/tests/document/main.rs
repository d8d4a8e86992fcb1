//! What is read of documents, and what is said of those that are not.

mod hostile;
mod make;

use make::{DOCX, PDF, docx, drawing, package, paragraph, pdf, word};
use tl_document::{Declared, Document, Kind, Limits, Unread, place, read};

pub fn declared(media_type: &str, name: &str) -> Declared {
    Declared {
        media_type: media_type.to_owned(),
        charset: None,
        name: (!name.is_empty()).then(|| name.to_owned()),
    }
}

fn read_as(media_type: &str, bytes: &[u8]) -> Result<Document, Unread> {
    read(bytes, &declared(media_type, ""), &Limits::default())
}

/// The pages of a document, or the code of why there are none.
fn pages(media_type: &str, bytes: &[u8]) -> Vec<String> {
    match read_as(media_type, bytes) {
        Ok(document) => document.pages,
        Err(why) => vec![why.code().to_owned()],
    }
}

const INVOICE: &[(u32, u32, &str)] = &[
    (50, 780, "Invoice No. NP-7"),
    // Drawn out of order, and in two columns.
    (400, 700, "EUR 238.00"),
    (50, 700, "Total:"),
    (50, 720, "Net:"),
    (400, 720, "EUR 200.00"),
];

#[test]
fn pages_are_read_line_by_line() {
    let invisible = "BT 3 Tr /F1 11 Tf 50 700 Td (behind the scan) Tj ET".to_owned();
    let bold = "BT 2 Tr /F1 11 Tf 50 700 Td (Bold) Tj ET".to_owned();
    let kerned = "BT /F1 11 Tf 50 700 Td [(In) 20 (voi) -30 (ce) -400 (No.)] TJ ET".to_owned();
    let sideways = "BT /F1 11 Tf 0 1 -1 0 300 300 Tm (Sideways) Tj ET".to_owned();
    let both = format!("{}{invisible}", drawing(&[(50, 720, "seen")]));
    let table: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            PDF,
            pdf(&[drawing(INVOICE)]),
            &["Invoice No. NP-7\n\nNet:\tEUR 200.00\nTotal:\tEUR 238.00"],
        ),
        (
            PDF,
            pdf(&[drawing(&[(50, 700, "one")]), drawing(&[(50, 700, "two")])]),
            &["one", "two"],
        ),
        (
            PDF,
            pdf(&[String::new(), drawing(&[(50, 700, "two")])]),
            &["", "two"],
        ),
        (
            PDF,
            pdf(&[drawing(&[(50, 700, "a (b) \\c")])]),
            &["a (b) \\c"],
        ),
        (PDF, pdf(&[invisible]), &["behind the scan"]),
        (PDF, pdf(&[both]), &["seen"]),
        (PDF, pdf(&[bold]), &["Bold"]),
        (PDF, pdf(&[kerned]), &["Invoice No."]),
        (PDF, pdf(&[sideways]), &["Sideways"]),
        (
            DOCX,
            docx(
                &[
                    paragraph("Invoice"),
                    paragraph("Tom &amp; J&#233;r&#xF4;me"),
                ]
                .concat(),
            ),
            &["Invoice\nTom & Jérôme"],
        ),
        (
            DOCX,
            docx(
                "<w:p><w:r><w:t>one</w:t><w:br w:type=\"page\"/><w:lastRenderedPageBreak/><w:t>two</w:t></w:r></w:p>",
            ),
            &["one", "two"],
        ),
        (
            DOCX,
            docx(&format!(
                "<w:tbl><w:tr><w:tc>{}</w:tc><w:tc>{}{}</w:tc></w:tr></w:tbl>",
                paragraph("Total"),
                paragraph("EUR"),
                paragraph("7")
            )),
            &["Total\tEUR 7"],
        ),
        (
            DOCX,
            docx(
                "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>shown</w:t></w:r></w:p>",
            ),
            &["shown"],
        ),
        (
            DOCX,
            docx(
                "<w:p><w:del><w:r><w:t>old</w:t></w:r></w:del><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t></w:r></w:p>",
            ),
            &["a\tb"],
        ),
        (
            DOCX,
            package(&[
                ("word/document.xml", &word(&paragraph("text"))),
                ("word/header1.xml", &word(&paragraph("head"))),
                ("word/header2.xml", &word(&paragraph("head"))),
                ("word/footer1.xml", &word(&paragraph("foot"))),
            ]),
            &["head\ntext\n\nfoot"],
        ),
        (
            "text/csv",
            b"From,Total\n\"Papier, Nord\",\"1,5\"\n".to_vec(),
            &["From\tTotal\nPapier, Nord\t1,5"],
        ),
        (
            "text/csv",
            b"a;b,c;d\n1;2,5;3\n".to_vec(),
            &["a\tb,c\td\n1\t2,5\t3"],
        ),
        ("text/csv", b"\xff\xfea\0\t\0b\0\n\0".to_vec(), &["a\tb"]),
        (
            "text/plain",
            b"one\x0ctwo\r\n\x0c".to_vec(),
            &["one", "two"],
        ),
        ("text/plain", b"Caf\xe9".to_vec(), &["Café"]),
    ];
    for (media_type, bytes, want) in table {
        assert_eq!(pages(media_type, &bytes), want, "{media_type}: {want:?}");
    }
}

#[test]
fn what_has_no_text_says_why() {
    let picture = "q 100 0 0 100 0 0 cm Q".to_owned();
    let mut old_office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec();
    old_office.extend([0; 600]);
    let mut protected = old_office.clone();
    protected.extend("EncryptedPackage".bytes().flat_map(|b| [b, 0]));
    let ciphered = "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 \
         /O (01234567890123456789012345678901) /U (01234567890123456789012345678901) >> /ID [(a) (a)]";
    let locked = make::pdf_of(&make::objects(&[drawing(INVOICE)]), ciphered);
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        (PDF, b"PK\x03\x04".to_vec(), "TL1101"),
        (DOCX, pdf(&[drawing(INVOICE)]), "TL1101"),
        (DOCX, old_office, "TL1101"),
        (DOCX, package(&[("xl/workbook.xml", "<x/>")]), "TL1101"),
        ("text/plain", b"%PDF-1.7".to_vec(), "TL1101"),
        ("text/csv", b"a\0b".to_vec(), "TL1101"),
        ("image/png", b"\x89PNG".to_vec(), "TL1101"),
        (DOCX, protected, "TL1102"),
        (PDF, locked, "TL1102"),
        (PDF, pdf(&[picture]), "TL1103"),
        (DOCX, docx(""), "TL1103"),
        ("text/plain", b" \n ".to_vec(), "TL1103"),
        ("text/csv", Vec::new(), "TL1103"),
        (PDF, b"%PDF-1.7\nnothing".to_vec(), "TL1106"),
        (DOCX, b"PK\x03\x04 and no more".to_vec(), "TL1106"),
        (DOCX, docx("<w:p></w:r>"), "TL1106"),
    ];
    for (media_type, bytes, want) in table {
        assert_eq!(pages(media_type, &bytes), [want], "{media_type}");
    }
}

#[test]
fn the_name_tells_where_the_type_does_not() {
    let table = [
        ("application/pdf", "", Some(Kind::Pdf)),
        ("APPLICATION/PDF", "", Some(Kind::Pdf)),
        ("application/octet-stream", "Invoice.PDF", Some(Kind::Pdf)),
        ("application/octet-stream", "a.docx", Some(Kind::Docx)),
        ("application/octet-stream", "a.exe", None),
        ("application/octet-stream", "", None),
        ("text/plain", "a.csv", Some(Kind::Csv)),
        ("text/plain", "a.log", Some(Kind::Text)),
        ("application/vnd.ms-excel", "a.csv", Some(Kind::Csv)),
        ("application/vnd.ms-excel", "a.xls", None),
        ("text/html", "a.pdf", None),
        ("image/jpeg", "a.jpg", None),
    ];
    for (media_type, name, want) in table {
        let name = (!name.is_empty()).then_some(name);
        assert_eq!(
            Kind::declared(media_type, name),
            want,
            "{media_type} {name:?}"
        );
    }
}

#[test]
fn an_offset_names_a_page() {
    let two = pdf(&[drawing(&[(50, 700, "one")]), drawing(&[(50, 700, "two")])]);
    let text = read_as(PDF, &two).unwrap().text();
    let at = text.find("two").unwrap();
    let found = place(&text, at).unwrap();
    assert_eq!((found.page, found.offset), (2, 0));
    let within = place(&text, at + 2).unwrap();
    assert_eq!((within.page, within.offset), (2, 2));
    let first = place(&text, 1).unwrap();
    assert_eq!((first.page, first.offset), (1, 1));
    assert_eq!(place("no pages", 3), None);
}

#[test]
fn limits_are_kept() {
    let limits = Limits {
        max_bytes: 10_000,
        max_pages: 2,
        max_unpacked: 2_000,
        max_text: 14,
    };
    let three = vec![drawing(&[(50, 700, "x")]); 3];
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        (PDF, pdf(&three), "TL1104"),
        ("text/plain", b"1\x0c2\x0c3".to_vec(), "TL1104"),
        ("text/plain", vec![b'x'; 10_001], "TL1105"),
        (DOCX, docx(&paragraph(&"x".repeat(2_000))), "TL1105"),
        (
            "text/plain",
            b"long enough\x0cto be cut".to_vec(),
            "long enough|",
        ),
    ];
    for (media_type, bytes, want) in table {
        let got = match read(&bytes, &declared(media_type, ""), &limits) {
            Ok(document) => {
                assert!(document.cut, "{want}");
                document.pages.join("|")
            }
            Err(why) => why.code().to_owned(),
        };
        assert_eq!(got, want, "{media_type}");
    }
}
