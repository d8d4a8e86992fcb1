//! From the files of a project to a program: every section in its turn, all findings of one run together.

use std::collections::{BTreeMap, BTreeSet};

use tl_kernel::expr::{Expr, Node as ExprNode, Op, Piece, Template};
use tl_kernel::program::{Action, FieldFrom, Program, RecordType, State, StateIx};
use tl_kernel::value::{Type, Value};

use crate::cel::{self, Schema};
use crate::cx::{Cx, Keys};
use crate::diag::{self, Diag, Mend, Problem, Severity, Span};
use crate::hint;
use crate::keys::{CHANNELS, DEFAULTS, WORKFLOW, WORKFLOW_FILE};
use crate::project::{Connection, Owners, Project, connections, owner, owners, unknown_owner};
use crate::suggest::listed;
use crate::tree::{self, Kind, Node};
use crate::{
    lower_ai, lower_decision, lower_effects, lower_ingress, lower_policy, lower_public,
    lower_record, lower_rest, lower_schedules, lower_states, lower_tasks, lower_worker,
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
    /// What a model's label may be; none where the file asks no model.
    pub(crate) label: Option<Type>,
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
    let Ok(source) = std::str::from_utf8(bytes) else {
        return failed(project.not_text(workflow));
    };
    let (tree, mut diags) = tree::parse(&file, source);
    let Some(tree) = tree else {
        return failed(diags);
    };
    diags.extend(project.not_text(workflow));
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
        label: None,
    };
    let program = l.file(&tree, workflow);
    let actions = program.as_ref().map_or(&l.actions, |p| &p.actions);
    let mut diags = l.cx.diags;
    drop_echoes(&mut diags, &tree, (source, actions));
    diags.extend(l.others);
    diag::sort(&mut diags);
    diags.dedup();
    for d in diags.iter_mut().filter(|d| d.mend.is_none()) {
        d.mend = hint::in_words(d);
    }
    let broken = diags.iter().any(|d| d.severity == Severity::Error);
    Loaded {
        program: program.filter(|_| !broken),
        diags,
        notes: l.notes,
    }
}

/// Where actions are declared by name.
const ACTIONS: [[&str; 2]; 2] = [["side_effects", "messaging"], ["side_effects", "actions"]];

/// Drops the findings that an action does not exist where the file declares it and something else is wrong with it:
/// whoever followed them would take out the uses of an action that is meant to be there.
fn drop_echoes(diags: &mut Vec<Diag>, tree: &Node, (source, actions): (&str, &[Action])) {
    let sections = ACTIONS.iter().filter_map(|p| tree.at(p)?.map());
    let declared = sections.flat_map(|m| &m.entries);
    let broken: BTreeSet<&str> = declared
        .map(|e| e.key.as_str())
        .filter(|name| actions.iter().all(|a| a.name != *name))
        .collect();
    let echo = |d: &Diag| {
        let named = Span::new(d.start, d.end).of(source);
        d.code == "TL0403" && broken.contains(named.trim_matches(['"', '\'']))
    };
    if diags
        .iter()
        .any(|d| d.severity == Severity::Error && !echo(d))
    {
        diags.retain(|d| !echo(d));
    }
}

fn failed(mut diags: Vec<Diag>) -> Loaded {
    diag::sort(&mut diags);
    Loaded {
        program: None,
        diags,
        notes: Vec::new(),
    }
}

/// A section without which there is no workflow.
struct Compulsory {
    key: &'static str,
    /// The least that may stand there.
    example: String,
    /// The key that takes a list which stands there by itself, and how one word is written there.
    within: (&'static str, &'static str),
    /// The words that may stand there so.
    words: &'static [&'static str],
}

/// In the order in which they are proposed: each goes before those that are there.
fn compulsory(id: &str) -> [Compulsory; 3] {
    let section = |key, example: &str, within, words| Compulsory {
        key,
        example: example.to_owned(),
        within,
        words,
    };
    [
        section(
            "decision",
            "{ branches: [{ default: human_queue }] }",
            ("branches", "[{ default: WORD }]"),
            DEFAULTS,
        ),
        section(
            "ingress",
            "{ channels: [form] }",
            ("channels", "[WORD]"),
            CHANNELS,
        ),
        section(
            "workflow",
            &format!("{{ id: {id}, version: \"1\" }}"),
            ("", ""),
            &[],
        ),
    ]
}

impl<'a> Lower<'a> {
    /// The sections in the order in which they need each other.
    fn file(&mut self, tree: &Node, id: &str) -> Option<Program> {
        if tree.map().is_none() {
            self.no_sections(tree, id);
            return None;
        }
        let top = self.cx.section(tree, &WORKFLOW_FILE)?;
        if let Some(n) = top.get("language") {
            self.language(n);
        }
        let [decision, ingress, workflow] =
            compulsory(id).map(|section| self.compulsory(top, &section));
        lower_rest::settings(self, top.get("settings"));
        self.record = lower_record::record(self, top.get("record"));
        self.label = lower_ai::label(&self.record, tree.at(&["worker", "ai_step"]));
        let head = workflow.and_then(|n| self.cx.section(n, &WORKFLOW));
        let mut endpoints = lower_ingress::ingress(self, ingress);
        let schedules = lower_schedules::schedules(self, top.get("schedules"), &mut endpoints);
        self.states = lower_states::states(self, top.get("states"));
        let transitions = top.get("transitions").filter(|n| self.has_edges(n));
        let edges = lower_states::edges(self, transitions);
        let drafted = tree
            .at(&["worker", "ai_step", "draft", "effect"])
            .and_then(Node::text);
        self.need_actions(tree);
        self.actions = lower_effects::actions(self, top.get("side_effects"), drafted);
        lower_effects::domain_event(self, &edges);
        let tasks = lower_tasks::tasks(self, top.get("tasks"));
        let follow_up = lower_public::follow_up(self, tree, (id, &tasks, &endpoints));
        endpoints.extend(follow_up);
        let worker = lower_worker::worker(self, top.get("worker"));
        let decision = lower_decision::decision(self, decision);
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
            schedules,
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
            owners: self.owners.names().into_iter().map(str::to_owned).collect(),
            actions: std::mem::take(&mut self.actions),
            settings: self
                .settings
                .iter()
                .map(|(k, (v, _))| (k.clone(), v.clone()))
                .collect(),
            observability,
        })
    }

    /// A broken action is mended, not left out: other sections name it.
    fn need_actions(&mut self, tree: &Node) {
        let sections = ACTIONS.iter().filter_map(|p| tree.at(p)?.map());
        for e in sections.flat_map(|m| &m.entries) {
            self.cx.need(e, None);
        }
    }

    /// A file that is no mapping, or empty.
    fn no_sections(&mut self, tree: &Node, id: &str) {
        let [decision, ingress, workflow] =
            compulsory(id).map(|Compulsory { key, example, .. }| format!("{key}: {example}\n"));
        let first_line = Span::new(0, self.cx.source.find('\n').unwrap_or_default());
        let span = match tree.span {
            empty if empty.start == empty.end => first_line,
            span => span,
        };
        let p = Problem::new(
            "TL0203",
            span,
            format!("{} where a mapping is expected", tree.word()),
        );
        self.cx.push(p.mend(Mend::replace(
            tree.span,
            workflow + &ingress + &decision,
            "write the sections `workflow`, `ingress` and `decision`",
        )));
    }

    /// A section without which there is no workflow. What is no mapping is mended to one, with what stands there
    /// where that means something.
    fn compulsory<'n>(&mut self, top: Keys<'n>, section: &Compulsory) -> Option<&'n Node> {
        let Compulsory {
            key,
            example,
            within,
            words,
        } = section;
        let Some(entry) = top.map.entries.iter().find(|e| e.key == *key) else {
            // Timetables bring messages too: with one of them nobody else needs to.
            let some = |n: &Node| n.map().is_some_and(|m| !m.entries.is_empty());
            if *key != "ingress" || !top.get("schedules").is_some_and(some) {
                self.cx.missing(top, key, example);
            }
            return None;
        };
        let node = &entry.value;
        if node.map().is_some() {
            return Some(node);
        }
        let source = self.cx.source;
        let text = node.text().filter(|t| words.contains(t));
        let whole = match &node.kind {
            Kind::List(items) if items.flow && !within.0.is_empty() => {
                format!("{{ {}: {} }}", within.0, node.span.of(source))
            }
            _ => match text {
                Some(word) => format!("{{ {}: {} }}", within.0, within.1.replace("WORD", word)),
                None => example.clone(),
            },
        };
        self.cx.need(entry, Some(whole));
        self.cx.wrong_kind(node, "a mapping");
        None
    }

    /// Without any edge no case would ever leave its first state.
    fn has_edges(&mut self, node: &Node) -> bool {
        let none = node.list().is_some_and(|l| l.items.is_empty());
        if none {
            self.cx.push(
                Problem::new("TL0203", node.span, "no edge, where the edges are expected")
                    .why("`transitions` replaces the default edges, and no case could leave `pending`")
                    .mend(node.removal("leave it out: the default edges hold")),
            );
        }
        !none
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
            Some(n) => match n.text().filter(|own| *own != id) {
                None => self.cx.name(n),
                Some(own) => {
                    self.cx.push(
                        Problem::new(
                            "TL0207",
                            n.span,
                            format!("`{own}` is not the name of the workflow's directory"),
                        )
                        .why(format!("the file lies in workflows/{id}/"))
                        .mend(Mend::replace(
                            n.span,
                            id,
                            format!("write `{id}`"),
                        )),
                    );
                    None
                }
            },
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

    /// Whether a text that names an owner leaves that to the file. What a stranger wrote is nobody of ours, and would
    /// stand in the journal for ever; a field with a fixed list of values may name owners, each of them known.
    pub(crate) fn is_ours(&mut self, owner: &Template, node: &Node) -> bool {
        let single = owner.single().is_some();
        let paths = owner.parts.iter().filter_map(|p| match p {
            Piece::Expr(e) => Some(e.reads()),
            Piece::Text(_) => None,
        });
        let paths: Vec<Vec<String>> = paths.flatten().collect();
        for path in paths {
            let field = match path.as_slice() {
                [root, name, ..] if root == "record" => self.record.field(name),
                _ => None,
            };
            let ours = match (path[0].as_str(), field.map(|f| (&f.from, &f.ty))) {
                ("settings" | "flags", _) => true,
                (_, Some((FieldFrom::Rules | FieldFrom::Engine | FieldFrom::Crm, _))) => true,
                (_, Some((_, Type::Enum(values)))) => {
                    !single || values.iter().all(|v| self.owners.knows(v))
                }
                _ => false,
            };
            if !ours {
                let from = path.join(".");
                let p = Problem::new("TL0401", node.span, format!("`{from}` names the owner"))
                    .why(
                        "it comes from a message or a model, so it may be anything; let a rule or a decision table \
                         set a field `from: rules` to a person or team, and name that field",
                    )
                    .mend(Mend::replace(node.span, "operators", "name a person or team"));
                self.cx.push(p);
                return false;
            }
        }
        true
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
                    .mend(Mend::words("save the file as UTF-8")),
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
        if names == Names::Message {
            let link = BTreeMap::from([("link".to_owned(), Type::Text)]);
            root.insert("follow_up".into(), Type::Record(link));
        }
        let of_case = [
            Names::Effect,
            Names::Message,
            Names::Policy,
            Names::Decision,
        ];
        if of_case.contains(&names) {
            let case = BTreeMap::from([("id".to_owned(), Type::Text)]);
            root.insert("case".into(), Type::Record(case));
            if let Some(label) = &self.label {
                root.insert("ai".into(), ai_type(label));
            }
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
    /// And `follow_up`.
    Message,
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
        "automatic",
        "forwarded_name",
        "forwarded_text",
    ]
    .map(text)
    .into();
    parts.insert("from".into(), Type::Email);
    parts.insert("forwarded_from".into(), Type::Email);
    parts.insert("thread".into(), Type::List(Box::new(Type::Text)));
    parts.insert("received_at".into(), Type::Time);
    parts.insert("headers".into(), Type::Any);
    parts.insert("body".into(), Type::Any);
    parts.insert("documents".into(), Type::List(Box::new(document_type())));
    Type::Record(parts)
}

/// A document that a message is, or that came with it.
fn document_type() -> Type {
    let mut parts: BTreeMap<String, Type> = [
        "name",
        "media_type",
        "digest",
        "field",
        "kind",
        "text",
        "error",
        "reason",
    ]
    .map(|n| (n.to_owned(), Type::Text))
    .into();
    parts.insert("size".into(), Type::Int);
    parts.insert("pages".into(), Type::Int);
    parts.insert("text_cut".into(), Type::Bool);
    Type::Record(parts)
}

fn ai_type(label: &Type) -> Type {
    let mut parts = BTreeMap::from([
        ("label".to_owned(), label.clone()),
        ("summary".to_owned(), Type::Text),
    ]);
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
                None => {
                    let mend = l.cx.without(node, "leave it out");
                    p.mend(mend)
                }
            });
            None
        }
    }
}
