//! Plain text, in the charset that was declared or that its first bytes name.

/// The text of bytes.
pub(crate) fn decoded(bytes: &[u8], charset: Option<&str>) -> String {
    let named = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("utf-16"),
        [0xef, 0xbb, 0xbf, ..] => Some("utf-8"),
        _ => charset,
    };
    tl_wire::text::decode(named, bytes)
}

/// Its pages: programs that print leave a form feed between them.
pub(crate) fn read(bytes: &[u8], charset: Option<&str>) -> Vec<String> {
    let text = decoded(bytes, charset);
    let text = text.strip_suffix('\u{c}').unwrap_or(&text);
    text.split('\u{c}').map(str::to_owned).collect()
}
