//! What the parser did not understand, in our words: its own speak of grammar rules.

use super::scan::{Kind, Tokens};
use super::{ErrorKind, ExprError};

/// The first error of the parser. Errors of the grammar come before what follows from them.
pub(super) fn error(source: &str, tokens: &Tokens, errors: &cel::ParseErrors) -> ExprError {
    let grammar = |e: &&cel::ParseError| e.msg.starts_with("Syntax error");
    let first = errors.errors.iter().find(grammar).or(errors.errors.first());
    let (position, said) = first.map_or(((1, 1), ""), |e| (e.pos, e.msg.as_str()));
    // The parser lists what it would have taken: where a name is among it, a value is missing.
    let value_missing = said.contains("IDENTIFIER") || said.contains("no viable alternative");
    let byte = byte_at(source, position);
    let Some(token) = tokens.list.iter().find(|t| t.end > byte) else {
        let last = tokens.list.last().map_or(0, |t| t.start);
        let message = if value_missing {
            "a value is missing at the end"
        } else if said.contains("':'") {
            "the other value is missing: `condition ? value : other`"
        } else {
            "the expression ends too early"
        };
        return ExprError::new((last, source.len()), ErrorKind::Syntax, message);
    };
    let written = &source[token.start..token.end];
    let (kind, message) = if said.starts_with("invalid") && token.kind == Kind::Number {
        (ErrorKind::Literal, format!("`{written}` is out of range"))
    } else if said.starts_with("invalid") {
        (
            ErrorKind::Syntax,
            "a `\\` in this text is followed by something it has no meaning with".to_string(),
        )
    } else if said.starts_with("reserved") {
        (ErrorKind::Syntax, format!("`{written}` is a reserved word"))
    } else if token.kind != Kind::Mark {
        let message = format!("an operator is missing before `{written}`");
        (ErrorKind::Syntax, message)
    } else if value_missing {
        (
            ErrorKind::Syntax,
            format!("a value is missing at `{written}`"),
        )
    } else {
        (ErrorKind::Syntax, format!("`{written}` cannot stand here"))
    };
    ExprError::new((token.start, token.end), kind, message)
}

/// The byte of a line and a column, both from 1, the column in characters.
fn byte_at(source: &str, (line, column): (isize, isize)) -> usize {
    let before = |n: isize| usize::try_from(n - 1).unwrap_or(0);
    let lines = source.split_inclusive('\n').take(before(line));
    let start: usize = lines.map(str::len).sum();
    source[start..]
        .char_indices()
        .nth(before(column))
        .map_or(source.len(), |(i, _)| start + i)
}
