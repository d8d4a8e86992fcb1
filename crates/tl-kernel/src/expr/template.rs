//! Text with expressions in it: `Hello ${record.name}`.

use super::{EvalError, Expr, MAX_BYTES, Scope};
use crate::slot::{self, Part};
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

    /// The text under a scope for a message that is sent by itself: what came from outside is shown as
    /// [`slot::clean`] leaves it, unless `is_bounded` says that the type bounds a name.
    pub fn render_bounded(
        &self,
        scope: &dyn Scope,
        is_bounded: &dyn Fn(&[String]) -> bool,
    ) -> Result<String, EvalError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        let mut size = 0;
        for part in &self.parts {
            let next = match part {
                Piece::Text(text) => Part::Firm(text.clone()),
                Piece::Expr(expr) => {
                    let got = expr.eval(scope)?;
                    let text = got.value.map(|v| v.to_string()).unwrap_or_default();
                    let ours = got.label < Label::Untrusted;
                    if ours || expr.reads().iter().all(|p| is_bounded(p)) {
                        Part::Firm(text)
                    } else {
                        Part::Loose(text)
                    }
                }
            };
            let (Part::Firm(text) | Part::Loose(text)) = &next;
            size += text.len();
            if size > MAX_BYTES {
                return Err(EvalError::Budget);
            }
            parts.push(next);
        }
        Ok(slot::join(&parts))
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
