//! A look at Rust source that is just good enough for counting: comments and literals blanked out, functions
//! found with their length and parameters.

/// What of a source text is replaced by spaces. Line ends always stay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// Comments.
    Comments,
    /// Comments and the inside of text and character literals.
    CommentsAndText,
}

/// A function of a source file.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Line of `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
    /// Parameters besides `self`.
    pub parameters: usize,
}

/// The source with comments, and perhaps literals, replaced by spaces.
pub fn blank(source: &str, what: Blank) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    while i < chars.len() {
        let end = literal_end(&chars, i);
        let (to, hide) = match end {
            Some((to, Piece::Comment)) => (to, true),
            Some((to, Piece::Text)) => (to, what == Blank::CommentsAndText),
            None => (i + 1, false),
        };
        for c in &chars[i..to] {
            out.push(if hide && *c != '\n' { ' ' } else { *c });
        }
        i = to;
    }
    out
}

enum Piece {
    Comment,
    Text,
}

/// Where the comment or literal that begins at `i` ends.
fn literal_end(chars: &[char], i: usize) -> Option<(usize, Piece)> {
    let at = |n: usize| chars.get(n).copied().unwrap_or('\0');
    let text = |end: usize| Some((end.min(chars.len()), Piece::Text));
    match (at(i), at(i + 1)) {
        ('/', '/') => {
            let length = chars[i..].iter().position(|c| *c == '\n');
            Some((length.map_or(chars.len(), |n| i + n), Piece::Comment))
        }
        ('/', '*') => {
            let (mut depth, mut n) = (1, i + 2);
            while depth > 0 && n < chars.len() {
                match (at(n), at(n + 1)) {
                    ('/', '*') => (depth, n) = (depth + 1, n + 2),
                    ('*', '/') => (depth, n) = (depth - 1, n + 2),
                    _ => n += 1,
                }
            }
            Some((n.min(chars.len()), Piece::Comment))
        }
        ('r', '"' | '#') if i == 0 || !is_word(at(i - 1)) || at(i - 1) == 'b' => {
            let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
            if at(i + 1 + hashes) != '"' {
                return None;
            }
            let close: Vec<char> = std::iter::once('"')
                .chain(std::iter::repeat_n('#', hashes))
                .collect();
            let body = i + 2 + hashes;
            let length = chars[body..].windows(close.len()).position(|w| w == close);
            text(length.map_or(chars.len(), |n| body + n + close.len()))
        }
        ('"', _) => {
            let mut n = i + 1;
            while n < chars.len() && at(n) != '"' {
                n += if at(n) == '\\' { 2 } else { 1 };
            }
            text(n + 1)
        }
        ('\'', '\\') => {
            let length = chars[i + 3..].iter().position(|c| *c == '\'');
            text(length.map_or(chars.len(), |n| i + 3 + n + 1))
        }
        ('\'', _) if at(i + 2) == '\'' => text(i + 3),
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a word stands in the text by itself.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The functions of a source whose comments and literals are blanked out. Declarations without a body are
/// left out.
pub fn functions(blanked: &str) -> Vec<Function> {
    let chars: Vec<char> = blanked.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for i in 0..chars.len() {
        if chars[i] == '\n' {
            line += 1;
        }
        let starts = chars[i..].starts_with(&['f', 'n', ' ']) && (i == 0 || !is_word(chars[i - 1]));
        if !starts {
            continue;
        }
        let name: String = chars[i + 3..].iter().take_while(|c| is_word(**c)).collect();
        if let Some((length, parameters)) =
            (!name.is_empty()).then(|| measure(&chars[i..])).flatten()
        {
            let lines = chars[i..i + length].iter().filter(|c| **c == '\n').count() + 1;
            found.push(Function {
                name,
                line,
                lines,
                parameters,
            });
        }
    }
    found
}

/// Length in characters, and parameters, of the function at the start; `None` without a body.
fn measure(chars: &[char]) -> Option<(usize, usize)> {
    let open = parameter_list(chars)?;
    let (mut depth, mut commas, mut filled, mut n) = (0i32, 0, false, open);
    let mut first = String::new();
    loop {
        let c = *chars.get(n)?;
        let arrow = c == '>' && chars[n - 1] == '-';
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if !arrow => depth -= 1,
            ',' if depth == 1 => {
                commas += usize::from(filled);
                filled = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if n > open && !c.is_whitespace() && c != ',' {
            filled = true;
        }
        if commas == 0 && n > open {
            first.push(c);
        }
        n += 1;
    }
    let own = has_word(first.split(':').next().unwrap_or(""), "self");
    let parameters = commas + usize::from(filled) - usize::from(own);
    let (mut depth, mut begun) = (0i32, false);
    for (i, c) in chars.iter().enumerate().skip(n) {
        match c {
            ';' if !begun && depth == 0 => return None,
            '[' | '(' => depth += 1,
            ']' | ')' if i > n => depth -= 1,
            '{' => (depth, begun) = (depth + 1, true),
            '}' => depth -= 1,
            _ => {}
        }
        if begun && depth == 0 {
            return Some((i + 1, parameters));
        }
    }
    None
}

/// Position of the parenthesis that opens the parameters, behind the generic ones.
fn parameter_list(chars: &[char]) -> Option<usize> {
    let mut depth = 0i32;
    for (i, c) in chars.iter().enumerate() {
        match c {
            '<' => depth += 1,
            '>' if chars[i - 1] != '-' => depth -= 1,
            '(' if depth == 0 => return Some(i),
            _ => {}
        }
    }
    None
}

/// The source without its `#[cfg(test)]` modules.
pub fn without_tests(blanked: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    let mut lines = blanked.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|l| l.starts_with("mod ") && l.ends_with('{'));
        skipping |= opens;
        if !skipping {
            out.push_str(line);
        }
        out.push('\n');
        skipping &= line != "}";
    }
    out
}

#[test]
fn blanking_keeps_lines_and_code() {
    let table = [
        ("a // b\nc", "a     \nc", "a     \nc"),
        (
            "a /* b /* c */ d */ e",
            "a                   e",
            "a                   e",
        ),
        (r#"f("x // y", 1)"#, r#"f("x // y", 1)"#, "f(        , 1)"),
        ("r#\"a \" b\"# z", "r#\"a \" b\"# z", "           z"),
        ("'\"' + '\\'' + 'a", "'\"' + '\\'' + 'a", "    +      + 'a"),
        (
            "fn f<'a>(x: &'a str)",
            "fn f<'a>(x: &'a str)",
            "fn f<'a>(x: &'a str)",
        ),
    ];
    for (source, comments, all) in table {
        assert_eq!(blank(source, Blank::Comments), comments, "{source}");
        assert_eq!(blank(source, Blank::CommentsAndText), all, "{source}");
    }
}

#[test]
fn functions_are_measured() {
    let source = "impl X {\n    fn a(&mut self, b: Vec<(u8, u8)>, c: &[u8; 3]) -> [u8; 2] {\n        if x { y }\n    }\n    fn none();\n}\nfn t<T: Fn(u8) -> u8>(f: T,) where T: Copy { f(1) }\n";
    let found = functions(&blank(source, Blank::CommentsAndText));
    let seen: Vec<_> = found
        .iter()
        .map(|f| (f.name.as_str(), f.line, f.lines, f.parameters))
        .collect();
    assert_eq!(seen, [("a", 2, 3, 2), ("t", 7, 1, 1)]);
}

#[test]
fn test_modules_are_cut_out() {
    let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let cut = without_tests(source);
    let names: Vec<String> = functions(&cut).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(cut.lines().count(), source.lines().count());
}
