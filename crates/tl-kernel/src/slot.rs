//! What a stranger's text may bring into a message that is sent by itself: a name, never a link or a paragraph.
//!
//! Whoever knows an address can write to us with it. If the answer repeated their words, we would carry any text
//! and any link to that address in our own name. So a slot of such a message is either bounded by its type, or
//! its text is cut to what a greeting needs.

use crate::expr::Expr;
use crate::program::RecordType;
use crate::value::Type;

/// Characters of a stranger's text that one slot shows.
pub const MAX_SLOT: usize = 60;

/// What separates the parts of a domain: the full stop and the characters that are read as one in addresses.
const DOTS: [char; 5] = ['.', '\u{2024}', '\u{3002}', '\u{ff0e}', '\u{ff61}'];
/// Parts of `event` that the engine sets, not the sender.
pub const OUR_EVENT_NAMES: [&str; 5] = ["id", "source", "channel", "endpoint", "received_at"];

/// Whether a name that a slot reads is the engine's or the file's own, or bounded by its type: then nobody can
/// write a text of theirs with it. An e-mail address is one only where it is the recipient's own.
pub fn is_bounded(record: &RecordType, to: &Expr, path: &[String]) -> bool {
    match path {
        [root, name, ..] if root == "event" => OUR_EVENT_NAMES.contains(&name.as_str()),
        [root, name] if root == "record" => match record.field(name).map(|f| &f.ty) {
            Some(Type::Email) => to.reads().iter().any(|p| p == path),
            Some(ty) => is_bounded_type(ty),
            None => false,
        },
        [root, ..] => !["record", "event", "ai"].contains(&root.as_str()),
        [] => false,
    }
}

fn is_bounded_type(ty: &Type) -> bool {
    match ty {
        Type::Bool
        | Type::Int
        | Type::Dec
        | Type::Float
        | Type::Enum(_)
        | Type::Phone
        | Type::Time
        | Type::Dur
        | Type::Null => true,
        Type::List(of) => is_bounded_type(of),
        Type::Text | Type::Email | Type::Url | Type::Record(_) | Type::Any => false,
    }
}

/// A stranger's text as a message may show it: on one line, without characters that are not seen, without words
/// that a mail program would make a link of, at most [`MAX_SLOT`] characters.
pub fn clean(text: &str) -> String {
    let mut seen = String::with_capacity(text.len().min(1024));
    for c in text.chars() {
        if c.is_whitespace() || c == '\u{2028}' || c == '\u{2029}' {
            seen.push(' ');
        } else if !(c.is_control() || is_unseen(c) || c == '<' || c == '>') {
            seen.push(c);
        }
    }
    let words: Vec<&str> = seen.split_whitespace().filter(|w| !is_link(w)).collect();
    let cut: String = words.join(" ").chars().take(MAX_SLOT).collect();
    cut.trim_end().to_owned()
}

/// Characters that take no room or turn the direction of writing: they hide what is written.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a word may be read as an address of the web, of mail, or of a program.
fn is_link(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let near = |i: usize| chars.get(i).copied();
    chars.iter().enumerate().any(|(i, c)| {
        let before = i.checked_sub(1).and_then(near);
        let after = near(i + 1);
        match c {
            '@' | '\u{ff20}' => true,
            '/' | '\\' => after == Some(*c),
            // `mailto:x`, but not `10:30` nor a colon at the end.
            ':' | '\u{ff1a}' => {
                before.is_some_and(char::is_alphabetic) && after.is_some_and(|c| !c.is_whitespace())
            }
            c if DOTS.contains(c) => {
                before.is_some_and(|c| c.is_alphanumeric() || c == '-')
                    && is_domain_end(&chars[i + 1..])
            }
            _ => false,
        }
    })
}

/// What follows a dot could end a domain, or go on with a number of an address: two letters or more, or three
/// numbers with dots between them.
fn is_domain_end(rest: &[char]) -> bool {
    let label: Vec<char> = rest
        .iter()
        .copied()
        .take_while(|c| c.is_alphanumeric() || *c == '-')
        .collect();
    let named = label.len() >= 2 && label.iter().any(|c| c.is_alphabetic());
    let dots = rest
        .iter()
        .take_while(|c| c.is_numeric() || DOTS.contains(c))
        .filter(|c| DOTS.contains(c))
        .count();
    named || dots >= 2
}

/// A piece of a message: its own words, or what fills a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words of the template, or a value that is bounded by its type.
    Firm(String),
    /// A stranger's text, as written.
    Loose(String),
}

/// The pieces as one text. What a stranger wrote is cleaned, and left out where it would become a link together
/// with the words that it touches.
pub fn join(parts: &[Part]) -> String {
    let shown: Vec<(String, bool)> = parts
        .iter()
        .map(|p| match p {
            Part::Firm(text) => (text.clone(), false),
            Part::Loose(text) => (clean(text), true),
        })
        .collect();
    let mut out = String::new();
    for (i, (text, loose)) in shown.iter().enumerate() {
        if *loose {
            let before = out.rsplit(char::is_whitespace).next().unwrap_or_default();
            let after: String = shown[i + 1..]
                .iter()
                .flat_map(|(t, _)| t.chars())
                .take_while(|c| !c.is_whitespace())
                .collect();
            let touching = format!("{before}{text}{after}");
            if touching.split_whitespace().any(is_link) {
                continue;
            }
        }
        out.push_str(text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_shows_a_name_and_never_a_link_or_a_paragraph() {
        let long = "x".repeat(200);
        let cut = "x".repeat(MAX_SLOT);
        let table: &[(&str, &str)] = &[
            ("Ada Lovelace", "Ada Lovelace"),
            ("  Ada\t Lovelace ", "Ada Lovelace"),
            ("J. R. R. Tolkien", "J. R. R. Tolkien"),
            ("J.R.R. Tolkien", "J.R.R. Tolkien"),
            ("O'Neill-Smith, Dr.", "O'Neill-Smith, Dr."),
            ("Jürgen Müller & Söhne", "Jürgen Müller & Söhne"),
            ("山田 太郎", "山田 太郎"),
            ("at 10:30, 1.5 t", "at 10:30, 1.5 t"),
            (
                "Ada\n\nYour account is blocked",
                "Ada Your account is blocked",
            ),
            ("Ada\u{2029}new paragraph", "Ada new paragraph"),
            ("Ada\u{0}\u{7}\u{1b}[31m", "Ada[31m"),
            ("Ada https://evil.example/x?y", "Ada"),
            ("HTTPS://EVIL.EXAMPLE", ""),
            ("http:evil", ""),
            ("//evil.example/x", ""),
            ("\\\\evil\\share", ""),
            ("www.evil.example", ""),
            ("evil.example", ""),
            ("(evil.example)", ""),
            ("evil.example:8080", ""),
            ("evil.example.", ""),
            ("xn--80ak6aa92e.com", ""),
            ("еvil.рф", ""),
            ("evil。example", ""),
            ("evil\u{ff0e}example", ""),
            ("evil\u{200b}.exa\u{ad}mple", ""),
            ("evil.ex\u{202e}elpma", ""),
            ("192.168.0.1", ""),
            ("mailto:a", ""),
            ("javascript:alert(1)", ""),
            ("tel:+49900", ""),
            ("eve@evil", ""),
            ("<a href=\"evil\">Ada</a>", "a href=\"evil\"Ada/a"),
            ("[Ada](https://evil.example)", ""),
            ("evil. example", "evil. example"),
            ("", ""),
            (&long, &cut),
        ];
        for (text, want) in table {
            assert_eq!(clean(text), *want, "{text:?}");
            assert_eq!(clean(&clean(text)), *want, "{text:?} twice");
        }
    }

    #[test]
    fn what_a_slot_touches_cannot_make_a_link_of_it() {
        let firm = |t: &str| Part::Firm(t.into());
        let loose = |t: &str| Part::Loose(t.into());
        let table: &[(&[Part], &str)] = &[
            (
                &[firm("Hello "), loose("Ada"), firm(", thanks")],
                "Hello Ada, thanks",
            ),
            (
                &[firm("Hello "), loose("Ada"), firm(".\nBye")],
                "Hello Ada.\nBye",
            ),
            (&[loose("evil"), firm("."), loose("example")], ".example"),
            (&[loose("evil."), loose("example")], "example"),
            (&[loose("a b."), loose("example c")], "example c"),
            (
                &[firm("https://our.example/?n="), loose("Ada")],
                "https://our.example/?n=",
            ),
            (&[loose("evil"), firm(".com")], ".com"),
            (
                &[firm("ada@our.example "), loose("Ada")],
                "ada@our.example Ada",
            ),
        ];
        for (parts, want) in table {
            assert_eq!(join(parts), *want, "{parts:?}");
        }
    }
}
