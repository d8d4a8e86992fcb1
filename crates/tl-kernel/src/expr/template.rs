//! Text with expressions in it: `Hello ${record.name}`.

use super::{EvalError, Expr, MAX_BYTES, Scope};
use crate::value::{Label, Value};
use std::collections::BTreeSet;

/// Text with `${…}` expressions in it, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The text as written.
    pub source: String,
    /// Its parts in order. Two texts never follow each other.
    pub parts: Vec<Piece>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// The inside of one `${…}`.
    Expr(Expr),
}

/// A rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The join of the labels of everything that was looked up.
    pub label: Label,
    /// The sources of the expressions that had no value and were rendered as nothing, in order.
    pub absent: Vec<String>,
}

impl Template {
    /// The text under a scope. Every expression has its own budget; the whole text may not be larger than
    /// [`MAX_BYTES`].
    pub fn render(&self, scope: &dyn Scope) -> Result<Rendered, EvalError> {
        let mut out = Rendered {
            text: String::with_capacity(self.source.len()),
            label: Label::Config,
            absent: Vec::new(),
        };
        for part in &self.parts {
            match part {
                Piece::Text(text) => out.text.push_str(text),
                Piece::Expr(expr) => {
                    let got = expr.eval(scope)?;
                    out.label = out.label.join(got.label);
                    match got.value {
                        None | Some(Value::Null) => out.absent.push(expr.source.clone()),
                        Some(Value::Text(text)) => out.text.push_str(&text),
                        Some(value) => out.text.push_str(&value.to_string()),
                    }
                }
            }
            if out.text.len() > MAX_BYTES {
                return Err(EvalError::Budget);
            }
        }
        Ok(out)
    }

    /// The expression of a template that is one `${…}` and nothing else: its value keeps its type.
    pub fn single(&self) -> Option<&Expr> {
        match self.parts.as_slice() {
            [Piece::Expr(expr)] => Some(expr),
            _ => None,
        }
    }

    /// All names the template may read, sorted, each once.
    pub fn reads(&self) -> Vec<Vec<String>> {
        let mut out = BTreeSet::new();
        for part in &self.parts {
            if let Piece::Expr(expr) = part {
                out.extend(expr.reads());
            }
        }
        out.into_iter().collect()
    }
}
