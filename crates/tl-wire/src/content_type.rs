//! Strict reading of `Content-Type` and `Content-Encoding`.
//!
//! An endpoint names the type it takes; a message of another type, of two types, or of a type we
//! would have to guess is refused before its body is looked at.

/// Longest header value that is looked at, in bytes.
const MAX_BYTES: usize = 512;
/// Most parameters of one value.
const MAX_PARAMETERS: usize = 8;

/// A parsed media type. Type, subtype, parameter names and charset are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    pub kind: String,
    pub subtype: String,
    pub charset: Option<String>,
    pub boundary: Option<String>,
}

/// Why a header was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentTypeError {
    #[error("the content type is missing")]
    Missing,
    #[error("the content type is given more than once")]
    Duplicate,
    #[error("the content type is malformed")]
    Malformed,
    #[error("a parameter of the content type is given twice")]
    DuplicateParameter,
    #[error("the multipart boundary is missing or malformed")]
    Boundary,
}

impl ContentType {
    /// The content type of a request whose headers are these; it must occur exactly once.
    pub fn of(headers: &[(&str, &[u8])]) -> Result<ContentType, ContentTypeError> {
        let mut values = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let (_, value) = values.next().ok_or(ContentTypeError::Missing)?;
        if values.next().is_some() {
            return Err(ContentTypeError::Duplicate);
        }
        ContentType::parse(value)
    }

    /// Reads `type/subtype; name=value; name="value"`.
    pub fn parse(value: &[u8]) -> Result<ContentType, ContentTypeError> {
        if value.len() > MAX_BYTES {
            return Err(ContentTypeError::Malformed);
        }
        let text = std::str::from_utf8(value).map_err(|_| ContentTypeError::Malformed)?;
        let mut cursor = Cursor { rest: text.trim() };
        let kind = cursor.token()?.to_ascii_lowercase();
        cursor.expect('/')?;
        let subtype = cursor.token()?.to_ascii_lowercase();
        let (mut charset, mut boundary) = (None, None);
        for (name, value) in cursor.parameters()? {
            match name.as_str() {
                "charset" => charset = Some(value.to_ascii_lowercase()),
                "boundary" => boundary = Some(value),
                _ => {}
            }
        }
        if kind == "multipart" && !boundary.as_deref().is_some_and(is_boundary) {
            return Err(ContentTypeError::Boundary);
        }
        Ok(ContentType {
            kind,
            subtype,
            charset,
            boundary,
        })
    }

    /// `type/subtype` without parameters.
    pub fn essence(&self) -> String {
        format!("{}/{}", self.kind, self.subtype)
    }

    /// `application/json` or a type with the `+json` suffix.
    pub fn is_json(&self) -> bool {
        self.kind == "application"
            && (self.subtype == "json" || self.subtype.strip_suffix("+json").is_some())
    }

    /// `application/x-www-form-urlencoded`.
    pub fn is_urlencoded(&self) -> bool {
        self.kind == "application" && self.subtype == "x-www-form-urlencoded"
    }

    /// `multipart/form-data`.
    pub fn is_multipart_form(&self) -> bool {
        self.kind == "multipart" && self.subtype == "form-data"
    }

    /// True when the declared charset, if any, is UTF-8 or its subset ASCII.
    pub fn is_utf8(&self) -> bool {
        self.charset
            .as_deref()
            .is_none_or(|name| matches!(name, "utf-8" | "utf8" | "us-ascii"))
    }
}

/// RFC 2046: 1 to 70 characters of a fixed set, the last one no space.
fn is_boundary(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=70).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with(' ')
}

/// Reads header values made of tokens, separators and quoted strings.
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn token(&mut self) -> Result<&'a str, ContentTypeError> {
        let is_token =
            |c: char| c.is_ascii_alphanumeric() || (c.is_ascii() && "!#$%&'*+-.^_`|~".contains(c));
        let end = self
            .rest
            .find(|c: char| !is_token(c))
            .unwrap_or(self.rest.len());
        if end == 0 {
            return Err(ContentTypeError::Malformed);
        }
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(token)
    }

    pub(crate) fn expect(&mut self, wanted: char) -> Result<(), ContentTypeError> {
        self.rest = self
            .rest
            .strip_prefix(wanted)
            .ok_or(ContentTypeError::Malformed)?;
        Ok(())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// A quoted string; only `\"` is an escape, because browsers send file paths with plain
    /// backslashes.
    fn quoted(&mut self) -> Result<String, ContentTypeError> {
        self.expect('"')?;
        let mut value = String::new();
        let mut chars = self.rest.char_indices().peekable();
        while let Some((position, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[position + 1..];
                    return Ok(value);
                }
                '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    value.push('"');
                }
                c if c.is_control() => return Err(ContentTypeError::Malformed),
                c => value.push(c),
            }
        }
        Err(ContentTypeError::Malformed)
    }

    /// All `; name=value` pairs up to the end; a name that comes twice is an error.
    pub(crate) fn parameters(&mut self) -> Result<Vec<(String, String)>, ContentTypeError> {
        let mut found: Vec<(String, String)> = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() {
                return Ok(found);
            }
            self.expect(';')?;
            self.skip_blanks();
            if self.rest.is_empty() {
                return Ok(found);
            }
            let name = self.token()?.to_ascii_lowercase();
            self.expect('=')?;
            let value = if self.rest.starts_with('"') {
                self.quoted()?
            } else {
                self.token()?.to_owned()
            };
            if found.iter().any(|(earlier, _)| *earlier == name) {
                return Err(ContentTypeError::DuplicateParameter);
            }
            if found.len() >= MAX_PARAMETERS {
                return Err(ContentTypeError::Malformed);
            }
            found.push((name, value));
        }
    }
}

/// The `Content-Encoding` of a body. We take bodies as they are; the others are named so that the
/// refusal can say which one it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Compress,
    /// More than one, or one that we do not know.
    Other,
}

impl BodyEncoding {
    /// The encoding declared by these request headers.
    pub fn of(headers: &[(&str, &[u8])]) -> BodyEncoding {
        let mut encoding = BodyEncoding::Identity;
        for (name, value) in headers {
            if !name.eq_ignore_ascii_case("content-encoding") {
                continue;
            }
            let named = match value.trim_ascii().to_ascii_lowercase().as_slice() {
                b"identity" | b"" => continue,
                b"gzip" | b"x-gzip" => BodyEncoding::Gzip,
                b"deflate" => BodyEncoding::Deflate,
                b"br" => BodyEncoding::Brotli,
                b"zstd" => BodyEncoding::Zstd,
                b"compress" | b"x-compress" => BodyEncoding::Compress,
                _ => BodyEncoding::Other,
            };
            encoding = match encoding {
                BodyEncoding::Identity => named,
                _ => BodyEncoding::Other,
            };
        }
        encoding
    }

    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            BodyEncoding::Identity => "identity",
            BodyEncoding::Gzip => "gzip",
            BodyEncoding::Deflate => "deflate",
            BodyEncoding::Brotli => "br",
            BodyEncoding::Zstd => "zstd",
            BodyEncoding::Compress => "compress",
            BodyEncoding::Other => "other",
        }
    }
}
