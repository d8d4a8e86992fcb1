//! From the files of a project to a program: every section in its turn, all findings of one run together.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::{Expr, Node as ExprNode, Op, Template};
use tl_kernel::program::{Action, Program, RecordType, State, StateIx};
use tl_kernel::value::{Type, Value};

use crate::cel::{self, Schema};
use crate::cx::{Cx, Keys};
use crate::diag::{self, Diag, Mend, Problem, Severity, Span};
use crate::keys::{WORKFLOW, WORKFLOW_FILE};
use crate::project::{Connection, Owners, Project, connections, owner, owners, unknown_owner};
use crate::suggest::listed;
use crate::tree::{self, Kind, Node};
use crate::{
    lower_decision, lower_effects, lower_ingress, lower_policy, lower_record, lower_rest,
    lower_states, lower_tasks, lower_worker,
};

/// The result of loading a workflow.
#[derive(Debug)]
pub struct Loaded {
    /// The program; there is one exactly when no finding is an error.
    pub program: Option<Program>,
    /// What is wrong, sorted by file and place.
    pub diags: Vec<Diag>,
    /// What a reader of the file should know and nobody has to mend.
    pub notes: Vec<String>,
}

/// Everything the sections share while a workflow is lowered.
pub(crate) struct Lower<'a> {
    pub(crate) cx: Cx<'a>,
    pub(crate) project: &'a Project,
    pub(crate) dir: String,
    pub(crate) others: Vec<Diag>,
    pub(crate) notes: Vec<String>,
    pub(crate) owners: Owners,
    pub(crate) connections: Vec<Connection>,
    pub(crate) record: RecordType,
    pub(crate) states: Vec<State>,
    pub(crate) actions: Vec<Action>,
    pub(crate) settings: BTreeMap<String, (Value, Type)>,
    /// Fields of the record that name an owner.
    pub(crate) owner_fields: BTreeSet<String>,
}

/// Compiles the workflow of an id.
pub fn load(project: &Project, workflow: &str) -> Loaded {
    let dir = Project::directory(workflow);
    let file = format!("{dir}workflow.yaml");
    let Some(bytes) = project.files.get(&file) else {
        let ids = project.workflows();
        let p = Problem::new(
            "TL0109",
            Span::at(0),
            format!("the file {file} does not exist"),
        )
        .why(format!(
            "the project has the workflows {}",
            listed(ids.iter().map(String::as_str))
        ));
        return failed(vec![p.in_file(&file, "")]);
    };
    let source = match std::str::from_utf8(bytes) {
        Ok(s) => s,
        Err(e) => {
            let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
            let p = Problem::new("TL0101", Span::at(e.valid_up_to()), "the file is not UTF-8");
            return failed(vec![p.in_file(&file, good)]);
        }
    };
    let (tree, diags) = tree::parse(&file, source);
    let Some(tree) = tree else {
        return failed(diags);
    };
    let (owners, mut others) = owners(project);
    let (connections, more) = connections(project);
    others.extend(more);
    let mut cx = Cx::new(file, source);
    cx.diags = diags;
    let mut l = Lower {
        cx,
        project,
        dir,
        others,
        notes: Vec::new(),
        owners,
        connections,
        record: lower_record::lead(),
        states: Vec::new(),
        actions: Vec::new(),
        settings: BTreeMap::new(),
        owner_fields: BTreeSet::new(),
    };
    let program = l.file(&tree, workflow);
    let mut diags = l.cx.diags;
    diags.extend(l.others);
    diag::sort(&mut diags);
    diags.dedup();
    for d in diags.iter_mut().filter(|d| d.mend.is_none()) {
        d.mend = in_words(d);
    }
    let broken = diags.iter().any(|d| d.severity == Severity::Error);
    Loaded {
        program: program.filter(|_| !broken),
        diags,
        notes: l.notes,
    }
}

/// What other languages call the functions that cut a part out of a text.
const CUTS: [&str; 5] = ["`substring`", "`substr`", "`slice`", "`split`", "`extract`"];

/// What to do about a mistake in an expression whose mend only its author knows.
fn in_words(d: &Diag) -> Option<Mend> {
    let say = match d.code {
        "TL0303" if d.message.contains("`confidence`") || d.message.contains("`threshold`") => {
            "move the condition to a branch of the decision: rules run before a model is asked"
        }
        "TL0303" => "declare it under `record.fields`, or use a name that is declared",
        "TL0304" => {
            "compare values of one type: an enum with `==` or `in` and its values, a number with a number"
        }
        "TL0306" if CUTS.iter().any(|c| d.message.contains(c)) => {
            "write `x.capture('…(…)…')`: it gives what the part in parentheses finds"
        }
        "TL0306" => "write it with the functions there are",
        _ if d.code.starts_with("TL03") => "write the expression in another way",
        _ => return None,
    };
    Some(Mend {
        edits: Vec::new(),
        say: say.into(),
    })
}

fn failed(mut diags: Vec<Diag>) -> Loaded {
    diag::sort(&mut diags);
    Loaded {
        program: None,
        diags,
        notes: Vec::new(),
    }
}

impl<'a> Lower<'a> {
    /// The sections in the order in which they need each other.
    fn file(&mut self, tree: &Node, id: &str) -> Option<Program> {
        let top = self.cx.section(tree, &WORKFLOW_FILE)?;
        if let Some(n) = top.get("language") {
            self.language(n);
        }
        for (key, example) in [
            ("decision", "{ branches: [{ default: human_queue }] }"),
            ("ingress", "{ channels: [form] }"),
            ("workflow", &format!("{{ id: {id}, version: \"1\" }}")),
        ] {
            if top.get(key).is_none() {
                self.cx.missing(top, key, example);
            }
        }
        lower_rest::settings(self, top.get("settings"));
        self.record = lower_record::record(self, top.get("record"));
        let head = top
            .get("workflow")
            .and_then(|n| self.cx.section(n, &WORKFLOW));
        let endpoints = lower_ingress::ingress(self, top.get("ingress"));
        self.states = lower_states::states(self, top.get("states"));
        let edges = lower_states::edges(self, top.get("transitions"));
        let drafted = tree
            .at(&["worker", "ai_step", "draft", "effect"])
            .and_then(Node::text);
        self.actions = lower_effects::actions(self, top.get("side_effects"), drafted);
        lower_effects::domain_event(self, &edges);
        let tasks = lower_tasks::tasks(self, top.get("tasks"));
        let worker = lower_worker::worker(self, top.get("worker"));
        let decision = lower_decision::decision(self, top.get("decision"));
        let policy = lower_policy::policy(self, top);
        let (queue, observability) = (
            lower_rest::queue(self, top.get("queue")),
            lower_rest::observability(self, top.get("observability")),
        );
        let head = head.and_then(|keys| self.head(keys, id));
        let (id, version, correlation, goal) = head?;
        Some(Program {
            id,
            version,
            correlation,
            goal,
            record: self.record.clone(),
            endpoints,
            queue,
            states: std::mem::take(&mut self.states),
            edges,
            rules_engine: worker.rules_engine,
            tenant_flags: worker.tenant_flags,
            rules: worker.rules,
            tables: worker.tables,
            ai: worker.ai,
            decision: decision?,
            policy,
            tasks,
            actions: std::mem::take(&mut self.actions),
            settings: self
                .settings
                .iter()
                .map(|(k, (v, _))| (k.clone(), v.clone()))
                .collect(),
            observability,
        })
    }

    fn language(&mut self, node: &Node) {
        if node.text() != Some("1") {
            self.cx.push(
                Problem::new("TL0215", node.span, "this build reads language 1")
                    .mend(Mend::replace(node.span, "1", "write 1")),
            );
        }
    }

    #[allow(
        clippy::type_complexity,
        reason = "the four parts of one section, taken apart at once"
    )]
    fn head(
        &mut self,
        keys: Keys<'_>,
        id: &str,
    ) -> Option<(
        String,
        String,
        Option<Template>,
        Option<tl_kernel::program::Goal>,
    )> {
        let own = match keys.get("id") {
            None => {
                self.cx.missing(keys, "id", id);
                None
            }
            Some(n) => self.cx.name(n).filter(|own| {
                if own == id {
                    return true;
                }
                self.cx.push(
                    Problem::new(
                        "TL0207",
                        n.span,
                        format!("`{own}` is not the name of the workflow's directory"),
                    )
                    .why(format!("the file lies in workflows/{id}/"))
                    .mend(Mend::replace(n.span, id, format!("write `{id}`"))),
                );
                false
            }),
        };
        let version = match keys.get("version") {
            None => {
                self.cx.missing(keys, "version", "\"1\"");
                None
            }
            Some(n) => self.cx.text(n),
        };
        let schema = self.schema(Names::Event);
        let correlation = keys
            .get("correlation_id")
            .and_then(|n| self.cx.template(n, &schema));
        let goal = keys.get("goal").and_then(|n| lower_rest::goal(self, n));
        Some((own?, version?, correlation, goal))
    }

    /// Says something that nobody has to mend, once.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.notes.iter().any(|n| n == text) {
            self.notes.push(text.to_owned());
        }
    }

    /// A person or team who exists.
    pub(crate) fn owner(&mut self, node: &Node) -> Option<String> {
        owner(&mut self.cx, node, &self.owners)
    }

    /// The fields that a text naming an owner reads: whatever sets one to a constant names a person or team.
    pub(crate) fn reads_owner(&mut self, owner: &Template) {
        if let Some(e) = owner.single() {
            value_fields(&e.root, &mut self.owner_fields);
        }
    }

    /// What is wrong with a constant of a field: the field names an owner, and nobody is called so.
    pub(crate) fn unknown_in_field(&self, field: &str, name: &str, span: Span) -> Option<Problem> {
        let wrong = self.owner_fields.contains(field) && !self.owners.knows(name);
        wrong.then(|| {
            let why = format!("`record.{field}` names an owner; ");
            unknown_owner(name, span, (&self.owners, &why))
        })
    }

    /// A state that exists.
    pub(crate) fn state(&mut self, node: &Node) -> Option<StateIx> {
        let text = self.cx.text(node)?;
        let found = self.states.iter().position(|s| s.name == text);
        if found.is_none() {
            let names: Vec<String> = self.states.iter().map(|s| s.name.clone()).collect();
            self.cx.unknown(
                "TL0402",
                node,
                "the state",
                names.iter().map(String::as_str),
            );
        }
        found.map(|i| i as StateIx)
    }

    /// A field of the record; the type of the field goes through `fits`.
    pub(crate) fn field(
        &mut self,
        node: &Node,
        want: &str,
        fits: impl Fn(&Type) -> bool,
    ) -> Option<String> {
        let text = self.cx.text(node)?;
        let names: Vec<String> = self
            .record
            .fields
            .iter()
            .filter(|f| fits(&f.ty))
            .map(|f| f.name.clone())
            .collect();
        if names.contains(&text) {
            return Some(text);
        }
        self.cx
            .unknown("TL0404", node, want, names.iter().map(String::as_str));
        None
    }

    /// A file beside the workflow file: its path in the project and its text.
    pub(crate) fn beside(&mut self, node: &Node) -> Option<(String, &'a str)> {
        let name = self.cx.text(node)?;
        let path = format!("{}{name}", self.dir);
        let project = self.project;
        if let Some(text) = project.text(&path) {
            return Some((path, text));
        }
        if project.files.contains_key(&path) {
            self.cx.push(
                Problem::new("TL0413", node.span, format!("{path} is not UTF-8 text"))
                    .mend(node.removal("leave it out")),
            );
            return None;
        }
        let all: Vec<&str> = project
            .files
            .keys()
            .filter_map(|p| p.strip_prefix(self.dir.as_str()))
            .collect();
        let folder = name.rsplit_once('/').map_or("", |(f, _)| f);
        let near: Vec<&str> = all
            .iter()
            .copied()
            .filter(|p| p.rsplit_once('/').map_or("", |(f, _)| f) == folder)
            .collect();
        let known = if near.is_empty() { all } else { near };
        let known: Vec<&str> = known
            .into_iter()
            .filter(|p| *p != "workflow.yaml")
            .collect();
        self.cx
            .unknown("TL0405", node, "the file", known.iter().copied());
        None
    }

    /// The names that expressions of a place may use.
    pub(crate) fn schema(&self, names: Names) -> Schema {
        let settings = self
            .settings
            .iter()
            .map(|(k, (_, t))| (k.clone(), t.clone()))
            .collect();
        let mut root = BTreeMap::from([
            ("event".to_owned(), event_type()),
            ("settings".to_owned(), Type::Record(settings)),
        ]);
        if names != Names::Event {
            let fields = self
                .record
                .fields
                .iter()
                .map(|f| (f.name.clone(), f.ty.clone()))
                .collect();
            root.insert("record".into(), Type::Record(fields));
        }
        if matches!(names, Names::Rules | Names::Policy | Names::Decision) {
            root.insert("flags".into(), Type::Any);
        }
        if matches!(names, Names::Effect | Names::Policy | Names::Decision) {
            let case = BTreeMap::from([("id".to_owned(), Type::Text)]);
            root.insert("case".into(), Type::Record(case));
            root.insert("ai".into(), ai_type());
        }
        if matches!(names, Names::Policy | Names::Decision) {
            root.insert("confidence".into(), Type::Float);
            root.insert("threshold".into(), Type::Float);
            root.insert("needs_human".into(), Type::Bool);
            root.insert("missing".into(), Type::List(Box::new(Type::Text)));
        }
        if names == Names::Decision {
            root.insert("policy_allows".into(), Type::Bool);
        }
        Schema { root }
    }

    /// An expression that the loader itself writes; `None` where the types do not go together.
    pub(crate) fn own_expr(&self, source: &str, names: Names, want: &Type) -> Option<Expr> {
        cel::compile(source, &self.schema(names), want).ok()
    }

    /// A part of `record` or `event.body` by name; in brackets where the name is a word of the language.
    pub(crate) fn own_path(&self, of: &str, name: &str, names: Names, want: &Type) -> Option<Expr> {
        let dotted = self.own_expr(&format!("{of}.{name}"), names, want);
        dotted.or_else(|| self.own_expr(&format!("{of}['{name}']"), names, want))
    }

    /// A text with `${…}` that the loader itself writes.
    pub(crate) fn own_template(&self, source: &str, names: Names) -> Template {
        cel::compile_template(source, &self.schema(names)).unwrap_or(Template {
            source: source.to_owned(),
            parts: Vec::new(),
        })
    }
}

/// The fields of the record whose value an expression may give as it is.
fn value_fields(node: &ExprNode, out: &mut BTreeSet<String>) {
    match node {
        ExprNode::Path { names, .. } => {
            if let [root, field] = names.as_slice()
                && root == "record"
            {
                out.insert(field.clone());
            }
        }
        ExprNode::Call {
            op: Op::Cond, args, ..
        } => args.iter().skip(1).for_each(|n| value_fields(n, out)),
        _ => {}
    }
}

/// Where an expression stands, which says what it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// `event` and `settings`.
    Event,
    /// And `record`.
    Record,
    /// And `flags`.
    Rules,
    /// `event`, `settings`, `record` and `ai`.
    Effect,
    /// Everything but `policy_allows`.
    Policy,
    /// Everything.
    Decision,
}

fn event_type() -> Type {
    let text = |n: &str| (n.to_owned(), Type::Text);
    let mut parts: BTreeMap<String, Type> = [
        "id",
        "source",
        "channel",
        "endpoint",
        "external_id",
        "correlation_id",
        "text",
        "own_text",
        "from_name",
        "subject",
        "message_id",
    ]
    .map(text)
    .into();
    parts.insert("from".into(), Type::Email);
    parts.insert("received_at".into(), Type::Time);
    parts.insert("headers".into(), Type::Any);
    parts.insert("body".into(), Type::Any);
    Type::Record(parts)
}

fn ai_type() -> Type {
    let text = |n: &str| (n.to_owned(), Type::Text);
    let mut parts: BTreeMap<String, Type> = ["label", "summary"].map(text).into();
    parts.insert("reasons".into(), Type::List(Box::new(Type::Text)));
    parts.insert("calibrated".into(), Type::Bool);
    Type::Record(parts)
}

/// A constant of the file as a value of a type. The message says what does not fit.
pub(crate) fn constant(l: &mut Lower<'_>, node: &Node, ty: &Type) -> Option<Value> {
    if let (Type::List(of), Kind::List(items)) = (ty, &node.kind) {
        let values: Vec<Value> = items
            .items
            .iter()
            .filter_map(|n| constant(l, n, of))
            .collect();
        return (values.len() == items.items.len()).then_some(Value::List(values));
    }
    let text = l.cx.text(node)?;
    match crate::literal::value(&text, ty) {
        Ok(v) => Some(v),
        Err(bad) => {
            let p = Problem::new("TL0212", node.span, bad.message).why(bad.why);
            l.cx.push(match bad.instead {
                Some(w) => p.mend(Mend::replace(
                    node.span,
                    crate::quote::scalar(&w),
                    format!("did you mean `{w}`?"),
                )),
                None => p.mend(node.removal("leave it out")),
            });
            None
        }
    }
}
