//! Constants of files and table cells, read as values of a declared type.

use tl_kernel::time::{parse_duration, parse_rfc3339};
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
    let bad = || Bad {
        message: format!("`{text}` is no value of the type {}", ty.word()),
        why: String::new(),
        instead: None,
    };
    Ok(match ty {
        Type::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(bad()),
        },
        Type::Int => Value::Int(text.parse().map_err(|_| bad())?),
        Type::Dec => Value::Dec(text.parse().map_err(|_| bad())?),
        Type::Float => match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Value::Float(x),
            _ => return Err(bad()),
        },
        Type::Enum(values) if !values.iter().any(|v| v == text) => {
            return Err(Bad {
                message: format!("`{text}` is none of the enum's values"),
                why: format!("the values are {}", listed(values.iter().map(String::as_str))),
                instead: nearest(text, values.iter().map(String::as_str)).map(str::to_owned),
            });
        }
        Type::Time => Value::Time(parse_rfc3339(text).ok_or_else(bad)?),
        Type::Dur => Value::Dur(parse_duration(text).ok_or_else(bad)?),
        Type::List(of) => {
            let parts = text.split('|').map(|p| value(p.trim(), of));
            Value::List(parts.collect::<Result<_, _>>()?)
        }
        Type::Email => {
            let lower = text.trim().to_lowercase();
            let ok = lower.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.'));
            if !ok || lower.contains(' ') {
                return Err(bad());
            }
            Value::Text(lower)
        }
        Type::Record(_) | Type::Null => return Err(bad()),
        Type::Text | Type::Enum(_) | Type::Phone | Type::Url | Type::Any => Value::text(text),
    })
}
