//! Text with `${…}` in it.

use tl_kernel::expr::{Piece, Template};

use super::{ErrorKind, ExprError, Schema, check, scan};

/// The longest text with expressions in it, bytes.
const MAX_TEMPLATE: usize = 64 * 1024;

/// Compiles text with `${…}` expressions. `$${` stands for the two characters `${`.
pub fn compile_template(source: &str, schema: &Schema) -> Result<Template, Vec<ExprError>> {
    if source.len() > MAX_TEMPLATE {
        let message = format!("a text with expressions has at most {MAX_TEMPLATE} bytes");
        let error = ExprError::new((0, source.len()), ErrorKind::TooLong, message);
        return Err(vec![error]);
    }
    let (mut parts, mut errors) = (Vec::new(), Vec::new());
    let (mut text, mut at) = (String::new(), 0);
    while let Some(found) = source[at..].find("${") {
        let hole = at + found;
        if found > 0 && source[..hole].ends_with('$') {
            text.push_str(&source[at..hole]);
            text.push('{');
            at = hole + 2;
            continue;
        }
        text.push_str(&source[at..hole]);
        let start = hole + 2;
        let end = match scan::scan_hole(&source[start..]) {
            Ok(tokens) => start + tokens.end,
            Err(e) => {
                errors.push(e.shifted(start));
                return Err(errors);
            }
        };
        if end == source.len() {
            let written = &source[hole..];
            let error = ExprError::new((hole, end), ErrorKind::Syntax, "this `${` is never closed");
            errors.push(error.mended(format!("{written}}}"), "close it with `}`"));
            return Err(errors);
        }
        if !text.is_empty() {
            parts.push(Piece::Text(std::mem::take(&mut text)));
        }
        let inner = source[start..end].trim_start();
        match check::checked(inner.trim_end(), schema, None) {
            Ok((expr, _)) => parts.push(Piece::Expr(expr)),
            Err(found) => {
                errors.extend(found.into_iter().map(|e| e.shifted(end - inner.len())));
            }
        }
        at = end + 1;
    }
    text.push_str(&source[at..]);
    if !text.is_empty() {
        parts.push(Piece::Text(text));
    }
    if errors.is_empty() {
        Ok(Template {
            source: source.to_string(),
            parts,
        })
    } else {
        Err(errors)
    }
}
