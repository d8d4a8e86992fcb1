//! What forms send: pairs of names and values, read with the limits of a form.

use axum::body::to_bytes;
use axum::extract::Request;

use crate::trouble::Trouble;

/// Largest form, bytes.
const MAX_FORM: usize = 256 * 1024;

/// A form that was sent.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Reads the form of a request.
    pub(crate) async fn of(request: Request) -> Result<Form, Trouble> {
        let body = to_bytes(request.into_body(), MAX_FORM).await;
        let body = body.map_err(|_| Trouble::malformed("The form is larger than 256 KiB."))?;
        Form::read(&body)
    }

    /// What a query holds.
    pub(crate) fn of_query(query: Option<&str>) -> Form {
        Form::read(query.unwrap_or_default().as_bytes()).unwrap_or_default()
    }

    fn read(body: &[u8]) -> Result<Form, Trouble> {
        let pairs = body.split(|b| *b == b'&').filter(|p| !p.is_empty());
        let pairs = pairs.map(pair).collect::<Result<_, _>>()?;
        Ok(Form { pairs })
    }

    /// The value of a name, trimmed; empty where it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value of a name as it was typed: for passwords and texts.
    pub(crate) fn raw(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The values of names with a prefix, without it.
    pub(crate) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let strip = move |(n, v): &'a (String, String)| Some((n.strip_prefix(prefix)?, v.as_str()));
        self.pairs.iter().filter_map(strip)
    }
}

fn pair(bytes: &[u8]) -> Result<(String, String), Trouble> {
    let at = bytes.iter().position(|b| *b == b'=').unwrap_or(bytes.len());
    let value = bytes.get(at + 1..).unwrap_or_default();
    Ok((decoded(&bytes[..at])?, decoded(value)?))
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%xx` a byte, the bytes are UTF-8. Line ends become `\n`.
fn decoded(bytes: &[u8]) -> Result<String, Trouble> {
    let wrong = || Trouble::malformed("The form is not what a page of this console sends.");
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        out.push(match b {
            b'+' => b' ',
            b'%' => {
                let digits = bytes.get(at..at + 2).ok_or_else(wrong)?;
                at += 2;
                let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
                u8::from_str_radix(digits, 16).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    let text = String::from_utf8(out).map_err(|_| wrong())?;
    if text.contains('\0') {
        return Err(wrong());
    }
    Ok(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_read_as_browsers_write_them() {
        let sent = b"set.name=Dana+M%C3%BCller&note=a%0D%0Ab&empty=&set.x=%26%3D";
        let form = Form::read(sent).unwrap();
        assert_eq!(form.text("set.name"), "Dana Müller");
        assert_eq!(form.raw("note"), "a\nb");
        assert_eq!((form.text("empty"), form.text("absent")), ("", ""));
        let set: Vec<_> = form.with_prefix("set.").collect();
        assert_eq!(set, [("name", "Dana Müller"), ("x", "&=")]);
        for wrong in [&b"a=%"[..], b"a=%f", b"a=%zz", b"a=%ff", b"a=%00"] {
            assert!(Form::read(wrong).is_err(), "{wrong:?}");
        }
    }
}
