//! The walk through the parts of a message: which text a person reads, what is attached.

use super::{Attachment, Head, Limits, MailError, Returned, clean_line, html};
use crate::text::decode;
use aws_lc_rs::digest::{SHA256, digest};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::{ContentType, HeaderName, HeaderValue};

/// What a part, with everything in it, contributes.
#[derive(Default)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) attachments: Vec<Attachment>,
    /// What delivery reports in it say.
    pub(super) returned: Returned,
    /// True when some of the text was sent as plain text.
    has_plain: bool,
}

/// Reads the body of a message.
pub(super) fn read(head: &Head<'_>, body: &[u8], limits: &Limits) -> Result<Content, MailError> {
    let mut walk = Walk { limits, parts: 0 };
    walk.part(
        head,
        body,
        Place {
            depth: 0,
            top: true,
        },
    )
}

struct Walk<'l> {
    limits: &'l Limits,
    parts: usize,
}

#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// True for the message itself: its body is the text even when it has a name.
    top: bool,
}

impl Walk<'_> {
    fn part(&mut self, head: &Head<'_>, body: &[u8], place: Place) -> Result<Content, MailError> {
        self.parts += 1;
        if self.parts > self.limits.max_parts {
            return Err(MailError::TooManyParts);
        }
        let declared = content_type(head, &HeaderName::ContentType);
        let kind = declared.map_or("text", |t| t.ctype());
        let subtype = declared.map_or("plain", |t| t.subtype().unwrap_or_default());
        let boundary = declared.and_then(|t| t.attribute("boundary"));
        match (kind, boundary) {
            ("multipart", Some(boundary)) if !boundary.is_empty() => {
                if place.depth >= self.limits.max_depth {
                    return Err(MailError::TooDeep);
                }
                self.multipart(subtype, boundary, (body, place.depth))
            }
            _ => {
                let mut content = leaf(head, declared, body, place);
                if let [attachment] = content.attachments.as_slice() {
                    content.returned = self.report(&attachment.media_type, (head, body));
                }
                Ok(content)
            }
        }
    }

    /// What a part of a delivery report says, or the mail that came back with it.
    fn report(&self, media_type: &str, (head, body): (&Head<'_>, &[u8])) -> Returned {
        let mut returned = Returned::default();
        match media_type {
            "message/rfc822" | "text/rfc822-headers" => {
                let bytes = transfer_decode(head, body);
                // What came back may be cut off or worse; then it names nothing.
                if let Ok((inner, _)) = Head::split(bytes.trim_ascii_start(), self.limits) {
                    returned.of_mail(&inner);
                }
            }
            "message/delivery-status" => returned.of_status(&transfer_decode(head, body)),
            _ => {}
        }
        returned
    }

    fn multipart(
        &mut self,
        subtype: &str,
        boundary: &str,
        (body, depth): (&[u8], usize),
    ) -> Result<Content, MailError> {
        let place = Place {
            depth: depth + 1,
            top: false,
        };
        let bodies = split(body, boundary);
        if bodies.is_empty() {
            // A boundary that never comes: what is there is still what was written.
            return Ok(Content {
                text: decode(None, body),
                has_plain: true,
                ..Content::default()
            });
        }
        let mut children = Vec::new();
        for bytes in bodies {
            let (head, body) = Head::split(bytes, self.limits)?;
            children.push(self.part(&head, body, place)?);
        }
        Ok(if subtype.eq_ignore_ascii_case("alternative") {
            choose(children)
        } else {
            join(children)
        })
    }
}

/// Of several versions of one content, the plain one; else the first that has text.
fn choose(mut children: Vec<Content>) -> Content {
    let attachments = children
        .iter_mut()
        .flat_map(|child| std::mem::take(&mut child.attachments))
        .collect();
    let mut returned = Returned::default();
    for child in &mut children {
        returned.merge(std::mem::take(&mut child.returned));
    }
    let worded = |child: &Content| !child.text.trim().is_empty();
    let best = children
        .iter()
        .position(|child| child.has_plain && worded(child))
        .or_else(|| children.iter().position(worded));
    match best {
        Some(position) => Content {
            attachments,
            returned,
            ..children.swap_remove(position)
        },
        None => Content {
            attachments,
            returned,
            ..Content::default()
        },
    }
}

/// Several contents one after the other.
fn join(children: Vec<Content>) -> Content {
    let mut joined = Content::default();
    for child in children {
        if !child.text.trim().is_empty() {
            if !joined.text.is_empty() {
                joined.text.push_str("\n\n");
            }
            joined.text.push_str(child.text.trim_end());
            joined.has_plain |= child.has_plain;
        }
        joined.attachments.extend(child.attachments);
        joined.returned.merge(child.returned);
    }
    joined
}

/// A part without parts. A forwarded message is attached as it is; its text is another's.
fn leaf(head: &Head<'_>, declared: Option<&ContentType<'_>>, body: &[u8], place: Place) -> Content {
    let media_type = match declared {
        Some(t) => format!("{}/{}", t.ctype(), t.subtype().unwrap_or("unknown")),
        None => "text/plain".to_owned(),
    };
    let media_type = clean_line(&media_type.to_ascii_lowercase()).unwrap_or_default();
    let disposition = content_type(head, &HeaderName::ContentDisposition);
    let name = disposition
        .and_then(|d| d.attribute("filename"))
        .or_else(|| declared.and_then(|t| t.attribute("name")));
    let attached = disposition.is_some_and(|d| d.is_attachment()) || (name.is_some() && !place.top);
    let is_html = media_type == "text/html";
    let bytes = transfer_decode(head, body);
    if attached || !(is_html || media_type == "text/plain") {
        let attachment = Attachment {
            name: name.and_then(file_name),
            media_type,
            size: bytes.len(),
            digest: hex::encode(digest(&SHA256, &bytes)),
            charset: declared
                .and_then(|t| t.attribute("charset"))
                .and_then(clean_line),
            content: bytes,
        };
        return Content {
            attachments: vec![attachment],
            ..Content::default()
        };
    }
    let text = decode(declared.and_then(|t| t.attribute("charset")), &bytes);
    Content {
        text: if is_html { html::to_text(&text) } else { text },
        has_plain: !is_html,
        ..Content::default()
    }
}

fn content_type<'h>(head: &'h Head<'_>, name: &'h HeaderName<'h>) -> Option<&'h ContentType<'h>> {
    match head.value(name) {
        Some(HeaderValue::ContentType(declared)) => Some(declared),
        _ => None,
    }
}

/// The last component of a path in either notation.
fn file_name(path: &str) -> Option<String> {
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    clean_line(last).filter(|name| name != "." && name != "..")
}

/// The parts between the boundary lines. Text before the first and after the closing line is not
/// content; a missing closing line ends the last part with the body.
fn split<'b>(body: &'b [u8], boundary: &str) -> Vec<&'b [u8]> {
    let mut parts = Vec::new();
    let mut start: Option<usize> = None;
    let mut offset = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let after = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary.as_bytes()));
        let closing = after.and_then(|rest| rest.strip_prefix(b"--"));
        let is_line = [after, closing]
            .iter()
            .flatten()
            .any(|rest| rest.trim_ascii().is_empty());
        if is_line {
            if let Some(start) = start {
                parts.push(without_line_end(&body[start..offset]));
            }
            start = Some(offset + line.len());
            if after.is_some_and(|rest| !rest.trim_ascii().is_empty()) {
                return parts;
            }
        }
        offset += line.len();
    }
    if let Some(start) = start {
        parts.push(&body[start..]);
    }
    parts
}

/// The line end before a boundary line belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

fn transfer_decode(head: &Head<'_>, body: &[u8]) -> Vec<u8> {
    let encoding = head.text(&HeaderName::ContentTransferEncoding);
    match encoding.unwrap_or_default().to_ascii_lowercase().as_str() {
        "base64" => {
            // Anything outside the alphabet is to be ignored (RFC 2045).
            let plain: Vec<u8> = body
                .iter()
                .copied()
                .filter(|&b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
                .collect();
            base64_decode(&plain).unwrap_or_default()
        }
        "quoted-printable" => quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// Decodes quoted-printable; an escape that is none stays as it was written.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            decoded.push(byte);
            continue;
        }
        let mut escape = [0u8];
        if after
            .get(..2)
            .is_some_and(|pair| hex::decode_to_slice(pair, &mut escape).is_ok())
        {
            decoded.push(escape[0]);
            rest = &after[2..];
            continue;
        }
        // A soft line break: = and blanks up to the end of the line.
        let blanks = after
            .iter()
            .take_while(|&&b| matches!(b, b' ' | b'\t' | b'\r'))
            .count();
        match after.get(blanks) {
            None => break,
            Some(b'\n') => rest = &after[blanks + 1..],
            Some(_) => decoded.push(b'='),
        }
    }
    decoded
}
