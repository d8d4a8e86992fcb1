//! YAML as a tree in which every key and every value knows where it stands.
//!
//! The event parser is used directly, because the tree has to know what a derived reader hides: whether a
//! scalar was quoted, where a tag or an anchor stands, and where every node ends. Only what our files need
//! exists here: mappings with text keys, lists, scalars. Tags, anchors, aliases and the words of old YAML
//! booleans are findings, because each of them turns an unquoted expression silently into something else.

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, StructureStyle};

use crate::diag::{Diag, Mend, Problem, Span};
use crate::quote::{quote, yes_no};
use crate::syntax;

/// Largest file, bytes: a workflow is written by people, and everything after this is linear in it.
pub const MAX_FILE: usize = 256 * 1024;
/// Deepest nesting: the format itself needs nine levels.
pub const MAX_DEPTH: usize = 32;
/// Most nodes of a file.
pub const MAX_NODES: usize = 20_000;

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands; for a mapping or list from its first to its last part.
    pub span: Span,
    /// What to cut from the file to be rid of this entry or item.
    pub cut: Cut,
    /// What it is.
    pub kind: Kind,
}

/// The edit that takes an entry or item out of its mapping or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// What goes.
    pub span: Span,
    /// What must stand there instead, so that the parent stays a mapping or list.
    pub instead: &'static str,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(List),
    /// A mapping.
    Map(Map),
}

/// A scalar as text; what it means is decided by whoever reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The text after YAML's own escapes.
    pub text: String,
    /// Written without quotes and not as a block.
    pub plain: bool,
    /// Where the text starts in the file, when it stands there letter by letter.
    pub verbatim: Option<usize>,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The items.
    pub items: Vec<Node>,
    /// Written in brackets.
    pub flow: bool,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The entries in file order; no key occurs twice.
    pub entries: Vec<Entry>,
    /// Written in braces.
    pub flow: bool,
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(s) => Some(&s.text),
            _ => None,
        }
    }

    /// The mapping's entries.
    pub fn map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(m) => Some(m),
            _ => None,
        }
    }

    /// The list.
    pub fn list(&self) -> Option<&List> {
        match &self.kind {
            Kind::List(l) => Some(l),
            _ => None,
        }
    }

    /// The value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.map()?.get(key)
    }

    /// The value under nested keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |n, key| n.get(key))
    }

    /// The kind in words.
    pub fn word(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The mend that takes this entry or item out.
    pub fn removal(&self, say: impl Into<String>) -> Mend {
        Mend::replace(self.cut.span, self.cut.instead, say)
    }
}

impl Map {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }
}

/// The tree of a file and everything wrong with its syntax. The tree is there even with findings, where a
/// finding can be read as if it had been mended: an unquoted expression counts as the quoted one.
pub fn parse(file: &str, source: &str) -> (Option<Node>, Vec<Diag>) {
    if source.len() > MAX_FILE {
        let p = Problem::new(
            "TL0106",
            Span::at(0),
            format!("the file has {} bytes", source.len()),
        )
        .why(format!("a workflow file may have {MAX_FILE} bytes"));
        return (None, vec![p.in_file(file, source)]);
    }
    if let Some(p) = syntax::bad_bytes(source) {
        return (None, vec![p.in_file(file, source)]);
    }
    let mut b = Builder {
        source,
        events: Parser::new_from_str_with_options(source, options()),
        problems: Vec::new(),
        nodes: 0,
        fatal: false,
    };
    let tree = b.document();
    let diags = b
        .problems
        .into_iter()
        .map(|p| p.in_file(file, source))
        .collect();
    (tree, diags)
}

/// Whether a text has no syntax error, and if it has one, how far it got.
pub(crate) fn syntax_error(source: &str) -> Option<(usize, ScanError)> {
    let mut parser = Parser::new_from_str_with_options(source, options());
    parser.find_map(Result::err).map(|e| {
        let at = e.marker().byte_offset().unwrap_or(0).min(source.len());
        (at, e)
    })
}

fn options() -> Options {
    let mut o = Options::default();
    o.set_emit_comments(false);
    o.emit_anchor_events = true;
    o.emit_unresolved_aliases = true;
    o.flow_nesting_limit = 2 * MAX_DEPTH;
    o.block_nesting_limit = 2 * MAX_DEPTH;
    o
}

struct Builder<'s> {
    source: &'s str,
    events: Parser<'s, granit_parser::StrInput<'s>>,
    problems: Vec<Problem>,
    nodes: usize,
    fatal: bool,
}

/// An event reduced to what the tree needs.
enum Piece {
    Scalar(Scalar),
    List { flow: bool },
    Map { flow: bool },
    Alias,
    End,
    Other,
}

struct Item {
    piece: Piece,
    span: Span,
    /// From the first tag or anchor before the node to the node.
    marked: Option<Span>,
    anchored: bool,
}

impl<'s> Builder<'s> {
    fn document(&mut self) -> Option<Node> {
        let mut tree = None;
        while let Some(item) = self.next() {
            match item.piece {
                Piece::Other => {}
                Piece::End => {}
                _ if tree.is_some() => {
                    self.problems
                        .push(syntax::second_document(self.source, item.span));
                    break;
                }
                _ => tree = self.node(item, 0),
            }
        }
        if self.fatal {
            return None;
        }
        Some(tree.unwrap_or(Node {
            span: Span::at(0),
            cut: Cut::default(),
            kind: Kind::Null,
        }))
    }

    fn next(&mut self) -> Option<Item> {
        if self.fatal {
            return None;
        }
        let (event, span) = match self.events.next()? {
            Ok(x) => x,
            Err(e) => {
                self.problems.push(syntax::scan_error(self.source, &e));
                self.fatal = true;
                return None;
            }
        };
        let range = span.byte_range().unwrap_or(0..0);
        let here = Span::new(range.start, range.end);
        let mut marked = span
            .tag_span()
            .and_then(|t| t.byte_range())
            .map(|r| Span::new(r.start, r.end));
        let mut anchored = false;
        if event.anchor_id().is_some()
            && let Some(Ok((Event::Anchor(..), at))) = self.events.peek()
        {
            let r = at.byte_range().unwrap_or(0..0);
            let at = Span::new(r.start, r.end);
            marked = Some(marked.map_or(at, |m| m.join(at)));
            anchored = true;
            self.events.next();
        }
        Some(Item {
            piece: piece(self.source, event, here),
            span: here,
            marked,
            anchored,
        })
    }

    fn node(&mut self, item: Item, depth: usize) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            let (what, most) = if depth > MAX_DEPTH {
                ("nested deeper than", MAX_DEPTH)
            } else {
                ("made of more values than", MAX_NODES)
            };
            self.problems.push(Problem::new(
                "TL0106",
                item.span,
                format!("the file is {what} {most}"),
            ));
            self.fatal = true;
            return None;
        }
        let mut node = match item.piece {
            Piece::Scalar(s) => self.scalar(s, item.span),
            Piece::Alias => return Some(self.alias(item.span)),
            Piece::List { flow } => self.list(item.span, flow, depth)?,
            Piece::Map { flow } => self.mapping(item.span, flow, depth)?,
            Piece::End | Piece::Other => return None,
        };
        if let Some(mark) = item.marked {
            node = self.marked(node, mark, item.anchored);
        }
        Some(node)
    }

    fn scalar(&mut self, s: Scalar, span: Span) -> Node {
        if s.plain && yes_no(&s.text) {
            let quoted = quote(&s.text);
            self.problems.push(
                Problem::new("TL0105", span, format!("`{}` is not a value here", s.text))
                    .why("older YAML reads it as true or false; quote the expression")
                    .mend(Mend::replace(
                        span,
                        &quoted,
                        format!("write {quoted}, or true or false"),
                    )),
            );
        }
        let kind = if s.plain && matches!(s.text.as_str(), "" | "~" | "null") {
            Kind::Null
        } else {
            Kind::Scalar(s)
        };
        Node {
            span,
            cut: Cut::default(),
            kind,
        }
    }

    fn alias(&mut self, span: Span) -> Node {
        self.marked(
            Node {
                span,
                cut: Cut::default(),
                kind: Kind::Null,
            },
            span,
            true,
        )
    }

    /// A node with a tag or an anchor in front of it: the whole is what the author meant as text.
    fn marked(&mut self, node: Node, mark: Span, anchored: bool) -> Node {
        let whole = match node.kind {
            Kind::List(_) | Kind::Map(_) => mark,
            _ => syntax::expression_extent(self.source, mark.join(node.span)),
        };
        let text = whole.of(self.source);
        let (code, what) = match (text.starts_with('!'), text.starts_with('*')) {
            (true, _) => ("TL0103", "a YAML tag"),
            (_, true) => ("TL0104", "a YAML alias"),
            _ => ("TL0104", "a YAML anchor"),
        };
        let p = Problem::new(
            code,
            whole,
            format!("`{}` starts {what}", syntax::short(text)),
        )
        .why("tags, anchors and aliases do not exist in these files; quote the expression");
        let collection = matches!(node.kind, Kind::List(_) | Kind::Map(_));
        if collection || (anchored && !text.starts_with(['!', '*']) && node.span.start > mark.start)
        {
            // An anchor means something only together with an alias: without it the value stands alone.
            let rest = self.source[mark.end..].trim_start_matches(' ').len();
            let gone = Span::new(mark.start, self.source.len() - rest);
            self.problems
                .push(p.mend(Mend::replace(gone, "", "take it out")));
            return node;
        }
        let meant = text.strip_prefix('*').unwrap_or(text);
        let written = if meant == text {
            quote(text)
        } else {
            meant.to_owned()
        };
        self.problems
            .push(p.mend(Mend::replace(whole, &written, format!("write {written}"))));
        Node {
            span: whole,
            cut: Cut::default(),
            kind: Kind::Scalar(Scalar {
                text: meant.to_owned(),
                plain: false,
                verbatim: Some(whole.end - meant.len()),
            }),
        }
    }

    fn list(&mut self, open: Span, flow: bool, depth: usize) -> Option<Node> {
        let mut items: Vec<Node> = Vec::new();
        let end = loop {
            let item = self.next()?;
            if matches!(item.piece, Piece::End) {
                break item.span.end;
            }
            items.push(self.node(item, depth + 1)?);
        };
        let span = whole(open, flow, end, items.last().map(|n| n.span.end));
        let places: Vec<Span> = items.iter().map(|n| n.span).collect();
        for (i, n) in items.iter_mut().enumerate() {
            n.cut = cut(&places, i, "[]", flow);
        }
        Some(Node {
            span: Span::new(
                items
                    .first()
                    .map_or(span.start, |n| span.start.min(n.span.start)),
                span.end,
            ),
            cut: Cut::default(),
            kind: Kind::List(List { items, flow }),
        })
    }

    fn mapping(&mut self, open: Span, flow: bool, depth: usize) -> Option<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut twice: Vec<usize> = Vec::new();
        let end = loop {
            let item = self.next()?;
            if matches!(item.piece, Piece::End) {
                break item.span.end;
            }
            let (key, key_span) = self.key(item)?;
            let value = self.next()?;
            // A bare name in a flow mapping has an empty value whose place is the end of the name.
            let value = self.node(value, depth + 1)?;
            if entries.iter().any(|e| e.key == key) {
                twice.push(entries.len());
            }
            entries.push(Entry {
                key,
                key_span,
                value,
            });
        };
        let span = whole(open, flow, end, entries.last().map(|e| e.value.span.end));
        let places: Vec<Span> = entries.iter().map(|e| self.place(e)).collect();
        for (i, e) in entries.iter_mut().enumerate() {
            e.value.cut = cut(&places, i, "{}", flow);
        }
        for i in twice.into_iter().rev() {
            let e = entries.remove(i);
            self.problems.push(
                Problem::new(
                    "TL0107",
                    e.key_span,
                    format!("the key `{}` stands here twice", e.key),
                )
                .why("one of the two would be ignored silently")
                .mend(e.value.removal("take the second one out")),
            );
        }
        Some(Node {
            span: Span::new(
                places
                    .first()
                    .map_or(span.start, |p| span.start.min(p.start)),
                span.end,
            ),
            cut: Cut::default(),
            kind: Kind::Map(Map { entries, flow }),
        })
    }

    /// From the key to the end of the value, or of the colon where there is no value.
    fn place(&self, e: &Entry) -> Span {
        let after_key = &self.source[e.key_span.end..];
        let blanks = after_key.len() - after_key.trim_start_matches(' ').len();
        let colon = if after_key[blanks..].starts_with(':') {
            blanks + 1
        } else {
            0
        };
        Span::new(
            e.key_span.start,
            e.value.span.end.max(e.key_span.end + colon),
        )
    }

    fn key(&mut self, item: Item) -> Option<(String, Span)> {
        let Item {
            piece,
            span,
            marked,
            ..
        } = item;
        match piece {
            Piece::Scalar(s) if marked.is_none() => Some((s.text, span)),
            _ => {
                let span = marked.map_or(span, |m| m.join(span));
                self.problems.push(
                    Problem::new("TL0102", span, "a key must be plain text")
                        .why("mappings in these files have names as keys"),
                );
                self.fatal = true;
                None
            }
        }
    }
}

fn piece(source: &str, event: Event<'_>, span: Span) -> Piece {
    match event {
        Event::Scalar(text, style, ..) => {
            let raw = span.of(source);
            let plain = style == ScalarStyle::Plain;
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            let verbatim = if raw == text {
                Some(span.start)
            } else if !plain && inner == text {
                Some(span.start + 1)
            } else {
                None
            };
            Piece::Scalar(Scalar {
                text: text.into_owned(),
                plain,
                verbatim,
            })
        }
        Event::SequenceStart(style, ..) => Piece::List {
            flow: style == StructureStyle::Flow,
        },
        Event::MappingStart(style, ..) => Piece::Map {
            flow: style == StructureStyle::Flow,
        },
        Event::Alias(_) | Event::UnresolvedAlias(_) => Piece::Alias,
        Event::SequenceEnd | Event::MappingEnd => Piece::End,
        _ => Piece::Other,
    }
}

/// A block collection ends where its last part ends: its own end mark stands at the next token.
fn whole(open: Span, flow: bool, end: usize, last: Option<usize>) -> Span {
    let end = if flow {
        end
    } else {
        last.unwrap_or(open.start)
    };
    Span::new(open.start, end.max(open.start))
}

fn cut(places: &[Span], i: usize, empty: &'static str, flow: bool) -> Cut {
    let span = if let Some(next) = places.get(i + 1) {
        Span::new(places[i].start, next.start)
    } else if i > 0 {
        Span::new(places[i - 1].end, places[i].end)
    } else {
        return Cut {
            span: places[i],
            instead: if flow { "" } else { empty },
        };
    };
    Cut { span, instead: "" }
}
