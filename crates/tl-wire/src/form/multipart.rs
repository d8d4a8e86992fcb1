//! `multipart/form-data` from complete bytes.
//!
//! The body must begin with the boundary line and end with the closing one: no preamble, no
//! epilogue, no folded header lines, no transfer encoding. Browsers and HTTP clients send exactly
//! this, and anything else is how one body is made to mean two things.

use super::{File, Form, FormError, Limits};
use crate::content_type::{ContentType, Cursor};

/// Longest header line of a part, in bytes.
const MAX_HEADER_LINE: usize = 2048;
/// Most header lines of a part.
const MAX_HEADER_LINES: usize = 8;

pub(super) fn parse(body: &[u8], boundary: &str, limits: &Limits) -> Result<Form, FormError> {
    let opening = format!("--{boundary}");
    let mut form = Form::default();
    let mut rest = body
        .strip_prefix(opening.as_bytes())
        .ok_or(FormError::Framing)?;
    let delimiter = format!("\r\n{opening}");
    loop {
        if let Some(after) = rest.strip_prefix(b"--") {
            let closed = after.is_empty() || after == b"\r\n";
            return if closed {
                Ok(form)
            } else {
                Err(FormError::Framing)
            };
        }
        let part = rest.strip_prefix(b"\r\n").ok_or(FormError::Framing)?;
        let (head, content) = Head::parse(part)?;
        let end = find(content, delimiter.as_bytes()).ok_or(FormError::Framing)?;
        head.store(&content[..end], &mut form, limits)?;
        rest = &content[end + delimiter.len()..];
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The header of one part.
struct Head {
    field: String,
    file_name: Option<String>,
    media_type: Option<ContentType>,
}

impl Head {
    /// Reads the header lines up to the empty one and returns what follows.
    fn parse(part: &[u8]) -> Result<(Head, &[u8]), FormError> {
        let (mut disposition, mut media_type) = (None, None);
        let mut rest = part;
        for _ in 0..=MAX_HEADER_LINES {
            let window = &rest[..rest.len().min(MAX_HEADER_LINE)];
            let end = find(window, b"\r\n").ok_or(FormError::PartHeader)?;
            let line = &rest[..end];
            rest = &rest[end + 2..];
            if line.is_empty() {
                let (field, file_name) = disposition.ok_or(FormError::PartHeader)?;
                let head = Head {
                    field,
                    file_name,
                    media_type,
                };
                return Ok((head, rest));
            }
            let line = std::str::from_utf8(line).map_err(|_| FormError::NotUtf8)?;
            let (name, value) = line.split_once(':').ok_or(FormError::PartHeader)?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" if disposition.is_none() => {
                    disposition = Some(parse_disposition(value)?);
                }
                "content-type" if media_type.is_none() => {
                    let parsed = ContentType::parse(value.as_bytes());
                    media_type = Some(parsed.map_err(|_| FormError::PartHeader)?);
                }
                "content-disposition" | "content-type" => return Err(FormError::PartHeader),
                "content-transfer-encoding" if !is_plain(value) => {
                    return Err(FormError::TransferEncoding);
                }
                other if !is_header_name(other) => return Err(FormError::PartHeader),
                _ => {}
            }
        }
        Err(FormError::PartHeader)
    }

    fn store(self, content: &[u8], form: &mut Form, limits: &Limits) -> Result<(), FormError> {
        let Some(file_name) = self.file_name else {
            if limits.values_are_bytes {
                return form.push_bytes(self.field, content.to_vec(), limits);
            }
            if self.media_type.is_some_and(|kind| !kind.is_utf8()) {
                return Err(FormError::Charset);
            }
            if content.len() > limits.max_value_bytes {
                return Err(FormError::ValueTooLong);
            }
            let value = std::str::from_utf8(content).map_err(|_| FormError::NotUtf8)?;
            return form.push_field(self.field, value.to_owned(), limits);
        };
        let name = base_name(&file_name);
        // A browser sends an untouched file input as an unnamed empty file: that is no file.
        if name.is_empty() && content.is_empty() {
            return Ok(());
        }
        if content.len() > limits.max_file_bytes {
            return Err(FormError::FileTooLarge);
        }
        let media_type = match &self.media_type {
            Some(kind) => kind.essence(),
            None => "application/octet-stream".to_owned(),
        };
        let file = File {
            field: self.field,
            name,
            media_type,
            bytes: content.to_vec(),
        };
        form.push_file(file, limits)
    }
}

fn is_plain(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"]
        .iter()
        .any(|plain| encoding.eq_ignore_ascii_case(plain))
}

fn is_header_name(name: &str) -> bool {
    // Not beginning with a dash, so that a boundary line is never taken for a header line.
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Reads `form-data; name="…"; filename="…"` into the field name and the file name.
fn parse_disposition(value: &str) -> Result<(String, Option<String>), FormError> {
    let mut cursor = Cursor { rest: value };
    let kind = cursor.token().map_err(|_| FormError::PartHeader)?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(FormError::PartHeader);
    }
    let (mut field, mut file_name) = (None, None);
    for (name, value) in cursor.parameters().map_err(|_| FormError::PartHeader)? {
        // Browsers write a quote inside a name as %22.
        match name.as_str() {
            "name" => field = Some(value.replace("%22", "\"")),
            "filename" => file_name = Some(value.replace("%22", "\"")),
            // The extended notation is not allowed here and would be a second file name.
            "filename*" | "name*" => return Err(FormError::PartHeader),
            _ => {}
        }
    }
    Ok((field.ok_or(FormError::EmptyName)?, file_name))
}

/// The last component of a path in either notation.
fn base_name(path: &str) -> String {
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    match last {
        "." | ".." => String::new(),
        name => name.to_owned(),
    }
}
