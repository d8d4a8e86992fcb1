//! Constants of files and table cells, read as values of a declared type.

use tl_kernel::coerce::coerce;
use tl_kernel::value::{Type, Value};

use crate::suggest::{listed, nearest};

/// Why a text is no value of a type.
pub(crate) struct Bad {
    pub(crate) message: String,
    pub(crate) why: String,
    /// A text near it that is one.
    pub(crate) instead: Option<String>,
}

/// The value that a text stands for in a type.
pub(crate) fn value(text: &str, ty: &Type) -> Result<Value, Bad> {
    match ty {
        Type::Enum(values) if !values.iter().any(|v| v == text) => Err(Bad {
            message: format!("`{text}` is none of the enum's values"),
            why: format!(
                "the values are {}",
                listed(values.iter().map(String::as_str))
            ),
            instead: nearest(text, values.iter().map(String::as_str)).map(str::to_owned),
        }),
        Type::List(of) => {
            let parts = text.split('|').map(|p| value(p.trim(), of));
            Ok(Value::List(parts.collect::<Result<_, _>>()?))
        }
        Type::Text | Type::Enum(_) | Type::Any => Ok(Value::text(text)),
        // The same reading as for what comes in, so that the two can be compared.
        _ => match coerce(&Value::text(text), ty, None) {
            Ok(Some(v)) => Ok(v),
            _ => Err(Bad {
                message: format!("`{text}` is no value of the type {}", ty.word()),
                why: String::new(),
                instead: None,
            }),
        },
    }
}
