//! `application/x-www-form-urlencoded`.

use super::{Form, FormError, Limits};

pub(super) fn parse(body: &[u8], limits: &Limits) -> Result<Form, FormError> {
    let mut form = Form::default();
    if body.is_empty() {
        return Ok(form);
    }
    for pair in body.split(|&byte| byte == b'&') {
        let equals = pair
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or(FormError::NoEquals)?;
        let name = decode(&pair[..equals])?;
        let value = decode(&pair[equals + 1..])?;
        form.push_field(name, value, limits)?;
    }
    Ok(form)
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let escape = rest.get(..2).ok_or(FormError::BadEscape)?;
                let mut decoded = [0u8];
                hex::decode_to_slice(escape, &mut decoded).map_err(|_| FormError::BadEscape)?;
                bytes.push(decoded[0]);
                rest = &rest[2..];
            }
            b'!'..=b'~' => bytes.push(byte),
            _ => return Err(FormError::NotEscaped),
        }
    }
    String::from_utf8(bytes).map_err(|_| FormError::NotUtf8)
}
