//! How hard a pattern can make a text: from how many places at once it may have to be followed.
//!
//! Letters are found as fast as memory is read. A counted repetition of something that fits almost anything is not:
//! `a.{60}b` is still undecided about every `a` of the last sixty letters, and no table of what is known of them stays
//! small. Whoever writes the text can see to that, so it is paid for as if it were always so.

use std::iter::Peekable;
use std::str::Chars;

/// So many places cost nothing: dates, numbers and addresses are this long.
const FREE: usize = 8;

/// Places: of classes and of what is counted, and of plain letters.
#[derive(Debug, Default, Clone, Copy)]
struct Places {
    heavy: usize,
    plain: usize,
}

const CLASS: Places = Places { heavy: 1, plain: 0 };
const LETTER: Places = Places { heavy: 0, plain: 1 };
const NOTHING: Places = Places { heavy: 0, plain: 0 };

impl Places {
    fn and(self, more: Places) -> Places {
        Places {
            heavy: self.heavy.saturating_add(more.heavy),
            plain: self.plain.saturating_add(more.plain),
        }
    }

    /// Repeated up to so many times.
    fn times(self, n: usize) -> Places {
        match n {
            0 | 1 => self,
            n => Places {
                heavy: self.heavy.saturating_add(self.plain).saturating_mul(n),
                plain: 0,
            },
        }
    }
}

/// The weight of a pattern that compiles: places beyond those that cost nothing.
pub(super) fn weight(pattern: &str) -> usize {
    let mut rest = pattern.chars().peekable();
    // What stands in each group that is open, and the last thing, which a count may follow.
    let (mut groups, mut last) = (vec![NOTHING], NOTHING);
    while let Some(c) = rest.next() {
        let next = match c {
            ')' if groups.len() > 1 => {
                last = groups.pop().unwrap_or_default().and(last);
                continue;
            }
            '{' => match count(&mut rest) {
                Some(n) => {
                    last = last.times(n);
                    continue;
                }
                None => LETTER,
            },
            '(' => NOTHING,
            '*' | '+' | '?' | '|' | '^' | '$' => continue,
            '.' => CLASS,
            '[' => class(&mut rest),
            '\\' => escape(&mut rest),
            _ => LETTER,
        };
        if let Some(open) = groups.last_mut() {
            *open = open.and(last);
        }
        last = next;
        if c == '(' && opens(&mut rest) {
            groups.push(NOTHING);
        }
    }
    let all = groups.into_iter().fold(last, Places::and);
    all.heavy.saturating_sub(FREE)
}

/// Whether a group begins here, and not only flags; what stands before its content is passed.
fn opens(rest: &mut Peekable<Chars<'_>>) -> bool {
    if rest.next_if_eq(&'?').is_none() {
        return true;
    }
    !matches!(rest.find(|c| matches!(c, ':' | '>' | ')')), Some(')'))
}

/// The greatest number of a repetition: `3}`, `3,}` and `3,5}`.
fn count(rest: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let written: String = rest.clone().take_while(|c| *c != '}').collect();
    let greatest = written
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .max()?;
    rest.find(|c| *c == '}');
    Some(greatest)
}

/// A class in brackets, to its end.
fn class(rest: &mut Peekable<Chars<'_>>) -> Places {
    rest.next_if_eq(&'^');
    rest.next_if_eq(&']');
    let mut depth = 1;
    while depth > 0 {
        match rest.next() {
            Some('\\') => drop(rest.next()),
            Some('[') => depth += 1,
            Some(']') => depth -= 1,
            Some(_) => {}
            None => break,
        }
    }
    CLASS
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Places {
    let Some(kind) = rest.next() else {
        return NOTHING;
    };
    if "pPxuU".contains(kind) && rest.peek() == Some(&'{') {
        rest.find(|c| *c == '}');
    }
    match kind {
        'w' | 'W' | 'd' | 'D' | 's' | 'S' | 'p' | 'P' => CLASS,
        'b' | 'B' | 'A' | 'z' => NOTHING,
        _ => LETTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_weighs() {
        let table = [
            ("", 0),
            ("refund|money back|chargeback", 0),
            (r"(?i)\b(refund|return)s?\b", 0),
            (r"^[\w.+-]+@[\w-]+\.[\w.]+$", 0),
            (r"\d{4}-\d{2}-\d{2}", 0),
            (r"(\d{4} ?){4}", 12),
            (r"[0-9]{20}", 12),
            (r"refund.{0,50}order", 42),
            (r"a[ab]{200}[^ab]", 193),
            (r"([ab]*a[ab]{60}){1,3}[^ab]", 179),
            (r"(?:ab){50}", 92),
            (r"(?P<x>a{10}){10}", 92),
            (r"(?i)x{2,}", 0),
            (r"\p{Greek}{40}", 32),
            (r"\x{10FFFF}\{40}", 0),
            (r"[]{40}a]\]{3}", 0),
            (r"[a[^b]\]{9}]{20}", 12),
            ("....................", 12),
        ];
        for (pattern, want) in table {
            assert_eq!(weight(pattern), want, "{pattern}");
        }
    }
}
