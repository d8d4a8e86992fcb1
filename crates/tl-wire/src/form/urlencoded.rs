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
        let name = text(decode(&pair[..equals])?)?;
        let value = decode(&pair[equals + 1..])?;
        match limits.values_are_bytes {
            true => form.push_bytes(name, value, limits)?,
            false => form.push_field(name, text(value)?, limits)?,
        }
    }
    Ok(form)
}

fn text(bytes: Vec<u8>) -> Result<String, FormError> {
    String::from_utf8(bytes).map_err(|_| FormError::NotUtf8)
}

fn decode(text: &[u8]) -> Result<Vec<u8>, FormError> {
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
    Ok(bytes)
}
