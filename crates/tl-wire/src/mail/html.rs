//! HTML to readable text.
//!
//! `mail-parser` decodes entities and joins blanks; the markup is removed here first, because its
//! reader knows `<style>` and `<script>` only when they have no attributes. What is left for it
//! is text and line breaks.

use mail_parser::decoders::html::html_to_text;

/// Elements whose content nobody reads as text.
const UNREAD: [&str; 14] = [
    "script", "style", "template", "title", "head", "noscript", "iframe", "object", "svg", "math",
    "select", "audio", "video", "canvas",
];
/// Elements without content or end tag.
const VOID: [&str; 10] = [
    "area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr",
];
/// Elements inside which markup does not exist: only their own end tag ends them.
const RAW: [&str; 6] = ["script", "style", "title", "noscript", "iframe", "textarea"];
/// Elements that begin a new line.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "table",
    "tr",
    "ul",
];
/// Table cells, which are kept apart by a blank.
const CELLS: [&str; 2] = ["td", "th"];

/// The text a person would read.
pub(super) fn to_text(html: &str) -> String {
    let text = html_to_text(&Stripper::new(html).run());
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        let doubled = line.is_empty() && lines.last().is_none_or(|last| last.is_empty());
        if !doubled {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Copies text, turns block elements into `<br>` and leaves all other markup out.
struct Stripper<'h> {
    rest: &'h str,
    out: String,
    /// The unread element we are in and how many of its name are open.
    hidden: Option<(String, usize)>,
}

struct Tag<'h> {
    name: String,
    /// Everything between the name and the end of the tag.
    attributes: &'h str,
    closes: bool,
    /// What follows the tag.
    rest: &'h str,
    self_closed: bool,
}

impl<'h> Stripper<'h> {
    fn new(html: &'h str) -> Stripper<'h> {
        Stripper {
            rest: html,
            out: String::with_capacity(html.len()),
            hidden: None,
        }
    }

    fn run(mut self) -> String {
        while !self.rest.is_empty() {
            let open = self.rest.find('<').unwrap_or(self.rest.len());
            let (text, markup) = self.rest.split_at(open);
            self.text(text);
            self.rest = markup;
            if !markup.is_empty() {
                self.markup(markup);
            }
        }
        self.out
    }

    fn text(&mut self, text: &str) {
        if self.hidden.is_none() {
            self.out.push_str(text);
        }
    }

    fn markup(&mut self, markup: &'h str) {
        if let Some(comment) = markup.strip_prefix("<!--") {
            // `<!-->` and `<!--->` are whole comments; an open one takes the rest.
            let early = [">", "->"].iter().find_map(|end| comment.strip_prefix(end));
            self.rest = early
                .or_else(|| comment.split_once("-->").map(|(_, rest)| rest))
                .unwrap_or_default();
        } else if markup.starts_with("<!") || markup.starts_with("<?") {
            self.rest = markup.split_once('>').map_or("", |(_, rest)| rest);
        } else if let Some(tag) = Tag::read(markup) {
            self.rest = tag.rest;
            self.tag(&tag);
        } else {
            // A lone < is text; written as an entity it stays one.
            self.text("&lt;");
            self.rest = &markup[1..];
        }
    }

    fn tag(&mut self, tag: &Tag<'h>) {
        let name = tag.name.as_str();
        if let Some((open, count)) = &mut self.hidden {
            if open == name {
                *count = if tag.closes { *count - 1 } else { *count + 1 };
                if *count == 0 {
                    self.hidden = None;
                }
            } else if open == "head" && name == "body" {
                self.hidden = None;
            }
            if self.hidden.is_some() && RAW.contains(&name) && !tag.closes {
                self.skip_raw(name);
            }
            return;
        }
        if !tag.closes && RAW.contains(&name) {
            let raw = self.skip_raw(name);
            if !UNREAD.contains(&name) {
                self.out.push_str(&raw.replace('<', "&lt;"));
            }
        } else if tag.opens_unread() {
            self.hidden = Some((tag.name.clone(), 1));
        } else if BLOCKS.contains(&name) {
            self.out.push_str("<br>");
        } else if CELLS.contains(&name) {
            self.out.push(' ');
        }
    }

    /// Moves behind the end tag of a raw element and returns what was inside.
    fn skip_raw(&mut self, name: &str) -> &'h str {
        let inside = self.rest;
        let mut from = 0;
        while let Some(found) = inside[from..].find("</") {
            let at = from + found;
            // The name is compared before the tag is read, so that many false end tags do not
            // each cost a search to the end.
            let is_end = inside[at + 2..]
                .get(..name.len())
                .is_some_and(|given| given.eq_ignore_ascii_case(name));
            if is_end
                && let Some(end) = Tag::read(&inside[at..])
                && end.name == name
            {
                self.rest = end.rest;
                return &inside[..at];
            }
            from = at + 2;
        }
        self.rest = "";
        inside
    }
}

impl<'h> Tag<'h> {
    /// Reads a tag that begins here. A tag that never ends takes the rest.
    fn read(markup: &'h str) -> Option<Tag<'h>> {
        let after = markup.strip_prefix('<')?;
        let (closes, after) = match after.strip_prefix('/') {
            Some(after) => (true, after),
            None => (false, after),
        };
        if !after.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let ends_name = |c: char| c.is_ascii_whitespace() || c == '/' || c == '>';
        let end = after.find(ends_name).unwrap_or(after.len());
        let (name, attributes) = after.split_at(end);
        let mut rest = attributes;
        let mut self_closed = false;
        // Attributes: a > inside quotes does not end the tag.
        loop {
            let Some(stop) = rest.find(['>', '"', '\'']) else {
                rest = "";
                break;
            };
            let (before, at) = rest.split_at(stop);
            if let Some(after) = at.strip_prefix('>') {
                self_closed = before.ends_with('/');
                rest = after;
                break;
            }
            // A quote opens a value only behind =; elsewhere it is part of a broken name.
            let quote = &at[..1];
            rest = match before.trim_end().ends_with('=') {
                true => at[1..].split_once(quote).map_or("", |(_, rest)| rest),
                false => &at[1..],
            };
        }
        Some(Tag {
            name: name.to_ascii_lowercase(),
            attributes: &attributes[..attributes.len() - rest.len()],
            closes,
            rest,
            self_closed,
        })
    }
    /// Whether what follows is not shown: by its kind, or by an attribute that hides it, as used
    /// for preview lines and for text that only a program is meant to read.
    fn opens_unread(&self) -> bool {
        let name = self.name.as_str();
        if self.closes || self.self_closed || VOID.contains(&name) {
            return false;
        }
        UNREAD.contains(&name) || self.is_hidden()
    }

    fn is_hidden(&self) -> bool {
        let attributes = self.attributes.to_ascii_lowercase();
        let declared: String = attributes
            .split_ascii_whitespace()
            .collect::<Vec<_>>()
            .concat();
        let zero_size = declared.split("font-size:0").skip(1).any(|after| {
            let digits = after.trim_start_matches("px").trim_start_matches("pt");
            digits.is_empty() || digits.starts_with([';', '"', '\'', '!', '>'])
        });
        let by_style = ["display:none", "visibility:hidden", "mso-hide:all"]
            .iter()
            .any(|rule| declared.contains(rule));
        let by_attribute = attributes
            .split(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>')
            .any(|word| word.split('=').next() == Some("hidden"));
        zero_size || by_style || by_attribute
    }
}
