//! `worker.ai_step`: what a model is asked, in which state, and what is taken from its answer.

use std::collections::BTreeSet;

use tl_kernel::program::canonical::TRIAGED;
use tl_kernel::program::{
    ActionKind, AiStep, Classify, Draft, FieldDef, FieldFrom, Mode, RecordType,
};
use tl_kernel::time::SECOND;
use tl_kernel::value::Type;

use crate::cx::Keys;
use crate::diag::{Mend, Problem, Span};
use crate::keys::{AI_STEP, CLASSIFY, DRAFT, MODES, OUTPUT, SUMMARIZE};
use crate::load::{Lower, Names};
use crate::project::ConnectionKind;
use crate::suggest::nearest;
use crate::tree::Node;

/// How long a model may take where the file does not say.
const TIMEOUT: i64 = 30 * SECOND;
/// Greatest length of a draft or summary where the file does not say.
const MAX_CHARS: u32 = 1200;

/// The AI step; `ai_step: none` is none. Left out: the local model is asked for the first enum field
/// `from: ai`, where the record has one.
pub(crate) fn ai_step(l: &mut Lower<'_>, node: Option<&Node>) -> Option<AiStep> {
    let mut out = AiStep {
        optional: true,
        when_state: TRIAGED,
        modes: BTreeSet::from([Mode::Classify]),
        model: "local".into(),
        classify: None,
        extract: Vec::new(),
        draft: None,
        summarize: None,
        output_confidence: true,
        output_fields: true,
        timeout: TIMEOUT,
    };
    let Some(node) = node else {
        out.classify = default_classify(l);
        return out.classify.is_some().then_some(out);
    };
    if node.text().is_some() {
        l.cx.word(node, &["none"]);
        return None;
    }
    let keys = l.cx.section(node, &AI_STEP)?;
    step_settings(l, keys, &mut out);
    let modes = keys.get("modes").map(|n| l.cx.words(n, MODES));
    out.modes = match &modes {
        Some(words) => words.iter().map(|w| mode(w)).collect(),
        None => named_modes(keys),
    };
    if let Some(n) = keys.get("model").or_else(|| n_model(keys)) {
        out.model = model(l, n).unwrap_or(out.model);
    }
    contents(l, keys, &mut out);
    if let (Some(draft), "local") = (&out.draft, out.model.as_str()) {
        drafts_own_text(l, draft.action);
    }
    Some(out)
}

/// What the label of a model's answer may be; none where the file asks no model.
pub(crate) fn label(record: &RecordType, node: Option<&Node>) -> Option<Type> {
    if node.is_some_and(|n| n.text() == Some("none")) {
        return None;
    }
    let named = node.and_then(|n| n.at(&["classify", "field"])?.text());
    let field = match named {
        Some(name) => record.field(name),
        None => first_asked(record),
    };
    match (node, field) {
        (None, None) => None,
        // A step that only extracts or drafts gives no label.
        (_, field) => Some(field.map_or(Type::Text, |f| f.ty.clone())),
    }
}

fn n_model<'n>(keys: Keys<'n>) -> Option<&'n Node> {
    keys.get("classify")?.get("model")
}

fn step_settings(l: &mut Lower<'_>, keys: Keys<'_>, out: &mut AiStep) {
    if let Some(n) = keys.get("optional")
        && l.cx.bool(n) == Some(false)
    {
        l.cx.push(
            Problem::new("TL0204", n.span, "the AI step is always optional")
                .why("with AI off every case still has to reach `needs_human` or `closed`")
                .mend(Mend::replace(n.span, "true", "write true")),
        );
    }
    if let Some(n) = keys.get("when_state") {
        out.when_state = l.state(n).unwrap_or(out.when_state);
    }
    if let Some(n) = keys.get("output") {
        let words = l.cx.words(n, OUTPUT);
        out.output_confidence = words.contains(&"confidence");
        out.output_fields = words.contains(&"structured_fields");
    }
    if let Some(n) = keys.get("timeout") {
        out.timeout = l.cx.duration(n).unwrap_or(TIMEOUT);
    }
}

/// Without `modes`, what has settings is asked.
fn named_modes(keys: Keys<'_>) -> BTreeSet<Mode> {
    let named: BTreeSet<Mode> = MODES
        .iter()
        .filter(|w| keys.get(w).is_some())
        .map(|w| mode(w))
        .collect();
    if named.is_empty() {
        BTreeSet::from([Mode::Classify])
    } else {
        named
    }
}

fn mode(word: &str) -> Mode {
    match word {
        "extract" => Mode::Extract,
        "summarize" => Mode::Summarize,
        "draft" => Mode::Draft,
        _ => Mode::Classify,
    }
}

/// What each mode is asked about. A mode without settings takes its defaults, settings without their mode
/// are a contradiction.
fn contents(l: &mut Lower<'_>, keys: Keys<'_>, out: &mut AiStep) {
    for w in MODES {
        if let Some(n) = keys.get(w).filter(|_| !out.modes.contains(&mode(w))) {
            let p = Problem::new(
                "TL0209",
                keys.key_span(w),
                format!("`modes` does not name `{w}`"),
            );
            l.cx.push(p.mend(n.removal(format!("take `{w}` out, or name it in `modes`"))));
        }
    }
    if out.modes.contains(&Mode::Classify) {
        out.classify = match keys.get("classify") {
            Some(n) => classify(l, n),
            None => default_classify(l),
        };
        if out.classify.is_none() && keys.get("classify").is_none() {
            out.modes.remove(&Mode::Classify);
            l.notes.push(
                "`classify` has nothing to set: the record has no enum field `from: ai`".into(),
            );
        }
    }
    if out.modes.contains(&Mode::Extract) {
        out.extract = match keys.get("extract") {
            Some(n) => {
                let nodes = l.cx.name_nodes(n);
                nodes
                    .iter()
                    .filter_map(|n| l.field(n, "the field", |_| true))
                    .collect()
            }
            None => default_extract(l, out.classify.as_ref()),
        };
    }
    if out.modes.contains(&Mode::Draft) {
        out.draft = draft(l, keys.get("draft"));
        if out.draft.is_none() && keys.get("draft").is_none() {
            out.modes.remove(&Mode::Draft);
            l.notes
                .push("`draft` has no message to write: no message is defined".into());
        }
    }
    if let Some(n) = keys
        .get("summarize")
        .filter(|_| out.modes.contains(&Mode::Summarize))
    {
        out.summarize = summarize(l, n);
    } else if out.modes.contains(&Mode::Summarize) {
        l.cx.missing(
            keys,
            "summarize",
            &format!("{{ field: {} }}", first_text_field(l)),
        );
    }
}

fn first_text_field(l: &Lower<'_>) -> String {
    let found = l
        .record
        .fields
        .iter()
        .find(|f| f.ty == Type::Text && f.from == FieldFrom::Ai);
    let found = found.or_else(|| l.record.fields.iter().find(|f| f.ty == Type::Text));
    found.map_or_else(|| "summary".into(), |f| f.name.clone())
}

/// The field that is classified where the file names none: the first enum `from: ai`.
fn first_asked(record: &RecordType) -> Option<&FieldDef> {
    let is_asked = |f: &&FieldDef| f.from == FieldFrom::Ai && matches!(f.ty, Type::Enum(_));
    record.fields.iter().find(is_asked)
}

fn default_classify(l: &Lower<'_>) -> Option<Classify> {
    let field = first_asked(&l.record)?;
    Some(Classify {
        field: field.name.clone(),
        prompt: None,
        prompt_text: None,
        examples: Vec::new(),
        examples_file: None,
    })
}

/// Every field `from: ai` but the one that is classified.
fn default_extract(l: &Lower<'_>, classify: Option<&Classify>) -> Vec<String> {
    let ai = l.record.fields.iter().filter(|f| f.from == FieldFrom::Ai);
    ai.filter(|f| classify.is_none_or(|c| c.field != f.name))
        .map(|f| f.name.clone())
        .collect()
}

fn classify(l: &mut Lower<'_>, node: &Node) -> Option<Classify> {
    let keys = l.cx.section(node, &CLASSIFY)?;
    let field = match keys.get("field") {
        Some(n) => l.field(n, "the enum field", |t| matches!(t, Type::Enum(_))),
        None => default_classify(l).map(|c| c.field),
    };
    if field.is_none() && keys.get("field").is_none() {
        l.cx.missing(keys, "field", "intent");
    }
    let prompt = keys.get("prompt").and_then(|n| l.beside(n));
    let field = field?;
    let mut out = Classify {
        field: field.clone(),
        prompt: prompt.as_ref().map(|(p, _)| p.clone()),
        prompt_text: prompt.map(|(_, t)| t.to_owned()),
        examples: Vec::new(),
        examples_file: None,
    };
    if let Some((path, text)) = keys.get("examples").and_then(|n| l.beside(n)) {
        let values = match l.record.field(&field).map(|f| &f.ty) {
            Some(Type::Enum(v)) => v.clone(),
            _ => Vec::new(),
        };
        out.examples = examples(l, &path, text, &values);
        out.examples_file = Some(path);
    }
    Some(out)
}

/// `text,label` rows; each label is a value of the enum.
fn examples(l: &mut Lower<'_>, path: &str, text: &str, values: &[String]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for row in crate::rows::rows(text).into_iter().skip(1) {
        let bad = match row.cells.as_slice() {
            [said, label] if values.contains(&label.text) => {
                out.push((said.text.clone(), label.text.clone()));
                continue;
            }
            [_, label] => {
                let p = Problem::new(
                    "TL0413",
                    label.span,
                    format!("the label `{}` is none of the enum's values", label.text),
                );
                match nearest(&label.text, values.iter().map(String::as_str)) {
                    Some(v) => p.mend(Mend::replace(label.span, v, format!("did you mean `{v}`?"))),
                    None => p.mend(Mend::replace(row.whole, "", "take the row out")),
                }
            }
            cells => Problem::new(
                "TL0413",
                row.span,
                format!("{} cells where `text,label` is expected", cells.len()),
            )
            .mend(Mend::replace(row.whole, "", "take the row out")),
        };
        l.others.push(bad.in_file(path, text));
    }
    if out.is_empty() && text.trim().is_empty() {
        let p = Problem::new("TL0413", Span::at(0), "the file has no examples");
        l.others.push(
            p.mend(Mend::insert(
                0,
                "text,label\n",
                "start with the head `text,label`",
            ))
            .in_file(path, text),
        );
    }
    out
}

/// What the built-in model drafts where the message has no text of its own. It states nothing but that the message
/// has arrived.
const DRAFT_TEXT: &str =
    "Hello,\n\nthank you for your message. We have received it and will answer soon.\n";

/// The built-in model fills in the message's own text, and writes none.
fn drafts_own_text(l: &mut Lower<'_>, action: u16) {
    let text = l.own_template(DRAFT_TEXT, Names::Effect);
    let Some(action) = l.actions.get_mut(usize::from(action)) else {
        return;
    };
    if let ActionKind::Message(m) = &mut action.kind
        && m.body.source.trim().is_empty()
    {
        m.body = text;
        l.notes.push(format!(
            "`{}` has no text of its own and the built-in model writes none: it says that the message has arrived. \
             Give it a `text` or a `template`, or name a connection as the step's `model`",
            action.name
        ));
    }
}

fn draft(l: &mut Lower<'_>, node: Option<&Node>) -> Option<Draft> {
    let messages: Vec<(u16, String)> = l
        .actions
        .iter()
        .enumerate()
        .filter(|(_, a)| matches!(a.kind, ActionKind::Message(_)))
        .map(|(i, a)| (i as u16, a.name.clone()))
        .collect();
    let Some(node) = node else {
        let (action, _) = messages.first()?;
        return Some(Draft {
            action: *action,
            prompt: None,
            prompt_text: None,
            max_chars: MAX_CHARS,
        });
    };
    let keys = l.cx.section(node, &DRAFT)?;
    let action = match keys.get("effect") {
        None => {
            let example = messages.first().map_or("reply", |(_, n)| n);
            l.cx.missing(keys, "effect", example);
            None
        }
        Some(n) => {
            let text = l.cx.text(n);
            let found = messages
                .iter()
                .find(|(_, name)| Some(name) == text.as_ref());
            if found.is_none() {
                l.cx.unknown(
                    "TL0403",
                    n,
                    "the message",
                    messages.iter().map(|(_, n)| n.as_str()),
                );
            }
            found.map(|(i, _)| *i)
        }
    };
    let prompt = keys.get("prompt").and_then(|n| l.beside(n));
    let max_chars = max_chars(l, keys);
    Some(Draft {
        action: action?,
        prompt: prompt.as_ref().map(|(p, _)| p.clone()),
        prompt_text: prompt.map(|(_, t)| t.to_owned()),
        max_chars,
    })
}

fn max_chars(l: &mut Lower<'_>, keys: Keys<'_>) -> u32 {
    let n = keys
        .get("max_chars")
        .and_then(|n| l.cx.whole(n, 1..=20_000));
    n.map_or(MAX_CHARS, |n| n as u32)
}

fn summarize(l: &mut Lower<'_>, node: &Node) -> Option<(String, u32)> {
    let keys = l.cx.section(node, &SUMMARIZE)?;
    let field = match keys.get("field") {
        Some(n) => l.field(n, "the text field", |t| *t == Type::Text),
        None => {
            l.cx.missing(keys, "field", &first_text_field(l));
            None
        }
    };
    let max = max_chars(l, keys);
    field.map(|f| (f, max))
}

/// `local`, or a connection that leads to a model.
fn model(l: &mut Lower<'_>, node: &Node) -> Option<String> {
    let text = l.cx.text(node)?;
    let mut known: Vec<String> = vec!["local".into()];
    let models = l
        .connections
        .iter()
        .filter(|c| c.kind == ConnectionKind::OpenAi);
    known.extend(models.map(|c| c.name.clone()));
    if known.contains(&text) {
        return Some(text);
    }
    l.cx.unknown(
        "TL0406",
        node,
        "the model connection",
        known.iter().map(String::as_str),
    );
    None
}
