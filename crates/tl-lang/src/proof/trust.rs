//! Proof 4: what comes from outside, and where it may become a control argument (recipient, record id, path,
//! template). The labels are static: a value counts as untrusted when any way exists on which it could be.

use std::collections::BTreeSet;

use tl_kernel::connector::{CallArgument, ConnectorCall, Control};
use tl_kernel::expr::{Expr, Piece, Template};
use tl_kernel::policy::LimitScope;
use tl_kernel::program::{
    Action, ActionKind, Endpoint, FieldDef, FieldFrom, Message, Program, RecipientCheck, RuleEffect,
};
use tl_kernel::slot::{MAX_SLOT, OUR_EVENT_NAMES, is_bounded};
use tl_kernel::time::DAY;
use tl_kernel::value::Type;

use super::Finding;
use super::fix::{Fix, Place};
use super::verdict::{holes, verdicts};
use crate::diag::Span;

/// Whether nothing that an expression reads can come from outside.
pub(super) fn is_ours(program: &Program, expr: &Expr) -> bool {
    let tainted = tainted(program);
    expr.reads().iter().all(|p| !outside(&tainted, p))
}

/// Fields that may hold a value from a message or from a model.
fn tainted(program: &Program) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for f in &program.record.fields {
        let mapped = program.endpoints.iter().any(|e| maps(e, &f.name));
        let from_outside = matches!(f.from, FieldFrom::Event | FieldFrom::Ai);
        if f.untrusted || mapped || from_outside || by_model(program, &f.name) {
            out.insert(f.name.clone());
        }
    }
    loop {
        let before = out.len();
        for rule in &program.rules {
            let RuleEffect::Set(fields) = &rule.effect else {
                continue;
            };
            for (name, expr) in fields {
                if expr.reads().iter().any(|p| outside(&out, p)) {
                    out.insert(name.clone());
                }
            }
        }
        if out.len() == before {
            return out;
        }
    }
}

fn maps(endpoint: &Endpoint, field: &str) -> bool {
    endpoint.map.iter().any(|(name, _)| name == field)
}

/// The AI step names the field as one that it sets.
fn by_model(program: &Program, field: &str) -> bool {
    program.ai.as_ref().is_some_and(|ai| {
        ai.extract.iter().any(|f| f == field)
            || ai.classify.as_ref().is_some_and(|c| c.field == field)
            || ai.summarize.as_ref().is_some_and(|(f, _)| f == field)
    })
}

fn outside(tainted: &BTreeSet<String>, path: &[String]) -> bool {
    match path {
        [root, name, ..] if root == "record" => tainted.contains(name),
        [root, name, ..] if root == "event" => !OUR_EVENT_NAMES.contains(&name.as_str()),
        [root, ..] => ["record", "event", "ai"].contains(&root.as_str()),
        [] => false,
    }
}

/// Proof 4.
pub(super) fn prove(program: &Program, out: &mut Vec<Finding>) {
    let tainted = tainted(program);
    for (action, may) in program.actions.iter().zip(verdicts(program)) {
        // What a person approves is bound to the digest of exactly these arguments.
        if !may.auto {
            continue;
        }
        match &action.kind {
            ActionKind::Message(m) => message(program, action, m, &tainted, out),
            ActionKind::Rest(r) => address(program, action, &holes(&r.path), &tainted, out),
            ActionKind::RecordStore { key, .. } => {
                address(program, action, &holes(key), &tainted, out)
            }
            ActionKind::Call(_) | ActionKind::DomainEvent => {}
        }
        if let Some(c) = action.call() {
            call((program, action), c, &tainted, out);
        }
    }
    for field in program.record.fields.iter().filter(|f| f.control) {
        control_field(program, field, out);
    }
}

/// A recipient from outside needs the whole check: a typed address of the message's sender, a fixed text, and
/// a limit per contact.
fn message(
    program: &Program,
    action: &Action,
    m: &Message,
    tainted: &BTreeSet<String>,
    out: &mut Vec<Finding>,
) {
    if m.to.reads().iter().all(|p| !outside(tainted, p)) {
        return;
    }
    let mut lacks = Vec::new();
    if m.check != Some(RecipientCheck::VerifiedSender) {
        lacks.push("`check: verified_sender` on the message");
    }
    if !m.to.reads().iter().all(|p| typed_sender(program, p)) {
        lacks.push(
            "a recipient that is a field of type email or phone, mapped from the message of a sender who has proven \
             who it is (nobody has at a public form)",
        );
    }
    let drafted = program.ai.as_ref().and_then(|ai| ai.draft.as_ref());
    let drafts = drafted.is_some_and(|d| {
        program
            .action(d.action)
            .is_some_and(|a| a.name == action.name)
    });
    let filled = m.body.parts.iter().any(|p| matches!(p, Piece::Expr(_)));
    if (m.template_file.is_none() && filled) || drafts {
        lacks.push("a text from a template file, or one without `${…}`");
    }
    let limit = program.policy.line(&action.name).and_then(|l| l.limit);
    if !limit.is_some_and(|l| l.per == LimitScope::Contact && l.window >= DAY) {
        lacks.push("a `limit … per contact per day` in the policy");
    }
    if !lacks.is_empty() {
        out.push(
            Finding::new(
                "TL0504",
                action.line,
                format!("`{}` may be sent by itself to an address that came from outside", action.name),
            )
            .why(format!(
                "`{}` can hold what a stranger or a model wrote; for an automatic message this is missing: {}",
                m.to,
                lacks.join("; ")
            ))
            .mend(format!("add what is missing, or let a person approve it: `{}: approve`", action.name))
            .about(program, action)
            .fix(Fix::Approve(action.name.clone()))
            .key("messaging"),
        );
        return;
    }
    for template in m.subject.iter().chain([&m.body]) {
        slots((program, tainted), (action, m), template, out);
    }
    let with = m.via.iter().flat_map(|call| &call.with);
    for argument in with.filter(|a| a.control != Control::Unseen) {
        beside((program, tainted), (action, m), argument, out);
    }
}

/// What an automatic message is sent with beside its text takes nothing that a stranger can put a text into: it is shown
/// as it stands.
fn beside(
    (program, tainted): (&Program, &BTreeSet<String>),
    (action, m): (&Action, &Message),
    argument: &CallArgument,
    out: &mut Vec<Finding>,
) {
    let reads = argument.value.reads();
    let mut free = reads
        .into_iter()
        .filter(|p| outside(tainted, p) && !is_bounded(&program.record, &m.to, p));
    let Some(free) = free.next() else { return };
    out.push(
        Finding::new(
            "TL0504",
            action.line,
            format!(
                "`{}` is sent by itself with `{}` from `{}`, which a stranger writes",
                action.name,
                argument.name,
                free.join(".")
            ),
        )
        .why(
            "with it anybody can send any text and any link to an address, in your name; beside its text an automatic \
             message takes bounded types (enum, bool, numbers, times, phone, the recipient's own address)",
        )
        .mend(format!(
            "leave `{}` out, fill it from what is yours, or let a person approve it: `{}: approve`",
            argument.name, action.name
        ))
        .about(program, action)
        .fix(Fix::Approve(action.name.clone()))
        .key("messaging"),
    );
}

/// What a stranger wrote fills a slot of an automatic message only where its type bounds it, or where it is a
/// `string`, which is shown short, on one line and without links. Anything else would let whoever knows an
/// address send any text to it in our name.
fn slots(
    (program, tainted): (&Program, &BTreeSet<String>),
    (action, m): (&Action, &Message),
    template: &Template,
    out: &mut Vec<Finding>,
) {
    let mut at = 0;
    for piece in &template.parts {
        let Piece::Expr(expr) = piece else { continue };
        let hole = hole(&template.source, at, &expr.source);
        at = hole.map_or(at, |h| h.end);
        let slot = hole.map_or(expr.source.as_str(), |h| h.of(&template.source));
        let free = expr.reads().into_iter().find(|p| {
            outside(tainted, p) && !is_bounded(&program.record, &m.to, p) && !is_line(program, p)
        });
        let Some(free) = free else { continue };
        let name = free.join(".");
        let instead = match free[0].as_str() {
            "record" => format!("give `{name}` the type string"),
            _ => "fill it from a field of type string".to_owned(),
        };
        let finding = Finding::new(
            "TL0504",
            action.line,
            format!("`{}` is sent by itself and repeats `{name}`, which a stranger writes", action.name),
        )
        .why(format!(
            "with it anybody can send any text and any link to an address, in your name; a slot of an automatic \
             message takes bounded types (enum, bool, numbers, times, phone, the recipient's own address) and \
             fields of type string, shown on one line of at most {MAX_SLOT} characters without links"
        ))
        .mend(format!(
            "take `{slot}` out, {instead}, or let a person approve it: `{}: approve`",
            action.name
        ))
        .about(program, action)
        .key("messaging");
        let file = m
            .template_file
            .as_ref()
            .filter(|_| std::ptr::eq(template, &m.body));
        out.push(match (file, hole) {
            (Some(file), Some(hole)) => {
                finding
                    .fix(Fix::Slot)
                    .place(Place::new(file, &template.source, hole))
            }
            _ => finding.fix(Fix::SubjectSlot(action.name.clone(), slot.to_owned())),
        });
    }
}

/// Where a slot stands in a template, from a place on: `${…}` with the expression in it and blanks around that.
fn hole(source: &str, from: usize, expr: &str) -> Option<Span> {
    let all = source[from..].match_indices("${").map(|(n, _)| from + n);
    let mut open = all.filter(|at| !source[..*at].ends_with('$'));
    open.find_map(|at| {
        let inner = source[at + 2..].trim_start().strip_prefix(expr)?;
        let rest = inner.trim_start().strip_prefix('}')?;
        Some(Span::new(at, source.len() - rest.len()))
    })
}

/// A field of type `string`: one line.
fn is_line(program: &Program, path: &[String]) -> bool {
    let [root, name] = path else { return false };
    let line = |f: &FieldDef| f.ty == Type::Text && !f.paragraphs;
    root == "record" && program.record.field(name).is_some_and(line)
}

fn typed_sender(program: &Program, path: &[String]) -> bool {
    let [root, name] = path else { return false };
    let typed = |f: &FieldDef| matches!(f.ty, Type::Email | Type::Phone);
    root == "record"
        && program.record.field(name).is_some_and(typed)
        && program
            .endpoints
            .iter()
            .any(|e| maps(e, name) && e.proves_sender())
}

/// No message whose sender has proven who it is gives the field.
pub(super) fn is_unproven(program: &Program, field: &str) -> bool {
    let mut proven = program.endpoints.iter().filter(|e| e.proves_sender());
    !proven.any(|e| maps(e, field))
}

/// A record id or a path from outside must be bounded: typed parts, or what identifies the record anyway.
fn address(
    program: &Program,
    action: &Action,
    exprs: &[&Expr],
    tainted: &BTreeSet<String>,
    out: &mut Vec<Finding>,
) {
    let keys: Vec<Vec<String>> = program
        .record
        .natural_keys
        .iter()
        .flat_map(Template::reads)
        .collect();
    for expr in exprs {
        let free: Vec<String> = expr
            .reads()
            .iter()
            .filter(|p| outside(tainted, p) && !keys.contains(p) && !bounded(program, p))
            .map(|p| p.join("."))
            .collect();
        if !free.is_empty() {
            let name = free.join("`, `");
            out.push(
                Finding::new(
                    "TL0504",
                    action.line,
                    format!("`{name}` from outside chooses which record `{}` writes", action.name),
                )
                .why(
                    "whoever writes the message could point the write at another record; only typed values \
                     (email, phone, enum, int) and the parts of the natural key may",
                )
                .mend(format!(
                    "make it part of `record.natural_key`, give it one of those types, or write `{}: approve`",
                    action.name
                ))
                .about(program, action)
                .fix(Fix::Approve(action.name.clone()))
                .key("crm"),
            );
        }
    }
}

/// What a call is aimed at: which record, as in an address; and whom a message or money reaches, which from outside
/// needs a person.
fn call(
    (program, action): (&Program, &Action),
    call: &ConnectorCall,
    tainted: &BTreeSet<String>,
    out: &mut Vec<Finding>,
) {
    let of = |control| {
        let those = call.with.iter().filter(move |a| a.control == control);
        those.map(|a| &a.value).collect::<Vec<_>>()
    };
    address(program, action, &of(Control::Record), tainted, out);
    for expr in of(Control::Sensitive) {
        if expr.reads().iter().all(|p| !outside(tainted, p)) {
            continue;
        }
        out.push(
            Finding::new(
                "TL0504",
                action.line,
                format!("`{}` may go by itself to where somebody outside says", action.name),
            )
            .why(format!(
                "`{expr}` can hold what a stranger or a model wrote, and it decides to whom or how much"
            ))
            .mend(format!("let a person approve it: `{}: approve`", action.name))
            .about(program, action)
            .fix(Fix::Approve(action.name.clone()))
            .key("actions"),
        );
    }
}

fn bounded(program: &Program, path: &[String]) -> bool {
    let [root, name] = path else { return false };
    let ty = program.record.field(name).map(|f| &f.ty);
    root == "record"
        && matches!(
            ty,
            Some(Type::Email | Type::Phone | Type::Enum(_) | Type::Int | Type::Bool)
        )
}

/// `use: control` says that a field may address an effect: what a stranger or a model writes into it must be
/// bounded by its type. (A recipient has its own check, on the source of the value, at the time of planning.)
fn control_field(program: &Program, field: &FieldDef, out: &mut Vec<Finding>) {
    let path = ["record".to_owned(), field.name.clone()];
    let key = program
        .record
        .natural_keys
        .iter()
        .any(|t| t.reads().iter().any(|p| *p == path));
    let model = field.from == FieldFrom::Ai || by_model(program, &field.name);
    let mapped = program.endpoints.iter().any(|e| maps(e, &field.name));
    if !(model || mapped) || key || bounded(program, &path) {
        return;
    }
    let who = if model {
        "from a model"
    } else {
        "from a message"
    };
    out.push(
        Finding::new("TL0518", field.line, format!("free text {who} sets the control field `{}`", field.name))
            .why("a control field may address an effect, so what comes from outside must be bounded by its type")
            .fix(Fix::Take("use", "control"))
            .mend("give it the type email, phone, enum or int, make it part of the natural key, or take `use: control` off")
            .key("record"),
    );
}
