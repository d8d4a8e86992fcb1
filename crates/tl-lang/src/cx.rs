//! Reading values out of the tree of one file: every reader gives the value or a finding with its mend.

use std::collections::BTreeMap;

use tl_kernel::expr::{Expr, Template};
use tl_kernel::time::{duration_text, parse_duration};
use tl_kernel::value::Type;

use crate::cel::{self, ErrorKind, ExprError, Schema};
use crate::diag::{Diag, Mend, Problem, Span, position};
use crate::keys::{COMPULSORY, Section};
use crate::quote::{quote, scalar, yes_no};
use crate::suggest::{listed, nearest};
use crate::tree::{Entry, Kind, Map, Node};

/// One file being read.
pub(crate) struct Cx<'a> {
    pub(crate) file: String,
    pub(crate) source: &'a str,
    pub(crate) diags: Vec<Diag>,
    /// Values that have to be there, by their place.
    needed: BTreeMap<Span, Needed>,
}

/// A value under a key that cannot be left out.
struct Needed {
    key: String,
    key_span: Span,
    /// What may stand there instead.
    example: Option<String>,
}

/// A mapping whose keys have been checked.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'n> {
    pub(crate) node: &'n Node,
    pub(crate) map: &'n Map,
}

/// Words that are taken for a key, and the key.
const SYNONYMS: &[(&str, &str)] = &[
    ("condition", "when"),
    ("if", "when"),
    ("when", "condition"),
    ("if", "condition"),
];

/// Findings that are looked at for one about the same mapping.
const NEAR: usize = 32;

impl<'n> Keys<'n> {
    pub(crate) fn get(self, key: &str) -> Option<&'n Node> {
        self.map.get(key)
    }

    /// Where a key stands; the whole mapping if it is not there.
    pub(crate) fn key_span(self, key: &str) -> Span {
        let found = self.map.entries.iter().find(|e| e.key == key);
        found.map_or(self.node.span, |e| e.key_span)
    }
}

impl<'a> Cx<'a> {
    pub(crate) fn new(file: impl Into<String>, source: &'a str) -> Self {
        Cx {
            file: file.into(),
            source,
            diags: Vec::new(),
            needed: BTreeMap::new(),
        }
    }

    /// Adds a finding of this file.
    pub(crate) fn push(&mut self, p: Problem) {
        let diag = p.in_file(&self.file, self.source);
        self.diags.push(diag);
    }

    pub(crate) fn line(&self, span: Span) -> u32 {
        position(self.source, span.start).0
    }

    /// The value is of the wrong kind: the mend leaves the key out.
    pub(crate) fn wrong_kind(&mut self, node: &Node, want: &str) {
        let p = Problem::new(
            "TL0203",
            self.visible(node),
            format!("{} where {want} is expected", node.word()),
        );
        let mend = self.without(node, "leave it out");
        self.push(p.mend(mend));
    }

    /// Notes that an entry cannot be left out, and what may stand there instead.
    pub(crate) fn need(&mut self, entry: &Entry, example: Option<String>) {
        let needed = Needed {
            key: entry.key.clone(),
            key_span: entry.key_span,
            example,
        };
        self.needed.insert(entry.value.span, needed);
    }

    /// The mend for a value that cannot stay: without its entry, or with something else under a key that has to
    /// be there.
    pub(crate) fn without(&self, node: &Node, say: &str) -> Mend {
        let Some(needed) = self.needed.get(&node.span) else {
            return node.removal(say);
        };
        let key = &needed.key;
        let Some(example) = &needed.example else {
            let say = format!("write here what `{key}` is: without it the rest does not hold");
            return Mend::words(say);
        };
        let colon = self.source[needed.key_span.end..].find(':');
        let colon = colon.map_or(needed.key_span.end, |n| needed.key_span.end + n + 1);
        let end = match node.span.of(self.source).trim_end() {
            "" => colon,
            text => node.span.start + text.len(),
        };
        let entry = format!("{key}: {example}");
        let say = format!("write `{entry}`");
        Mend::replace(Span::new(needed.key_span.start, end), entry, say)
    }

    /// A place that can be underlined, also for an empty value.
    fn visible(&self, node: &Node) -> Span {
        if node.span.start < node.span.end {
            return node.span;
        }
        let line = self.source[..node.span.start]
            .rfind('\n')
            .map_or(0, |n| n + 1);
        let text = &self.source[line..node.span.start];
        let indent = text.len() - text.trim_start_matches([' ', '-']).len();
        let end = line + text.trim_end().len();
        Span::new((line + indent).min(end), end)
    }

    /// A mapping with the keys of a section.
    pub(crate) fn section<'n>(&mut self, node: &'n Node, section: &Section) -> Option<Keys<'n>> {
        let keys = self.mapping(node)?;
        for e in &keys.map.entries {
            if section.keys.iter().any(|k| k.name == e.key) {
                let same = |c: &&(&str, &str, _)| (c.0, c.1) == (section.path, e.key.as_str());
                if let Some((.., example)) = COMPULSORY.iter().find(same) {
                    self.need(e, example.map(str::to_owned));
                }
                continue;
            }
            if let Some((_, until_then)) = section.later.iter().find(|(k, _)| *k == e.key) {
                self.later(&e.key, e.key_span, &e.value, until_then);
                continue;
            }
            let known = section.keys.iter().map(|k| k.name);
            let p = Problem::new("TL0201", e.key_span, format!("unknown key `{}`", e.key));
            let near = nearest(&e.key, known.clone()).or_else(|| {
                let same = |s: &&(&str, &str)| s.0 == e.key && known.clone().any(|k| k == s.1);
                SYNONYMS.iter().find(same).map(|s| s.1)
            });
            let p = match near {
                Some(k) if keys.get(k).is_none() => {
                    p.mend(Mend::replace(e.key_span, k, format!("did you mean `{k}`?")))
                }
                _ => p.mend(e.value.removal("take it out")),
            };
            self.push(p.why(format!("the keys here are {}", listed(known))));
        }
        Some(keys)
    }

    /// Refuses a key by name, because its feature does not exist yet.
    pub(crate) fn later(&mut self, key: &str, span: Span, value: &Node, until_then: &str) {
        self.push(
            Problem::new("TL0208", span, format!("`{key}` is not built yet"))
                .why(until_then)
                .mend(value.removal(format!("leave `{key}` out"))),
        );
    }

    /// A mapping with any keys.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node) -> Option<Keys<'n>> {
        match &node.kind {
            Kind::Map(map) => Some(Keys { node, map }),
            _ => {
                self.wrong_kind(node, "a mapping");
                None
            }
        }
    }

    /// The items of a list.
    pub(crate) fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.kind {
            Kind::List(l) => &l.items,
            _ => {
                self.wrong_kind(node, "a list");
                &[]
            }
        }
    }

    /// Text.
    pub(crate) fn text(&mut self, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Scalar(s) => Some(s.text.clone()),
            _ => {
                self.wrong_kind(node, "text");
                None
            }
        }
    }

    /// `true` or `false`.
    pub(crate) fn bool(&mut self, node: &Node) -> Option<bool> {
        let Kind::Scalar(s) = &node.kind else {
            self.wrong_kind(node, "true or false");
            return None;
        };
        match s.text.as_str() {
            "true" if s.plain => Some(true),
            "false" if s.plain => Some(false),
            other => {
                let yes = matches!(
                    other.to_ascii_lowercase().as_str(),
                    "y" | "yes" | "on" | "true" | "1"
                );
                let word = if yes { "true" } else { "false" };
                let mend = Mend::replace(node.span, word, format!("write {word}"));
                match self.yes_no_finding(node) {
                    Some(d) => d.mend = Some(mend),
                    None => self.push(
                        Problem::new(
                            "TL0203",
                            node.span,
                            format!("`{other}` where true or false is expected"),
                        )
                        .mend(mend),
                    ),
                }
                Some(yes)
            }
        }
    }

    /// One of the known words.
    pub(crate) fn word(&mut self, node: &Node, known: &[&'static str]) -> Option<&'static str> {
        let text = self.text(node)?;
        if let Some(w) = known.iter().find(|w| **w == text) {
            return Some(w);
        }
        let off = matches!(text.to_lowercase().as_str(), "off" | "no" | "n" | "false");
        let none = known.iter().copied().find(|w| off && *w == "none");
        let best = none
            .or_else(|| nearest(&text, known.iter().copied()))
            .or(known.first().copied())?;
        let mend = Mend::replace(node.span, best, format!("write `{best}`"));
        match self.yes_no_finding(node) {
            Some(d) => d.mend = Some(mend),
            None => self.push(
                Problem::new("TL0204", node.span, format!("`{text}` is not known here"))
                    .why(format!(
                        "the words here are {}",
                        listed(known.iter().copied())
                    ))
                    .mend(mend),
            ),
        }
        None
    }

    /// The finding that a word here is one of old YAML's booleans: whoever reads the value knows a better
    /// mend than quotes.
    fn yes_no_finding(&mut self, node: &Node) -> Option<&mut Diag> {
        let plain = matches!(&node.kind, Kind::Scalar(s) if s.plain && yes_no(&s.text));
        let at = node.span.start;
        self.diags
            .iter_mut()
            .find(|d| plain && d.start == at && d.code == "TL0105")
    }

    /// One of the known words of a list or set, each once.
    pub(crate) fn words(&mut self, node: &Node, known: &[&'static str]) -> Vec<&'static str> {
        let mut out = Vec::new();
        for n in self.name_nodes(node) {
            if let Some(w) = self.word(&n, known)
                && !out.contains(&w)
            {
                out.push(w);
            }
        }
        out
    }

    /// Names of any kind, as they stand there.
    pub(crate) fn words_free(&mut self, node: &Node) -> Vec<String> {
        let nodes = self.name_nodes(node);
        nodes.iter().filter_map(|n| self.name(n)).collect()
    }

    /// A name of a set is in it or left out: a value beside it would be ignored.
    fn set_with_value(&mut self, e: &Entry) {
        let value = e.value.span;
        let p = Problem::new("TL0203", value, format!("a value beside `{}`", e.key)).why(
            "this is a set of names: a name that stands in it counts, whatever stands beside it; take a name out to \
             leave it out",
        );
        let until = Span::new(e.key_span.end, value.end);
        self.push(p.mend(Mend::replace(until, "", "leave the name alone")));
    }

    /// A list of names, a mapping of bare names, or one name; as nodes with their places.
    pub(crate) fn name_nodes(&mut self, node: &Node) -> Vec<Node> {
        match &node.kind {
            Kind::Scalar(_) => vec![node.clone()],
            Kind::List(l) => l.items.clone(),
            Kind::Map(m) => {
                for e in &m.entries {
                    if !matches!(e.value.kind, Kind::Null) {
                        self.set_with_value(e);
                    }
                }
                let names = m.entries.iter().map(|e| Node {
                    span: e.key_span,
                    cut: e.value.cut,
                    kind: Kind::Scalar(crate::tree::Scalar {
                        text: e.key.clone(),
                        plain: true,
                        verbatim: Some(e.key_span.start),
                    }),
                });
                names.collect()
            }
            Kind::Null => {
                self.wrong_kind(node, "a list of names");
                Vec::new()
            }
        }
    }

    /// A duration in µs.
    pub(crate) fn duration(&mut self, node: &Node) -> Option<i64> {
        let text = self.text(node)?;
        if let Some(us) = parse_duration(&text) {
            return Some(us);
        }
        let p = Problem::new("TL0205", node.span, format!("`{text}` is not a duration"))
            .why("a duration is a number with s, m, h, d or w, or a sum of those such as 1h30m");
        let compact: String = text.to_lowercase().split_whitespace().collect();
        let digits: String = compact.chars().take_while(char::is_ascii_digit).collect();
        let unit = match compact[digits.len()..].chars().next() {
            Some('s') => "s",
            Some('h') => "h",
            Some('d') => "d",
            Some('w') => "w",
            _ => "m",
        };
        let guess = format!("{digits}{unit}");
        self.push(match parse_duration(&guess) {
            Some(us) => p.mend(Mend::replace(
                node.span,
                &guess,
                format!("write {}", duration_text(us)),
            )),
            None => {
                let mend = self.without(node, "leave it out");
                p.mend(mend)
            }
        });
        None
    }

    /// A whole number within bounds.
    pub(crate) fn whole(
        &mut self,
        node: &Node,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let text = self.text(node)?;
        let got = text.parse::<i64>().ok();
        if let Some(n) = got.filter(|n| range.contains(n)) {
            return Some(n);
        }
        let near = got.map_or(*range.start(), |n| n.clamp(*range.start(), *range.end()));
        self.push(
            Problem::new(
                "TL0206",
                node.span,
                format!("`{text}` is not a whole number that fits here"),
            )
            .why(format!(
                "it lies between {} and {}",
                range.start(),
                range.end()
            ))
            .mend(Mend::replace(
                node.span,
                near.to_string(),
                format!("write {near}"),
            )),
        );
        None
    }

    /// A share between 0 and 1, written as a number or in per cent.
    pub(crate) fn share(&mut self, node: &Node) -> Option<f64> {
        let text = self.text(node)?;
        let (digits, scale) = match text.strip_suffix('%') {
            Some(d) => (d.trim(), 100.0),
            None => (text.as_str(), 1.0),
        };
        let got = digits.parse::<f64>().ok().filter(|x| x.is_finite());
        if let Some(x) = got.map(|x| x / scale).filter(|x| (0.0..=1.0).contains(x)) {
            return Some(x);
        }
        let guess = match got {
            Some(x) if scale == 1.0 && (1.0..=100.0).contains(&x) => format!("{x}%"),
            _ => "0.80".into(),
        };
        self.push(
            Problem::new("TL0206", node.span, format!("`{text}` is not a share"))
                .why("a share is a number from 0 to 1, or a percentage")
                .mend(Mend::replace(node.span, &guess, format!("write {guess}"))),
        );
        None
    }

    /// A name: letters, digits, `_` and `-`, starting with a letter.
    pub(crate) fn name(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        self.check_name(&text, node.span).then_some(text)
    }

    pub(crate) fn check_name(&mut self, text: &str, span: Span) -> bool {
        if is_name(text) {
            return true;
        }
        let guess: String = text
            .to_lowercase()
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .take(64)
            .collect();
        let guess = guess.trim_matches(['_', '-']).to_owned();
        let guess = if guess.starts_with(|c: char| c.is_ascii_lowercase()) {
            guess
        } else {
            format!("x{guess}")
        };
        self.push(
            Problem::new("TL0207", span, format!("`{text}` is not a name"))
                .why("a name starts with a lower-case letter and has letters, digits, `_` and `-`, 64 at most")
                .mend(Mend::replace(span, &guess, format!("write `{guess}`"))),
        );
        false
    }

    /// A required key is missing: the mend writes it with an example.
    pub(crate) fn missing(&mut self, keys: Keys<'_>, key: &str, example: &str) {
        // A finding says already that another key here should be called so; it is one of the last.
        let meant = |d: &Diag| {
            let here = keys.map.entries.iter().any(|e| e.key_span.start == d.start);
            let edits = d.mend.iter().flat_map(|m| &m.edits);
            d.code == "TL0201" && here && edits.into_iter().any(|e| e.text == key)
        };
        if self.diags.iter().rev().take(NEAR).any(meant) {
            return;
        }
        let line_end = self.source[keys.node.span.start..]
            .find('\n')
            .map_or(self.source.len(), |n| keys.node.span.start + n);
        let span = Span::new(keys.node.span.start, keys.node.span.end.min(line_end));
        let mend = self.insertion(keys, &format!("{key}: {example}"));
        self.push(Problem::new("TL0202", span, format!("the key `{key}` is missing")).mend(mend));
    }

    fn insertion(&self, keys: Keys<'_>, entry: &str) -> Mend {
        let say = format!("add `{}`", entry.lines().next().unwrap_or_default());
        match keys.map.entries.first() {
            None => Mend::replace(keys.node.span, format!("{{ {entry} }}"), say),
            Some(first) if keys.map.flow => {
                Mend::insert(first.key_span.start, format!("{entry}, "), say)
            }
            // A section stands behind the others; what the file is comes first.
            Some(first) if self.is_top(first) && !entry.starts_with("workflow") => {
                Mend::insert(self.source.trim_end().len(), format!("\n{entry}"), say)
            }
            Some(first) => {
                let (_, column) = position(self.source, first.key_span.start);
                let indent = " ".repeat(column as usize - 1);
                let entry = entry.replace('\n', &format!("\n{indent}"));
                Mend::insert(first.key_span.start, format!("{entry}\n{indent}"), say)
            }
        }
    }

    /// A key that begins at the edge of the file is one of its sections.
    fn is_top(&self, entry: &Entry) -> bool {
        position(self.source, entry.key_span.start).1 == 1
    }

    /// Two keys exclude each other: the mend takes the second out.
    pub(crate) fn exclusive(&mut self, keys: Keys<'_>, first: &str, second: &str) {
        if let (Some(_), Some(n)) = (keys.get(first), keys.get(second)) {
            self.push(
                Problem::new(
                    "TL0209",
                    keys.key_span(second),
                    format!("`{first}` and `{second}` exclude each other"),
                )
                .mend(n.removal(format!("take `{second}` out"))),
            );
        }
    }

    /// A reference to something by name that does not exist.
    pub(crate) fn unknown<'k>(
        &mut self,
        code: &'static str,
        node: &Node,
        what: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) {
        let text = node.text().unwrap_or_default().to_owned();
        let p = Problem::new(code, node.span, format!("{what} `{text}` does not exist"))
            .why(format!("there are {}", listed(known.clone())));
        self.push(match nearest(&text, known) {
            Some(k) => p.mend(Mend::replace(
                node.span,
                scalar(k),
                format!("did you mean `{k}`?"),
            )),
            None => {
                let mend = self.without(node, "leave it out");
                p.mend(mend)
            }
        });
    }

    /// An expression of a type, under a key that may be left out.
    pub(crate) fn expr(&mut self, node: &Node, schema: &Schema, want: &Type) -> Option<Expr> {
        let before = self.diags.len();
        let got = self.required_expr(node, schema, want);
        for d in self
            .diags
            .iter_mut()
            .skip(before)
            .filter(|d| d.mend.is_none())
        {
            d.mend = Some(node.removal("mend the expression, or leave it out"));
        }
        got
    }

    /// An expression of a type, under a key that has to be there.
    pub(crate) fn required_expr(
        &mut self,
        node: &Node,
        schema: &Schema,
        want: &Type,
    ) -> Option<Expr> {
        let text = self.text(node)?;
        match cel::compile(&text, schema, want) {
            Ok(e) => Some(e),
            Err(errors) => {
                self.expr_errors(node, &text, errors);
                None
            }
        }
    }

    /// Text with `${…}` in it.
    pub(crate) fn template(&mut self, node: &Node, schema: &Schema) -> Option<Template> {
        let text = self.text(node)?;
        match cel::compile_template(&text, schema) {
            Ok(t) => Some(t),
            Err(errors) => {
                self.expr_errors(node, &text, errors);
                None
            }
        }
    }

    pub(crate) fn expr_errors(&mut self, node: &Node, text: &str, errors: Vec<ExprError>) {
        let Kind::Scalar(s) = &node.kind else { return };
        for e in errors {
            let (start, end) = (e.start.min(text.len()), e.end.min(text.len()));
            let span = match s.verbatim {
                Some(at) if end > start => Span::new(at + start, at + end),
                Some(at) => Span::new(at + start.saturating_sub(1), at + end),
                None => node.span,
            };
            let p = Problem::new(expr_code(e.code), span, e.message);
            let p = match e.code {
                ErrorKind::Function => p.why(format!(
                    "the functions are {}",
                    listed(cel::function_names())
                )),
                _ => p,
            };
            self.push(match e.mend {
                Some(m) => {
                    let whole = format!("{}{}{}", &text[..start], m.text, &text[end..]);
                    let whole = if s.plain {
                        scalar(&whole)
                    } else {
                        quote(&whole)
                    };
                    p.mend(Mend::replace(node.span, whole, m.say))
                }
                None => p,
            });
        }
    }
}

/// Whether a text is a name.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// The code of an expression error.
pub(crate) fn expr_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Syntax => "TL0301",
        ErrorKind::Unsupported => "TL0302",
        ErrorKind::Undeclared => "TL0303",
        ErrorKind::Type => "TL0304",
        ErrorKind::EnumValue => "TL0305",
        ErrorKind::Function => "TL0306",
        ErrorKind::Arity => "TL0307",
        ErrorKind::Literal => "TL0308",
        ErrorKind::Pattern => "TL0309",
        ErrorKind::NestedLoop => "TL0310",
        ErrorKind::TooLong | ErrorKind::TooDeep | ErrorKind::TooMany => "TL0311",
    }
}
