//! `worker`: rules, decision tables and the AI step.

use tl_kernel::expr::{At, Expr, Node as ExprNode};
use tl_kernel::program::{AiStep, FieldFrom, Rule, RuleEffect, Table};
use tl_kernel::value::{Type, Value};

use crate::cx::Keys;
use crate::diag::{Mend, Problem};
use crate::keys::{FLAGS, RULE, WORKER};
use crate::load::{Lower, Names, constant};
use crate::lower_ai::ai_step;
use crate::lower_decision;
use crate::lower_table::table;
use crate::tree::{Entry, Kind, Node};

/// What the section yields.
pub(crate) struct Worker {
    pub(crate) rules_engine: bool,
    pub(crate) tenant_flags: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) tables: Vec<Table>,
    pub(crate) ai: Option<AiStep>,
}

/// The worker of the file. Without `ai_step`, a model is asked for the first enum field `from: ai`.
pub(crate) fn worker(l: &mut Lower<'_>, node: Option<&Node>) -> Worker {
    let mut out = Worker {
        rules_engine: true,
        tenant_flags: true,
        rules: Vec::new(),
        tables: Vec::new(),
        ai: None,
    };
    let Some(keys) = node.and_then(|n| l.cx.section(n, &WORKER)) else {
        out.ai = ai_step(l, None);
        return out;
    };
    if let Some(n) = keys.get("rules_engine") {
        out.rules_engine = l.cx.bool(n).unwrap_or(true);
    }
    if let Some(n) = keys.get("feature_flags") {
        out.tenant_flags = l.cx.word(n, FLAGS) != Some("installation");
    }
    if let Some(n) = keys.get("rules") {
        let items = l.cx.items(n);
        routes(l, items);
        out.rules = items.iter().filter_map(|n| rule(l, n)).collect();
    }
    if let Some(n) = keys.get("tables") {
        let items = l.cx.items(n);
        out.tables = items.iter().filter_map(|n| table(l, n)).collect();
    }
    out.ai = ai_step(l, keys.get("ai_step"));
    out
}

/// Fields that rules route by name owners, wherever they are set.
fn routes(l: &mut Lower<'_>, rules: &[Node]) {
    let schema = l.schema(Names::Rules);
    for text in rules
        .iter()
        .filter_map(|r| r.at(&["route"]).and_then(Node::text))
    {
        if let Ok(owner) = crate::cel::compile_template(text, &schema) {
            l.reads_owner(&owner);
        }
    }
}

fn rule(l: &mut Lower<'_>, node: &Node) -> Option<Rule> {
    let keys = l.cx.section(node, &RULE)?;
    let schema = l.schema(Names::Rules);
    let when = match keys.get("when") {
        Some(n) => l.cx.required_expr(n, &schema, &Type::Bool),
        None => {
            l.cx.missing(keys, "when", "record.name != ''");
            None
        }
    };
    for (first, second) in [("set", "route"), ("set", "then"), ("route", "then")] {
        l.cx.exclusive(keys, first, second);
    }
    let effect = rule_effect(l, keys);
    Some(Rule {
        when: when?,
        effect: effect?,
        line: l.cx.line(node.span),
    })
}

fn rule_effect(l: &mut Lower<'_>, keys: Keys<'_>) -> Option<RuleEffect> {
    let reason = keys
        .get("reason")
        .and_then(|n| lower_decision::reason(l, n, "rule"));
    if let Some(n) = keys.get("set") {
        let set = l.cx.mapping(n)?;
        let pairs = set
            .map
            .entries
            .iter()
            .filter_map(|e| set_field(l, e))
            .collect();
        return Some(RuleEffect::Set(pairs));
    }
    if let Some(n) = keys.get("route") {
        return route(l, n).map(RuleEffect::Route);
    }
    let Some(n) = keys.get("then") else {
        l.cx.missing(keys, "then", "needs_human");
        return None;
    };
    let word = l.cx.word(n, &["close", "needs_human"])?;
    let reason = reason.unwrap_or_else(|| "rule".into());
    Some(if word == "close" {
        RuleEffect::Close(reason)
    } else {
        RuleEffect::NeedsHuman(reason)
    })
}

fn set_field(l: &mut Lower<'_>, entry: &Entry) -> Option<(String, Expr)> {
    let field = settable(l, &entry.key, entry)?;
    let expr = expression_or_constant(l, &entry.value, &field)?;
    if let ExprNode::Literal(Value::Text(name), _) = &expr.root
        && let Some(p) = l.unknown_in_field(&entry.key, name, entry.value.span)
    {
        l.cx.push(p);
        return None;
    }
    Some((entry.key.clone(), expr))
}

/// The type of a field that rules and tables may set.
pub(crate) fn settable(l: &mut Lower<'_>, name: &str, entry: &Entry) -> Option<Type> {
    let at = Node {
        span: entry.key_span,
        cut: entry.value.cut,
        kind: Kind::Scalar(crate::tree::Scalar {
            text: name.to_owned(),
            plain: true,
            verbatim: None,
        }),
    };
    let ty = match l.record.field(name) {
        Some(f) if f.from == FieldFrom::Engine => {
            l.cx.push(
                Problem::new(
                    "TL0404",
                    entry.key_span,
                    format!("the field `{name}` is set by the engine"),
                )
                .why("it holds a time of the case")
                .mend(entry.value.removal("leave it out")),
            );
            return None;
        }
        Some(f) => f.ty.clone(),
        None => {
            let names: Vec<String> = l.record.fields.iter().map(|f| f.name.clone()).collect();
            l.cx.unknown("TL0404", &at, "the field", names.iter().map(String::as_str));
            return None;
        }
    };
    Some(ty)
}

/// A value that is a constant, or text with `${…}`: one expression alone keeps its type.
fn expression_or_constant(l: &mut Lower<'_>, node: &Node, ty: &Type) -> Option<Expr> {
    let text = node.text().unwrap_or_default();
    if !text.contains("${") {
        let value = constant(l, node, ty)?;
        return Some(literal(text, value));
    }
    let schema = l.schema(Names::Rules);
    let template = l.cx.template(node, &schema)?;
    let source = match template.single() {
        Some(e) => e.source.clone(),
        None => concatenation(&template),
    };
    match crate::cel::compile(&source, &schema, ty) {
        Ok(e) => Some(e),
        Err(errors) => {
            for e in errors {
                let p = Problem::new(crate::cx::expr_code(e.code), node.span, e.message);
                l.cx.push(
                    p.mend(match e.mend.filter(|_| template.single().is_some()) {
                        Some(m) => {
                            let (before, after) = (&source[..e.start], &source[e.end..]);
                            let whole = format!("${{{before}{}{after}}}", m.text);
                            Mend::replace(node.span, crate::quote::quote(&whole), m.say)
                        }
                        None => node.removal("leave it out"),
                    }),
                );
            }
            None
        }
    }
}

fn literal(text: &str, value: Value) -> Expr {
    let at = At {
        start: 0,
        end: text.len() as u32,
    };
    Expr {
        source: text.to_owned(),
        root: ExprNode::Literal(value, at),
    }
}

/// Text with several expressions in it, as one expression.
fn concatenation(template: &tl_kernel::expr::Template) -> String {
    use tl_kernel::expr::Piece;
    let parts: Vec<String> = template
        .parts
        .iter()
        .map(|p| match p {
            Piece::Text(t) => format!(
                "'{}'",
                t.replace('\\', "\\\\")
                    .replace('\'', "\\'")
                    .replace('\n', "\\n")
            ),
            Piece::Expr(e) => format!("string({})", e.source),
        })
        .collect();
    parts.join(" + ")
}

fn route(l: &mut Lower<'_>, node: &Node) -> Option<Expr> {
    if node.text().is_some_and(|t| t.contains("${")) {
        let schema = l.schema(Names::Rules);
        let template = l.cx.template(node, &schema)?;
        return l
            .is_ours(&template, node)
            .then(|| expression_or_constant(l, node, &Type::Text))?;
    }
    let owner = l.owner(node)?;
    Some(literal(&owner, Value::text(&owner)))
}
