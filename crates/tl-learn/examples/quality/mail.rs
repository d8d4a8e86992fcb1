//! The parts of a mail on annotated sets: where the newest message ends, and which lines are the signature.

use serde_json::Value;
use tl_learn::mail_text::{zones, zones_from};

use super::{files, read, share};

/// Annotations of a mail as JSON (`.ann`): its text, and the ranges of characters that are headers of quoted or
/// forwarded messages. The newest message ends where the first of them begins.
pub fn boundaries(dir: &str) {
    let (mut exact, mut total, mut nothing) = (0, 0, 0);
    let mut missed: Vec<String> = Vec::new();
    for path in files(dir) {
        if path.extension().is_none_or(|e| e != "ann") {
            continue;
        }
        let Ok(mail) = serde_json::from_str::<Value>(&read(&path)) else {
            continue;
        };
        let text = mail["text"].as_str().unwrap_or_default();
        let headers = mail["denotations"].as_array().into_iter().flatten();
        let first = headers
            .filter(|d| d["type"] == "Header")
            .filter_map(|d| d["start"].as_u64())
            .min();
        let chars: Vec<char> = text.chars().collect();
        let end = first.map_or(chars.len(), |at| at as usize);
        let expected: String = chars[..end.min(chars.len())].iter().collect();
        let found = zones(text);
        let end = match (&found.quoted, &found.forwarded, &found.signature) {
            (Some(quoted), ..) if quoted.start >= found.newest.end => quoted.start,
            (_, Some(_), signature) => signature.as_ref().map_or(found.newest.end, |s| s.end),
            _ => text.len(),
        };
        total += 1;
        nothing += usize::from(first.is_none());
        if text[..end].trim_end() == expected.trim_end() {
            exact += 1;
        } else {
            missed.push(path.display().to_string());
        }
    }
    println!(
        "end of the newest message exactly right {}; nothing to cut in {nothing}",
        share(exact, total)
    );
    for path in missed.iter().take(40) {
        println!("  missed {path}");
    }
}

/// Bodies (`*_body`) whose signature lines begin with `#sig#`; the sender stands in `*_sender`.
pub fn signatures(dir: &str) {
    let (mut right_lines, mut said_lines, mut true_lines) = (0usize, 0usize, 0usize);
    let (mut exact, mut presence, mut total) = (0, 0, 0);
    for path in files(dir) {
        let name = path.to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix("_body") else {
            continue;
        };
        let raw = read(&path);
        let marked: Vec<bool> = raw.lines().map(|l| l.starts_with("#sig#")).collect();
        let text: String = raw
            .lines()
            .map(|l| format!("{}\n", l.strip_prefix("#sig#").unwrap_or(l)))
            .collect();
        let sender = std::fs::read_to_string(format!("{stem}_sender")).unwrap_or_default();
        let signature = zones_from(&text, sender.trim()).signature;
        let mut at = 0;
        let mut differs = false;
        let mut any = false;
        for (line, marked) in text.split_inclusive('\n').zip(marked.iter().copied()) {
            let within = signature
                .as_ref()
                .is_some_and(|s| at < s.end && s.start < at + line.len());
            let said = within && !line.trim().is_empty();
            let truth = marked && !line.trim().is_empty();
            right_lines += usize::from(said && truth);
            said_lines += usize::from(said);
            true_lines += usize::from(truth);
            differs |= said != truth;
            any |= truth;
            at += line.len();
        }
        total += 1;
        exact += usize::from(!differs);
        presence += usize::from(any == signature.is_some());
    }
    let precision = right_lines as f64 / said_lines.max(1) as f64;
    let recall = right_lines as f64 / true_lines.max(1) as f64;
    let f1 = 2.0 * right_lines as f64 / (said_lines + true_lines).max(1) as f64;
    println!("signature lines: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}");
    println!("whole message right {}", share(exact, total));
    println!("has a signature or not {}", share(presence, total));
}
