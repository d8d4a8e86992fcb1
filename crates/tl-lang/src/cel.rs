//! Expressions of the workflow file, from text to the kernel's checked form.
//!
//! The grammar is CEL's and so is the parser. Types, names, functions and bounds are checked here, once, when
//! the file is loaded: what the kernel evaluates later has no unknown name, no wrong type between declared
//! values, no bad pattern and a bounded size. Errors come as a list, each with the span it is about and,
//! where there is an obvious one, the mend.

mod arithmetic;
mod check;
mod compare;
mod function;
mod literal;
mod name;
mod scan;
mod span;
mod suggest;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod types;
mod want;

use std::collections::BTreeMap;
use std::fmt;

use tl_kernel::expr::Expr;
use tl_kernel::value::Type;

pub use function::function_names;
pub use template::compile_template;

/// The longest expression, bytes.
pub const MAX_SOURCE: usize = 4_000;
/// The most nodes of one expression.
pub const MAX_NODES: usize = 500;
/// The deepest nesting of one expression.
pub const MAX_DEPTH: usize = 40;

/// The names an expression may use, with their types.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// Types by top-level name: `record`, `event`, `confidence` and so on.
    pub root: BTreeMap<String, Type>,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// The first byte it is about, in the text given to the compiler.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Which kind of error.
    pub code: ErrorKind,
    /// What is wrong, in one sentence.
    pub message: String,
    /// A change that makes it right, where one is obvious.
    pub mend: Option<Mend>,
}

/// A change to the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// What replaces the bytes `start..end` of the error.
    pub text: String,
    /// The change in words.
    pub say: String,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Not an expression.
    Syntax,
    /// A part of CEL that workflow files do not have.
    Unsupported,
    /// A name nobody declared.
    Undeclared,
    /// Values of types that do not go together.
    Type,
    /// A text that is none of the values of an enum.
    EnumValue,
    /// A function nobody declared.
    Function,
    /// A wrong number of arguments.
    Arity,
    /// A constant out of range, or one that does not read as what it should be.
    Literal,
    /// A regular expression that does not compile.
    Pattern,
    /// A loop inside a loop.
    NestedLoop,
    /// More than [`MAX_SOURCE`] bytes.
    TooLong,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More than [`MAX_NODES`] nodes.
    TooMany,
}

impl ErrorKind {
    /// The stable word for the kind.
    pub fn word(self) -> &'static str {
        match self {
            ErrorKind::Syntax => "syntax",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Undeclared => "undeclared",
            ErrorKind::Type => "type",
            ErrorKind::EnumValue => "enum_value",
            ErrorKind::Function => "function",
            ErrorKind::Arity => "arity",
            ErrorKind::Literal => "literal",
            ErrorKind::Pattern => "pattern",
            ErrorKind::NestedLoop => "nested_loop",
            ErrorKind::TooLong => "too_long",
            ErrorKind::TooDeep => "too_deep",
            ErrorKind::TooMany => "too_many",
        }
    }
}

impl ExprError {
    fn new(span: (usize, usize), code: ErrorKind, message: impl Into<String>) -> Self {
        ExprError {
            start: span.0,
            end: span.1,
            code,
            message: message.into(),
            mend: None,
        }
    }

    fn mended(mut self, text: impl Into<String>, say: impl Into<String>) -> Self {
        self.mend = Some(Mend {
            text: text.into(),
            say: say.into(),
        });
        self
    }

    fn shifted(mut self, by: usize) -> Self {
        self.start += by;
        self.end += by;
        self
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.mend {
            Some(mend) => write!(f, " ({})", mend.say),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExprError {}

/// Compiles an expression whose value must fit the type `want`. `Type::Any` takes every value.
pub fn compile(source: &str, schema: &Schema, want: &Type) -> Result<Expr, Vec<ExprError>> {
    check::checked(source, schema, Some(want)).map(|(expr, _)| expr)
}

/// Compiles an expression and says which type its value has.
pub fn infer(source: &str, schema: &Schema) -> Result<(Expr, Type), Vec<ExprError>> {
    check::checked(source, schema, None)
}
