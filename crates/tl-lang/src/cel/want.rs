//! What a place wants, and what is said where a value does not fit it.

use tl_kernel::expr::Node;
use tl_kernel::value::Type;

use super::check::{Checker, Part};
use super::{ErrorKind, ExprError, literal, suggest, types};

impl Checker<'_> {
    /// Reports a value that does not fit the type wanted. A decimal constant for a float becomes one.
    pub(super) fn wanted(&mut self, part: &mut Part, want: &Type) {
        if *want == Type::Float {
            part.decimal_to_float();
        }
        if let (Type::Enum(values), Some(texts)) = (want, part.texts.clone()) {
            for text in texts.iter().filter(|t| !values.contains(t)) {
                self.not_a_value(part, text, values);
            }
            return;
        }
        if types::fits(&part.ty, want) {
            return;
        }
        let have = types::word(&part.ty);
        let message = match want {
            Type::Bool => format!("a condition is true or false; this is {have}"),
            Type::Enum(values) => format!("one of {} is wanted; this is {have}", values.join(", ")),
            want => format!("{} is wanted; this is {have}", types::word(want)),
        };
        let error = ExprError::new(part.span(), ErrorKind::Type, message);
        let written = part.node.at().text(self.source);
        let mend = match (want, &part.node) {
            (Type::Bool, Node::Path { .. } | Node::Item { .. }) => Some((
                format!("has({written})"),
                "to ask whether it is there, use `has`",
            )),
            (want, _) if want.is_textual() && is_plain(&part.ty) => {
                Some((format!("string({written})"), "make it a text"))
            }
            (Type::Int, _) if types::is_number(&part.ty) => {
                Some((format!("int({written})"), "drop what is behind the point"))
            }
            (Type::Int, _) if part.ty == Type::Text => {
                Some((format!("int({written})"), "read it as a whole number"))
            }
            (Type::Dec, _) if part.ty == Type::Float => {
                Some((format!("decimal({written})"), "make it a decimal"))
            }
            (Type::Float, _) if part.ty == Type::Dec => {
                Some((format!("double({written})"), "make it a float"))
            }
            _ => None,
        };
        self.errors.push(match mend {
            Some((text, say)) => error.mended(text, say),
            None => error,
        });
    }

    /// Reports a text that is none of an enum's values.
    pub(super) fn not_a_value(&mut self, written: &Part, text: &str, values: &[String]) {
        let message = format!("`{text}` is none of {}", values.join(", "));
        let error = ExprError::new(written.span(), ErrorKind::EnumValue, message);
        let near = suggest::nearest(text, values.iter().map(String::as_str));
        // Only a constant can be replaced; a computed text holds more than this one.
        let constant = matches!(written.node, Node::Literal(..));
        self.errors.push(match near {
            Some(near) if constant => {
                error.mended(literal::quoted(near), format!("did you mean `{near}`?"))
            }
            _ => error,
        });
    }
}

fn is_plain(t: &Type) -> bool {
    types::is_number(t) || *t == Type::Bool
}
