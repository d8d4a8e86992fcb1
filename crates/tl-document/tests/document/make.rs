//! Small documents of our own making.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

pub const PDF: &str = "application/pdf";
pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// A PDF of these objects, the first of which is its catalogue.
pub fn pdf_of(objects: &[String], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", i + 1).into_bytes());
    }
    let table = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).into_bytes());
    for place in places {
        out.extend(format!("{place:010} 00000 n \n").into_bytes());
    }
    let size = objects.len() + 1;
    let end =
        format!("trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n");
    out.extend(end.into_bytes());
    out
}

/// A stream object.
pub fn stream(dictionary: &str, data: &str) -> String {
    let length = data.len();
    format!("<< {dictionary} /Length {length} >>\nstream\n{data}\nendstream")
}

/// A page's drawing: text at its place, in points from the lower left corner.
pub fn drawing(written: &[(u32, u32, &str)]) -> String {
    let line = |(x, y, text): &(u32, u32, &str)| {
        let text = text
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        format!("BT /F1 11 Tf {x} {y} Td ({text}) Tj ET\n")
    };
    written.iter().map(line).collect()
}

/// The objects of a PDF whose pages have these drawings.
pub fn objects(pages: &[String]) -> Vec<String> {
    let kids: Vec<String> = (0..pages.len())
        .map(|i| format!("{} 0 R", 4 + 2 * i))
        .collect();
    let mut out = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Count {} /Kids [{}] >>",
            pages.len(),
            kids.join(" ")
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    for (i, page) in pages.iter().enumerate() {
        out.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * i
        ));
        out.push(stream("", page));
    }
    out
}

/// A PDF whose pages have these drawings.
pub fn pdf(pages: &[String]) -> Vec<u8> {
    pdf_of(&objects(pages), "")
}

/// A package of these parts.
pub fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The main part of a text document with this in its body.
pub fn word(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document \
         xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    )
}

/// A DOCX with this in its body.
pub fn docx(body: &str) -> Vec<u8> {
    package(&[
        ("[Content_Types].xml", "<Types/>"),
        ("word/document.xml", &word(body)),
    ])
}

/// A paragraph.
pub fn paragraph(text: &str) -> String {
    format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
}
