//! Text as bytes say it: charsets, and what is taken out of every text.

use mail_parser::decoders::charsets::map::charset_decoder;

/// Text in the declared charset; without one, UTF-8, or Windows-1252 where it is none.
pub fn decode(charset: Option<&str>, bytes: &[u8]) -> String {
    let declared = charset.map(|name| name.trim().to_ascii_lowercase());
    let is_utf8 = |name: &str| matches!(name, "utf-8" | "utf8");
    if let Some(name) = declared.as_deref().filter(|name| !is_utf8(name))
        && let Some(decoder) = charset_decoder(name.as_bytes())
    {
        return decoder(bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    match charset_decoder(b"windows-1252") {
        Some(decoder) if !declared.as_deref().is_some_and(is_utf8) => decoder(bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Text of several lines: line feeds only, no control characters but tabs, no blank end.
pub fn clean(text: &str) -> String {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept: String = unified
        .chars()
        .filter(|&c| c == '\n' || c == '\t' || !(c.is_control() || c == '\u{feff}'))
        .collect();
    kept.trim_start_matches('\n').trim_end().to_owned()
}
