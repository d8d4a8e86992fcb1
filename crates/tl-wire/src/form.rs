//! Strict parsing of complete form bodies: `application/x-www-form-urlencoded` and
//! `multipart/form-data`.
//!
//! The fields come back in the order they were sent. Whatever a browser or a well-behaved client
//! would not send is an error, not a guess: two readers of one body must never see two forms.

mod multipart;
mod urlencoded;

use crate::content_type::ContentType;

/// What a form may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most fields and files together.
    pub max_fields: usize,
    /// Longest field or file name, in bytes.
    pub max_name_bytes: usize,
    /// Longest field value, in bytes.
    pub max_value_bytes: usize,
    /// Most files.
    pub max_files: usize,
    /// Largest file, in bytes.
    pub max_file_bytes: usize,
    /// Whether a field name may come more than once.
    pub allow_duplicates: bool,
    /// Every value is kept as bytes, as a file without a name: it may be in any charset.
    pub values_are_bytes: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_fields: 200,
            max_name_bytes: 200,
            max_value_bytes: 256 * 1024,
            max_files: 20,
            max_file_bytes: 10 * 1024 * 1024,
            allow_duplicates: false,
            values_are_bytes: false,
        }
    }
}

/// A parsed form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Field names and values in the order sent.
    pub fields: Vec<(String, String)>,
    pub files: Vec<File>,
}

impl Form {
    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A file of a multipart form. It stays bytes: nothing is written or opened under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Name of the form field.
    pub field: String,
    /// File name as the sender gave it, without any directory.
    pub name: String,
    /// `type/subtype` as declared by the sender.
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// Why a form was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("the content type is no form")]
    NotAForm,
    #[error("the charset of the form is not UTF-8")]
    Charset,
    #[error("more than the allowed number of fields")]
    TooManyFields,
    #[error("more than the allowed number of files")]
    TooManyFiles,
    #[error("a field name is longer than allowed")]
    NameTooLong,
    #[error("a field has no name")]
    EmptyName,
    #[error("a field name holds a control character")]
    NameControl,
    #[error("a value is longer than allowed")]
    ValueTooLong,
    #[error("a file is larger than allowed")]
    FileTooLarge,
    #[error("field {0} is given more than once")]
    Duplicate(String),
    #[error("a percent escape is not % and two hexadecimal digits")]
    BadEscape,
    #[error("a character that must be escaped is not")]
    NotEscaped,
    #[error("a pair has no =")]
    NoEquals,
    #[error("text is not valid UTF-8")]
    NotUtf8,
    #[error("text holds a NUL character")]
    Nul,
    #[error("the multipart body does not follow its boundary")]
    Framing,
    #[error("the header of a part is malformed")]
    PartHeader,
    #[error("a part uses a transfer encoding")]
    TransferEncoding,
}

/// Parses a form body by its content type.
pub fn parse(content_type: &ContentType, body: &[u8], limits: &Limits) -> Result<Form, FormError> {
    if !content_type.is_utf8() {
        return Err(FormError::Charset);
    }
    match &content_type.boundary {
        _ if content_type.is_urlencoded() => parse_urlencoded(body, limits),
        Some(boundary) if content_type.is_multipart_form() => {
            parse_multipart(body, boundary, limits)
        }
        _ => Err(FormError::NotAForm),
    }
}

/// Parses `name=value&name=value`.
pub fn parse_urlencoded(body: &[u8], limits: &Limits) -> Result<Form, FormError> {
    urlencoded::parse(body, limits)
}

/// Parses the parts between the boundary lines.
pub fn parse_multipart(body: &[u8], boundary: &str, limits: &Limits) -> Result<Form, FormError> {
    multipart::parse(body, boundary, limits)
}

impl Form {
    /// The bytes of the file, or of the value that was kept as one, of a field.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let file = self.files.iter().find(|file| file.field == name);
        file.map(|file| file.bytes.as_slice())
    }

    /// Keeps a value as it came.
    fn push_bytes(
        &mut self,
        field: String,
        bytes: Vec<u8>,
        limits: &Limits,
    ) -> Result<(), FormError> {
        let file = File {
            field,
            name: String::new(),
            media_type: "application/octet-stream".to_owned(),
            bytes,
        };
        self.push_file(file, limits)
    }

    fn push_field(
        &mut self,
        name: String,
        value: String,
        limits: &Limits,
    ) -> Result<(), FormError> {
        self.admit(&name, limits)?;
        if value.len() > limits.max_value_bytes {
            return Err(FormError::ValueTooLong);
        }
        if value.contains('\0') {
            return Err(FormError::Nul);
        }
        self.fields.push((name, value));
        Ok(())
    }

    fn push_file(&mut self, file: File, limits: &Limits) -> Result<(), FormError> {
        self.admit(&file.field, limits)?;
        if file.name.len() > limits.max_name_bytes {
            return Err(FormError::NameTooLong);
        }
        if self.files.len() >= limits.max_files {
            return Err(FormError::TooManyFiles);
        }
        if file.bytes.len() > limits.max_file_bytes {
            return Err(FormError::FileTooLarge);
        }
        self.files.push(file);
        Ok(())
    }

    /// Checks that one more entry of this name may come.
    fn admit(&self, name: &str, limits: &Limits) -> Result<(), FormError> {
        if self.fields.len() + self.files.len() >= limits.max_fields {
            return Err(FormError::TooManyFields);
        }
        if name.is_empty() {
            return Err(FormError::EmptyName);
        }
        if name.len() > limits.max_name_bytes {
            return Err(FormError::NameTooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(FormError::NameControl);
        }
        let taken = self.fields.iter().any(|(given, _)| given == name)
            || self.files.iter().any(|file| file.field == name);
        if taken && !limits.allow_duplicates {
            return Err(FormError::Duplicate(name.to_owned()));
        }
        Ok(())
    }
}
