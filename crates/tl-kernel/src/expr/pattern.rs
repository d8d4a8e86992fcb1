//! Regular expressions, compiled when the file is loaded.

use super::weight::weight;

/// A regular expression, compiled once with bounded size; matching takes time linear in the text.
/// Two patterns are equal when they are written the same.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: regex::Regex,
    weight: usize,
}

/// The longest pattern accepted, bytes.
pub const MAX_PATTERN: usize = 500;
/// The largest compiled pattern accepted, bytes.
const MAX_COMPILED: usize = 256 * 1024;

impl Pattern {
    /// Compiles a pattern. The error says in one line what is wrong: syntax, or a size over the bound.
    pub fn new(pattern: &str) -> Result<Pattern, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
        }
        regex::RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(4 * MAX_COMPILED)
            .nest_limit(40)
            .build()
            .map(|regex| Pattern {
                regex,
                weight: weight(pattern),
            })
            .map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => {
                    "the pattern grows too large: repeat less, or use `(?-u)` for plain letters"
                        .into()
                }
                other => last_line(&other.to_string()),
            })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it has a group to capture.
    pub fn has_group(&self) -> bool {
        self.regex.captures_len() > 1
    }

    /// How many times as much a text costs it as a plain pattern, less one.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The trimmed text of the first group that took part in the first match.
    pub(super) fn first_group<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.regex.captures(text)?;
        let group = found.iter().skip(1).flatten().next()?;
        Some(group.as_str().trim()).filter(|t| !t.is_empty())
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A syntax error of a pattern is printed over several lines, what is wrong on the last one.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_bounded() {
        let long = "a".repeat(MAX_PATTERN + 1);
        let table = [
            ("a+", None),
            (r"^[\w.+-]+@[\w-]+\.[\w.]+$", None),
            ("[a", Some("unclosed character class")),
            (r"(\w{100}){100}", Some("the pattern grows too large")),
            ("(?<=a)b", Some("look-around")),
            (long.as_str(), Some("the pattern is longer than")),
        ];
        for (pattern, want) in table {
            match (Pattern::new(pattern), want) {
                (Ok(p), None) => assert_eq!(p.as_str(), pattern),
                (Err(said), Some(want)) => assert!(said.contains(want), "{pattern}: {said}"),
                (got, want) => panic!("{pattern}: {got:?}, want {want:?}"),
            }
        }
    }
}
