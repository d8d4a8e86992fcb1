//! Text cut into words, runs of digits and single symbols, with what lies between them.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Digits,
    Symbol,
}

/// What lies before a token, in ascending order of distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    Nothing,
    /// One blank.
    Space,
    /// Several blanks or a tab.
    Wide,
    /// A line break.
    Line,
    /// An empty line, or the beginning of the text.
    Paragraph,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) text: &'t str,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) gap: Gap,
}

impl Token<'_> {
    pub(crate) fn is_symbol(&self, any_of: &str) -> bool {
        self.kind == Kind::Symbol && any_of.contains(self.text)
    }
}

/// The tokens of a text with their words in lower case.
pub(crate) struct Tokens<'t> {
    pub(crate) list: Vec<Token<'t>>,
    lower: Vec<String>,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t str) -> Tokens<'t> {
        let mut out = Tokens {
            list: Vec::new(),
            lower: Vec::new(),
        };
        let mut gap = Gap::Paragraph;
        let mut open = false;
        for (start, c) in text.char_indices() {
            if c.is_whitespace() {
                gap = wider(gap, c);
                open = false;
                continue;
            }
            let end = start + c.len_utf8();
            let kind = kind_of(c);
            match out.list.last_mut() {
                Some(last) if open && last.kind == kind && kind != Kind::Symbol => {
                    last.end = end;
                    last.text = &text[last.start..end];
                }
                _ => out.list.push(Token {
                    kind,
                    text: &text[start..end],
                    start,
                    end,
                    gap,
                }),
            }
            gap = Gap::Nothing;
            open = true;
        }
        out.lower = out.list.iter().map(lower_word).collect();
        out
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Token<'t>> {
        self.list.get(at)
    }

    /// The word at a place in lower case; empty where there is no word.
    pub(crate) fn word(&self, at: usize) -> &str {
        self.lower.get(at).map_or("", String::as_str)
    }

    /// The word before a place in lower case, within the same paragraph.
    pub(crate) fn word_before(&self, at: usize) -> &str {
        let near = self.get(at).is_some_and(|t| t.gap < Gap::Paragraph);
        if near && at > 0 {
            self.word(at - 1)
        } else {
            ""
        }
    }

    /// Whether the token follows the one before it without a blank.
    pub(crate) fn touches(&self, at: usize) -> bool {
        self.get(at).is_some_and(|t| t.gap == Gap::Nothing)
    }

    /// Whether the token is one of these symbols.
    pub(crate) fn is_symbol(&self, at: usize, any_of: &str) -> bool {
        self.get(at).is_some_and(|t| t.is_symbol(any_of))
    }

    /// The digits at a place.
    pub(crate) fn digits(&self, at: usize) -> Option<&'t str> {
        self.get(at)
            .filter(|t| t.kind == Kind::Digits)
            .map(|t| t.text)
    }
}

fn kind_of(c: char) -> Kind {
    if c.is_ascii_digit() {
        Kind::Digits
    } else if c.is_alphanumeric() && !matches!(c, 'º' | 'ª') || is_combining(c) {
        Kind::Word
    } else {
        Kind::Symbol
    }
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

fn wider(gap: Gap, c: char) -> Gap {
    match (gap, c) {
        (Gap::Line | Gap::Paragraph, '\n') => Gap::Paragraph,
        (_, '\n') => Gap::Line,
        (Gap::Nothing, '\t') => Gap::Wide,
        (Gap::Nothing, _) => Gap::Space,
        (Gap::Space, _) => Gap::Wide,
        (other, _) => other,
    }
}

fn lower_word(token: &Token<'_>) -> String {
    if token.kind == Kind::Word {
        token.text.to_lowercase()
    } else {
        String::new()
    }
}
