//! Files that were made to hurt, and valid ones with some bytes changed: each ends, with its text or a reason.

use std::panic::catch_unwind;

use super::make::{DOCX, PDF, docx, drawing, objects, paragraph, pdf, pdf_of, stream, word};
use super::{declared, pages};
use tl_document::{Limits, read};

/// Files that were changed.
const CHANGED: u32 = 3_000;

#[test]
fn files_that_hurt_end_with_a_reason() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = stream(
        "",
        &format!("{deep} Tj BT /F1 11 Tf 50 700 Td (after it) Tj ET"),
    );
    let mut one = objects(&[drawing(&[(50, 700, "x")])]);
    one[4] = nested;
    let mut circle = objects(&[drawing(&[(50, 700, "x")])]);
    // Its pages are their own children.
    circle[1] = "<< /Type /Pages /Count 1 /Kids [2 0 R 4 0 R] >>".to_owned();
    let mut itself = objects(&["/X Do".to_owned()]);
    itself[3] = itself[3].replace("/Font", "/XObject << /X 6 0 R >> /Font");
    itself.push(stream(
        "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>",
        "/X Do /X Do",
    ));
    let mut within = objects(&[drawing(&[(50, 700, "x")])]);
    // A stream of objects that says it continues in itself.
    within.push(stream(
        "/Type /ObjStm /N 1 /First 4 /Extends 6 0 R",
        "7 0 << >>",
    ));
    let whole = pdf(&[drawing(&[(50, 700, "whole")])]);
    let cut = whole[..whole.len() * 2 / 3].to_vec();
    let many = pdf(&vec![String::new(); 10_000]);
    let entities = format!(
        "<!DOCTYPE d [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>{}",
        word(&paragraph("left&b;right"))
    );
    let bomb = docx(&paragraph(&" ".repeat(80 * 1024 * 1024)));
    let tower = docx(&"<w:p>".repeat(5_000));
    let table: Vec<(&str, &str, Vec<u8>, &[&str])> = vec![
        (
            "deep",
            PDF,
            pdf_of(&one, ""),
            &["after it", "TL1103", "TL1106"],
        ),
        ("circle", PDF, pdf_of(&circle, ""), &["x"]),
        ("itself", PDF, pdf_of(&itself, ""), &["TL1103"]),
        ("within", PDF, pdf_of(&within, ""), &["x"]),
        ("cut", PDF, cut, &["whole", "TL1103", "TL1106"]),
        ("many", PDF, many, &["TL1104"]),
        ("bomb", DOCX, bomb, &["TL1105"]),
        ("tower", DOCX, tower, &["TL1106"]),
        (
            "entities",
            DOCX,
            super::package(&[("word/document.xml", &entities)]),
            &["leftright"],
        ),
    ];
    for (name, media_type, bytes, want) in table {
        let got = pages(media_type, &bytes).join("|");
        assert!(
            want.contains(&got.as_str()),
            "{name}: {got:?}, not {want:?}"
        );
    }
}

/// Small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

fn change(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 => bytes[at] = dice.below(256) as u8,
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.truncate(at.max(16)),
            3 => {
                let to = (at + dice.below(40)).min(bytes.len());
                let piece = bytes[at..to].to_vec();
                let into = dice.below(bytes.len());
                bytes.splice(into..into, piece);
            }
            _ => {
                // Numbers that are too large are what lengths and counts are most often wrong by.
                let digit = bytes.iter().skip(at).position(u8::is_ascii_digit);
                if let Some(digit) = digit {
                    bytes.splice(at + digit..at + digit, *b"99999");
                }
            }
        }
    }
}

#[test]
fn changed_files_end_with_text_or_a_reason() {
    let whole = [
        (
            PDF,
            pdf(&[drawing(&[(50, 700, "one")]), drawing(&[(50, 600, "two")])]),
        ),
        (DOCX, docx(&[paragraph("one"), paragraph("two")].concat())),
        ("text/csv", b"a,b\n\"1\",2\n".to_vec()),
    ];
    let mut dice = Dice(0x5eed);
    let (mut texts, mut reasons, mut panics) = (0, 0, 0);
    for i in 0..CHANGED {
        let (media_type, bytes) = &whole[i as usize % whole.len()];
        let mut bytes = bytes.clone();
        change(&mut bytes, &mut dice);
        let one = catch_unwind(|| read(&bytes, &declared(media_type, ""), &Limits::default()));
        match one {
            Ok(Ok(_)) => texts += 1,
            Ok(Err(_)) => reasons += 1,
            // The reader is a process of its own for this.
            Err(_) => panics += 1,
        }
    }
    assert!(
        texts > 100 && reasons > 100,
        "{texts} texts, {reasons} reasons"
    );
    assert_eq!(panics, 0, "libraries that panicked");
}
