//! The tokens of an expression: what bounds its size and depth before the parser sees it, what names the
//! usual slips of the pen, and what gives every node its full span (the parser knows one token per node).

use super::{ErrorKind, ExprError, MAX_DEPTH, MAX_SOURCE};

/// What kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    Text,
    /// An operator, a bracket or a separator.
    Mark,
}

/// A token: its kind, its bytes, and for a bracket the index of its partner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) partner: Option<usize>,
}

/// The tokens of one expression.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// One past the last byte scanned: the end of the text, or the `}` that closes a `${`.
    pub(super) end: usize,
}

impl Tokens {
    /// The index of the token that starts at a byte.
    pub(super) fn starting_at(&self, byte: usize) -> Option<usize> {
        self.list.binary_search_by_key(&byte, |t| t.start).ok()
    }
}

/// Scans a whole expression.
pub(super) fn scan(source: &str) -> Result<Tokens, ExprError> {
    Scanner::new(source, false).run()
}

/// Scans the inside of a `${…}`: `source` starts behind the `{`, the scan ends at its `}`.
pub(super) fn scan_hole(source: &str) -> Result<Tokens, ExprError> {
    Scanner::new(source, true).run()
}

/// Slips with an obvious mend: what is written, what is meant.
const SLIPS: &[(&str, &str)] = &[
    ("===", "=="),
    ("!==", "!="),
    ("=>", ">="),
    ("=<", "<="),
    ("<>", "!="),
    ("≥", ">="),
    ("≤", "<="),
    ("≠", "!="),
    ("\u{a0}", " "),
];
/// Operators of two characters; they are looked for after the slips and before single characters.
const PAIRS: &[&str] = &["&&", "||", "==", "!=", "<=", ">="];
/// Single characters with a meaning.
const SINGLES: &str = "!<>+-*/%?:.,()[]{}";
/// Half an operator, and the whole one.
const HALVES: &[(&str, &str)] = &[("=", "=="), ("&", "&&"), ("|", "||")];
/// Words of other languages for operators.
const WORDS: &[(&str, &str)] = &[("and", "&&"), ("or", "||"), ("not", "!")];
/// Curly quotes that word processors make.
const CURLY: &[char] = &['“', '”', '„', '‘', '’', '‚'];

struct Scanner<'a> {
    source: &'a str,
    hole: bool,
    tokens: Tokens,
    at: usize,
    /// The open brackets, behind one level for the whole.
    levels: Vec<Level>,
    /// How deep the tree can be here at most.
    depth: usize,
}

/// What lies inside one bracket.
struct Level {
    /// The token index of the bracket; none for the whole expression.
    open: Option<usize>,
    /// The depth at the bracket.
    outer: usize,
    /// The depth a logical operator goes back to: the bracket's, and one more for each `?` since.
    base: usize,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a str, hole: bool) -> Self {
        Scanner {
            source,
            hole,
            tokens: Tokens::default(),
            at: 0,
            levels: vec![Level {
                open: None,
                outer: 0,
                base: 0,
            }],
            depth: 0,
        }
    }

    fn run(mut self) -> Result<Tokens, ExprError> {
        if !self.hole && self.source.len() > MAX_SOURCE {
            return Err(too_long(self.source.len()));
        }
        while self.at < self.source.len() {
            let rest = &self.source[self.at..];
            let c = rest.chars().next().unwrap_or_default();
            if c.is_ascii_whitespace() {
                self.at += 1;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if self.hole && self.levels.len() == 1 && c == '}' {
                break;
            } else if c.is_ascii_digit() || (c == '.' && digit_follows(rest)) {
                self.number();
            } else if c == '\'' || c == '"' {
                self.text(self.at)?;
            } else if c.is_ascii_alphabetic() || c == '_' {
                self.name()?;
            } else {
                self.mark(c)?;
            }
            if self.at > MAX_SOURCE {
                return Err(too_long(self.at));
            }
        }
        self.tokens.end = self.at;
        match self.levels.last().and_then(|level| level.open) {
            None => Ok(self.tokens),
            Some(open) => Err(self.unclosed(open)),
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        self.tokens.list.push(Token {
            kind,
            start,
            end,
            partner: None,
        });
        self.at = end;
    }

    fn error(&self, len: usize, message: impl Into<String>) -> ExprError {
        ExprError::new((self.at, self.at + len), ErrorKind::Syntax, message)
    }

    fn number(&mut self) {
        let bytes = self.source.as_bytes();
        let (start, mut end) = (self.at, self.at);
        while let Some(b) = bytes.get(end) {
            let exponent_sign = matches!(b, b'+' | b'-')
                && matches!(bytes[end - 1], b'e' | b'E')
                && !self.source[start..end].starts_with("0x");
            let dot = *b == b'.' && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !(b.is_ascii_alphanumeric() || dot || exponent_sign) {
                break;
            }
            end += 1;
        }
        self.push(Kind::Number, start, end);
    }

    /// A quoted text; `start` is where its prefix begins, `self.at` stands on the quote.
    fn text(&mut self, start: usize) -> Result<(), ExprError> {
        let bytes = self.source.as_bytes();
        let raw = self.source[start..self.at].contains(['r', 'R']);
        let quote = bytes[self.at];
        let triple = self.source[self.at..]
            .bytes()
            .take(3)
            .filter(|b| *b == quote)
            .count()
            == 3;
        let mut end = self.at + if triple { 3 } else { 1 };
        loop {
            match bytes.get(end) {
                None => break,
                Some(b'\n') if !triple => break,
                Some(b'\\') if !raw => end += 2,
                Some(b) if *b == quote => {
                    if !triple {
                        self.push(Kind::Text, start, end + 1);
                        return Ok(());
                    }
                    if bytes[end..].iter().take(3).filter(|b| **b == quote).count() == 3 {
                        self.push(Kind::Text, start, end + 3);
                        return Ok(());
                    }
                    end += 1;
                }
                Some(_) => end += 1,
            }
        }
        let end = end.min(self.source.len());
        let close = char::from(quote)
            .to_string()
            .repeat(if triple { 3 } else { 1 });
        let written = &self.source[start..end];
        Err(
            ExprError::new((start, end), ErrorKind::Syntax, "this text is never closed").mended(
                format!("{written}{close}"),
                format!("close it with `{close}`"),
            ),
        )
    }

    fn name(&mut self) -> Result<(), ExprError> {
        let rest = &self.source[self.at..];
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let word = &rest[..len];
        let quoted = rest[len..].starts_with(['\'', '"']);
        if quoted && matches!(word.to_ascii_lowercase().as_str(), "r" | "b" | "rb" | "br") {
            let start = self.at;
            self.at += len;
            return self.text(start);
        }
        let part = self
            .tokens
            .list
            .last()
            .is_some_and(|t| &self.source[t.start..t.end] == ".");
        let slip = WORDS.iter().find(|(w, _)| w.eq_ignore_ascii_case(word));
        if let Some((_, meant)) = slip
            && !part
        {
            // `not x` has a space that `!x` does not need; the others keep theirs.
            let gap = match *meant {
                "!" => rest[len..].len() - rest[len..].trim_start().len(),
                _ => 0,
            };
            return Err(self
                .error(len + gap, format!("`{word}` is not an operator"))
                .mended(*meant, format!("write `{meant}`")));
        }
        self.push(Kind::Name, self.at, self.at + len);
        Ok(())
    }

    fn mark(&mut self, c: char) -> Result<(), ExprError> {
        let rest = &self.source[self.at..];
        if let Some((slip, meant)) = SLIPS.iter().find(|(slip, _)| rest.starts_with(slip)) {
            let shown = if *slip == "\u{a0}" {
                "a non-breaking space"
            } else {
                slip
            };
            return Err(self
                .error(slip.len(), format!("`{shown}` has no meaning here"))
                .mended(*meant, format!("write `{meant}`")));
        }
        if let Some(pair) = PAIRS.iter().find(|pair| rest.starts_with(*pair)) {
            self.operator(pair)?;
            self.push(Kind::Mark, self.at, self.at + 2);
            return Ok(());
        }
        if let Some((half, whole)) = HALVES.iter().find(|(half, _)| rest.starts_with(half)) {
            return Err(self
                .error(1, format!("`{half}` alone has no meaning"))
                .mended(*whole, format!("write `{whole}`")));
        }
        if SINGLES.contains(c) {
            return self.single(c);
        }
        Err(self.foreign(c))
    }

    fn single(&mut self, c: char) -> Result<(), ExprError> {
        let index = self.tokens.list.len();
        match c {
            '(' | '[' | '{' => {
                self.operator("(")?;
                self.levels.push(Level {
                    open: Some(index),
                    outer: self.depth,
                    base: self.depth,
                });
            }
            ')' | ']' | '}' => return self.close(c, index),
            _ => self.operator(&c.to_string())?,
        }
        self.push(Kind::Mark, self.at, self.at + 1);
        Ok(())
    }

    fn close(&mut self, c: char, index: usize) -> Result<(), ExprError> {
        let Some(open) = self.levels.last().and_then(|level| level.open) else {
            return Err(self
                .error(1, format!("nothing is open that `{c}` could close"))
                .mended("", format!("remove the `{c}`")));
        };
        let bracket = self.tokens.list[open];
        let wanted = closing(&self.source[bracket.start..bracket.end]);
        if !wanted.starts_with(c) {
            return Err(self
                .error(1, format!("`{c}` does not close the bracket before it"))
                .mended(wanted, format!("write `{wanted}`")));
        }
        if let Some(level) = self.levels.pop() {
            self.depth = level.outer;
        }
        self.push(Kind::Mark, self.at, self.at + 1);
        self.tokens.list[open].partner = Some(index);
        self.tokens.list[index].partner = Some(open);
        Ok(())
    }

    /// Keeps count of how deep the tree can become: everything but a separator and a logical operator may
    /// hold what stands before it, and a `?` also what comes after it.
    fn operator(&mut self, mark: &str) -> Result<(), ExprError> {
        self.depth += 1;
        if let Some(level) = self.levels.last_mut() {
            match mark {
                "," => (level.base, self.depth) = (level.outer, level.outer),
                "&&" | "||" => self.depth = level.base,
                "?" => {
                    level.base += 1;
                    self.depth = self.depth.max(level.base);
                }
                _ => {}
            }
        }
        if self.depth >= MAX_DEPTH {
            let message = format!("the expression nests deeper than {MAX_DEPTH}; split it");
            return Err(ExprError {
                code: ErrorKind::TooDeep,
                ..self.error(1, message)
            });
        }
        Ok(())
    }

    fn unclosed(&self, open: usize) -> ExprError {
        let open = self.tokens.list[open];
        let close = closing(&self.source[open.start..open.end]);
        let written = &self.source[open.start..self.at];
        let error = ExprError::new(
            (open.start, self.at),
            ErrorKind::Syntax,
            "this bracket is never closed",
        );
        error.mended(
            format!("{written}{close}"),
            format!("close it with `{close}`"),
        )
    }

    fn foreign(&self, c: char) -> ExprError {
        let rest = &self.source[self.at..];
        if c == '$' && rest.starts_with("${") {
            let error = self.error(
                2,
                "`${…}` belongs into text; here the expression stands alone",
            );
            let inner = self
                .source
                .trim()
                .strip_prefix("${")
                .and_then(|s| s.strip_suffix('}'));
            return match inner {
                Some(inner) => ExprError {
                    start: 0,
                    end: self.source.len(),
                    ..error
                }
                .mended(inner.trim(), "write it without `${` and `}`"),
                None => error,
            };
        }
        if CURLY.contains(&c) {
            let after = &rest[c.len_utf8()..];
            let error_len = after
                .char_indices()
                .find(|(_, c)| CURLY.contains(c))
                .map(|(i, close)| (i, c.len_utf8() + i + close.len_utf8()));
            let message = "texts stand in straight quotes";
            return match error_len {
                Some((inner, len)) => self
                    .error(len, message)
                    .mended(super::literal::quoted(&after[..inner]), "write `'`"),
                None => self.error(c.len_utf8(), message).mended("'", "write `'`"),
            };
        }
        self.error(c.len_utf8(), format!("`{c}` has no meaning here"))
    }
}

fn digit_follows(rest: &str) -> bool {
    rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn too_long(len: usize) -> ExprError {
    let message = format!("an expression has at most {MAX_SOURCE} bytes; this one has {len}");
    ExprError::new((0, len), ErrorKind::TooLong, message)
}
