//! Step 4: what the head says about the body. A body without a declared length, encoded, or of another type
//! than the door's is not read.

use http::{HeaderMap, header};
use tl_document::Kind;
use tl_kernel::program::{Endpoint, Format};
use tl_wire::content_type::{BodyEncoding, ContentType};

use super::mail::poster;
use crate::guard::length_required;
use crate::headers::pairs;
use crate::problem::{CONTENT_TYPE, ENCODING, MALFORMED, Problem, TOO_LARGE};

/// What the head says about the body.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) length: u32,
    pub(crate) content_type: ContentType,
}

/// Checks a head against a door.
pub(crate) fn check(endpoint: &Endpoint, headers: &HeaderMap) -> Result<Declared, Problem> {
    let length = length(headers, endpoint.max_body)?;
    let content_type = content_type(headers)?;
    let (fits, wanted) = match endpoint.format {
        Format::Json => (
            content_type.is_json() && content_type.is_utf8(),
            "application/json in UTF-8",
        ),
        Format::Form => {
            let form = content_type.is_urlencoded()
                || content_type.is_multipart_form()
                || content_type.is_json();
            let wanted = "application/x-www-form-urlencoded, multipart/form-data or application/json, in UTF-8";
            (form && content_type.is_utf8(), wanted)
        }
        Format::Document => (
            Kind::declared(&content_type.essence(), None).is_some(),
            "application/pdf, a DOCX, text/csv or text/plain",
        ),
        Format::Mail if poster(endpoint).is_some() => (
            content_type.is_urlencoded()
                || content_type.is_multipart_form()
                || content_type.essence() == "message/rfc822",
            "message/rfc822, or the form in which the vendor posts mail",
        ),
        Format::Mail => (content_type.essence() == "message/rfc822", "message/rfc822"),
    };
    if fits {
        Ok(Declared {
            length,
            content_type,
        })
    } else {
        Err(wrong_type(format!("This address takes {wanted}.")))
    }
}

/// The declared length of a body that may have at most `most` bytes; the body must come as it is.
pub(crate) fn length(headers: &HeaderMap, most: u32) -> Result<u32, Problem> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let text = lengths.next().ok_or_else(length_required)?.as_bytes();
    if lengths.next().is_some() || text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Problem::new(MALFORMED, "The Content-Length is not one number.").close());
    }
    // More digits than fit are more bytes than fit.
    let length = std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse::<u32>().ok());
    match length {
        Some(length) if length <= most => {}
        _ => return Err(too_large(most)),
    }
    match BodyEncoding::of(&pairs(headers)) {
        BodyEncoding::Identity => Ok(length.unwrap_or(0)),
        other => {
            let detail = format!("Send the body as it is, not as {}.", other.name());
            Err(Problem::new(ENCODING, detail))
        }
    }
}

/// A body of more bytes than a door takes.
pub(crate) fn too_large(most: u32) -> Problem {
    let detail = format!("A body has at most {most} bytes here.");
    Problem::new(TOO_LARGE, detail).close()
}

/// The one content type of a request.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<ContentType, Problem> {
    ContentType::of(&pairs(headers)).map_err(|e| wrong_type(format!("Mend the header: {e}.")))
}

fn wrong_type(detail: String) -> Problem {
    Problem::new(CONTENT_TYPE, detail)
}
